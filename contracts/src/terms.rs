//! The shop's words: ids, goods, amounts and places, each with what makes it valid.
use crate::types::v1::Money as MoneyMessage;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use souk_kernel::{Currency, Money, typed_id};
use std::fmt;
use std::str::FromStr;

typed_id!(
    /// One order.
    OrderId,
    "ord"
);
typed_id!(
    /// One return: pieces of an order that come back.
    ReturnId,
    "rtn"
);
typed_id!(
    /// One quote: a promise of the shop with an end.
    QuoteId,
    "qte"
);
typed_id!(
    /// One cart.
    CartId,
    "crt"
);
typed_id!(
    /// One product of the catalog.
    ProductId,
    "prd"
);
typed_id!(
    /// One payment.
    PaymentId,
    "pay"
);
typed_id!(
    /// One movement of stock.
    MovementId,
    "mov"
);
typed_id!(
    /// One receipt of goods.
    ReceiptId,
    "rcp"
);
typed_id!(
    /// One offer to ship something somewhere at a price.
    RateId,
    "rte"
);
typed_id!(
    /// One parcel on its way from one location.
    ShipmentId,
    "shp"
);
typed_id!(
    /// Somebody who has not said who they are.
    GuestId,
    "gst"
);
typed_id!(
    /// A registered customer.
    UserId,
    "usr"
);
typed_id!(
    /// Somebody who works for the shop.
    StaffId,
    "stf"
);

/// Why a text or number is not the wanted term; a sentence part such as `must be between 1 and 1000000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TermError(&'static str);

impl fmt::Display for TermError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for TermError {}

/// Text, serde and display for a term that is a valid string.
macro_rules! text_term {
    ($name:ident) => {
        impl $name {
            /// The term as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl FromStr for $name {
            type Err = TermError;
            fn from_str(text: &str) -> Result<Self, TermError> {
                Self::try_new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Self::try_new(String::deserialize(d)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

/// What is sold, as the seller writes it: 1 to 64 bytes, compared byte by byte, never trimmed or folded.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sku(String);
text_term!(Sku);

impl Sku {
    /// The longest SKU.
    pub const BYTES_MAX: usize = 64;

    /// The SKU that is written so.
    pub fn try_new(text: impl Into<String>) -> Result<Self, TermError> {
        let text = text.into();
        if !(1..=Self::BYTES_MAX).contains(&text.len()) {
            Err(TermError("must be 1 to 64 bytes of UTF-8"))
        } else if text.chars().any(char::is_control) {
            Err(TermError("must not contain control characters"))
        } else {
            Ok(Self(text))
        }
    }
}

/// A market, by the two upper-case letters of its country.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Market(String);
text_term!(Market);

impl Market {
    /// The market with these two letters.
    pub fn try_new(text: impl Into<String>) -> Result<Self, TermError> {
        let text = text.into();
        match text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase()) {
            true => Ok(Self(text)),
            false => Err(TermError("must be two upper-case letters")),
        }
    }
}

/// Where stock lies.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location(String);
text_term!(Location);

impl Location {
    /// The longest name.
    pub const BYTES_MAX: usize = 32;

    /// The location of this name.
    pub fn try_new(text: impl Into<String>) -> Result<Self, TermError> {
        let text = text.into();
        let in_alphabet = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        match (1..=Self::BYTES_MAX).contains(&text.len()) && in_alphabet {
            true => Ok(Self(text)),
            false => Err(TermError("must be 1 to 32 lower-case letters, digits or hyphens")),
        }
    }
}

/// How many pieces: 1 to 1,000,000.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Quantity(u32);

impl Quantity {
    /// The most pieces that one line may name.
    pub const MAX: u32 = 1_000_000;

    /// So many pieces.
    pub fn try_new(pieces: impl Into<i64>) -> Result<Self, TermError> {
        let pieces = u32::try_from(pieces.into()).ok().filter(|pieces| (1..=Self::MAX).contains(pieces));
        pieces.map(Self).ok_or(TermError("must be between 1 and 1000000"))
    }

    /// The number of pieces.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Quantity {
    type Err = TermError;
    fn from_str(text: &str) -> Result<Self, TermError> {
        let digits_only = text.bytes().all(|b| b.is_ascii_digit());
        let pieces = text.parse::<u32>().ok().filter(|_| digits_only);
        Self::try_new(pieces.unwrap_or(0))
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u32(self.0)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::try_new(u32::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

/// The amount in its message form.
pub fn money_to_proto(money: Money) -> MoneyMessage {
    MoneyMessage { minor_units: money.minor_units(), currency: money.currency().code().to_owned() }
}

/// Reads an amount; refuses a currency that Souk does not know. Whether it may be negative is the reader's
/// rule.
pub fn money_from_proto(money: &MoneyMessage) -> Result<Money, TermError> {
    let unknown = TermError("must have a known three-letter upper-case currency");
    let currency = Currency::parse(&money.currency).ok_or(unknown)?;
    Ok(Money::new(money.minor_units, currency))
}

impl From<Money> for MoneyMessage {
    fn from(money: Money) -> Self {
        money_to_proto(money)
    }
}

impl TryFrom<&MoneyMessage> for Money {
    type Error = TermError;
    fn try_from(money: &MoneyMessage) -> Result<Self, TermError> {
        money_from_proto(money)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: FromStr<Err = TermError> + fmt::Display>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!(text.parse::<T>().map(|term| term.to_string()), Ok((*text).to_owned()));
        }
        for text in bad {
            assert!(text.parse::<T>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_sku_is_kept_byte_by_byte() {
        let (longest, too_long) = ("x".repeat(64), "é".repeat(33));
        check::<Sku>(
            &["a", " 85123A ", "a/b", "日本", "e\u{301}", &longest],
            &["", &too_long, "a\nb", "\0", "\u{85}"],
        );
        assert_ne!("é".parse::<Sku>(), "e\u{301}".parse::<Sku>(), "looking alike is not being equal");
        assert_ne!("85123A".parse::<Sku>(), "85123a".parse::<Sku>());
    }

    #[test]
    fn markets_locations_and_quantities_have_their_forms() {
        check::<Market>(&["GB", "DE"], &["", "gb", "GBR", "G1", "ÄÖ"]);
        check::<Location>(&["main", "shop-2", &"a".repeat(32)], &["", "Main", "a b", "ä", &"a".repeat(33)]);
        check::<Quantity>(&["1", "1000000"], &["", "0", "-1", "+1", "1000001", "1.5", "99999999999"]);
        assert!(Quantity::try_new(-1).is_err());
        assert_eq!(Quantity::try_new(7u32).map(Quantity::get), Ok(7));
    }

    #[test]
    fn terms_survive_json_and_reading_checks_them_again() {
        let json = r#"["a b","GB","main",5]"#;
        let terms: (Sku, Market, Location, Quantity) = serde_json::from_str(json).expect("all are valid");
        assert_eq!(serde_json::to_string(&terms).expect("terms are JSON"), json);
        assert!(serde_json::from_str::<Sku>(r#""""#).is_err());
        assert!(serde_json::from_str::<Quantity>("0").is_err());
        assert!(serde_json::from_str::<Market>(r#""gb""#).is_err());
        assert!(serde_json::from_str::<Location>(r#""A""#).is_err());
    }

    #[test]
    fn money_survives_its_message_and_an_unknown_currency_is_refused() {
        let pounds = Money::new(-255, Currency::parse("GBP").expect("known"));
        assert_eq!(money_from_proto(&pounds.into()), Ok(pounds));
        for currency in ["", "gbp", "XXX", "GB"] {
            let message = MoneyMessage { minor_units: 1, currency: currency.to_owned() };
            assert!(Money::try_from(&message).is_err(), "{currency}");
        }
    }
}
