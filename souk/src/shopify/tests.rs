use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

fn home() -> HomeMarket {
    let market = Market::try_new("GB").expect("two letters");
    HomeMarket { market, currency: Currency::parse("GBP").expect("known") }
}

fn read_text(text: &str) -> Result<Catalogue, Refused> {
    read(text.as_bytes(), &home())
}

/// A file of the usual columns with these rows.
const HEADER: &str = "Handle,Title,Published,Status,Option1 Name,Option1 Value,Option2 Name,Option2 Value,\
    Variant SKU,Variant Inventory Qty,Variant Price,Price / US (USD),Image Src,Image Position,Image Alt Text";

fn file(rows: &[&str]) -> String {
    format!("{HEADER}\n{}\n", rows.join("\n"))
}

/// The problems of a file as `row column: sentence`.
fn problems(text: &str) -> Vec<String> {
    let refused = read_text(text).expect_err("it must be refused");
    refused.problems.iter().map(|p| format!("{} {}: {}", p.row, p.column, p.sentence)).collect()
}

#[test]
fn the_demo_is_read_without_a_note_and_has_what_a_shop_needs() {
    let demo = read_text(DEMO).expect("our own file");
    assert_eq!(demo.notes, Vec::<String>::new());
    assert!(demo.products.len() >= 60, "{}", demo.products.len());
    assert!(demo.variants() >= 150, "{}", demo.variants());
    let markets: HashSet<_> =
        demo.products.iter().flat_map(|p| &p.variants).flat_map(|v| v.prices.keys()).collect();
    assert_eq!(markets.len(), 2);
    let texts: HashSet<_> = demo.products.iter().map(|p| &p.description).collect();
    assert_eq!(texts.len(), demo.products.len(), "every product has a text of its own");
    for product in &demo.products {
        assert!(product.description.len() > 60, "{}", product.handle);
        assert!(!product.description.contains('<'), "{}", product.handle);
        assert!(!product.categories.is_empty() && !product.vendor.is_empty(), "{}", product.handle);
        assert!(product.media.is_empty(), "{}: nobody serves pictures of it", product.handle);
    }
}

#[test]
fn rows_of_one_product_need_not_stand_together() {
    let text = file(&[
        "mug,Mug,TRUE,active,Size,small,Colour,red,M-1,5,2.50,3.20,/m1.png,2,a mug",
        "hat,Hat,,,Title,Default Title,,,H-1,,9,,,,",
        "mug,,,,,large,,red,M-2,0,3,,/m0.png,1,",
        "mug,,,,,,,,,,,,/m2.png,3,from behind",
    ]);
    let catalogue = read_text(&text).expect("good");
    let [mug, hat] = &catalogue.products[..] else { panic!("two products") };
    assert_eq!(
        (mug.handle.as_str(), mug.options.as_slice()),
        ("mug", &["Size".to_owned(), "Colour".to_owned()][..])
    );
    assert_eq!(mug.variants[1].option_values, ["large", "red"]);
    let urls: Vec<_> = mug.media.iter().map(|media| media.url.as_str()).collect();
    assert_eq!(urls, ["/m0.png", "/m1.png", "/m2.png"]);
    let prices: Vec<_> = mug.variants[0].prices.iter().map(|(m, a)| format!("{m} {a}")).collect();
    assert_eq!(prices, ["GB 2.50 GBP", "US 3.20 USD"]);
    assert!(hat.options.is_empty() && hat.variants[0].option_values.is_empty());
    let stock: Vec<_> = catalogue.stock().map(|(sku, pieces)| (sku.as_str(), pieces)).collect();
    assert_eq!(stock, [("M-1", 5), ("M-2", 0)], "none is stated, unknown is not");
}

#[test]
fn headers_are_read_leniently() {
    let text = "\u{feff} HANDLE ,title,BODY (html),variant  sku,Variant Grams,Price / United States,Variant Price EUR / x,Variant Price\n\
                a,A,<p>x</p>,S,20,1.00,9,2.00\n";
    let catalogue = read_text(text).expect("good");
    assert_eq!(catalogue.products[0].description, "x");
    assert_eq!(catalogue.products[0].variants[0].prices.len(), 2);
    assert_eq!(
        catalogue.notes,
        ["columns that say nothing to Souk were ignored: Variant Grams, Variant Price EUR / x"]
    );
    let text =
        "URL handle,Title,SKU,Price USD,Price / DE (EUR),price gbp,Inventory quantity\na,A,S,1,2,3,4\n";
    let markets: Vec<_> =
        read_text(text).expect("good").products[0].variants[0].prices.keys().cloned().collect();
    assert_eq!(markets.iter().map(Market::as_str).collect::<Vec<_>>(), ["DE", "GB", "US"]);
}

#[test]
fn headers_that_leave_a_doubt_are_refused() {
    for (text, expected) in [
        ("", "1 row: the file is empty; it must begin with a header"),
        (
            "Handle;Title;Variant SKU\n",
            "1 Handle: there is no such column; save the file with commas between columns, not semicolons",
        ),
        ("Handle,Title\n", "1 Variant SKU: there is no such column"),
        ("Handle,Title,SKU,Variant SKU\n", "1 Variant SKU: says the same as column 3, \"SKU\""),
        (
            "Handle,Title,SKU,Variant Price EUR\n",
            "1 Variant Price EUR: more than one market uses EUR; name the column after one, such as \"Price / DE (EUR)\"",
        ),
        (
            "Handle,Title,SKU,Price / Narnia (EUR)\n",
            "1 Price / Narnia (EUR): \"narnia\" is no country that Souk knows; use its two-letter code",
        ),
    ] {
        assert_eq!(problems(text)[0], expected);
    }
}

/// Each row follows a good first row `mug` with SKU `M-1` and the options Size and Colour.
const BAD_ROWS: &[(&str, &str)] = &[
    (",Cup,,,,,,,C,,,,,,", "Handle: every row names its product here; this one names none"),
    (
        "Big_Mug,Cup,,,,,,,C,,,,,,",
        "Handle: \"Big_Mug\" must be 1 to 100 lower-case letters, digits and hyphens, and not begin with a hyphen",
    ),
    (
        "-cup,Cup,,,,,,,C,,,,,,",
        "Handle: \"-cup\" must be 1 to 100 lower-case letters, digits and hyphens, and not begin with a hyphen",
    ),
    ("cup,,,,,,,,C,,,,,,", "Title: no row of cup says what it is called"),
    ("mug,Cup,,,,m,,red,C,,,,,,", "Title: \"Cup\" is not what row 2 says of the same product"),
    ("mug,,,,,m,,red,,,4.00,,,,", "Variant SKU: a variant needs a SKU, by which it is stocked and sold"),
    ("mug,,,,,m,,red,M-1,,,,,,", "Variant SKU: \"M-1\" stands in row 2 already"),
    ("cup,Cup,,,,,,,M-1,,,,,,", "Variant SKU: \"M-1\" stands in row 2 already"),
    ("cup,Cup,,,,,,,,,,,/c.png,,", "Variant SKU: cup has no variant that could be bought"),
    ("mug,,,,,m,,,C,,,,,,", "Option2 Value: the variant needs a value of \"Colour\""),
    (
        "mug,,,,,small,,red,C,,,,,,",
        "Option1 Value: row 2 has the same option values; nothing tells the two variants apart",
    ),
    ("cup,Cup,,,,m,,,C,,,,,,", "Option1 Name: the option needs a name"),
    ("cup,Cup,,,Size,m,Size,n,C,,,,,,", "Option2 Name: \"Size\" is the name of two options"),
    ("cup,Cup,,,,,,,C,some,,,,,", "Variant Inventory Qty: \"some\" is not a whole number"),
    ("cup,Cup,,,,,,,C,1.5,,,,,", "Variant Inventory Qty: \"1.5\" is not a whole number"),
    ("cup,Cup,,,,,,,C,+5,,,,,", "Variant Inventory Qty: \"+5\" is not a whole number"),
    ("cup,Cup,,,,,,,C,-3,,,,,", "Variant Inventory Qty: -3 is below zero, which stock never is; write 0"),
    ("cup,Cup,,,,,,,C,1000000001,,,,,", "Variant Inventory Qty: 1000000001 is over 1000000000"),
    (
        "cup,Cup,,,,,,,C,,\"1,234.50\",,,,",
        "Variant Price: \"1,234.50\" is not a price: write it without separators between thousands",
    ),
    (
        "cup,Cup,,,,,,,C,,\"12,50\",,,,",
        "Variant Price: \"12,50\" is not a price: write 1234.50: a point before the decimals, and nothing between thousands",
    ),
    ("cup,Cup,,,,,,,C,,2.505,,,,", "Variant Price: \"2.505\" is not a price: GBP has 2 decimals"),
    (
        "cup,Cup,,,,,,,C,,,$4,,,",
        "Price / US (USD): \"$4\" is not a price: it must be a decimal number such as 12.50, without a currency sign",
    ),
    ("cup,Cup,,,,,,,C,,-1,,,,", "Variant Price: \"-1\" is not a price: it is below zero"),
    ("cup,Cup,maybe,,,,,,C,,,,,,", "Published: \"maybe\" is neither TRUE nor FALSE"),
    ("cup,Cup,,gone,,,,,C,,,,,,", "Status: \"gone\" is neither active nor draft nor archived"),
    (
        "cup,Cup,,,,,,,C,,,,javascript:x,,",
        "Image Src: \"javascript:x\" must be an http or https address, or a path that begins with /, of at most 2000 bytes and without spaces",
    ),
    ("cup,Cup,,,,,,,C,,,,/c.png,first,", "Image Position: \"first\" is not a whole number"),
    ("cup,\"Cu\np\",,,,,,,C,,,,,,", "Title: \"Cu\\np\" contains a line break or another control character"),
    ("mug,,,,,,,,,,,,,,", "row: it has neither a variant (Variant SKU) nor a picture (Image Src)"),
    ("cup,Cup,,,,,,,C,,,,,,,surplus", "row: it has 16 columns, the header has 15"),
];

#[test]
fn each_bad_row_is_named_with_its_row_and_column_and_nothing_else_is() {
    const GOOD: &str = "mug,Mug,,,Size,small,Colour,red,M-1,5,2.50,3.20,,,";
    read_text(&file(&[GOOD])).expect("the first row alone is good");
    for (row, expected) in BAD_ROWS {
        assert_eq!(problems(&file(&[GOOD, row])), [format!("3 {expected}")], "{row}");
    }
}

#[test]
fn all_problems_are_found_at_once_in_order_of_rows() {
    let text = file(&["a,,,,,,,,S,x,1.234,y,,,", "b,B,perhaps,,,,,,S,,,,,,"]);
    let columns: Vec<_> =
        read_text(&text).expect_err("bad").problems.into_iter().map(|p| (p.row, p.column)).collect();
    let expected = [
        (2, "Variant Inventory Qty"),
        (2, "Variant Price"),
        (2, "Price / US (USD)"),
        (2, "Title"),
        (3, "Variant SKU"),
        (3, "Published"),
    ];
    assert_eq!(columns, expected.map(|(row, column)| (row, column.to_owned())));
}

#[test]
fn a_market_may_be_named_twice_but_not_be_contradicted() {
    let text = "Handle,Title,SKU,Variant Price,Price / GB (EUR),Price / United Kingdom\n\
                a,A,S,1.00,2.00,\nb,B,T,,2.00,\nc,C,U,1.50,,1.5\nd,D,V,1.50,,1.51\n";
    let expected = [
        "2 Price / GB (EUR): the variant has another price for GB already: 1.00 GBP",
        "5 Price / United Kingdom: the variant has another price for GB already: 1.50 GBP",
    ];
    assert_eq!(problems(text), expected);
}

#[test]
fn text_that_is_not_utf8_is_named() {
    let bytes = b"Handle,Title,SKU\na,Caf\xe9,S\n";
    let problem = &read(bytes, &home()).expect_err("bad").problems[0];
    assert_eq!(problem.to_string(), "row 2, Title: is not UTF-8 text; save the file as CSV UTF-8");
}

#[test]
fn what_customers_see_follows_from_published_and_status() {
    for (published, status, expected) in [
        ("", "", Status::Published),
        ("true", "Active", Status::Published),
        ("FALSE", "active", Status::Unpublished),
        ("TRUE", "draft", Status::Draft),
        ("TRUE", "archived", Status::Draft),
    ] {
        let catalogue = read_text(&file(&[&format!("a,A,{published},{status},,,,,S,,,,,,")])).expect("good");
        assert_eq!(catalogue.products[0].status, expected, "{published} {status}");
        assert_eq!(catalogue.notes.len(), usize::from(status == "archived"));
    }
}

#[test]
fn the_demo_survives_being_written_and_sent() {
    let demo = read_text(DEMO).expect("our own file").products;
    assert_eq!(read(&write(&demo, &home()), &home()).expect("our own file").products, demo);
}

fn text(pattern: &'static str) -> impl Strategy<Value = String> {
    pattern.prop_map(|text: String| text)
}

/// Any texts that the catalog takes, odd ones included.
const ODD: &str = "[ab <>&\",;'|=é\u{a0}\u{feff}😀]{1,6}";

fn variant(options: usize) -> impl Strategy<Value = Variant> {
    let values = prop::collection::vec(text(ODD), options);
    let prices = prop::collection::btree_map(
        prop::sample::select(vec!["GB", "US", "JP", "XX"]),
        (0..2usize, 0..100_000_i64),
        0..4,
    );
    let title = prop_oneof![Just(String::new()), text(ODD)];
    (text(ODD), title, values, prices, prop::option::of(0..STOCK)).prop_map(
        |(sku, title, option_values, prices, stock)| {
            let price = |(market, (currency, minor)): (&str, (usize, i64))| {
                let currency = Currency::parse(["GBP", "KWD"][currency]).expect("known");
                (Market::try_new(market).expect("two letters"), Money::new(minor, currency))
            };
            let prices = prices.into_iter().map(price).collect();
            Variant { sku: Sku::try_new(sku).expect("short"), title, option_values, prices, stock }
        },
    )
}

const STOCK: i64 = 1_000;

fn product() -> impl Strategy<Value = Product> {
    let media = (prop::sample::select(vec!["/a.png", "https://x/b"]), "[a \"é]{0,4}");
    let media = prop::collection::vec(media.prop_map(|(url, alt)| Media { url: url.to_owned(), alt }), 0..4);
    let status = prop::sample::select(vec![Status::Published, Status::Unpublished, Status::Draft]);
    let options = prop::collection::btree_set(text(ODD), 0..4);
    options.prop_flat_map(move |options| {
        let variants = prop::collection::vec(variant(options.len()), 1..4);
        let categories = prop::collection::btree_set(text(ODD), 0..5);
        let words = (text(ODD), text("[ab <>&;\n\r\t\"é]{0,20}"), "[a \"é]{0,4}");
        (words, categories, variants, media.clone(), status.clone()).prop_map(
            move |((title, description, vendor), categories, mut variants, media, status)| {
                let mut seen = HashSet::new();
                variants.retain(|variant| seen.insert(variant.option_values.clone()));
                Product {
                    handle: "x".to_owned(),
                    title,
                    description,
                    vendor,
                    categories: categories.into_iter().collect(),
                    options: options.iter().cloned().collect(),
                    variants,
                    media,
                    status,
                }
            },
        )
    })
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_again(products in prop::collection::vec(product(), 1..4)) {
        let mut skus = HashSet::new();
        let mut products = products;
        for (i, product) in products.iter_mut().enumerate() {
            product.handle = format!("p{i}");
            product.variants.retain(|variant| skus.insert(variant.sku.clone()));
        }
        products.retain(|product| !product.variants.is_empty());
        let written = write(&products, &home());
        let read = read(&written, &home()).map_err(|refused| TestCaseError::fail(refused.to_string()))?;
        prop_assert_eq!(read.products, products);
    }
}
