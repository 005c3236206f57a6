//! Texts that break programs (the Big List of Naughty Strings): what is stored is returned unchanged, what is
//! refused is refused by name. `SOUK_BLNS` names the file; without it the few here are tried.
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use souk_tests::{Caller, House, Shape, in_every_shape};
use souk_user::Role;

/// Some of each sort: scripts, control characters, directions, injections, formats, blanks.
const FEW: &[&str] = &[
    "",
    " ",
    "null",
    "undefined",
    "-1e309",
    "0x0",
    "' OR 1=1 --",
    "Robert'); --",
    "<script>alert('souk')</script>",
    "%00%0a{{7*7}}${HOME}`id`",
    "%*.*s %n %%",
    "田中さんにあげて下さい",
    "Ṱ̺̺̕o͞ ̷i̲̬͇̪͙n̝̗͕v̟̜̘̦͟o̶̙̰̠kè͚̮̺̪̹̱̤",
    "\u{202e}backwards\u{202c}",
    "\u{feff}bom \u{200b}zero width",
    "👩‍👩‍👧‍👦 🇬🇧",
    "a\u{0}b",
    "bell\u{7}",
    "tab\tand\nline",
    "\u{2028}line separator",
    "O'Brien \"quoted\" \\ back/slash",
];
/// How many are tried at once.
const AT_ONCE: usize = 8;
/// The longest title and description, in characters.
const TITLE_CHARS_MAX: usize = 300;
const DESCRIPTION_CHARS_MAX: usize = 20_000;

fn strings() -> Vec<String> {
    let Some(path) = std::env::var_os("SOUK_BLNS") else {
        eprintln!(
            "SKIPPED the big list of naughty strings: SOUK_BLNS does not name blns.json; a few are tried"
        );
        return FEW.iter().map(|text| (*text).to_owned()).collect();
    };
    let text = std::fs::read_to_string(&path).expect("SOUK_BLNS names a file");
    let all: Vec<String> = serde_json::from_str(&text).expect("a JSON list of texts");
    assert!(all.len() > 400, "the list has {} strings; is it the right file?", all.len());
    all
}

in_every_shape!(naughty_strings_come_back_as_they_went);

async fn naughty_strings_come_back_as_they_went(house: &House) {
    let sales = house.staff(Role::Sales);
    let texts = strings();
    let tried = texts.iter().enumerate().map(|(n, text)| goes_and_comes_back(&sales, n, text));
    let wrong: Vec<_> =
        stream::iter(tried).buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await;
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), texts.len(), wrong.join("\n"));
}

/// What is wrong, if anything is.
async fn goes_and_comes_back(sales: &Caller, n: usize, text: &str) -> Option<String> {
    let (path, sku) = (format!("/api/v1/products/naughty-{n}"), format!("N{n}"));
    let is_blank = text.trim().is_empty();
    let title_fits =
        !is_blank && text.chars().count() <= TITLE_CHARS_MAX && !text.chars().any(char::is_control);
    let is_odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    let description_fits = text.chars().count() <= DESCRIPTION_CHARS_MAX && !text.chars().any(is_odd);
    let product = json!({"title": text, "description": text, "published": true, "variants": [{"sku": sku}]});
    let put = sales.put(&path, &product).send().await;
    if title_fits && description_fits {
        let shown = sales.get(&path).send().await.json()["product"].clone();
        let same = put.status == 200 && shown["title"] == text && shown["description"] == text;
        return (!same).then(|| format!("{text:?} came back as {} {shown}", put.status));
    }
    let mut expected = Vec::new();
    expected.extend((!title_fits).then_some("product.title"));
    expected.extend((!description_fits).then_some("product.description"));
    let refused = (put.status, put.fields()) == (400, expected.iter().map(|f| (*f).to_owned()).collect());
    let is_absent = sales.get(&path).send().await.status == 404;
    (!(refused && is_absent)).then(|| format!("{text:?} should be refused for {expected:?}: {}", put.text()))
}

#[tokio::test(flavor = "multi_thread")]
async fn naughty_strings_are_searched_for_as_text() {
    let house = House::start(Shape::One).await;
    house.sells("LAMP", 1_000, 1).await;
    let visitor = house.nobody();
    for text in strings().iter().filter(|text| (1..=200).contains(&text.chars().count())) {
        let path = format!("/api/v1/products:search?q={}", souk::rest::encode(text));
        let found = visitor.get(&path).send().await;
        assert_eq!(found.status, 200, "{text:?}: {}", found.text());
        assert!(found.json()["hits"].as_array().is_some_and(|hits: &Vec<Value>| hits.len() <= 1), "{text:?}");
    }
    house.close().await;
}
