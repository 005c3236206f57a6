//! The one accept loop of the house. A server of whatever protocol brings what it does with one connection;
//! how many there are at once, and how they come to an end together, is decided here.
//!
//! ```
//! use souk_rpc::listen;
//! use souk_telemetry::Stop;
//! use tokio::io::AsyncWriteExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let (source, stop) = Stop::new();
//! source.stop();
//! let greet = |mut io: tokio::net::TcpStream| async move { drop(io.write_all(b"hello").await) };
//! listen::serve(listener, "greeter.connection", 64, stop, greet).await;
//! # Ok(())
//! # }
//! ```
use souk_telemetry::{Stop, task};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

/// The pause after a failed accept: it usually means that the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until the stop is requested, and runs `connection` for each in a task called `name`.
/// Returns when the last connection has ended: `connection` must hear of the stop itself and bound its own end.
///
/// At most `connections_max` are open; further ones wait in the kernel's backlog. Once the stop is requested they
/// are refused there, so that their clients go elsewhere.
pub async fn serve<Fut>(
    listener: TcpListener,
    name: &'static str,
    connections_max: u32,
    stop: Stop,
    connection: impl Fn(TcpStream) -> Fut,
) where
    Fut: Future<Output = ()> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(usize::try_from(connections_max).unwrap_or(usize::MAX)));
    loop {
        let slot = tokio::select! {
            () = stop.requested() => break,
            slot = Arc::clone(&slots).acquire_owned() => slot,
        };
        let accepted = tokio::select! {
            () = stop.requested() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((io, _)) => {
                // Small writes must not wait for each other's acknowledgement; if it fails, they do.
                let _ = io.set_nodelay(true);
                let serving = connection(io);
                let whole = async move {
                    serving.await;
                    drop(slot);
                };
                task::spawn(task::Kind::Request, name, whole).detach();
            }
            Err(why) => {
                tracing::warn!(error = %why, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // Every connection bounds its own end, so all slots come back.
    let _ = slots.acquire_many(connections_max).await;
}
