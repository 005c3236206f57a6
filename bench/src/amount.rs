//! Figures as whole thousandths: enough for a ratio, and no float that somebody might compare with `==`.
use std::fmt;
use std::time::Duration;

/// A figure, in thousandths of its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(u64);

impl Amount {
    /// So many units.
    pub fn whole(units: u64) -> Self {
        Self(units.saturating_mul(1_000))
    }

    /// `part` divided by `whole`, rounded down; nothing when there is nothing to divide by.
    pub fn quotient(part: u64, whole: u64) -> Self {
        Self::from_wide(u128::from(part) * 1_000, u128::from(whole))
    }

    /// How often something happened per second.
    pub fn per_second(count: u64, elapsed: Duration) -> Self {
        Self::from_wide(u128::from(count) * 1_000 * 1_000_000_000, elapsed.as_nanos())
    }

    /// A time in milliseconds.
    pub fn ms(time: Duration) -> Self {
        Self(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
    }

    /// How often `other` fits into this.
    pub fn over(self, other: Amount) -> Self {
        Self::from_wide(u128::from(self.0) * 1_000, u128::from(other.0))
    }

    /// Halfway between both.
    pub fn mean(self, other: Amount) -> Self {
        Self(self.0.midpoint(other.0))
    }

    /// This figure shared out.
    pub fn divided_by(self, parts: u64) -> Self {
        Self(self.0.checked_div(parts).unwrap_or(0))
    }

    fn from_wide(part: u128, whole: u128) -> Self {
        Self(part.checked_div(whole).map_or(0, |n| u64::try_from(n).unwrap_or(u64::MAX)))
    }

    /// As a JSON number.
    pub fn number(self) -> serde_json::Number {
        let text = format!("{}.{:03}", self.0 / 1_000, self.0 % 1_000);
        serde_json::from_str(&text).expect("digits, a point and digits are a number")
    }
}

impl fmt::Display for Amount {
    /// The larger the figure, the fewer places: three digits say enough.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n.is_multiple_of(1_000) || n >= 100_000 => f.write_str(&thousands(n / 1_000)),
            n if n >= 10_000 => write!(f, "{}.{}", n / 1_000, n % 1_000 / 100),
            n if n >= 1_000 => write!(f, "{}.{:02}", n / 1_000, n % 1_000 / 10),
            n => write!(f, "0.{n:03}"),
        }
    }
}

/// `1234567` as `1,234,567`.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_three_digits_and_divide_without_floats() {
        let shown = [1, 999, 1_000, 1_239, 12_399, 123_999, 1_234_567_000].map(|n| Amount(n).to_string());
        assert_eq!(shown, ["0.001", "0.999", "1", "1.23", "12.3", "123", "1,234,567"]);
        assert_eq!(Amount::per_second(3, Duration::from_millis(1_500)), Amount::whole(2));
        assert_eq!(Amount::quotient(1, 0), Amount(0));
        assert_eq!(Amount::whole(5).over(Amount::whole(4)).to_string(), "1.25");
        assert_eq!(Amount(1_050).number().to_string(), "1.05");
    }
}
