//! What customers and staff live through, each story in every shape of the house. Whatever a story does, the
//! whole house is checked across its stores when the story is over. What can be told with commands and answers stands
//! in `docs/stories` (`told.rs`); here is what needs more: many at once, exact books, other people's eyes.
use serde_json::{Value, json};
use souk_tests::{Caller, House, eventually, in_every_shape, minor, money, payment_of, status_of};
use souk_user::Role;
use std::time::Duration;

in_every_shape!(
    a_guest_buys_and_the_cart_is_converted,
    a_declined_card_takes_nothing,
    an_order_is_called_off_while_it_is_pending,
    an_order_is_called_off_at_any_moment,
    a_paid_order_is_called_off_and_refunded_once,
    a_capture_that_is_refused_waits_for_a_person,
    a_customer_confirms_the_payment_at_the_bank,
    a_dispute_keeps_the_money_away_until_it_is_won,
    half_an_hour_of_doubt_ends_the_sale_and_holds_nothing,
    a_key_said_twice_is_one_order,
    clicks_at_once_are_all_counted_and_each_once,
    a_provider_that_loses_answers_is_asked_again,
    an_agreed_quote_belongs_to_its_reference_for_ever,
    what_is_not_yours_is_not_there,
    staff_may_do_what_their_role_says,
    an_order_can_be_watched_from_anywhere_to_its_end,
    what_is_added_after_the_quote_stays_in_a_fresh_cart,
    a_long_list_of_orders_comes_by_pages,
    what_lines_come_to_is_calculated_with_coupon_and_tax,
    what_happens_is_told_and_can_be_heard_again,
);

/// The balance of each account of the ledger, in pence.
async fn ledger(house: &House) -> Vec<(String, i64)> {
    let ledger = house.staff(Role::Admin).get("/api/v1/ledger").expect(200).await;
    let balances = ledger["balances"].as_array().cloned().unwrap_or_default();
    let one = |b: &Value| (b["account"].as_str().unwrap_or_default().to_owned(), minor(&b["balance"]));
    let mut all: Vec<_> = balances.iter().map(one).filter(|(_, balance)| *balance != 0).collect();
    all.sort();
    all
}

/// The payment of an order, as support sees it.
async fn payment(house: &House, order: &Value) -> Value {
    let id = order["orderId"].as_str().expect("an order has an id").replace("ord_", "pay_");
    let answer = house.staff(Role::Support).get(&format!("/api/v1/payments/{id}")).send().await;
    if answer.status == 404 { Value::Null } else { answer.json()["payment"].clone() }
}

async fn a_guest_buys_and_the_cart_is_converted(house: &House) {
    house.sells("LAMP", 1_250, 10).await;
    let guest = house.guest().await;
    let listed = guest.get("/api/v1/products?pageSize=5&market=GB").expect(200).await;
    assert_eq!(listed["products"][0]["title"], "The LAMP");
    let found = guest.get("/api/v1/products:search?q=lmap").expect(200).await;
    assert_eq!(found["hits"][0]["product"]["handle"], "lamp", "a slip of the fingers is forgiven");
    let cart = guest.adds("LAMP", 2).await;
    assert_eq!(minor(&cart["subtotal"]), 2_500);

    let quote = guest.quotes().await;
    assert_eq!(minor(&quote["total"]), 2_500);
    let order = guest.orders(&quote, "ok").await;
    assert_eq!(status_of(&order), "CONFIRMED", "{order}");
    assert_eq!(order["lines"], quote["lines"]);
    guest.order_paid(&order, "CAPTURED").await;
    assert_eq!(house.stock("LAMP").await, (10, 2));
    assert_eq!(minor(&payment(house, &order).await["captured"]), 2_500);
    assert_eq!(ledger(house).await, [("provider_clearing".into(), 2_500), ("revenue".into(), -2_500)]);

    let emptied = async || Some(guest.cart().await).filter(|cart| cart["lines"] == json!([]));
    let fresh = eventually("the cart is converted", emptied).await;
    assert_ne!(fresh["cartId"], cart["cartId"]);
    let again = guest.post("/api/v1/quotes", &json!({"cartId": cart["cartId"]}));
    assert_eq!(again.refused(404).await, "NOT_FOUND", "a converted cart is closed");
}

async fn a_declined_card_takes_nothing(house: &House) {
    house.sells("LAMP", 1_250, 10).await;
    let guest = house.guest().await;
    for (method, code) in [("decline_funds", "insufficient_funds"), ("decline_fraud", "suspected_fraud")] {
        let quote = guest.wants("LAMP", 2).await;
        let placed = guest.places(&quote, method, method).await;
        let order = placed.json()["order"].clone();
        assert_eq!((placed.status, status_of(&order)), (202, "REJECTED"), "{order}");
        assert_eq!(
            (order["reason"].as_str(), order["detail"].as_str()),
            (Some("PAYMENT_DECLINED"), Some(code))
        );
        assert_eq!(payment_of(&order), "NONE");
        assert_eq!(payment(house, &order).await["status"], "PAYMENT_STATUS_DECLINED");
    }
    assert_eq!(house.stock("LAMP").await, (10, 0));
    assert_eq!(ledger(house).await, []);
    assert_eq!(guest.cart().await["lines"][0]["quantity"], 2, "the cart stays for another card");
    let quote = guest.quotes().await;
    assert_eq!(status_of(&guest.orders(&quote, "ok").await), "CONFIRMED");
}

async fn an_order_is_called_off_while_it_is_pending(house: &House) {
    house.sells("LAMP", 1_000, 10).await;
    let guest = house.guest().await;
    let quote = guest.wants("LAMP", 4).await;
    // The provider says nothing for a while, so there is time.
    let body = json!({
        "quoteId": quote["quoteId"], "expectedTotal": quote["total"], "paymentMethodToken": "timeout_before",
    });
    let order = guest.post("/api/v1/orders", &body).key("place").expect(202).await["order"].clone();
    assert_eq!(status_of(&order), "PENDING");
    let cancelled = guest.cancels(&order, "cancel").await;
    let order = cancelled.json()["order"].clone();
    assert_eq!((cancelled.status, status_of(&order)), (202, "CANCELLED"), "{order}");
    assert_eq!(order["reason"], "CANCELLED_BY_CUSTOMER");
    assert!(["NONE", "VOIDED"].contains(&payment_of(&order)), "{order}");
    house.at_rest().await;
    assert_eq!(house.stock("LAMP").await, (10, 0));
    assert_eq!(ledger(house).await, []);
    assert_eq!(guest.cart().await["lines"][0]["quantity"], 4, "the cart was not converted");
}

async fn an_order_is_called_off_at_any_moment(house: &House) {
    const BUYERS: usize = 16;
    house.sells("LAMP", 1_000, 100).await;
    let buying = (0..BUYERS).map(|patience| async move {
        let guest = house.guest().await;
        let quote = guest.wants("LAMP", 1).await;
        let body = json!({
            "quoteId": quote["quoteId"], "expectedTotal": quote["total"], "paymentMethodToken": "ok",
        });
        let order = guest.post("/api/v1/orders", &body).key("place").expect(202).await["order"].clone();
        // Each looks once more than the one before, so that they cancel at different steps of the sale.
        for _ in 0..patience {
            guest.order(&order).await;
        }
        let cancelled = guest.cancels(&order, "cancel").await;
        let order = cancelled.json()["order"].clone();
        assert_eq!((cancelled.status, status_of(&order)), (202, "CANCELLED"), "{}", cancelled.text());
        assert!(["NONE", "VOIDED", "REFUNDED"].contains(&payment_of(&order)), "{order}");
    });
    futures_util::future::join_all(buying).await;
    house.at_rest().await;
    assert_eq!(house.stock("LAMP").await, (100, 0));
    let kept: Vec<_> =
        ledger(house).await.into_iter().filter(|(account, _)| account == "provider_clearing").collect();
    assert_eq!(kept, [], "whatever was taken was given back");
}

async fn a_paid_order_is_called_off_and_refunded_once(house: &House) {
    house.sells("LAMP", 1_000, 10).await;
    let guest = house.guest().await;
    let order = guest.buys("LAMP", 2, "ok").await;
    guest.order_paid(&order, "CAPTURED").await;
    let (once, twice) = tokio::join!(guest.cancels(&order, "cancel"), guest.cancels(&order, "cancel"));
    assert_eq!(status_of(&once.json()["order"]), "CANCELLED", "{}", once.text());
    assert_eq!(once.json(), twice.json(), "the same key has the same answer");
    let under_another_key = guest.cancels(&order, "again").await;
    assert_eq!((under_another_key.status, status_of(&under_another_key.json()["order"])), (202, "CANCELLED"));
    assert_eq!(payment_of(&guest.order(&order).await), "REFUNDED");
    let payment = payment(house, &order).await;
    assert_eq!((minor(&payment["captured"]), minor(&payment["refunded"])), (2_000, 2_000));
    assert_eq!(house.stock("LAMP").await, (10, 0));
    assert_eq!(ledger(house).await, [("refunds".into(), 2_000), ("revenue".into(), -2_000)]);
}

async fn a_capture_that_is_refused_waits_for_a_person(house: &House) {
    house.sells("LAMP", 1_000, 10).await;
    let guest = house.guest().await;
    let order = guest.buys("LAMP", 2, "capture_fails").await;
    assert_ne!(status_of(&order), "PENDING", "the customer is not kept waiting for the money: {order}");
    let look = async || Some(guest.order(&order).await).filter(|order| order["needsAttention"] == true);
    let order = eventually("a person is called", look).await;
    assert_eq!((status_of(&order), payment_of(&order)), ("ON_HOLD", "FAILED"));
    assert_eq!(order["attentionReasons"], json!(["CAPTURE_REFUSED"]));
    assert_eq!(house.stock("LAMP").await, (10, 2), "what is sold stays sold");
    let rest = house.rest();
    assert_eq!((rest.sagas_open, rest.sagas_stuck), (1, 1), "{rest}");
    assert_eq!(ledger(house).await, [], "no money moved");

    let cancelled = guest.cancels(&order, "cancel").await.json()["order"].clone();
    assert_eq!((status_of(&cancelled), payment_of(&cancelled)), ("CANCELLED", "VOIDED"), "{cancelled}");
    assert_eq!(cancelled["needsAttention"], false, "nobody is called any more");
    let seen: Vec<_> = guest.watches(&order, 0).await.into_iter().map(|(_, what)| what).collect();
    let before = [
        "OrderPlaced",
        "PaymentAuthorized",
        "OrderConfirmed",
        "NeedsAttention",
        "OrderHeld",
        "NeedsAttention",
    ];
    let after = ["CancelRequested", "PaymentVoided", "OrderCancelled"];
    assert_eq!(seen, [&before[..], &after].concat());
    assert_eq!(house.stock("LAMP").await, (10, 0));
    let paid = payment(house, &order).await;
    assert_eq!((paid["status"].as_str(), minor(&paid["captured"])), (Some("PAYMENT_STATUS_VOIDED"), 0));
    assert_eq!(ledger(house).await, []);
}

/// The provider says nothing for some seconds, whether it has promised the money or not. Meanwhile half an hour
/// passes: the reservation runs out, and so does the time to confirm.
async fn a_customer_confirms_the_payment_at_the_bank(house: &House) {
    house.sells("LAMP", 1_000, 10).await;
    let guest = house.guest().await;
    let quote = guest.wants("LAMP", 2).await;
    let order = guest.accepts(&quote, "requires_action").await;
    let asked = async || {
        let payment = payment(house, &order).await;
        Some(payment).filter(|payment| payment["status"] == "PAYMENT_STATUS_REQUIRES_ACTION")
    };
    let asked = eventually("the customer is asked to act", asked).await;
    assert!(asked["actionUrl"].as_str().is_some_and(|url| url.starts_with("https://")), "{asked}");
    let id = asked["paymentId"].as_str().expect("a payment has an id");
    let act = format!("/api/v1/payments/{id}:completeAction");
    let stranger = house.guest().await;
    assert_eq!(stranger.post(&act, &json!({})).refused(404).await, "NOT_FOUND");
    let done = guest.post(&act, &json!({})).expect(200).await;
    assert_eq!(done["payment"]["status"], "PAYMENT_STATUS_AUTHORIZED");
    let look = async || Some(guest.order(&order).await).filter(|order| status_of(order) == "CONFIRMED");
    let order = eventually("the order is confirmed", look).await;
    guest.order_paid(&order, "CAPTURED").await;
    assert_eq!(ledger(house).await, [("provider_clearing".into(), 2_000), ("revenue".into(), -2_000)]);
    house.at_rest().await;
}

async fn a_dispute_keeps_the_money_away_until_it_is_won(house: &House) {
    house.sells("LAMP", 1_000, 10).await;
    let guest = house.guest().await;
    let order = guest.buys("LAMP", 2, "dispute_won").await;
    let away = [("disputes".to_owned(), 2_000), ("revenue".to_owned(), -2_000)];
    let look = async || Some(ledger(house).await).filter(|ledger| *ledger == away);
    eventually("the customer's bank takes the money back", look).await;
    assert_eq!(payment(house, &order).await["disputes"][0]["status"], "DISPUTE_STATUS_OPEN");
    house.advance(Duration::from_secs(10));
    let ours = [("provider_clearing".to_owned(), 2_000), ("revenue".to_owned(), -2_000)];
    let look = async || Some(ledger(house).await).filter(|ledger| *ledger == ours);
    eventually("the dispute is won", look).await;
    assert_eq!(payment(house, &order).await["disputes"][0]["status"], "DISPUTE_STATUS_WON");
    house.at_rest().await;
}

async fn half_an_hour_of_doubt_ends_the_sale_and_holds_nothing(house: &House) {
    house.sells("LAMP", 1_000, 10).await;
    let mut orders = Vec::new();
    for method in ["timeout_before", "timeout_after_effect"] {
        let guest = house.guest().await;
        let quote = guest.wants("LAMP", 2).await;
        let order = guest.accepts(&quote, method).await;
        orders.push((guest, order));
    }
    let reserved = async || Some(house.stock("LAMP").await).filter(|stock| *stock == (10, 4));
    eventually("the stock is promised", reserved).await;
    house.advance(Duration::from_secs(30 * 60));
    for (guest, order) in &orders {
        let seen: Vec<_> = guest.watches(order, 0).await.into_iter().map(|(_, what)| what).collect();
        assert_eq!(seen, ["OrderPlaced", "OrderRejected"]);
        let order = guest.order(order).await;
        assert_eq!((status_of(&order), order["reason"].as_str()), ("REJECTED", Some("DEADLINE_PASSED")));
        assert_eq!((payment_of(&order), &order["needsAttention"]), ("NONE", &json!(false)));
        assert_eq!(payment(house, &order).await["status"], "PAYMENT_STATUS_VOIDED");
        let late = guest.cancels(&order, "cancel").await;
        assert_eq!((late.status, late.reason().as_str()), (409, "CANCEL_TOO_LATE"));
    }
    house.at_rest().await;
    assert_eq!(house.stock("LAMP").await, (10, 0));
    assert_eq!(ledger(house).await, []);
}

async fn clicks_at_once_are_all_counted_and_each_once(house: &House) {
    house.sells("LAMP", 1_000, 100).await;
    let guest = &house.guest().await;
    let click = |n: u32| {
        let item = json!({"sku": "LAMP", "quantity": 1, "opId": format!("click-{n}")});
        async move { guest.post("/api/v1/cart/items", &item).expect(200).await }
    };
    // Twenty clicks, each sent twice by a nervous client.
    futures_util::future::join_all((0..40).map(|n| click(n % 20))).await;
    let cart = guest.cart().await;
    assert_eq!(
        (cart["lines"].as_array().map(Vec::len), &cart["lines"][0]["quantity"]),
        (Some(1), &json!(20))
    );
}

async fn a_key_said_twice_is_one_order(house: &House) {
    house.sells("LAMP", 1_000, 100).await;
    let guest = house.guest().await;
    let quote = guest.wants("LAMP", 1).await;
    let clicks = (0..8).map(|_| guest.places(&quote, "ok", "click"));
    let answers = futures_util::future::join_all(clicks).await;
    for answer in &answers {
        assert_eq!(
            (answer.status, status_of(&answer.json()["order"])),
            (202, "CONFIRMED"),
            "{}",
            answer.text()
        );
        assert_eq!(answer.json()["order"]["orderId"], answers[0].json()["order"]["orderId"]);
    }
    let other_body = guest.places(&quote, "decline_funds", "click").await;
    assert_eq!((other_body.status, other_body.reason().as_str()), (422, "IDEMPOTENCY_KEY_REUSED"));
    let other_key = guest.places(&quote, "ok", "another-click").await;
    assert_eq!((other_key.status, other_key.reason().as_str()), (409, "QUOTE_USED"));
    assert_eq!(other_key.json()["metadata"]["order_id"], answers[0].json()["order"]["orderId"]);
    // Keys belong to their caller: somebody else may use the same word.
    let other = house.guest().await;
    let quote = other.wants("LAMP", 1).await;
    assert_eq!(other.places(&quote, "ok", "click").await.status, 202);
    house.at_rest().await;
    assert_eq!(house.stock("LAMP").await, (100, 2));
}

async fn a_provider_that_loses_answers_is_asked_again(house: &House) {
    house.sells("LAMP", 1_000, 10).await;
    let methods =
        ["timeout_before", "timeout_after_effect", "error_500_then_ok", "capture_timeout_after_effect"];
    let buying = methods.map(|method| async move {
        let guest = house.guest().await;
        let order = guest.buys("LAMP", 1, method).await;
        assert_eq!(status_of(&order), "CONFIRMED", "{method}: {order}");
        let order = guest.order_paid(&order, "CAPTURED").await;
        assert_eq!(order["needsAttention"], false, "{method}");
        let paid = payment(house, &order).await;
        assert_eq!((minor(&paid["authorized"]), minor(&paid["captured"])), (1_000, 1_000), "{method}");
    });
    futures_util::future::join_all(buying).await;
    assert_eq!(ledger(house).await, [("provider_clearing".into(), 4_000), ("revenue".into(), -4_000)]);
}

async fn an_agreed_quote_belongs_to_its_reference_for_ever(house: &House) {
    house.sells("LAMP", 1_000, 100).await;
    let sales = house.staff(Role::Sales);
    let deal = |quantity: u32| {
        json!({
            "subject": "17850", "externalRef": "536365", "market": "GB",
            "lines": [
                {"sku": "LAMP", "quantity": quantity, "unitPrice": money(255)},
                {"sku": "LAMP", "quantity": 1, "unitPrice": money(850)},
            ],
        })
    };
    let asks = async |deal: Value| sales.post("/api/v1/quotes:agreed", &deal).send().await;
    let first = asks(deal(6)).await;
    assert_eq!(first.status, 201, "{}", first.text());
    let quote = first.json()["quote"].clone();
    assert_eq!((minor(&quote["total"]), quote["lines"].as_array().map(Vec::len)), (2_380, Some(2)));
    assert_eq!(quote["lines"][0]["title"].as_str().map(|title| title.contains("LAMP")), Some(true));
    assert_eq!(asks(deal(6)).await.json()["quote"], quote, "the same deal is the same quote");
    let other = asks(deal(7)).await;
    assert_eq!((other.status, other.reason().as_str()), (409, "EXTERNAL_REF_TAKEN"));

    house.advance(Duration::from_secs(16 * 60));
    let late = sales.places(&quote, "ok", "late").await;
    assert_eq!((late.status, late.reason().as_str()), (409, "QUOTE_EXPIRED"));
    let renewed = asks(deal(6)).await.json()["quote"].clone();
    assert_eq!(renewed["quoteId"], quote["quoteId"]);
    assert!(renewed["expiresAt"].as_str() > quote["expiresAt"].as_str(), "{renewed}");
    let order = sales.orders(&renewed, "ok").await;
    assert_eq!((status_of(&order), order["subject"].as_str()), ("CONFIRMED", Some("17850")));
    // A promise of money holds a week.
    sales.order_paid(&order, "CAPTURED").await;

    house.advance(Duration::from_secs(30 * 24 * 3_600));
    let sales = house.staff(Role::Sales);
    let repeated = sales.post("/api/v1/quotes:agreed", &deal(6)).expect(201).await["quote"].clone();
    assert_eq!((&repeated["quoteId"], &repeated["orderId"]), (&quote["quoteId"], &order["orderId"]));
    let found = sales.get("/api/v1/orders:byExternalRef?externalRef=536365").expect(200).await;
    assert_eq!((&found["quote"], &found["order"]["orderId"]), (&repeated, &order["orderId"]));
    let unknown = sales.get("/api/v1/orders:byExternalRef?externalRef=0").refused(404).await;
    assert_eq!(unknown, "NOT_FOUND");
}

async fn what_is_not_yours_is_not_there(house: &House) {
    house.sells("LAMP", 1_000, 10).await;
    let (owner, stranger) = (house.guest().await, house.guest().await);
    let cart = owner.adds("LAMP", 1).await;
    let quote = owner.quotes().await;
    let stolen = stranger.post("/api/v1/quotes", &json!({"cartId": cart["cartId"]}));
    assert_eq!(stolen.refused(404).await, "NOT_FOUND");
    let quote_path = format!("/api/v1/quotes/{}", quote["quoteId"].as_str().expect("an id"));
    assert_eq!(stranger.get(&quote_path).refused(404).await, "NOT_FOUND");
    let placed = stranger.places(&quote, "ok", "mine").await;
    assert_eq!((placed.status, placed.reason().as_str()), (404, "NOT_FOUND"));

    let order = owner.orders(&quote, "ok").await;
    owner.order_paid(&order, "CAPTURED").await;
    let id = order["orderId"].as_str().expect("an id");
    let order_path = format!("/api/v1/orders/{id}");
    assert_eq!(stranger.get(&order_path).refused(404).await, "NOT_FOUND");
    assert_eq!(stranger.get(&format!("{order_path}:watch")).refused(404).await, "NOT_FOUND");
    assert_eq!(stranger.cancels(&order, "mine").await.status, 404);
    let payment_path = format!("/api/v1/payments/{}", id.replace("ord_", "pay_"));
    assert_eq!(stranger.get(&payment_path).refused(404).await, "NOT_FOUND");
    let own = stranger.get("/api/v1/orders").expect(200).await;
    assert_eq!(own["orders"], json!([]));
    assert_eq!(status_of(&owner.order(&order).await), "CONFIRMED", "nothing was called off");
    assert_eq!(owner.get(&payment_path).expect(200).await["payment"]["orderId"], order["orderId"]);
}

async fn staff_may_do_what_their_role_says(house: &House) {
    house.sells("LAMP", 1_000, 10).await;
    let guest = house.guest().await;
    let order = guest.buys("LAMP", 1, "ok").await;
    let product = json!({"title": "A lamp", "published": true, "variants": [{"sku": "LAMP"}]});
    let adjust =
        json!({"adjustmentId": "a1", "sku": "LAMP", "location": "main", "delta": "-1", "reason": "broken"});
    let deal = json!({
        "subject": "s", "externalRef": "r", "market": "GB",
        "lines": [{"sku": "LAMP", "quantity": 1, "unitPrice": money(1)}],
    });
    let order_path = format!("/api/v1/orders/{}", order["orderId"].as_str().expect("an id"));
    let (sales, support, admin) =
        (house.staff(Role::Sales), house.staff(Role::Support), house.staff(Role::Admin));
    let asked = async |who: &Caller| {
        let put = who.put("/api/v1/products/lamp", &product).send().await.status;
        let adjusted = who.post("/api/v1/stock:adjust", &adjust).send().await.status;
        let agreed = who.post("/api/v1/quotes:agreed", &deal).send().await.status;
        let seen = who.get(&order_path).send().await.status;
        let ledger = who.get("/api/v1/ledger").send().await.status;
        [put, adjusted, agreed, seen, ledger]
    };
    assert_eq!(asked(&house.guest().await).await, [403, 403, 403, 404, 403]);
    assert_eq!(asked(&house.nobody()).await, [401, 401, 401, 401, 401]);
    assert_eq!(asked(&support).await, [403, 403, 403, 200, 200]);
    assert_eq!(
        asked(&sales).await,
        [200, 403, 201, 404, 403],
        "a customer's own order is not sales' business"
    );
    assert_eq!(asked(&admin).await, [200, 200, 403, 200, 200]);
    assert_eq!(house.stock("LAMP").await, (9, 1), "adjusted once");
}

async fn an_order_can_be_watched_from_anywhere_to_its_end(house: &House) {
    house.sells("LAMP", 1_000, 10).await;
    let guest = house.guest().await;
    let quote = guest.wants("LAMP", 1).await;
    let body = json!({
        "quoteId": quote["quoteId"], "expectedTotal": quote["total"], "paymentMethodToken": "error_500_then_ok",
    });
    let order = guest.post("/api/v1/orders", &body).key("place").expect(202).await["order"].clone();
    // Live: the stream ends by itself when nothing more can come.
    let seen = guest.watches(&order, 0).await;
    let whats: Vec<_> = seen.iter().map(|(_, what)| what.as_str()).collect();
    assert_eq!(whats, ["OrderPlaced", "PaymentAuthorized", "OrderConfirmed", "PaymentCaptured"]);
    assert!(seen.windows(2).all(|two| two[0].0 < two[1].0), "{seen:?}");
    // Afterwards, and from the middle on.
    assert_eq!(guest.watches(&order, 0).await, seen);
    assert_eq!(guest.watches(&order, seen[1].0).await, seen[2..]);
    assert_eq!(guest.watches(&order, seen[3].0).await, []);

    guest.cancels(&order, "cancel").await;
    let after: Vec<_> = guest.watches(&order, seen[3].0).await.into_iter().map(|(_, what)| what).collect();
    assert_eq!(after, ["CancelRequested", "PaymentRefunded", "OrderCancelled"]);
}

async fn what_is_added_after_the_quote_stays_in_a_fresh_cart(house: &House) {
    house.sells("LAMP", 1_000, 10).await;
    house.sells("VASE", 700, 10).await;
    let guest = house.guest().await;
    let quote = guest.wants("LAMP", 2).await;
    let cart = guest.adds("VASE", 1).await;
    let order = guest.orders(&quote, "ok").await;
    assert_eq!(order["lines"].as_array().map(Vec::len), Some(1), "the order is what the quote was");
    let moved = async || Some(guest.cart().await).filter(|now| now["cartId"] != cart["cartId"]);
    let fresh = eventually("the cart is converted", moved).await;
    assert_eq!(fresh["lines"].as_array().map(Vec::len), Some(1), "{fresh}");
    assert_eq!((fresh["lines"][0]["sku"].as_str(), minor(&fresh["subtotal"])), (Some("VASE"), 700));
}

async fn a_long_list_of_orders_comes_by_pages(house: &House) {
    house.sells("LAMP", 1_000, 10).await;
    let guest = house.guest().await;
    let mut placed = Vec::new();
    for n in 0..3 {
        let emptied = async || Some(guest.cart().await).filter(|cart| cart["lines"] == json!([]));
        eventually("the last cart is converted", emptied).await;
        house.advance(Duration::from_secs(1));
        let item = json!({"sku": "LAMP", "quantity": 1, "opId": format!("op-{n}")});
        guest.post("/api/v1/cart/items", &item).expect(200).await;
        let quote = guest.quotes().await;
        let order = guest.places(&quote, "ok", &format!("key-{n}")).await;
        placed.insert(0, order.json()["order"]["orderId"].clone());
    }
    let ids = |page: &Value| -> Vec<Value> {
        page["orders"].as_array().expect("a list").iter().map(|order| order["orderId"].clone()).collect()
    };
    let first = guest.get("/api/v1/orders?pageSize=2").expect(200).await;
    assert_eq!(ids(&first), placed[..2], "newest first");
    let token = first["nextPageToken"].as_str().expect("there is more");
    let second = guest.get(&format!("/api/v1/orders?pageSize=2&pageToken={token}")).expect(200).await;
    assert_eq!((ids(&second), second["nextPageToken"].as_str()), (placed[2..].to_vec(), Some("")));
    let stolen = house.guest().await.get(&format!("/api/v1/orders?pageToken={token}")).refused(400).await;
    assert_eq!(stolen, "INVALID_PAGE_TOKEN");
}

async fn what_lines_come_to_is_calculated_with_coupon_and_tax(house: &House) {
    house.sells("LAMP", 1_000, 0).await;
    house.sells("VASE", 333, 0).await;
    let sales = house.staff(Role::Sales);
    let vat = json!({"taxClass": "standard", "rateMillionths": 200_000, "name": "VAT"});
    let zone = json!({"rates": [vat], "pricesIncludeTax": true});
    sales.put("/api/v1/tax-zones/GB", &zone).expect(200).await;
    let spring = json!({
        "promotionId": "spring", "name": "Spring sale", "code": "spring10",
        "benefit": {"percentageBp": 1_000}, "limitTotal": 5,
    });
    let created = sales.post("/api/v1/promotions", &spring).expect(200).await;
    assert_eq!(created["promotion"]["state"], "PROMOTION_STATE_ACTIVE");

    let guest = house.guest().await;
    let lines = json!([{"line": 1, "sku": "LAMP", "quantity": 1}, {"line": 2, "sku": "VASE", "quantity": 2}]);
    let ask = json!({"lines": lines, "market": "GB", "couponCodes": ["Spring10", "autumn"], "shipping": money(499)});
    let priced = guest.post("/api/v1/prices:calculate", &ask).expect(200).await;
    // 16.66 less a tenth, and 4.99 for shipping; a sixth of it is tax.
    let amounts = ["subtotal", "discount", "shipping", "total", "tax"].map(|name| minor(&priced[name]));
    assert_eq!(amounts, [1_666, 167, 499, 1_998, 333]);
    assert_eq!(priced["taxInclusive"], true);
    assert_eq!(priced["promotions"][0]["code"], "SPRING10");
    assert_eq!(priced["refused"][0]["reason"], "COUPON_UNKNOWN");

    let look = json!({"code": "spring10", "subtotal": money(1_000), "market": "GB"});
    let coupon = guest.post("/api/v1/coupons:validate", &look).expect(200).await;
    assert_eq!((coupon["applies"].as_bool(), coupon["name"].as_str()), (Some(true), Some("Spring sale")));
    assert_eq!(guest.get("/api/v1/promotions").refused(403).await, "PERMISSION_DENIED");
    let reason = json!({"reason": "it leaked"});
    sales.post("/api/v1/promotions/spring:disable", &reason).expect(200).await;
    let after = guest.post("/api/v1/prices:calculate", &ask).expect(200).await;
    assert_eq!(after["refused"][0]["reason"], "COUPON_EXPIRED");
}

async fn what_happens_is_told_and_can_be_heard_again(house: &House) {
    house.sells("LAMP", 1_250, 10).await;
    let (guest, other) = (house.guest().await, house.guest().await);
    let preferred =
        guest.patch("/api/v1/notification-preferences", &json!({"locale": "de"})).expect(200).await;
    assert_eq!(preferred["preferences"]["locale"], "de");
    guest.adds("LAMP", 2).await;
    let quote = guest.quotes().await;
    let order = guest.orders(&quote, "ok").await;
    let told = async |caller: &Caller, count: usize| {
        let page = caller.get("/api/v1/notifications").expect(200).await;
        let all = page["notifications"].as_array().cloned().unwrap_or_default();
        (all.len() == count).then_some(all)
    };
    let first = eventually("the order is told", async || told(&guest, 1).await).await;
    assert_eq!(first[0]["type"], "order.confirmed");
    assert_eq!(first[0]["title"], "Ihre Bestellung ist bestätigt");
    assert_eq!(first[0]["facts"]["order_id"], order["orderId"]);
    assert_eq!(first[0]["facts"]["total"], "25.00 GBP");

    let mut stream = guest.get("/api/v1/notifications:subscribe").lines().await;
    let heard = stream.next().await.expect("what was missed");
    assert_eq!((heard["cursor"].as_str(), &heard["notification"]), (Some("1"), &first[0]));
    drop(stream);
    let order_id = order["orderId"].as_str().expect("an id");
    let cancel = guest.post(&format!("/api/v1/orders/{order_id}:cancel"), &json!({})).key("cancel").wait(20);
    cancel.expect(202).await;
    let mut stream = guest.get("/api/v1/notifications:subscribe?afterCursor=1").lines().await;
    let heard = stream.next().await.expect("what came meanwhile, or comes");
    assert_eq!(
        (heard["cursor"].as_str(), heard["notification"]["type"].as_str()),
        (Some("2"), Some("order.cancelled"))
    );
    drop(stream);

    let marked = guest.post("/api/v1/notifications:markRead", &json!({"upTo": "1"})).expect(200).await;
    assert_eq!(marked["unread"], "1");
    let count = guest.get("/api/v1/notifications:unreadCount").expect(200).await;
    assert_eq!((count["unread"].as_str(), count["lastCursor"].as_str()), (Some("1"), Some("2")));
    assert!(told(&other, 0).await.is_some(), "nobody hears of others' orders");
    let endpoint = json!({"name": "erp", "url": "https://partner.example/hooks", "types": ["order.shipped"]});
    assert_eq!(guest.post("/api/v1/webhook-endpoints", &endpoint).refused(403).await, "PERMISSION_DENIED");
    let created = house.staff(Role::Sales).post("/api/v1/webhook-endpoints", &endpoint).expect(201).await;
    assert_eq!(created["endpoint"]["enabled"], true);
    assert!(created["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")));
}
