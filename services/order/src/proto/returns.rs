//! Messages about returns to commands, and returns to messages.
use super::{
    EXTERNAL_REF_CHARS_MAX, FAULTS_MAX, NOTE_CHARS_MAX, PAGE_MAX, PAGE_USUAL, lines as quote_lines, money,
    text,
};
use crate::domain::LINES_MAX;
use crate::domain::quote::CartLine;
use crate::domain::returns::{Begun, Found, Grade, LineOption, Phase, Reason, Return, Status, Wish};
use crate::returns as saga;
use souk_contracts::order::v1 as pb;
use souk_contracts::terms::{OrderId, Quantity, ReturnId, Sku};
use souk_kernel::{Error, Invalid, Money, PageToken};
use souk_rpc::time;
use std::collections::BTreeSet;

/// Everywhere that a return can stand.
const ALL: [Status; 13] = [
    Status::Requested,
    Status::Approved,
    Status::LabelIssued,
    Status::Received,
    Status::Inspected,
    Status::Refunding,
    Status::Refunded,
    Status::Rejected,
    Status::Expired,
    Status::Cancelled,
    Status::Declined,
    Status::Exchanged,
    Status::ArrivedLate,
];
/// The most lines that may be wanted instead.
const REPLACEMENTS_MAX: usize = 100;

/// Which returns are asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// Where they stand; `None`: all that are not at their end.
    pub at: Option<Status>,
    pub size: u32,
    /// Only returns behind this one.
    pub after: Option<ReturnId>,
}

/// A request, as asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub order_id: OrderId,
    pub lines: Vec<(u32, Quantity, Reason)>,
    pub wish: Wish,
    /// What is wanted instead; empty unless it is an exchange.
    pub replacements: Vec<CartLine>,
}

/// Pieces in their states.
pub type Graded = Vec<(u32, Quantity, Grade)>;

/// Goods over the counter, as told.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub order_id: OrderId,
    pub external_ref: String,
    pub lines: Graded,
    pub reason: Reason,
}

pub fn request(request: &pb::RequestReturnRequest) -> Result<Request, Invalid> {
    let mut invalid = Invalid::new();
    let order_id = invalid.take("orderId", request.order_id.parse::<OrderId>());
    let wish = match pb::ReturnWish::try_from(request.wish) {
        Ok(pb::ReturnWish::Unspecified | pb::ReturnWish::Refund) => Some(Wish::Refund),
        Ok(pb::ReturnWish::Exchange) => Some(Wish::Exchange),
        Ok(pb::ReturnWish::Credit) => Some(Wish::Credit),
        Err(_) => None,
    };
    if wish.is_none() {
        invalid.add("wish", "must be a known wish");
    }
    let mut lines = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, line) in within(&mut invalid, &request.lines, 1).iter().enumerate() {
        if invalid.fields().len() >= FAULTS_MAX {
            break;
        }
        let quantity = quantity(&mut invalid, index, line.quantity);
        let why = reason(&mut invalid, &format!("lines[{index}].reason"), line.reason);
        once(&mut invalid, &mut seen, index, line.line);
        lines.extend(quantity.zip(why).map(|(quantity, why)| (line.line, quantity, why)));
    }
    let replacements = replacements(&mut invalid, wish, &request.replacements);
    invalid.finish((|| Some(Request { order_id: order_id?, lines, wish: wish?, replacements }))())
}

/// What is wanted instead: something where the wish is an exchange, and else nothing.
fn replacements(invalid: &mut Invalid, wish: Option<Wish>, lines: &[pb::Replacement]) -> Vec<CartLine> {
    let is_exchange = wish == Some(Wish::Exchange);
    if !is_exchange && !lines.is_empty() {
        invalid.add("replacements", "must be empty unless the wish is EXCHANGE");
        return Vec::new();
    }
    if is_exchange && !(1..=REPLACEMENTS_MAX).contains(&lines.len()) {
        invalid.add("replacements", format!("must have 1 to {REPLACEMENTS_MAX} entries"));
        return Vec::new();
    }
    let (mut read, mut seen) = (Vec::new(), BTreeSet::new());
    for (index, line) in lines.iter().enumerate() {
        let sku = invalid.take(format!("replacements[{index}].sku"), line.sku.parse::<Sku>());
        let quantity =
            invalid.take(format!("replacements[{index}].quantity"), Quantity::try_new(line.quantity));
        if !seen.insert(line.sku.as_str()) {
            invalid.add(format!("replacements[{index}].sku"), "must not stand twice");
        }
        read.extend(sku.zip(quantity).map(|(sku, quantity)| CartLine { line: 0, sku, quantity }));
    }
    read
}

pub fn record(request: &pb::RecordReturnRequest) -> Result<Record, Invalid> {
    let mut invalid = Invalid::new();
    let order_id = invalid.take("orderId", request.order_id.parse::<OrderId>());
    let external_ref = text(&mut invalid, "externalRef", &request.external_ref, 1..=EXTERNAL_REF_CHARS_MAX);
    let lines = graded(&mut invalid, &request.lines);
    for (index, _) in lines.iter().enumerate().filter(|(_, (_, _, grade))| !grade.is_accepted()) {
        invalid.add(format!("lines[{index}].grade"), "must say in what state it came back");
    }
    let reason = reason(&mut invalid, "reason", request.reason);
    let record = (|| {
        let external_ref = external_ref?.to_owned();
        Some(Record { order_id: order_id?, external_ref, lines, reason: reason? })
    })();
    invalid.finish(record)
}

/// A page token that is damaged, or of another list, is refused.
pub fn queue(request: &pb::ListReturnQueueRequest) -> Result<Queue, Error> {
    let mut invalid = Invalid::new();
    let asked = pb::ReturnStatus::try_from(request.status);
    let at = ALL.into_iter().find(|known| asked == Ok(status(*known)));
    if at.is_none() && asked != Ok(pb::ReturnStatus::Unspecified) {
        invalid.add("status", "must be where a return can stand, or empty");
    }
    if request.page_size > PAGE_MAX {
        invalid.add("pageSize", format!("must be 0 to {PAGE_MAX}"));
    }
    invalid.finish(Some(()))?;
    let size = if request.page_size == 0 { PAGE_USUAL } else { request.page_size };
    let after = PageToken::resume(&request.page_token, &list_at(at), |place| place.parse().ok())?;
    Ok(Queue { at, size, after })
}

/// The token of the page behind `last`.
pub fn queue_token(last: &ReturnId, at: Option<Status>) -> String {
    PageToken::seal(&last.to_string(), &list_at(at))
}

/// What a page token is bound to.
fn list_at(at: Option<Status>) -> [&'static str; 2] {
    ["ListReturnQueue", at.map_or("", status_name)]
}

pub fn option(option: &LineOption) -> pb::ReturnOption {
    pb::ReturnOption {
        line: option.line,
        sku: option.sku.to_string(),
        title: option.title.to_string(),
        quantity: option.quantity,
        reason: option.refusal.to_owned(),
        until: option.until.map(|(until, _)| time::to_proto(until)),
        at_fault_until: option.until.map(|(_, at_fault)| time::to_proto(at_fault)),
        worth: Some(option.worth.into()),
        fee: Some(option.fee.into()),
    }
}

/// Which return, and what arrived of it.
pub fn receive(request: &pb::ReceiveReturnRequest) -> Result<(ReturnId, Vec<(u32, Quantity)>), Invalid> {
    let mut invalid = Invalid::new();
    let return_id = invalid.take("returnId", request.return_id.parse::<ReturnId>());
    let mut lines = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, line) in within(&mut invalid, &request.lines, 0).iter().enumerate() {
        if invalid.fields().len() >= FAULTS_MAX {
            break;
        }
        once(&mut invalid, &mut seen, index, line.line);
        lines.extend(quantity(&mut invalid, index, line.quantity).map(|quantity| (line.line, quantity)));
    }
    invalid.finish(return_id.map(|return_id| (return_id, lines)))
}

/// Which return, what was found of it, and what is kept.
pub fn inspect(request: &pb::InspectReturnRequest) -> Result<(ReturnId, Graded, Option<Money>), Invalid> {
    let mut invalid = Invalid::new();
    let return_id = invalid.take("returnId", request.return_id.parse::<ReturnId>());
    let lines = graded(&mut invalid, &request.lines);
    let fees = request.fees.as_ref().and_then(|fees| money(&mut invalid, "fees", Some(fees)));
    if fees.is_some_and(|fees| fees.minor_units() < 0) {
        invalid.add("fees", "must not be negative");
    }
    invalid.finish(return_id.map(|return_id| (return_id, lines, fees)))
}

/// Which return, and why something is done to it.
pub fn noted(return_id: &str, note: &str) -> Result<(ReturnId, String), Invalid> {
    let mut invalid = Invalid::new();
    let return_id = invalid.take("returnId", return_id.parse::<ReturnId>());
    let note = text(&mut invalid, "reason", note, 1..=NOTE_CHARS_MAX);
    invalid.finish(return_id.zip(note.map(str::to_owned)))
}

fn graded(invalid: &mut Invalid, lines: &[pb::GradedLine]) -> Graded {
    let mut read = Vec::new();
    for (index, line) in within(invalid, lines, 1).iter().enumerate() {
        if invalid.fields().len() >= FAULTS_MAX {
            break;
        }
        let grade = match pb::ReturnGrade::try_from(line.grade) {
            Ok(pb::ReturnGrade::A) => Some(Grade::A),
            Ok(pb::ReturnGrade::B) => Some(Grade::B),
            Ok(pb::ReturnGrade::Damaged) => Some(Grade::Damaged),
            Ok(pb::ReturnGrade::Missing) => Some(Grade::Missing),
            Ok(pb::ReturnGrade::WrongItem) => Some(Grade::WrongItem),
            Ok(pb::ReturnGrade::Unspecified) | Err(_) => None,
        };
        if grade.is_none() {
            invalid.add(format!("lines[{index}].grade"), "must be a known grade");
        }
        let quantity = quantity(invalid, index, line.quantity);
        read.extend(quantity.zip(grade).map(|(quantity, grade)| (line.line, quantity, grade)));
    }
    read
}

/// The lines, as many as there may be.
fn within<'a, T>(invalid: &mut Invalid, lines: &'a [T], min: usize) -> &'a [T] {
    if !(min..=LINES_MAX).contains(&lines.len()) {
        invalid.add("lines", format!("must have {min} to {LINES_MAX} entries"));
    }
    &lines[..lines.len().min(LINES_MAX)]
}

fn quantity(invalid: &mut Invalid, index: usize, quantity: u32) -> Option<Quantity> {
    invalid.take(format!("lines[{index}].quantity"), Quantity::try_new(quantity))
}

fn once(invalid: &mut Invalid, seen: &mut BTreeSet<u32>, index: usize, line: u32) {
    if !seen.insert(line) {
        invalid.add(format!("lines[{index}].line"), "must not stand twice");
    }
}

fn reason(invalid: &mut Invalid, field: &str, reason: i32) -> Option<Reason> {
    match pb::ReturnReason::try_from(reason) {
        Ok(pb::ReturnReason::Unwanted) => Some(Reason::Unwanted),
        Ok(pb::ReturnReason::Damaged) => Some(Reason::Damaged),
        Ok(pb::ReturnReason::WrongItem) => Some(Reason::WrongItem),
        Ok(pb::ReturnReason::NotAsDescribed) => Some(Reason::NotAsDescribed),
        Ok(pb::ReturnReason::Unspecified) | Err(_) => {
            invalid.add(field, "must be a known reason");
            None
        }
    }
}

/// A return's message; `None` when there is no such return.
pub fn message(back: &Return) -> Option<pb::Return> {
    let whose = back.whose()?;
    let settlement = back.settlement().map(AsRef::as_ref);
    let money =
        |minor: i64| settlement.map(|settlement| Money::new(minor, settlement.refund.currency()).into());
    let (external_ref, lines, wish, at) = match back.begun()? {
        Begun::Requested(asked) => {
            let lines = asked.lines.iter().map(|line| (line.line, line.quantity.get(), line.reason));
            (String::new(), lines.map(wanted).collect(), asked.wish, asked.at)
        }
        Begun::Recorded(told) => {
            let found = told.settlement.found.iter();
            let lines = found.map(|found| wanted((found.line, found.quantity.get(), told.reason)));
            (told.external_ref.to_string(), lines.collect(), Wish::Refund, told.at)
        }
    };
    let label = back.label();
    Some(pb::Return {
        return_id: whose.return_id.to_string(),
        order_id: whose.order_id.to_string(),
        subject: whose.subject.to_string(),
        status: back.status().map_or(pb::ReturnStatus::Unspecified, status).into(),
        lines,
        wish: match wish {
            Wish::Refund => pb::ReturnWish::Refund,
            Wish::Exchange => pb::ReturnWish::Exchange,
            Wish::Credit => pb::ReturnWish::Credit,
        }
        .into(),
        found: settlement.map_or_else(Vec::new, |s| s.found.iter().map(found).collect()),
        refund: back.refund().map(Into::into),
        fees: money(settlement.map_or(0, |settlement| settlement.fees_minor)),
        shipping_refund: money(settlement.map_or(0, |settlement| settlement.shipping_minor)),
        external_ref,
        needs_attention: back.needs_attention(),
        reason: match back.phase() {
            Phase::Rejected { note } => note.clone(),
            Phase::Unknown
            | Phase::Requested
            | Phase::Approved { .. }
            | Phase::Received
            | Phase::Settling
            | Phase::Resolved(_)
            | Phase::Expired
            | Phase::Cancelled
            | Phase::ArrivedLate => String::new(),
        },
        carrier: label.map(|label| label.carrier.to_string()).unwrap_or_default(),
        tracking_code: label.map(|label| label.tracking_code.to_string()).unwrap_or_default(),
        expires_at: match back.phase() {
            Phase::Approved { until } => Some(time::to_proto(*until)),
            Phase::Unknown
            | Phase::Requested
            | Phase::Received
            | Phase::Settling
            | Phase::Resolved(_)
            | Phase::Rejected { .. }
            | Phase::Expired
            | Phase::Cancelled
            | Phase::ArrivedLate => None,
        },
        requested_at: Some(time::to_proto(at)),
        ..instead(back)
    })
}

/// What a return's message says about an exchange.
fn instead(back: &Return) -> pb::Return {
    let Some(replacement) = back.replacement() else { return pb::Return::default() };
    let (terms, currency) = (Some(&replacement.terms), replacement.value.currency());
    let ordered = match saga::swapped(back.settle()) {
        Some(saga::Swapped::For { order_id }) => order_id.to_string(),
        Some(saga::Swapped::Not { .. }) | None => String::new(),
    };
    pb::Return {
        replacements: quote_lines(&replacement.lines, terms, currency),
        replacement_value: Some(replacement.value.into()),
        exchange_order_id: ordered,
        not_exchanged: back.not_exchanged().map(ToString::to_string).unwrap_or_default(),
        ..pb::Return::default()
    }
}

fn wanted((line, quantity, reason): (u32, u32, Reason)) -> pb::ReturnLine {
    let reason = match reason {
        Reason::Unwanted => pb::ReturnReason::Unwanted,
        Reason::Damaged => pb::ReturnReason::Damaged,
        Reason::WrongItem => pb::ReturnReason::WrongItem,
        Reason::NotAsDescribed => pb::ReturnReason::NotAsDescribed,
    };
    pb::ReturnLine { line, quantity, reason: reason.into() }
}

fn found(found: &Found) -> pb::GradedLine {
    let grade = match found.grade {
        Grade::A => pb::ReturnGrade::A,
        Grade::B => pb::ReturnGrade::B,
        Grade::Damaged => pb::ReturnGrade::Damaged,
        Grade::Missing => pb::ReturnGrade::Missing,
        Grade::WrongItem => pb::ReturnGrade::WrongItem,
    };
    pb::GradedLine { line: found.line, quantity: found.quantity.get(), grade: grade.into() }
}

/// How far a return is, in the contract's words.
pub fn status(status: Status) -> pb::ReturnStatus {
    match status {
        Status::Requested => pb::ReturnStatus::Requested,
        Status::Approved => pb::ReturnStatus::Approved,
        Status::LabelIssued => pb::ReturnStatus::LabelIssued,
        Status::Received => pb::ReturnStatus::Received,
        Status::Inspected => pb::ReturnStatus::Inspected,
        Status::Refunding => pb::ReturnStatus::Refunding,
        Status::Refunded => pb::ReturnStatus::Refunded,
        Status::Rejected => pb::ReturnStatus::Rejected,
        Status::Expired => pb::ReturnStatus::Expired,
        Status::Cancelled => pb::ReturnStatus::Cancelled,
        Status::Declined => pb::ReturnStatus::Declined,
        Status::Exchanged => pb::ReturnStatus::Exchanged,
        Status::ArrivedLate => pb::ReturnStatus::ArrivedLate,
    }
}

/// The same word without what all of them begin with.
pub fn status_name(of: Status) -> &'static str {
    status(of).as_str_name().trim_start_matches("RETURN_STATUS_")
}
