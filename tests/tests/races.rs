//! Who comes at the same moment, over real connections: for the last hundred pieces and the last ten coupons, twice
//! for the same order, with a change of mind, as time runs out, for the same money back, and from two devices. The
//! whole house is checked at the end of each.
use futures_util::StreamExt;
use futures_util::future::{join, join_all};
use futures_util::stream;
use serde_json::{Value, json};
use souk_tests::{Answer, Caller, House, Shape, eventually, in_every_shape, minor, status_of};
use souk_user::Role;
use std::time::Duration;

/// How many pieces there are of what everybody wants …
const PIECES: usize = 100;
/// … and how many want one, unless `SOUK_RACE_BUYERS` says more. A long run takes 5,000.
const BUYERS: usize = 400;
/// How many get ready side by side.
const READYING: usize = 32;
/// How many do the same in the smaller races.
const FEW: usize = 12;
/// Later than any deadline of an order that is placed now.
const PAST_EVERY_DEADLINE: Duration = Duration::from_secs(31 * 60);

in_every_shape!(
    a_double_click_is_one_order,
    two_keys_for_one_quote_are_one_order,
    who_changes_their_mind_at_once_gets_everything_back_or_hears_why_not,
    a_deadline_that_passes_meanwhile_takes_all_or_nothing,
    of_ten_coupons_exactly_ten_count_and_those_given_back_count_again,
    one_customer_at_once_uses_a_coupon_once,
    pieces_come_back_once_however_many_say_so_at_once,
    a_cancel_and_a_return_at_once_give_back_no_more_than_was_taken,
    two_wishes_to_send_back_the_same_pieces_have_one_winner,
    carts_of_two_devices_are_merged_at_once_and_once_each,
);

/// Somebody with a quote.
async fn with_quote(house: &House, sku: &str) -> (Caller, Value) {
    let guest = house.guest().await;
    let quote = guest.wants(sku, 1).await;
    (guest, quote)
}

/// Accepts a quote under a key, again while the shop is too busy to answer.
async fn insists(guest: &Caller, quote: &Value, key: &str) -> Answer {
    let body = acceptance(quote);
    let busy = async || {
        let answer = guest.post("/api/v1/orders", &body).key(key).send().await;
        Some(answer).filter(|answer| answer.status != 503 && answer.status != 429)
    };
    eventually("an answer", busy).await
}

fn acceptance(quote: &Value) -> Value {
    json!({
        "quoteId": quote["quoteId"], "expectedTotal": quote["total"], "paymentMethodToken": "ok",
    })
}

/// The order once nothing more will happen to it by itself.
async fn ended(guest: &Caller, order: &Value) -> Value {
    let is_settled = |order: &Value| matches!(status_of(order), "CONFIRMED" | "REJECTED" | "CANCELLED");
    let look = async || Some(guest.order(order).await).filter(is_settled);
    eventually("the order comes to an end", look).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_pieces_exactly_a_hundred_are_sold() {
    let buyers = std::env::var("SOUK_RACE_BUYERS").ok().and_then(|n| n.parse().ok()).unwrap_or(BUYERS);
    let house = House::start(Shape::One).await;
    house.sells("FEW", 1_000, u32::try_from(PIECES).expect("a small number")).await;
    let ready: Vec<_> =
        stream::iter(0..buyers).map(|_| with_quote(&house, "FEW")).buffer_unordered(READYING).collect().await;
    let placed = join_all(ready.iter().map(|(guest, quote)| insists(guest, quote, "place"))).await;
    let mut counts = std::collections::BTreeMap::new();
    let orders = ready.iter().zip(&placed).map(|((guest, _), answer)| {
        assert_eq!(answer.status, 202, "{}", answer.text());
        let order = answer.json()["order"].clone();
        async move { ended(guest, &order).await }
    });
    let orders: Vec<_> = stream::iter(orders).buffer_unordered(READYING).collect().await;
    for order in &orders {
        *counts.entry((status_of(order).to_owned(), order["reason"].clone().to_string())).or_insert(0) += 1;
    }
    let sold = orders.iter().filter(|order| status_of(order) == "CONFIRMED").count();
    let refused = orders.iter().filter(|order| order["reason"] == "INSUFFICIENT_STOCK").count();
    assert_eq!((sold, refused), (PIECES, buyers - PIECES), "{counts:?}");
    let pieces = i64::try_from(PIECES).expect("a small number");
    assert_eq!(house.stock("FEW").await, (pieces, pieces));
    house.close().await;
}

async fn a_double_click_is_one_order(house: &House) {
    house.sells("LAMP", 1_000, 100).await;
    for _ in 0..FEW {
        let (guest, quote) = with_quote(house, "LAMP").await;
        // A connection of its own each: `nobody` shares none with another caller.
        let twin = Caller::nobody(&format!("http://{}", house.address())).with_token(guest.token());
        let (one, two) = join(insists(&guest, &quote, "place"), insists(&twin, &quote, "place")).await;
        assert_eq!((one.status, two.status), (202, 202), "{} {}", one.text(), two.text());
        assert_eq!(one.json()["order"]["orderId"], two.json()["order"]["orderId"]);
        let mine = guest.get("/api/v1/orders").expect(200).await;
        assert_eq!(mine["orders"].as_array().map(Vec::len), Some(1), "{mine}");
    }
}

async fn two_keys_for_one_quote_are_one_order(house: &House) {
    house.sells("LAMP", 1_000, 100).await;
    for _ in 0..FEW {
        let (guest, quote) = with_quote(house, "LAMP").await;
        let twin = Caller::nobody(&format!("http://{}", house.address())).with_token(guest.token());
        let (one, two) = join(insists(&guest, &quote, "one"), insists(&twin, &quote, "two")).await;
        let accepted = [&one, &two].into_iter().filter(|answer| answer.status == 202).count();
        assert_eq!(accepted, 1, "{} {}", one.text(), two.text());
        let mine = guest.get("/api/v1/orders").expect(200).await;
        assert_eq!(mine["orders"].as_array().map(Vec::len), Some(1), "{mine}");
    }
}

async fn who_changes_their_mind_at_once_gets_everything_back_or_hears_why_not(house: &House) {
    house.sells("LAMP", 1_000, 100).await;
    let ready = join_all((0..FEW).map(|_| with_quote(house, "LAMP"))).await;
    let orders = join_all(ready.iter().map(|(guest, quote)| async move {
        let order = insists(guest, quote, "place").await.json()["order"].clone();
        let cancelled = guest.cancels(&order, "cancel").await;
        let order = ended(guest, &order).await;
        match cancelled.status {
            202 => assert_eq!(status_of(&order), "CANCELLED", "{}", cancelled.text()),
            _ => assert_ne!(status_of(&order), "CANCELLED", "{}", cancelled.text()),
        }
        order
    }));
    let kept = orders.await.iter().filter(|order| status_of(order) == "CONFIRMED").count();
    house.at_rest().await;
    assert_eq!(house.stock("LAMP").await, (100, i64::try_from(kept).expect("a small number")));
}

async fn a_deadline_that_passes_meanwhile_takes_all_or_nothing(house: &House) {
    house.sells("LAMP", 1_000, 100).await;
    let ready = join_all((0..FEW).map(|_| with_quote(house, "LAMP"))).await;
    let placing = join_all(ready.iter().map(|(guest, quote)| insists(guest, quote, "place")));
    let passing = async {
        // As soon as the first order is there, its deadline has passed.
        let (guest, _) = &ready[0];
        let first = async || {
            let mine = guest.get("/api/v1/orders").send().await.json();
            mine["orders"].as_array().is_some_and(|orders| !orders.is_empty()).then_some(())
        };
        eventually("the first order", first).await;
        house.advance(PAST_EVERY_DEADLINE);
    };
    let (placed, ()) = join(placing, passing).await;
    let mut kept = 0;
    for ((guest, _), answer) in ready.iter().zip(&placed) {
        if answer.status != 202 {
            assert_eq!(answer.reason(), "QUOTE_EXPIRED", "{}", answer.text());
            continue;
        }
        let order = ended(guest, &answer.json()["order"]).await;
        kept += i64::from(status_of(&order) == "CONFIRMED");
    }
    house.at_rest().await;
    assert_eq!(house.stock("LAMP").await, (100, kept));
}

/// How often the coupon counts, and once for each customer.
const COUPONS: usize = 10;

async fn offers_coupons(house: &House) {
    let promotion = json!({
        "promotionId": "ten", "name": "The first ten", "code": "TEN",
        "benefit": {"percentageBp": 5_000}, "limitTotal": COUPONS, "limitPerCustomer": 1,
    });
    house.staff(Role::Sales).post("/api/v1/promotions", &promotion).expect(200).await;
}

/// A quote for the cart as it is, with the coupon.
async fn with_coupon(guest: &Caller) -> Value {
    let wish = json!({"cartId": guest.cart().await["cartId"], "couponCodes": ["TEN"]});
    guest.post("/api/v1/quotes", &wish).expect(201).await["quote"].clone()
}

/// Buyers with a quote each that promises the coupon.
async fn with_coupons(house: &House, buyers: usize) -> Vec<(Caller, Value)> {
    let one = async || {
        let guest = house.guest().await;
        guest.adds("LAMP", 1).await;
        let quote = with_coupon(&guest).await;
        assert_eq!(minor(&quote["total"]), 500, "{quote}");
        (guest, quote)
    };
    join_all((0..buyers).map(|_| one())).await
}

/// All of them accept at once: whose orders are sold, the others having heard that there are no more coupons.
async fn sold_with_coupon(ready: &[(Caller, Value)], reason: &str) -> Vec<(Caller, Value)> {
    let orders = join_all(ready.iter().enumerate().map(|(n, (guest, quote))| async move {
        let placed = insists(guest, quote, &format!("place-{n}")).await;
        assert_eq!(placed.status, 202, "{}", placed.text());
        ended(guest, &placed.json()["order"]).await
    }));
    let mut sold = Vec::new();
    for ((guest, _), order) in ready.iter().zip(orders.await) {
        if status_of(&order) == "CONFIRMED" {
            assert_eq!(minor(&order["total"]), 500, "{order}");
            sold.push((guest.clone(), order));
        } else {
            assert_eq!((status_of(&order), order["reason"].as_str()), ("REJECTED", Some(reason)), "{order}");
        }
    }
    sold
}

async fn of_ten_coupons_exactly_ten_count_and_those_given_back_count_again(house: &House) {
    const BACK: usize = 3;
    house.sells("LAMP", 1_000, 100).await;
    offers_coupons(house).await;
    let sold = sold_with_coupon(&with_coupons(house, 2 * FEW).await, "COUPON_EXHAUSTED").await;
    assert_eq!(sold.len(), COUPONS);
    let cancels = sold.iter().take(BACK).map(|(guest, order)| async move {
        guest.order_paid(order, "CAPTURED").await;
        let cancelled = guest.cancels(order, "cancel").await;
        assert_eq!(status_of(&cancelled.json()["order"]), "CANCELLED", "{}", cancelled.text());
    });
    join_all(cancels).await;
    house.at_rest().await;
    let again = sold_with_coupon(&with_coupons(house, BACK + 2).await, "COUPON_EXHAUSTED").await;
    assert_eq!(again.len(), BACK, "as many as were given back");
}

async fn one_customer_at_once_uses_a_coupon_once(house: &House) {
    house.sells("LAMP", 1_000, 100).await;
    offers_coupons(house).await;
    let customer = house.customer();
    customer.adds("LAMP", 1).await;
    let mut quotes = Vec::new();
    for _ in 0..4 {
        let device = Caller::nobody(&format!("http://{}", house.address())).with_token(customer.token());
        quotes.push((device, with_coupon(&customer).await));
    }
    assert_eq!(sold_with_coupon(&quotes, "COUPON_USED_BEFORE").await.len(), 1);
}

/// What was taken for an order and what was given back, in pence, once nothing more will happen.
async fn taken_and_returned(house: &House, order: &Value) -> (i64, i64) {
    house.at_rest().await;
    let id = order["orderId"].as_str().expect("an order has an id").replace("ord_", "pay_");
    let answer = house.staff(Role::Support).get(&format!("/api/v1/payments/{id}")).expect(200).await;
    (minor(&answer["payment"]["captured"]), minor(&answer["payment"]["refunded"]))
}

/// An order of so many lamps at ten pounds that were carried home and paid.
async fn carried_home(house: &House, lamps: u32) -> (Caller, Value) {
    let guest = house.guest().await;
    let order = guest.buys("LAMP", lamps, "ok").await;
    guest.order_paid(&order, "CAPTURED").await;
    (guest, order)
}

/// Lamps of an order come back over the counter.
async fn comes_back(sales: &Caller, order: &Value, lamps: u32, reference: &str) -> Answer {
    let line = json!({"line": 1, "quantity": lamps, "grade": "RETURN_GRADE_A"});
    let record = json!({
        "externalRef": reference, "orderId": order["orderId"], "lines": [line],
        "reason": "RETURN_REASON_UNWANTED",
    });
    sales.post("/api/v1/returns:record", &record).wait(25).send().await
}

async fn pieces_come_back_once_however_many_say_so_at_once(house: &House) {
    house.sells("LAMP", 1_000, 100).await;
    let sales = house.staff(Role::Sales);
    for round in 0..3 {
        // Three were bought; two clerks take in two each, and each says it twice.
        let (_, order) = carried_home(house, 3).await;
        let names = ["a", "b", "a", "b"].map(|clerk| format!("{clerk}{round}"));
        let answers = join_all(names.iter().map(|name| comes_back(&sales, &order, 2, name))).await;
        for (name, answer) in names.iter().zip(&answers) {
            let same = answers.iter().zip(&names).filter(|(_, other)| *other == name);
            assert!(same.into_iter().all(|(other, _)| other.status == answer.status), "{}", answer.text());
            let is_refused = answer.status == 409 && answer.reason() == "RETURN_EXCEEDS_DELIVERED";
            assert!(answer.status == 201 || is_refused, "{}", answer.text());
        }
        let taken_in = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(taken_in, 2, "one clerk, told twice");
        assert_eq!(taken_and_returned(house, &order).await, (3_000, 2_000));
    }
    assert_eq!(house.stock("LAMP").await, (100, 3), "one of each three is still theirs");
}

async fn a_cancel_and_a_return_at_once_give_back_no_more_than_was_taken(house: &House) {
    house.sells("LAMP", 1_000, 100).await;
    let sales = house.staff(Role::Sales);
    for round in 0..FEW {
        let (guest, order) = carried_home(house, 2).await;
        let id = order["orderId"].as_str().expect("an order has an id");
        let some = json!({"cancelId": "some", "lines": [{"line": 1, "quantity": 1}]});
        let reference = format!("back-{round}");
        let (one, two, lines, back) = tokio::join!(
            guest.cancels(&order, "one"),
            guest.cancels(&order, "two"),
            guest.post(&format!("/api/v1/orders/{id}:cancelLines"), &some).send(),
            comes_back(&sales, &order, 1, &reference),
        );
        assert_ne!(lines.status, 200, "they were carried home: {}", lines.text());
        let (taken, returned) = taken_and_returned(house, &order).await;
        let is_cancelled = status_of(&guest.order(&order).await) == "CANCELLED";
        let expected = if is_cancelled { (202, 202, 409, 2_000) } else { (409, 409, 201, 1_000) };
        let told = format!("{} {} {} {}", one.text(), two.text(), lines.text(), back.text());
        assert_eq!((one.status, two.status, back.status, returned), expected, "{told}");
        assert_eq!(taken, 2_000, "{told}");
    }
}

async fn two_wishes_to_send_back_the_same_pieces_have_one_winner(house: &House) {
    house.sells("LAMP", 1_000, 100).await;
    let guest = house.guest().await;
    guest.adds("LAMP", 3).await;
    let order = guest.orders(&guest.quotes_shipped(&[]).await, "ok").await;
    for parcel in house.parcels(&order).await {
        house.hands_over(&parcel).await;
    }
    house.comes_to(&guest, &order, "DELIVERED").await;
    let id = order["orderId"].as_str().expect("an order has an id");
    let path = format!("/api/v1/orders/{id}/returns");
    let wish = json!({"lines": [{"line": 1, "quantity": 2, "reason": "RETURN_REASON_UNWANTED"}]});
    let keys = ["one", "two", "three", "four"];
    let answers = join_all(keys.map(|key| guest.post(&path, &wish).key(key).send())).await;
    let accepted: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    let refused = answers.iter().filter(|answer| answer.reason() == "RETURN_EXCEEDS_DELIVERED").count();
    assert_eq!(
        (accepted.len(), refused),
        (1, 3),
        "{:?}",
        answers.iter().map(Answer::text).collect::<Vec<_>>()
    );
    let returns = guest.get(&path).expect(200).await;
    assert_eq!(returns["returns"].as_array().map(Vec::len), Some(1), "{returns}");
}

async fn carts_of_two_devices_are_merged_at_once_and_once_each(house: &House) {
    house.sells("LAMP", 1_000, 100).await;
    house.sells("VASE", 500, 100).await;
    for _ in 0..FEW {
        let [phone, laptop] = [house.guest().await, house.guest().await];
        phone.adds("LAMP", 2).await;
        laptop.adds("LAMP", 3).await;
        laptop.adds("VASE", 1).await;
        let customer = house.customer();
        let merges = [&phone, &laptop, &phone, &laptop].map(|guest| {
            let device = Caller::nobody(&format!("http://{}", house.address())).with_token(customer.token());
            let merge = json!({"guestToken": guest.token()});
            async move { device.post("/api/v1/cart:merge", &merge).send().await }
        });
        for answer in join_all(merges).await {
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let cart = customer.cart().await;
        let lines = cart["lines"].as_array().cloned().unwrap_or_default();
        let mut pieces: Vec<_> = lines.iter().map(|l| (l["sku"].as_str(), l["quantity"].as_u64())).collect();
        pieces.sort();
        assert_eq!(pieces, [(Some("LAMP"), Some(5)), (Some("VASE"), Some(1))], "{cart}");
        let thief = house.customer();
        let merge = json!({"guestToken": phone.token()});
        assert_eq!(thief.post("/api/v1/cart:merge", &merge).refused(404).await, "NOT_FOUND");
        assert_eq!(phone.cart().await["cartId"], "");
    }
}
