//! The inbox: told once, in order, resumable, one's own.
use crate::house::{House, TestOrders, next};
use souk_contracts::notification::v1 as pb;
use souk_kernel::{Clock, Code};
use souk_notification::{Options, reactions};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn an_order_is_told_once_and_in_order_of_what_happened() {
    let house = House::in_memory(Options::default()).await;
    house.confirms(1, "gst_1");
    house.orders.cancel(1, "gst_1", "CANCELLED_BY_CUSTOMER", house.clock.now());
    house.confirms(2, "gst_2");
    let told = house.told("gst_1", 2).await;
    let seen: Vec<_> = told.iter().map(|n| (n.cursor, n.r#type.as_str())).collect();
    assert_eq!(seen, [(2, "order.cancelled"), (1, "order.confirmed")]);
    assert_eq!(told[1].title, "Your order is confirmed");
    assert!(told[1].body.contains("12.50 GBP"), "{}", told[1].body);
    assert_eq!(told[1].category(), pb::Category::Transactional);
    assert_eq!(house.told("gst_2", 1).await[0].cursor, 1, "every inbox has its own numbers");
    house.check(&[]).await;
}

#[tokio::test]
async fn a_restart_neither_forgets_nor_repeats() {
    let folder = tempfile::tempdir().expect("a folder");
    let orders = Arc::new(TestOrders::default());
    let house = House::at(folder.path(), 1, orders.clone(), Options::default()).await;
    house.confirms(1, "gst_1");
    house.told("gst_1", 1).await;
    house.node.shut_down().await;
    let house = House::at(folder.path(), 2, orders, Options::default()).await;
    house.confirms(2, "gst_1");
    house.told("gst_1", 2).await;
    house.check(&[]).await;
}

#[tokio::test]
async fn a_subscriber_hears_what_it_missed_then_what_comes_and_goes_on_where_it_was() {
    let house = House::in_memory(Options::default()).await;
    house.confirms(1, "gst_1");
    house.confirms(2, "gst_1");
    house.told("gst_1", 2).await;
    let mut tab = house.subscribe("gst_1", 0, &[]).await.expect("a stream");
    assert_eq!((next(&mut tab).await.cursor, next(&mut tab).await.cursor), (1, 2));
    let mut other = house.subscribe("gst_2", 0, &[]).await.expect("a stream");
    house.confirms(3, "gst_1");
    house.confirms(4, "gst_2");
    assert_eq!(next(&mut tab).await.cursor, 3);
    assert_eq!(
        next(&mut other).await.notification.expect("theirs").facts["order_id"],
        format!("ord_{:026}", 4)
    );
    drop(tab);
    house.confirms(5, "gst_1");
    let mut again = house.subscribe("gst_1", 2, &[]).await.expect("a stream");
    assert_eq!((next(&mut again).await.cursor, next(&mut again).await.cursor), (3, 4));
    let ahead = house.subscribe("gst_1", 9, &[]).await.err().expect("there is no such cursor");
    assert_eq!((ahead.code(), ahead.reason()), (Code::OutOfRange, "CURSOR_AHEAD"));
}

#[tokio::test]
async fn a_subscriber_of_some_types_hears_only_those_and_its_cursor_moves_on() {
    let house =
        House::in_memory(Options { sign_of_life_every: Duration::from_millis(100), ..Options::default() })
            .await;
    house.confirms(1, "gst_1");
    house.orders.cancel(1, "gst_1", "X", house.clock.now());
    house.told("gst_1", 2).await;
    let mut tab = house.subscribe("gst_1", 0, &["order.cancelled"]).await.expect("a stream");
    assert_eq!(next(&mut tab).await.cursor, 2);
    house.confirms(2, "gst_1");
    house.told("gst_1", 3).await;
    let mut sign = next(&mut tab).await;
    while sign.cursor == 2 {
        sign = next(&mut tab).await;
    }
    assert_eq!((sign.notification, sign.cursor), (None, 3), "a sign of life says how far it has looked");
}

#[tokio::test]
async fn pages_marks_and_counts_are_ones_own() {
    let house = House::in_memory(Options::default()).await;
    for n in 1..=5 {
        house.confirms(n, "gst_1");
    }
    let told = house.told("gst_1", 5).await;
    let page = |token: String, unread_only| pb::ListNotificationsRequest {
        page_size: 2,
        page_token: token,
        unread_only,
    };
    let first = house
        .client
        .list_notifications(house.guest("gst_1"), page(String::new(), false))
        .await
        .expect("a page");
    assert_eq!(first.notifications, told[..2]);
    let token = first.next_page_token;
    let theirs = house.client.list_notifications(house.guest("gst_2"), page(token.clone(), false)).await;
    assert_eq!(theirs.expect_err("not theirs").reason(), "INVALID_PAGE_TOKEN");
    let second =
        house.client.list_notifications(house.guest("gst_1"), page(token, false)).await.expect("a page");
    assert_eq!(second.notifications, told[2..4]);

    let mark = async |who: &str, up_to: u64, ids: &[&pb::Notification]| {
        let ids = ids.iter().map(|n| n.notification_id.clone()).collect();
        let request = pb::MarkReadRequest { up_to, ids };
        house.client.mark_read(house.guest(who), request).await.expect("marked").unread
    };
    assert_eq!(mark("gst_1", 2, &[]).await, 3);
    assert_eq!(mark("gst_1", 1, &[]).await, 3, "what was read stays read");
    assert_eq!(mark("gst_2", 0, &[&told[0]]).await, 0, "somebody else's is unknown to them");
    assert_eq!(mark("gst_1", 0, &[&told[0], &told[0], &told[4]]).await, 2);
    let unread = house
        .client
        .list_notifications(house.guest("gst_1"), page(String::new(), true))
        .await
        .expect("a page");
    assert_eq!(unread.notifications.iter().map(|n| n.cursor).collect::<Vec<_>>(), [4, 3]);
    assert_eq!(mark("gst_1", 99, &[]).await, 0);
    let count =
        house.client.unread_count(house.guest("gst_1"), pb::UnreadCountRequest {}).await.expect("a count");
    assert_eq!((count.unread, count.last_cursor), (0, 5));
    house.check(&[]).await;
}

#[tokio::test]
async fn services_tell_things_once_per_key_and_nothing_that_is_muted() {
    let house = House::in_memory(Options::default()).await;
    let notice = ("notice", "Your terms have changed.");
    assert!(house.send("gst_1", "account.notice", notice, "terms").await.expect("told"));
    assert!(house.send("gst_1", "account.notice", notice, "terms").await.expect("told"));
    assert_eq!(house.told("gst_1", 1).await[0].body, "Your terms have changed.");
    let categories = vec![pb::Category::News.into()];
    let muted = Some(pb::MutedCategories { categories });
    let change = pb::UpdatePreferencesRequest { muted, ..Default::default() };
    house.prefer("gst_1", change).await.expect("it is taken");
    for _ in 0..2 {
        assert!(!house.send("gst_1", "shop.news", ("news", "Sale!"), "sale").await.expect("heard"));
    }
    assert_eq!(
        house.send("gst_1", "account.notice", ("x", "y"), "k").await.expect_err("refused").reason(),
        "MISSING_FACT"
    );
    assert_eq!(house.list("gst_1").await.len(), 1);
    let request = pb::SendNotificationRequest::default();
    let guest =
        house.client.send_notification(house.guest("gst_1"), request).await.expect_err("not for people");
    assert_eq!(guest.code(), Code::PermissionDenied);
    house.check(&[]).await;
}

#[tokio::test]
async fn many_at_once_are_told_without_gaps() {
    let house = House::in_memory(Options::default()).await;
    let keys: Vec<String> = (0..60).map(|n| format!("k{}", n % 40)).collect();
    let all = keys.iter().map(|key| house.send("gst_1", "account.notice", ("notice", key), key));
    assert!(futures_util::future::join_all(all).await.into_iter().all(|told| told.is_ok_and(|told| told)));
    assert_eq!(house.told("gst_1", 40).await[0].cursor, 40);
    house.check(&[]).await;
}

#[tokio::test]
async fn texts_speak_the_persons_language() {
    let house = House::in_memory(Options::default()).await;
    house.confirms(1, "gst_1");
    house.told("gst_1", 1).await;
    let change = pb::UpdatePreferencesRequest { locale: Some("de-AT".into()), ..Default::default() };
    assert_eq!(house.prefer("gst_1", change).await.expect("it is taken").locale, "de-AT");
    assert_eq!(house.list("gst_1").await[0].title, "Ihre Bestellung ist bestätigt");
}

#[tokio::test]
async fn news_that_cannot_be_told_are_parked_and_the_others_flow() {
    let house = House::in_memory(Options::default()).await;
    let now = house.clock.now();
    house.orders.publish(8, "OrderConfirmed", vec![0xff, 0xff], now);
    house.orders.publish(9, "OrderDelivered", b"\x0a\x01x".to_vec(), now);
    house.orders.publish(10, "OrderUnheardOf", vec![0xff], now);
    house.confirms(1, "gst_1");
    house.told("gst_1", 1).await;
    let parked = async || house.store().parked(reactions::NAME, 10).await.expect("readable");
    house.until(async || parked().await.len() >= 2).await;
    let reasons: Vec<_> = parked().await.into_iter().map(|parked| parked.reason).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("subject")), "{reasons:?}");
}

#[tokio::test]
async fn an_address_is_kept_closed_and_can_be_forgotten() {
    let house = House::in_memory(Options::default()).await;
    house.has_email("gst_1", "someone@example.org").await;
    house.has_email("gst_1", "someone@example.org").await;
    let get = async |who: &str| {
        let answer = house.client.get_preferences(house.guest(who), pb::GetPreferencesRequest {}).await;
        answer.expect("an answer").preferences.expect("preferences")
    };
    let known = get("gst_1").await;
    assert_eq!((known.has_email, known.email_hint.as_str()), (true, "s…@e….org"));
    assert!(!get("gst_2").await.has_email);
    assert_eq!(house.store().head().borrow().get(), 1, "the same address again changes nothing");
    house.check(&["someone", "example.org"]).await;
    house.has_email("gst_1", "").await;
    assert!(!get("gst_1").await.has_email);
}

#[tokio::test]
async fn yesterdays_news_are_shown_and_not_pushed() {
    let house = House::in_memory(Options::default()).await;
    house.endpoint("erp", "https://partner.example/", &[]).await;
    let happened = house.clock.now();
    house.clock.advance_ms(i64::try_from(Duration::from_secs(3_601).as_millis()).expect("small"));
    house.orders.confirm(1, "gst_1", happened);
    house.told("gst_1", 1).await;
    assert!(house.deliveries().await.is_empty());
}
