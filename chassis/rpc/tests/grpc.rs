//! The wire itself: connections that are shared, lost and drained, and peers that misbehave.
mod house;

use futures_util::StreamExt;
use house::echo::*;
use house::{House, Way, cx, house, say};
use souk_rpc::grpc::{BoxIo, Connector, GrpcChannel, ServerLimits};
use souk_rpc::{Client, Code, Cx, Error};
use souk_telemetry::task;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

fn client_of(connector: Connector) -> EchoServiceClient {
    EchoServiceClient::Wire(Arc::new(GrpcChannel::new(SERVICE, "echo", connector)))
}

#[tokio::test(start_paused = true)]
async fn a_hundred_calls_at_once_share_one_connection() {
    let house = house();
    let client = house.client(Way::Grpc);
    let calls = (0..100).map(|_| client.say(cx(), say("")));
    let said = futures_util::future::join_all(calls).await;
    assert!(said.iter().all(Result::is_ok));
    assert_eq!(house.connects.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_cannot_be_reached_is_unavailable_and_is_tried_again() {
    let house = house();
    let (working, broken) = (house.connector(house.server()), Arc::new(Mutex::new(true)));
    let switch = Arc::clone(&broken);
    let connector: Connector = Arc::new(move || match *switch.lock().expect("no panic") {
        true => Box::pin(async { Err(io::Error::from(io::ErrorKind::ConnectionRefused)) }),
        false => working(),
    });
    let client = client_of(connector);
    let refused = client.say(cx(), say("")).await.expect_err("nobody listens");
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(
        refused.story().contains("echo") && !refused.message().contains("echo"),
        "where it is, is told inside"
    );
    *broken.lock().expect("no panic") = false;
    assert!(client.say(cx(), say("")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_answers_the_door_costs_two_seconds() {
    let hanging: Connector = Arc::new(|| Box::pin(std::future::pending()));
    let start = Instant::now();
    let refused = client_of(hanging).say(cx(), say("")).await.expect_err("nobody opens");
    assert_eq!((refused.code(), start.elapsed().as_secs()), (Code::Unavailable, 2));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_falls_silent_is_given_up() {
    let silent: Arc<Mutex<Vec<DuplexStream>>> = Arc::default();
    let kept = Arc::clone(&silent);
    let connector: Connector = Arc::new(move || {
        let (near, far) = tokio::io::duplex(64 * 1024);
        kept.lock().expect("no panic").push(far);
        Box::pin(async move { Ok(Box::new(near) as BoxIo) })
    });
    let start = Instant::now();
    let patient = Cx::new(start + Duration::from_secs(3_600));
    let gone = client_of(connector).say(patient, say("")).await.expect_err("nobody reads");
    assert_eq!(gone.code(), Code::Unavailable);
    assert_eq!(start.elapsed().as_secs(), 30, "a ping after twenty seconds, ten for its answer");
    assert_eq!(
        silent.lock().expect("no panic").len(),
        1,
        "the call may have been seen, so it is not sent again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_ends_its_calls_and_is_replaced() {
    let house = house();
    let lines: Arc<Mutex<Vec<task::Running>>> = Arc::default();
    let (server, stop, kept) = (house.server(), house.stop.clone(), Arc::clone(&lines));
    let connector: Connector =
        Arc::new(move || {
            let (near, far) = tokio::io::duplex(64 * 1024);
            let (server, stop) = (server.clone(), stop.clone());
            let line = task::spawn(task::Kind::Background, "test", async move {
                server.serve_connection(far, stop).await
            });
            kept.lock().expect("no panic").push(line);
            Box::pin(async move { Ok(Box::new(near) as BoxIo) })
        });
    let client = client_of(connector);
    assert!(client.say(cx(), say("")).await.is_ok());
    let mut items = client.count(cx(), CountRequest { to: 1, then: "hang".into() }).await.expect("opens");
    assert!(items.next().await.expect("the first").is_ok());
    lines.lock().expect("no panic")[0].abort();
    let broken = items.next().await.expect("an end with an error").expect_err("the connection broke");
    assert_eq!(broken.code(), Code::Unavailable);
    assert!(client.say(cx(), say("")).await.is_ok(), "on a new connection");
    assert_eq!(lines.lock().expect("no panic").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_calls_finish_and_ends_the_connection() {
    let house = house();
    let client = house.client(Way::Grpc);
    let mut items = client.count(cx(), CountRequest { to: 500, then: String::new() }).await.expect("opens");
    assert_eq!(items.next().await.expect("the first").expect("a number").number, 1);
    house.source.stop();
    let rest = items.collect::<Vec<_>>().await;
    assert_eq!(rest.len(), 499, "the call under way came to its end");
    assert!(rest.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_stop_sends_the_readers_of_an_endless_stream_elsewhere() {
    let house = house();
    let client = house.client(Way::Grpc);
    let mut items = client.count(cx(), CountRequest { to: 1, then: "hang".into() }).await.expect("opens");
    assert!(items.next().await.expect("the first").is_ok());
    let asked = Instant::now();
    house.source.stop();
    let end = items.next().await.expect("an end").expect_err("cut off");
    assert_eq!(end.code(), Code::Unavailable);
    assert!(asked.elapsed() < Duration::from_secs(1), "nobody waits for a stream that has no end");
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_is_left_without_hurting_its_calls() {
    let house = house();
    let limits = ServerLimits { connection_age_max: Duration::from_secs(1), ..ServerLimits::default() };
    let client = client_of(house.connector(house.server_with(limits)));
    let cx = || Cx::new(Instant::now() + Duration::from_secs(10));
    let mut open = client.count(cx(), CountRequest { to: 1, then: "hang".into() }).await.expect("opens");
    assert!(open.next().await.expect("the first").is_ok());
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(
        client.say(cx(), say("")).await.is_ok(),
        "sent again, because the old connection did not look at it"
    );
    assert!(client.say(cx(), say("")).await.is_ok());
    assert_eq!(house.connects.load(Ordering::SeqCst), 2, "new calls go over a new connection");
    let end = open.next().await.expect("an end").expect_err("late");
    assert_eq!(end.code(), Code::DeadlineExceeded, "the open stream went on until its own end");
}

#[tokio::test]
async fn a_server_on_a_socket_serves_until_it_is_stopped() {
    let house = house();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("some port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    let (server, stop) = (house.server(), house.stop.clone());
    let serving =
        task::spawn(task::Kind::Background, "test", async move { server.serve(listener, stop).await });
    let channel = GrpcChannel::tcp(EchoServiceClient::SERVICE, &address);
    let client = EchoServiceClient::Wire(Arc::new(channel.clone()));
    assert_eq!(client.say(cx(), say("")).await.expect("it answers").text, "hello");
    let other = EchoServiceClient::Wire(Arc::new(channel.for_service("souk.test.v1.Nobody")));
    let unknown = other.say(cx(), say("")).await.expect_err("not served here");
    assert_eq!((unknown.code(), unknown.reason()), (Code::Unimplemented, "UNKNOWN_SERVICE"));
    house.source.stop();
    serving.join().await.expect("it ends by itself once its connections have");
    let gone = client.say(cx(), say("")).await.expect_err("stopped");
    assert_eq!(gone.code(), Code::Unavailable);
}

/// What the server answers to a raw request, read as text: enough to find statuses and trailers.
struct Raw {
    io: DuplexStream,
    ended: task::Running,
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("small").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// POST, http, the path of a call, and the content type, in HPACK without a table.
fn header_block() -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    let mut literal = |name: &[u8], value: &str| {
        block.extend(name);
        block.push(u8::try_from(value.len()).expect("short"));
        block.extend(value.as_bytes());
    };
    literal(&[0x04], "/souk.test.v1.EchoService/Say");
    literal(&[0x01], "echo");
    literal(&[0x0f, 0x10], "application/grpc");
    block
}

async fn raw(house: &House) -> Raw {
    let (mut near, far) = tokio::io::duplex(1024 * 1024);
    let (server, stop) = (house.server(), house.stop.clone());
    let ended =
        task::spawn(task::Kind::Background, "test", async move { server.serve_connection(far, stop).await });
    let hello = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    near.write_all(&hello).await.expect("the server reads");
    Raw { io: near, ended }
}

impl Raw {
    /// Reads one frame: kind, stream, payload; `None` when the server hung up.
    async fn read(&mut self) -> Option<(u8, u32, Vec<u8>)> {
        let mut head = [0u8; 9];
        self.io.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0u8; usize::try_from(length).expect("small")];
        self.io.read_exact(&mut payload).await.ok()?;
        Some((head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
    }

    /// Sends `attack` for one stream after the other until the server says goodbye; how many it took.
    async fn until_goaway(mut self, attack: impl Fn(u32) -> Vec<u8>, attempts_max: u32) -> Option<u32> {
        let mut resets = 0;
        for n in 0..attempts_max {
            if self.io.write_all(&attack(n * 2 + 1)).await.is_err() {
                return Some(n);
            }
            while let Ok(Some((kind, _, _))) =
                tokio::time::timeout(Duration::from_millis(1), self.read()).await
            {
                match kind {
                    GOAWAY => return Some(n),
                    RST_STREAM => resets += 1,
                    _ => {}
                }
                if resets > n {
                    break;
                }
            }
        }
        None
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_provokes_resets_is_sent_away() {
    // "MadeYouReset": each stream's window is overflowed, so that the *server* has to reset it.
    let overflow = |stream: u32| {
        let headers = frame(HEADERS, END_HEADERS, stream, &header_block());
        [headers, frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffffu32.to_be_bytes())].concat()
    };
    let took = raw(&house()).await.until_goaway(overflow, 8_000).await.expect("a limit");
    assert!(took <= 1_100, "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_resets_rapidly_is_sent_away() {
    let reset = |stream: u32| {
        let headers = frame(HEADERS, END_HEADERS, stream, &header_block());
        [headers, frame(RST_STREAM, 0, stream, &8u32.to_be_bytes())].concat()
    };
    // All at once, before the server looks at any of them.
    let mut peer = raw(&house()).await;
    let burst: Vec<u8> = (0..2_000).flat_map(|n| reset(n * 2 + 1)).collect();
    let mut sent_away = peer.io.write_all(&burst).await.is_err();
    while let Some((kind, _, _)) = peer.read().await {
        sent_away |= kind == GOAWAY;
    }
    assert!(sent_away);
    peer.ended.join().await.expect("the connection is closed, and without a panic");
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed() {
    let house = house();
    let start = Instant::now();
    let (near, far) = tokio::io::duplex(1024);
    house.server().serve_connection(far, house.stop.clone()).await;
    assert_eq!(start.elapsed().as_secs(), 10, "no preface at all");
    drop(near);
    let start = Instant::now();
    let peer = raw(&house).await;
    peer.ended.join().await.expect("it is closed");
    assert!(start.elapsed() <= Duration::from_secs(30), "a preface and then nothing");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_never_arrives_is_given_up() {
    let house = house();
    let mut peer = raw(&house).await;
    let announced = frame(DATA, 0, 1, &[0, 0, 0, 0, 100, 1, 2, 3]);
    let begin = [frame(HEADERS, END_HEADERS, 1, &header_block()), announced].concat();
    peer.io.write_all(&begin).await.expect("the server reads");
    let start = Instant::now();
    let answer = loop {
        let (kind, stream, payload) = peer.read().await.expect("an answer");
        if kind == HEADERS && stream == 1 {
            break payload;
        }
    };
    assert_eq!(start.elapsed().as_secs(), 10);
    assert!(!answer.is_empty());
}

#[tokio::test(start_paused = true)]
async fn headers_over_the_limit_are_refused() {
    let house = house();
    let client = house.client(Way::Grpc);
    let cx = cx().with_token(Arc::from("x".repeat(17 * 1024)));
    let refused = client.say(cx, say("")).await.expect_err("too large");
    assert!(matches!(refused.code(), Code::Unknown | Code::Unavailable | Code::Internal), "{refused:?}");
    assert!(client.say(house::cx(), say("")).await.is_ok(), "others are not hurt");
}

#[tokio::test(start_paused = true)]
async fn the_callers_deadline_travels() {
    let house = house();
    let said =
        house.client(Way::Grpc).say(Cx::new(Instant::now() + Duration::from_millis(750)), say("")).await;
    assert_eq!(said.map(|said| said.remaining_ms).map_err(|e: Error| e.code()), Ok(750));
}
