//! The calls of a parcel that is sent again: stock under a name of its own, and a fulfilment of its own.
use super::answers::{committed, created, released, reserved, silent, unexpected};
use super::{ErrandEffects, place, to_ship, whole_seconds};
use crate::domain::Order;
use crate::domain::errand::ErrandOpened;
use crate::domain::order::Pieces;
use crate::resend_parcel;
use souk_contracts::inventory::v1::{
    CommitRequest, GetReservationRequest, ReleaseRequest, ReservePolicy, ReserveRequest, StockLine,
};
use souk_contracts::shipping::v1::CreateFulfilmentRequest;
use souk_contracts::terms::OrderId;
use souk_eventstore::StreamId;
use souk_rpc::Cx;
use souk_saga::{Direction, Outcome};
use std::sync::Arc;

/// What is sent again.
pub(super) struct Resend<'a> {
    pub of: &'a ErrandOpened,
    pub shipment_id: &'a Arc<str>,
    pub resend_id: OrderId,
    pub pieces: &'a [Pieces],
}

impl ErrandEffects {
    pub(super) async fn resend(
        &self,
        cx: &Cx,
        resend: &Resend<'_>,
        step: &str,
        direction: Direction,
    ) -> Outcome {
        match (step, direction) {
            (resend_parcel::RESERVE_AGAIN, Direction::Do) => self.reserve_again(cx, resend).await,
            (resend_parcel::RESERVE_AGAIN, Direction::Undo) => self.release_again(cx, resend).await,
            (resend_parcel::COMMIT_AGAIN, Direction::Do) => self.commit_again(cx, resend).await,
            (resend_parcel::SEND_AGAIN, Direction::Do) => self.send_again(cx, resend).await,
            (step, direction) => Outcome::unknown(format!("nothing is known of {direction} {step}")),
        }
    }

    async fn reserve_again(&self, cx: &Cx, resend: &Resend<'_>) -> Outcome {
        let line = |part: &Pieces| StockLine {
            line: part.line,
            sku: part.sku.to_string(),
            quantity: part.quantity.get(),
        };
        let request = ReserveRequest {
            reservation_id: resend.resend_id.to_string(),
            lines: resend.pieces.iter().map(line).collect(),
            ttl_s: whole_seconds(place::DEADLINE),
            policy: ReservePolicy::AllOrNothing.into(),
        };
        let cx = self.effects.to(cx, "inventory", &resend.of.subject);
        reserved(self.effects.inventory.reserve(cx, request).await.map(|answer| answer.reservation))
    }

    async fn release_again(&self, cx: &Cx, resend: &Resend<'_>) -> Outcome {
        let request = ReleaseRequest {
            reservation_id: resend.resend_id.to_string(),
            reason: "NOT_RESENT".to_owned(),
            ..ReleaseRequest::default()
        };
        let cx = self.effects.to(cx, "inventory", &resend.of.subject);
        released(self.effects.inventory.release(cx, request).await.map(|answer| answer.reservation))
    }

    async fn commit_again(&self, cx: &Cx, resend: &Resend<'_>) -> Outcome {
        let request = CommitRequest { reservation_id: resend.resend_id.to_string() };
        let cx = self.effects.to(cx, "inventory", &resend.of.subject);
        committed(self.effects.inventory.commit(cx, request).await.map(|answer| answer.reservation))
    }

    /// To the same address, from where the pieces lie now.
    async fn send_again(&self, cx: &Cx, resend: &Resend<'_>) -> Outcome {
        let order = match self.store.state::<Order>(&StreamId::of::<Order>(resend.of.order_id)).await {
            Ok(order) => order,
            Err(error) => return Outcome::unknown(error),
        };
        let Some(delivery) = order.delivery() else { return unexpected("an order that ships nothing") };
        let request = GetReservationRequest { reservation_id: resend.resend_id.to_string() };
        let to_inventory = self.effects.to(cx, "inventory", &resend.of.subject);
        let answer = self.effects.inventory.get_reservation(to_inventory, request).await;
        let reservation = match answer.map(|answer| answer.reservation) {
            Ok(Some(reservation)) => reservation,
            Ok(None) => return unexpected("no reservation"),
            Err(error) => return silent(&error),
        };
        let request = CreateFulfilmentRequest {
            order_id: resend.resend_id.to_string(),
            rate_id: delivery.rate_id.to_string(),
            lines: to_ship(&order, reservation),
            for_order_id: resend.of.order_id.to_string(),
            instead_of: resend.shipment_id.to_string(),
        };
        let cx = self.effects.to(cx, "shipping", &resend.of.subject);
        created(
            self.effects.shipping.create_fulfilment(cx, request).await.map(|answer| answer.fulfilment),
            false,
        )
    }
}
