//! What staff sees of returns and does about them, what customers are told that they may send back, and everything
//! that is refused.
use crate::returns::{
    ALL, DAY_MS, approve, checked, delivered, get, given_back, graded, hear_arrival, inspect, record,
    request, told, until, wanted,
};
use crate::shop::{GUEST, Shop};
use souk_contracts::order::v1::{
    self as pb, Replacement, ReturnGrade, ReturnLine, ReturnReason, ReturnStatus, ReturnWish,
};
use souk_contracts::terms::{OrderId, ReturnId};
use souk_eventstore::StreamId;
use souk_kernel::{Code, Error, TypeId, Uuid};
use souk_order::domain::returns::{Return, Status};
use souk_order::{proto, views};
use souk_rpc::Cx;
use std::collections::BTreeMap;
use std::sync::Arc;

async fn queue(shop: &Shop, status: ReturnStatus, page_size: u32) -> Vec<Vec<pb::Return>> {
    let (mut pages, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = pb::ListReturnQueueRequest { status: status.into(), page_size, page_token };
        let page = shop.client().list_return_queue(shop.sales(), request).await.expect("listed");
        pages.push(page.returns);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return pages;
        }
    }
}

/// The list says of every return what the fold says.
async fn rows_are_folds(shop: &Shop) {
    for status in [Status::Requested, Status::LabelIssued, Status::Rejected, Status::Refunded] {
        let rows = shop.store().query(views::queue(Some(status), None, 100)).await.expect("readable");
        for (return_id, named) in rows.iter().filter_map(views::queue_row) {
            let back = shop.store().state::<Return>(&StreamId::of::<Return>(return_id)).await.expect("there");
            assert_eq!(back.status().map(proto::returns::status_name), Some(named.as_str()));
        }
    }
}

#[tokio::test]
async fn staff_sees_what_waits_and_where_it_stands() {
    let shop = Shop::open().await;
    let order_id = delivered(&shop).await;
    let mut ids = Vec::new();
    for (key, line) in [("k-1", 1), ("k-2", 1), ("k-3", 2), ("k-4", 3)] {
        let lines = [wanted(line, 1, ReturnReason::Unwanted)];
        ids.push(request(&shop, &order_id, key, &lines).await.expect("asked").return_id);
    }
    approve(&shop, &ids[1], true).await;
    until(&shop, &ids[1], |back| back.label().is_some()).await;
    approve(&shop, &ids[2], false).await;
    inspect(&shop, &ids[2], &[graded(2, 1, ReturnGrade::A)]).await.expect("looked at");
    let no = pb::RejectReturnRequest { return_id: ids[3].clone(), reason: "worn".to_owned() };
    shop.client().reject_return(shop.sales(), no).await.expect("rejected");
    let at = |status| queue(&shop, status, 0);
    let names = |pages: Vec<Vec<pb::Return>>| {
        pages.into_iter().flatten().map(|back| back.return_id).collect::<Vec<_>>()
    };
    assert_eq!(names(at(ReturnStatus::Requested).await), ids[..1]);
    assert_eq!(names(at(ReturnStatus::LabelIssued).await), ids[1..2]);
    assert_eq!(names(at(ReturnStatus::Refunded).await), ids[2..3]);
    assert_eq!(names(at(ReturnStatus::Rejected).await), ids[3..]);
    let pages = queue(&shop, ReturnStatus::Unspecified, 1).await;
    assert_eq!(
        pages.iter().map(Vec::len).collect::<Vec<_>>(),
        [1, 1],
        "what is not at its end, page by page"
    );
    assert_eq!(names(pages), ids[..2]);
    rows_are_folds(&shop).await;
}

#[tokio::test]
async fn a_parcel_that_comes_late_is_taken_back_by_staff_or_not() {
    let shop = Shop::open().await;
    let order_id = delivered(&shop).await;
    let back =
        request(&shop, &order_id, "k-1", &[wanted(1, 2, ReturnReason::Unwanted)]).await.expect("asked");
    approve(&shop, &back.return_id, true).await;
    until(&shop, &back.return_id, |back| back.label().is_some()).await;
    shop.clock.advance_ms(21 * DAY_MS);
    until(&shop, &back.return_id, |back| back.status() == Some(Status::Expired)).await;
    hear_arrival(&shop, &back).await;
    assert_eq!(get(&shop, &back.return_id).await.status(), ReturnStatus::ArrivedLate);
    let order = shop.get(&order_id).await;
    assert_eq!(
        (order.needs_attention, order.attention_reasons),
        (true, vec!["RETURN_ARRIVED_LATE".to_owned()])
    );
    assert_eq!(queue(&shop, ReturnStatus::ArrivedLate, 0).await[0].len(), 1);
    let take = pb::ReceiveReturnRequest { return_id: back.return_id.clone(), lines: Vec::new() };
    shop.client().receive_return(shop.sales(), take).await.expect("taken back");
    let order = shop.until(&order_id, |order| order.has_open_return()).await;
    shop.check(&order_id, &order).await;
    assert!(!order.needs_attention());
    let seen = inspect(&shop, &back.return_id, &[graded(1, 2, ReturnGrade::A)]).await.expect("looked at");
    assert_eq!((seen.status(), given_back(&shop)), (ReturnStatus::Refunded, 500));
    checked(&shop, &order_id).await;
}

#[tokio::test]
async fn one_refund_gives_back_what_two_parcels_took() {
    let shop = Shop::open().await;
    let order_id = shop.place_shipped().await.order_id;
    shop.until_processing(&order_id).await;
    for (shipment, lines, sequence) in [("shp_1", &ALL[..1], 1), ("shp_2", &ALL[1..], 3)] {
        shop.hand_over(&order_id, shipment, lines, sequence).await;
        shop.until(&order_id, |order| order.parcels().iter().all(|parcel| parcel.is_paid)).await;
        shop.parcel_is("Delivered", &order_id, shipment, sequence + 1).await;
    }
    let captures =
        shop.world.books(|books| books.payments.values().map(|funds| funds.captures.len()).sum::<usize>());
    assert_eq!(captures, 2);
    let lines = [graded(1, 2, ReturnGrade::A), graded(3, 1, ReturnGrade::A)];
    let back = record(&shop, told(&order_id, "R-1", &lines)).await.expect("told");
    assert_eq!((back.status(), given_back(&shop)), (ReturnStatus::Refunded, 750), "more than either took");
    record(&shop, told(&order_id, "R-2", &[graded(2, 1, ReturnGrade::A)])).await.expect("the rest");
    let order = checked(&shop, &order_id).await;
    assert_eq!(order.payment(), pb::OrderPayment::Refunded);
}

/// What may come back of each line: pieces, why not, worth and fee.
async fn options(shop: &Shop, order_id: &str) -> Vec<(u32, String, i64, i64)> {
    let request = pb::GetReturnOptionsRequest { order_id: order_id.to_owned() };
    let answer = shop.client().get_return_options(shop.guest(), request).await.expect("told");
    assert!(answer.free_label_at_fault);
    let minor =
        |money: &Option<souk_contracts::types::v1::Money>| money.as_ref().map_or(0, |m| m.minor_units);
    let one = |o: &pb::ReturnOption| (o.quantity, o.reason.clone(), minor(&o.worth), minor(&o.fee));
    answer.options.iter().map(one).collect()
}

#[tokio::test]
async fn customers_are_told_what_may_come_back() {
    let shop = Shop::open().await;
    let order_id = shop.place_shipped().await.order_id;
    let none = |reason: &str| (0, reason.to_owned(), 0, 0);
    let some = |quantity, worth| (quantity, String::new(), worth, 0);
    assert_eq!(options(&shop, &order_id).await, vec![none("NOT_DELIVERED"); 3]);
    shop.until_processing(&order_id).await;
    shop.hand_over(&order_id, "shp_1", &ALL, 1).await;
    shop.until(&order_id, |order| order.parcels().iter().all(|parcel| parcel.is_paid)).await;
    shop.parcel_is("Delivered", &order_id, "shp_1", 2).await;
    assert_eq!(options(&shop, &order_id).await, [some(2, 500), some(1, 99), some(1, 250)]);
    request(&shop, &order_id, "k-1", &[wanted(1, 1, ReturnReason::Unwanted)]).await.expect("asked");
    record(&shop, told(&order_id, "R-1", &[graded(2, 1, ReturnGrade::A)])).await.expect("told");
    let taken = none("RETURN_EXCEEDS_DELIVERED");
    assert_eq!(options(&shop, &order_id).await, [some(1, 250), taken, some(1, 250)]);
    shop.clock.advance_ms(90 * DAY_MS);
    let over = options(&shop, &order_id).await;
    assert_eq!(over[2], none("RETURN_WINDOW_OVER"));
    let foreign = pb::GetReturnOptionsRequest { order_id };
    let foreign = shop.client().get_return_options(shop.cx("gst_2", &[]), foreign).await;
    assert_eq!(foreign.expect_err("not theirs").code(), Code::NotFound);
}

/// A mistake: what is wrong, what came back, and the reason and the field or fact that it must name.
type Mistake = (&'static str, Result<(), Error>, &'static str, &'static str);

fn names(error: &Error, what: &str) -> bool {
    let told = format!("{} {:?} {:?}", error.message(), error.metadata(), error.fields());
    told.contains(what)
}

fn asks(order_id: &str, lines: &[ReturnLine], wish: ReturnWish, sku: &[&str]) -> pb::RequestReturnRequest {
    let replacement = |sku: &&str| Replacement { sku: (*sku).to_owned(), quantity: 1 };
    pb::RequestReturnRequest {
        order_id: order_id.to_owned(),
        lines: lines.to_vec(),
        wish: wish.into(),
        replacements: sku.iter().map(replacement).collect(),
    }
}

struct Desk {
    shop: Shop,
    order_id: String,
    /// Asked for; approved; rejected.
    returns: [String; 3],
}

impl Desk {
    async fn open() -> Self {
        let shop = Shop::open().await;
        let order_id = delivered(&shop).await;
        let mut ids = Vec::new();
        for (key, line) in [("k-1", 1), ("k-2", 2), ("k-3", 3)] {
            let lines = [wanted(line, 1, ReturnReason::Unwanted)];
            ids.push(request(&shop, &order_id, key, &lines).await.expect("asked").return_id);
        }
        approve(&shop, &ids[1], false).await;
        let no = pb::RejectReturnRequest { return_id: ids[2].clone(), reason: "worn".to_owned() };
        shop.client().reject_return(shop.sales(), no).await.expect("rejected");
        Desk { shop, order_id, returns: ids.try_into().expect("three") }
    }

    async fn request(&self, request: pb::RequestReturnRequest) -> Result<(), Error> {
        let cx = self.shop.guest().with_key(Arc::from("a-mistake"));
        self.shop.client().request_return(cx, request).await.map(|_| ())
    }

    async fn record(&self, request: pb::RecordReturnRequest) -> Result<(), Error> {
        self.shop.client().record_return(self.shop.sales(), request).await.map(|_| ())
    }

    async fn approve(&self, return_id: &str) -> Result<(), Error> {
        let request = pb::ApproveReturnRequest { return_id: return_id.to_owned(), free_label: false };
        self.shop.client().approve_return(self.shop.sales(), request).await.map(|_| ())
    }

    async fn reject(&self, return_id: &str, reason: &str) -> Result<(), Error> {
        let request = pb::RejectReturnRequest { return_id: return_id.to_owned(), reason: reason.to_owned() };
        self.shop.client().reject_return(self.shop.sales(), request).await.map(|_| ())
    }

    async fn receive(&self, return_id: &str, line: u32, quantity: u32) -> Result<(), Error> {
        let lines = vec![pb::OrderPieces { line, quantity }];
        let request = pb::ReceiveReturnRequest { return_id: return_id.to_owned(), lines };
        self.shop.client().receive_return(self.shop.sales(), request).await.map(|_| ())
    }

    async fn cancel(&self, cx: Cx, return_id: &str) -> Result<(), Error> {
        let request = pb::CancelReturnRequest { return_id: return_id.to_owned() };
        self.shop.client().cancel_return(cx, request).await.map(|_| ())
    }

    async fn get(&self, return_id: &str) -> Result<(), Error> {
        let request = pb::GetReturnRequest { return_id: return_id.to_owned() };
        self.shop.client().get_return(self.shop.guest(), request).await.map(|_| ())
    }

    async fn queue(&self, status: i32, page_size: u32, page_token: &str) -> Result<(), Error> {
        let request = pb::ListReturnQueueRequest { status, page_size, page_token: page_token.to_owned() };
        self.shop.client().list_return_queue(self.shop.sales(), request).await.map(|_| ())
    }

    async fn inspect(&self, return_id: &str, line: pb::GradedLine, fee_minor: i64) -> Result<(), Error> {
        let fees = Some(crate::doubles::gbp(fee_minor));
        let request = pb::InspectReturnRequest { return_id: return_id.to_owned(), lines: vec![line], fees };
        self.shop.client().inspect_return(self.shop.sales(), request).await.map(|_| ())
    }

    /// What customers get wrong.
    async fn by_customers(&self) -> Vec<Mistake> {
        let order = self.order_id.as_str();
        let nobodys = OrderId::from_uuid(Uuid::v7(4, [4; 10])).to_string();
        let one = [wanted(1, 1, ReturnReason::Unwanted)];
        let (money, swap) = (ReturnWish::Refund, ReturnWish::Exchange);
        let twice = [one[0], one[0]];
        let request = |request| self.request(request);
        let stranger = self.shop.cx("gst_2", &[]);
        let invalid = "INVALID_ARGUMENT";
        vec![
            ("no order", request(asks("rtn_1", &one, money, &[])).await, invalid, "orderId"),
            ("nobody's order", request(asks(&nobodys, &one, money, &[])).await, "NOT_FOUND", "order"),
            ("no lines", request(asks(order, &[], money, &[])).await, invalid, "lines"),
            ("a line twice", request(asks(order, &twice, money, &[])).await, invalid, "lines[1].line"),
            ("money and goods", request(asks(order, &one, money, &["B"])).await, invalid, "replacements"),
            ("nothing instead", request(asks(order, &one, swap, &[])).await, invalid, "replacements"),
            (
                "the same twice",
                request(asks(order, &one, swap, &["B", "B"])).await,
                invalid,
                "replacements[1].sku",
            ),
            ("credit", request(asks(order, &one, ReturnWish::Credit, &[])).await, "NOT_OFFERED", "CREDIT"),
            ("unknown goods", request(asks(order, &one, swap, &["Z"])).await, "UNKNOWN_SKU", "Z"),
            ("unsold goods", request(asks(order, &one, swap, &["OLD"])).await, "NOT_SOLD_IN_MARKET", "OLD"),
            (
                "dear goods",
                request(asks(order, &one, swap, &["A", "B"])).await,
                "EXCHANGE_TOO_DEAR",
                "3.49 GBP",
            ),
            (
                "in a return",
                request(asks(order, &[wanted(2, 1, ReturnReason::Damaged)], money, &[])).await,
                "RETURN_EXCEEDS_DELIVERED",
                "line",
            ),
            (
                "no such line",
                request(asks(order, &[wanted(9, 1, ReturnReason::Damaged)], money, &[])).await,
                "NOT_DELIVERED",
                "9",
            ),
            ("no return", self.get("ord_1").await, invalid, "returnId"),
            ("not theirs", self.cancel(stranger, &self.returns[0]).await, "NOT_FOUND", "return"),
            (
                "rejected",
                self.cancel(self.shop.guest(), &self.returns[2]).await,
                "RETURN_NOT_OPEN",
                "REJECTED",
            ),
        ]
    }

    /// What staff gets wrong.
    async fn by_staff(&self) -> Vec<Mistake> {
        let [asked, approved, rejected] = &self.returns;
        let nobodys = ReturnId::from_uuid(Uuid::v7(4, [4; 10])).to_string();
        let good = graded(2, 1, ReturnGrade::A);
        let goods = |lines: &[pb::GradedLine]| told(&self.order_id, "R-1", lines);
        let unnamed = pb::RecordReturnRequest { external_ref: String::new(), ..goods(&[good]) };
        let reasonless = pb::RecordReturnRequest { reason: 0, ..goods(&[good]) };
        let missing = [graded(1, 1, ReturnGrade::Missing)];
        let other = [graded(1, 1, ReturnGrade::WrongItem)];
        let (invalid, not_open) = ("INVALID_ARGUMENT", "RETURN_NOT_OPEN");
        let dear = pb::InspectReturnRequest {
            return_id: approved.clone(),
            lines: vec![good],
            fees: Some(souk_contracts::types::v1::Money { minor_units: 1, currency: "EUR".to_owned() }),
        };
        let dear = self.shop.client().inspect_return(self.shop.sales(), dear).await.map(|_| ());
        vec![
            ("nobody's return", self.approve(&nobodys).await, "NOT_FOUND", "return"),
            ("no return", self.approve("").await, invalid, "returnId"),
            ("approved after all", self.approve(rejected).await, not_open, "REJECTED"),
            ("no reason", self.reject(asked, "").await, invalid, "reason"),
            ("a long reason", self.reject(asked, &"x".repeat(201)).await, invalid, "reason"),
            ("rejected too late", self.reject(approved, "worn").await, not_open, "APPROVED"),
            ("not approved yet", self.receive(asked, 1, 1).await, not_open, "REQUESTED"),
            ("another line", self.receive(approved, 1, 1).await, "NOT_IN_RETURN", "line"),
            ("no pieces", self.receive(approved, 2, 0).await, invalid, "lines[0].quantity"),
            ("not sent yet", self.inspect(asked, good, 0).await, not_open, "REQUESTED"),
            ("too many", self.inspect(approved, graded(2, 2, ReturnGrade::A), 0).await, "NOT_IN_RETURN", "2"),
            (
                "no grade",
                self.inspect(approved, graded(2, 1, ReturnGrade::Unspecified), 0).await,
                invalid,
                "grade",
            ),
            ("a fee for us", self.inspect(approved, good, -1).await, invalid, "fees"),
            ("a foreign fee", dear, "NOT_IN_RETURN", "currency"),
            ("no reference", self.record(unnamed).await, invalid, "externalRef"),
            ("no reason why", self.record(reasonless).await, invalid, "reason"),
            ("not there", self.record(goods(&missing)).await, invalid, "lines[0].grade"),
            ("something else", self.record(goods(&other)).await, invalid, "lines[0].grade"),
            ("in a return", self.record(goods(&[good])).await, "RETURN_EXCEEDS_DELIVERED", "line"),
            ("no such state", self.queue(99, 0, "").await, invalid, "status"),
            (
                "nothing stands there",
                self.queue(ReturnStatus::Credited.into(), 0, "").await,
                invalid,
                "status",
            ),
            ("a large page", self.queue(0, 201, "").await, invalid, "pageSize"),
            ("a damaged token", self.queue(0, 1, "x").await, "INVALID_PAGE_TOKEN", "token"),
        ]
    }
}

#[tokio::test]
async fn every_mistake_has_a_reason_and_names_what_is_wrong() {
    let desk = Desk::open().await;
    let before: BTreeMap<_, _> = desk.shop.world.books(|books| books.restocked.clone());
    for (what, answer, reason, named) in [desk.by_customers().await, desk.by_staff().await].concat() {
        let error = answer.expect_err(what);
        assert_eq!(error.reason(), reason, "{what}: {error:?}");
        assert!(names(&error, named), "{what}: {error:?} does not name {named}");
    }
    assert_eq!(desk.shop.world.books(|books| books.restocked.clone()), before);
    assert_eq!(get(&desk.shop, &desk.returns[0]).await.subject, GUEST);
}

#[tokio::test]
async fn a_page_of_one_list_does_not_go_on_in_another() {
    let desk = Desk::open().await;
    let first = pb::ListReturnQueueRequest { page_size: 1, ..pb::ListReturnQueueRequest::default() };
    let first = desk.shop.client().list_return_queue(desk.shop.sales(), first).await.expect("listed");
    let other = desk.queue(ReturnStatus::Requested.into(), 1, &first.next_page_token).await;
    assert_eq!(other.expect_err("another list").reason(), "INVALID_PAGE_TOKEN");
}
