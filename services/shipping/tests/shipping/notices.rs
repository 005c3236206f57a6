//! What a carrier tells: believed by its signature, kept before it is answered, applied once.
use crate::shop::{PACE, Shop, order, webhook};
use souk_carrier::Notice;
use souk_contracts::shipping::v1::ShipmentStatus;
use souk_kernel::Clock;
use std::time::Duration;

fn signed(shop: &Shop, body: &str) -> Notice {
    let signature = souk_carrier::secret(&shop.signer).sign(shop.clock.now(), body.as_bytes());
    Notice { body: body.as_bytes().to_vec(), signature }
}

async fn deliver(shop: &Shop, notice: &Notice) -> Result<(), String> {
    let answer = shop.client().handle_carrier_webhook(shop.cx(), webhook(notice)).await;
    answer.map(drop).map_err(|error| error.reason().to_owned())
}

fn told(event: &str, code: &str, status: &str) -> String {
    format!(
        r#"{{"eventId":"{event}","trackingCode":"{code}","status":"{status}","time":"2027-01-15T08:00:00Z"}}"#
    )
}

#[tokio::test]
async fn a_notice_is_believed_by_its_signature_alone() {
    let shop = Shop::open(false).await;
    let good = signed(&shop, &told("e1", "SIM1", "IN_TRANSIT"));
    let refused = Err("SIGNATURE_INVALID".to_owned());
    let changed = Notice { body: told("e1", "SIM2", "IN_TRANSIT").into_bytes(), ..good.clone() };
    assert_eq!(deliver(&shop, &changed).await, refused);
    let unsigned = Notice { signature: String::new(), ..good.clone() };
    assert_eq!(deliver(&shop, &unsigned).await, refused);
    let mut bare = webhook(&good);
    bare.headers.clear();
    assert!(shop.client().handle_carrier_webhook(shop.cx(), bare).await.is_err());
    let before = shop.store().head().borrow().get();
    assert_eq!(before, 0, "nothing of it is recorded");
    assert_eq!(deliver(&shop, &good).await, Ok(()));
    shop.clock.advance_ms(301_000);
    assert_eq!(deliver(&shop, &good).await, refused, "an old one is played again");
    let unreadable = signed(&shop, "{}");
    assert!(deliver(&shop, &unreadable).await.is_err());
}

#[tokio::test]
async fn a_notice_about_an_unknown_parcel_is_kept_and_tried_again() {
    let shop = Shop::open(false).await;
    let shipment_id = shop.create(order(1), "").await.shipments[0].shipment_id.clone();
    let sent = shop.send_off(&shipment_id).await.expect("sent off");
    let other = shop.create(order(2), "").await.shipments[0].shipment_id.clone();
    // The carrier speaks of a parcel that we have labelled and not handed over yet.
    let client = shop.client();
    let pack = souk_contracts::shipping::v1::MarkPackedRequest { shipment_id: other.clone() };
    client.mark_packed(shop.staff(), pack).await.expect("packed");
    let label = souk_contracts::shipping::v1::BuyLabelRequest { shipment_id: other.clone() };
    let labelled = client.buy_label(shop.staff(), label).await.expect("labelled").shipment.expect("set");
    assert_ne!(labelled.tracking_code, sent.tracking_code);
    let early = signed(&shop, &told("early", &labelled.tracking_code, "DELIVERED"));
    for _ in 0..2 {
        assert_eq!(deliver(&shop, &early).await, Ok(()), "it is kept");
    }
    assert_eq!(shop.statuses(order(2)).await[0], ShipmentStatus::Labelled);
    let hand_over = souk_contracts::shipping::v1::HandOverRequest { shipment_id: other };
    client.hand_over(shop.staff(), hand_over).await.expect("handed over");
    shop.pass(Duration::from_secs(30)).await;
    assert_eq!(shop.statuses(order(2)).await[0], ShipmentStatus::Delivered);
}

#[tokio::test]
async fn a_notice_that_nobody_ever_knows_is_given_up_for_a_person() {
    let shop = Shop::open(false).await;
    let stray = signed(&shop, &told("stray", "SIM-NOBODYS", "DELIVERED"));
    assert_eq!(deliver(&shop, &stray).await, Ok(()));
    for _ in 0..20 {
        shop.pass(Duration::from_secs(60 * 60 * 24)).await;
    }
    assert_eq!(shop.store().open_timers().await.expect("readable"), 0);
    let log = shop.store().read_log(souk_eventstore::Position::START, 100).await.expect("readable");
    assert_eq!(log.last().map(|recorded| recorded.kind.to_string()), Some("NoticeGivenUp".to_owned()));
}

#[tokio::test]
async fn a_repeated_notice_changes_nothing() {
    let shop = Shop::open(true).await;
    shop.create(order(1), "").await;
    shop.until_collected(order(1)).await;
    shop.pass(PACE).await;
    let before = shop.store().head().borrow().get();
    for notice in shop.sent() {
        let fresh = signed(&shop, std::str::from_utf8(&notice.body).expect("it is JSON"));
        assert_eq!(deliver(&shop, &fresh).await, Ok(()));
    }
    assert!(!shop.sent().is_empty());
    assert_eq!(shop.store().head().borrow().get(), before);
}
