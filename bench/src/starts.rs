//! From the start of the process to the first answer, on stores that hold the demonstration catalogue; and the
//! memory of a shop where nobody is.
use crate::amount::Amount;
use crate::parts::Setting;
use crate::process;
use crate::report::{Figure, NoResult, Outcome};
use crate::rest::{Ask, Caller};
use crate::shop::{Program, Running};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const STARTS: usize = 10;
const START_MAX: Duration = Duration::from_millis(300);
/// After so long a shop that has nothing to do is idle.
const IDLE_AFTER: Duration = Duration::from_secs(5);
const IDLE_BYTES_MAX: u64 = 60_000_000;
const PATH: &str = "/api/v1/products";
/// The catalogue is complete when it has not grown between two looks.
const LOOKS_MAX: u32 = 40;
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Starts the shop often.
pub async fn measure(setting: &Setting) -> Outcome {
    let program = Program::of(setting)?;
    let data = setting.folder("starts")?;
    let products = fill(&program, &data).await?;
    let mut times = Vec::with_capacity(STARTS);
    for _ in 1..STARTS {
        let (shop, time) = start(&program, &data).await?;
        times.push(time);
        shop.stop().await?;
    }
    let (shop, time) = start(&program, &data).await?;
    times.push(time);
    tokio::time::sleep(IDLE_AFTER).await;
    let resident = process::resident_bytes(shop.id()?)?;
    shop.stop().await?;
    times.sort_unstable();
    Ok(vec![start_figure(&times, products), idle_figure(resident)])
}

async fn start(program: &Program, data: &Path) -> Outcome<(Running, Duration)> {
    let mut shop = program.up(data, false)?;
    let time = shop.first_answer(PATH).await?;
    Ok((shop, time))
}

fn start_figure(times: &[Duration], products: usize) -> Figure {
    let [median, worst] = [times[times.len() / 2], times[times.len() - 1]];
    let detail = format!("median of {}, worst {} ms, {products} products", times.len(), Amount::ms(worst));
    Figure::new("cold start to the first 200", Amount::ms(median), "ms")
        .detail(detail)
        .bar("below 300 ms", median < START_MAX)
}

fn idle_figure(resident: u64) -> Figure {
    Figure::new("resident when idle", Amount::quotient(resident, 1_000_000), "MB")
        .detail(format!("all services, {} s after the start", IDLE_AFTER.as_secs()))
        .bar("below 60 MB", resident < IDLE_BYTES_MAX)
}

/// Makes the stores, with the demonstration catalogue in them; how many products it has.
async fn fill(program: &Program, data: &Path) -> Outcome<usize> {
    let mut shop = program.up(data, true)?;
    shop.first_answer(PATH).await?;
    let mut caller = Caller::new(shop.address());
    let mut last = 0;
    for _ in 0..LOOKS_MAX {
        tokio::time::sleep(LOOK_AGAIN).await;
        let page = caller.json(&Ask::get("/api/v1/products?pageSize=200")).await?;
        let products = page["products"].as_array().map_or(0, Vec::<Value>::len);
        if products > 0 && products == last {
            shop.stop().await?;
            return Ok(products);
        }
        last = products;
    }
    Err(NoResult::Failed("the demonstration catalogue did not appear".to_owned()))
}
