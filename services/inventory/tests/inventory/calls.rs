//! Each call, as its callers know it.
use crate::shop::{START, Shop, line, order, reason, said};
use souk_contracts::inventory::v1::{self as pb, ReservationStatus::*};
use souk_eventstore::{Location, Options};
use souk_host::Service;
use souk_identity::Kind;
use souk_kernel::{Code, ManualClock};
use souk_telemetry::Stop;

#[tokio::test]
async fn a_reservation_is_held_committed_and_given_back() {
    let shop = Shop::in_memory();
    assert!(!shop.receive("r1", "main", &[("a", 5), ("b", 1)]).await.expect("booked"));
    let held =
        shop.reserve(order(1), &[line(1, "a", 2), line(2, "b", 1), line(3, "a", 1)]).await.expect("answered");
    assert_eq!(said(&held), (Held, ""));
    assert_eq!(
        held.lines.iter().map(|line| (line.line, line.quantity)).collect::<Vec<_>>(),
        [(1, 2), (2, 1), (3, 1)]
    );
    assert_eq!(held.expires_at.as_ref().map(|at| at.seconds), Some(START.unix_s() + 60));
    assert_eq!((shop.level("a").await, shop.level("b").await), ((5, 3), (1, 1)));

    assert_eq!(said(&shop.commit(order(1)).await), (Committed, ""));
    shop.pass(3_600).await;
    assert_eq!(shop.look(order(1)).await.expect("there").status(), Committed, "it no longer expires");
    assert_eq!(shop.own.store.open_timers().await, Ok(0));

    assert_eq!(said(&shop.release(order(1)).await), (Released, ""));
    assert_eq!(said(&shop.release(order(1)).await), (Released, ""));
    assert_eq!((shop.level("a").await, shop.level("b").await), ((5, 0), (1, 0)));
    assert_eq!(shop.violations().await, []);
}

#[tokio::test]
async fn a_refusal_stands_for_ever_and_holds_nothing() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 1), ("b", 9)]).await.expect("booked");
    let lines = [line(1, "b", 1), line(2, "a", 1), line(3, "a", 1)];
    for _ in 0..2 {
        let refused = shop.reserve(order(1), &lines).await.expect("answered");
        assert_eq!(said(&refused), (Refused, "INSUFFICIENT_STOCK"));
        let short = pb::Shortage { sku: "a".into(), wanted: 2, available: 1 };
        assert_eq!(refused.shortages, [short]);
        shop.receive("r2", "main", &[("a", 100)]).await.expect("booked");
    }
    let unknown = shop.reserve(order(2), &[line(1, "ghost", 1)]).await.expect("answered");
    assert_eq!(said(&unknown), (Refused, "UNKNOWN_SKU"));
    assert_eq!(said(&shop.commit(order(2)).await), (Refused, "UNKNOWN_SKU"));
    assert_eq!(said(&shop.release(order(2)).await), (Refused, "UNKNOWN_SKU"));
    assert_eq!(shop.own.store.open_timers().await, Ok(0));
    assert_eq!(shop.violations().await, []);
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_other_lines_are_a_conflict() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 5)]).await.expect("booked");
    let first = shop.reserve(order(1), &[line(1, "a", 2)]).await.expect("answered");
    shop.commit(order(1)).await;
    shop.pass(10).await;
    assert_eq!(shop.reserve(order(1), &[line(1, "a", 2)]).await.expect("answered"), first);
    let conflict = shop.reserve(order(1), &[line(1, "a", 3)]).await.expect_err("other lines");
    assert_eq!((conflict.code(), conflict.reason()), (Code::FailedPrecondition, "RESERVATION_CONFLICT"));
    assert_eq!(shop.level("a").await, (5, 2));
}

#[tokio::test]
async fn a_release_or_commit_before_the_request_leaves_a_tombstone() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 5)]).await.expect("booked");
    assert_eq!(reason(shop.look(order(1)).await), "NOT_FOUND");
    assert_eq!(said(&shop.release(order(1)).await), (Released, ""));
    assert_eq!(said(&shop.commit(order(2)).await), (Refused, "RESERVATION_UNKNOWN"));
    for (n, why) in [(1, "RESERVATION_RELEASED"), (2, "RESERVATION_UNKNOWN")] {
        let late = shop.reserve(order(n), &[line(1, "a", 1)]).await.expect("answered");
        assert_eq!(said(&late), (Refused, why));
        assert_eq!(said(&shop.commit(order(n)).await), (Refused, why));
    }
    assert_eq!(shop.level("a").await, (5, 0));
    assert_eq!(shop.violations().await, []);
}

#[tokio::test]
async fn a_promise_ends_and_its_commit_finds_the_stock_again() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 2)]).await.expect("booked");
    let held = shop.reserve(order(1), &[line(1, "a", 2)]).await.expect("answered");
    shop.pass(59).await;
    assert_eq!(shop.level("a").await, (2, 2));
    shop.pass(1).await;
    assert_eq!(shop.look(order(1)).await.expect("there").status(), Expired);
    assert_eq!(shop.level("a").await, (2, 0));
    assert_eq!(shop.reserve(order(1), &[line(1, "a", 2)]).await.expect("answered"), held, "it was granted");

    shop.receive("r2", "east", &[("a", 2)]).await.expect("booked");
    let committed = shop.commit(order(1)).await;
    assert_eq!((said(&committed), committed.lines[0].location.as_str()), ((Committed, ""), "east"));
    assert_eq!(shop.level("a").await, (4, 2));
    shop.release(order(1)).await;
    assert_eq!(shop.level("a").await, (4, 0));
    assert_eq!(shop.violations().await, []);
}

#[tokio::test]
async fn i_in_6_an_expired_promise_whose_stock_is_gone_is_never_committed() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 2)]).await.expect("booked");
    shop.reserve(order(1), &[line(1, "a", 2)]).await.expect("answered");
    shop.pass(60).await;
    shop.reserve(order(2), &[line(1, "a", 1)]).await.expect("answered");
    for _ in 0..2 {
        let late = shop.commit(order(1)).await;
        assert_eq!(said(&late), (Expired, "RESERVATION_EXPIRED"));
        assert_eq!(late.shortages, [pb::Shortage { sku: "a".into(), wanted: 2, available: 1 }]);
        shop.receive("r2", "main", &[("a", 100)]).await.expect("booked");
    }
    assert_eq!(said(&shop.release(order(1)).await), (Expired, "RESERVATION_EXPIRED"));
    assert_eq!(shop.level("a").await, (102, 1));
    assert_eq!(shop.violations().await, []);
}

#[tokio::test]
async fn a_release_takes_the_timer_with_it() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 1)]).await.expect("booked");
    shop.reserve(order(1), &[line(1, "a", 1)]).await.expect("answered");
    assert_eq!(shop.own.store.open_timers().await, Ok(1));
    shop.release(order(1)).await;
    assert_eq!(shop.own.store.open_timers().await, Ok(0));
}

#[tokio::test]
async fn the_services_own_process_ends_promises() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 1)]).await.expect("booked");
    shop.reserve(order(1), &[line(1, "a", 1)]).await.expect("answered");
    shop.clock.advance_ms(60_000);
    let mut head = shop.own.store.head();
    head.borrow_and_update();
    let (source, stop) = Stop::new();
    let process = souk_inventory::service().processes(&shop.own).pop().expect("the timers");
    let seen = async {
        head.changed().await.expect("the store is open");
        source.stop();
    };
    let (ended, ()) = tokio::join!(process.run(stop), seen);
    ended.expect("it ended because it was asked to");
    assert_eq!(shop.look(order(1)).await.expect("there").status(), Expired);
    assert_eq!(shop.level("a").await, (1, 0));
}

#[tokio::test]
async fn a_line_is_taken_whole_where_it_can_be_and_split_where_it_must() {
    let shop = Shop::in_memory();
    shop.receive("r1", "south", &[("a", 6)]).await.expect("booked");
    shop.receive("r2", "north", &[("a", 3)]).await.expect("booked");
    let held = shop.reserve(order(1), &[line(1, "a", 3), line(2, "a", 4)]).await.expect("answered");
    let places = |held: &pb::Reservation| -> Vec<(u32, u32, String)> {
        held.lines.iter().map(|line| (line.line, line.quantity, line.location.clone())).collect()
    };
    assert_eq!(places(&held), [(1, 3, "north".to_owned()), (2, 4, "south".to_owned())]);
    shop.release(order(1)).await;
    let split = shop.reserve(order(2), &[line(5, "a", 8)]).await.expect("answered");
    assert_eq!(places(&split), [(5, 3, "north".to_owned()), (5, 5, "south".to_owned())]);
    assert_eq!(shop.reserve(order(2), &[line(5, "a", 8)]).await.expect("answered"), split);
    assert_eq!(shop.violations().await, []);
}

#[tokio::test]
async fn a_receipt_is_booked_once_and_never_over_the_limit() {
    let shop = Shop::in_memory();
    assert_eq!(shop.receive("r/1 é", "main", &[("a", 5), ("a", 2)]).await.ok(), Some(false));
    assert_eq!(shop.receive("r/1 é", "main", &[("a", 5), ("a", 2)]).await.ok(), Some(true));
    assert_eq!(reason(shop.receive("r/1 é", "main", &[("a", 7)]).await), "RECEIPT_CONFLICT");
    assert_eq!(reason(shop.receive("r/1 é", "east", &[("a", 5), ("a", 2)]).await), "RECEIPT_CONFLICT");
    assert_eq!(shop.level("a").await, (7, 0));
    let most = [("b", 1_000_000_000); 1_000];
    shop.receive("r2", "main", &most).await.expect("exactly the limit");
    assert_eq!(reason(shop.receive("r3", "main", &[("c", 1), ("b", 1)]).await), "STOCK_OVERFLOW");
    shop.receive("r3", "east", &[("c", 1), ("b", 1)]).await.expect("a refused receipt left nothing behind");
    assert_eq!(shop.level("b").await, (1_000_000_000_001, 0));
    assert_eq!(shop.violations().await, []);
}

#[tokio::test]
async fn an_adjustment_is_booked_once_and_keeps_its_answer() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 10)]).await.expect("booked");
    shop.reserve(order(1), &[line(1, "a", 4)]).await.expect("answered");
    let level = shop.adjust("j1", "a", "main", -5).await.expect("booked");
    assert_eq!((level.known, level.on_hand, level.reserved, level.available), (true, 5, 4, 1));
    let refusal = shop.adjust("j2", "a", "main", -2).await.expect_err("promised");
    assert_eq!((refusal.reason(), refusal.metadata()["reserved"].as_str()), ("BELOW_RESERVED", "4"));
    shop.adjust("j2", "a", "main", -1).await.expect("a refused adjustment left nothing behind");
    shop.adjust("j3", "a", "east", 3).await.expect("booked");
    assert_eq!(
        shop.adjust("j1", "a", "main", -5).await.expect("repeated"),
        level,
        "the level of that moment"
    );
    assert_eq!(reason(shop.adjust("j1", "a", "main", -4).await), "ADJUSTMENT_CONFLICT");
    assert_eq!(reason(shop.adjust("j4", "ghost", "main", 1).await), "UNKNOWN_SKU");
    assert_eq!(shop.level("a").await, (7, 4));
    assert_eq!(shop.violations().await, []);
}

#[tokio::test]
async fn many_adjustments_are_booked_all_or_none_and_each_once() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 10), ("b", 4)]).await.expect("booked");
    shop.reserve(order(1), &[line(1, "a", 4)]).await.expect("answered");
    let list =
        [("j1", "a", "main", -5), ("j2", "b", "east", 3), ("j3", "a", "main", -1), ("j4", "b", "main", -4)];
    let booked = shop.adjust_all(&list).await.expect("booked");
    assert_eq!(booked, [5, 7, 4, 3], "each sees what the ones before it left");
    assert_eq!(shop.adjust_all(&list).await.expect("again"), booked, "the levels of that moment");
    assert_eq!(shop.adjust_all(&list[1..2]).await.expect("in another call"), [7]);
    assert_eq!((shop.level("a").await, shop.level("b").await), ((4, 4), (3, 0)));
    for (last, reason) in [
        (("k2", "a", "main", -1), "BELOW_RESERVED"),
        (("k2", "ghost", "main", 1), "UNKNOWN_SKU"),
        (("j1", "a", "main", -4), "ADJUSTMENT_CONFLICT"),
        (("k2", "b", "east", 1_000_000_000_000), "STOCK_OVERFLOW"),
        (("k2", "b", "main", -1), "BELOW_RESERVED"),
    ] {
        let refused = shop.adjust_all(&[("k1", "b", "east", 2), last]).await.expect_err("all or none");
        let told = (refused.reason(), refused.metadata()["adjustment_id"].as_str());
        assert_eq!(told, (reason, last.0), "{refused:?}");
        assert_eq!((shop.level("a").await, shop.level("b").await), ((4, 4), (3, 0)), "{last:?}");
    }
    assert_eq!(shop.adjust_all(&[("k1", "b", "east", 2)]).await.expect("nothing was left behind"), [5]);
    let by_sales = pb::BulkAdjustRequest::default();
    let sales = shop.as_person(Kind::Staff, &["sales"]);
    let refused = shop.client.bulk_adjust(sales, by_sales).await.expect_err("admins only");
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(shop.violations().await, []);
}

#[tokio::test]
async fn a_thousand_adjustments_of_one_sku_are_one_call() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 1)]).await.expect("booked");
    let list: Vec<(String, i64)> = (0..1_000).map(|n| (format!("j{n}"), 1 - 2 * (n % 2))).collect();
    let list: Vec<_> = list.iter().map(|(id, delta)| (id.as_str(), "a", "main", *delta)).collect();
    let booked = shop.adjust_all(&list).await.expect("a thousand at once");
    assert_eq!((booked.len(), booked[998], booked[999]), (1_000, 2, 1));
    assert_eq!(shop.level("a").await, (1, 0));
    assert_eq!(shop.violations().await, []);
}

#[tokio::test]
async fn availability_answers_each_sku_in_the_order_asked() {
    let shop = Shop::in_memory();
    let skus: Vec<String> = (0..500).map(|n| format!("sku-{n}")).collect();
    let lines: Vec<(&str, i64)> = skus.iter().take(499).map(|sku| (sku.as_str(), 3)).collect();
    shop.receive("r1", "main", &lines).await.expect("booked");
    let asked: Vec<String> = skus.iter().rev().cloned().collect();
    let request = pb::GetAvailabilityRequest { skus: asked.clone() };
    let levels = shop.client.get_availability(shop.cx(), request).await.expect("answered").levels;
    assert_eq!(levels.iter().map(|level| level.sku.clone()).collect::<Vec<_>>(), asked);
    assert!(!levels[0].known && levels[0].available == 0);
    assert!(levels[1..].iter().all(|level| level.known && level.available == 3));
    let too_many = pb::GetAvailabilityRequest { skus: vec!["a".into(); 501] };
    assert_eq!(reason(shop.client.get_availability(shop.cx(), too_many).await), "INVALID_ARGUMENT");
}

#[tokio::test]
async fn the_ledger_is_read_by_pages_newest_first() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 1), ("b", 7), ("a", 2)]).await.expect("booked");
    shop.pass(1).await;
    shop.adjust("j1", "a", "main", -1).await.expect("booked");
    let page = async |sku: &str, token: &str| {
        let request = pb::ListMovementsRequest { sku: sku.into(), page_size: 2, page_token: token.into() };
        shop.client.list_movements(shop.as_admin(), request).await
    };
    let first = page("a", "").await.expect("a page");
    let told = |page: &pb::ListMovementsResponse| -> Vec<(i64, String, String, String)> {
        let movements = page.movements.iter();
        movements.map(|m| (m.delta, m.kind.clone(), m.reference.clone(), m.reason.clone())).collect()
    };
    let row = |delta, kind: &str, reference: &str, reason: &str| {
        (delta, kind.to_owned(), reference.to_owned(), reason.to_owned())
    };
    assert_eq!(told(&first), [row(-1, "ADJUSTED", "j1", "count"), row(2, "RECEIVED", "r1", "")]);
    assert_eq!(first.movements[0].time.as_ref().map(|at| at.seconds), Some(START.unix_s() + 1));
    shop.receive("r2", "main", &[("a", 50)]).await.expect("booked");
    let second = page("a", &first.next_page_token).await.expect("a page");
    assert_eq!(told(&second), [row(1, "RECEIVED", "r1", "")], "what came since does not shift the pages");
    assert_eq!(second.next_page_token, "");
    assert_eq!(page("ghost", "").await.expect("a page").movements, []);
    let foreign = page("b", &first.next_page_token).await.expect_err("a foreign token");
    assert_eq!((foreign.code(), foreign.reason()), (Code::InvalidArgument, "INVALID_PAGE_TOKEN"));
    assert_eq!(reason(page("a", "damaged").await), "INVALID_PAGE_TOKEN");
}

#[tokio::test]
async fn an_order_of_two_thousand_lines_and_a_receipt_of_five_thousand_fit() {
    let shop = Shop::in_memory();
    let skus: Vec<String> = (0..5_000).map(|n| format!("sku-{n:04}")).collect();
    let received: Vec<(&str, i64)> = skus.iter().map(|sku| (sku.as_str(), 2)).collect();
    shop.receive("r1", "main", &received).await.expect("booked");
    shop.receive("r2", "east", &received[..2_000]).await.expect("booked");
    let lines: Vec<_> = (0..2_000).map(|n| line(n + 1, &skus[n as usize], 3)).collect();
    let held = shop.reserve(order(1), &lines).await.expect("answered");
    assert_eq!((held.status(), held.lines.len()), (Held, 4_000), "each line is split");
    assert_eq!(shop.commit(order(1)).await.status(), Committed);
    assert_eq!(shop.release(order(1)).await.status(), Released);
    assert_eq!(shop.violations().await, []);
}

#[tokio::test]
async fn only_those_may_call_whom_the_contract_names() {
    let shop = Shop::in_memory();
    let reserve = pb::ReserveRequest {
        reservation_id: order(1).to_string(),
        lines: vec![line(1, "a", 1)],
        ttl_s: 1,
        ..Default::default()
    };
    let denied = |cx| shop.client.reserve(cx, reserve.clone());
    for cx in [shop.as_admin(), shop.as_person(Kind::Customer, &[]), shop.as_person(Kind::Guest, &[])] {
        assert_eq!(denied(cx).await.expect_err("not for people").code(), Code::PermissionDenied);
    }
    assert_eq!(denied(shop.cx()).await.expect_err("nobody").code(), Code::Unauthenticated);
    let adjust = pb::AdjustStockRequest::default();
    let sales = shop.as_person(Kind::Staff, &["sales"]);
    let refused = shop.client.adjust_stock(sales, adjust).await.expect_err("admins only");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let receive = pb::ReceiveStockRequest::default();
    let refused = shop.client.receive_stock(shop.as_order(), receive).await.expect_err("staff only");
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn all_faulty_fields_are_named_at_once() {
    let shop = Shop::in_memory();
    let request = pb::ReserveRequest {
        reservation_id: "x".into(),
        lines: vec![line(0, "", 0)],
        ttl_s: 0,
        ..Default::default()
    };
    let error = shop.client.reserve(shop.as_order(), request).await.expect_err("faulty");
    let fields: Vec<_> = error.fields().iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["reservationId", "lines[0].line", "lines[0].sku", "lines[0].quantity", "ttlS"]);
}

#[tokio::test]
async fn a_store_that_is_opened_again_gives_the_same_answers_and_the_same_shelves() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = Location::Sqlite(folder.path().join("inventory.db"));
    let clock = ManualClock::at(START);
    let shop = Shop::at(place.clone(), clock.clone());
    shop.receive("r1", "main", &[("a", 5), ("b", 2)]).await.expect("booked");
    shop.adjust("j1", "b", "main", -1).await.expect("booked");
    let held = shop.reserve(order(1), &[line(1, "a", 2)]).await.expect("answered");
    shop.reserve(order(2), &[line(1, "a", 1), line(2, "b", 1)]).await.expect("answered");
    shop.commit(order(2)).await;
    shop.release(order(3)).await;
    shop.put_terms("b", 0, 0, 3).await;
    let policy = pb::ReservePolicy::Backorder;
    shop.reserve_by(policy, order(4), &[line(1, "b", 2)]).await.expect("answered");
    shop.commit(order(4)).await;
    shop.count("c1", "a", 1, true).await.expect("booked");
    let (rows, queue, shortfalls) = (shop.rows().await, shop.queue().await, shop.shortfalls().await);
    shop.own.store.shutdown().await;
    drop(shop);

    let options = Options::new("inventory", place, clock.clone());
    let shop =
        Shop::with(options.rebuild(vec!["stock".into(), "movements".into(), "shortfalls".into()]), clock);
    let rebuilt = (shop.rows().await, shop.queue().await, shop.shortfalls().await);
    assert_eq!(rebuilt, (rows, queue, shortfalls), "the rebuilt views are the kept ones");
    assert_eq!(shop.reserve(order(1), &[line(1, "a", 2)]).await.expect("answered"), held);
    assert_eq!(
        said(&shop.reserve(order(3), &[line(1, "a", 1)]).await.expect("answered")).1,
        "RESERVATION_RELEASED"
    );
    assert_eq!(shop.receive("r1", "main", &[("a", 5), ("b", 2)]).await.ok(), Some(true));
    shop.pass(60).await;
    assert_eq!(shop.look(order(1)).await.expect("there").status(), Expired, "the timer survived");
    assert_eq!(shop.violations().await, []);
}
