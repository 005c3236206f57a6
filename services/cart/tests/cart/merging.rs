//! A guest's cart goes into the customer's who the guest turned out to be: once, whole, and nobody else's.
use crate::shop::{Shop, lines};
use futures_util::future::join_all;
use prost::Message;
use souk_cart::domain::CartEvent;
use souk_cart::published::CART_MERGED;
use souk_contracts::cart::v1::{self as pb, IssueKind};
use souk_identity::Kind;
use souk_kernel::Code;

#[tokio::test]
async fn a_guests_cart_goes_into_the_customers_once() {
    let shop = Shop::in_memory().await;
    let before = shop.add("gst_1", "A", 2, "op1").await.expect("added");
    shop.add("gst_1", "B", 1, "op2").await.expect("added");
    shop.customer_adds("usr_1", "A", 3, "op1").await;
    let merged = shop.merge("gst_1", "usr_1").await.expect("merged");
    assert_eq!(lines(&merged), [(1, "A", 5), (2, "B", 1)]);
    assert_eq!(merged.subtotal.as_ref().map(|money| money.minor_units), Some(750));
    assert_eq!(shop.merge("gst_1", "usr_1").await.expect("again"), merged, "twice is once");
    assert_eq!(shop.get("gst_1").await.cart_id, "", "the guest's is closed");
    let gone = shop.read_lines("gst_1", &before.cart_id).await.expect_err("merged");
    assert_eq!(gone.code(), Code::NotFound);
    let feed = shop.store().read_feed(0, 100).await.expect("the feed");
    let told: Vec<_> = feed.iter().map(|event| (event.kind, event.data.clone())).collect();
    let message = pb::CartMerged {
        guest_cart_id: before.cart_id,
        guest: "gst_1".into(),
        cart_id: merged.cart_id,
        customer: "usr_1".into(),
    };
    assert_eq!(told, [(CART_MERGED, message.encode_to_vec().into())], "others hear of it once");
    shop.check().await;
}

#[tokio::test]
async fn a_customer_without_a_cart_gets_the_guests_lines_in_a_cart_of_their_own() {
    let shop = Shop::in_memory().await;
    assert_eq!(shop.merge("gst_1", "usr_1").await.expect("nothing to merge").cart_id, "");
    shop.add_in("gst_1", "D", 2, "op1", "DE").await.expect("added");
    let merged = shop.merge("gst_1", "usr_1").await.expect("merged");
    assert_eq!((merged.market.as_str(), lines(&merged)), ("DE", vec![(1, "D", 2)]));
    shop.add("gst_1", "A", 1, "op2").await.expect("the guest goes on in another tab");
    let merged = shop.merge("gst_1", "usr_1").await.expect("merged");
    assert_eq!(lines(&merged), [(1, "D", 2), (2, "A", 1)], "a later cart is another one");
    shop.check().await;
}

#[tokio::test]
async fn what_does_not_fit_is_said_and_what_is_no_longer_sold_stays_an_issue() {
    let shop = Shop::in_memory().await;
    shop.add("gst_1", "A", 6_000, "op1").await.expect("added");
    shop.add("gst_1", "B", 1, "op2").await.expect("added");
    shop.customer_adds("usr_1", "A", 6_000, "op1").await;
    shop.others.catalog.stop_selling("B");
    let merged = shop.merge("gst_1", "usr_1").await.expect("merged");
    assert_eq!(lines(&merged), [(1, "A", 10_000), (2, "B", 1)]);
    let issue = |cart: &pb::Cart, i: usize| cart.lines[i].issues[0].clone();
    assert_eq!(issue(&merged, 0).kind(), IssueKind::QuantityCapped);
    assert!(issue(&merged, 0).detail.contains("2000"), "{}", issue(&merged, 0).detail);
    assert_eq!(issue(&merged, 1).kind(), IssueKind::Unavailable);
    shop.check().await;
}

#[tokio::test]
async fn too_many_lines_leave_both_carts_as_they_are() {
    let shop = Shop::in_memory().await;
    for i in 0..101 {
        shop.others.catalog.sell(&format!("S{i}"), "GB", 1);
    }
    for i in 0..60 {
        shop.add("gst_1", &format!("S{i}"), 1, &format!("op{i}")).await.expect("added");
    }
    for i in 60..101 {
        shop.customer_adds("usr_1", &format!("S{i}"), 1, &format!("op{i}")).await;
    }
    let refused = shop.merge("gst_1", "usr_1").await.expect_err("101 lines");
    assert_eq!((refused.code(), refused.reason()), (Code::FailedPrecondition, "CART_FULL"));
    assert_eq!(shop.get("gst_1").await.lines.len(), 60);
    shop.remove("gst_1", 1).await.expect("one less");
    assert_eq!(shop.merge("gst_1", "usr_1").await.expect("merged").lines.len(), 100);
    shop.check().await;
}

#[tokio::test]
async fn nobody_merges_a_cart_that_is_not_theirs() {
    let shop = Shop::in_memory().await;
    shop.add("gst_1", "A", 2, "op1").await.expect("added");
    let merge = |kind: Kind, caller: &str, token: String| {
        let cx = shop.caller(caller, kind);
        let client = shop.client.clone();
        async move {
            let request = pb::MergeGuestCartRequest { guest_token: token };
            client.merge_guest_cart(cx, request).await.err().map(|e| (e.code(), e.reason().to_owned()))
        }
    };
    let token = |name: &str, kind: Kind| shop.token(name, kind);
    let refusals = [
        (Kind::Customer, String::new(), Code::InvalidArgument, "INVALID_ARGUMENT"),
        (Kind::Customer, "nonsense".to_owned(), Code::NotFound, "NOT_FOUND"),
        (Kind::Customer, token("usr_2", Kind::Customer), Code::NotFound, "NOT_FOUND"),
        (Kind::Customer, token("stf_1", Kind::Staff), Code::NotFound, "NOT_FOUND"),
        (Kind::Customer, shop.forged("gst_1"), Code::NotFound, "NOT_FOUND"),
        (Kind::Guest, token("gst_1", Kind::Guest), Code::PermissionDenied, "PERMISSION_DENIED"),
        (Kind::Staff, token("gst_1", Kind::Guest), Code::PermissionDenied, "PERMISSION_DENIED"),
    ];
    for (kind, token, code, reason) in refusals {
        assert_eq!(merge(kind, "usr_1", token.clone()).await, Some((code, reason.to_owned())), "{token}");
    }
    shop.merge("gst_1", "usr_1").await.expect("theirs");
    for _ in 0..2 {
        let stolen = shop.merge("gst_1", "usr_2").await.expect_err("the guest is somebody else");
        assert_eq!((stolen.code(), stolen.reason()), (Code::NotFound, "NOT_FOUND"));
        shop.add("gst_1", "B", 1, "op2").await.expect("also when the guest goes on");
    }
    shop.check().await;
}

#[tokio::test]
async fn two_devices_merge_two_carts_at_once_and_each_counts_once() {
    let shop = Shop::in_memory().await;
    for round in 0..10 {
        let (one, two, customer) = (format!("gst_a{round}"), format!("gst_b{round}"), format!("usr_{round}"));
        shop.add(&one, "A", 2, "op1").await.expect("added");
        shop.add(&two, "A", 3, "op1").await.expect("added");
        let guests = [&one, &two, &one, &two, &one, &two];
        let merges = join_all(guests.into_iter().map(|guest| shop.merge(guest, &customer))).await;
        merges.into_iter().for_each(|merged| drop(merged.expect("all of them are answered")));
        assert_eq!(lines(&shop.merge(&one, &customer).await.expect("again")), [(1, "A", 5)]);
    }
    let histories = shop.histories().await;
    let merged = histories.values().flatten().filter(|event| matches!(event, CartEvent::CartMerged(_)));
    assert_eq!(merged.count(), 20);
    shop.check().await;
}

#[tokio::test]
async fn two_customers_at_once_do_not_share_a_guest() {
    let shop = Shop::in_memory().await;
    for round in 0..10 {
        let guest = format!("gst_{round}");
        shop.add(&guest, "A", 2, "op1").await.expect("added");
        let customers = [format!("usr_a{round}"), format!("usr_b{round}")];
        let merges = join_all(customers.iter().map(|customer| shop.merge(&guest, customer))).await;
        let taken = merges.iter().filter(|merged| merged.is_ok()).count();
        let refused = merges.iter().filter_map(|merged| merged.as_ref().err()).map(|e| e.reason());
        assert_eq!((taken, refused.collect::<Vec<_>>()), (1, vec!["NOT_FOUND"]));
    }
    shop.check().await;
}
