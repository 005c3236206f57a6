//! What happens when the service hears of something: the person is told once, and so are the partners who want
//! to know. Inbox, e-mail to be sent, calls to be made and the inbox mark are one commit.
use crate::domain::delivery::{DeliveryQueued, Target};
use crate::domain::inbox::Notified;
use crate::domain::templates::{self, Template};
use crate::domain::{
    Delivery, DeliveryEvent, EndpointId, Inbox, InboxEvent, News, NotificationId, PUSHED_WITHIN, TOLD_SCOPE,
    delivery_id, notification_id,
};
use crate::{proto, views};
use souk_bus::{Poison, Reactor};
use souk_eventstore::{CommitId, Decision, Expected, Facts, InboxMark, Origin, StreamId, Work};
use souk_kernel::{Error, Timestamp};
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
        proto::what(kind).is_some()
    }

    fn work(&self, event: &FeedEvent, mark: InboxMark) -> Result<Work, Poison> {
        let poison = |reason: String| Poison { reason };
        let read = proto::news(&event.kind, &event.data);
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
