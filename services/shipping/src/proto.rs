//! Messages to commands and states to messages. Every faulty field of a request is named at once.
use crate::domain::address::{self, Address, Check};
use crate::domain::fulfilment::Again;
use crate::domain::fulfilment::{CancelOutcome, Fulfilment, Phase, locations};
use crate::domain::notice::NoticeReceived;
use crate::domain::rate::RateQuoted;
use crate::domain::shipment::{Back, Label};
use crate::domain::{LINES_MAX, Line, Name, Part, SHIPMENTS_MAX, Scan, Seen, Shipment, Status};
use crate::published;
use serde::Deserialize;
use souk_contracts::shipping::v1 as pb;
use souk_contracts::terms::{Location, Market, OrderId, Quantity, RateId, ShipmentId, Sku};
use souk_kernel::{Invalid, Timestamp};
use souk_rpc::time;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

/// The longest reason of a cancel, in bytes.
const REASON_BYTES_MAX: usize = 200;
/// The longest title of a line, in bytes; what is longer is cut, since it is for people only.
const TITLE_CHARS_MAX: usize = 300;
/// The longest name of a carrier's scenario.
const SCENARIO_BYTES_MAX: usize = 32;
/// So many faulty fields are named; a caller who sent thousands has one mistake, not thousands.
const FAULTS_MAX: usize = 100;
/// The longest text in a carrier's notice.
const NOTICE_TEXT_MAX: usize = 128;

/// A question for rates.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    pub address: Address,
    pub pieces: u64,
    pub market: Market,
    pub scenario: Arc<str>,
}

/// A creation, as asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Creation {
    pub order_id: OrderId,
    pub rate_id: RateId,
    pub lines: Arc<[Line]>,
    /// Where pieces are sent again.
    pub again: Option<Again>,
}

/// A cancel, as asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Cancel {
    pub order_id: OrderId,
    pub cancel_id: Name,
    pub reason: Arc<str>,
    pub parts: Arc<[Part]>,
}

/// Reads an id.
pub fn id<T: FromStr<Err: Display>>(field: &str, text: &str) -> Result<T, Invalid> {
    text.parse().map_err(|e: T::Err| Invalid::field(field, e.to_string()))
}

/// Reads an address as it is: whether it is good is a question of its own.
pub fn address(given: Option<pb::Address>) -> Result<Address, Invalid> {
    let given = given.ok_or_else(|| Invalid::field("address", "must be set"))?;
    let pb::Address { recipient, line1, line2, city, region, postal_code, country } = given;
    Ok(Address { recipient, line1, line2, city, region, postal_code, country })
}

pub fn question(request: pb::QuoteRatesRequest) -> Result<Question, Invalid> {
    let mut invalid = Invalid::new();
    let address = match address(request.address) {
        Ok(address) => Some(address),
        Err(_) => {
            invalid.add("address", "must be set");
            None
        }
    };
    let pieces = items(&mut invalid, &request.items);
    let market = invalid.take("market", Market::from_str(&request.market));
    let scenario = request.carrier_scenario;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if scenario.len() > SCENARIO_BYTES_MAX || !scenario.bytes().all(plain) {
        let what = format!("must be 0 to {SCENARIO_BYTES_MAX} lower-case letters, digits or underscores");
        invalid.add("carrierScenario", what);
    }
    let question = || {
        let scenario = scenario.as_str().into();
        Some(Question { address: address?, pieces: pieces?, market: market?, scenario })
    };
    let question = question();
    invalid.finish(question)
}

fn items(invalid: &mut Invalid, items: &[pb::Item]) -> Option<u64> {
    counted(invalid, "items", items.len())?;
    let mut pieces = 0;
    for (index, item) in items.iter().enumerate() {
        if invalid.fields().len() >= FAULTS_MAX {
            break;
        }
        invalid.take(format!("items[{index}].sku"), Sku::from_str(&item.sku));
        let quantity = invalid.take(format!("items[{index}].quantity"), Quantity::try_new(item.quantity));
        pieces += quantity.map_or(0, |quantity| u64::from(quantity.get()));
    }
    Some(pieces)
}

fn counted(invalid: &mut Invalid, field: &str, entries: usize) -> Option<()> {
    if (1..=LINES_MAX).contains(&entries) {
        return Some(());
    }
    invalid.add(field, format!("must have 1 to {LINES_MAX} entries"));
    None
}

pub fn creation(request: &pb::CreateFulfilmentRequest) -> Result<Creation, Invalid> {
    let mut invalid = Invalid::new();
    let order_id = invalid.take("orderId", request.order_id.parse::<OrderId>());
    let rate_id = invalid.take("rateId", request.rate_id.parse::<RateId>());
    let lines = lines(&mut invalid, &request.lines);
    if lines.as_ref().is_some_and(|lines| locations(lines) > SHIPMENTS_MAX) {
        invalid.add("lines", format!("must lie at no more than {SHIPMENTS_MAX} locations"));
    }
    let is_again = !(request.for_order_id.is_empty() && request.instead_of.is_empty());
    let again = is_again.then(|| {
        let of = invalid.take("forOrderId", request.for_order_id.parse::<OrderId>());
        let instead_of = invalid.take("insteadOf", request.instead_of.parse::<ShipmentId>());
        Some(Again { order_id: of?, instead_of: instead_of?, resend_id: order_id? })
    });
    let again = again.flatten();
    let creation = || {
        let (lines, again) = (lines.clone()?.into(), again.clone());
        Some(Creation { order_id: order_id?, rate_id: rate_id?, lines, again })
    };
    let creation = creation();
    invalid.finish(creation)
}

fn lines(invalid: &mut Invalid, lines: &[pb::FulfilmentLine]) -> Option<Vec<Line>> {
    counted(invalid, "lines", lines.len())?;
    let mut read = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        if invalid.fields().len() >= FAULTS_MAX {
            break;
        }
        let field = |name: &str| format!("lines[{index}].{name}");
        if line.line == 0 {
            invalid.add(field("line"), "must be at least 1");
        }
        let sku = invalid.take(field("sku"), Sku::from_str(&line.sku));
        let quantity = invalid.take(field("quantity"), Quantity::try_new(line.quantity));
        let location = invalid.take(field("location"), Location::from_str(&line.location));
        if let (Some(sku), Some(quantity), Some(location)) = (sku, quantity, location) {
            let title: String = line.title.chars().take(TITLE_CHARS_MAX).collect();
            read.push(Line { line: line.line, sku, title: title.into(), quantity, location });
        }
    }
    Some(read)
}

pub fn cancel(request: &pb::CancelFulfilmentRequest) -> Result<Cancel, Invalid> {
    let mut invalid = Invalid::new();
    let order_id = invalid.take("orderId", request.order_id.parse::<OrderId>());
    let cancel_id = invalid.take("cancelId", request.cancel_id.parse::<Name>());
    if request.reason.len() > REASON_BYTES_MAX || request.reason.chars().any(char::is_control) {
        invalid.add("reason", format!("must be at most {REASON_BYTES_MAX} bytes without control characters"));
    }
    if request.lines.len() > LINES_MAX {
        invalid.add("lines", format!("must have 0 to {LINES_MAX} entries"));
    }
    for (index, part) in request.lines.iter().enumerate().take(FAULTS_MAX) {
        if part.line == 0 {
            invalid.add(format!("lines[{index}].line"), "must be at least 1");
        }
        if part.quantity > Quantity::MAX {
            invalid.add(format!("lines[{index}].quantity"), format!("must be at most {}", Quantity::MAX));
        }
    }
    let parts = request.lines.iter().map(|part| Part { line: part.line, quantity: part.quantity });
    let parts: Arc<[Part]> = parts.collect();
    let reason = request.reason.as_str().into();
    let cancel = || Some(Cancel { order_id: order_id?, cancel_id: cancel_id?, reason, parts });
    let cancel = cancel();
    invalid.finish(cancel)
}

/// Reads an order and a name: of a hold (`holdId`) or of a return (`returnId`).
pub fn named(order_id: &str, field: &str, name: &str) -> Result<(OrderId, Name), Invalid> {
    let mut invalid = Invalid::new();
    let order_id = invalid.take("orderId", order_id.parse::<OrderId>());
    let name = invalid.take(field, name.parse::<Name>());
    invalid.finish(order_id.zip(name))
}

/// What a carrier sends.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    event_id: String,
    tracking_code: String,
    status: Seen,
    time: String,
}

/// Reads a notice whose signature was good. What is not understood is refused, so that the carrier keeps it.
pub fn notice(carrier: &str, body: &[u8]) -> Result<NoticeReceived, Invalid> {
    let told: Told = serde_json::from_slice(body).map_err(|e| {
        Invalid::field("body", format!("is not a notice: line {}, column {}", e.line(), e.column()))
    })?;
    let mut invalid = Invalid::new();
    for (field, text) in [("body.eventId", &told.event_id), ("body.trackingCode", &told.tracking_code)] {
        let fits = (1..=NOTICE_TEXT_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if !fits {
            invalid.add(field, format!("must be 1 to {NOTICE_TEXT_MAX} visible ASCII characters"));
        }
    }
    let at = invalid.take("body.time", Timestamp::parse(&told.time));
    let scan = at.map(|at| Scan { event_id: told.event_id.as_str().into(), seen: told.status, at });
    let (carrier, tracking_code) = (carrier.into(), told.tracking_code.as_str().into());
    invalid.finish(scan.map(|scan| NoticeReceived { carrier, tracking_code, scan }))
}

/// What the rules say of an address.
pub fn check(check: &Check) -> pb::AddressCheck {
    let (verdict, suggestion, faults) = match check {
        Check::Valid => (pb::AddressVerdict::Valid, None, Vec::new()),
        Check::Corrected(better) => (pb::AddressVerdict::Corrected, Some(plain(better)), Vec::new()),
        Check::Invalid(faults) => (pb::AddressVerdict::Invalid, None, faults.clone()),
        Check::NotServed => (pb::AddressVerdict::NotServed, None, Vec::new()),
    };
    let fault = |(field, fault): (&str, address::Fault)| pb::AddressFault {
        field: field.to_owned(),
        reason: fault.code().to_owned(),
    };
    let faults = faults.into_iter().map(fault).collect();
    pb::AddressCheck { verdict: verdict.into(), suggestion, faults }
}

/// An address as a message: only for those who may see it.
pub fn plain(address: &Address) -> pb::Address {
    let Address { recipient, line1, line2, city, region, postal_code, country } = address.clone();
    pb::Address { recipient, line1, line2, city, region, postal_code, country }
}

pub fn rate(quoted: &RateQuoted) -> pb::Rate {
    pb::Rate {
        rate_id: quoted.rate_id.to_string(),
        service: quoted.service.to_string(),
        carrier: quoted.carrier.to_string(),
        price: Some(quoted.price.into()),
        days_min: quoted.days_min,
        days_max: quoted.days_max,
        country: quoted.country.to_string(),
        region: quoted.region.to_string(),
        expires_at: Some(time::to_proto(quoted.expires_at)),
        market: quoted.market.to_string(),
    }
}

/// A parcel without its address; `None` when there is no such shipment.
pub fn shipment(shipment: &Shipment, sequence: u64, updated_at: Option<Timestamp>) -> Option<pb::Shipment> {
    let created = shipment.created()?;
    Some(pb::Shipment {
        shipment_id: created.of.shipment_id.to_string(),
        order_id: created.of.order_id.to_string(),
        status: status(shipment.status()).into(),
        lines: published::lines(shipment.lines()),
        location: created.location.to_string(),
        service: created.service.to_string(),
        carrier: created.carrier.to_string(),
        tracking_code: shipment.tracking_code().to_owned(),
        sequence,
        address: None,
        country: created.country.to_string(),
        region: created.region.to_string(),
        updated_at: updated_at.map(time::to_proto),
    })
}

pub fn status(status: Status) -> pb::ShipmentStatus {
    match status {
        Status::Pending => pb::ShipmentStatus::Pending,
        Status::Packed => pb::ShipmentStatus::Packed,
        Status::Labelled => pb::ShipmentStatus::Labelled,
        Status::HandedOver => pb::ShipmentStatus::HandedOver,
        Status::InTransit => pb::ShipmentStatus::InTransit,
        Status::OutForDelivery => pb::ShipmentStatus::OutForDelivery,
        Status::Delivered => pb::ShipmentStatus::Delivered,
        Status::DeliveryFailed => pb::ShipmentStatus::DeliveryFailed,
        Status::ReturningToSender => pb::ShipmentStatus::ReturningToSender,
        Status::ReturnedToSender => pb::ShipmentStatus::ReturnedToSender,
        Status::Lost => pb::ShipmentStatus::Lost,
        Status::Damaged => pb::ShipmentStatus::Damaged,
        Status::Cancelled => pb::ShipmentStatus::Cancelled,
    }
}

/// A fulfilment with its shipments; of one that nobody asked for yet, only what a tombstone tells.
pub fn fulfilment(
    order_id: OrderId,
    fulfilment: &Fulfilment,
    shipments: Vec<pb::Shipment>,
) -> pb::Fulfilment {
    let is = |wanted: &[pb::ShipmentStatus]| {
        !shipments.is_empty() && shipments.iter().all(|shipment| wanted.contains(&shipment.status()))
    };
    let in_house = |shipment: &pb::Shipment| {
        let status = shipment.status();
        use pb::ShipmentStatus::{Labelled, Packed, Pending};
        [Pending, Packed, Labelled].contains(&status)
    };
    let (status, refusal_reason, rate_id) = match fulfilment.phase() {
        Phase::Unheard => (pb::FulfilmentStatus::Unspecified, String::new(), String::new()),
        Phase::Refused(refused) => {
            (pb::FulfilmentStatus::Refused, refused.reason.to_string(), refused.rate_id.to_string())
        }
        Phase::Created(created) => {
            let status = if is(&[pb::ShipmentStatus::Cancelled]) {
                pb::FulfilmentStatus::Cancelled
            } else if shipments.iter().any(in_house) {
                pb::FulfilmentStatus::Open
            } else {
                pb::FulfilmentStatus::Shipped
            };
            (status, String::new(), created.rate_id.to_string())
        }
    };
    pb::Fulfilment {
        order_id: order_id.to_string(),
        status: status.into(),
        held: fulfilment.holding().next().is_some(),
        shipments,
        refusal_reason,
        rate_id,
        subject: fulfilment.subject().map(ToString::to_string).unwrap_or_default(),
    }
}

pub fn outcome(outcome: CancelOutcome) -> pb::CancelOutcome {
    match outcome {
        CancelOutcome::Cancelled => pb::CancelOutcome::Cancelled,
        CancelOutcome::TooLate => pb::CancelOutcome::TooLate,
    }
}

/// A return's label; `None` while the carrier has not said what became of it.
pub fn return_label(return_id: &Name, parcel: &Shipment) -> Option<pb::ReturnLabel> {
    let mut label = pb::ReturnLabel { return_id: return_id.to_string(), ..pb::ReturnLabel::default() };
    let asked = match parcel.back() {
        Some(Back::Refused(refused)) => {
            label.order_id = refused.order_id.to_string();
            label.refusal_reason = refused.reason.to_string();
            label.set_status(pb::ReturnLabelStatus::Refused);
            return Some(label);
        }
        Some(Back::Asked(asked) | Back::Arrived(asked)) => asked,
        None => {
            label.set_status(pb::ReturnLabelStatus::Voided);
            return parcel.is_void().then_some(label);
        }
    };
    (label.order_id, label.carrier) = (asked.order_id.to_string(), asked.carrier.to_string());
    label.tracking_code = parcel.tracking_code().to_owned();
    let has_arrived = matches!(parcel.back(), Some(Back::Arrived(_)));
    let status = match parcel.label() {
        _ if has_arrived => pb::ReturnLabelStatus::Arrived,
        _ if parcel.is_void() => pb::ReturnLabelStatus::Voided,
        Label::Bought { .. } => pb::ReturnLabelStatus::Bought,
        Label::Refused { .. } => {
            label.refusal_reason = "CARRIER_REFUSED".to_owned();
            pb::ReturnLabelStatus::Refused
        }
        Label::Voided => pb::ReturnLabelStatus::Voided,
        Label::None | Label::Asked { .. } => return None,
    };
    label.set_status(status);
    Some(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<T: std::fmt::Debug>(read: Result<T, Invalid>) -> Vec<String> {
        let invalid = read.expect_err("it must not be readable");
        invalid.fields().iter().map(|field| field.field.clone()).collect()
    }

    #[test]
    fn every_faulty_field_is_named() {
        assert_eq!(fields(question(pb::QuoteRatesRequest::default())), ["address", "items", "market"]);
        let bad = pb::QuoteRatesRequest {
            address: Some(pb::Address::default()),
            items: vec![pb::Item::default()],
            market: "gb".to_owned(),
            carrier_scenario: "Lost!".to_owned(),
        };
        assert_eq!(fields(question(bad)), ["items[0].sku", "items[0].quantity", "market", "carrierScenario"]);
        let empty = pb::CreateFulfilmentRequest::default();
        assert_eq!(fields(creation(&empty)), ["orderId", "rateId", "lines"]);
        let lines = vec![pb::FulfilmentLine::default()];
        let bad = pb::CreateFulfilmentRequest { lines, ..pb::CreateFulfilmentRequest::default() };
        let line = ["line", "sku", "quantity", "location"].map(|name| format!("lines[0].{name}"));
        assert_eq!(fields(creation(&bad))[2..], line);
        assert_eq!(fields(cancel(&pb::CancelFulfilmentRequest::default())), ["orderId", "cancelId"]);
        let bad = pb::CancelFulfilmentRequest {
            reason: "x".repeat(201),
            lines: vec![pb::LinePart { line: 0, quantity: 1_000_001 }],
            ..pb::CancelFulfilmentRequest::default()
        };
        assert_eq!(fields(cancel(&bad))[2..], ["reason", "lines[0].line", "lines[0].quantity"]);
        for name in ["", "a b", "a:b", "é", &"x".repeat(65)] {
            assert_eq!(fields(named("", "holdId", name)), ["orderId", "holdId"], "{name}");
        }
    }

    #[test]
    fn an_order_from_too_many_places_is_refused() {
        let line = |n: usize| pb::FulfilmentLine {
            line: 1,
            sku: "A".to_owned(),
            title: "x".repeat(400),
            quantity: 1,
            location: format!("place-{n}"),
        };
        let mut request = pb::CreateFulfilmentRequest {
            order_id: OrderId::from_str("ord_01h455vb4pex5vsknk084sn02q").expect("an id").to_string(),
            rate_id: "rte_01h455vb4pex5vsknk084sn02q".to_owned(),
            lines: (0..SHIPMENTS_MAX).map(line).collect(),
            ..pb::CreateFulfilmentRequest::default()
        };
        let read = creation(&request).expect("so many are fine");
        assert_eq!(read.lines[0].title.len(), TITLE_CHARS_MAX, "a title is for people");
        request.lines.push(line(SHIPMENTS_MAX));
        assert_eq!(fields(creation(&request)), ["lines"]);
    }

    #[test]
    fn a_notice_is_read_or_refused_whole() {
        let good =
            br#"{"eventId":"T-1","trackingCode":"T","status":"IN_TRANSIT","time":"2026-01-01T00:00:00Z"}"#;
        let read = notice("sim", good).expect("it is good");
        assert_eq!((&*read.tracking_code, read.scan.seen), ("T", Seen::InTransit));
        for bad in [
            &b""[..],
            b"[]",
            b"{}",
            br#"{"eventId":"T-1","trackingCode":"T","status":"TELEPORTED","time":"2026-01-01T00:00:00Z"}"#,
        ] {
            assert_eq!(fields(notice("sim", bad)), ["body"]);
        }
        let bad = br#"{"eventId":"","trackingCode":"a b","status":"LOST","time":"yesterday"}"#;
        assert_eq!(fields(notice("sim", bad)), ["body.eventId", "body.trackingCode", "body.time"]);
    }

    #[test]
    fn a_tombstone_has_no_label_and_says_so() {
        let name: Name = "ret-1".parse().expect("a name");
        assert_eq!(return_label(&name, &Shipment::default()), None);
        assert_eq!(shipment(&Shipment::default(), 0, None), None);
    }
}
