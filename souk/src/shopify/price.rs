//! Decimal text to minor units and back, by the currency's decimals and without ever being a float.
use souk_kernel::{Currency, Money};

/// The dearest article that is believed, in minor units; the catalog's own limit.
pub(super) const PRICE_MINOR_MAX: i64 = 1_000_000_000_000;

/// Reads `12`, `12.5` or `12.50`; the error completes the sentence "… is not a price: ".
pub(super) fn parse(text: &str, currency: Currency) -> Result<Money, String> {
    let (major, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let only_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !only_digits(major) || !only_digits(fraction) {
        return Err(why_no_number(text).to_owned());
    }
    let decimals = usize::from(currency.decimals());
    let beyond = fraction.get(decimals..).unwrap_or("");
    if beyond.bytes().any(|b| b != b'0') {
        return Err(format!("{currency} has {decimals} decimals"));
    }
    let minor = fraction.bytes().chain(std::iter::repeat(b'0')).take(decimals);
    let add = |sum: i64, digit: u8| sum.checked_mul(10)?.checked_add(i64::from(digit - b'0'));
    let units = major.bytes().chain(minor).try_fold(0, add).filter(|units| *units <= PRICE_MINOR_MAX);
    let units = units.ok_or_else(|| format!("the most is {}", Money::new(PRICE_MINOR_MAX, currency)))?;
    Ok(Money::new(units, currency))
}

fn why_no_number(text: &str) -> &'static str {
    let separator = |c: char| {
        matches!(c, ',' | ' ' | '\'' | '\u{a0}' | '\u{202f}') || (c == '.' && text.matches('.').count() > 1)
    };
    let grouped =
        text.chars().any(separator) && text.chars().all(|c| c.is_ascii_digit() || c == '.' || separator(c));
    if text.starts_with('-') {
        "it is below zero"
    } else if grouped && !text.contains('.') && text.matches(',').count() == 1 {
        "write 1234.50: a point before the decimals, and nothing between thousands"
    } else if grouped {
        "write it without separators between thousands"
    } else {
        "it must be a decimal number such as 12.50, without a currency sign"
    }
}

/// The decimal text of an amount, without its currency.
pub(super) fn format(amount: Money) -> String {
    let text = amount.to_string();
    text.split(' ').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, code: &str) -> Result<i64, String> {
        parse(text, Currency::parse(code).expect("known")).map(|money| money.minor_units())
    }

    #[test]
    fn decimals_follow_the_currency() {
        for (text, code, minor) in [
            ("2.55", "GBP", 255),
            ("2.5", "GBP", 250),
            ("2", "GBP", 200),
            ("0.29", "GBP", 29),
            ("0", "GBP", 0),
            ("12.500", "GBP", 1_250),
            ("007.10", "USD", 710),
            ("1200", "JPY", 1_200),
            ("1200.0", "JPY", 1_200),
            ("1.234", "KWD", 1_234),
            ("1.2", "KWD", 1_200),
            ("10000000000.00", "GBP", PRICE_MINOR_MAX),
        ] {
            assert_eq!(parsed(text, code), Ok(minor), "{text} {code}");
            let amount = Money::new(minor, Currency::parse(code).expect("known"));
            assert_eq!(parsed(&format(amount), code), Ok(minor), "{text} {code} written and read");
        }
    }

    #[test]
    fn what_is_not_a_price_is_refused_with_the_reason() {
        for (text, code, why) in [
            ("2.555", "GBP", "GBP has 2 decimals"),
            ("1.5", "JPY", "JPY has 0 decimals"),
            ("1,234.50", "GBP", "separators"),
            ("1,234,567", "GBP", "separators"),
            ("12,50", "EUR", "a point before the decimals"),
            ("1 234", "GBP", "separators"),
            ("1'234", "CHF", "separators"),
            ("-1.00", "GBP", "below zero"),
            ("£4.00", "GBP", "without a currency sign"),
            ("4e2", "GBP", "decimal number"),
            ("4.", "GBP", "decimal number"),
            (".5", "GBP", "decimal number"),
            ("٣", "GBP", "decimal number"),
            ("10000000000.01", "GBP", "the most is 10000000000.00 GBP"),
            ("99999999999999999999999", "GBP", "the most is"),
        ] {
            let error = parsed(text, code).expect_err(text);
            assert!(error.contains(why), "{text} {code}: {error}");
        }
    }
}
