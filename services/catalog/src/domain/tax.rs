//! Taxes: what is due where, and since when. A zone is a country or one of its regions; what is shipped to a region
//! that has a zone of its own is taxed by that alone. Where no zone is known, nothing is taxed.
use super::plain::{is_slug, plain_term};
use serde::{Deserialize, Serialize};
use souk_contracts::terms::Market;
use souk_decider::{Document, Record, RecordCommand, RecordEvent};
use souk_kernel::{Code, Rejection, Timestamp};
use std::sync::Arc;

/// A rate of this many millionths is the whole price.
pub const MILLION: u32 = 1_000_000;
/// The longest name of a class.
pub const CLASS_BYTES_MAX: usize = 32;

const STANDARD: &str = "standard";
const ZERO: &str = "zero";
/// The rule of what nobody taxes.
pub const NO_RULE: &str = "none";

plain_term!(
    /// How a thing is taxed, by the name that the zones know: `standard`, `reduced`, `zero`, `books`.
    TaxClass,
    "must be 1 to 32 lower-case letters, digits and hyphens",
    |text| is_slug(text, CLASS_BYTES_MAX)
);

impl TaxClass {
    /// What most things are.
    pub fn standard() -> Self {
        Self(STANDARD.into())
    }

    /// Whether it is what most things are.
    pub fn is_standard(&self) -> bool {
        self.as_str() == STANDARD
    }
}

plain_term!(
    /// Where a zone is: a country's two letters, with a region's ISO 3166-2 code after a hyphen if it is one.
    ZoneName,
    "must be a two-letter upper-case country code, or that with a hyphen and a region's code: GB, US-NY",
    is_zone
);

fn is_zone(text: &str) -> bool {
    let country = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
    let region = |text: &str| {
        (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    text.split_once('-').map_or_else(|| country(text), |(before, after)| country(before) && region(after))
}

impl ZoneName {
    /// The zone of a whole country.
    pub fn country(country: &Market) -> Self {
        Self(country.as_str().into())
    }

    /// The zone of a region, written with or without its country; `None` for what is no region's code, which no
    /// zone can have either.
    pub fn region(country: &Market, region: &str) -> Option<Self> {
        let region = region.to_ascii_uppercase();
        let own = format!("{country}-");
        let code = region.strip_prefix(&own).unwrap_or(&region);
        format!("{own}{code}").parse().ok()
    }

    /// Whether it is a part of a country only.
    pub fn is_region(&self) -> bool {
        self.as_str().contains('-')
    }
}

/// What is due on the things of one class from a moment on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaxRate {
    /// The class.
    pub class: TaxClass,
    /// How much, in millionths of the price without tax.
    pub rate_millionths: u32,
    /// What people call it.
    pub name: Arc<str>,
    /// From when on; without it, since ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
}

/// Which taxes are due somewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaxZone {
    /// Where.
    pub zone: ZoneName,
    /// The taxes, past and future ones too.
    pub rates: Arc<[TaxRate]>,
    /// Whether prices in the market of this country contain the tax.
    pub prices_include_tax: bool,
}

impl Document for TaxZone {
    const NAME: &'static str = "TaxZone";
    const CATEGORY: &'static str = "tax-zone";
}

/// A zone's state.
pub type TaxZones = Record<TaxZone>;

/// Says which taxes are due in a zone; the same again changes nothing.
///
/// # Errors
/// `VERSION_MISMATCH`.
pub fn put_zone(
    record: &TaxZones,
    wanted: &TaxZone,
    expected: Option<u64>,
) -> Result<Vec<RecordEvent<TaxZone>>, Rejection> {
    match record {
        Record::Absent if expected.is_some_and(|expected| expected != 0) => {
            Err(Rejection::new(super::VERSION_MISMATCH, "there is no such tax zone yet").code(Code::Aborted))
        }
        Record::Absent => record.decide(RecordCommand::Create(wanted.clone())),
        Record::Present { .. } | Record::Retired { .. } => {
            record.decide(RecordCommand::Replace { expected, document: wanted.clone() })
        }
    }
}

/// One tax as it applies to something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaxRule {
    /// Zone and class; [`NO_RULE`] where nothing is due.
    pub id: Arc<str>,
    /// What people call it.
    pub name: Arc<str>,
    /// How much, in millionths of the price without tax.
    pub rate_millionths: u32,
}

impl TaxRule {
    fn none() -> Self {
        Self { id: NO_RULE.into(), name: Arc::default(), rate_millionths: 0 }
    }

    fn of(zone: &TaxZone, rate: &TaxRate) -> Self {
        let id = format!("{}/{}", zone.zone, rate.class).into();
        Self { id, name: rate.name.clone(), rate_millionths: rate.rate_millionths }
    }
}

/// The tax on things of a class at a moment. A class that the zone does not name is taxed as `standard`: too much
/// can be given back, too little cannot be asked for later. `zero` is what its name says.
pub fn rule(zone: Option<&TaxZone>, class: &TaxClass, at: Timestamp) -> TaxRule {
    let Some(zone) = zone else { return TaxRule::none() };
    let named = |class: &str| {
        let begun = zone.rates.iter().filter(|rate| rate.class.as_str() == class);
        begun.filter(|rate| rate.valid_from.is_none_or(|from| from <= at)).max_by_key(|rate| rate.valid_from)
    };
    match named(class.as_str()) {
        Some(rate) => TaxRule::of(zone, rate),
        None if class.as_str() == ZERO => {
            TaxRule { id: format!("{}/{ZERO}", zone.zone).into(), ..TaxRule::none() }
        }
        None => named(STANDARD).map_or_else(TaxRule::none, |rate| TaxRule::of(zone, rate)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use souk_decider::golden;
    use souk_decider::testing::Given;

    fn rate(class: &str, rate_millionths: u32, from: Option<i64>) -> TaxRate {
        let class = class.parse().expect("a class");
        TaxRate { class, rate_millionths, name: "VAT".into(), valid_from: from.map(Timestamp::from_unix_s) }
    }

    fn zone(rates: Vec<TaxRate>) -> TaxZone {
        TaxZone { zone: "GB".parse().expect("a zone"), rates: rates.into(), prices_include_tax: true }
    }

    #[test]
    fn a_zone_is_put_replaced_and_repeated_quietly() {
        let (one, two) = (zone(vec![rate("standard", 200_000, None)]), zone(vec![]));
        let put = |events, wanted: &TaxZone, expected| {
            let wanted = wanted.clone();
            Given::<TaxZones>::events(events).when(move |record| put_zone(record, &wanted, expected))
        };
        let created = || vec![RecordEvent::Created(one.clone())];
        put(vec![], &one, None).then(created());
        put(vec![], &one, Some(0)).then(created());
        put(vec![], &one, Some(1)).then_rejects("VERSION_MISMATCH");
        put(created(), &one, None).then_nothing();
        put(created(), &two, Some(1)).then(vec![RecordEvent::Replaced(two.clone())]);
        put(created(), &two, Some(2)).then_rejects("VERSION_MISMATCH");
    }

    #[test]
    fn the_last_rate_that_has_begun_holds_and_unnamed_classes_are_standard() {
        let rates = vec![
            rate("standard", 200_000, None),
            rate("standard", 150_000, Some(10)),
            rate("food", 50_000, Some(5)),
        ];
        let zone = zone(rates);
        let of = |class: &str, second| {
            let rule = rule(Some(&zone), &class.parse().expect("a class"), Timestamp::from_unix_s(second));
            (rule.id.to_string(), rule.rate_millionths)
        };
        assert_eq!(of("standard", 9), ("GB/standard".into(), 200_000));
        assert_eq!(of("standard", 10), ("GB/standard".into(), 150_000));
        assert_eq!(of("food", 4), ("GB/standard".into(), 200_000));
        assert_eq!(of("food", 5), ("GB/food".into(), 50_000));
        assert_eq!(of("books", 5), ("GB/standard".into(), 200_000));
        assert_eq!(of("zero", 5), ("GB/zero".into(), 0));
    }

    #[test]
    fn nothing_is_due_where_nothing_is_known() {
        let now = Timestamp::from_unix_s(1);
        assert_eq!(rule(None, &TaxClass::standard(), now), TaxRule::none());
        let later = zone(vec![rate("standard", 200_000, Some(2))]);
        assert_eq!(rule(Some(&later), &TaxClass::standard(), now), TaxRule::none());
    }

    #[test]
    fn zones_and_classes_have_one_form() {
        for good in ["GB", "US-NY", "FR-2A", "ES-B", "GB-ENG"] {
            assert!(good.parse::<ZoneName>().is_ok(), "{good}");
        }
        for bad in ["", "gb", "GBR", "US-", "US-ny", "US-ABCD", "-NY", "US-N-Y"] {
            assert!(bad.parse::<ZoneName>().is_err(), "{bad}");
        }
        let us = Market::try_new("US").expect("a country");
        for text in ["NY", "ny", "US-NY", "us-ny"] {
            assert_eq!(ZoneName::region(&us, text).map(String::from), Some("US-NY".to_owned()), "{text}");
        }
        for text in ["", "New York", "CA-NY", "US-"] {
            assert_eq!(ZoneName::region(&us, text), None, "{text}");
        }
        for bad in ["", "Standard", "a b", &"x".repeat(33)] {
            assert!(bad.parse::<TaxClass>().is_err(), "{bad}");
        }
    }

    #[test]
    fn golden_files_hold_every_stored_shape() {
        let full = zone(vec![rate("standard", 200_000, None), rate("reduced", 50_000, Some(1_800_000_000))]);
        let events = [RecordEvent::Created(full), RecordEvent::Replaced(zone(vec![])), RecordEvent::Retired];
        golden::check(env!("CARGO_MANIFEST_DIR"), &events);
    }
}
