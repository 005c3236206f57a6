//! Those who work in the shop: they fill the shelves, pack, label and hand over, and look at what comes back.
use crate::buyers::{COUPON, COUPON_USES, PLENTY, Placed, SCARCE, Shop, pence};
use crate::calls::{PAUSE, insist, unless};
use crate::time;
use souk_contracts::catalog::v1::{
    Benefit, CatalogServiceClient, CreatePromotionRequest, PriceInput, ProductInput, PromotionInput,
    PutProductRequest, VariantInput, benefit,
};
use souk_contracts::inventory::v1::{
    InventoryServiceClient, PutLocationRequest, ReceiptLine, ReceiveStockRequest,
};
use souk_contracts::order::v1::{
    ApproveReturnRequest, CancelReturnRequest, GetReturnRequest, GradedLine, HoldOrderRequest,
    InspectReturnRequest, Order, OrderServiceClient, ReceiveReturnRequest, RejectReturnRequest,
    ReleaseHoldRequest, RequestReturnRequest, Return, ReturnGrade, ReturnLine, ReturnReason, ReturnStatus,
    ReturnWish,
};
use souk_contracts::shipping::v1::{
    BuyLabelRequest, HandOverRequest, ListShipmentsRequest, MarkPackedRequest, Shipment, ShipmentStatus,
    ShippingServiceClient,
};
use souk_rpc::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::sleep;

/// Where goods lie: what comes from both houses is sent in two parcels.
const NEAR: &str = "main";
const FAR: &str = "far";
/// Refusals of shipping that mean: somebody was faster, or it is held.
const NOT_NOW: &[&str] = &["SHIPMENT_NOT_READY", "SHIPMENT_CANCELLED", "FULFILMENT_HELD", "NOT_FOUND"];

impl Shop {
    /// Puts two products on the shelves of two houses, one of them scarce, and offers a coupon.
    pub async fn open(&self) -> Result<(), Error> {
        let (catalog, inventory): (CatalogServiceClient, InventoryServiceClient) =
            (self.peers.get(), self.peers.get());
        let far =
            PutLocationRequest { location: FAR.to_owned(), priority: 2, open: true, ..Default::default() };
        insist(&self.staff, None, |cx| inventory.put_location(cx, far.clone())).await?;
        for (sku, location, stock) in [(SCARCE, FAR, 3), (PLENTY, NEAR, 1_000)] {
            let handle = sku.to_ascii_lowercase();
            let variant = VariantInput {
                sku: sku.to_owned(),
                prices: vec![PriceInput { market: "GB".to_owned(), amount: pence() }],
                ..VariantInput::default()
            };
            let product = ProductInput {
                title: format!("The {sku}"),
                variants: vec![variant],
                published: true,
                ..ProductInput::default()
            };
            let put = PutProductRequest { handle, product: Some(product), ..PutProductRequest::default() };
            insist(&self.staff, None, |cx| catalog.put_product(cx, put.clone())).await?;
            self.receive(&format!("opening-{sku}"), sku, location, stock).await?;
        }
        let promotion = PromotionInput {
            promotion_id: COUPON.to_ascii_lowercase(),
            name: "For a few".to_owned(),
            code: COUPON.to_owned(),
            benefit: Some(Benefit { kind: Some(benefit::Kind::PercentageBp(1_000)) }),
            limit_total: COUPON_USES,
            ..PromotionInput::default()
        };
        let create = CreatePromotionRequest { promotion: Some(promotion) };
        insist(&self.staff, None, |cx| catalog.create_promotion(cx, create.clone())).await?;
        Ok(())
    }

    async fn receive(&self, receipt_id: &str, sku: &str, location: &str, quantity: i64) -> Result<(), Error> {
        let inventory: InventoryServiceClient = self.peers.get();
        let receipt = ReceiveStockRequest {
            receipt_id: receipt_id.to_owned(),
            location: location.to_owned(),
            lines: vec![ReceiptLine { sku: sku.to_owned(), quantity }],
        };
        insist(&self.staff, None, |cx| inventory.receive_stock(cx, receipt.clone())).await.map(drop)
    }

    /// What is scarce arrives: at first a little, then enough for all who wait.
    pub async fn restock(&self) -> Result<(), Error> {
        sleep(Duration::from_secs(12)).await;
        self.receive("some-more", SCARCE, NEAR, 2).await?;
        sleep(Duration::from_secs(20)).await;
        self.receive("enough", SCARCE, FAR, 100).await
    }

    /// Sees to an order's parcels until its customer is content.
    pub async fn see_to(&self, placed: &Placed, is_over: &AtomicBool) -> Result<(), Error> {
        if !placed.is_shipped {
            return Ok(());
        }
        let shipping: ShippingServiceClient = self.peers.get();
        let list = ListShipmentsRequest { order_id: placed.order_id.clone() };
        let mut may_hold = placed.chance.percent(15);
        while !is_over.load(Ordering::Relaxed) {
            let listed = insist(&self.staff, None, |cx| shipping.list_shipments(cx, list.clone())).await;
            for parcel in unless(listed, NOT_NOW)?.map(|listed| listed.shipments).unwrap_or_default() {
                sleep(Duration::from_millis(placed.chance.below(1_500))).await;
                if std::mem::take(&mut may_hold) {
                    self.hold(placed).await?;
                }
                self.next_step(placed, &parcel).await?;
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Packs it, labels it or hands it over, whatever is next.
    async fn next_step(&self, placed: &Placed, parcel: &Shipment) -> Result<(), Error> {
        let shipping: ShippingServiceClient = self.peers.get();
        let shipment_id = parcel.shipment_id.clone();
        let status = parcel.status();
        if status == ShipmentStatus::Pending {
            let pack = MarkPackedRequest { shipment_id };
            unless(insist(&self.staff, None, |cx| shipping.mark_packed(cx, pack.clone())).await, NOT_NOW)?;
        } else if status == ShipmentStatus::Packed {
            let buy = BuyLabelRequest { shipment_id };
            unless(insist(&self.staff, None, |cx| shipping.buy_label(cx, buy.clone())).await, NOT_NOW)?;
        } else if status == ShipmentStatus::Labelled {
            let give = HandOverRequest { shipment_id };
            let given = insist(&self.staff, None, |cx| shipping.hand_over(cx, give.clone()));
            if placed.chance.percent(15) {
                // At the same moment its customer changes their mind.
                let called_off = self.cancel(placed, "cancel-at-the-door");
                let (given, called_off) = futures_util::future::join(given, called_off).await;
                unless(given, NOT_NOW)?;
                return called_off;
            }
            unless(given.await, NOT_NOW)?;
        }
        Ok(())
    }

    /// Keeps an order in the house for a while.
    async fn hold(&self, placed: &Placed) -> Result<(), Error> {
        let orders: OrderServiceClient = self.peers.get();
        let (order_id, reason) = (placed.order_id.clone(), "the address looks wrong".to_owned());
        let hold = HoldOrderRequest { order_id: order_id.clone(), reason };
        let held = insist(&self.staff, None, |cx| orders.hold_order(cx, hold.clone())).await;
        if unless(held, &["NOTHING_TO_HOLD"])?.is_none() {
            return Ok(());
        }
        time::wait(Duration::from_millis(placed.chance.below(20_000))).await;
        let release = ReleaseHoldRequest { order_id, reason: "it is right".to_owned() };
        insist(&self.staff, None, |cx| orders.release_hold(cx, release.clone())).await.map(drop)
    }

    /// The customer sends pieces back, and staff looks at them.
    pub async fn send_back(&self, placed: &Placed, order: &Order) -> Result<(), Error> {
        let chance = &placed.chance;
        let orders: OrderServiceClient = self.peers.get();
        let Some(line) = order.lines.first().map(|line| line.line) else { return Ok(()) };
        let reasons = [ReturnReason::Unwanted, ReturnReason::Damaged];
        let wanted = ReturnLine { line, quantity: 1, reason: (*chance.one_of(&reasons)).into() };
        let ask = RequestReturnRequest {
            order_id: placed.order_id.clone(),
            lines: vec![wanted],
            wish: ReturnWish::Refund.into(),
            replacements: Vec::new(),
        };
        let key = format!("{}-return", placed.key);
        let asked = insist(&placed.token, Some(&key), |cx| orders.request_return(cx, ask.clone())).await;
        // What was called off meanwhile cannot come back.
        let impossible = &["RETURN_EXCEEDS_DELIVERED", "NOT_DELIVERED", "RETURN_NOT_PAID"];
        let Some(back) = unless(asked, impossible)?.and_then(|asked| asked.r#return) else { return Ok(()) };
        self.journal.told_return(&back);
        loop {
            let back = self.look_at_return(&back.return_id, &placed.token).await?;
            if self.is_resolved(placed, &back, line).await? {
                return Ok(());
            }
            sleep(PAUSE).await;
        }
    }

    /// The return as it is now; the answer is noted.
    pub async fn look_at_return(&self, return_id: &str, token: &str) -> Result<Return, Error> {
        let orders: OrderServiceClient = self.peers.get();
        let wanted = GetReturnRequest { return_id: return_id.to_owned() };
        let back = insist(token, None, |cx| orders.get_return(cx, wanted.clone())).await?.r#return;
        let back = back.ok_or_else(|| Error::not_found("the return"))?;
        self.journal.told_return(&back);
        Ok(back)
    }

    /// Does what is next about a return; whether it is at its end.
    async fn is_resolved(&self, placed: &Placed, back: &Return, line: u32) -> Result<bool, Error> {
        let (orders, chance): (OrderServiceClient, _) = (self.peers.get(), &placed.chance);
        let return_id = back.return_id.clone();
        // Somebody may have been faster, or the money is still on its way: then the next look says what is next.
        let faster = &["RETURN_NOT_OPEN", "RETURN_NOT_PAID"];
        match (back.status(), chance.below(100)) {
            (ReturnStatus::Requested, 0..10) => {
                let no = RejectReturnRequest { return_id, reason: "worn".to_owned() };
                unless(insist(&self.staff, None, |cx| orders.reject_return(cx, no.clone())).await, faster)?;
            }
            (ReturnStatus::Requested, luck) => {
                let yes = ApproveReturnRequest { return_id, free_label: luck < 70 };
                unless(insist(&self.staff, None, |cx| orders.approve_return(cx, yes.clone())).await, faster)?;
            }
            (ReturnStatus::Approved | ReturnStatus::LabelIssued, 0..3) => {
                let keep = CancelReturnRequest { return_id };
                let kept = insist(&placed.token, None, |cx| orders.cancel_return(cx, keep.clone())).await;
                unless(kept, faster)?;
            }
            (ReturnStatus::Approved | ReturnStatus::LabelIssued | ReturnStatus::InTransit, 3..20) => {
                let got = ReceiveReturnRequest { return_id, lines: Vec::new() };
                unless(insist(&self.staff, None, |cx| orders.receive_return(cx, got.clone())).await, faster)?;
            }
            (ReturnStatus::Received, _) => {
                let grades = [ReturnGrade::A, ReturnGrade::A, ReturnGrade::Damaged, ReturnGrade::Missing];
                let found = GradedLine { line, quantity: 1, grade: (*chance.one_of(&grades)).into() };
                let look = InspectReturnRequest { return_id, lines: vec![found], fees: None };
                unless(
                    insist(&self.staff, None, |cx| orders.inspect_return(cx, look.clone())).await,
                    faster,
                )?;
            }
            _ => {}
        }
        Ok(matches!(
            back.status(),
            ReturnStatus::Refunded
                | ReturnStatus::Declined
                | ReturnStatus::Rejected
                | ReturnStatus::Cancelled
                | ReturnStatus::Expired
        ))
    }
}
