//! The shop as three processes on one data folder, as `souk serve` says in its help: the real binary, real
//! sockets, and a kill of the one in the middle.
mod process;

use process::{Shop, checkout, free_address, on, said};
use serde_json::Value;
use souk::rest::Rest;
use souk::verify::Rest as OnItsWay;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Which roles run together.
const PARTS: [&[&str]; 3] = [
    &["user", "catalog", "cart", "inventory", "shipping", "notification"],
    &["order", "payment", "provider", "carrier"],
    &["gateway"],
];
/// The part that sells, in the middle between customers and stock.
const SALES: usize = 1;
const GATEWAY: usize = 2;

/// Who answers where.
struct Plan {
    data: PathBuf,
    grpc: [SocketAddr; 3],
    admin: [SocketAddr; 3],
}

impl Plan {
    fn on(data: &Path) -> Plan {
        Plan {
            data: data.to_owned(),
            grpc: [(); 3].map(|()| free_address()),
            admin: [(); 3].map(|()| free_address()),
        }
    }

    /// `souk serve` for a part: its own addresses by flags, those of the others by the environment.
    fn serve(&self, part: usize) -> Command {
        let mut command = on(&self.data, &["serve"]);
        command.args(PARTS[part]).args(["--listen", "127.0.0.1:0"]);
        command.args(["--admin-listen", &self.admin[part].to_string()]);
        if part != GATEWAY {
            command.args(["--grpc-listen", &self.grpc[part].to_string()]);
        }
        for (roles, address) in PARTS.iter().zip(self.grpc).filter(|(roles, _)| **roles != PARTS[GATEWAY]) {
            for role in *roles {
                command.env(format!("SOUK_PEERS__{}", role.to_uppercase()), address.to_string());
            }
        }
        command
    }

    fn open(&self, part: usize) -> Shop {
        Shop::start(self.serve(part), &self.data)
    }

    async fn health(&self, part: usize) -> Value {
        let operator = Rest::new(&format!("http://{}", self.admin[part]), None);
        operator.get("/health").await.expect("it is healthy").body
    }
}

/// How many begin to buy before each kill of the middle, and after how many answers it comes.
const BUYERS_A_WAVE: usize = 10;
const ANSWERS_BEFORE_KILLS: [usize; 3] = [1, 3, 6];
const BUYERS: usize = BUYERS_A_WAVE * ANSWERS_BEFORE_KILLS.len();
/// How often those without an answer ask again after the last kill: for half a minute.
const ROUNDS_MAX: usize = 300;
const BETWEEN_ROUNDS: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_kill_of_the_middle_process_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = Plan::on(folder.path());
    // The gateway first: who is not there yet is found when they are.
    let gateway = plan.open(GATEWAY);
    let goods = plan.open(0);
    let mut sales = plan.open(SALES);
    let mut to_come = checkout::ready_to_buy(gateway.url(), folder.path(), BUYERS).await;
    let (mut accepted, mut waiting) = (Vec::new(), Vec::new());
    for kill_after in ANSWERS_BEFORE_KILLS {
        waiting.extend(to_come.drain(..BUYERS_A_WAVE));
        let placed = checkout::everybody_places(gateway.url(), waiting, kill_after, || sales.kill()).await;
        accepted.extend(placed.accepted);
        waiting = placed.unanswered;
        let sagas = OnItsWay::look(folder.path()).expect("the stores can be read").sagas_open;
        assert!(!waiting.is_empty() || sagas > 0, "the kill came in the middle");
        sales = plan.open(SALES);
    }
    for _ in 0..ROUNDS_MAX {
        let placed = checkout::everybody_places(gateway.url(), waiting, usize::MAX, || {}).await;
        accepted.extend(placed.accepted);
        waiting = placed.unanswered;
        if waiting.is_empty() {
            break;
        }
        tokio::time::sleep(BETWEEN_ROUNDS).await;
    }
    assert_eq!((accepted.len(), waiting.len()), (BUYERS, 0));
    checkout::at_rest(folder.path()).await;
    let confirmed = checkout::all_ended_well(gateway.url(), &accepted).await;
    assert_eq!(confirmed, checkout::able_to_pay(BUYERS));
    said(on(folder.path(), &["verify"]), 0);
    // All at once: each ends in order although the others go away meanwhile.
    let shops = [gateway, goods, sales];
    shops.iter().for_each(Shop::ask_to_stop);
    assert_eq!(shops.map(Shop::ended), [Some(0); 3]);
    said(on(folder.path(), &["verify"]), 0);
}

#[tokio::test]
async fn each_process_tells_of_its_own_stores_and_lets_nobody_else_serve_them() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = Plan::on(folder.path());
    let shops = [0, SALES, GATEWAY].map(|part| plan.open(part));
    for (part, roles) in PARTS.iter().enumerate() {
        let health = plan.health(part).await;
        let stores = health["dependencies"].as_object().expect("by name");
        let own = roles.iter().filter(|role| **role != "gateway").map(|role| format!("store.{role}"));
        assert_eq!(stores.len(), own.clone().count(), "{health}");
        assert!(own.clone().all(|store| stores[&store]["status"] == "healthy"), "{health}");
    }
    let second = Plan::on(folder.path());
    let told = said(second.serve(SALES), 75);
    assert!(PARTS[SALES].iter().any(|role| told.contains(&format!("{role}.db"))), "it names a store: {told}");
    let elsewhere =
        on(folder.path(), &["serve", "user", "--grpc-listen", "127.0.0.1:0", "--admin-listen", ""]);
    assert!(said(elsewhere, 75).contains("user.db"));
    shops.iter().for_each(Shop::ask_to_stop);
    assert_eq!(shops.map(Shop::ended), [Some(0); 3]);
}
