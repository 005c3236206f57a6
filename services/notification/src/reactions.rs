//! What happens when the service hears of something: the person is told once, and so are the partners who want
//! to know. Inbox, e-mail to be sent, calls to be made and the inbox mark are one commit.
use crate::domain::delivery::{DeliveryQueued, Target};
use crate::domain::inbox::Notified;
use crate::domain::templates::{self, Template};
use crate::domain::{
    Delivery, DeliveryEvent, EndpointId, Inbox, InboxEvent, News, NotificationId, PUSHED_WITHIN, TOLD_SCOPE,
    delivery_id, notification_id,
};
use crate::{domain, views};
use prost::Message;
use souk_bus::{Poison, Reactor};
use souk_contracts::order::v1 as order;
use souk_contracts::types::v1::Money as MoneyMessage;
use souk_eventstore::{CommitId, Decision, Expected, Facts, InboxMark, Origin, StreamId, Work};
use souk_kernel::{Error, Invalid, Timestamp};
use souk_rpc::feed::FeedEvent;
use std::sync::Arc;

/// The reaction's name in inbox marks, for ever.
pub const NAME: &str = "notification.orders";

/// What the claim of a told notification says.
pub const TOLD: &str = "told";
/// What it says of one that the person does not want.
pub const MUTED: &str = "muted";

const INBOX: &str = "inbox";
const WISHES: &str = "wishes";
const LISTENING: &str = "listening";

/// Follows orders.
pub struct Orders {
    /// Whether there is somebody to take e-mail.
    pub mail: bool,
}

impl Reactor for Orders {
    fn name(&self) -> &'static str {
        NAME
    }

    fn source(&self) -> &'static str {
        "order"
    }

    fn wants(&self, kind: &str) -> bool {
        what(kind).is_some()
    }

    fn work(&self, event: &FeedEvent, mark: InboxMark) -> Result<Work, Poison> {
        let poison = |reason: String| Poison { reason };
        let read = news(&event.kind, &event.data);
        let news = read.map_err(|invalid| poison(Error::from(invalid).message().to_owned()))?;
        let template = templates::latest(news.what);
        if let Some(template) = template {
            template.complete(&news.facts).map_err(|missing| poison(missing.to_string()))?;
        }
        let time = event.time.as_ref().and_then(souk_rpc::time::from_proto);
        let origin = Origin::by(NAME)
            .correlation(event.correlation_id.as_str())
            .causation(event.id.as_str())
            .trace(event.traceparent.as_str());
        let work = Work::new(CommitId::derived(&[NAME, &event.id]), origin);
        Ok(tell(
            work,
            Telling {
                news,
                template,
                dedup_key: event.id.as_str().into(),
                happened_at: time.ok_or_else(|| poison("it has no time".to_owned()))?,
                mail: self.mail,
                partners: true,
                mark: Some(mark),
            },
        ))
    }
}

/// Something that is to be told.
#[derive(Clone)]
pub struct Telling {
    /// What.
    pub news: News,
    /// How people are told; `None` when only partners are.
    pub template: Option<&'static Template>,
    /// The same key is told once.
    pub dedup_key: Arc<str>,
    /// When it happened: what is old is not pushed any more.
    pub happened_at: Timestamp,
    /// Whether there is somebody to take e-mail.
    pub mail: bool,
    /// Whether partners are told.
    pub partners: bool,
    /// The inbox mark of the event that it comes from.
    pub mark: Option<InboxMark>,
}

impl Telling {
    /// Names it.
    pub fn id(&self) -> NotificationId {
        notification_id(&self.news.subject, &self.dedup_key)
    }

    fn inbox(&self) -> StreamId {
        StreamId::of::<Inbox>(&self.news.subject)
    }
}

/// The work that tells it, once.
pub fn tell(work: Work, telling: Telling) -> Work {
    let subject = Arc::clone(&telling.news.subject);
    work.claim(TOLD_SCOPE, telling.id().to_string())
        .rows(INBOX, views::inbox(&subject))
        .rows(WISHES, views::wishes(&subject))
        .rows(LISTENING, views::listening())
        .decide(move |facts, now| Ok(decide(&telling, facts, now)))
}

fn decide(telling: &Telling, facts: &Facts, now: Timestamp) -> Decision {
    let key = telling.id().to_string();
    let decision = telling.mark.clone().map_or_else(Decision::new, |mark| Decision::new().inbox(mark));
    if facts.claim(TOLD_SCOPE, &key).is_some() {
        return decision;
    }
    let is_fresh = now.since(telling.happened_at) <= PUSHED_WITHIN;
    let wishes = views::wishes_of(facts.rows(WISHES));
    let template = telling.template.filter(|template| wishes.hears(template.category));
    let decision = decision.hold(TOLD_SCOPE, key, if template.is_some() { TOLD } else { MUTED });
    let decision = match template {
        Some(template) => {
            let last = views::inbox_of(facts.rows(INBOX)).last;
            decision.append(telling.inbox(), Expected::Any, vec![notified(telling, template, last + 1)])
        }
        None => decision,
    };
    let mailed = template.filter(|template| {
        telling.mail && is_fresh && template.mailed && wishes.reads_mail(template.category)
    });
    let decision = match mailed {
        Some(template) => queue(decision, email(telling, template, now)),
        None => decision,
    };
    if !telling.partners || !is_fresh {
        return decision;
    }
    let listeners = views::listeners(facts.rows(LISTENING), telling.news.what);
    listeners.into_iter().fold(decision, |decision, endpoint| queue(decision, call(telling, endpoint, now)))
}

fn notified(telling: &Telling, template: &Template, sequence: u64) -> InboxEvent {
    InboxEvent::Notified(Notified {
        sequence,
        notification_id: telling.id(),
        template: template.name.into(),
        version: template.version,
        facts: telling.news.facts.clone(),
        dedup_key: Arc::clone(&telling.dedup_key),
    })
}

fn queue(decision: Decision, queued: DeliveryQueued) -> Decision {
    let stream = StreamId::of::<Delivery>(queued.delivery_id);
    decision.append(stream, Expected::NoStream, vec![DeliveryEvent::DeliveryQueued(queued)])
}

fn email(telling: &Telling, template: &Template, now: Timestamp) -> DeliveryQueued {
    let notification_id = telling.id();
    let target = Target::Email {
        subject: Arc::clone(&telling.news.subject),
        notification_id,
        template: template.name.into(),
        version: template.version,
        facts: telling.news.facts.clone(),
    };
    let delivery_id = delivery_id(&notification_id.to_string(), "email");
    DeliveryQueued { delivery_id, what: telling.news.what.into(), target, at: now }
}

fn call(telling: &Telling, endpoint_id: EndpointId, now: Timestamp) -> DeliveryQueued {
    let id = telling.id().to_string();
    let body = serde_json::json!({
        "id": id,
        "type": telling.news.what,
        "time": telling.happened_at.to_string(),
        "subject": &*telling.news.subject,
        "data": telling.news.facts,
    });
    let target = Target::Webhook { endpoint_id, body: body.to_string().into() };
    let delivery_id = delivery_id(&id, &endpoint_id.to_string());
    DeliveryQueued { delivery_id, what: telling.news.what.into(), target, at: now }
}

/// What order tells about a sale, as far as people and partners are told: the fields that all its messages
/// share, by their numbers. The confirmation has others.
#[derive(Clone, PartialEq, Message)]
struct Sale {
    #[prost(string, tag = "1")]
    order_id: String,
    #[prost(string, tag = "2")]
    subject: String,
}

/// A message about a sale with a reason.
#[derive(Clone, PartialEq, Message)]
struct SaleReason {
    #[prost(string, tag = "1")]
    order_id: String,
    #[prost(string, tag = "2")]
    subject: String,
    #[prost(string, tag = "3")]
    reason: String,
    #[prost(string, tag = "4")]
    action_url: String,
    #[prost(message, optional, tag = "5")]
    total: Option<MoneyMessage>,
}

/// A message about a parcel of a sale.
#[derive(Clone, PartialEq, Message)]
struct SaleParcel {
    #[prost(string, tag = "1")]
    order_id: String,
    #[prost(string, tag = "2")]
    subject: String,
    #[prost(string, tag = "3")]
    shipment_id: String,
    #[prost(string, tag = "4")]
    tracking_code: String,
    #[prost(string, tag = "5")]
    carrier: String,
}

/// What the messages about a return have in common.
#[derive(Clone, PartialEq, Message)]
struct GoodsBack {
    #[prost(string, tag = "1")]
    return_id: String,
    #[prost(string, tag = "2")]
    order_id: String,
    #[prost(string, tag = "3")]
    subject: String,
}

/// What a kind of order's messages is called here; `None` for those that nobody is told of.
pub fn what(kind: &str) -> Option<&'static str> {
    Some(match kind.strip_prefix("souk.order.v1.")? {
        "OrderConfirmed" => "order.confirmed",
        "OrderRejected" => "order.rejected",
        "OrderCancelled" => "order.cancelled",
        "OrderAwaitingCustomer" => "order.awaiting_customer",
        "OrderProcessingStarted" => "order.processing_started",
        "OrderPartiallyShipped" => "order.partially_shipped",
        "OrderShipped" => "order.shipped",
        "OrderDelivered" => "order.delivered",
        "OrderCompleted" => "order.completed",
        "OrderLineCancelled" => "order.line_cancelled",
        "OrderHeld" => "order.held",
        "OrderReleased" => "order.released",
        "ReturnApproved" => "return.approved",
        "ReturnRejected" => "return.rejected",
        "ReturnReceived" => "return.received",
        "ReturnResolved" => "return.resolved",
        "ReturnExpired" => "return.expired",
        _ => return None,
    })
}

/// Reads what order tells.
pub fn news(kind: &str, data: &[u8]) -> Result<News, Invalid> {
    let Some(what) = what(kind) else { return Err(Invalid::field("kind", "is not one that is followed")) };
    match what {
        "order.confirmed" => confirmed(read(data)?),
        "order.rejected" | "order.cancelled" | "order.held" => {
            let SaleReason { order_id, subject, reason, .. } = read(data)?;
            sale(what, order_id, subject, [("reason", code(&reason))])
        }
        "order.awaiting_customer" => awaiting(read(data)?),
        "order.partially_shipped" | "order.shipped" => {
            let SaleParcel { order_id, subject, shipment_id, tracking_code, carrier } = read(data)?;
            let more = [("shipment_id", shipment_id), ("tracking_code", tracking_code), ("carrier", carrier)];
            sale(what, order_id, subject, more)
        }
        "return.approved" | "return.received" | "return.expired" => {
            let GoodsBack { return_id, order_id, subject } = read(data)?;
            sale(what, order_id, subject, [("return_id", return_id)])
        }
        "return.rejected" => {
            let order::ReturnRejected { return_id, order_id, subject, reason } = read(data)?;
            sale(what, order_id, subject, [("return_id", return_id), ("reason", code(&reason))])
        }
        "return.resolved" => resolved(read(data)?),
        _ => {
            let Sale { order_id, subject } = read(data)?;
            sale(what, order_id, subject, [])
        }
    }
}

fn read<M: Message + Default>(data: &[u8]) -> Result<M, Invalid> {
    M::decode(data).map_err(|e| Invalid::field("data", e.to_string()))
}

fn confirmed(message: order::OrderConfirmed) -> Result<News, Invalid> {
    let total = amount("total", message.total.as_ref())?;
    sale("order.confirmed", message.order_id, message.subject, [("total", total)])
}

/// Two things are asked of customers: to pay, or to say whether they want a part.
fn awaiting(message: SaleReason) -> Result<News, Invalid> {
    let SaleReason { order_id, subject, reason, action_url, total } = message;
    if reason == "PARTIAL_STOCK" {
        let total = amount("total", total.as_ref())?;
        return sale("order.answer_needed", order_id, subject, [("total", total)]);
    }
    sale("order.awaiting_customer", order_id, subject, [("action_url", action_url)])
}

/// A return ends for money, or for nothing.
fn resolved(message: order::ReturnResolved) -> Result<News, Invalid> {
    let order::ReturnResolved { return_id, order_id, subject, refund, outcome } = message;
    let return_id = ("return_id", return_id);
    if outcome == "DECLINED" {
        return sale("return.declined", order_id, subject, [return_id]);
    }
    let refund = ("refund", amount("refund", refund.as_ref())?);
    sale("return.resolved", order_id, subject, [return_id, refund])
}

/// An empty fact is none: a text that needs it must not be told with a blank.
fn sale<const N: usize>(
    what: &'static str,
    order_id: String,
    subject: String,
    more: [(&str, String); N],
) -> Result<News, Invalid> {
    let mut invalid = Invalid::new();
    if order_id.is_empty() {
        invalid.add("orderId", "is missing");
    }
    if subject.is_empty() {
        invalid.add("subject", "is missing");
    }
    let more = more.into_iter().map(|(name, value)| (name.to_owned(), value));
    let facts: domain::Facts = std::iter::once(("order_id".to_owned(), order_id))
        .chain(more)
        .filter(|(_, v)| !v.is_empty())
        .collect();
    invalid.finish(Some(News { what, subject: subject.into(), facts }))
}

fn amount(field: &str, money: Option<&MoneyMessage>) -> Result<String, Invalid> {
    let money = money.ok_or_else(|| Invalid::field(field, "is missing"))?;
    let money =
        souk_contracts::terms::money_from_proto(money).map_err(|e| Invalid::field(field, e.to_string()))?;
    Ok(money.to_string())
}

/// Reasons are codes. What is none may be somebody's words, and those may be about a person.
fn code(reason: &str) -> String {
    let is_code = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    let fits = (1..=64).contains(&reason.len()) && reason.bytes().all(is_code);
    if fits { reason.to_owned() } else { "OTHER".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<T>(read: Result<T, Invalid>) -> Vec<String> {
        read.err().map(|i| i.fields().iter().map(|f| f.field.clone()).collect()).unwrap_or_default()
    }

    #[test]
    fn news_of_returns_name_the_return_and_the_money() {
        let told = |kind: &str, data: Vec<u8>| news(&format!("souk.order.v1.{kind}"), &data).expect("good");
        let (return_id, order_id, subject) = ("rtn_1".to_owned(), "ord_1".to_owned(), "gst_1".to_owned());
        let refund = Some(MoneyMessage { minor_units: 250, currency: "GBP".into() });
        let resolved = order::ReturnResolved {
            return_id: return_id.clone(),
            order_id: order_id.clone(),
            subject: subject.clone(),
            refund,
            outcome: "REFUNDED".into(),
        };
        let read = told("ReturnResolved", resolved.encode_to_vec());
        assert_eq!((read.what, &*read.subject), ("return.resolved", "gst_1"));
        assert_eq!((&*read.facts["return_id"], &*read.facts["refund"]), ("rtn_1", "2.50 GBP"));
        let declined = order::ReturnResolved { outcome: "DECLINED".into(), refund: None, ..resolved };
        let read = told("ReturnResolved", declined.encode_to_vec());
        assert_eq!((read.what, read.facts.contains_key("refund")), ("return.declined", false));
        let rejected = order::ReturnRejected {
            return_id: return_id.clone(),
            order_id: order_id.clone(),
            subject: subject.clone(),
            reason: "Mrs Smith wore it".into(),
        };
        let read = told("ReturnRejected", rejected.encode_to_vec());
        assert_eq!(read.facts["reason"], "OTHER");
        let expired = order::ReturnExpired { return_id, order_id, subject };
        for kind in ["ReturnExpired", "ReturnApproved", "ReturnReceived"] {
            assert_eq!(told(kind, expired.encode_to_vec()).facts["order_id"], "ord_1");
        }
    }

    #[test]
    fn news_are_read_by_their_kind_and_never_carry_somebodys_words() {
        let total = Some(MoneyMessage { minor_units: 1250, currency: "GBP".into() });
        let message = order::OrderConfirmed {
            order_id: "ord_1".into(),
            subject: "gst_1".into(),
            total,
            ..Default::default()
        };
        let told = |kind: &str, data: Vec<u8>| news(&format!("souk.order.v1.{kind}"), &data);
        let read = told("OrderConfirmed", message.encode_to_vec()).expect("good");
        assert_eq!((read.what, &*read.subject), ("order.confirmed", "gst_1"));
        assert_eq!(read.facts["total"], "12.50 GBP");
        let with = |reason: &str| SaleReason {
            order_id: "ord_1".into(),
            subject: "gst_1".into(),
            reason: reason.into(),
            ..Default::default()
        };
        let reason = |text: &str| {
            told("OrderCancelled", with(text).encode_to_vec()).expect("good").facts["reason"].clone()
        };
        assert_eq!(reason("CANCELLED_BY_CUSTOMER"), "CANCELLED_BY_CUSTOMER");
        assert_eq!(reason("Mrs Smith called"), "OTHER");
        assert_eq!(reason(""), "OTHER");
        let waits = SaleReason { action_url: "https://pay.example/1".into(), ..with("PAYMENT_ACTION") };
        let waits = told("OrderAwaitingCustomer", waits.encode_to_vec()).expect("good");
        assert_eq!(waits.facts["action_url"], "https://pay.example/1");
        let part = SaleReason {
            total: Some(MoneyMessage { minor_units: 5, currency: "GBP".into() }),
            ..with("PARTIAL_STOCK")
        };
        assert_eq!(
            told("OrderAwaitingCustomer", part.encode_to_vec()).expect("good").what,
            "order.answer_needed"
        );
        assert_eq!(fields(told("OrderConfirmed", Vec::new())), ["total"]);
        assert_eq!(fields(told("OrderDelivered", Vec::new())), ["orderId", "subject"]);
        assert_eq!(fields(told("OrderShipped", vec![0xff])), ["data"]);
        assert_eq!(what("souk.order.v1.OrderNeedsAttention"), None);
        assert_eq!(what("souk.payment.v1.OrderConfirmed"), None);
    }
}
