//! Connections, byte by byte. Time is paused: what takes ten seconds takes none.
mod common;

use common::Bench;
use souk_gateway::admin::{self, Probes};
use souk_gateway::client::Client;
use souk_kernel::{ManualClock, Timestamp};
use souk_telemetry::{Stop, StopSource};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;
use tokio::time::Instant;

/// A connection to a fresh gateway.
struct Line {
    io: DuplexStream,
    source: StopSource,
}

fn dial(buffer: usize) -> (Line, impl Future<Output = ()>) {
    let (io, far) = tokio::io::duplex(buffer);
    let (source, stop) = Stop::new();
    let gateway = Bench::new().gateway;
    (Line { io, source }, async move { gateway.serve_connection(far, stop).await })
}

/// Sends `bytes` and reads until the server ends the connection; gives what came and how long it took.
async fn exchange(bytes: &[u8]) -> (String, Duration) {
    let (mut line, server) = dial(64 * 1024);
    let started = Instant::now();
    let client = async {
        // The server may end the connection before it has taken everything.
        let _ = line.io.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = line.io.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    let (answer, ()) = tokio::join!(client, server);
    (answer, started.elapsed())
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or("")
}

#[tokio::test(start_paused = true)]
async fn ambiguous_framing_is_refused_and_ends_the_connection() {
    let headers = |n: usize| (0..n).map(|i| format!("h{i}: v\r\n")).collect::<String>();
    for (name, request, expected) in [
        ("two lengths", "POST /api/v1/orders HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}".to_owned(), "400"),
        ("two different lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ".to_owned(), "400"),
        ("length and chunked", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(), "400"),
        ("chunked and length", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n".to_owned(), "400"),
        ("odd coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n".to_owned(), "400"),
        ("space before colon", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n".to_owned(), "400"),
        ("length with a sign", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\n{}".to_owned(), "400"),
        ("bare line feeds", "GET /api/v1/orders/x HTTP/1.1\nHost: a\n\n".to_owned(), "400"),
        ("folded line", "GET /api/v1/orders/x HTTP/1.1\r\nHost: a\r\n b\r\n\r\n".to_owned(), "400"),
        ("NUL in a value", "GET /api/v1/orders/x HTTP/1.1\r\nHost: a\0b\r\n\r\n".to_owned(), "400"),
        ("no host", "GET /api/v1/orders/x HTTP/1.1\r\n\r\n".to_owned(), "400"),
        ("two hosts", "GET /api/v1/orders/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), "400"),
        ("garbage", "\x16\x03\x01\x02\x00\x01\r\n\r\n".to_owned(), "400"),
        ("too many headers", format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", headers(70)), "431"),
        ("a huge header", format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}\r\n\r\n", "y".repeat(20_000)), "431"),
        ("a huge body", format!("POST /api/v1/orders/x:cancel HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", 1024 * 1024 + 1), "413"),
        ("TE without chunks", "POST /api/v1/orders/x:cancel HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_owned(), "400"),
    ] {
        let (answer, took) = exchange(request.as_bytes()).await;
        assert_eq!(status(&answer), expected, "{name}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{name}: {answer}");
        assert!(took < Duration::from_secs(5), "{name}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn slow_peers_are_dropped() {
    let (answer, took) = exchange(b"GET /api/v1/orders/x HTTP/1.1\r\nHost: a\r\n").await;
    assert_eq!((answer.as_str(), took.as_secs()), ("", 5), "a head that does not end");
    let (answer, took) = exchange(b"PRI * HT").await;
    assert_eq!((answer.as_str(), took.as_secs()), ("", 10), "a preface that does not end");
    let (answer, took) = exchange(b"").await;
    assert_eq!((answer.as_str(), took.as_secs()), ("", 10), "nothing at all");
    let head = "POST /api/v1/orders/x:cancel HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
    let (answer, took) = exchange(head.as_bytes()).await;
    assert_eq!((status(&answer), took.as_secs()), ("408", 10), "a body that does not end");
    assert!(answer.contains("REQUEST_TIMEOUT") && answer.to_lowercase().contains("connection: close"));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_dropped() {
    let (mut line, server) = dial(1024);
    let started = Instant::now();
    line.io.write_all(b"GET /api/v1/large HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("the server reads");
    server.await;
    assert_eq!(started.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn requests_follow_each_other_on_one_connection() {
    let two = "GET /api/v1/orders/1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /api/v1/orders/2:cancel HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}GET /api/v1/orders/3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let (answer, _) = exchange(two.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
    // After a chunked body the connection ends, so nothing can hide behind it.
    let chunked = "POST /api/v1/orders/2:cancel HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nGET /api/v1/orders/3 HTTP/1.1\r\nHost: a\r\n\r\n";
    let (answer, _) = exchange(chunked.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 1, "{answer}");
    assert!(answer.to_lowercase().contains("connection: close"));
}

#[tokio::test(start_paused = true)]
async fn an_endless_body_is_cut_off() {
    let (mut line, server) = dial(64 * 1024);
    let client = async {
        let head = "POST /api/v1/orders/2:cancel HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        line.io.write_all(head.as_bytes()).await.expect("the server reads");
        let chunk = [b"4000\r\n".as_slice(), &[b' '; 0x4000], b"\r\n"].concat();
        let mut sent = 0;
        while line.io.write_all(&chunk).await.is_ok() {
            sent += 0x4000;
            assert!(sent < 4 << 20, "the server never stops reading");
            if sent > 1 << 20 {
                break;
            }
        }
        let mut answer = Vec::new();
        let _ = line.io.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    let (answer, ()) = tokio::join!(client, server);
    assert_eq!(status(&answer), "413", "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_the_request_under_way_finish() {
    let (mut line, server) = dial(64 * 1024);
    let client = async {
        line.io.write_all(b"GET /api/v1/never HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("the server reads");
        tokio::task::yield_now().await;
        line.source.stop();
        let mut answer = Vec::new();
        line.io.read_to_end(&mut answer).await.expect("an orderly end");
        String::from_utf8_lossy(&answer).into_owned()
    };
    let (answer, ()) = tokio::join!(client, server);
    assert_eq!(status(&answer), "504", "{answer}");
    assert!(answer.to_lowercase().contains("connection: close"));
}

/// An HTTP/2 frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Reads frames until one of `kind` comes; its payload.
async fn read_frame(io: &mut DuplexStream, kind: u8) -> Option<Vec<u8>> {
    loop {
        let mut head = [0u8; 9];
        io.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        io.read_exact(&mut payload).await.ok()?;
        if head[3] == kind {
            return Some(payload);
        }
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// GET http /api/v1/orders/x, authority "a".
const HEADERS: &[u8] = b"\x82\x86\x41\x01a\x04\x10/api/v1/orders/x";

#[tokio::test(start_paused = true)]
async fn http2_is_served_and_says_goodbye() {
    let (mut line, server) = dial(64 * 1024);
    let client = async {
        let hello = [PREFACE, &frame(4, 0, 0, &[]), &frame(1, 5, 1, HEADERS)].concat();
        line.io.write_all(&hello).await.expect("the server reads");
        let body = read_frame(&mut line.io, 0).await.expect("an answer");
        assert!(String::from_utf8_lossy(&body).contains("\"orderId\":\"x\""));
        line.source.stop();
        read_frame(&mut line.io, 7).await
    };
    let (goodbye, ()) = tokio::join!(client, server);
    assert_eq!(goodbye.map(|payload| payload[7]), Some(0), "GOAWAY without an error");
}

/// The peer makes the server reset its own streams ("MadeYouReset"): it must not go on for ever.
#[tokio::test(start_paused = true)]
async fn a_flood_of_forced_resets_ends_the_connection() {
    let (line, server) = dial(64 * 1024);
    let (mut reader, mut writer) = tokio::io::split(line.io);
    let attack = async move {
        let hello = [PREFACE, &frame(4, 0, 0, &[])].concat();
        let mut alive = writer.write_all(&hello).await.is_ok();
        let mut streams = 0u32;
        while alive && streams < 8_000 {
            let stream = streams * 2 + 1;
            // An increment of zero is an error of the stream.
            let pair = [frame(1, 4, stream, HEADERS), frame(8, 0, stream, &[0; 4])].concat();
            alive = writer.write_all(&pair).await.is_ok();
            streams += 1;
        }
    };
    let listen = async move {
        let mut all = Vec::new();
        let _ = reader.read_to_end(&mut all).await;
        all
    };
    let ((), all, ()) = tokio::join!(attack, listen, server);
    let mut rest = all.as_slice();
    let mut goodbye = None;
    let mut resets = 0;
    while let Some((head, after)) = rest.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let Some((payload, after)) = after.split_at_checked(length) else { break };
        resets += usize::from(head[3] == 3);
        if head[3] == 7 {
            goodbye = Some(payload[7]);
        }
        rest = after;
    }
    assert!(goodbye.is_some_and(|code| code != 0), "no GOAWAY after {resets} resets");
    assert!(resets <= 1_100, "{resets} resets");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_waits_ends_with_its_last_line_when_the_server_stops() {
    let (mut line, server) = dial(64 * 1024);
    let started = Instant::now();
    let client = async {
        let request = b"GET /api/v1/orders/endless:watch HTTP/1.1\r\nHost: a\r\nX-Request-Id: req-1\r\n\r\n";
        line.io.write_all(request).await.expect("the server reads");
        let mut answer = Vec::new();
        while !answer.windows(7).any(|seven| seven == b"endless") {
            assert_ne!(line.io.read_buf(&mut answer).await.expect("more comes"), 0, "it ended by itself");
        }
        assert!(!String::from_utf8_lossy(&answer).contains("error"), "nothing is wrong yet");
        line.source.stop();
        line.io.read_to_end(&mut answer).await.expect("a whole answer");
        String::from_utf8(answer).expect("UTF-8")
    };
    let (answer, ()) = tokio::join!(client, server);
    assert_eq!(started.elapsed(), Duration::ZERO, "nobody waits for the grace to end");
    let last = answer.lines().rfind(|line| line.starts_with('{')).expect("a line of JSON");
    let error = &serde_json::from_str::<serde_json::Value>(last).expect("JSON")["error"];
    assert_eq!(
        (&error["status"], &error["reason"], &error["instance"]),
        (&503.into(), &"UNAVAILABLE".into(), &"req-1".into()),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n0\r\n\r\n"), "the body ends in order: {answer:?}");
}

/// A gateway on a port of its own, and a client of it.
async fn on_a_port() -> (Client, StopSource, impl Future<Output = ()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let (source, stop) = Stop::new();
    let server = Bench::new().gateway.serve(listener, stop);
    (Client::new(&url).expect("a URL"), source, server)
}

#[tokio::test]
async fn the_client_and_the_server_understand_each_other() {
    let (client, source, server) = on_a_port().await;
    let talk = async {
        let answer = client.get("/api/v1/orders/x").await.expect("an answer");
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        let staff = client.clone().with_token("t0k").expect("a token");
        let headers = [("idempotency-key", "k1")];
        let answer =
            staff.send(http::Method::POST, "/api/v1/orders", &headers, r#"{"orderId":"a"}"#.into()).await;
        assert_eq!(answer.map(|a| a.status).ok(), Some(202));
        let mut lines = client.lines("/api/v1/orders/o1:watch").await.expect("a stream");
        let mut count = 0;
        while let Some(line) = lines.next().await.expect("a line") {
            assert!(line.starts_with(b"{") && line.ends_with(b"}"));
            count += 1;
        }
        assert_eq!((lines.status, count), (200, 3));
        let answer = client.put("/api/v1/orders/x/lines", "[]").await.expect("an answer");
        assert_eq!((answer.status, answer.text().as_str()), (200, "[]"));
        assert_eq!(client.delete("/api/v1/orders/x").await.map(|a| a.status).ok(), Some(204));
        assert_eq!(client.patch("/api/v1/orders/x", "{}").await.map(|a| a.status).ok(), Some(405));
        assert_eq!(client.post("/nowhere", "{}").await.map(|a| a.is_success()).ok(), Some(false));
        source.stop();
    };
    tokio::join!(talk, server);
    assert!(client.get("/api/v1/orders/x").await.is_err(), "the server is gone");
    assert!(Client::new("https://x").is_err() && Client::new("nonsense").is_err());
}

#[tokio::test]
async fn the_admin_port_tells_how_things_are() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let client =
        Client::new(&format!("http://{}", listener.local_addr().expect("it is bound"))).expect("a URL");
    let (source, stop) = Stop::new();
    let clock = ManualClock::at(Timestamp::EPOCH);
    let draining = Arc::new(AtomicBool::new(false));
    let mut probes = Probes::content("1.2.3", clock.clone());
    let seen = Arc::clone(&draining);
    probes.ready =
        Arc::new(move || if seen.load(Ordering::Relaxed) { Err("draining".to_owned()) } else { Ok(()) });
    probes.dependencies = Arc::new(|| {
        let (name, since) = ("store.order".to_owned(), Timestamp::EPOCH);
        vec![admin::Dependency { name, healthy: false, latency: Duration::from_secs(2), since }]
    });
    probes.build = vec![("commit".to_owned(), "abc".to_owned())];
    probes.pages = vec![admin::Page {
        path: "/metrics",
        content_type: "text/plain",
        text: Arc::new(|| "souk_up 1\n".to_owned()),
    }];
    let server = admin::serve(listener, probes, stop);
    let talk = async {
        let get = async |path: &str| client.get(path).await.map(|a| (a.status, a.text())).expect("an answer");
        for path in ["/livez", "/readyz", "/startupz", "/health/live", "/health/ready"] {
            assert_eq!(get(path).await, (200, "ok\n".to_owned()), "{path}");
        }
        assert_eq!(get("/metrics").await, (200, "souk_up 1\n".to_owned()));
        clock.advance_ms(5_000);
        let health: serde_json::Value = serde_json::from_str(&get("/health").await.1).expect("JSON");
        assert_eq!(
            (&health["status"], &health["version"], &health["uptime"]),
            (&"healthy".into(), &"1.2.3".into(), &5.into())
        );
        let order = serde_json::json!({
            "status": "unhealthy", "latency_ms": 2_000, "since": Timestamp::EPOCH.to_string(),
        });
        assert_eq!(health["dependencies"], serde_json::json!({"store.order": order}));
        assert!(get("/buildz").await.1.contains("\"commit\":\"abc\""));
        draining.store(true, Ordering::Relaxed);
        assert_eq!(get("/readyz").await, (503, "draining\n".to_owned()));
        assert_eq!(get("/livez").await.0, 200, "draining is no reason to be restarted");
        assert!(get("/health").await.1.contains("degraded"));
        assert_eq!(get("/other").await.0, 404);
        assert_eq!(client.post("/livez", "{}").await.map(|a| a.status).ok(), Some(405));
        source.stop();
    };
    tokio::join!(talk, server);
}
