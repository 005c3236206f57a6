//! Imports into a whole shop, every service of it, and exports out of it.
use super::*;
use crate::commands::up::Local;
use crate::commands::{export, token};
use crate::rest::RestError;
use serde_json::json;
use souk_contracts::terms::Sku;
use std::collections::BTreeMap;
use std::time::Duration;

const TWO: &str = "Handle,Title,Status,Variant SKU,Variant Inventory Qty,Variant Price\n\
                   mug,Mug,active,M/1,5,2.50\nhat,Hat,draft,H 1,0,9\n";

fn home() -> HomeMarket {
    HomeMarket { market: Market::try_new("GB").expect("good"), currency: currency("GBP").expect("known") }
}

fn main() -> Location {
    Location::try_new("main").expect("good")
}

fn catalogue(text: &str) -> Catalogue {
    shopify::read(text.as_bytes(), &home()).expect("a good file")
}

struct Shop {
    local: Local,
    data: tempfile::TempDir,
}

impl Shop {
    async fn open() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let local = Local::start(data.path()).await.expect("the folder is free");
        Self { local, data }
    }

    fn sales(&self) -> Rest {
        reach::staff(&self.local.url(), self.data.path()).expect("the key is there")
    }

    fn admin(&self) -> Rest {
        let token = token::staff(self.data.path(), souk_user::Role::Admin, Duration::from_secs(60))
            .expect("the key is there");
        Rest::new(&self.local.url(), Some(token))
    }

    async fn load(&self, text: &str, location: Option<&Location>) -> Summary {
        let plan = Plan { location, concurrency: 4 };
        load(&self.sales(), &catalogue(text), &plan, &ProgressBar::hidden()).await.expect("the shop is there")
    }

    /// Imports a text: created, updated, unchanged, failed, stocked.
    async fn import(&self, text: &str) -> [usize; 5] {
        counts(&self.load(text, Some(&main())).await)
    }

    async fn preview(&self, text: &str) -> Summary {
        let plan = Plan { location: Some(&main()), concurrency: 4 };
        let bar = ProgressBar::hidden();
        preview(&self.sales(), &catalogue(text), &plan, &bar).await.expect("the shop is there")
    }

    async fn level(&self, sku: &str) -> stock::Level {
        let sku = Sku::try_new(sku).expect("good");
        stock::levels(&self.sales(), &[&sku]).await.expect("the shop answers")[sku.as_str()]
    }
}

fn counts(Summary { outcomes, stock, .. }: &Summary) -> [usize; 5] {
    let failed = outcomes.failed.len();
    [outcomes.created, outcomes.updated, outcomes.unchanged, failed, stock.delivered]
}

#[tokio::test(flavor = "multi_thread")]
async fn importing_a_file_again_changes_nothing() {
    let shop = Shop::open().await;
    assert_eq!(shop.import(TWO).await, [2, 0, 0, 0, 1]);
    assert_eq!(shop.import(TWO).await, [0, 0, 2, 0, 0]);
    let renamed = TWO.replace("Mug", "Beaker");
    assert_eq!(shop.import(&renamed).await, [0, 1, 1, 0, 0]);
    assert_eq!(shop.level("M/1").await, stock::Level::OnHand(5));
    assert_eq!(shop.level("H 1").await, stock::Level::Unknown);
    shop.local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_title_that_follows_from_the_rest_makes_no_difference() {
    const TITLED: &str = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Title,Variant Price\n\
                          mug,Mug,Size,Small,M-1,Small,2.50\nmug,,,Large,M-2,The big one,3\nhat,Hat,,,H-1,Hat,9\n";
    let shop = Shop::open().await;
    assert_eq!(shop.import(TITLED).await, [2, 0, 0, 0, 0]);
    let exported = export::catalogue(&shop.sales()).await.expect("exported");
    let text = String::from_utf8(shopify::write(&exported, &home())).expect("text");
    assert_ne!(text, TITLED);
    assert_eq!(shop.import(&text).await, [0, 0, 2, 0, 0], "{text}");
    assert_eq!(shop.import(TITLED).await, [0, 0, 2, 0, 0]);
    shop.local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shop_answers_for_500_skus_at_once_and_says_so_when_they_are_more() {
    let shop = Shop::open().await;
    let rest = shop.sales();
    for (path, list) in [("/api/v1/stock?", "levels"), ("/api/v1/variants:batchGet?market=GB&", "results")] {
        let ask = |count: u32| {
            let skus: Vec<String> = (0..count).map(|n| format!("skus=85123-{n:05}")).collect();
            let path = format!("{path}{}", skus.join("&"));
            let rest = rest.clone();
            async move { rest.get(&path).await }
        };
        let answer = ask(500).await.expect("contracts allow 500");
        assert_eq!(answer.body[list].as_array().map(Vec::len), Some(500), "{path}");
        let Err(RestError::Problem { status, fields, .. }) = ask(501).await else { panic!("one too many") };
        assert_eq!((status, fields[0].0.as_str()), (400, "skus"), "{path}");
    }
    shop.local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_price_is_an_update() {
    let shop = Shop::open().await;
    shop.import(TWO).await;
    let dearer = TWO.replace("2.50", "2.60");
    assert_eq!(shop.import(&dearer).await, [0, 1, 1, 0, 0]);
    let exported = export::catalogue(&shop.sales()).await.expect("exported");
    let mug = exported.iter().find(|product| product.handle == "mug").expect("it was imported");
    assert_eq!(mug.variants[0].prices[&home().market].to_string(), "2.60 GBP");
    shop.local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_comes_back_as_it_went_in() {
    let shop = Shop::open().await;
    load_demo(&shop.local.url(), shop.data.path()).await.expect("our own file");
    let exported = export::catalogue(&shop.sales()).await.expect("exported");
    let text = String::from_utf8(shopify::write(&exported, &home())).expect("text");
    let demo = catalogue(shopify::DEMO);
    assert_eq!(shop.import(&text).await, [0, 0, demo.products.len(), 0, 0]);
    let stock = |products: &[shopify::Product]| {
        let variants = products.iter().flat_map(|product| &product.variants);
        let levels =
            variants.map(|variant| (variant.sku.clone(), variant.stock.filter(|pieces| *pieces > 0)));
        levels.collect::<BTreeMap<_, _>>()
    };
    assert_eq!(stock(&exported), stock(&demo.products));
    let handles: Vec<_> = exported.iter().map(|product| product.handle.as_str()).collect();
    assert!(handles.is_sorted(), "{handles:?}");
    shop.local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_is_not_put_back_by_an_import() {
    let shop = Shop::open().await;
    shop.import(TWO).await;
    let taken =
        json!({"adjustmentId": "a", "sku": "M/1", "location": "main", "delta": "-5", "reason": "broken"});
    shop.admin().post("/api/v1/stock:adjust", &taken).await.expect("there are five");
    let restocked = TWO.replace(",5,", ",7,");
    let summary = shop.load(&restocked, Some(&main())).await;
    assert_eq!(counts(&summary), [0, 0, 2, 0, 0]);
    assert_eq!((summary.stock.differing, &summary.json()["stockDiffers"]), (1, &json!(1)));
    assert!(summary.table().ends_with("stock of 1 SKU differs and was left alone\n"), "{}", summary.table());
    assert_eq!(shop.level("M/1").await, stock::Level::OnHand(0));
    let sold_out = TWO.replace(",5,", ",0,");
    assert_eq!(shop.load(&sold_out, Some(&main())).await.stock, Stocked::default(), "none is what it has");
    let unknown = TWO.replace(",5,", ",,");
    assert_eq!(shop.load(&unknown, Some(&main())).await.stock, Stocked::default());
    shop.local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_sent_twice_is_booked_once() {
    let shop = Shop::open().await;
    let catalogue = catalogue(TWO);
    let lines: Vec<_> = catalogue.stock().filter(|(_, pieces)| *pieces > 0).collect();
    for _ in 0..2 {
        stock::receive(&shop.sales(), &catalogue.hash, &main(), &lines)
            .await
            .expect("booked, or booked before");
    }
    assert_eq!(shop.level("M/1").await, stock::Level::OnHand(5));
    shop.local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_product_keeps_others_in_and_its_own_stock_out() {
    let shop = Shop::open().await;
    shop.load(TWO, None).await;
    shop.sales().post("/api/v1/products/mug:archive", &json!({})).await.expect("sales may");
    let summary = shop.load(TWO, Some(&main())).await;
    assert_eq!((summary.outcomes.unchanged, summary.stock.delivered), (1, 0));
    assert_eq!(shop.level("M/1").await, stock::Level::Unknown);
    let failure = summary.settle().expect_err("one was refused");
    assert_eq!(failure.code, exit::DATA);
    assert!(failure.message.starts_with("1 product was refused:\n  mug: "), "{failure}");
    assert!(failure.message.contains("PRODUCT_ARCHIVED"), "{failure}");
    let foreseen = shop.preview(TWO).await;
    assert_eq!(counts(&foreseen), counts(&summary));
    let failure = foreseen.settle().expect_err("one would be");
    assert!(failure.message.starts_with("1 product would be refused:\n  mug: "), "{failure}");
    assert!(failure.message.contains("PRODUCT_ARCHIVED"), "{failure}");
    assert_eq!(summary.json()["failures"][0]["handle"], "mug");
    let (_, RestError::Problem { status, metadata, .. }) = &summary.outcomes.failed[0] else {
        panic!("a refusal")
    };
    assert_eq!((*status, metadata["handle"].as_str()), (409, "mug"));
    shop.local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_whom_the_shop_does_not_know_ends_the_import() {
    let shop = Shop::open().await;
    let nobody = Rest::new(&shop.local.url(), Some("no.token.atall".to_owned()));
    let plan = Plan { location: Some(&main()), concurrency: 4 };
    let failure =
        load(&nobody, &catalogue(TWO), &plan, &ProgressBar::hidden()).await.expect_err("nobody may");
    assert_eq!(failure.code, exit::PERMISSION);
    assert!(failure.message.contains("run the import again"), "{failure}");
    shop.local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_location_stock_is_left_alone() {
    let shop = Shop::open().await;
    let summary = shop.load(TWO, None).await;
    assert_eq!((summary.outcomes.created, summary.stock.delivered), (2, 0));
    assert_eq!(shop.level("M/1").await, stock::Level::Unknown);
    shop.local.stop().await;
}

#[test]
fn a_summary_is_a_table_and_an_object() {
    let checked = Summary::of_file(&catalogue(TWO));
    assert_eq!(
        checked.table(),
        "what      count\nproducts      2\nvariants      2\n",
        "no zeros for the unknown"
    );
    assert_eq!(checked.json(), json!({"products": 2, "variants": 2, "dryRun": true}));
    assert!(checked.settle().is_ok());
    let sent = Summary { extent: Extent::Import, ..checked };
    assert!(sent.table().ends_with("stocked        0\n"), "{}", sent.table());
    assert_eq!((&sent.json()["dryRun"], &sent.json()["stockDiffers"]), (&json!(false), &json!(0)));
}

/// A variant whose title follows, one without options, and pictures.
const PICTURED: &str = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Title,Variant Price,\
                        Variant Inventory Qty,Image Src,Image Alt Text,Published\n\
                        mug,Mug,Size,Small,M-1,Small,2.50,5,/m.png,a mug,TRUE\n\
                        mug,,,Large,M-2,The big one,3,,https://example.com/m2.png,,\n\
                        hat,Hat,,,H-1,Hat,9,2,,,FALSE\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_says_what_the_import_then_does_and_does_nothing() {
    let shop = Shop::open().await;
    let changes: [fn(&str) -> String; 8] = [
        str::to_owned,
        str::to_owned,
        |text| text.replace("2.50", "2.60"),
        |text| text.replace("a mug", "the mug"),
        |text| text.replace(",FALSE", ",TRUE"),
        |text| text.replace(",TRUE", ",FALSE"),
        |text| text.replace("The big one", "").replace(",5,", ",6,"),
        |text| format!("{text}cap,Cap,,,C-1,,4,1,,,\n"),
    ];
    let mut text = PICTURED.to_owned();
    for change in changes {
        text = change(&text);
        let foreseen = shop.preview(&text).await;
        assert_eq!(shop.preview(&text).await, foreseen, "a preview changes nothing");
        let done = shop.load(&text, Some(&main())).await;
        assert_eq!(foreseen, Summary { extent: Extent::Preview, ..done }, "{text}");
    }
    let last = shop.preview(&text).await;
    assert_eq!((counts(&last), last.stock.differing), ([0, 0, 3, 0, 0], 1));
    let table = last.table();
    assert!(table.contains("to create") && table.ends_with("differs and would be left alone\n"), "{table}");
    shop.local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_asks_the_shop_that_listens_and_starts_none() {
    let shop = Shop::open().await;
    shop.import(TWO).await;
    let url = shop.local.url();
    let data = shop.data.path().to_str().expect("text");
    let extent = async |url: &str| {
        let import = line(&["f", "--dry-run", "--url", url, "--data", data]).expect("well formed");
        import.try_out(None, &catalogue(TWO)).await.expect("the file is good")
    };
    let asked = extent(&url).await;
    assert_eq!((asked.extent, counts(&asked)), (Extent::Preview, [0, 0, 2, 0, 0]));
    shop.local.stop().await;
    assert_eq!(extent(&url).await.extent, Extent::File);
}

#[test]
fn the_help_says_what_happens_to_stock_and_who_serves_meanwhile() {
    let help = <Line as clap::CommandFactory>::command().render_long_help().to_string();
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in ["Only SKUs that were never in stock are stocked", "started meanwhile"] {
        assert!(words.contains(said), "{words}");
    }
}

#[test]
fn problems_are_counted_in_the_message_and_listed_in_the_json() {
    let bad = TWO.replace("2.50", "\"2,50\"");
    let refused = shopify::read(bad.as_bytes(), &home()).expect_err("bad");
    let as_json = line(&["f", "--output", "json"]).expect("well formed").refused(&refused);
    assert_eq!(as_json.message, "the file has 1 problem; nothing was written");
    assert_eq!((as_json.code, refused.json()["total"].as_u64()), (exit::DATA, Some(1)));
    let problem = &refused.json()["problems"][0];
    assert_eq!((&problem["row"], &problem["column"]), (&json!(2), &json!("Variant Price")));
    assert!(problem["problem"].as_str().expect("a sentence").contains("is not a price"), "{problem}");
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
