//! The real binary: how it starts, how it refuses to, how it ends, and that a kill in the middle of checkouts
//! loses nothing.
mod process;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use process::{Shop, said, souk};
use serde_json::{Value, json};
use souk::rest::Rest;
use souk::verify::Rest as OnItsWay;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

const COMMANDS: &[&str] = &["up", "serve", "token", "import", "export", "replay", "verify", "log", "config"];

#[test]
fn every_command_says_what_it_does_with_an_example() {
    let help = said(souk(&["--help"]), 0);
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is not in\n{help}");
        let help = said(souk(&[command, "--help"]), 0);
        assert!(help.contains("Usage: souk"), "{help}");
        assert!(help.to_lowercase().contains("example"), "{help}");
    }
    let version = said(souk(&["--version"]), 0);
    assert_eq!(version.trim(), concat!("souk ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_is_no_command_is_a_mistake_of_usage() {
    said(souk(&["upp"]), 2);
    said(souk(&["serve"]), 2);
    said(souk(&["up", "--nothing"]), 2);
    let told = said(souk(&["serve", "order", "kitchen"]), 2);
    assert!(told.contains("kitchen") && told.contains("inventory"), "{told}");
}

#[test]
fn every_mistake_of_the_configuration_is_told_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("shop.toml");
    std::fs::write(&file, "[gateway]\nlisen = \"127.0.0.1:0\"\n[log]\nformat = \"xml\"\n").expect("written");
    let path = file.to_str().expect("UTF-8");
    for command in ["up", "config"] {
        let mut bad = souk(&["--config", path, command]);
        bad.env("SOUK_STORE__CACHE", "lots")
            .env("SOUK_PEERS__ORDER", "order:8080")
            .env("SOUK_DATE__DIR", "x");
        let told = said(bad, 78);
        for part in [
            "shop.toml:2: there is no option gateway.lisen; did you mean gateway.listen?",
            "shop.toml:4: log.format must be one of auto, json, pretty",
            "env SOUK_STORE__CACHE: store.cache must be a size",
            "env SOUK_PEERS__ORDER: peers.order must be an address",
            "did you mean data.dir?",
        ] {
            assert!(told.contains(part), "{part}\nnot in\n{told}");
        }
    }
    assert!(!Path::new("x").exists());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let address = taken.local_addr().expect("bound").to_string();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut second = souk(&["up", "--listen", &address, "--admin-listen", ""]);
    second.arg("--data").arg(folder.path());
    let told = said(second, 78);
    assert!(told.contains(&address) && told.contains("--listen"), "{told}");
    let mut second = souk(&["up", "--listen", "127.0.0.1:0", "--admin-listen", &address]);
    second.arg("--data").arg(folder.path());
    let told = said(second, 78);
    assert!(told.contains(&address) && told.contains("--admin-listen"), "{told}");
}

#[test]
fn a_reader_that_leaves_early_is_no_reason_to_panic() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut config = souk(&["config"]);
    let done = config.stdout(writer).stderr(Stdio::piped()).output().expect("the binary runs");
    assert_eq!((done.status.code(), String::from_utf8_lossy(&done.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn the_configuration_is_shown_with_where_it_comes_from() {
    let mut config = souk(&["config", "--output", "json"]);
    config.env("SOUK_STORE__CACHE", "1MiB");
    let rows: Value = serde_json::from_str(&said(config, 0)).expect("JSON");
    let row =
        |name: &str| rows.as_array().and_then(|rows| rows.iter().find(|row| row["option"] == name)).cloned();
    let cache = row("store.cache").expect("the option is listed");
    assert_eq!((&cache["value"], &cache["from"]), (&json!("1MiB"), &json!("env SOUK_STORE__CACHE")));
}

#[test]
fn commands_that_need_a_shop_say_so_where_there_is_none() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for arguments in [&["verify"][..], &["token", "--role", "sales"], &["log", "ord_x"]] {
        let mut command = souk(arguments);
        command.arg("--data").arg(folder.path());
        let told = said(command, 69);
        assert!(told.contains(folder.path().to_str().expect("UTF-8")), "{told}");
    }
}

#[test]
fn one_process_serves_a_store_and_a_second_is_told_to_try_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shop = Shop::open(folder.path());
    let told = said(process::up(folder.path()), 75);
    assert!(told.contains(".db"), "it names the store: {told}");
    let mut part = souk(&["serve", "order", "--grpc-listen", "127.0.0.1:0", "--admin-listen", ""]);
    part.arg("--data").arg(folder.path());
    assert!(said(part, 75).contains("order.db"));
    assert_eq!(shop.terminate(), Some(0), "SIGTERM is a clean end");
    assert_eq!(Shop::open(folder.path()).terminate(), Some(0), "and the stores are free again");
}

#[test]
fn a_store_that_is_gone_is_not_replaced_by_an_empty_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    Shop::open(folder.path()).terminate();
    let store = folder.path().join("order.db");
    std::fs::remove_file(&store).expect("removed");
    let told = said(process::up(folder.path()), 74);
    for part in ["order.db", "restore it from a backup", "stores.txt"] {
        assert!(told.contains(part), "{part}\nnot in\n{told}");
    }
    assert!(!store.exists(), "nothing was made up");
    let mut verify = souk(&["verify"]);
    verify.arg("--data").arg(folder.path());
    said(verify, 69);
}

#[test]
fn a_store_that_is_damaged_is_not_opened() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    Shop::open(folder.path()).terminate();
    let store = folder.path().join("payment.db");
    let whole = std::fs::read(&store).expect("the store");
    let mut no_header = whole.clone();
    no_header[..100].fill(0xA5);
    let half = whole[..whole.len() / 2 / 4096 * 4096].to_vec();
    for (what, damaged) in [("no header", no_header), ("half of it", half), ("nothing", Vec::new())] {
        std::fs::write(&store, &damaged).expect("written");
        let told = said(process::up(folder.path()), 74);
        assert!(told.contains("payment.db"), "{what}: {told}");
        assert_eq!(
            std::fs::read(&store).expect("read"),
            damaged,
            "{what}: it is left as it is, for the rescuers"
        );
    }
    std::fs::write(&store, &whole).expect("restored");
    assert_eq!(Shop::open(folder.path()).terminate(), Some(0), "the restored store is fine");
}

/// How many buy, and after how many answers the process is killed each time.
const BUYERS: usize = 30;
const ANSWERS_BEFORE_KILLS: [usize; 4] = [1, 4, 7, usize::MAX];

/// Somebody who keeps saying the same thing under the same key until there is an answer.
struct Buyer {
    token: String,
    order: Value,
    key: String,
}

#[tokio::test]
async fn a_kill_in_the_middle_of_checkouts_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut shop = Shop::open(folder.path());
    let mut waiting = ready_to_buy(&shop).await;
    let mut accepted = Vec::new();
    for kill_after in ANSWERS_BEFORE_KILLS {
        let url = shop.url().to_owned();
        let mut calls: FuturesUnordered<_> = waiting.drain(..).map(|buyer| place(&url, buyer)).collect();
        let (mut answers, mut unanswered) = (0, Vec::new());
        while let Some((buyer, answer)) = calls.next().await {
            match answer {
                Some(order_id) => accepted.push((buyer, order_id)),
                None => unanswered.push(buyer),
            }
            answers += 1;
            if answers == kill_after {
                shop.kill();
            }
        }
        drop(calls);
        waiting = unanswered;
        if kill_after != usize::MAX {
            shop.kill();
            shop = Shop::open(folder.path());
        }
    }
    assert_eq!((accepted.len(), waiting.len()), (BUYERS, 0));
    at_rest(folder.path()).await;
    let mut confirmed = 0;
    for (buyer, order_id) in &accepted {
        let rest = Rest::new(shop.url(), Some(buyer.token.clone()));
        let order = rest.get(&format!("/api/v1/orders/{order_id}")).await.expect("the order is there").body;
        let ended = (order["order"]["status"].as_str(), order["order"]["payment"].as_str());
        match ended {
            (Some("ORDER_STATUS_CONFIRMED"), Some("ORDER_PAYMENT_CAPTURED")) => confirmed += 1,
            (Some("ORDER_STATUS_REJECTED"), Some("ORDER_PAYMENT_NONE" | "ORDER_PAYMENT_VOIDED")) => {}
            _ => panic!("{order_id} hangs: {order}"),
        }
        let mine = rest.get("/api/v1/orders").await.expect("the list").body;
        assert_eq!(mine["orders"].as_array().map(Vec::len), Some(1), "one order a key: {mine}");
    }
    assert_eq!(confirmed, BUYERS - BUYERS / 3, "every third card is declined");
    said(verify(folder.path()), 0);
    assert_eq!(shop.terminate(), Some(0));
    said(verify(folder.path()), 0);
}

fn verify(data: &Path) -> std::process::Command {
    let mut verify = souk(&["verify"]);
    verify.arg("--data").arg(data);
    verify
}

/// A product in stock, and buyers with quotes for it.
async fn ready_to_buy(shop: &Shop) -> Vec<Buyer> {
    let mut token = souk(&["token", "--role", "sales"]);
    token.arg("--data").arg(shop.data());
    let sales = Rest::new(shop.url(), Some(said(token, 0).trim().to_owned()));
    let price = json!({"market": "GB", "amount": {"minorUnits": "999", "currency": "GBP"}});
    let product =
        json!({"title": "Lamp", "published": true, "variants": [{"sku": "LAMP", "prices": [price]}]});
    sales.put("/api/v1/products/lamp", &product).await.expect("a product");
    let receipt =
        json!({"receiptId": "r1", "location": "main", "lines": [{"sku": "LAMP", "quantity": "1000"}]});
    sales.post("/api/v1/stock:receive", &receipt).await.expect("stock");
    let mut buyers = Vec::new();
    for n in 0..BUYERS {
        buyers.push(with_quote(shop.url(), n).await);
    }
    buyers
}

async fn with_quote(url: &str, n: usize) -> Buyer {
    let session = Rest::new(url, None).post("/api/v1/sessions", &json!({})).await.expect("a session").body;
    let token = session["token"].as_str().expect("a token").to_owned();
    let rest = Rest::new(url, Some(token.clone()));
    let item = json!({"sku": "LAMP", "quantity": 1, "opId": "1"});
    let cart = rest.post("/api/v1/cart/items", &item).await.expect("a cart").body;
    let quote =
        rest.post("/api/v1/quotes", &json!({"cartId": cart["cart"]["cartId"]})).await.expect("a quote").body;
    let method = ["ok", "decline_funds", "error_500_then_ok"][n % 3];
    let order = json!({
        "quoteId": quote["quote"]["quoteId"], "expectedTotal": quote["quote"]["total"],
        "paymentMethodToken": method,
    });
    Buyer { token, order, key: format!("key-{n}") }
}

/// The order's id, if there is an answer. Refusals are none of this story's.
async fn place(url: &str, buyer: Buyer) -> (Buyer, Option<String>) {
    let rest = Rest::new(url, Some(buyer.token.clone())).with_key(&buyer.key);
    let answer = match rest.post("/api/v1/orders", &buyer.order).await {
        Ok(answer) => Some(answer.body["order"]["orderId"].as_str().expect("an id").to_owned()),
        Err(error) if error.is_worth_repeating() => None,
        Err(error) => panic!("{} is refused: {error}", buyer.key),
    };
    (buyer, answer)
}

/// How often it is looked whether something is still on its way, and what passes in between: a minute in all.
const LOOKS_MAX: u32 = 1_200;
const BETWEEN_LOOKS: std::time::Duration = std::time::Duration::from_millis(50);

async fn at_rest(data: &Path) {
    for _ in 0..LOOKS_MAX {
        if OnItsWay::look(data).expect("the stores can be read").is_quiet() {
            return;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    panic!("the shop does not come to rest: {}", OnItsWay::look(data).expect("the stores can be read"));
}
