//! The operators' commands, as processes beside a shop that runs as one.
mod process;

use process::{Shop, checkout, on, said, said_meanwhile};
use serde_json::Value;
use std::path::Path;

/// A command on a running shop.
async fn at(shop: &Shop, arguments: &[&str], code: i32) -> String {
    let mut command = on(shop.data(), arguments);
    command.args(["--url", shop.url()]);
    said_meanwhile(command, code).await
}

/// The JSON that a command prints; what it tells people beside that is left out.
fn json(told: &str) -> Value {
    let line = told.lines().find(|line| line.starts_with('{')).expect("a line of JSON");
    serde_json::from_str(line).expect("JSON")
}

/// An order whose money cannot be taken.
async fn stuck_order(shop: &Shop, data: &Path) -> String {
    checkout::sells_lamps(shop.url(), data).await;
    let buyer = checkout::with_quote(shop.url(), 0).await.paying_with("capture_fails");
    let (_, order_id) = checkout::place(shop.url(), buyer).await;
    let order_id = order_id.expect("an answer");
    for _ in 0..100 {
        let listed = json(&at(shop, &["sagas", "--stuck", "--output", "json"], 0).await);
        if listed["stuck"] == "1" {
            assert_eq!(listed["sagas"][0]["id"], order_id, "{listed}");
            return order_id;
        }
    }
    panic!("nobody is called");
}

#[tokio::test]
async fn an_operator_sees_a_stuck_saga_and_skips_its_step() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path();
    let shop = Shop::open(data);
    let order = stuck_order(&shop, data).await;
    let verified = said_meanwhile(on(data, &["verify"]), 0).await;
    assert!(verified.contains(&format!("souk saga show {order}")), "{verified}");
    let shown = at(&shop, &["saga", "show", &order], 0).await;
    assert!(shown.contains("stuck at capture because of CAPTURE_REFUSED"), "{shown}");
    assert_eq!(at(&shop, &["saga", "show", &format!("order/{order}")], 0).await, shown, "by its stream, too");

    let skip = ["saga", "skip", &order, "--reason", "captured by hand"];
    let asked = at(&shop, &skip, 2).await;
    assert!(asked.contains("--yes"), "{asked}");
    let wrong = at(&shop, &[&skip[..], &["--step", "commit", "--yes"]].concat(), 1).await;
    assert!(wrong.contains("STEP_NOT_OUTSTANDING"), "{wrong}");
    let skipped = at(&shop, &[&skip[..], &["--yes"]].concat(), 0).await;
    assert!(skipped.contains("completed") && skipped.contains("skipped"), "{skipped}");
    let late = at(&shop, &["saga", "retry", &order, "--reason", "too late"], 1).await;
    assert!(late.contains("SAGA_NOT_STUCK"), "{late}");
    let log = said_meanwhile(on(data, &["log", &order, "--output", "jsonl"]), 0).await;
    assert!(log.contains("captured by hand") && log.contains("intervened"), "{log}");

    let none = at(&shop, &["sagas"], 0).await;
    assert!(none.contains("open: 0, waiting for a person: 0"), "{none}");
    at(&shop, &["saga", "show", "ord_nobody"], 1).await;
    assert!(at(&shop, &["parked"], 0).await.contains("0 parked keys"));
    assert!(at(&shop, &["redrive", "order/x"], 1).await.contains("souk parked"));
    checkout::at_rest(data).await;
    let url = shop.url().to_owned();
    assert_eq!(shop.terminate(), Some(0));
    let verified = said(on(data, &["verify"]), 0);
    assert!(verified.contains("settled by hand"), "{verified}");
    let mut closed = on(data, &["sagas"]);
    closed.args(["--url", &url]);
    let closed = said(closed, 69);
    assert!(closed.contains("souk up") && closed.contains("souk verify"), "{closed}");
}
