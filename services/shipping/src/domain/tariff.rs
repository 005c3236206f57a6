//! What shipping costs: by service, distance and number of pieces, in the market's currency. Whole minor units
//! from a table; nothing is converted.
use super::address::{self, Address, Area};
use souk_contracts::terms::Market;
use souk_kernel::{Currency, Money};

/// More pieces than this cost no more: they go on a pallet.
const PIECES_CHARGED_MAX: u64 = 40;

/// Who carries everything, until there is a second one.
pub const CARRIER: &str = "sim";

/// A way to be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Standard,
    Express,
}

impl Service {
    /// Its name in contracts and events.
    pub fn name(self) -> &'static str {
        match self {
            Service::Standard => "standard",
            Service::Express => "express",
        }
    }
}

/// One offer.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    pub service: Service,
    pub price: Money,
    pub days_min: u32,
    pub days_max: u32,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zone {
    Domestic,
    Near,
    Far,
}

impl Zone {
    fn of(market: &Market, country: &str) -> Zone {
        let is_europe = |country| address::area(country) == Area::Europe;
        if market.as_str() == country {
            Zone::Domestic
        } else if is_europe(market.as_str()) && is_europe(country) {
            Zone::Near
        } else {
            Zone::Far
        }
    }
}

/// Minor units by zone (domestic, near, far), and for each piece after the first.
struct Tariff {
    currency: &'static str,
    markets: &'static [&'static str],
    standard: [i64; 3],
    express: [i64; 3],
    piece: i64,
}

const EURO: &[&str] = &["DE", "FR", "ES", "IT", "NL", "BE", "AT", "IE", "FI", "PT", "GR", "LU", "EE", "SK"];
const TARIFFS: &[Tariff] = &[
    tariff("GBP", &["GB"], [399, 999, 1_999], [899, 1_999, 3_999], 50),
    tariff("EUR", EURO, [490, 1_190, 2_290], [990, 2_290, 4_490], 60),
    tariff("USD", &["US"], [599, 1_299, 2_499], [1_499, 2_999, 4_999], 75),
    tariff("CAD", &["CA"], [899, 1_799, 3_299], [1_999, 3_999, 6_499], 100),
    tariff("AUD", &["AU"], [895, 1_995, 3_495], [1_695, 3_995, 6_995], 100),
    tariff("NZD", &["NZ"], [795, 1_995, 3_695], [1_595, 3_995, 7_495], 100),
    tariff("JPY", &["JP"], [600, 1_500, 2_800], [1_200, 3_000, 5_600], 80),
    tariff("CHF", &["CH"], [700, 1_500, 2_500], [1_400, 2_900, 4_900], 80),
    tariff("SEK", &["SE"], [4_900, 11_900, 22_900], [9_900, 22_900, 44_900], 600),
    tariff("DKK", &["DK"], [3_900, 8_900, 16_900], [7_900, 16_900, 32_900], 450),
    tariff("NOK", &["NO"], [5_900, 12_900, 23_900], [10_900, 23_900, 45_900], 650),
    tariff("PLN", &["PL"], [1_499, 4_999, 9_999], [2_999, 9_999, 19_999], 250),
];

const fn tariff(
    currency: &'static str,
    markets: &'static [&'static str],
    standard: [i64; 3],
    express: [i64; 3],
    piece: i64,
) -> Tariff {
    Tariff { currency, markets, standard, express, piece }
}

/// The offers for so many pieces, the cheapest first; none when the market has no tariff.
pub fn offers(market: &Market, to: &Address, pieces: u64) -> Vec<Offer> {
    let tariff = TARIFFS.iter().find(|tariff| tariff.markets.contains(&market.as_str()));
    let Some(tariff) = tariff else { return Vec::new() };
    let currency = Currency::parse(tariff.currency).expect("the table holds known currencies");
    let (zone, days_standard, days_express) = match Zone::of(market, &to.country) {
        Zone::Domestic => (0, (2, 4), (1, 1)),
        Zone::Near => (1, (4, 8), (1, 3)),
        Zone::Far => (2, (8, 20), (2, 5)),
    };
    let further = pieces.clamp(1, PIECES_CHARGED_MAX) - 1;
    let offer = |service, base: i64, (days_min, days_max)| {
        let further = i64::try_from(further).expect("it is at most forty");
        let price = Money::new(base + further * tariff.piece, currency);
        Offer { service, price, days_min, days_max }
    };
    let mut offers = vec![offer(Service::Standard, tariff.standard[zone], days_standard)];
    // An express courier needs a door and somebody behind it.
    if !address::is_po_box(to) {
        offers.push(offer(Service::Express, tariff.express[zone], days_express));
    }
    offers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices(market: &str, country: &str, line1: &str, pieces: u64) -> Vec<(&'static str, String)> {
        let to = Address { country: country.to_owned(), line1: line1.to_owned(), ..Address::default() };
        let market = Market::try_new(market).expect("a market");
        let offers = offers(&market, &to, pieces);
        offers.iter().map(|offer| (offer.service.name(), offer.price.to_string())).collect()
    }

    #[test]
    fn farther_and_more_costs_more_and_the_currency_is_the_markets() {
        let price = |text: &str| text.to_owned();
        assert_eq!(
            prices("GB", "GB", "", 1),
            [("standard", price("3.99 GBP")), ("express", price("8.99 GBP"))]
        );
        assert_eq!(prices("GB", "DE", "", 3)[0].1, "10.99 GBP");
        assert_eq!(prices("DE", "GB", "", 1)[0].1, "11.90 EUR");
        assert_eq!(prices("US", "JP", "", 1)[0].1, "24.99 USD");
        assert_eq!(prices("JP", "JP", "", 2)[0].1, "680 JPY");
        assert_eq!(prices("GB", "GB", "", 1_000_000), prices("GB", "GB", "", 40), "a pallet is a pallet");
        assert_eq!(prices("GB", "GB", "", 0), prices("GB", "GB", "", 1));
    }

    #[test]
    fn e1_a_box_is_not_served_by_express_and_an_unknown_market_not_at_all() {
        assert_eq!(prices("GB", "GB", "PO Box 9", 1).len(), 1);
        assert_eq!(prices("BR", "GB", "", 1), []);
    }
}
