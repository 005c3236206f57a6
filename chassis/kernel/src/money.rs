//! Money as whole minor units with a currency. Floats never touch it; arithmetic is checked.
use serde::{Deserialize, Serialize};
use std::fmt;

/// An ISO 4217 currency that Souk knows, with its number of decimals.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency {
    code: [u8; 3],
    decimals: u8,
}

/// Code and decimals (ISO 4217:2015, active codes that shops commonly sell in).
const KNOWN: &[(&str, u8)] = &[
    ("AED", 2),
    ("AUD", 2),
    ("BGN", 2),
    ("BHD", 3),
    ("BRL", 2),
    ("CAD", 2),
    ("CHF", 2),
    ("CLP", 0),
    ("CNY", 2),
    ("CZK", 2),
    ("DKK", 2),
    ("EUR", 2),
    ("GBP", 2),
    ("HKD", 2),
    ("HUF", 2),
    ("IDR", 2),
    ("ILS", 2),
    ("INR", 2),
    ("ISK", 0),
    ("JOD", 3),
    ("JPY", 0),
    ("KRW", 0),
    ("KWD", 3),
    ("MXN", 2),
    ("MYR", 2),
    ("NOK", 2),
    ("NZD", 2),
    ("OMR", 3),
    ("PHP", 2),
    ("PLN", 2),
    ("RON", 2),
    ("SAR", 2),
    ("SEK", 2),
    ("SGD", 2),
    ("THB", 2),
    ("TND", 3),
    ("TRY", 2),
    ("TWD", 2),
    ("UAH", 2),
    ("USD", 2),
    ("VND", 0),
    ("ZAR", 2),
];

impl Currency {
    /// The currency with this three-letter upper-case code, if Souk knows it.
    pub fn parse(code: &str) -> Option<Self> {
        let (known, decimals) = KNOWN.iter().find(|(known, _)| *known == code)?;
        let code = known.as_bytes().try_into().ok()?;
        Some(Self { code, decimals: *decimals })
    }

    /// The three-letter code.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code).expect("codes are ASCII from the table above")
    }

    /// How many decimals a major unit has: 2 for GBP, 0 for JPY, 3 for KWD.
    pub fn decimals(&self) -> u8 {
        self.decimals
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let code = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Self::parse(&code).ok_or_else(|| serde::de::Error::custom("unknown currency"))
    }
}

/// An amount in minor units (pence, cents, fils, yen) of one currency. May be negative.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    minor_units: i64,
    currency: Currency,
}

/// Why a sum or a product of money has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoneyError {
    /// The result does not fit in 64 bits of minor units.
    Overflow,
    /// The amounts are of two currencies; converting is a decision, never a side effect.
    MixedCurrencies(Currency, Currency),
}

impl fmt::Display for MoneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MoneyError::Overflow => f.write_str("the amount does not fit"),
            MoneyError::MixedCurrencies(a, b) => write!(f, "cannot mix {a} and {b}"),
        }
    }
}

impl std::error::Error for MoneyError {}

impl Money {
    /// So many minor units of `currency`.
    pub fn new(minor_units: i64, currency: Currency) -> Self {
        Self { minor_units, currency }
    }

    /// Nothing, in `currency`.
    pub fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// The amount in minor units.
    pub fn minor_units(&self) -> i64 {
        self.minor_units
    }

    /// The currency.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// The sum; fails on overflow or a second currency.
    pub fn plus(self, other: Money) -> Result<Money, MoneyError> {
        self.same_currency(other)?;
        let sum = self.minor_units.checked_add(other.minor_units).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(sum, self.currency))
    }

    /// The difference; fails on overflow or a second currency.
    pub fn minus(self, other: Money) -> Result<Money, MoneyError> {
        self.same_currency(other)?;
        let rest = self.minor_units.checked_sub(other.minor_units).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(rest, self.currency))
    }

    /// So many times the amount; fails on overflow.
    pub fn times(self, count: i64) -> Result<Money, MoneyError> {
        let product = self.minor_units.checked_mul(count).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(product, self.currency))
    }

    fn same_currency(self, other: Money) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(MoneyError::MixedCurrencies(self.currency, other.currency))
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = usize::from(self.currency.decimals());
        let digits = format!("{:0>width$}", self.minor_units.unsigned_abs(), width = decimals + 1);
        let (major, minor) = digits.split_at(digits.len() - decimals);
        let sign = if self.minor_units < 0 { "-" } else { "" };
        let point = if decimals == 0 { "" } else { "." };
        write!(f, "{sign}{major}{point}{minor} {}", self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(minor: i64, code: &str) -> Money {
        Money::new(minor, Currency::parse(code).expect("known"))
    }

    #[test]
    fn decimals_follow_the_currency() {
        assert_eq!(money(5, "GBP").to_string(), "0.05 GBP");
        assert_eq!(money(-1234, "GBP").to_string(), "-12.34 GBP");
        assert_eq!(money(1234, "JPY").to_string(), "1234 JPY");
        assert_eq!(money(1234, "KWD").to_string(), "1.234 KWD");
    }

    #[test]
    fn arithmetic_refuses_overflow_and_a_second_currency() {
        assert_eq!(money(i64::MAX, "GBP").plus(money(1, "GBP")), Err(MoneyError::Overflow));
        assert_eq!(money(i64::MAX, "GBP").times(2), Err(MoneyError::Overflow));
        assert!(matches!(money(1, "GBP").plus(money(1, "EUR")), Err(MoneyError::MixedCurrencies(..))));
        assert_eq!(money(255, "GBP").times(6), Ok(money(1530, "GBP")));
    }
}
