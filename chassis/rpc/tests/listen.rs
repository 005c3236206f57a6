//! The accept loop: how many at once, and how it ends.
use souk_rpc::listen;
use souk_telemetry::{Stop, task};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Says hello, then waits for one byte; a `!` makes it panic. It does not look at the stop.
async fn greet(mut io: TcpStream) {
    io.write_all(b"hello").await.expect("the peer is there");
    let mut byte = [0];
    let _ = io.read_exact(&mut byte).await;
    assert_ne!(&byte, b"!", "on purpose");
}

async fn on_a_port() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("some port is free");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

async fn hear(io: &mut TcpStream) {
    let mut said = [0; 5];
    io.read_exact(&mut said).await.expect("a greeting");
    assert_eq!(&said, b"hello");
}

#[tokio::test]
async fn a_connection_over_the_limit_waits_for_a_place_even_one_left_by_a_panic() {
    let (listener, address) = on_a_port().await;
    let (source, stop) = Stop::new();
    let server =
        task::spawn(task::Kind::Background, "test", listen::serve(listener, "test.line", 1, stop, greet));
    let mut first = TcpStream::connect(address).await.expect("accepted");
    hear(&mut first).await;
    let mut second = TcpStream::connect(address).await.expect("in the backlog");
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(second.try_read(&mut [0; 5]).is_err(), "nobody greets it yet");
    first.write_all(b"!").await.expect("still open");
    hear(&mut second).await;
    drop(second);
    source.stop();
    server.join().await.expect("it ended");
}

#[tokio::test]
async fn a_stop_refuses_new_connections_and_waits_for_the_open_ones() {
    let (listener, address) = on_a_port().await;
    let (source, stop) = Stop::new();
    let server =
        task::spawn(task::Kind::Background, "test", listen::serve(listener, "test.line", 8, stop, greet));
    let mut open = TcpStream::connect(address).await.expect("accepted");
    hear(&mut open).await;
    source.stop();
    // The loop hears of the stop when it runs next; from then on nobody listens.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!server.is_finished(), "one connection is open");
    open.write_all(b".").await.expect("still open");
    server.join().await.expect("it ended with its last connection");
}
