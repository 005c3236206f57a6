//! A location: whether stock is taken from it, and when.
use super::stock::Rank;
use serde::{Deserialize, Serialize};
use souk_contracts::terms::Location;
use souk_decider::{Aggregate, stored_events};
use souk_kernel::Rejection;

/// The most locations that a shop may put.
pub const PLACES_MAX: usize = 1_000;

/// A country's two upper-case letters, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Country(String);

impl Country {
    /// The country of these letters; empty is none.
    pub fn try_new(text: &str) -> Result<Self, &'static str> {
        let is_code = text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
        if is_code || text.is_empty() {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be two upper-case letters, or empty")
        }
    }

    /// The letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A location was opened, closed or ranked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocationPut {
    /// Which.
    pub location: Location,
    /// Stock is taken from the smallest first.
    pub priority: u32,
    /// Whether stock is taken from it.
    pub open: bool,
    /// Where it lies.
    pub country: Country,
}

impl LocationPut {
    /// How it ranks from now on.
    pub fn rank(&self) -> Rank {
        Rank { priority: self.priority, open: self.open }
    }
}

/// What happens to a location.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the variant is documented at its struct")]
pub enum PlaceEvent {
    LocationPut(LocationPut),
}
stored_events!(PlaceEvent { LocationPut: 1 });

/// A location, put or not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Place {
    put: Option<LocationPut>,
}

impl Aggregate for Place {
    type Event = PlaceEvent;
    const CATEGORY: &'static str = "location";

    fn evolve(&mut self, event: &PlaceEvent) {
        let PlaceEvent::LocationPut(put) = event;
        self.put = Some(put.clone());
    }
}

impl Place {
    /// `PutLocation`: the same again changes nothing. `others` is how many locations there are already.
    pub fn put(&self, wish: &LocationPut, others: usize) -> Result<Vec<PlaceEvent>, Rejection> {
        if self.put.as_ref() == Some(wish) {
            return Ok(Vec::new());
        }
        if self.put.is_none() && others >= PLACES_MAX {
            let message = format!("a shop has {PLACES_MAX} locations at most");
            return Err(Rejection::new("TOO_MANY_LOCATIONS", message));
        }
        Ok(vec![PlaceEvent::LocationPut(wish.clone())])
    }
}
