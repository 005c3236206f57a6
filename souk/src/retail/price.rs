//! A price in the file is decimal text. It becomes pennies without ever being a float: 2.55 is not a float.

/// The dearest article that is believed: ten million pounds. Times the largest quantity it still fits an `i64`.
pub(super) const PRICE_MINOR_MAX: i64 = 1_000_000_000;

/// What a price says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Price {
    Zero,
    FractionOfAPenny,
    Pennies(i64),
}

impl Price {
    /// The pennies that pay it, if coins can.
    pub(super) fn pennies(self) -> Option<i64> {
        match self {
            Price::Zero => Some(0),
            Price::FractionOfAPenny => None,
            Price::Pennies(pennies) => Some(pennies),
        }
    }
}

/// Reads `12`, `12.5`, `12.50` or `12.500`; the error completes the sentence "… is not a price: ".
pub(super) fn parse(text: &str) -> Result<Price, &'static str> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (pounds, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let only_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !only_digits(pounds) || !only_digits(fraction) {
        return Err("it must be a decimal number such as 2.55");
    }
    let all_zero = pounds.bytes().chain(fraction.bytes()).all(|b| b == b'0');
    if all_zero {
        return Ok(Price::Zero);
    }
    if negative {
        return Err("it is below zero, and the line is not an adjustment");
    }
    let below_a_penny = fraction.get(2..).unwrap_or("");
    if below_a_penny.bytes().any(|b| b != b'0') {
        return Ok(Price::FractionOfAPenny);
    }
    pennies(pounds, fraction).map(Price::Pennies).ok_or("it is over 10,000,000.00")
}

fn pennies(pounds: &str, fraction: &str) -> Option<i64> {
    let tens_and_ones = fraction.bytes().chain(*b"00").take(2);
    let mut digits = pounds.bytes().chain(tens_and_ones);
    let total = digits.try_fold(0_i64, |sum, b| sum.checked_mul(10)?.checked_add(i64::from(b - b'0')))?;
    (total <= PRICE_MINOR_MAX).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_text_becomes_pennies_exactly() {
        for (text, price) in [
            ("2.55", Price::Pennies(255)),
            ("2.5", Price::Pennies(250)),
            ("2", Price::Pennies(200)),
            ("0.29", Price::Pennies(29)),
            ("1.10", Price::Pennies(110)),
            ("2.5500", Price::Pennies(255)),
            ("0007.01", Price::Pennies(701)),
            ("10000000.00", Price::Pennies(PRICE_MINOR_MAX)),
            ("0", Price::Zero),
            ("0.00", Price::Zero),
            ("-0.0", Price::Zero),
            ("0.001", Price::FractionOfAPenny),
            ("2.555", Price::FractionOfAPenny),
        ] {
            assert_eq!(parse(text), Ok(price), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_price_is_refused() {
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "1e-3",
            "1,50",
            "+1.00",
            "--1",
            " 1.00",
            "£1",
            "-2.55",
            "10000000.01",
            "99999999999999999999.99",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
