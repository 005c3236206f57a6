//! What operators do while the shop is open: ask how it is, check it, read its log, take it away.
mod process;

use futures_util::future::join_all;
use process::{Shop, checkout, free_address, on, said, said_meanwhile, souk};
use serde_json::{Value, json};
use souk::rest::{Rest, RestError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How many buy side by side, how often the shop is checked meanwhile, and after how many more orders each.
const BUYERS: usize = 8;
const CHECKS: u64 = 6;
const SALES_BETWEEN_CHECKS: u64 = 20;

/// Sells, declines and takes back until it is told to stop.
async fn buys_on(url: &str, seat: usize, stop: &AtomicBool, sold: &AtomicU64) {
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let buyer = checkout::with_quote(url, seat + round).await;
        let (buyer, order_id) = checkout::place(url, buyer).await;
        let order_id = order_id.expect("nobody interrupts");
        if round % 4 == 3 {
            let cancel = buyer.rest(url).with_key("cancel");
            let asked = cancel.post(&format!("/api/v1/orders/{order_id}:cancel"), &json!({})).await;
            let came_to_nothing =
                |e: &RestError| matches!(e, RestError::Problem { reason, .. } if reason == "CANCEL_TOO_LATE");
            assert!(asked.as_ref().err().is_none_or(came_to_nothing), "{asked:?}");
        }
        sold.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_shop_that_sells_passes_every_check_every_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shop = Shop::open(folder.path());
    checkout::sells_lamps(shop.url(), folder.path()).await;
    let (stop, sold) = (AtomicBool::new(false), AtomicU64::new(0));
    let buying = join_all((0..BUYERS).map(|seat| buys_on(shop.url(), seat, &stop, &sold)));
    let checking = async {
        for check in 1..=CHECKS {
            while sold.load(Ordering::Relaxed) < check * SALES_BETWEEN_CHECKS {
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
            let told = said_meanwhile(on(folder.path(), &["verify", "--output", "json"]), 0).await;
            let checks: Value = serde_json::from_str(&told).expect("JSON");
            assert_eq!(checks["broken"], 0, "{told}");
            assert!(checks["checks"].as_array().is_some_and(|checks| checks.len() > 5), "{told}");
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(buying, checking);
    checkout::at_rest(folder.path()).await;
    said(on(folder.path(), &["verify"]), 0);
    assert_eq!(shop.terminate(), Some(0));
}

/// The events that `souk log` shows of a stream; what it tells people beside them is left out.
fn events(data: &Path, stream: &str, more: &[&str]) -> Vec<Value> {
    let told = said(on(data, &[&["log", stream, "--output", "jsonl"], more].concat()), 0);
    let json = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("not JSON ({e}): {told}"));
    told.lines().filter(|line| line.starts_with('{')).map(json).collect()
}

#[tokio::test]
async fn the_log_of_an_order_is_shown_whole_or_as_of_a_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path();
    let shop = Shop::open(data);
    let mut buyers = checkout::ready_to_buy(shop.url(), data, 1).await;
    let (_, order_id) = checkout::place(shop.url(), buyers.remove(0)).await;
    let order_id = order_id.expect("an answer");
    checkout::at_rest(data).await;
    let all = events(data, &order_id, &[]);
    let kinds: Vec<_> = all.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(kinds[0], "OrderPlaced");
    assert!(kinds.contains(&"OrderConfirmed"), "{kinds:?}");
    assert_eq!(events(data, &format!("order/{order_id}"), &[]), all, "by its full name, too");
    let placed_at = all[0]["time"].as_str().expect("a time");
    let first = events(data, &order_id, &["--as-of", placed_at]);
    assert!(!first.is_empty() && first.len() < all.len(), "{first:?}");
    assert_eq!(first, all[..first.len()]);
    assert!(first.iter().all(|event| event["time"] == placed_at), "only what the first commit said");
    let ended_at = all[all.len() - 1]["time"].as_str().expect("a time");
    assert_eq!(events(data, &order_id, &["--as-of", ended_at]), all);
    let table = said(on(data, &["log", &order_id]), 0);
    assert!(table.contains("OrderConfirmed.v1"), "{table}");

    let too_early = said(on(data, &["log", &order_id, "--as-of", "2020-01-01T00:00:00Z"]), 1);
    assert!(too_early.contains("as of 2020-01-01"), "{too_early}");
    said(on(data, &["log", "ord_nobody"]), 1);
    said(on(data, &["log", &order_id, "--as-of", "yesterday"]), 2);
    assert_eq!(shop.terminate(), Some(0));
    assert_eq!(events(data, &order_id, &[]), all, "also of a shop that is closed");
}

/// How often the operators' port is asked, and what passes in between: half a minute in all.
const LOOKS_MAX: u32 = 600;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// The status of an answer. A text is no JSON, which this client takes for a problem without a reason.
async fn asked(operator: &Rest, path: &str) -> u16 {
    match operator.get(path).await {
        Ok(answer) => answer.status,
        Err(RestError::Problem { status, .. }) => status,
        Err(error) => panic!("{path}: {error}"),
    }
}

#[tokio::test]
async fn a_draining_shop_says_so_and_still_answers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let admin = free_address();
    let mut up = souk(&["up", "--listen", "127.0.0.1:0", "--admin-listen", &admin.to_string()]);
    up.arg("--data").arg(folder.path()).env("SOUK_SERVER__DRAIN_DELAY", "10m");
    let shop = Shop::start(up, folder.path());
    let operator = Rest::new(&format!("http://{admin}"), None);
    for path in ["/livez", "/readyz", "/startupz", "/health"] {
        assert_eq!(asked(&operator, path).await, 200, "{path}");
    }
    let health = operator.get("/health").await.expect("it is healthy").body;
    assert_eq!(
        (&health["status"], &health["version"]),
        (&json!("healthy"), &json!(env!("CARGO_PKG_VERSION")))
    );
    assert!(health["uptime"].is_u64(), "{health}");
    assert_eq!(
        health["dependencies"].as_object().map(|all| all.len()),
        Some(souk::settings::ROLES.len()),
        "{health}"
    );
    assert_eq!(health["dependencies"]["store.order"]["status"], "healthy");

    shop.ask_to_stop();
    let mut looks = 0;
    while asked(&operator, "/readyz").await == 200 {
        looks += 1;
        assert!(looks < LOOKS_MAX, "it does not say that it is going");
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    assert_eq!(asked(&operator, "/readyz").await, 503);
    assert_eq!(asked(&operator, "/health").await, 503);
    assert_eq!(asked(&operator, "/livez").await, 200, "that is no reason to be killed");
    Rest::new(shop.url(), None).get("/api/v1/products").await.expect("whoever comes is still served");
    shop.ask_to_stop();
    assert_eq!(shop.ended(), Some(75), "a second signal ends it at once");
    said(on(folder.path(), &["verify"]), 0);
}
