//! Deals at agreed prices, by their external reference.
use crate::doubles::gbp;
use crate::shop::{GUEST, Shop, acceptance};
use souk_contracts::order::v1::{self as pb, OrderStatus};
use souk_kernel::{Code, Error};
use std::sync::Arc;

fn deal(external_ref: &str, lines: &[(&str, u32, i64)]) -> pb::CreateAgreedQuoteRequest {
    let line = |(sku, quantity, price): &(&str, u32, i64)| pb::AgreedLine {
        sku: (*sku).to_owned(),
        quantity: *quantity,
        unit_price: Some(gbp(*price)),
    };
    pb::CreateAgreedQuoteRequest {
        subject: GUEST.to_owned(),
        lines: lines.iter().map(line).collect(),
        external_ref: external_ref.to_owned(),
        market: "GB".to_owned(),
    }
}

async fn agree(shop: &Shop, request: pb::CreateAgreedQuoteRequest) -> Result<pb::Quote, Error> {
    let answer = shop.client().create_agreed_quote(shop.sales(), request).await?;
    Ok(answer.quote.expect("set"))
}

async fn find(shop: &Shop, external_ref: &str) -> Result<pb::FindByExternalRefResponse, Error> {
    let request = pb::FindByExternalRefRequest { external_ref: external_ref.to_owned() };
    shop.client().find_by_external_ref(shop.sales(), request).await
}

#[tokio::test]
async fn a_deal_is_sold_at_its_own_prices_and_found_by_its_reference() {
    let shop = Shop::open().await;
    let quote =
        agree(&shop, deal("D-1", &[("A", 3, 100), ("OLD", 1, 0), ("A", 1, 7)])).await.expect("agreed");
    assert_eq!(quote.total, Some(gbp(307)));
    let lines: Vec<_> = quote.lines.iter().map(|l| (l.line, l.title.as_str(), l.price_version)).collect();
    assert_eq!(lines, [(1, "The A", 0), (2, "The OLD", 0), (3, "The A", 0)]);
    let found = find(&shop, "D-1").await.expect("known");
    assert_eq!((found.quote.as_ref(), found.order), (Some(&quote), None));
    let cx = shop.sales().with_key(Arc::from("key-1"));
    let order = shop.client().place_order(cx, acceptance(&quote)).await.expect("placed").order.expect("set");
    assert_eq!((order.subject.as_str(), order.external_ref.as_str()), (GUEST, "D-1"));
    shop.until_over(&order.order_id).await;
    let found = find(&shop, "D-1").await.expect("known").order.expect("placed");
    assert_eq!((found.order_id, OrderStatus::Confirmed as i32), (order.order_id.clone(), found.status));
    assert_eq!(find(&shop, "D-2").await.expect_err("unknown").code(), Code::NotFound);
    assert!(shop.world.sold(307));
}

#[tokio::test]
async fn the_same_deal_is_the_same_quote_at_any_later_date() {
    let shop = Shop::open().await;
    let lines = [("A", 1, 5), ("B", 2, 6)];
    let quote = agree(&shop, deal("D-1", &lines)).await.expect("agreed");
    assert_eq!(agree(&shop, deal("D-1", &lines)).await.expect("the same"), quote);
    // The catalog may be gone or have changed meanwhile.
    shop.world.books(|books| books.products.clear());
    shop.clock.advance_ms(400 * 24 * 3_600 * 1_000);
    let renewed = agree(&shop, deal("D-1", &lines)).await.expect("renewed");
    assert_eq!(
        (&renewed.quote_id, &renewed.hash, &renewed.lines),
        (&quote.quote_id, &quote.hash, &quote.lines)
    );
    assert!(renewed.expires_at.expect("set").seconds > quote.expires_at.expect("set").seconds);
    let cx = shop.sales().with_key(Arc::from("key-1"));
    let order =
        shop.client().place_order(cx, acceptance(&renewed)).await.expect("placed").order.expect("set");
    shop.until_over(&order.order_id).await;
    shop.clock.advance_ms(3_600_000);
    let used = agree(&shop, deal("D-1", &lines)).await.expect("still the same");
    assert_eq!((used.quote_id, used.order_id), (quote.quote_id, order.order_id));
}

#[tokio::test]
async fn a_reference_belongs_to_one_deal() {
    let shop = Shop::open().await;
    let quote = agree(&shop, deal("D-1", &[("A", 1, 5)])).await.expect("agreed");
    let other_owner = pb::CreateAgreedQuoteRequest { subject: "gst_2".into(), ..deal("D-1", &[("A", 1, 5)]) };
    let other_market = pb::CreateAgreedQuoteRequest { market: "DE".into(), ..deal("D-1", &[("A", 1, 5)]) };
    for other in
        [deal("D-1", &[("A", 1, 6)]), deal("D-1", &[("A", 1, 5), ("A", 1, 5)]), other_owner, other_market]
    {
        let taken = agree(&shop, other).await.expect_err("another deal");
        assert_eq!((taken.reason(), &taken.metadata()["quote_id"]), ("EXTERNAL_REF_TAKEN", &quote.quote_id));
    }
}

#[tokio::test]
async fn many_at_once_make_one_quote() {
    let shop = Shop::open().await;
    let calls = (0..8).map(|_| agree(&shop, deal("D-1", &[("A", 1, 5)])));
    let quotes = futures_util::future::join_all(calls).await;
    let first = quotes[0].as_ref().expect("agreed");
    assert!(quotes.iter().all(|quote| quote.as_ref().is_ok_and(|quote| quote.quote_id == first.quote_id)));
}

#[tokio::test]
async fn unknown_things_cannot_be_agreed_on_and_only_sales_may_agree() {
    let shop = Shop::open().await;
    let unknown = agree(&shop, deal("D-1", &[("A", 1, 5), ("NOPE", 1, 5)])).await.expect_err("unknown");
    assert_eq!((unknown.reason(), unknown.metadata()["skus"].as_str()), ("UNKNOWN_SKU", r#"["NOPE"]"#));
    let large = agree(&shop, deal("D-1", &[("A", 1_000_000, i64::MAX)])).await.expect_err("too large");
    assert_eq!(large.reason(), "TOTAL_OVERFLOW");
    assert_eq!(find(&shop, "D-1").await.expect_err("not taken").code(), Code::NotFound);
    for cx in [shop.guest(), shop.cx("stf_2", &["support"])] {
        let refused = shop.client().create_agreed_quote(cx, deal("D-1", &[("A", 1, 5)])).await;
        assert_eq!(refused.expect_err("not allowed").code(), Code::PermissionDenied);
    }
}

#[tokio::test]
async fn two_thousand_lines_keep_their_numbers() {
    let shop = Shop::open().await;
    shop.world.books(|books| {
        for n in 0..1_500 {
            books.products.insert(format!("S{n}"), (format!("Thing {n}"), None));
        }
    });
    let skus: Vec<String> = (0..2_000).map(|n| format!("S{}", n % 1_500)).collect();
    let lines: Vec<_> = skus.iter().map(|sku| (sku.as_str(), 1, 3)).collect();
    let quote = agree(&shop, deal("D-1", &lines)).await.expect("agreed");
    assert!((1..).zip(&quote.lines).all(|(number, line)| line.line == number));
    let cx = shop.sales().with_key(Arc::from("key-1"));
    let order = shop.client().place_order(cx, acceptance(&quote)).await.expect("placed").order.expect("set");
    shop.until_over(&order.order_id).await;
    assert!(shop.world.sold(6_000));
}
