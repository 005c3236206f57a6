//! Lists, searches, categories and variants in bulk.
use crate::shop::{Shop, one, pence, variant};
use souk_contracts::catalog::v1 as pb;
use souk_identity::Kind;
use souk_kernel::{Code, Error};

async fn page(shop: &Shop, request: pb::ListProductsRequest) -> Result<(Vec<String>, String), Error> {
    let page = shop.client.list_products(shop.anybody(), request).await?;
    Ok((page.products.into_iter().map(|product| product.handle).collect(), page.next_page_token))
}

/// Ten products: even ones in the garden, every third one sold in Germany too, the last one unpublished.
async fn ten() -> Shop {
    let shop = Shop::in_memory().await;
    for i in 0..10 {
        let mut product = one(&format!("Thing {i}"), &format!("T-{i}"), 100 + i);
        product.categories = vec![if i % 2 == 0 { "Garden".into() } else { "Kitchen".into() }];
        product.vendor = if i < 5 { "Acme".into() } else { String::new() };
        if i % 3 == 0 {
            product.variants[0].prices.push(pb::PriceInput { market: "DE".into(), amount: Some(pence(500)) });
        }
        shop.put(&format!("thing-{i}"), product).await.expect("created");
        shop.clock.advance_ms(5);
    }
    shop.unpublish("thing-9").await.expect("hidden");
    shop
}

fn things(numbers: &[u32]) -> Vec<String> {
    numbers.iter().map(|n| format!("thing-{n}")).collect()
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps_or_repeats() {
    let shop = ten().await;
    let (mut all, mut token) = (Vec::new(), String::new());
    for round in 0.. {
        let request = pb::ListProductsRequest { page_size: 4, page_token: token, ..Default::default() };
        let (handles, next) = page(&shop, request).await.expect("a page");
        all.extend(handles);
        if round == 0 {
            // Who comes and goes meanwhile does not disturb the order.
            shop.put("newest", one("Newest", "N-1", 1)).await.expect("created");
            shop.unpublish("thing-0").await.expect("hidden");
        }
        if next.is_empty() {
            break;
        }
        token = next;
    }
    assert_eq!(all, [things(&[0, 1, 2, 3, 4, 5, 6, 7, 8]), vec!["newest".to_owned()]].concat());
}

#[tokio::test]
async fn filters_narrow_a_list() {
    let shop = ten().await;
    let list = |request| page(&shop, request);
    let request = pb::ListProductsRequest::default;
    let of = |category: &str| pb::ListProductsRequest { category: category.into(), ..request() };
    assert_eq!(list(of("Garden")).await.expect("a page").0, things(&[0, 2, 4, 6, 8]));
    assert_eq!(list(of("garden")).await.expect("a page").0, things(&[]));
    let german = pb::ListProductsRequest { market: "DE".into(), ..request() };
    assert_eq!(list(german.clone()).await.expect("a page").0, things(&[0, 3, 6]));
    let both = pb::ListProductsRequest { category: "Garden".into(), vendor: "Acme".into(), ..german };
    assert_eq!(list(both).await.expect("a page").0, things(&[0]));
    let acme = pb::ListProductsRequest { vendor: "Acme".into(), page_size: 5, ..request() };
    let (handles, next) = list(acme).await.expect("a page");
    assert_eq!((handles, next), (things(&[0, 1, 2, 3, 4]), String::new()), "no token after the very last");
}

#[tokio::test]
async fn a_page_token_of_other_filters_is_refused() {
    let shop = ten().await;
    let request = pb::ListProductsRequest { page_size: 2, ..Default::default() };
    let (_, token) = page(&shop, request.clone()).await.expect("a page");
    for bad in [
        pb::ListProductsRequest { page_token: token.clone(), category: "Garden".into(), ..request.clone() },
        pb::ListProductsRequest { page_token: format!("{token}0"), ..request.clone() },
        pb::ListProductsRequest { page_token: "x".into(), ..request.clone() },
    ] {
        let error = page(&shop, bad).await.expect_err("refused");
        assert_eq!((error.code(), error.reason()), (Code::InvalidArgument, "INVALID_PAGE_TOKEN"));
    }
    let smaller = pb::ListProductsRequest { page_token: token, page_size: 1, ..request };
    assert_eq!(page(&shop, smaller).await.expect("the size may change").0, things(&[2]));
}

#[tokio::test]
async fn only_staff_lists_what_customers_do_not_see() {
    let shop = ten().await;
    let request =
        pb::ListProductsRequest { status: pb::ProductStatus::Unpublished.into(), ..Default::default() };
    for cx in [shop.anybody(), shop.person(Kind::Guest, &[]), shop.person(Kind::Staff, &["other"])] {
        let error = shop.client.list_products(cx, request.clone()).await.expect_err("not for customers");
        assert_eq!(error.code(), Code::PermissionDenied);
    }
    let page =
        shop.client.list_products(shop.person(Kind::Staff, &["support"]), request).await.expect("staff");
    assert_eq!(page.products.iter().map(|p| p.handle.as_str()).collect::<Vec<_>>(), ["thing-9"]);
}

#[tokio::test]
async fn listed_products_are_whole() {
    let shop = Shop::in_memory().await;
    let product = pb::ProductInput {
        options: vec!["Size".into()],
        variants: vec![variant("M-1", &["small"], 255), variant("M-2", &["large"], 299)],
        ..one("Mug", "", 0)
    };
    shop.put("mug", product).await.expect("created");
    let listed =
        shop.client.list_products(shop.anybody(), Default::default()).await.expect("a page").products;
    assert_eq!(listed, [shop.get(shop.anybody(), "mug").await.expect("visible")]);
    assert_eq!(listed[0].variants[1].prices[0].amount, Some(pence(299)));
}

#[tokio::test]
async fn categories_count_published_products() {
    let shop = ten().await;
    let answer =
        shop.client.list_categories(shop.anybody(), pb::ListCategoriesRequest {}).await.expect("an answer");
    let counts: Vec<_> = answer.categories.iter().map(|c| (c.name.as_str(), c.products)).collect();
    assert_eq!(counts, [("Garden", 5), ("Kitchen", 4)]);
}

#[tokio::test]
async fn variants_come_in_the_order_asked_and_misses_are_told_apart() {
    let shop = ten().await;
    let skus = ["T-3", "nobody's", "T-9", "T-1", "T-3", "t-3"];
    let results = shop.variants(shop.anybody(), &skus, "DE").await;
    assert_eq!(results.iter().map(|r| r.sku.as_str()).collect::<Vec<_>>(), skus);
    let sold = |i: usize| results[i].variant.as_ref();
    assert_eq!(sold(0).map(|v| (v.title.as_str(), v.handle.as_str())), Some(("Thing 3", "thing-3")));
    assert_eq!(sold(0).and_then(|v| v.price.clone()).and_then(|p| p.amount), Some(pence(500)));
    assert_eq!(sold(4), sold(0), "asking twice answers twice");
    assert_eq!(sold(3).map(|v| v.price.is_none()), Some(true), "known, but not sold in Germany");
    for miss in [1, 2, 5] {
        assert_eq!(sold(miss), None, "{}", skus[miss]);
    }
    let staff = shop.variants(shop.sales(), &["T-9"], "GB").await;
    assert_eq!(staff[0].variant, None, "hidden is hidden, whoever asks");
}

#[tokio::test]
async fn five_hundred_variants_are_one_answer() {
    let shop = Shop::in_memory().await;
    for batch in 0..2 {
        let variants =
            (0..250).map(|i| variant(&format!("S-{batch}-{i}"), &[&i.to_string()], 100 + i)).collect();
        let product = pb::ProductInput { options: vec!["Number".into()], variants, ..one("Many", "", 0) };
        shop.put(&format!("many-{batch}"), product).await.expect("created");
    }
    let skus: Vec<String> = (0..500).map(|i| format!("S-{}-{}", i % 2, i / 2)).collect();
    let asked: Vec<&str> = skus.iter().map(String::as_str).collect();
    let results = shop.variants(shop.anybody(), &asked, "GB").await;
    let minor = |r: &pb::VariantResult| r.variant.clone()?.price?.amount.map(|amount| amount.minor_units);
    assert!(results.iter().enumerate().all(|(i, r)| minor(r) == i64::try_from(100 + i / 2).ok()));
    shop.check().await;
}

#[tokio::test]
async fn what_was_just_put_is_found_and_what_was_hidden_is_not() {
    let shop = ten().await;
    shop.put("tea", one("Crème brûlée teapot", "TEA 1", 5)).await.expect("created");
    assert_eq!(shop.found("creme teapot").await, ["tea"]);
    assert_eq!(shop.found("TEA 1").await[0], "tea");
    let hits = shop.search("teaopt ").await.expect("an answer");
    assert!(hits[0].fuzzy && hits[0].score > 0);
    assert_eq!(hits[0].product.as_ref().map(|p| p.variants[0].prices.len()), Some(1));
    shop.unpublish("tea").await.expect("hidden");
    assert_eq!(shop.found("creme teapot").await, Vec::<String>::new());
    shop.publish("tea").await.expect("shown");
    assert_eq!(shop.found("brul").await, ["tea"]);
    shop.archive("tea").await.expect("archived");
    assert_eq!(shop.found("teapot").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_search_has_bounds() {
    let shop = ten().await;
    let long = shop.search(&"a\"🎁".repeat(2_000)).await.expect_err("too long");
    assert_eq!((long.code(), long.fields()[0].field.as_str()), (Code::InvalidArgument, "q"));
    for q in ["%", "_", "\" OR 1=1 --", "\u{202e}abc", "🎁🎁"] {
        shop.search(q).await.expect("text is text");
    }
    let request = |category: &str, page_size| pb::SearchProductsRequest {
        q: "thing".into(),
        category: category.into(),
        page_size,
    };
    let hits =
        shop.client.search_products(shop.anybody(), request("Garden", 3)).await.expect("an answer").hits;
    assert_eq!(hits.len(), 3);
    let error = shop.client.search_products(shop.anybody(), request("", 101)).await.expect_err("too many");
    assert_eq!(error.fields()[0].field, "pageSize");
}
