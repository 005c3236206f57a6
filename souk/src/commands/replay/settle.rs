//! Waits until nothing is on its way: no saga, no timer, no feed, no parked key.
use super::server::Server;
use crate::failure::{Failure, exit};
use crate::verify::Rest;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often the stores are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// After so long without any progress the replay gives up and says what is left.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until the shop is at rest; fails, with what is left, when it does not get there.
pub async fn wait(data: &Path, server: &mut Server) -> Result<(), Failure> {
    let mut last = None;
    let mut since = Instant::now();
    loop {
        let rest = Rest::look(data)?;
        if rest.is_quiet() {
            return Ok(());
        }
        if rest.is_for_a_person() {
            return Err(Failure::new(exit::DIFFERENCES, format!("the shop waits for a person: {rest}")));
        }
        if last.as_ref() != Some(&rest) {
            (last, since) = (Some(rest.clone()), Instant::now());
        }
        if since.elapsed() > PATIENCE {
            return Err(Failure::new(exit::DIFFERENCES, format!("the shop does not come to rest: {rest}")));
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            died = server.watch() => return Err(died),
        }
    }
}
