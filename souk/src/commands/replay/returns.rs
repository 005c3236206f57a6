//! Takes back what the file's cancellations undo, each return to its refund, whatever happens to the server
//! meanwhile. A return is known by its reference for ever, so recording it again answers the one there is.
use super::seller::{Desk, PAUSE_FIRST};
use crate::failure::{Failure, exit};
use crate::retail::{Plan, Return};
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// So long without being paid, or without a refund, and the replay gives up on a return.
const PATIENCE: Duration = Duration::from_secs(600);

/// How far an order or a return is.
enum Step {
    Done,
    /// It goes on by itself.
    NotYet,
}

/// Takes back everything of the plan, so many returns at once.
pub async fn take_all_back(
    desk: &Desk,
    plan: &Plan,
    concurrency: u16,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let returns = plan.returns.iter().map(|one| async move {
        desk.take_back(one).await?;
        bar.inc(1);
        Ok::<_, Failure>(())
    });
    stream::iter(returns).buffer_unordered(usize::from(concurrency)).try_collect::<Vec<()>>().await.map(drop)
}

impl Desk {
    /// What a return is called for ever: the file, the cancellation, the invoice.
    fn return_ref(&self, one: &Return) -> String {
        format!("{}/{}", self.external_ref(&one.cancellation), one.invoice)
    }

    /// Sees a return to its refund: wait until the order is paid, record, watch.
    pub async fn take_back(&self, one: &Return) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            if let Step::Done = self.try_to_take_back(one).await? {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(failed(one, "is not refunded and does not say why"));
            }
            tokio::time::sleep(PAUSE_FIRST).await;
        }
    }

    async fn try_to_take_back(&self, one: &Return) -> Result<Step, Failure> {
        let found = self.find(&self.external_ref(&one.invoice)).await?;
        let order = &found["order"];
        let Some(order_id) = order["orderId"].as_str() else {
            return Err(failed(one, "is of an order that is not there"));
        };
        if !is_paid(order) {
            return Ok(Step::NotYet);
        }
        let recorded = self.post_waiting("/api/v1/returns:record", &self.recorded(one, order_id)).await;
        let recorded = recorded.map_err(|refused| failed(one, &format!("is refused: {refused}")))?;
        let recorded = &recorded["return"];
        match recorded["status"].as_str().unwrap_or("nothing") {
            "RETURN_STATUS_REFUNDED" => Ok(Step::Done),
            _ if recorded["needsAttention"] == true => Err(failed(one, "waits for a person")),
            "RETURN_STATUS_RECEIVED" | "RETURN_STATUS_INSPECTED" | "RETURN_STATUS_REFUNDING" => {
                Ok(Step::NotYet)
            }
            status => Err(failed(one, &format!("ended as {status}"))),
        }
    }

    fn recorded(&self, one: &Return, order_id: &str) -> Value {
        let lines = one
            .lines
            .iter()
            .map(|line| json!({"line": line.line, "quantity": line.quantity, "grade": "RETURN_GRADE_A"}));
        json!({
            "externalRef": self.return_ref(one),
            "orderId": order_id,
            "lines": lines.collect::<Vec<_>>(),
            "reason": "RETURN_REASON_UNWANTED",
        })
    }
}

/// An order that ships nothing has arrived when its money is taken; before that nothing can come back.
fn is_paid(order: &Value) -> bool {
    let before = ["ORDER_PAYMENT_NONE", "ORDER_PAYMENT_PENDING", "ORDER_PAYMENT_AUTHORIZED"];
    order["payment"].as_str().is_some_and(|payment| !before.contains(&payment))
}

fn failed(one: &Return, what: &str) -> Failure {
    let message = format!("what {} takes back of invoice {} {what}", one.cancellation, one.invoice);
    Failure::new(exit::DIFFERENCES, message)
}

#[cfg(test)]
mod tests;
