//! Checkouts per second over REST, everything durable: a new visitor opens a session, fills a cart, asks for a
//! quote and places the order; it counts when it is confirmed and the money is captured.
use crate::amount::Amount;
use crate::load::{self, Client, Load};
use crate::parts::Setting;
use crate::process;
use crate::report::{Figure, NoResult, Outcome};
use crate::rest::{Ask, Caller};
use crate::shop::{Program, Running};
use serde_json::{Value, json};
use souk_host::Environment;
use souk_kernel::Ids;
use std::path::Path;
use std::time::Duration;

const USERS: &[u32] = &[8, 64];
/// So many things are sold; enough for a realistic crowd at some of them.
const PRODUCTS: u32 = 100;
/// More of each than can be sold in the time.
const STOCK: u32 = 100_000_000;
const CPU_MAX: Duration = Duration::from_millis(10);
/// Looks at an order that is placed but not yet captured, and the pause between two.
const LOOKS_MAX: u32 = 2_000;
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// What the last checkouts leave to do, such as emptying carts, is done by then and counts as well.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// Sets a shop up and sends the users in.
pub async fn measure(setting: &Setting) -> Outcome {
    let program = Program::of(setting)?;
    let data = setting.folder("checkouts")?;
    let mut shop = program.up(&data, false)?;
    shop.first_answer("/api/v1/products").await?;
    stock_up(&program, &data, &shop).await?;
    let mut figures = Vec::new();
    for users in USERS {
        figures.extend(at(setting, &shop, *users).await?);
    }
    shop.stop().await?;
    Ok(figures)
}

async fn at(setting: &Setting, shop: &Running, users: u32) -> Outcome {
    let ids = Environment::system().ids();
    let user = |number| User { caller: Caller::new(shop.address()), ids: ids.clone(), number };
    load::run((0..users).map(user), Duration::from_millis(500)).await?;
    tokio::time::sleep(AFTERWARDS).await;
    let before = process::cpu(shop.id()?)?;
    let load = load::run((0..users).map(user), setting.lasting).await?;
    tokio::time::sleep(AFTERWARDS).await;
    let cpu = process::cpu(shop.id()?)?.saturating_sub(before);
    Ok(figures(users, &load, cpu).into())
}

fn figures(users: u32, load: &Load, cpu: Duration) -> [Figure; 2] {
    let share = u32::try_from(load.done).ok().and_then(|done| cpu.checked_div(done)).unwrap_or(cpu);
    let who = format!("{users} users");
    [
        Figure::new(who.clone(), load.rate(), "checkouts/s").detail(format!(
            "median {} ms, p99 {} ms",
            load.latency(500),
            load.latency(990)
        )),
        Figure::new(who, Amount::ms(share), "ms of CPU/checkout")
            .detail(format!("{} checkouts", load.done))
            .bar("below 10 ms", share < CPU_MAX && load.done > 0),
    ]
}

fn sku(number: u32) -> String {
    format!("BENCH-{number:03}")
}

async fn stock_up(program: &Program, data: &Path, shop: &Running) -> Outcome<()> {
    let token = program.staff_token(data, "sales").await?;
    let mut staff = Caller::new(shop.address());
    for number in 0..PRODUCTS {
        let path = format!("/api/v1/products/bench-{number:03}");
        staff.success(&Ask::put(&path, &product(number)).token(&token)).await?;
    }
    let lines: Vec<_> =
        (0..PRODUCTS).map(|number| json!({ "sku": sku(number), "quantity": STOCK.to_string() })).collect();
    let receipt = json!({ "receiptId": "bench", "location": "main", "lines": lines });
    staff.success(&Ask::post("/api/v1/stock:receive", &receipt).token(&token)).await?;
    Ok(())
}

fn product(number: u32) -> Value {
    json!({
        "title": format!("Bench product {number}"),
        "description": "Sold by the thousand.",
        "variants": [{
            "sku": sku(number),
            "prices": [{
                "market": "GB",
                "amount": { "minorUnits": (1_000 + number).to_string(), "currency": "GBP" },
            }],
        }],
        "published": true,
    })
}

/// Someone who buys again and again, each time as a new visitor.
struct User {
    caller: Caller,
    ids: Ids,
    number: u32,
}

impl Client for User {
    async fn once(&mut self, n: u64) -> Outcome<()> {
        let session = self.caller.json(&Ask::post("/api/v1/sessions", &json!({}))).await?;
        let token = text(&session["token"])?;
        let random = self.ids.uuid().as_bytes()[15];
        let item = json!({
            "sku": sku((self.number + u32::from(random)) % PRODUCTS),
            "quantity": 1,
            "opId": format!("click-{n}"),
            "market": "GB",
        });
        let cart = self.caller.json(&Ask::post("/api/v1/cart/items", &item).token(token)).await?;
        let wanted = json!({ "cartId": cart["cart"]["cartId"] });
        let quote = self.caller.json(&Ask::post("/api/v1/quotes", &wanted).token(token)).await?;
        let acceptance = json!({
            "quoteId": quote["quote"]["quoteId"],
            "expectedTotal": quote["quote"]["total"],
            "paymentMethodToken": "ok",
        });
        let key = self.ids.uuid().to_base32();
        let place = Ask::post("/api/v1/orders", &acceptance).token(token);
        let place = place.header("idempotency-key", &key).header("prefer", "wait=10");
        let placed = self.caller.json(&place).await?;
        self.until_captured(placed, token).await
    }
}

impl User {
    /// What the answer to the placing does not say yet is asked for.
    async fn until_captured(&mut self, placed: Value, token: &str) -> Outcome<()> {
        let mut answer = placed;
        for _ in 0..LOOKS_MAX {
            let order = &answer["order"];
            match (order["status"].as_str(), order["payment"].as_str()) {
                (Some("ORDER_STATUS_CONFIRMED"), Some("ORDER_PAYMENT_CAPTURED")) => return Ok(()),
                (Some("ORDER_STATUS_PENDING" | "ORDER_STATUS_CONFIRMED"), _) => {}
                _ => return Err(NoResult::Failed(format!("an order ended otherwise: {order}"))),
            }
            let path = format!("/api/v1/orders/{}", text(&order["orderId"])?);
            tokio::time::sleep(LOOK_AGAIN).await;
            answer = self.caller.json(&Ask::get(&path).token(token)).await?;
        }
        Err(NoResult::Failed("an order was not captured in time".to_owned()))
    }
}

fn text(value: &Value) -> Outcome<&str> {
    value.as_str().ok_or_else(|| NoResult::Failed(format!("expected a text in an answer, got {value}")))
}
