//! The calls of a return: its stock, its money and its label.
use super::Effects;
use super::answers::{label_issued, label_voided, released_pieces, silent};
use crate::domain::Order;
use crate::domain::returns::{Found, Grade, Return, ReturnEvent, Settlement, Whose};
use crate::returns as saga;
use souk_contracts::inventory::v1::{
    Grade as StockGrade, ReleaseRequest, RestockLine, RestockRequest, StockLine,
};
use souk_contracts::shipping::v1::{CreateReturnLabelRequest, VoidReturnLabelRequest};
use souk_eventstore::{EventStore, Expected, StreamId};
use souk_kernel::Timestamp;
use souk_rpc::{BoxFuture, Cx};
use souk_saga::{Beside, Call, Definition, Direction, Event, Intent, Outcome, Progress, Recording, Saga};

/// Why payment is asked for a refund, for its books.
const RETURNED: &str = "RETURNED";

/// Carries out returns.
pub struct ReturnEffects {
    pub effects: Effects,
    /// Says whether the money is in dispute.
    pub store: EventStore,
}

impl ReturnEffects {
    async fn attempt(&self, call: &Call<Return>) -> Outcome {
        let back: &Return = &call.state;
        let Some(whose) = back.whose() else { return Outcome::unknown("there is no such return") };
        let cx = &call.cx;
        match (call.intent.step, call.intent.direction, back.settlement()) {
            (saga::RESTOCK, Direction::Do, Some(settlement)) => self.restock(cx, whose, settlement).await,
            (saga::REFUND, Direction::Do, Some(settlement)) => self.refund(cx, whose, settlement).await,
            (saga::CREATE_LABEL, Direction::Do, _) => self.create_label(cx, whose).await,
            (saga::VOID_LABEL, Direction::Do, _) => self.void_label(cx, whose).await,
            (step, direction, _) => Outcome::unknown(format!("nothing is known of {direction} {step}")),
        }
    }

    /// What left is booked in again, with its state; what never left is given up to others when it can be sold.
    async fn restock(&self, cx: &Cx, whose: &Whose, settlement: &Settlement) -> Outcome {
        let inventory = &self.effects.inventory;
        let to_release = settlement.to_release();
        if !to_release.is_empty() {
            let request = ReleaseRequest {
                reservation_id: whose.order_id.to_string(),
                reason: RETURNED.to_owned(),
                lines: to_release
                    .iter()
                    .map(|piece| StockLine {
                        line: piece.line,
                        sku: piece.sku.to_string(),
                        quantity: piece.quantity.get(),
                    })
                    .collect(),
                release_id: whose.return_id.to_string(),
            };
            let answer = inventory.release(self.effects.to(cx, "inventory", &whose.subject), request).await;
            return released_pieces(answer.map(|answer| answer.reservation));
        }
        let lines: Vec<RestockLine> = settlement.to_restock().filter_map(restock_line).collect();
        if lines.is_empty() {
            return Outcome::done();
        }
        let request = RestockRequest {
            restock_id: whose.return_id.to_string(),
            reservation_id: whose.order_id.to_string(),
            lines,
        };
        let answer = inventory.restock(self.effects.to(cx, "inventory", &whose.subject), request).await;
        released_pieces(answer.map(|answer| answer.reservation))
    }

    async fn refund(&self, cx: &Cx, whose: &Whose, settlement: &Settlement) -> Outcome {
        let (order_id, name) = (whose.order_id, whose.return_id.to_string());
        let (effects, refund) = (&self.effects, settlement.refund);
        effects.give_back(cx, &self.store, order_id, &whose.subject, name, refund, RETURNED).await
    }

    async fn create_label(&self, cx: &Cx, whose: &Whose) -> Outcome {
        let request = CreateReturnLabelRequest {
            return_id: whose.return_id.to_string(),
            order_id: whose.order_id.to_string(),
        };
        let cx = self.effects.to(cx, "shipping", &whose.subject);
        match self.effects.shipping.create_return_label(cx, request).await {
            Ok(answer) => label_issued(answer.label),
            Err(error) => silent(&error),
        }
    }

    async fn void_label(&self, cx: &Cx, whose: &Whose) -> Outcome {
        let request = VoidReturnLabelRequest { return_id: whose.return_id.to_string() };
        let cx = self.effects.to(cx, "shipping", &whose.subject);
        match self.effects.shipping.void_return_label(cx, request).await {
            Ok(answer) => label_voided(answer.label),
            Err(error) => silent(&error),
        }
    }
}

fn restock_line(found: &Found) -> Option<RestockLine> {
    let grade = match found.grade {
        Grade::A => StockGrade::A,
        Grade::B => StockGrade::B,
        Grade::Damaged => StockGrade::Damaged,
        Grade::Missing => return None,
    };
    Some(RestockLine {
        line: found.line,
        sku: found.sku.to_string(),
        quantity: found.quantity.get(),
        location: found.location.as_ref()?.to_string(),
        grade: grade.into(),
    })
}

impl Saga for ReturnEffects {
    type State = Return;

    fn outstanding(&self, back: &Return) -> Vec<Intent> {
        saga::outstanding(back)
    }

    fn perform(&self, call: Call<Return>) -> BoxFuture<'_, Outcome> {
        Box::pin(async move { self.attempt(&call).await })
    }

    fn record(
        &self,
        back: &Return,
        intent: &Intent,
        outcome: &Outcome,
        attempt: u32,
        _: Timestamp,
    ) -> Recording<ReturnEvent> {
        recording(back, saga::record(back, intent, outcome, attempt))
    }

    fn sagas<'a>(&'a self, back: &'a Return) -> Vec<(&'a Definition, &'a Progress)> {
        saga::sagas(back).into_iter().collect()
    }

    fn moved(&self, back: &Return, moves: Vec<Event>, _: Timestamp) -> Recording<ReturnEvent> {
        recording(back, saga::with_consequences(back, moves))
    }
}

/// The return's own moves, and what they mean for its order.
fn recording(back: &Return, recorded: saga::Recorded) -> Recording<ReturnEvent> {
    let Some(whose) = back.whose() else { return Recording::default() };
    let mut beside = Vec::new();
    if !recorded.to_order.is_empty() {
        let order = StreamId::of::<Order>(whose.order_id);
        beside.push(Beside::append(order, Expected::Exists, recorded.to_order));
    }
    Recording { events: recorded.events, beside, ..Recording::default() }
}
