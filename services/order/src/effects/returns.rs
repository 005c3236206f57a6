//! The calls of a return: its stock, its money and its label.
use super::Effects;
use super::answers::{disputed, label_issued, label_voided, released_pieces, silent};
use crate::domain::returns::{Found, Grade, Return, ReturnEvent, Settlement, Whose};
use crate::domain::{Order, Quote, exchange};
use crate::{place, returns as saga};
use souk_contracts::inventory::v1::{
    Grade as StockGrade, ReleaseRequest, RestockLine, RestockRequest, StockLine,
};
use souk_contracts::shipping::v1::{CreateReturnLabelRequest, VoidReturnLabelRequest};
use souk_contracts::terms::OrderId;
use souk_eventstore::{CommitId, Decision, EventStore, Expected, Folded, Origin, StreamId, Work};
use souk_kernel::{Error, Ids, Timestamp};
use souk_rpc::{BoxFuture, Cx};
use souk_saga::{
    Beside, Call, Definition, Direction, Event, Intent, Outcome, Progress, Recording, Saga, Standing,
};

/// Why payment is asked for a refund, for its books.
const RETURNED: &str = "RETURNED";

/// Carries out returns.
pub struct ReturnEffects {
    pub effects: Effects,
    /// Says whether the money is in dispute, and takes the orders that replace what came back.
    pub store: EventStore,
    pub ids: Ids,
}

impl ReturnEffects {
    async fn attempt(&self, call: &Call<Return>) -> Outcome {
        let back: &Return = &call.state;
        let Some(whose) = back.whose() else { return Outcome::unknown("there is no such return") };
        let cx = &call.cx;
        match (call.intent.step, call.intent.direction, back.settlement()) {
            (saga::RESTOCK, Direction::Do, Some(settlement)) => self.restock(cx, whose, settlement).await,
            (saga::EXCHANGE, Direction::Do, Some(settlement)) => self.exchange(call, whose, settlement).await,
            (saga::REFUND, Direction::Do, Some(settlement)) => self.refund(call, whose, settlement).await,
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

    /// What stands in the way while the bank wants the money, or has taken it.
    async fn disputed(&self, whose: &Whose, settlement: &Settlement) -> Option<Outcome> {
        match self.order(payer(whose, settlement)).await {
            Ok(order) => disputed(&order),
            Err(error) => Some(Outcome::unknown(error)),
        }
    }

    async fn order(&self, order_id: OrderId) -> Result<Folded<Order>, Error> {
        Ok(self.store.state::<Order>(&StreamId::of::<Order>(order_id)).await?)
    }

    /// Orders what is wanted instead, once, and says what became of that order.
    async fn exchange(&self, call: &Call<Return>, whose: &Whose, settlement: &Settlement) -> Outcome {
        let order_id = exchange::order_of(whose.return_id);
        let known = match self.order(order_id).await {
            Ok(known) => known,
            Err(error) => return Outcome::unknown(error),
        };
        if known.placed().is_some() {
            return match saga::became(order_id, &known).map(serde_json::to_value) {
                None => Outcome::Waiting { on: "exchange".into() },
                Some(Ok(became)) => Outcome::Done(became),
                Some(Err(error)) => Outcome::unknown(error),
            };
        }
        if let Some(no) = self.disputed(whose, settlement).await {
            return no;
        }
        match self.store.commit(self.ordering(call, whose)).await {
            Ok(_) => Outcome::Waiting { on: "exchange".into() },
            Err(error) => Outcome::unknown(Error::from(error)),
        }
    }

    /// The quote, the order and its deadline in one commit, while the return waits for them.
    fn ordering(&self, call: &Call<Return>, whose: &Whose) -> Work {
        let (back, old) = (call.stream.clone(), StreamId::of::<Order>(whose.order_id));
        let order_id = exchange::order_of(whose.return_id);
        let (order, quote) =
            (StreamId::of::<Order>(order_id), StreamId::of::<Quote>(exchange::quote_of(whose.return_id)));
        let hash = call.state.replacement().map_or_else(String::new, |wanted| {
            let lines = wanted.lines.iter().map(|line| (&line.sku, line.quantity, line.unit_minor));
            crate::grpc::hash_of(&whose.subject, lines, wanted.value)
        });
        let origin = Origin { causation: call.key.clone().into(), ..Origin::by("svc:order") };
        Work::new(CommitId::new(self.ids.uuid()), origin)
            .read::<Return>(&back)
            .read::<Order>(&old)
            .read::<Order>(&order)
            .decide(move |facts, now| {
                let decision = Decision::new();
                if facts.state::<Order>(&order).placed().is_some() {
                    return Ok(decision);
                }
                let (old, back) = (facts.state::<Order>(&old), facts.state::<Return>(&back));
                Ok(match saga::ordered_instead(&old, &back, &hash, now)? {
                    None => decision,
                    Some(begun) => decision
                        .append(&quote, Expected::NoStream, begun.quote)
                        .append(&order, Expected::NoStream, begun.order)
                        .set_timer(place::deadline_timer(order_id, now)),
                })
            })
    }

    /// Gives the money back, unless the customer's bank wants it or has taken it: then it waits, or a person
    /// decides. Where a person settled the exchange, no order may stand that was paid for with it.
    async fn refund(&self, call: &Call<Return>, whose: &Whose, settlement: &Settlement) -> Outcome {
        let progress = call.state.settle();
        let refund = settlement.due(saga::swapped(progress).as_ref());
        if refund.minor_units() == 0 {
            return Outcome::done();
        }
        if progress.standing(saga::EXCHANGE) == Standing::Skipped {
            let order_id = exchange::order_of(whose.return_id);
            match self.order(order_id).await {
                Ok(order) if order.placed().is_none() => {}
                Ok(order) => match saga::became(order_id, &order) {
                    Some(saga::Swapped::Not { .. }) => {}
                    Some(saga::Swapped::For { .. }) | None => {
                        return Outcome::refused("EXCHANGE_STANDS", order_id.to_string());
                    }
                },
                Err(error) => return Outcome::unknown(error),
            }
        }
        let (payer, name) = (payer(whose, settlement), whose.return_id.to_string());
        let effects = &self.effects;
        effects.give_back(&call.cx, &self.store, payer, &whose.subject, name, refund, RETURNED).await
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

/// The order whose payment pays it back.
fn payer(whose: &Whose, settlement: &Settlement) -> OrderId {
    settlement.paid_by.unwrap_or(whose.order_id)
}

fn restock_line(found: &Found) -> Option<RestockLine> {
    let grade = match found.grade {
        Grade::A => StockGrade::A,
        Grade::B => StockGrade::B,
        Grade::Damaged => StockGrade::Damaged,
        Grade::Missing | Grade::WrongItem => return None,
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
    if let Some((payer, events)) = recorded.to_payer {
        beside.push(Beside::append(StreamId::of::<Order>(payer), Expected::Exists, events));
    }
    Recording { events: recorded.events, beside, ..Recording::default() }
}
