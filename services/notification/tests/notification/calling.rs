//! Partners' webhooks, called over HTTP at a real receiver.
use crate::house::House;
use crate::receiver::{Answer, Called, Receiver};
use souk_contracts::notification::v1::{self as pb, DeliveryStatus};
use souk_kernel::Code;
use souk_notification::Options;
use souk_notification::domain::delivery::PAUSE_FIRST;
use std::time::Duration;

async fn with_partner() -> (House, Receiver, pb::CreateWebhookEndpointResponse) {
    let receiver = Receiver::open().await;
    let options = Options::read("", "", "127.0.0.0/8").expect("good options");
    let house = House::in_memory(Options { attempt_max: Duration::from_millis(500), ..options }).await;
    let endpoint = house.endpoint("erp", &receiver.url(), &["order.confirmed"]).await;
    (house, receiver, endpoint)
}

fn id(endpoint: &pb::CreateWebhookEndpointResponse) -> &str {
    &endpoint.endpoint.as_ref().expect("an endpoint").endpoint_id
}

/// Waits until the newest delivery has this status.
async fn newest(house: &House, endpoint: &str, status: DeliveryStatus) -> pb::Delivery {
    let newest = async || house.log(endpoint).await.into_iter().next();
    house.until(async || newest().await.is_some_and(|delivery| delivery.status() == status)).await;
    newest().await.expect("it was there")
}

/// Whether one of the signatures is made with this secret, as a partner would look.
fn is_signed(call: &Called, secret: &str) -> bool {
    let header = call.header("souk-signature");
    let (t, signatures) =
        header.strip_prefix("t=").and_then(|rest| rest.split_once(',')).expect("a time first");
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    let message = format!("{t}.{}", call.body);
    let hex = |text: &str| -> Vec<u8> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex")).collect()
    };
    let mut signatures = signatures.split(',').filter_map(|one| one.strip_prefix("v1="));
    signatures.any(|one| ring::hmac::verify(&key, message.as_bytes(), &hex(one)).is_ok())
}

fn advance(house: &House, times: u32) {
    house.clock.advance_ms(i64::try_from((PAUSE_FIRST * times).as_millis()).expect("small"));
}

#[tokio::test]
async fn a_partner_is_called_with_a_signed_body_of_what_it_wants() {
    let (house, receiver, endpoint) = with_partner().await;
    house.orders.cancel(1, "gst_1", "X", crate::house::START);
    house.confirms(2, "gst_1");
    let delivery = newest(&house, id(&endpoint), DeliveryStatus::Delivered).await;
    assert_eq!((delivery.result.as_str(), delivery.attempts), ("HTTP_200", 1));
    let calls = receiver.calls();
    assert_eq!(calls.len(), 1, "it did not want to hear of cancellations");
    assert_eq!(calls[0].line(), "POST /hooks?of=souk HTTP/1.1");
    assert_eq!(calls[0].header("souk-delivery"), delivery.delivery_id);
    assert_eq!(calls[0].header("souk-event-type"), "order.confirmed");
    assert!(calls[0].body.contains("\"total\":\"12.50 GBP\""), "{}", calls[0].body);
    assert!(is_signed(&calls[0], &endpoint.secret));
    assert!(!is_signed(&calls[0], "whsec_0"));
    house.check(&[&endpoint.secret]).await;
}

#[tokio::test]
async fn a_new_secret_signs_beside_the_old_one_and_asking_again_gives_the_same() {
    let (house, receiver, endpoint) = with_partner().await;
    let request = || pb::RotateSecretRequest { endpoint_id: id(&endpoint).into(), generation: 1 };
    let rotated = house.client.rotate_secret(house.staff("sales"), request()).await.expect("rotated");
    let again = house.client.rotate_secret(house.staff("sales"), request()).await.expect("the same");
    assert_eq!(rotated, again);
    assert_ne!(rotated.secret, endpoint.secret);
    house.confirms(1, "gst_1");
    newest(&house, id(&endpoint), DeliveryStatus::Delivered).await;
    assert!(
        is_signed(&receiver.calls()[0], &rotated.secret) && is_signed(&receiver.calls()[0], &endpoint.secret)
    );
    house.clock.advance_ms(24 * 3_600_000);
    house.confirms(2, "gst_1");
    house.until(async || receiver.calls().len() == 2).await;
    assert!(
        is_signed(&receiver.calls()[1], &rotated.secret)
            && !is_signed(&receiver.calls()[1], &endpoint.secret)
    );
    house.check(&[&endpoint.secret, &rotated.secret]).await;
}

#[tokio::test]
async fn a_failed_call_is_made_again_with_the_same_id_and_body() {
    let (house, receiver, endpoint) = with_partner().await;
    receiver.will(&[Answer::Status(503), Answer::BreakOff]);
    house.confirms(1, "gst_1");
    let failed = newest(&house, id(&endpoint), DeliveryStatus::Failed).await;
    assert_eq!((failed.result.as_str(), failed.attempts), ("HTTP_503", 1));
    assert!(failed.next_attempt_at.is_some());
    advance(&house, 1);
    house.until(async || house.log(id(&endpoint)).await[0].result == "NO_ANSWER").await;
    advance(&house, 2);
    let delivery = newest(&house, id(&endpoint), DeliveryStatus::Delivered).await;
    assert_eq!(delivery.attempts, 3);
    let calls = receiver.calls();
    assert!(calls.iter().all(|call| call.body == calls[0].body));
    assert!(calls.iter().all(|call| call.header("souk-delivery") == delivery.delivery_id));
    house.check(&[]).await;
}

#[tokio::test]
async fn redirects_are_not_followed_and_silence_is_not_waited_out() {
    let (house, receiver, endpoint) = with_partner().await;
    receiver.will(&[Answer::Moved(302), Answer::Silence]);
    house.confirms(1, "gst_1");
    assert_eq!(newest(&house, id(&endpoint), DeliveryStatus::Failed).await.result, "HTTP_302");
    assert_eq!(receiver.calls().len(), 1, "where it was sent to is not called");
    advance(&house, 1);
    house.until(async || house.log(id(&endpoint)).await[0].result == "TIMEOUT").await;
}

#[tokio::test]
async fn what_was_given_up_can_be_sent_again_and_too_much_turns_the_endpoint_off() {
    let (house, receiver, endpoint) = with_partner().await;
    receiver.will(&[Answer::Status(410); 5]);
    for n in 1..=5 {
        house.confirms(n, "gst_1");
        let dead = async || {
            house.log(id(&endpoint)).await.iter().filter(|d| d.status() == DeliveryStatus::Dead).count()
        };
        house.until(async || dead().await == n as usize).await;
    }
    let all =
        house.client.list_webhook_endpoints(house.staff("support"), pb::ListWebhookEndpointsRequest {}).await;
    let state = all.expect("an answer").endpoints[0].clone();
    assert_eq!((state.enabled, state.dead_in_a_row), (false, 5));
    house.confirms(6, "gst_1");
    house.told("gst_1", 6).await;
    assert_eq!(house.log(id(&endpoint)).await.len(), 5, "nothing is queued for what is off");

    let delivery_id = house.log(id(&endpoint)).await[0].delivery_id.clone();
    let redeliver = async || {
        let request = pb::RedeliverRequest { delivery_id: delivery_id.clone() };
        house.client.redeliver(house.staff("sales"), request).await.expect("asked").delivery.expect("it")
    };
    redeliver().await;
    let of = async |status: DeliveryStatus| {
        house.log(id(&endpoint)).await.iter().any(|d| d.delivery_id == delivery_id && d.status() == status)
    };
    house.until(async || of(DeliveryStatus::Suppressed).await).await;
    let enable = pb::SetWebhookEnabledRequest { endpoint_id: id(&endpoint).into(), enabled: true };
    house.client.set_webhook_enabled(house.staff("sales"), enable).await.expect("it is on");
    redeliver().await;
    house.until(async || of(DeliveryStatus::Delivered).await).await;
    let calls = receiver.calls();
    assert_eq!(calls.last().expect("called").header("souk-delivery"), delivery_id);
    house.check(&[]).await;
}

#[tokio::test]
async fn addresses_inside_are_never_called_whatever_they_are_called() {
    let receiver = Receiver::open().await;
    let port = receiver.address.port();
    let house = House::in_memory(Options::default()).await;
    let mut ids = Vec::new();
    let urls = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("https://localhost:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        format!("https://0.0.0.0:{port}/"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://10.0.0.1/".to_owned(),
    ];
    for (n, url) in urls.iter().enumerate() {
        ids.push(house.endpoint(&format!("e{n}"), url, &[]).await.endpoint.expect("it").endpoint_id);
    }
    house.confirms(1, "gst_1");
    for (endpoint, url) in ids.iter().zip(&urls) {
        let dead = newest(&house, endpoint, DeliveryStatus::Dead).await;
        assert_eq!(dead.result, "ADDRESS_NOT_ALLOWED", "{url}");
    }
    assert_eq!(receiver.calls(), []);
}

#[tokio::test]
async fn endpoints_are_for_staff_and_one_per_name() {
    let (house, receiver, endpoint) = with_partner().await;
    let again = house.endpoint("erp", &receiver.url(), &["order.confirmed"]).await;
    assert_eq!(again, endpoint);
    let create =
        |url: &str| pb::CreateWebhookEndpointRequest { name: "erp".into(), url: url.into(), types: vec![] };
    let elsewhere =
        house.client.create_webhook_endpoint(house.staff("admin"), create("https://b.example")).await;
    assert_eq!(elsewhere.expect_err("it is taken").reason(), "ENDPOINT_EXISTS");
    for cx in [house.guest("gst_1"), house.staff("support")] {
        let refused = house.client.create_webhook_endpoint(cx, create("https://b.example")).await;
        assert_eq!(refused.expect_err("not theirs").code(), Code::PermissionDenied);
    }
    let unknown = souk_notification::domain::endpoint_id("nobody").to_string();
    let request = pb::RotateSecretRequest { endpoint_id: unknown, generation: 1 };
    let refused = house.client.rotate_secret(house.staff("admin"), request).await;
    assert_eq!(refused.expect_err("unknown").code(), Code::NotFound);
    let delivery_id = souk_notification::domain::delivery_id("a", "b").to_string();
    let refused = house.client.redeliver(house.staff("admin"), pb::RedeliverRequest { delivery_id }).await;
    assert_eq!(refused.expect_err("unknown").code(), Code::NotFound);
}

#[tokio::test]
async fn tls_that_is_none_is_a_failure_that_is_tried_again() {
    let receiver = Receiver::open().await;
    let options = Options::read("", "", "127.0.0.1").expect("good options");
    let house = House::in_memory(Options { attempt_max: Duration::from_millis(500), ..options }).await;
    let url = format!("https://{}/", receiver.address);
    let endpoint = house.endpoint("erp", &url, &[]).await;
    house.confirms(1, "gst_1");
    let failed = newest(&house, id(&endpoint), DeliveryStatus::Failed).await;
    assert!(["TLS", "TIMEOUT"].contains(&failed.result.as_str()), "{}", failed.result);
    assert_eq!(receiver.calls(), []);
}
