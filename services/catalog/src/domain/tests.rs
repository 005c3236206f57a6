use super::price::set_price;
use super::product::{archive, show};
use super::*;
use crate::invariants;
use souk_decider::testing::Given;
use souk_decider::{Aggregate, Record, fold, golden};
use souk_kernel::{Currency, TypeId, Uuid};
use std::collections::HashMap;
use std::sync::Arc;

fn id(n: u8) -> ProductId {
    ProductId::from_uuid(Uuid::v7(1_800_000_000_000, [n; 10]))
}

fn sku(text: &str) -> Sku {
    Sku::try_new(text).expect("valid")
}

fn market(text: &str) -> Market {
    Market::try_new(text).expect("valid")
}

fn pence(minor: i64) -> Money {
    Money::new(minor, Currency::parse("GBP").expect("known"))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_s(second)
}

fn content(title: &str, skus: &[&str]) -> Arc<Content> {
    let variant = |text: &&str| Variant {
        sku: sku(text),
        title: (*text).into(),
        option_values: vec![],
        tax_class: None,
    };
    Arc::new(Content {
        title: title.into(),
        description: String::new(),
        categories: vec!["Kitchen".into()],
        options: vec![],
        variants: skus.iter().map(variant).collect(),
        media: vec![],
        vendor: String::new(),
        tax_class: None,
    })
}

fn product(title: &str, status: Status) -> Product {
    Product { id: id(1), handle: "mug".parse().expect("valid"), status, content: content(title, &["M-1"]) }
}

fn wanted(title: &str, published: bool, expected: Option<u64>) -> Put {
    let Product { id, handle, content, .. } = product(title, Status::Draft);
    Put { id, handle, content, published, expected }
}

fn created(status: Status) -> Vec<RecordEvent<Product>> {
    vec![RecordEvent::Created(product("Mug", status))]
}

#[derive(Default)]
struct TestShelf {
    handles: HashMap<Handle, String>,
    owners: HashMap<Sku, String>,
    prices: HashMap<Sku, PriceList>,
}

impl Shelf for TestShelf {
    fn has_handle(&self, handle: &Handle) -> Option<&str> {
        self.handles.get(handle).map(String::as_str)
    }
    fn owner(&self, sku: &Sku) -> Option<&str> {
        self.owners.get(sku).map(String::as_str)
    }
    fn prices(&self, sku: &Sku) -> PriceList {
        self.prices.get(sku).cloned().unwrap_or_default()
    }
}

fn put_with(
    shelf: &TestShelf,
    record: &Products,
    skus: &[&str],
    prices: &[(&str, &str, i64)],
) -> Result<PutDecided, Rejection> {
    let product = Put { content: content("Mug", skus), ..wanted("Mug", true, None) };
    let prices = prices.iter().map(|(s, m, p)| (sku(s), market(m), pence(*p))).collect();
    put_product(record, shelf, &PutProduct { product, prices }, at(5))
}

#[test]
fn putting_creates_replaces_and_repeats_quietly() {
    let put =
        |events, put: Put| Given::<Products>::events(events).when(move |record| product::put(record, &put));
    put(vec![], wanted("Mug", false, None)).then(created(Status::Draft));
    put(vec![], wanted("Mug", true, Some(0))).then(created(Status::Published));
    let replaced = |title, status| vec![RecordEvent::Replaced(product(title, status))];
    put(created(Status::Draft), wanted("Cup", false, Some(1))).then(replaced("Cup", Status::Draft));
    put(created(Status::Draft), wanted("Mug", true, None)).then(replaced("Mug", Status::Published));
    put(created(Status::Published), wanted("Mug", false, None)).then(replaced("Mug", Status::Unpublished));
    put(created(Status::Published), wanted("Mug", true, Some(1))).then_nothing();
    put(created(Status::Draft), wanted("Mug", false, None)).then_nothing();
}

#[test]
fn putting_refuses_an_old_version_and_an_archived_product() {
    let put =
        |events, put: Put| Given::<Products>::events(events).when(move |record| product::put(record, &put));
    assert_eq!(
        put(created(Status::Draft), wanted("Cup", false, Some(7))).then_rejects(VERSION_MISMATCH).code,
        Code::Aborted
    );
    put(created(Status::Draft), wanted("Mug", false, Some(7))).then_rejects(VERSION_MISMATCH);
    put(vec![], wanted("Mug", false, Some(1))).then_rejects(VERSION_MISMATCH);
    let archived = vec![RecordEvent::Created(product("Mug", Status::Draft)), RecordEvent::Retired];
    put(archived, wanted("Mug", true, None)).then_rejects(PRODUCT_ARCHIVED);
}

#[test]
fn the_lifecycle_goes_only_its_way() {
    let given = Given::<Products>::events;
    let replaced = |status| vec![RecordEvent::Replaced(product("Mug", status))];
    given(created(Status::Draft)).when(|r| show(r, true)).then(replaced(Status::Published));
    given(created(Status::Draft)).when(|r| show(r, false)).then_nothing();
    given(created(Status::Published)).when(|r| show(r, true)).then_nothing();
    given(created(Status::Published)).when(|r| show(r, false)).then(replaced(Status::Unpublished));
    given(created(Status::Unpublished)).when(|r| show(r, true)).then(replaced(Status::Published));
    given(created(Status::Published)).when(archive).then(vec![RecordEvent::Retired]);
    given(vec![]).when(archive).then_rejects("NOT_FOUND");
    given(vec![]).when(|r| show(r, true)).then_rejects("NOT_FOUND");
    let archived = || given(created(Status::Published)).and(vec![RecordEvent::Retired]);
    archived().when(archive).then_nothing();
    archived().when(|r| show(r, true)).then_rejects(PRODUCT_ARCHIVED);
    archived().when(|r| show(r, false)).then_rejects(PRODUCT_ARCHIVED);
}

#[test]
fn a_sku_of_another_product_is_refused_by_name_and_unowned_ones_are_claimed() {
    let owners = [(sku("M-1"), id(1).to_string()), (sku("X"), id(2).to_string())].into();
    let shelf = TestShelf { owners, ..TestShelf::default() };
    let decided = put_with(&shelf, &Record::Absent, &["M-1", "M-2"], &[]).expect("free or own");
    assert_eq!(decided.claims, [sku("M-2")]);
    let refused = put_with(&shelf, &Record::Absent, &["M-1", "X"], &[]).expect_err("X is another's");
    assert_eq!((refused.reason, refused.metadata["sku"].as_str()), (SKU_TAKEN, "X"));
    assert_eq!(refused.metadata["product_id"], id(2).to_string());
}

#[test]
fn a_handle_that_another_product_got_first_is_told_before_its_skus() {
    let handle: Handle = "mug".parse().expect("valid");
    let shelf = |owner: u8| TestShelf {
        handles: [(handle.clone(), id(owner).to_string())].into(),
        owners: [(sku("M-1"), id(owner).to_string())].into(),
        ..TestShelf::default()
    };
    let refused = put_with(&shelf(2), &Record::Absent, &["M-1"], &[]).expect_err("another's");
    assert_eq!(
        (refused.reason, refused.metadata["product_id"].as_str()),
        (HANDLE_TAKEN, id(2).to_string().as_str())
    );
    assert!(put_with(&shelf(1), &Record::Absent, &["M-1"], &[]).is_ok());
}

#[test]
fn only_prices_that_differ_are_added() {
    let (gb, de) = (market("GB"), market("DE"));
    let before: PriceList = fold(&set_price(&PriceList::default(), &sku("M-1"), &gb, pence(100), at(1)));
    let shelf = TestShelf { prices: [(sku("M-1"), before)].into(), ..TestShelf::default() };
    let decided =
        put_with(&shelf, &Record::Absent, &["M-1"], &[("M-1", "GB", 100), ("M-1", "DE", 120)]).expect("fine");
    let [(priced, events)] = &decided.prices[..] else { panic!("one SKU's prices: {decided:?}") };
    let expected =
        PriceSet { sku: sku("M-1"), market: de, amount: pence(120), price_version: 1, valid_from: at(5) };
    assert_eq!((priced, events), (&sku("M-1"), &vec![PriceEvent::PriceSet(expected)]));
    let quiet = put_with(&shelf, &Record::Absent, &["M-1"], &[("M-1", "GB", 100)]).expect("fine");
    assert!(quiet.prices.is_empty());
}

#[test]
fn prices_are_only_ever_added_to_and_never_two_at_one_instant() {
    let (it, gb) = (sku("M-1"), market("GB"));
    let (mut list, mut history) = (PriceList::default(), Vec::new());
    for (amount, second) in [(100, 1), (120, 1), (120, 2), (90, 2), (0, 1)] {
        for event in set_price(&list, &it, &gb, pence(amount), at(second)) {
            list.evolve(&event);
            history.push(event);
        }
    }
    assert_eq!(history.len(), 4, "the repeated price adds nothing");
    assert_eq!(list.current(&gb).map(|p| (p.amount, p.price_version)), Some((pence(0), 4)));
    assert_eq!(list.current(&market("DE")), None);
    assert_eq!(invariants::one_price_at_a_time(&history), Ok(()));
    assert_eq!(invariants::no_negative_price(&history), Ok(()));
}

#[test]
fn a_price_needs_a_known_sku() {
    let set = |owner: Option<&str>| {
        super::set_price(owner, &PriceList::default(), (&sku("M-1"), &market("GB"), pence(1)), at(1))
    };
    assert_eq!(set(None).expect_err("nobody has it").reason, UNKNOWN_SKU);
    assert_eq!(set(Some(&id(1).to_string())).map(|events| events.len()), Ok(1));
}

#[test]
fn invariants_notice_what_they_are_for() {
    let set = |version, second, minor| {
        let (sku, market) = (sku("M-1"), market("GB"));
        PriceEvent::PriceSet(PriceSet {
            sku,
            market,
            amount: pence(minor),
            price_version: version,
            valid_from: at(second),
        })
    };
    assert!(invariants::one_price_at_a_time(&[set(1, 1, 5), set(3, 2, 6)]).is_err());
    assert!(invariants::one_price_at_a_time(&[set(1, 1, 5), set(2, 1, 6)]).is_err());
    assert!(invariants::no_negative_price(&[set(1, 1, -1)]).is_err());
    let other = Product { id: id(2), ..product("Cup", Status::Draft) };
    let reused = [
        RecordEvent::Created(product("Mug", Status::Draft)),
        RecordEvent::Retired,
        RecordEvent::Created(other),
    ];
    assert!(invariants::skus_are_never_reused(&reused).is_err());
    assert_eq!(invariants::skus_are_never_reused(&reused[..2]), Ok(()));
}

#[test]
fn titles_are_made_of_what_is_there() {
    let variant = |title: &str, values: &[&str]| Variant {
        sku: sku("x"),
        title: title.into(),
        option_values: values.iter().map(|v| (*v).to_owned()).collect(),
        tax_class: None,
    };
    let content = content("Mug", &["M-1"]);
    assert_eq!(content.sold_title(&variant("", &[])), "Mug");
    assert_eq!(content.sold_title(&variant("", &["large", "red"])), "Mug, large / red");
    assert_eq!(content.sold_title(&variant("Giant", &["large"])), "Mug, Giant");
    assert_eq!(content.sold_title(&variant("Mug", &[])), "Mug");
}

/// A product of two variants with these tax classes, empty for none.
fn classed(product: &str, variants: [&str; 2]) -> Content {
    let class = |text: &str| text.parse::<tax::TaxClass>().ok();
    let mut content = (*content("Atlas", &["A-1", "A-2"])).clone();
    content.tax_class = class(product);
    for (variant, own) in content.variants.iter_mut().zip(variants) {
        variant.tax_class = class(own);
    }
    content
}

#[test]
fn a_tax_class_that_follows_from_the_rest_is_not_kept() {
    for (product, variants, kept) in [
        ("", ["", "standard"], classed("", ["", ""])),
        ("standard", ["books", ""], classed("", ["books", ""])),
        ("books", ["standard", "books"], classed("books", ["standard", ""])),
    ] {
        let content = classed(product, variants).with_classes_of(None);
        assert_eq!(content, kept);
        assert_eq!(kept.clone().with_classes_of(Some(&kept)), kept);
    }
    let atlas = classed("books", ["standard", ""]);
    let classes: Vec<String> =
        atlas.variants.iter().map(|variant| atlas.class_of(variant).to_string()).collect();
    assert_eq!(classes, ["standard", "books"]);
}

#[test]
fn who_says_nothing_about_taxes_changes_nothing_about_them() {
    let before = classed("books", ["", "zero"]);
    let after = |product, variants| classed(product, variants).with_classes_of(Some(&before));
    assert_eq!(after("", ["", ""]), before);
    assert_eq!(after("standard", ["", ""]), classed("", ["", "zero"]));
    assert_eq!(after("", ["zero", "books"]), classed("books", ["zero", ""]));
    let stored = Product { content: Arc::new(before.clone()), ..product("Atlas", Status::Published) };
    let put = |content: Content| Put { content: Arc::new(content), ..wanted("Atlas", true, None) };
    let given = || Given::<Products>::events(vec![RecordEvent::Created(stored.clone())]);
    given().when(|record| product::put(record, &put(classed("", ["", ""])))).then_nothing();
    let cleared = Product { content: Arc::new(classed("", ["", ""])), ..stored.clone() };
    let all_standard = put(classed("standard", ["standard", "standard"]));
    given().when(|record| product::put(record, &all_standard)).then(vec![RecordEvent::Replaced(cleared)]);
}

#[test]
fn handles_have_one_form() {
    for good in ["a", "0", "mug-2", "a--b-", &"x".repeat(100)] {
        assert!(good.parse::<Handle>().is_ok(), "{good}");
    }
    for bad in ["", "-a", "A", "a b", "ä", "a/b", &"x".repeat(101)] {
        assert!(bad.parse::<Handle>().is_err(), "{bad}");
    }
}

#[test]
fn golden_files_hold_every_stored_shape() {
    let mut book = (*content("Atlas", &["A-1", "A-2"])).clone();
    book.tax_class = "books".parse().ok();
    book.variants[1].tax_class = "zero".parse().ok();
    let taxed = Product { content: Arc::new(book), ..product("Atlas", Status::Draft) };
    let full = Content {
        title: "Mug".into(),
        description: "A mug.".into(),
        categories: vec!["Kitchen".into()],
        options: vec!["Size".into()],
        variants: vec![Variant {
            sku: sku(" 85123A "),
            title: "Big".into(),
            option_values: vec!["large".into()],
            tax_class: None,
        }],
        media: vec![product::Media { url: "/m.png".into(), alt: "a mug".into() }],
        vendor: "Acme".into(),
        tax_class: None,
    };
    let full = Product { content: Arc::new(full), ..product("Mug", Status::Published) };
    let events = [
        RecordEvent::Created(full),
        RecordEvent::Created(product("Mug", Status::Draft)),
        RecordEvent::Created(taxed),
        RecordEvent::Replaced(product("Cup", Status::Unpublished)),
        RecordEvent::Retired,
    ];
    golden::check(env!("CARGO_MANIFEST_DIR"), &events);
    let prices = set_price(&PriceList::default(), &sku("M-1"), &market("GB"), pence(255), at(1_800_000_000));
    golden::check(env!("CARGO_MANIFEST_DIR"), &prices);
}
