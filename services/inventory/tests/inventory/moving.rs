//! Shipping, returns, backorders, locations, counts and watching, as their callers know them.
use crate::shop::{START, Shop, line, order, reason, said};
use futures_util::StreamExt;
use prost::Message;
use souk_contracts::inventory::v1::{self as pb, ReservationStatus::*};
use souk_identity::Kind;
use souk_inventory::published;
use souk_kernel::Code;

fn part(line: u32, sku: &str, quantity: u32, at: &str) -> pb::AllocatedLine {
    pb::AllocatedLine { line, sku: sku.into(), quantity, location: at.into() }
}

fn back(line: u32, sku: &str, quantity: u32, grade: pb::Grade) -> pb::RestockLine {
    pb::RestockLine { line, sku: sku.into(), quantity, location: "main".into(), grade: grade.into() }
}

#[tokio::test]
async fn an_order_ships_in_two_parcels_and_part_of_it_comes_back() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 5), ("b", 1)]).await.expect("booked");
    shop.reserve(order(1), &[line(1, "a", 3), line(2, "b", 1)]).await.expect("answered");
    shop.commit(order(1)).await;

    let first = [part(1, "a", 2, "main")];
    let shipped = shop.ship(order(1), "s1", &first).await.expect("answered");
    assert_eq!((said(&shipped), &shipped.shipped[..]), ((PartiallyShipped, ""), &first[..]));
    assert_eq!((shop.level("a").await, shop.level("b").await), ((3, 1), (1, 1)));
    assert_eq!(shop.ship(order(1), "s1", &first).await.expect("answered"), shipped, "once");
    assert_eq!(reason(shop.ship(order(1), "s1", &[part(1, "a", 1, "main")]).await), "SHIPMENT_CONFLICT");
    let refused = shop.ship(order(1), "s2", &[part(1, "a", 2, "main")]).await.expect("answered");
    assert_eq!(said(&refused), (PartiallyShipped, "EXCEEDS_RESERVED"));
    let rest = [part(1, "a", 1, "main"), part(2, "b", 1, "main")];
    assert_eq!(said(&shop.ship(order(1), "s3", &rest).await.expect("answered")), (Shipped, ""));
    assert_eq!((shop.level("a").await, shop.level("b").await), ((2, 0), (0, 0)));
    assert_eq!(said(&shop.release(order(1)).await), (Shipped, ""), "there is nothing to give back");
    assert_eq!(said(&shop.commit(order(1)).await), (Shipped, ""));

    let lines = [back(1, "a", 1, pb::Grade::A), back(1, "a", 1, pb::Grade::Damaged)];
    for _ in 0..2 {
        assert_eq!(said(&shop.restock(order(1), "t1", &lines).await.expect("answered")), (Shipped, ""));
        let level = shop.whole_level("a").await;
        assert_eq!((level.on_hand, level.quarantined, level.available), (4, 1, 3));
    }
    let too_much = shop.restock(order(1), "t2", &[back(1, "a", 2, pb::Grade::A)]).await.expect("answered");
    assert_eq!(said(&too_much), (Shipped, "EXCEEDS_SHIPPED"));
    let ledger = shop.ledger("a").await;
    assert_eq!(reason(shop.scrap("q1", "a", 2).await), "INSUFFICIENT_STOCK");
    let level = shop.scrap("q1", "a", 1).await.expect("booked");
    assert_eq!((level.on_hand, level.quarantined, level.available), (3, 0, 3));
    assert_eq!(shop.scrap("q1", "a", 1).await.expect("repeated"), level);
    assert_eq!(reason(shop.adjust("q1", "a", "main", -1).await), "ADJUSTMENT_CONFLICT");
    assert_eq!(ledger[0..4].iter().map(|m| m.delta).collect::<Vec<_>>(), [1, 1, -1, -2]);
    assert_eq!((ledger[0].kind.as_str(), ledger[0].reason.as_str()), ("RESTOCKED", "t1"));
    assert_eq!((ledger[3].kind.as_str(), ledger[3].reason.as_str()), ("SHIPPED", "s1"));
    assert_eq!(shop.violations().await, []);
}

#[tokio::test]
async fn a_step_that_comes_too_early_is_refused_for_ever() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 5)]).await.expect("booked");
    let one = [part(1, "a", 1, "main")];
    let early = shop.ship(order(1), "s1", &one).await.expect("answered");
    assert_eq!(said(&early), (Refused, "RESERVATION_UNKNOWN"));
    let early = shop.restock(order(1), "t1", &[back(1, "a", 1, pb::Grade::A)]).await.expect("answered");
    assert_eq!(said(&early), (Refused, "RESERVATION_UNKNOWN"));
    let early = shop.release_lines(order(1), "r1", &[line(1, "a", 1)]).await.expect("answered");
    assert_eq!(said(&early), (Refused, "RESERVATION_UNKNOWN"));
    assert_eq!(reason(shop.extend(order(1), 60).await), "RESERVATION_UNKNOWN");

    let held = shop.reserve(order(1), &[line(1, "a", 2)]).await.expect("answered");
    assert_eq!(said(&held), (Held, ""), "a refused step is no tombstone");
    assert_eq!(
        said(&shop.ship(order(1), "s2", &one).await.expect("answered")).1,
        "RESERVATION_NOT_COMMITTED"
    );
    shop.commit(order(1)).await;
    assert_eq!(said(&shop.ship(order(1), "s1", &one).await.expect("answered")).1, "RESERVATION_UNKNOWN");
    assert_eq!(
        said(&shop.ship(order(1), "s2", &one).await.expect("answered")).1,
        "RESERVATION_NOT_COMMITTED"
    );
    assert_eq!(said(&shop.ship(order(1), "s3", &one).await.expect("answered")), (PartiallyShipped, ""));
    shop.release(order(1)).await;
    assert_eq!(
        said(&shop.ship(order(1), "s4", &one).await.expect("answered")),
        (Released, "RESERVATION_RELEASED")
    );
    let late = shop.restock(order(1), "t2", &[back(1, "a", 1, pb::Grade::A)]).await.expect("answered");
    assert_eq!(said(&late), (Released, ""), "what was shipped before may come back");
    assert_eq!(shop.level("a").await, (5, 0));
    assert_eq!(shop.violations().await, []);
}

#[tokio::test]
async fn lines_are_given_back_once_under_their_id() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 5), ("b", 1)]).await.expect("booked");
    shop.reserve(order(1), &[line(1, "a", 3), line(2, "b", 1)]).await.expect("answered");
    for _ in 0..2 {
        let after = shop.release_lines(order(1), "x1", &[line(1, "a", 1)]).await.expect("answered");
        assert_eq!((said(&after), after.lines[0].quantity), ((Held, ""), 2));
        assert_eq!(shop.level("a").await, (5, 2));
    }
    assert_eq!(reason(shop.release_lines(order(1), "x1", &[line(1, "a", 2)]).await), "RELEASE_CONFLICT");
    let no = shop.release_lines(order(1), "x2", &[line(1, "a", 3)]).await.expect("answered");
    assert_eq!(said(&no), (Held, "EXCEEDS_RESERVED"));
    shop.commit(order(1)).await;
    let all =
        shop.release_lines(order(1), "x3", &[line(1, "a", 2), line(2, "b", 1)]).await.expect("answered");
    assert_eq!(said(&all), (Released, ""));
    assert_eq!((shop.level("a").await, shop.level("b").await), ((5, 0), (1, 0)));
    assert_eq!(shop.violations().await, []);
}

#[tokio::test]
async fn a_promise_is_made_to_last_longer_and_ends_then() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 1)]).await.expect("booked");
    let first = shop.reserve(order(1), &[line(1, "a", 1)]).await.expect("answered");
    shop.pass(50).await;
    let longer = shop.extend(order(1), 100).await.expect("answered");
    assert_eq!(longer.expires_at.as_ref().map(|at| at.seconds), Some(START.unix_s() + 150));
    assert_eq!(shop.extend(order(1), 10).await.expect("answered"), longer, "never shorter");
    shop.pass(99).await;
    assert_eq!(shop.level("a").await, (1, 1));
    assert_eq!(shop.reserve(order(1), &[line(1, "a", 1)]).await.expect("answered"), first);
    shop.pass(1).await;
    assert_eq!(shop.extend(order(1), 100).await.expect("answered").status(), Expired);
    assert_eq!(shop.level("a").await, (1, 0));
    assert_eq!(shop.own.store.open_timers().await, Ok(0));
    assert_eq!(shop.violations().await, []);
}

#[tokio::test]
async fn partial_grants_what_is_there_and_names_what_is_short() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 2)]).await.expect("booked");
    let lines = [line(1, "a", 3), line(2, "ghost", 1)];
    let held = shop.reserve_by(pb::ReservePolicy::Partial, order(1), &lines).await.expect("answered");
    assert_eq!((said(&held), &held.lines[..]), ((Held, ""), &[part(1, "a", 2, "main")][..]));
    assert_eq!(held.shortages.iter().map(|short| short.available).collect::<Vec<_>>(), [2, 0]);
    let again = shop.reserve_by(pb::ReservePolicy::Partial, order(1), &lines).await.expect("answered");
    assert_eq!(again, held);
    shop.pass(60).await;
    assert_eq!(said(&shop.commit(order(1)).await), (Committed, ""), "what was granted is found again");
    assert_eq!(shop.level("a").await, (2, 2));
    let nothing = shop.reserve_by(pb::ReservePolicy::Partial, order(2), &lines).await.expect("answered");
    assert_eq!(nothing.status(), Refused);
    assert_eq!(shop.violations().await, []);
}

#[tokio::test]
async fn backorders_are_filled_oldest_first_by_whatever_brings_stock() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 1)]).await.expect("booked");
    shop.put_terms("a", 0, 0, 6).await;
    let policy = pb::ReservePolicy::Backorder;
    for n in 1..=3 {
        let held = shop.reserve_by(policy, order(n), &[line(1, "a", 2)]).await.expect("answered");
        assert_eq!(held.status(), Held);
        shop.commit(order(n)).await;
    }
    let no = shop.reserve_by(policy, order(4), &[line(1, "a", 2)]).await.expect("answered");
    assert_eq!(said(&no), (Refused, "INSUFFICIENT_STOCK"), "six are sold in advance at most");
    let level = shop.whole_level("a").await;
    assert_eq!((level.on_hand, level.reserved, level.backordered, level.available), (1, 1, 5, 0));

    shop.receive("r2", "east", &[("a", 2)]).await.expect("booked");
    let first = shop.look(order(1)).await.expect("there");
    assert_eq!((first.lines.len(), first.backordered.len()), (2, 0), "the oldest is complete");
    let second = shop.look(order(2)).await.expect("there");
    assert_eq!((second.lines.len(), second.backordered[0].quantity), (1, 1));
    let refused = shop.reserve(order(5), &[line(1, "a", 1)]).await.expect("answered");
    assert_eq!(refused.status(), Refused, "nothing is left for a newer order");

    shop.release(order(1)).await;
    let second = shop.look(order(2)).await.expect("there");
    assert!(second.backordered.is_empty(), "what was given back went to who waits");
    let third = shop.look(order(3)).await.expect("there");
    assert_eq!(third.backordered[0].quantity, 1);
    let given_up = shop.release_lines(order(3), "x", &[line(1, "a", 1)]).await.expect("answered");
    assert!(given_up.backordered.is_empty(), "what waits is given up first");
    shop.adjust("j1", "a", "main", 1).await.expect("booked");
    let level = shop.whole_level("a").await;
    assert_eq!((level.on_hand, level.reserved, level.backordered, level.available), (4, 3, 0, 1));
    assert_eq!(shop.violations().await, []);
}

#[tokio::test]
async fn a_backorder_that_expires_leaves_the_queue_and_its_commit_joins_it_again() {
    let shop = Shop::in_memory();
    shop.put_terms("a", 0, 0, 5).await;
    let policy = pb::ReservePolicy::Backorder;
    let held = shop.reserve_by(policy, order(1), &[line(1, "a", 2)]).await.expect("answered");
    assert_eq!((said(&held), held.lines.len()), ((Held, ""), 0), "it was never in stock and is sold");
    let level = shop.whole_level("a").await;
    assert_eq!((level.known, level.backordered, level.available), (false, 2, 0));
    shop.pass(60).await;
    assert_eq!(shop.whole_level("a").await.backordered, 0);
    shop.receive("r1", "main", &[("a", 1)]).await.expect("booked");
    assert_eq!(shop.level("a").await, (1, 0));
    let committed = shop.commit(order(1)).await;
    assert_eq!((said(&committed), committed.backordered[0].quantity), ((Committed, ""), 1));
    shop.receive("r2", "main", &[("a", 1)]).await.expect("booked");
    let parts = [part(1, "a", 2, "main")];
    assert_eq!(said(&shop.ship(order(1), "s1", &parts).await.expect("answered")), (Shipped, ""));
    assert_eq!(shop.violations().await, []);
}

#[tokio::test]
async fn locations_are_ranked_and_closed_and_stock_is_carried_out_of_them() {
    let shop = Shop::in_memory();
    shop.receive("r1", "east", &[("a", 3)]).await.expect("booked");
    shop.receive("r2", "main", &[("a", 3), ("b", 1)]).await.expect("booked");
    shop.put_location("main", 0, true).await;
    shop.put_location("east", 5, true).await;
    let held = shop.reserve(order(1), &[line(1, "a", 1)]).await.expect("answered");
    assert_eq!(held.lines[0].location, "main", "the smaller priority first");
    shop.put_location("main", 0, false).await;
    let held = shop.reserve(order(2), &[line(1, "a", 1)]).await.expect("answered");
    assert_eq!(held.lines[0].location, "east");
    let no = shop.reserve(order(3), &[line(1, "a", 3)]).await.expect("answered");
    assert_eq!((said(&no).1, no.shortages[0].available), ("INSUFFICIENT_STOCK", 2));
    assert_eq!(shop.whole_level("a").await.available, 2);

    let level = shop.transfer("v1", "a", "main", "east", 2).await.expect("booked");
    assert_eq!((level.on_hand, level.reserved, level.available), (6, 2, 4));
    assert_eq!(shop.transfer("v1", "a", "main", "east", 2).await.expect("repeated"), level);
    assert_eq!(reason(shop.transfer("v1", "a", "main", "east", 1).await), "TRANSFER_CONFLICT");
    assert_eq!(reason(shop.transfer("v2", "a", "main", "east", 1).await), "INSUFFICIENT_STOCK");
    let request = pb::ListLocationsRequest {};
    let places = shop.client.list_locations(shop.as_admin(), request).await.expect("listed").locations;
    assert_eq!(
        places.iter().map(|at| (&*at.location, at.open)).collect::<Vec<_>>(),
        [("main", false), ("east", true)]
    );
    assert_eq!(shop.violations().await, []);
}

#[tokio::test]
async fn a_count_below_what_is_promised_waits_for_a_person() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 6)]).await.expect("booked");
    for n in 1..=3 {
        shop.reserve(order(n), &[line(1, "a", 2)]).await.expect("answered");
        shop.commit(order(n)).await;
    }
    assert_eq!(reason(shop.count("c1", "a", 3, false).await), "BELOW_RESERVED");
    let counted = shop.count("c1", "a", 3, true).await.expect("booked");
    let short = counted.shortfall.clone().expect("three are missing");
    assert_eq!((short.shortfall_id.as_str(), short.missing), ("c1", 3));
    assert_eq!(short.reservation_ids, [order(3).to_string(), order(2).to_string()], "the youngest first");
    assert_eq!(shop.count("c1", "a", 3, true).await.expect("repeated"), counted);
    assert_eq!(reason(shop.count("c2", "a", 9, false).await), "SHORTFALL_OPEN");
    assert_eq!(shop.violations().await, []);
    let open = shop.shortfalls().await;
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].time.as_ref().map(|at| at.seconds), Some(START.unix_s()));

    shop.receive("r2", "main", &[("a", 2)]).await.expect("booked");
    assert_eq!(shop.whole_level("a").await.available, 0, "what comes makes up for what is missing");
    let gone = pb::ShortfallDecision::WrittenOff;
    assert_eq!(reason(shop.resolve("c1", gone).await), "BELOW_RESERVED");
    shop.release(order(3)).await;
    let level = shop.resolve("c1", gone).await.expect("booked");
    assert_eq!((level.on_hand, level.reserved, level.missing, level.available), (5, 4, 0, 1));
    assert_eq!(shop.resolve("c1", gone).await.expect("repeated"), level);
    assert_eq!(reason(shop.resolve("c1", pb::ShortfallDecision::Found).await), "SHORTFALL_RESOLVED");
    assert_eq!(reason(shop.resolve("never", gone).await), "NOT_FOUND");
    assert!(shop.shortfalls().await.is_empty());
    assert_eq!(shop.ledger("a").await[0].kind, "WRITTEN_OFF");
    assert_eq!(shop.count("c2", "a", 9, false).await.expect("booked").level.expect("a level").on_hand, 9);
    assert_eq!(shop.violations().await, []);
}

#[tokio::test]
async fn others_hear_of_levels_of_low_stock_and_of_shortfalls() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 3), ("b", 1), ("a", 1)]).await.expect("booked");
    shop.put_terms("a", 0, 3, 0).await;
    shop.reserve(order(1), &[line(1, "a", 2), line(2, "b", 1)]).await.expect("answered");
    shop.commit(order(1)).await;
    shop.release(order(2)).await;
    shop.count("c1", "a", 1, true).await.expect("booked");
    let feed = shop.own.store.read_feed(0, 100).await.expect("the feed");
    let kinds: Vec<&str> = feed.iter().map(|event| event.kind).collect();
    let (changed, low, short) =
        (published::STOCK_LEVEL_CHANGED, published::LOW_STOCK, published::STOCK_SHORTFALL);
    assert_eq!(kinds, [changed, changed, changed, low, changed, short]);
    let reserved = pb::StockLevelChanged::decode(&feed[2].data[..]).expect("readable");
    let level = |sku: &str, on_hand, reserved, available| pb::ChangedLevel {
        sku: sku.into(),
        on_hand,
        reserved,
        available,
    };
    assert_eq!(reserved.levels, [level("a", 4, 2, 2), level("b", 1, 1, 0)], "each SKU once");
    let low = pb::LowStock::decode(&feed[3].data[..]).expect("readable");
    assert_eq!((low.sku.as_str(), low.available, low.low_below), ("a", 2, 3));
    let short = pb::StockShortfall::decode(&feed[5].data[..]).expect("readable");
    assert_eq!((short.missing, short.reservation_ids.len()), (1, 1));
}

#[tokio::test]
async fn a_watcher_sees_levels_change_and_goes_on_where_it_stopped() {
    let shop = Shop::in_memory();
    shop.receive("r1", "main", &[("a", 3), ("b", 1), ("c", 1)]).await.expect("booked");
    let watch = async |after: &str| {
        let request = pb::WatchStockRequest { skus: vec!["b".into(), "a".into()], after: after.into() };
        shop.client.watch_stock(shop.as_person(Kind::Guest, &[]), request).await.expect("a stream")
    };
    let told = |answer: &pb::WatchStockResponse| -> Vec<(String, i64)> {
        answer.levels.iter().map(|level| (level.sku.clone(), level.available)).collect()
    };
    let mut stream = watch("").await;
    let first = stream.next().await.expect("levels").expect("fine");
    assert_eq!(told(&first), [("a".to_owned(), 3), ("b".to_owned(), 1)]);
    shop.reserve(order(1), &[line(1, "c", 1)]).await.expect("answered");
    shop.reserve(order(2), &[line(1, "a", 1)]).await.expect("answered");
    let second = stream.next().await.expect("levels").expect("fine");
    assert_eq!(told(&second), [("a".to_owned(), 2)], "only what changed of what is watched");
    drop(stream);
    shop.reserve(order(3), &[line(1, "b", 1)]).await.expect("answered");
    let mut again = watch(&second.cursor).await;
    let since = again.next().await.expect("levels").expect("fine");
    assert_eq!(told(&since), [("b".to_owned(), 0)]);

    let others = pb::WatchStockRequest { skus: vec!["c".into()], after: second.cursor };
    let refused = shop.client.watch_stock(shop.as_admin(), others).await.err().expect("another list's");
    assert_eq!((refused.code(), refused.reason()), (Code::InvalidArgument, "INVALID_PAGE_TOKEN"));
}

#[tokio::test]
async fn only_the_order_service_ships_and_only_staff_counts() {
    let shop = Shop::in_memory();
    let denied = shop.client.ship(shop.as_admin(), pb::ShipRequest::default()).await;
    assert_eq!(denied.expect_err("not for people").code(), Code::PermissionDenied);
    let sales = shop.as_person(Kind::Staff, &["sales"]);
    let denied = shop.client.count_stock(sales.clone(), pb::CountStockRequest::default()).await;
    assert_eq!(denied.expect_err("admins only").code(), Code::PermissionDenied);
    let denied = shop.client.put_location(sales, pb::PutLocationRequest::default()).await;
    assert_eq!(denied.expect_err("admins only").code(), Code::PermissionDenied);
    let denied = shop.client.transfer_stock(shop.as_order(), pb::TransferStockRequest::default()).await;
    assert_eq!(denied.expect_err("staff only").code(), Code::PermissionDenied);
    let guest = shop.as_person(Kind::Guest, &[]);
    let denied = shop.client.list_shortfalls(guest, pb::ListShortfallsRequest::default()).await;
    assert_eq!(denied.expect_err("staff only").code(), Code::PermissionDenied);
}
