//! How one person wants to be told things, and their address, which is held closed.
use super::Category;
use super::templates::{FALLBACK_LOCALE, Locale};
use serde::{Deserialize, Serialize};
use souk_decider::{Aggregate, stored_events};
use souk_kernel::Sealed;
use std::collections::BTreeSet;

/// What was chosen, all of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreferencesChanged {
    /// Language of texts.
    pub locale: Locale,
    /// Whether e-mail is sent about what can be turned off.
    pub email_enabled: bool,
    /// Categories that are neither shown nor sent.
    pub muted: BTreeSet<Category>,
}

/// An e-mail address is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AddressSet {
    /// The address, closed with the person's key: only the edge of the service opens it.
    pub address: Sealed<String>,
}

/// The address is not to be used any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AddressForgotten {}

/// The person is to be forgotten: nothing more is told, and what was personal cannot be read any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PersonForgotten {}

/// What happens to a person's preferences.
#[derive(Debug, Clone, PartialEq)]
pub enum PreferencesEvent {
    /// A choice was made.
    PreferencesChanged(PreferencesChanged),
    /// An address was given.
    AddressSet(AddressSet),
    /// It was taken back.
    AddressForgotten(AddressForgotten),
    /// All of it was.
    PersonForgotten(PersonForgotten),
}
stored_events!(PreferencesEvent {
    PreferencesChanged: 1,
    AddressSet: 1,
    AddressForgotten: 1,
    PersonForgotten: 1,
});

/// A person's preferences.
#[derive(Debug, Clone, PartialEq)]
pub struct Preferences {
    /// What was chosen.
    pub chosen: PreferencesChanged,
    /// The address, closed.
    pub address: Option<Sealed<String>>,
    /// Whether the person is forgotten, for ever.
    pub forgotten: bool,
}

impl Default for Preferences {
    fn default() -> Self {
        let locale = Locale::parse(FALLBACK_LOCALE).expect("a constant of two letters");
        let chosen = PreferencesChanged { locale, email_enabled: true, muted: BTreeSet::new() };
        Self { chosen, address: None, forgotten: false }
    }
}

impl Aggregate for Preferences {
    type Event = PreferencesEvent;
    const CATEGORY: &'static str = "preferences";

    fn evolve(&mut self, event: &PreferencesEvent) {
        match event {
            PreferencesEvent::PreferencesChanged(changed) => self.chosen = changed.clone(),
            PreferencesEvent::AddressSet(set) => self.address = Some(set.address.clone()),
            PreferencesEvent::AddressForgotten(_) => self.address = None,
            PreferencesEvent::PersonForgotten(_) => *self = Self { forgotten: true, ..Self::default() },
        }
    }
}

/// What becomes of the address.
#[derive(Debug, Clone, PartialEq)]
pub enum AddressChange {
    /// It stays.
    Keep,
    /// It is given, closed.
    Set(Sealed<String>),
    /// It is forgotten.
    Forget,
}

/// What shall be different. What is absent stays.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// Another language.
    pub locale: Option<Locale>,
    /// E-mail on or off.
    pub email_enabled: Option<bool>,
    /// Exactly these categories muted; never the transactional one.
    pub muted: Option<BTreeSet<Category>>,
    /// Another address.
    pub address: AddressChange,
}

/// Changes what is named. Nothing when all of it is as wanted, or nothing is kept of the person any more.
pub fn update(preferences: &Preferences, update: &Update) -> Vec<PreferencesEvent> {
    if preferences.forgotten {
        return Vec::new();
    }
    let mut chosen = preferences.chosen.clone();
    chosen.locale = update.locale.clone().unwrap_or(chosen.locale);
    chosen.email_enabled = update.email_enabled.unwrap_or(chosen.email_enabled);
    chosen.muted = update.muted.clone().unwrap_or(chosen.muted);
    let mut events = Vec::new();
    if chosen != preferences.chosen {
        events.push(PreferencesEvent::PreferencesChanged(chosen));
    }
    match &update.address {
        AddressChange::Keep => {}
        AddressChange::Set(address) => {
            events.push(PreferencesEvent::AddressSet(AddressSet { address: address.clone() }));
        }
        AddressChange::Forget if preferences.address.is_some() => {
            events.push(PreferencesEvent::AddressForgotten(AddressForgotten {}));
        }
        AddressChange::Forget => {}
    }
    events
}

/// Forgets a person. Saying it twice is fine.
pub fn forget(preferences: &Preferences) -> Vec<PreferencesEvent> {
    let forgotten = PreferencesEvent::PersonForgotten(PersonForgotten {});
    (!preferences.forgotten).then_some(forgotten).into_iter().collect()
}

/// What a decision knows of a person's preferences.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wishes {
    /// Whether an address is known.
    pub has_address: bool,
    /// Whether e-mail about what can be turned off is off.
    pub email_off: bool,
    /// What is neither shown nor sent.
    pub muted: BTreeSet<Category>,
    /// Whether the person is forgotten.
    pub forgotten: bool,
}

impl Wishes {
    /// Whether the person is told things of this category at all.
    pub fn hears(&self, category: Category) -> bool {
        !self.forgotten && (category == Category::Transactional || !self.muted.contains(&category))
    }

    /// Whether they are told by e-mail.
    pub fn reads_mail(&self, category: Category) -> bool {
        let wanted = category == Category::Transactional || !self.email_off;
        self.has_address && wanted && self.hears(category)
    }
}
