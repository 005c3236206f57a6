//! A partner's receiver: where it is called, what it wants to hear, and the secrets that sign.
use super::{DeliveryId, EndpointId};
use serde::{Deserialize, Serialize};
use souk_decider::{Aggregate, stored_events};
use souk_kernel::{Code, Rejection, Sealed, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How many endpoints there can be.
pub const ENDPOINTS_MAX: usize = 50;
/// So many given-up deliveries in a row turn an endpoint off.
pub const DEAD_MAX: u32 = 5;
/// For how long the old secret signs beside a new one.
pub const OVERLAP: Duration = Duration::from_secs(24 * 3_600);

/// An endpoint of this name exists with other content.
pub const ENDPOINT_EXISTS: &str = "ENDPOINT_EXISTS";
/// There are as many endpoints as there can be.
pub const TOO_MANY_ENDPOINTS: &str = "TOO_MANY_ENDPOINTS";
/// The secret has another generation than the one that is to be replaced.
pub const GENERATION_MISMATCH: &str = "GENERATION_MISMATCH";

/// A partner's receiver was registered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointCreated {
    /// Names it.
    pub endpoint_id: EndpointId,
    /// What it was registered as.
    pub name: Arc<str>,
    /// Where it is called.
    pub url: Arc<str>,
    /// What it wants to hear; empty: all.
    pub types: BTreeSet<Arc<str>>,
    /// Its first secret, closed.
    pub secret: Sealed<String>,
}

/// It has a new secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecretRotated {
    /// The new one's generation.
    pub generation: u32,
    /// The new one, closed.
    pub secret: Sealed<String>,
    /// Until when the old one signs as well.
    pub old_valid_until: Timestamp,
}

/// Why an endpoint was turned off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OffBecause {
    /// A person said so.
    Asked,
    /// Too many deliveries in a row came to nothing.
    DeadInARow,
}

/// It is not called any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointDisabled {
    /// Why.
    pub because: OffBecause,
}

/// It is called again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointEnabled {}

/// A delivery to it was given up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeliveryGivenUp {
    /// Which one.
    pub delivery_id: DeliveryId,
}

/// A delivery arrived after others had been given up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointRecovered {}

/// What happens to an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub enum EndpointEvent {
    /// It was registered.
    EndpointCreated(EndpointCreated),
    /// Its secret changed.
    SecretRotated(SecretRotated),
    /// It was turned off.
    EndpointDisabled(EndpointDisabled),
    /// It was turned on.
    EndpointEnabled(EndpointEnabled),
    /// It missed something.
    DeliveryGivenUp(DeliveryGivenUp),
    /// It works again.
    EndpointRecovered(EndpointRecovered),
}
stored_events!(EndpointEvent {
    EndpointCreated: 1,
    SecretRotated: 1,
    EndpointDisabled: 1,
    EndpointEnabled: 1,
    DeliveryGivenUp: 1,
    EndpointRecovered: 1,
});

/// An endpoint's state.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Endpoint {
    /// Nobody registered it.
    #[default]
    Absent,
    /// It is registered.
    Known(Known),
}

/// A registered endpoint. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// As it was registered.
    pub created: Arc<EndpointCreated>,
    /// Whether it is called.
    pub enabled: bool,
    /// How many deliveries in a row were given up.
    pub dead_in_a_row: u32,
    /// The current secret's generation, from 1.
    pub generation: u32,
    /// The current secret, closed.
    pub secret: Sealed<String>,
    /// The secret before, and until when it signs.
    pub old: Option<(Sealed<String>, Timestamp)>,
}

impl Endpoint {
    /// The endpoint, if it is registered.
    pub fn known(&self) -> Option<&Known> {
        match self {
            Endpoint::Known(known) => Some(known),
            Endpoint::Absent => None,
        }
    }
}

impl Aggregate for Endpoint {
    type Event = EndpointEvent;
    const CATEGORY: &'static str = "endpoint";

    fn evolve(&mut self, event: &EndpointEvent) {
        match self {
            Endpoint::Known(known) => known.evolve(event),
            Endpoint::Absent => {
                if let EndpointEvent::EndpointCreated(created) = event {
                    *self = Endpoint::Known(Known {
                        created: Arc::new(created.clone()),
                        enabled: true,
                        dead_in_a_row: 0,
                        generation: 1,
                        secret: created.secret.clone(),
                        old: None,
                    });
                }
            }
        }
    }
}

impl Known {
    fn evolve(&mut self, event: &EndpointEvent) {
        match event {
            EndpointEvent::EndpointCreated(_) => {}
            EndpointEvent::SecretRotated(rotated) => {
                self.old = Some((self.secret.clone(), rotated.old_valid_until));
                self.secret = rotated.secret.clone();
                self.generation = rotated.generation;
            }
            EndpointEvent::EndpointDisabled(_) => self.enabled = false,
            EndpointEvent::EndpointEnabled(_) => (self.enabled, self.dead_in_a_row) = (true, 0),
            EndpointEvent::DeliveryGivenUp(_) => self.dead_in_a_row = self.dead_in_a_row.saturating_add(1),
            EndpointEvent::EndpointRecovered(_) => self.dead_in_a_row = 0,
        }
    }

    /// The closed secrets that sign at this moment, the current one first.
    pub fn signing(&self, now: Timestamp) -> Vec<Sealed<String>> {
        let old = self.old.iter().filter(|(_, until)| now < *until).map(|(secret, _)| secret.clone());
        std::iter::once(self.secret.clone()).chain(old).collect()
    }
}

/// Registers an endpoint. The same name with the same content changes nothing.
///
/// # Errors
/// `ENDPOINT_EXISTS` with other content, `TOO_MANY_ENDPOINTS`.
pub fn create(
    endpoint: &Endpoint,
    wanted: &EndpointCreated,
    there_are: usize,
) -> Result<Vec<EndpointEvent>, Rejection> {
    match endpoint.known() {
        Some(known) if known.created.url == wanted.url && known.created.types == wanted.types => {
            Ok(Vec::new())
        }
        Some(_) => {
            let message = "an endpoint of this name exists with another url or other types";
            Err(Rejection::new(ENDPOINT_EXISTS, message).code(Code::AlreadyExists))
        }
        None if there_are >= ENDPOINTS_MAX => {
            let message = format!("there are {ENDPOINTS_MAX} endpoints, which is the most there can be");
            Err(Rejection::new(TOO_MANY_ENDPOINTS, message).code(Code::ResourceExhausted))
        }
        None => Ok(vec![EndpointEvent::EndpointCreated(wanted.clone())]),
    }
}

/// Replaces the secret of this generation. One that was replaced already stays as it is now.
///
/// # Errors
/// `NOT_FOUND`, `GENERATION_MISMATCH`.
pub fn rotate(
    endpoint: &Endpoint,
    generation: u32,
    secret: &Sealed<String>,
    now: Timestamp,
) -> Result<Vec<EndpointEvent>, Rejection> {
    let known = endpoint.known().ok_or_else(not_found)?;
    if generation.checked_add(1) == Some(known.generation) {
        return Ok(Vec::new());
    }
    if generation != known.generation {
        let message = format!("the secret's generation is {}", known.generation);
        return Err(Rejection::new(GENERATION_MISMATCH, message).with("generation", known.generation));
    }
    Ok(vec![EndpointEvent::SecretRotated(SecretRotated {
        generation: known.generation.saturating_add(1),
        secret: secret.clone(),
        old_valid_until: now.plus(OVERLAP),
    })])
}

/// Turns an endpoint on or off.
///
/// # Errors
/// `NOT_FOUND`.
pub fn set_enabled(endpoint: &Endpoint, enabled: bool) -> Result<Vec<EndpointEvent>, Rejection> {
    let known = endpoint.known().ok_or_else(not_found)?;
    let event = match enabled {
        true => EndpointEvent::EndpointEnabled(EndpointEnabled {}),
        false => EndpointEvent::EndpointDisabled(EndpointDisabled { because: OffBecause::Asked }),
    };
    Ok((known.enabled != enabled).then_some(event).into_iter().collect())
}

/// A delivery was given up; the last straw turns the endpoint off.
pub fn given_up(endpoint: &Endpoint, delivery_id: DeliveryId) -> Vec<EndpointEvent> {
    let Some(known) = endpoint.known() else { return Vec::new() };
    let mut events = vec![EndpointEvent::DeliveryGivenUp(DeliveryGivenUp { delivery_id })];
    if known.enabled && known.dead_in_a_row.saturating_add(1) >= DEAD_MAX {
        let because = OffBecause::DeadInARow;
        events.push(EndpointEvent::EndpointDisabled(EndpointDisabled { because }));
    }
    events
}

/// A delivery arrived. Nothing when all is well anyway.
pub fn arrived(endpoint: &Endpoint) -> Vec<EndpointEvent> {
    let had_trouble = endpoint.known().is_some_and(|known| known.dead_in_a_row > 0);
    had_trouble.then_some(EndpointEvent::EndpointRecovered(EndpointRecovered {})).into_iter().collect()
}

fn not_found() -> Rejection {
    Rejection::new("NOT_FOUND", "the endpoint was not found").code(Code::NotFound)
}
