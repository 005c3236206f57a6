//! A carrier's notice: kept before it is believed, applied once, and tried again while nobody knows its parcel.
use super::Scan;
use serde::{Deserialize, Serialize};
use souk_decider::{Aggregate, stored_events};
use std::sync::Arc;
use std::time::Duration;

/// How often a notice about an unknown parcel is tried again before a person has to look.
pub const TRIES_MAX: u32 = 12;
/// The wait before the first of these; doubled each time.
pub const FIRST_WAIT: Duration = Duration::from_secs(30);

/// A notice came, with a good signature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoticeReceived {
    pub carrier: Arc<str>,
    pub tracking_code: Arc<str>,
    pub scan: Scan,
}

/// It was about this stream's parcel, which has taken it in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoticeApplied {
    pub parcel: Arc<str>,
}

/// Nobody knew its parcel at this try.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoticeDelayed {
    pub tries: u32,
}

/// Nobody ever knew its parcel; a person has to look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoticeGivenUp {
    pub carrier: Arc<str>,
    pub tracking_code: Arc<str>,
}

/// What happens to a notice.
#[derive(Debug, Clone, PartialEq)]
pub enum NoticeEvent {
    NoticeReceived(Arc<NoticeReceived>),
    NoticeApplied(NoticeApplied),
    NoticeDelayed(NoticeDelayed),
    NoticeGivenUp(NoticeGivenUp),
}
stored_events!(NoticeEvent { NoticeReceived: 1, NoticeApplied: 1, NoticeDelayed: 1, NoticeGivenUp: 1 });

/// One notice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Notice {
    received: Option<Arc<NoticeReceived>>,
    is_settled: bool,
    tries: u32,
}

/// What is to be done about a notice.
#[derive(Debug, Clone, PartialEq)]
pub struct Handling {
    pub events: Vec<NoticeEvent>,
    /// The parcel has to take the scan in, in the same commit.
    pub applies: bool,
    /// Try again after this long.
    pub again: Option<Duration>,
}

impl Notice {
    /// What came, if anything did.
    pub fn received(&self) -> Option<&Arc<NoticeReceived>> {
        self.received.as_ref()
    }

    /// Whether nothing is left to be done about it.
    pub fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// What to do about `notice` when it comes, or when it is tried again. `parcel` is the stream that has its
    /// tracking code and is with the carrier.
    pub fn handle(&self, notice: &Arc<NoticeReceived>, parcel: Option<&str>) -> Handling {
        if self.is_settled {
            return Handling { events: Vec::new(), applies: false, again: None };
        }
        let is_new = self.received.is_none();
        let mut events: Vec<NoticeEvent> =
            is_new.then(|| NoticeEvent::NoticeReceived(notice.clone())).into_iter().collect();
        if let Some(parcel) = parcel {
            events.push(NoticeEvent::NoticeApplied(NoticeApplied { parcel: parcel.into() }));
            return Handling { events, applies: true, again: None };
        }
        if is_new {
            return Handling { events, applies: false, again: Some(FIRST_WAIT) };
        }
        let tries = self.tries + 1;
        if tries >= TRIES_MAX {
            let (carrier, tracking_code) = (notice.carrier.clone(), notice.tracking_code.clone());
            events.push(NoticeEvent::NoticeGivenUp(NoticeGivenUp { carrier, tracking_code }));
            return Handling { events, applies: false, again: None };
        }
        events.push(NoticeEvent::NoticeDelayed(NoticeDelayed { tries }));
        Handling { events, applies: false, again: Some(FIRST_WAIT * 2u32.pow(tries)) }
    }
}

impl Aggregate for Notice {
    type Event = NoticeEvent;
    const CATEGORY: &'static str = "carrier_notice";

    fn evolve(&mut self, event: &NoticeEvent) {
        match event {
            NoticeEvent::NoticeReceived(received) => self.received = Some(received.clone()),
            NoticeEvent::NoticeApplied(_) | NoticeEvent::NoticeGivenUp(_) => self.is_settled = true,
            NoticeEvent::NoticeDelayed(delayed) => self.tries = delayed.tries,
        }
    }
}
