//! The real binary: how it starts, how it refuses to, how it ends, and that a kill in the middle of checkouts
//! loses nothing.
mod process;

use process::{Shop, checkout, on, said, souk};
use serde_json::{Value, json};
use souk_host::{Environment, signing_keys};
use souk_identity::{Kind, Verifier};
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
fn tokens_are_for_staff_and_for_customers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shop = Shop::open(folder.path());
    let customer = "usr_01kat0000000000000000000ab";
    let on = |arguments: &[&str]| {
        let mut command = souk(arguments);
        command.arg("--data").arg(folder.path());
        command
    };
    let environment = Environment::system();
    let (_, keys) = signing_keys(folder.path(), environment.entropy.as_ref()).expect("the shop's key");
    let verifier = Verifier::new(keys, "cart", environment.clock);
    let holder =
        |arguments: &[&str]| verifier.verify(said(on(arguments), 0).trim()).expect("a token that counts");
    let known = holder(&["token", "--role", "customer", "--subject", customer]);
    assert_eq!((known.subject.as_str(), known.kind), (customer, Kind::Customer));
    assert!(holder(&["token", "--role", "customer"]).subject.starts_with("usr_"));
    assert!(holder(&["token", "--role", "sales"]).has_role("sales"));
    let told = said(on(&["token", "--role", "sales", "--subject", customer]), 2);
    assert!(told.contains("--role customer"), "{told}");
    let told = said(on(&["token", "--role", "customer", "--subject", "gst_1"]), 2);
    assert!(told.contains("--subject"), "{told}");
    drop(shop);
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

#[tokio::test]
async fn a_kill_in_the_middle_of_checkouts_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut shop = Shop::open(folder.path());
    let mut waiting = checkout::ready_to_buy(shop.url(), folder.path(), BUYERS).await;
    let mut accepted = Vec::new();
    for kill_after in ANSWERS_BEFORE_KILLS {
        let url = shop.url().to_owned();
        let placed = checkout::everybody_places(&url, waiting, kill_after, || shop.kill()).await;
        accepted.extend(placed.accepted);
        waiting = placed.unanswered;
        if kill_after != usize::MAX {
            shop.kill();
            shop = Shop::open(folder.path());
        }
    }
    assert_eq!((accepted.len(), waiting.len()), (BUYERS, 0));
    checkout::at_rest(folder.path()).await;
    let confirmed = checkout::all_ended_well(shop.url(), &accepted).await;
    assert_eq!(confirmed, checkout::able_to_pay(BUYERS));
    said(on(folder.path(), &["verify"]), 0);
    assert_eq!(shop.terminate(), Some(0));
    said(on(folder.path(), &["verify"]), 0);
}
