//! The wish that a process, or a part of it, comes to an orderly end.
use tokio::sync::watch;

/// Asks every [`Stop`] made with it to stop. Dropping it asks too: whoever could have asked is gone.
#[derive(Debug)]
pub struct StopSource(watch::Sender<bool>);

impl StopSource {
    /// Asks for the stop. Asking twice is fine.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// Tells whether a stop was asked for. Cheap to clone; every long wait selects on [`Stop::requested`].
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// A source and the signal that it controls.
    pub fn new() -> (StopSource, Stop) {
        let (sender, receiver) = watch::channel(false);
        (StopSource(sender), Stop(receiver))
    }

    /// Returns once the stop was asked for, at once if it already was.
    pub async fn requested(&self) {
        let mut receiver = self.0.clone();
        // An error means that the source is gone, which asks for the stop as well.
        let _ = receiver.wait_for(|stopped| *stopped).await;
    }

    /// Whether the stop was asked for.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_clone_hears_of_the_stop_whenever_it_listens() {
        let (source, stop) = Stop::new();
        let early = stop.clone();
        assert!(!stop.is_requested());
        source.stop();
        source.stop();
        assert!(early.is_requested());
        early.requested().await;
        stop.requested().await;
    }

    #[tokio::test]
    async fn a_source_that_is_gone_asks_for_the_stop() {
        let (source, stop) = Stop::new();
        drop(source);
        assert!(stop.is_requested());
        stop.requested().await;
    }
}
