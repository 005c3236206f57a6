//! Countries by the names that price columns use, with the currency that is spent there.
use souk_contracts::terms::Market;
use souk_kernel::Currency;

/// Code, name, currency. A country that is not here can still be named with its code and a currency.
const KNOWN: &[(&str, &str, &str)] = &[
    ("AE", "united arab emirates", "AED"),
    ("AT", "austria", "EUR"),
    ("AU", "australia", "AUD"),
    ("BE", "belgium", "EUR"),
    ("BG", "bulgaria", "BGN"),
    ("BR", "brazil", "BRL"),
    ("CA", "canada", "CAD"),
    ("CH", "switzerland", "CHF"),
    ("CL", "chile", "CLP"),
    ("CN", "china", "CNY"),
    ("CZ", "czechia", "CZK"),
    ("DE", "germany", "EUR"),
    ("DK", "denmark", "DKK"),
    ("ES", "spain", "EUR"),
    ("FI", "finland", "EUR"),
    ("FR", "france", "EUR"),
    ("GB", "united kingdom", "GBP"),
    ("GR", "greece", "EUR"),
    ("HK", "hong kong", "HKD"),
    ("HU", "hungary", "HUF"),
    ("ID", "indonesia", "IDR"),
    ("IE", "ireland", "EUR"),
    ("IL", "israel", "ILS"),
    ("IN", "india", "INR"),
    ("IS", "iceland", "ISK"),
    ("IT", "italy", "EUR"),
    ("JO", "jordan", "JOD"),
    ("JP", "japan", "JPY"),
    ("KR", "south korea", "KRW"),
    ("KW", "kuwait", "KWD"),
    ("MX", "mexico", "MXN"),
    ("MY", "malaysia", "MYR"),
    ("NL", "netherlands", "EUR"),
    ("NO", "norway", "NOK"),
    ("NZ", "new zealand", "NZD"),
    ("OM", "oman", "OMR"),
    ("PH", "philippines", "PHP"),
    ("PL", "poland", "PLN"),
    ("PT", "portugal", "EUR"),
    ("RO", "romania", "RON"),
    ("SA", "saudi arabia", "SAR"),
    ("SE", "sweden", "SEK"),
    ("SG", "singapore", "SGD"),
    ("TH", "thailand", "THB"),
    ("TN", "tunisia", "TND"),
    ("TR", "turkey", "TRY"),
    ("TW", "taiwan", "TWD"),
    ("UA", "ukraine", "UAH"),
    ("US", "united states", "USD"),
    ("VN", "vietnam", "VND"),
    ("ZA", "south africa", "ZAR"),
];

/// The market with this two-letter code or English name, in lower case.
pub(super) fn market(name: &str) -> Option<Market> {
    let by_name = KNOWN.iter().find(|(_, known, _)| *known == name).map(|(code, ..)| (*code).to_owned());
    Market::try_new(by_name.unwrap_or_else(|| name.to_ascii_uppercase())).ok()
}

/// What is spent in a market.
pub(super) fn currency_of(market: &Market) -> Option<Currency> {
    let (.., code) = KNOWN.iter().find(|(known, ..)| *known == market.as_str())?;
    Currency::parse(code)
}

/// The only market with this currency, if there is only one.
pub(super) fn market_of(currency: Currency) -> Option<Market> {
    let mut codes = KNOWN.iter().filter(|(.., known)| *known == currency.code()).map(|(code, ..)| *code);
    let (first, second) = (codes.next()?, codes.next());
    if second.is_some() { None } else { Market::try_new(first).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_a_market_and_a_currency() {
        for (code, name, currency) in KNOWN {
            let found = market(name).expect("two upper-case letters");
            assert_eq!(found.as_str(), *code);
            assert_eq!(currency_of(&found).expect("the kernel knows it").code(), *currency);
        }
    }

    #[test]
    fn a_currency_of_many_markets_names_none() {
        let currency = |code| Currency::parse(code).expect("known");
        assert_eq!(market_of(currency("USD")), market("us"));
        assert_eq!(market_of(currency("EUR")), None);
    }
}
