//! What makes an address good, country by country. Postcodes are text: leading zeros and letters are kept, and
//! some countries have none. A better spelling is suggested and never put in place of what was given.
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest text of an address, in characters.
pub const TEXT_CHARS_MAX: usize = 100;
/// The longest postcode, in characters.
pub const POSTAL_CHARS_MAX: usize = 16;

/// Where a parcel goes. It is a person's: it is stored sealed, and its `Debug` names the country alone.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub recipient: String,
    pub line1: String,
    pub line2: String,
    pub city: String,
    pub region: String,
    pub postal_code: String,
    pub country: String,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address(in {})", self.country)
    }
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Missing,
    TooLong,
    ControlCharacter,
    BadPostalCode,
    UnknownRegion,
    UnknownCountry,
}

impl Fault {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Fault::Missing => "MISSING",
            Fault::TooLong => "TOO_LONG",
            Fault::ControlCharacter => "CONTROL_CHARACTER",
            Fault::BadPostalCode => "BAD_POSTAL_CODE",
            Fault::UnknownRegion => "UNKNOWN_REGION",
            Fault::UnknownCountry => "UNKNOWN_COUNTRY",
        }
    }
}

/// What the rules say of an address.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    Valid,
    /// Good as it is meant, and better written so.
    Corrected(Address),
    /// Every faulty field.
    Invalid(Vec<(&'static str, Fault)>),
    NotServed,
}

/// How far away a country is from the shop's warehouses, which stand in Europe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    Europe,
    World,
}

/// How a country writes postcodes: `A` is a letter, `9` a digit, `?` either; the rest stands for itself.
enum Postal {
    Required(&'static [&'static str]),
    Optional(&'static [&'static str]),
    None,
}

struct Country {
    code: &'static str,
    area: Area,
    postal: Postal,
    /// The codes of its regions, when one of them is needed.
    regions: &'static [&'static str],
}

const fn europe(code: &'static str, patterns: &'static [&'static str]) -> Country {
    Country { code, area: Area::Europe, postal: Postal::Required(patterns), regions: &[] }
}

const fn world(code: &'static str, patterns: &'static [&'static str]) -> Country {
    Country { code, area: Area::World, postal: Postal::Required(patterns), regions: &[] }
}

const FIVE: &[&str] = &["99999"];
const FOUR: &[&str] = &["9999"];
const SIX: &[&str] = &["999999"];
const THREE_TWO: &[&str] = &["999 99"];
const BRITISH: &[&str] = &["A9 9AA", "A99 9AA", "A9A 9AA", "AA9 9AA", "AA99 9AA", "AA9A 9AA"];
const STATES: &[&str] = &[
    "AL", "AK", "AZ", "AR", "CA", "CO", "CT", "DE", "DC", "FL", "GA", "HI", "ID", "IL", "IN", "IA", "KS",
    "KY", "LA", "ME", "MD", "MA", "MI", "MN", "MS", "MO", "MT", "NE", "NV", "NH", "NJ", "NM", "NY", "NC",
    "ND", "OH", "OK", "OR", "PA", "RI", "SC", "SD", "TN", "TX", "UT", "VT", "VA", "WA", "WV", "WI", "WY",
    "PR", "GU", "VI", "AS", "MP", "AA", "AE", "AP",
];
const PROVINCES: &[&str] = &["AB", "BC", "MB", "NB", "NL", "NS", "NT", "NU", "ON", "PE", "QC", "SK", "YT"];
const AUSTRALIAN: &[&str] = &["ACT", "NSW", "NT", "QLD", "SA", "TAS", "VIC", "WA"];

/// The countries whose rules we know; every other one gets the [default](OTHER).
const COUNTRIES: &[Country] = &[
    europe("GB", BRITISH),
    Country { code: "IE", area: Area::Europe, postal: Postal::Optional(&["A9? ????"]), regions: &[] },
    europe("DE", FIVE),
    europe("FR", FIVE),
    europe("ES", FIVE),
    europe("IT", FIVE),
    europe("FI", FIVE),
    europe("EE", FIVE),
    europe("NL", &["9999 AA"]),
    europe("BE", FOUR),
    europe("LU", FOUR),
    europe("AT", FOUR),
    europe("CH", FOUR),
    europe("DK", FOUR),
    europe("NO", FOUR),
    europe("HU", FOUR),
    europe("SE", THREE_TWO),
    europe("CZ", THREE_TWO),
    europe("SK", THREE_TWO),
    europe("GR", THREE_TWO),
    europe("PL", &["99-999"]),
    europe("PT", &["9999-999"]),
    Country {
        code: "US",
        area: Area::World,
        postal: Postal::Required(&["99999", "99999-9999"]),
        regions: STATES,
    },
    Country { code: "CA", area: Area::World, postal: Postal::Required(&["A9A 9A9"]), regions: PROVINCES },
    Country { code: "AU", area: Area::World, postal: Postal::Required(FOUR), regions: AUSTRALIAN },
    world("NZ", FOUR),
    world("JP", &["999-9999"]),
    world("KR", FIVE),
    world("CN", SIX),
    world("IN", SIX),
    world("SG", SIX),
    world("BR", &["99999-999"]),
    world("MX", FIVE),
    world("ZA", FOUR),
    Country { code: "HK", area: Area::World, postal: Postal::None, regions: &[] },
    Country { code: "AE", area: Area::World, postal: Postal::None, regions: &[] },
];

/// What holds of a country that has no line above: a postcode may be there and may be anything.
const OTHER: Country = Country { code: "", area: Area::World, postal: Postal::Optional(&[]), regions: &[] };

/// Every country there is (ISO 3166-1), so that a slip of the pen is not served.
const ALL: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR \
    BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER \
    ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL \
    IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD \
    ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF \
    PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX \
    SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA \
    ZM ZW";
/// Nothing may be sent there.
const EMBARGO: &[&str] = &["CU", "IR", "KP", "SY"];
/// Nobody carries there.
const NOT_SERVED: &[&str] = &["AQ", "BV", "BY", "GS", "HM", "RU", "TF", "UM"];

/// How far away the country is.
pub fn area(country: &str) -> Area {
    rules(country).area
}

fn rules(country: &str) -> &'static Country {
    COUNTRIES.iter().find(|known| known.code == country).unwrap_or(&OTHER)
}

/// Checks an address as it was given.
pub fn check(given: &Address) -> Check {
    let meant = tidied(given);
    if !ALL.split_whitespace().any(|code| code == meant.country) {
        return Check::Invalid(vec![("country", Fault::UnknownCountry)]);
    }
    let refused = |list: &[&str]| list.contains(&meant.country.as_str());
    if refused(EMBARGO) || refused(NOT_SERVED) {
        return Check::NotServed;
    }
    let country = rules(&meant.country);
    let mut faults = texts(&meant);
    if !country.regions.is_empty() && !country.regions.contains(&meant.region.as_str()) {
        let what = if meant.region.is_empty() { Fault::Missing } else { Fault::UnknownRegion };
        faults.push(("region", what));
    }
    let postal_code = match postal_code(country, &meant.postal_code) {
        Ok(written) => written,
        Err(fault) => {
            faults.push(("postalCode", fault));
            meant.postal_code.clone()
        }
    };
    if !faults.is_empty() {
        return Check::Invalid(faults);
    }
    let suggestion = Address { postal_code, ..meant };
    if suggestion == *given { Check::Valid } else { Check::Corrected(suggestion) }
}

/// Whether it is a box at a post office, which only the post opens.
pub fn is_po_box(address: &Address) -> bool {
    const BOXES: &[&str] = &["pobox", "postbox", "postfach", "apartadopostal", "boitepostale", "packstation"];
    let plain = |line: &str| {
        let letters = line.chars().filter(|c| c.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect::<String>()
    };
    [&address.line1, &address.line2].iter().any(|line| {
        let line = plain(line);
        BOXES.iter().any(|word| line.starts_with(word))
    })
}

/// Without the spaces around, and with codes in capitals.
fn tidied(given: &Address) -> Address {
    let trimmed = |text: &str| text.trim().to_owned();
    let country = given.country.trim().to_uppercase();
    let has_codes = !rules(&country).regions.is_empty();
    let region = given.region.trim();
    Address {
        recipient: trimmed(&given.recipient),
        line1: trimmed(&given.line1),
        line2: trimmed(&given.line2),
        city: trimmed(&given.city),
        region: if has_codes { region.to_uppercase() } else { region.to_owned() },
        postal_code: given.postal_code.trim().to_uppercase(),
        country,
    }
}

fn texts(meant: &Address) -> Vec<(&'static str, Fault)> {
    let fields = [
        ("recipient", &meant.recipient, true),
        ("line1", &meant.line1, true),
        ("line2", &meant.line2, false),
        ("city", &meant.city, true),
        ("region", &meant.region, false),
    ];
    let fault = |(field, text, needed): (&'static str, &String, bool)| {
        if text.is_empty() {
            needed.then_some((field, Fault::Missing))
        } else if text.chars().count() > TEXT_CHARS_MAX {
            Some((field, Fault::TooLong))
        } else {
            text.chars().any(char::is_control).then_some((field, Fault::ControlCharacter))
        }
    };
    fields.into_iter().filter_map(fault).collect()
}

/// The postcode as the country writes it.
fn postal_code(country: &Country, given: &str) -> Result<String, Fault> {
    let patterns = match (&country.postal, given.is_empty()) {
        (Postal::Required(_), true) => return Err(Fault::Missing),
        (Postal::Optional(_) | Postal::None, true) => return Ok(String::new()),
        // Where there are none, what people write all the same does no harm.
        (Postal::None, false) => &[],
        (Postal::Required(patterns) | Postal::Optional(patterns), false) => *patterns,
    };
    if given.chars().count() > POSTAL_CHARS_MAX {
        return Err(Fault::TooLong);
    }
    if patterns.is_empty() {
        let clean = !given.chars().any(char::is_control);
        return if clean { Ok(given.to_owned()) } else { Err(Fault::ControlCharacter) };
    }
    patterns.iter().find_map(|pattern| written(pattern, given)).ok_or(Fault::BadPostalCode)
}

/// `given` as the pattern writes it, when its letters and digits fit; spaces and hyphens are forgiven.
fn written(pattern: &str, given: &str) -> Option<String> {
    let is_separator = |c: &char| *c == ' ' || *c == '-';
    let mut symbols = given.chars().filter(|c| !is_separator(c));
    let mut text = String::with_capacity(pattern.len());
    for place in pattern.chars() {
        if is_separator(&place) {
            text.push(place);
            continue;
        }
        let symbol = symbols.next()?;
        let fits = match place {
            'A' => symbol.is_ascii_uppercase(),
            '9' => symbol.is_ascii_digit(),
            '?' => symbol.is_ascii_uppercase() || symbol.is_ascii_digit(),
            own => symbol == own,
        };
        fits.then(|| text.push(symbol))?;
    }
    symbols.next().is_none().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(country: &str, region: &str, postal_code: &str) -> Address {
        let text = str::to_owned;
        Address {
            recipient: text("李 O'Brien"),
            line1: text("1 High Street"),
            line2: String::new(),
            city: text("Town"),
            region: text(region),
            postal_code: text(postal_code),
            country: text(country),
        }
    }

    #[test]
    fn good_postcodes_are_valid_as_they_are() {
        for (country, region, code) in [
            ("GB", "", "SW1Y 4JH"),
            ("GB", "", "M1 1AE"),
            ("IE", "", ""),
            ("IE", "", "D02 AF30"),
            ("DE", "", "01067"),
            ("NL", "", "1012 AB"),
            ("PL", "", "00-001"),
            ("PT", "", "1000-001"),
            ("US", "MA", "02139"),
            ("US", "CA", "94105-1804"),
            ("CA", "ON", "K1A 0B1"),
            ("AU", "NSW", "2000"),
            ("JP", "Tokyo", "100-0001"),
            ("HK", "", ""),
            ("AE", "Dubai", ""),
            ("IS", "", "101"),
            ("BB", "", ""),
        ] {
            assert_eq!(check(&at(country, region, code)), Check::Valid, "{country} {code}");
        }
    }

    #[test]
    fn what_is_meant_is_suggested_and_never_put_in_place() {
        for (country, region, code, better) in [
            ("GB", "", "sw1y4jh", "SW1Y 4JH"),
            ("NL", "", "1012ab", "1012 AB"),
            ("PL", "", "00001", "00-001"),
            ("US", "ca", "94105 1804", "94105-1804"),
            ("JP", "", "1000001", "100-0001"),
            ("us", "MA", "02139", "02139"),
        ] {
            let given = at(country, region, code);
            let Check::Corrected(suggestion) = check(&given) else { panic!("{:?}", check(&given)) };
            assert_eq!(suggestion.postal_code, better);
            assert_eq!(check(&suggestion), Check::Valid, "a suggestion is good");
        }
    }

    #[test]
    fn every_faulty_field_is_named() {
        let faults = |address: &Address| match check(address) {
            Check::Invalid(faults) => faults.iter().map(|(field, fault)| (*field, fault.code())).collect(),
            Check::Valid | Check::Corrected(_) | Check::NotServed => Vec::new(),
        };
        let mut empty = at("US", "", "");
        (empty.recipient, empty.line1, empty.city) = (" ".to_owned(), String::new(), String::new());
        let all = ["recipient", "line1", "city", "region", "postalCode"].map(|field| (field, "MISSING"));
        assert_eq!(faults(&empty), all);
        for (country, region, code, expected) in [
            ("GB", "", "12345", ("postalCode", "BAD_POSTAL_CODE")),
            ("DE", "", "1067", ("postalCode", "BAD_POSTAL_CODE")),
            ("DE", "", "0106７", ("postalCode", "BAD_POSTAL_CODE")),
            ("US", "XX", "02139", ("region", "UNKNOWN_REGION")),
            ("IS", "", "12345678901234567", ("postalCode", "TOO_LONG")),
            ("XX", "", "1", ("country", "UNKNOWN_COUNTRY")),
            ("", "", "1", ("country", "UNKNOWN_COUNTRY")),
        ] {
            assert_eq!(faults(&at(country, region, code)), [expected], "{country} {code}");
        }
        let long = Address { line2: "x".repeat(101), city: "a\nb".to_owned(), ..at("DE", "", "01067") };
        assert_eq!(faults(&long), [("line2", "TOO_LONG"), ("city", "CONTROL_CHARACTER")]);
    }

    #[test]
    fn some_countries_are_not_served() {
        for country in ["KP", "RU", "AQ"] {
            assert_eq!(check(&at(country, "", "1")), Check::NotServed);
        }
    }

    #[test]
    fn boxes_are_recognised_and_streets_are_not_boxes() {
        let boxed = |line1: &str| is_po_box(&Address { line1: line1.to_owned(), ..at("GB", "", "") });
        for line in ["PO Box 12", "P.O. Box 1", "p.o.box7", "Postfach 10 01", "Packstation 101"] {
            assert!(boxed(line), "{line}");
        }
        for line in ["12 Box Lane", "Pobol Street 3", "1 High Street"] {
            assert!(!boxed(line), "{line}");
        }
    }

    #[test]
    fn debug_says_nothing_about_a_person() {
        assert_eq!(format!("{:?}", at("DE", "", "01067")), "Address(in DE)");
    }
}
