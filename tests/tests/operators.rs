//! What waits for a person, and what that person does about it: over the public API, in every shape of the house.
use prost::Message;
use serde_json::{Value, json};
use souk_eventstore::{CommitId, Decision, EventStore, Origin, Parked, Work};
use souk_rpc::feed::FeedEvent;
use souk_tests::{Caller, House, Shape, eventually, in_every_shape, payment_of, status_of};
use souk_user::Role;

in_every_shape!(
    a_refused_capture_is_tried_again_and_then_skipped_with_a_reason,
    a_stuck_saga_is_ended_by_hand,
    only_an_administrator_moves_a_saga_and_only_staff_sees_it,
    a_mistaken_act_is_refused_with_its_reason,
);

/// An order whose money cannot be taken: its saga waits for a person.
async fn with_a_refused_capture(house: &House) -> (Caller, Value) {
    house.sells("LAMP", 1_000, 10).await;
    let guest = house.guest().await;
    let order = guest.buys("LAMP", 2, "capture_fails").await;
    assert!(["CONFIRMED", "ON_HOLD"].contains(&status_of(&order)), "{order}");
    (guest.clone(), waits(&guest, &order).await)
}

async fn waits(guest: &Caller, order: &Value) -> Value {
    let look = async || Some(guest.order(order).await).filter(|order| order["needsAttention"] == true);
    eventually("a person is called", look).await
}

fn id(order: &Value) -> &str {
    order["orderId"].as_str().expect("an order has an id")
}

fn act(reason: &str, operation_id: &str) -> Value {
    json!({"reason": reason, "operationId": operation_id})
}

async fn does(house: &House, order: &Value, verb: &str, act: &Value) -> Value {
    let path = format!("/api/v1/ops/order/sagas/{}:{verb}", id(order));
    house.staff(Role::Admin).post(&path, act).expect(200).await
}

/// The order's saga of this name, as support sees it.
async fn saga(house: &House, order: &Value, name: &str) -> Value {
    let path = format!("/api/v1/ops/order/sagas/{}", id(order));
    let shown = house.staff(Role::Support).get(&path).expect(200).await;
    let mut sagas = shown["sagas"].as_array().cloned().unwrap_or_default().into_iter();
    sagas.find(|saga| saga["saga"] == name).expect("it began")
}

/// What the log of the order says that people did.
async fn acts(house: &House, order: &Value) -> Vec<(String, String)> {
    let stream = souk_eventstore::StreamId::new("order", id(order));
    let events = house.store("order").read_stream(&stream, 0, 100).await.expect("readable");
    let data = events.iter().map(|event| serde_json::from_str::<Value>(&event.data).expect("JSON"));
    let acts = data.filter(|data| data["what"] == "intervened");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    acts.inspect(|act| assert!(text(&act["by"]).starts_with("stf_"), "{act}"))
        .map(|act| (text(&act["operation"]), text(&act["reason"])))
        .collect()
}

async fn a_refused_capture_is_tried_again_and_then_skipped_with_a_reason(house: &House) {
    let (guest, order) = with_a_refused_capture(house).await;
    let listed = house.staff(Role::Support).get("/api/v1/ops/sagas?onlyStuck=true").expect(200).await;
    assert_eq!((listed["stuck"].as_str(), listed["silent"].clone()), (Some("1"), json!([])), "{listed}");
    let stuck = &listed["sagas"][0];
    assert_eq!((&stuck["id"], &stuck["step"]), (&order["orderId"], &json!("capture")), "{stuck}");
    assert_eq!((&stuck["status"], &stuck["service"]), (&json!("SAGA_STATUS_STUCK"), &json!("order")));

    does(house, &order, "retry", &act("the provider says that it is ready", "op1")).await;
    let order = waits(&guest, &order).await;
    assert_eq!(acts(house, &order).await.len(), 1, "the refusal stands, and it waits again");

    let skipped = does(house, &order, "skip", &act("captured at the provider by hand", "op2")).await;
    assert_eq!(skipped["sagas"][0]["status"], "SAGA_STATUS_COMPLETED", "{skipped}");
    let steps = saga(house, &order, "place").await["steps"].clone();
    assert_eq!((&steps[3]["step"], &steps[3]["standing"]), (&json!("capture"), &json!("skipped")));
    let order = guest.order(&order).await;
    assert_eq!((status_of(&order), payment_of(&order)), ("CONFIRMED", "AUTHORIZED"), "nobody claims more");
    assert_eq!(order["needsAttention"], false);
    let said =
        [("retry", "the provider says that it is ready"), ("skip", "captured at the provider by hand")];
    assert_eq!(acts(house, &order).await, said.map(|(what, why)| (what.to_owned(), why.to_owned())));
    does(house, &order, "skip", &act("captured at the provider by hand", "op2")).await;
    assert_eq!(acts(house, &order).await.len(), 2, "the same act said again is the same");
}

async fn a_stuck_saga_is_ended_by_hand(house: &House) {
    let (guest, order) = with_a_refused_capture(house).await;
    let ended = does(house, &order, "resolve", &act("written off", "op1")).await;
    assert_eq!(ended["sagas"][0]["status"], "SAGA_STATUS_ABANDONED", "{ended}");
    let listed = house.staff(Role::Support).get("/api/v1/ops/sagas?service=order").expect(200).await;
    assert_eq!(listed["sagas"], json!([]), "{listed}");
    let order = guest.order(&order).await;
    assert_eq!((status_of(&order), &order["needsAttention"]), ("CONFIRMED", &json!(false)));
    assert_eq!(house.stock("LAMP").await, (10, 2), "what is sold stays sold");
}

async fn only_an_administrator_moves_a_saga_and_only_staff_sees_it(house: &House) {
    let (guest, order) = with_a_refused_capture(house).await;
    let path = format!("/api/v1/ops/order/sagas/{}", id(&order));
    let retry = format!("{path}:retry");
    for (who, sees, moves) in [
        (house.nobody(), 401, 401),
        (guest, 403, 403),
        (house.staff(Role::Sales), 403, 403),
        (house.staff(Role::Support), 200, 403),
    ] {
        for path in [path.as_str(), "/api/v1/ops/sagas", "/api/v1/ops/parked"] {
            assert_eq!(who.get(path).send().await.status, sees, "{path}");
        }
        assert_eq!(who.post(&retry, &act("let me", "op1")).send().await.status, moves);
        let redrive = json!({"key": "order/x", "reason": "let me", "operationId": "op1"});
        assert_eq!(who.post("/api/v1/ops/cart/parked:redrive", &redrive).send().await.status, moves);
    }
    assert_eq!(acts(house, &order).await, []);
    does(house, &order, "resolve", &act("the test ends", "op2")).await;
}

async fn a_mistaken_act_is_refused_with_its_reason(house: &House) {
    let (_, order) = with_a_refused_capture(house).await;
    let admin = house.staff(Role::Admin);
    let at = |service: &str, id: &str, verb: &str| format!("/api/v1/ops/{service}/sagas/{id}:{verb}");
    let mine = at("order", id(&order), "skip");
    for (path, body, status, reason) in [
        (&mine, json!({}), 400, "INVALID_ARGUMENT"),
        (&mine, act(&"x".repeat(501), "op1"), 400, "INVALID_ARGUMENT"),
        (&mine, json!({"reason": "no", "operationId": "op1", "step": "commit"}), 409, "STEP_NOT_OUTSTANDING"),
        (&at("order", "ord_nobody", "skip"), act("no", "op1"), 404, "NOT_FOUND"),
        (&at("order", "a b", "skip").replace(' ', "%20"), act("no", "op1"), 404, "NOT_FOUND"),
        (&at("bakery", id(&order), "skip"), act("no", "op1"), 404, "NOT_FOUND"),
        (&at("cart", id(&order), "skip"), act("no", "op1"), 404, "NOT_FOUND"),
        (
            &"/api/v1/ops/cart/parked:redrive".to_owned(),
            json!({"key": "order/x", "reason": "no", "operationId": "op1"}),
            404,
            "KEY_NOT_PARKED",
        ),
    ] {
        assert_eq!(admin.post(path, &body).refused(status).await, reason, "{path} {body}");
    }
    let bare = admin.post(&mine, &json!({})).expect(400).await;
    let fields: Vec<_> =
        bare["fields"].as_array().expect("fields").iter().map(|f| f["field"].clone()).collect();
    assert_eq!(fields, ["reason", "operationId"], "{bare}");
    does(house, &order, "resolve", &act("the test ends", "op2")).await;
    let over = admin.post(&mine, &act("no", "op3")).refused(409).await;
    assert_eq!(over, "SAGA_NOT_STUCK");
}

const REACTION: &str = "cart.orders";

/// The first event of the order service's feed, as its readers get it.
async fn first_event(order: &EventStore) -> FeedEvent {
    let published = order.read_feed(0, 1).await.expect("readable").remove(0);
    FeedEvent {
        feed_seq: published.feed_seq,
        source: "order".into(),
        stream: published.stream.as_str().into(),
        public_seq: published.public_seq,
        kind: published.kind.into(),
        id: format!("order/{}", published.feed_seq),
        data: published.data,
        ..FeedEvent::default()
    }
}

/// The cart, while it was away, could not apply this event: it and the feed's position are noted.
async fn parks(house: &House, event: &FeedEvent, what: &'static str) {
    let payload = event.encode_to_vec().iter().map(|byte| format!("{byte:02x}")).collect();
    let parked = Parked {
        reaction: REACTION.into(),
        source: "order".into(),
        stream: event.stream.as_str().into(),
        sequence: event.public_seq,
        payload,
        reason: what.into(),
    };
    let (name, last) = (format!("reaction/{REACTION}"), event.feed_seq);
    let cart = house.opened("cart");
    let work = Work::new(CommitId::derived(&[what]), Origin::by("test"));
    let noted =
        work.decide(move |_, _| Ok(Decision::new().park(parked.clone()).checkpoint(name.as_str(), last)));
    cart.commit(noted).await.expect("parked");
    cart.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_key_is_redriven_once_it_is_put_right() {
    let mut house = House::start(Shape::Apart).await;
    house.sells("LAMP", 1_000, 10).await;
    let guest = house.guest().await;
    let quote = guest.wants("LAMP", 2).await;
    house.sends_away("cart").await;
    let order = guest.orders(&quote, "ok").await;
    guest.order_paid(&order, "CAPTURED").await;
    let event = first_event(&house.store("order")).await;
    let garbled = FeedEvent { data: vec![0xff].into(), ..event.clone() };
    parks(&house, &garbled, "cannot be read").await;
    house.calls_back("cart").await;

    let (support, admin) = (house.staff(Role::Support), house.staff(Role::Admin));
    let listed = support.get("/api/v1/ops/parked").expect(200).await;
    let key = &listed["keys"][0];
    assert_eq!((&key["service"], &key["reaction"]), (&json!("cart"), &json!(REACTION)), "{listed}");
    assert_eq!((&key["count"], &key["reason"]), (&json!("1"), &json!("cannot be read")));
    assert_eq!(key["key"], format!("order/{}", id(&order)));
    let wish =
        |operation_id: &str| json!({"key": key["key"], "reason": "put right", "operationId": operation_id});
    let redrive = "/api/v1/ops/cart/parked:redrive";
    let in_vain = admin.post(redrive, &wish("op1")).expect(200).await["results"][0].clone();
    assert_eq!((&in_vain["applied"], &in_vain["left"]), (&json!("0"), &json!("1")));
    assert!(in_vain["poison"].as_str().is_some_and(|why| !why.is_empty()), "{in_vain}");

    house.sends_away("cart").await;
    let away = admin.get("/api/v1/ops/parked").expect(200).await;
    let silent: Vec<_> =
        away["silent"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert_eq!(silent, ["cart", "catalog", "shipping", "user"], "who does not answer is named");
    parks(&house, &event, "put right").await;
    house.calls_back("cart").await;
    let done = admin.post(redrive, &wish("op2")).expect(200).await["results"][0].clone();
    assert_eq!((&done["applied"], &done["left"], &done["poison"]), (&json!("1"), &json!("0"), &json!("")));
    assert_eq!(guest.cart().await["lines"], json!([]), "the cart has heard of its order");
    assert_eq!(support.get("/api/v1/ops/parked").expect(200).await["keys"], json!([]));
    house.close().await;
}
