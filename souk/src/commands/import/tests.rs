//! Imports and exports over real connections, against a stand-in that answers as the catalog and the inventory
//! promise to. It lives here because no service may depend on this crate; the whole shop is tried elsewhere.
mod stand_in;

use super::*;
use crate::commands::export;
use crate::commands::up::Local;
use crate::rest::RestError;
use stand_in::StandIn;

const TWO: &str = "Handle,Title,Status,Variant SKU,Variant Inventory Qty,Variant Price\n\
                   mug,Mug,active,M/1,5,2.50\nhat,Hat,draft,H 1,0,9\n";

fn home() -> HomeMarket {
    HomeMarket { market: Market::try_new("GB").expect("good"), currency: currency("GBP").expect("known") }
}

fn catalogue(text: &str) -> Catalogue {
    shopify::read(text.as_bytes(), &home()).expect("a good file")
}

/// Imports a text: created, updated, unchanged, failed, stocked.
async fn import(shop: &StandIn, text: &str) -> Result<[usize; 5], Failure> {
    let main = Location::try_new("main").expect("good");
    let plan = Plan { location: Some(&main), concurrency: 4 };
    let done = load(&shop.rest(), &catalogue(text), &plan, &ProgressBar::hidden()).await?;
    let Summary { outcomes, delivered, .. } = done;
    Ok([outcomes.created, outcomes.updated, outcomes.unchanged, outcomes.failed.len(), delivered])
}

#[tokio::test]
async fn importing_a_file_again_changes_nothing() {
    let shop = StandIn::start().await;
    assert_eq!(import(&shop, TWO).await.expect("imported"), [2, 0, 0, 0, 1]);
    assert_eq!(import(&shop, TWO).await.expect("imported"), [0, 0, 2, 0, 0]);
    let dearer = TWO.replace("2.50", "2.60");
    assert_eq!(import(&shop, &dearer).await.expect("imported"), [0, 1, 1, 0, 0]);
    assert_eq!(shop.stock("M/1"), Some(5));
    assert_eq!(shop.stock("H 1"), None);
}

/// The same with every service of the shop behind the address instead of the stand-in.
#[tokio::test(flavor = "multi_thread")]
async fn the_whole_shop_takes_the_demo_and_gives_it_back() {
    let data = tempfile::tempdir().expect("a folder");
    let shop = Local::start(data.path()).await.expect("the folder is free");
    load_demo(&shop.url(), data.path()).await.expect("our own file");
    let rest = reach::staff(&shop.url(), data.path()).expect("the key is there");
    let exported = export::catalogue(&rest).await.expect("exported");
    let text = String::from_utf8(shopify::write(&exported, &home())).expect("text");
    let main = Location::try_new("main").expect("good");
    let plan = Plan { location: Some(&main), concurrency: 4 };
    let again = load(&rest, &catalogue(&text), &plan, &ProgressBar::hidden()).await.expect("imported");
    let demo = catalogue(shopify::DEMO);
    let unchanged = Outcomes { unchanged: demo.products.len(), ..Outcomes::default() };
    assert_eq!((again.outcomes, again.delivered), (unchanged, 0));
    let stock = |products: &[shopify::Product]| {
        let variants = products.iter().flat_map(|product| &product.variants);
        let levels =
            variants.map(|variant| (variant.sku.clone(), variant.stock.filter(|pieces| *pieces > 0)));
        levels.collect::<std::collections::BTreeMap<_, _>>()
    };
    assert_eq!(stock(&exported), stock(&demo.products));
    shop.stop().await;
}

#[tokio::test]
async fn what_was_sold_is_not_put_back_by_an_import() {
    let shop = StandIn::start().await;
    import(&shop, TWO).await.expect("imported");
    shop.sell("M/1", 5);
    let restocked = TWO.replace(",5,", ",7,");
    assert_eq!(import(&shop, &restocked).await.expect("imported"), [0, 0, 2, 0, 0]);
    assert_eq!(shop.stock("M/1"), Some(0));
}

#[tokio::test]
async fn a_delivery_whose_answer_was_lost_is_booked_once() {
    let shop = StandIn::start().await;
    shop.lose_answers_of("stock:receive", 1);
    assert_eq!(import(&shop, TWO).await.expect("imported"), [2, 0, 0, 0, 1]);
    assert_eq!(shop.stock("M/1"), Some(5));
    assert_eq!(shop.receipts(), 1);
}

#[tokio::test]
async fn the_demo_comes_back_as_it_went_in() {
    let shop = StandIn::start().await;
    let demo = catalogue(shopify::DEMO);
    let [created, .., stocked] = import(&shop, shopify::DEMO).await.expect("imported");
    assert_eq!((created, stocked), (demo.products.len(), demo.stock().count()));
    let exported = export::catalogue(&shop.rest()).await.expect("exported");
    let text = String::from_utf8(shopify::write(&exported, &home())).expect("text");
    assert_eq!(import(&shop, &text).await.expect("imported"), [0, 0, created, 0, 0]);
    let handles: Vec<_> = exported.iter().map(|product| product.handle.as_str()).collect();
    assert!(handles.is_sorted(), "{handles:?}");
    let again = export::catalogue(&shop.rest()).await.expect("exported");
    assert_eq!(again, exported);
}

#[tokio::test]
async fn a_refused_product_keeps_neither_others_nor_their_stock_back() {
    let shop = StandIn::start().await;
    shop.refuse("mug");
    let main = Location::try_new("main").expect("good");
    let plan = Plan { location: Some(&main), concurrency: 4 };
    let summary =
        load(&shop.rest(), &catalogue(TWO), &plan, &ProgressBar::hidden()).await.expect("the shop is there");
    assert_eq!((summary.outcomes.created, summary.delivered), (1, 0));
    assert_eq!(shop.stock("M/1"), None);
    let failure = summary.settle().expect_err("one was refused");
    assert_eq!(failure.code, exit::DATA);
    assert!(
        failure.message.contains("mug: the product is archived (PRODUCT_ARCHIVED, status 409)"),
        "{failure}"
    );
    assert_eq!(summary.json()["failures"][0]["handle"], "mug");
    let (_, RestError::Problem { metadata, .. }) = &summary.outcomes.failed[0] else { panic!("a refusal") };
    assert_eq!(metadata["handle"], "mug");
}

#[tokio::test]
async fn a_shop_that_is_gone_or_closed_ends_the_import() {
    let shop = StandIn::start().await;
    shop.dismiss();
    let failure = import(&shop, TWO).await.expect_err("nobody may");
    assert_eq!(failure.code, exit::PERMISSION);
    assert!(failure.message.contains("run the import again"), "{failure}");
}

#[tokio::test]
async fn without_a_location_stock_is_left_alone() {
    let shop = StandIn::start().await;
    let plan = Plan { location: None, concurrency: 1 };
    let done = load(&shop.rest(), &catalogue(TWO), &plan, &ProgressBar::hidden()).await.expect("imported");
    assert_eq!((done.outcomes.created, done.delivered, shop.receipts()), (2, 0, 0));
}

#[test]
fn a_summary_is_a_table_and_an_object() {
    let summary = Summary::unsent(&catalogue(TWO));
    assert!(summary.table().starts_with("what       count\nproducts       2\n"), "{}", summary.table());
    assert_eq!(summary.json()["variants"], 2);
    assert!(summary.settle().is_ok());
}

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    import: Import,
}

fn line(arguments: &[&str]) -> Result<Import, clap::Error> {
    let all = ["souk-import"].iter().chain(arguments);
    <Line as clap::Parser>::try_parse_from(all).map(|line| line.import)
}

#[test]
fn the_command_line_is_checked_before_anything_is_read() {
    let usual = line(&["products.csv"]).expect("a file is enough");
    assert_eq!((usual.location.as_str(), usual.concurrency, usual.no_stock), ("main", CONCURRENCY, false));
    assert_eq!(HomeMarket::from(usual.home), home());
    for bad in [
        &[][..],
        &["f", "--concurrency", "0"],
        &["f", "--concurrency", "257"],
        &["f", "--market", "gb"],
        &["f", "--currency", "XXX"],
        &["f", "--location", "Main Street"],
        &["f", "--url", "127.0.0.1:8080"],
    ] {
        assert!(line(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_dry_run_needs_no_shop_and_a_bad_file_none_either() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("products.csv");
    let run = |text: &str, flags: &[&str]| {
        std::fs::write(&path, text).expect("written");
        let path = path.to_str().expect("text");
        // A shop would have to be started here: nothing answers on port 1.
        let nowhere = ["--data", "/nowhere/at/all", "--url", "http://127.0.0.1:1"];
        let arguments: Vec<_> = [path].into_iter().chain(nowhere).chain(flags.iter().copied()).collect();
        line(&arguments).expect("well formed").run(None)
    };
    run(TWO, &["--dry-run"]).expect("the file is good");
    for flags in [&[][..], &["--dry-run"]] {
        let failure = run(&TWO.replace("2.50", "\"2,50\""), flags).expect_err("the file is bad");
        assert_eq!(failure.code, exit::DATA);
        assert!(failure.message.contains("row 2, Variant Price: \"2,50\" is not a price"), "{failure}");
    }
    let missing = line(&["/nowhere/at/all.csv"]).expect("well formed").run(None);
    assert_eq!(missing.expect_err("there is no such file").code, exit::IO);
}
