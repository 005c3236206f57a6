//! Protobuf ↔ domain: requests with every faulty field at once, and what is shown. Others' news are read where
//! they are reacted to.
use crate::domain::endpoint::{self, EndpointCreated};
use crate::domain::templates::{self, Channel, FACT_CHARS_MAX, FACTS_MAX, Locale, Rendered, Template};
use crate::domain::{Category, DeliveryId, EndpointId, Facts, News, NotificationId, Preferences};
use crate::views::{Kept, Logged};
use souk_contracts::notification::v1 as pb;
use souk_kernel::{Invalid, PageToken, Rejection, Timestamp};
use souk_rpc::time;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The largest page of a list, and the usual one.
pub const PAGE_MAX: u32 = 200;
const PAGE_USUAL: u32 = 50;
/// The most ids in one request.
pub const IDS_MAX: usize = 200;
/// The most types that a subscriber names.
pub const SUBSCRIBED_TYPES_MAX: usize = 20;
/// The most types that an endpoint names.
pub const ENDPOINT_TYPES_MAX: usize = 40;
const SUBJECT_CHARS_MAX: usize = 64;
const DEDUP_CHARS_MAX: usize = 128;
const TYPE_CHARS_MAX: usize = 64;
const NAME_CHARS_MAX: usize = 64;
const URL_CHARS_MAX: usize = 2_048;
const EMAIL_CHARS_MAX: usize = 254;

/// What a subscriber wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    pub after: u64,
    pub types: BTreeSet<String>,
}

impl Subscription {
    /// Whether it wants to hear of this.
    pub fn wants(&self, what: &str) -> bool {
        self.types.is_empty() || self.types.contains(what)
    }
}

pub fn subscription(request: pb::SubscribeRequest) -> Result<Subscription, Invalid> {
    let mut invalid = Invalid::new();
    let types = types(request.types, SUBSCRIBED_TYPES_MAX, &mut invalid);
    invalid.finish(Some(Subscription { after: request.after_cursor, types }))
}

fn types(given: Vec<String>, most: usize, invalid: &mut Invalid) -> BTreeSet<String> {
    if given.len() > most {
        invalid.add("types", format!("must be at most {most}"));
    }
    let is_type = |text: &str| {
        let letters = text.bytes().all(|b| b.is_ascii_lowercase() || b == b'.' || b == b'_');
        (1..=TYPE_CHARS_MAX).contains(&text.len()) && letters
    };
    for (i, wrong) in given.iter().enumerate().filter(|(_, text)| !is_type(text)).take(most) {
        invalid.add(format!("types[{i}]"), format!("{wrong:?} is not a type such as order.confirmed"));
    }
    given.into_iter().collect()
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub size: usize,
    pub before: Option<T>,
}

fn page_size(size: u32, invalid: &mut Invalid) -> usize {
    if size > PAGE_MAX {
        invalid.add("pageSize", format!("must be at most {PAGE_MAX}"));
    }
    if size == 0 { PAGE_USUAL as usize } else { size as usize }
}

pub fn notifications_page(
    request: &pb::ListNotificationsRequest,
    subject: &str,
) -> Result<Result<Page<u64>, Invalid>, Rejection> {
    let mut invalid = Invalid::new();
    let size = page_size(request.page_size, &mut invalid);
    let before =
        PageToken::resume(&request.page_token, &notifications_list(subject), |place| place.parse().ok())?;
    Ok(invalid.finish(Some(Page { size, before })))
}

/// The token of the page after this notification.
pub fn notifications_token(last: u64, subject: &str) -> String {
    PageToken::seal(&last.to_string(), &notifications_list(subject))
}

fn notifications_list(subject: &str) -> [&str; 2] {
    ["ListNotifications", subject]
}

pub type DeliveryPlace = (Timestamp, DeliveryId);

pub fn deliveries_page(
    request: &pb::ListDeliveriesRequest,
) -> Result<Result<(EndpointId, Page<DeliveryPlace>), Invalid>, Rejection> {
    let mut invalid = Invalid::new();
    let size = page_size(request.page_size, &mut invalid);
    let endpoint = invalid.take("endpointId", request.endpoint_id.parse());
    let list = ["ListDeliveries", request.endpoint_id.as_str()];
    let before = PageToken::resume(&request.page_token, &list, |place| {
        let (time, id) = place.split_once('.')?;
        Some((Timestamp::from_unix_us(time.parse().ok()?), id.parse().ok()?))
    })?;
    Ok(invalid.finish(endpoint.map(|endpoint| (endpoint, Page { size, before }))))
}

/// The token of the page after this delivery.
pub fn deliveries_token(last: &Logged) -> String {
    let place = format!("{}.{}", last.queued_at.unix_us(), last.delivery_id);
    PageToken::seal(&place, &["ListDeliveries", last.endpoint_id.as_str()])
}

/// What shall count as read.
#[derive(Debug, Clone, PartialEq)]
pub enum Marked {
    UpTo(u64),
    These(Vec<NotificationId>),
}

pub fn mark_read(request: &pb::MarkReadRequest) -> Result<Marked, Invalid> {
    let mut invalid = Invalid::new();
    let ids = &request.ids;
    if (request.up_to == 0) == ids.is_empty() {
        invalid.add("upTo", "give either upTo or ids");
    }
    if ids.len() > IDS_MAX {
        invalid.add("ids", format!("must be at most {IDS_MAX}"));
    }
    let read = ids.iter().take(IDS_MAX).enumerate();
    let read: Vec<NotificationId> =
        read.filter_map(|(i, id)| invalid.take(format!("ids[{i}]"), id.parse())).collect();
    let marked = if ids.is_empty() { Marked::UpTo(request.up_to) } else { Marked::These(read) };
    invalid.finish(Some(marked))
}

/// What shall be different about somebody's preferences, the address in the open.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    pub locale: Option<Locale>,
    pub email_enabled: Option<bool>,
    pub muted: Option<BTreeSet<Category>>,
    /// Empty: forget it.
    pub email: Option<String>,
}

pub fn wanted(request: pb::UpdatePreferencesRequest) -> Result<Wanted, Invalid> {
    let mut invalid = Invalid::new();
    let locale = request.locale.and_then(|text| {
        let wrong = "must be two lower-case letters, perhaps with a hyphen and two upper-case ones";
        invalid.take("locale", Locale::parse(&text).ok_or(wrong))
    });
    let muted = request.muted.map(|muted| {
        let read = muted.categories.iter().enumerate();
        read.filter_map(|(i, number)| invalid.take(format!("muted.categories[{i}]"), mutable(*number)))
            .collect()
    });
    let email = request.email.and_then(|text| invalid.take("email", email(text)));
    invalid.finish(Some(Wanted { locale, email_enabled: request.email_enabled, muted, email }))
}

fn mutable(number: i32) -> Result<Category, &'static str> {
    match pb::Category::try_from(number) {
        Ok(pb::Category::Progress) => Ok(Category::Progress),
        Ok(pb::Category::News) => Ok(Category::News),
        Ok(pb::Category::Transactional) => Err("messages about sales and money cannot be turned off"),
        Ok(pb::Category::Unspecified) | Err(_) => Err("is not a category"),
    }
}

/// What is wrong is told without the address: it stands in answers and logs.
fn email(text: String) -> Result<String, &'static str> {
    let is_address =
        text.len() <= EMAIL_CHARS_MAX && text.is_ascii() && text.parse::<lettre::Address>().is_ok();
    if text.is_empty() || is_address {
        Ok(text)
    } else {
        Err("must be an e-mail address of at most 254 ASCII characters")
    }
}

/// The address with most of it hidden.
pub fn hint(email: &str) -> String {
    let (name, domain) = email.rsplit_once('@').unwrap_or((email, ""));
    let first = |text: &str| text.chars().next().map(String::from).unwrap_or_default();
    let ending = domain.rsplit_once('.').map(|(_, ending)| format!(".{ending}")).unwrap_or_default();
    format!("{}…@{}…{ending}", first(name), first(domain))
}

pub fn preferences(preferences: &Preferences, email: Option<&str>) -> pb::Preferences {
    let chosen = &preferences.chosen;
    pb::Preferences {
        locale: chosen.locale.as_str().to_owned(),
        email_enabled: chosen.email_enabled,
        muted: chosen.muted.iter().map(|muted| category(*muted).into()).collect(),
        has_email: email.is_some(),
        email_hint: email.map(hint).unwrap_or_default(),
    }
}

fn category(category: Category) -> pb::Category {
    match category {
        Category::Transactional => pb::Category::Transactional,
        Category::Progress => pb::Category::Progress,
        Category::News => pb::Category::News,
    }
}

/// What a service wants somebody to be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Sending {
    pub template: &'static Template,
    pub news: News,
    pub dedup_key: Arc<str>,
}

/// Reads a request to tell something; the inner refusals are rules about templates.
pub fn sending(request: pb::SendNotificationRequest) -> Result<Result<Sending, Rejection>, Invalid> {
    let mut invalid = Invalid::new();
    let fits = |text: &str, most: usize| {
        (1..=most).contains(&text.chars().take(most + 1).count()) && !text.chars().any(char::is_control)
    };
    if !fits(&request.subject, SUBJECT_CHARS_MAX) {
        invalid.add("subject", format!("must be 1 to {SUBJECT_CHARS_MAX} characters"));
    }
    if !fits(&request.dedup_key, DEDUP_CHARS_MAX) {
        invalid.add("dedupKey", format!("must be 1 to {DEDUP_CHARS_MAX} characters"));
    }
    if !fits(&request.template, TYPE_CHARS_MAX) {
        invalid.add("template", format!("must be 1 to {TYPE_CHARS_MAX} characters"));
    }
    if request.facts.len() > FACTS_MAX {
        invalid.add("facts", format!("must be at most {FACTS_MAX}"));
    }
    let too_long = |text: &String| text.chars().count() > FACT_CHARS_MAX;
    let mut long: Vec<&String> =
        request.facts.iter().filter(|(n, v)| too_long(n) || too_long(v)).map(|(n, _)| n).collect();
    long.sort();
    for name in long {
        invalid.add(format!("facts.{name}"), format!("must be at most {FACT_CHARS_MAX} characters"));
    }
    invalid.finish(Some(()))?;
    Ok(known_template(request))
}

fn known_template(request: pb::SendNotificationRequest) -> Result<Sending, Rejection> {
    let template = templates::latest(&request.template)
        .ok_or_else(|| Rejection::new("UNKNOWN_TEMPLATE", "there is no such template"))?;
    let facts: Facts = request.facts.into_iter().collect();
    template
        .complete(&facts)
        .map_err(|missing| Rejection::new("MISSING_FACT", missing.to_string()).with("fact", missing.0))?;
    let news = News { what: template.name, subject: request.subject.into(), facts };
    Ok(Sending { template, news, dedup_key: request.dedup_key.into() })
}

/// Reads whom a request is about.
pub fn subject(text: String) -> Result<String, Invalid> {
    let fits = (1..=SUBJECT_CHARS_MAX).contains(&text.chars().take(SUBJECT_CHARS_MAX + 1).count());
    let sentence = || Invalid::field("subject", format!("must be 1 to {SUBJECT_CHARS_MAX} characters"));
    fits.then_some(text).ok_or_else(sentence)
}

/// An endpoint that shall be registered, without its secret.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEndpoint {
    pub name: Arc<str>,
    pub url: Arc<str>,
    pub types: BTreeSet<Arc<str>>,
}

impl NewEndpoint {
    pub fn with(self, secret: souk_kernel::Sealed<String>) -> EndpointCreated {
        let Self { name, url, types } = self;
        EndpointCreated { endpoint_id: crate::domain::endpoint_id(&name), name, url, types, secret }
    }
}

pub fn new_endpoint(request: pb::CreateWebhookEndpointRequest) -> Result<NewEndpoint, Invalid> {
    let mut invalid = Invalid::new();
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if !(1..=NAME_CHARS_MAX).contains(&request.name.len()) || !request.name.bytes().all(is_plain) {
        invalid.add(
            "name",
            format!("must be 1 to {NAME_CHARS_MAX} letters, digits, hyphens, dots or underscores"),
        );
    }
    if let Err(wrong) = url(&request.url) {
        invalid.add("url", wrong);
    }
    let types = types(request.types, ENDPOINT_TYPES_MAX, &mut invalid);
    let types = types.into_iter().map(Arc::from).collect();
    invalid.finish(Some(NewEndpoint { name: request.name.into(), url: request.url.into(), types }))
}

/// Whether a text is a url that can be called at all. Whether it may be is known when it is called.
fn url(text: &str) -> Result<(), &'static str> {
    let wrong = "must be an absolute https url without user, password and fragment";
    let uri: http::Uri = text.parse().map_err(|_| wrong)?;
    let scheme = uri.scheme_str().is_some_and(|scheme| scheme == "https" || scheme == "http");
    let host = uri
        .authority()
        .is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    let is_good = scheme && host && text.len() <= URL_CHARS_MAX && !text.contains('#');
    is_good.then_some(()).ok_or(wrong)
}

pub fn endpoint_id(text: &str) -> Result<EndpointId, Invalid> {
    let mut invalid = Invalid::new();
    let id = invalid.take("endpointId", text.parse());
    invalid.finish(id)
}

pub fn rotation(request: &pb::RotateSecretRequest) -> Result<(EndpointId, u32), Invalid> {
    let mut invalid = Invalid::new();
    let id = invalid.take("endpointId", request.endpoint_id.parse());
    if request.generation == 0 {
        invalid.add("generation", "must be at least 1");
    }
    invalid.finish(id.map(|id| (id, request.generation)))
}

pub fn delivery_id(text: &str) -> Result<DeliveryId, Invalid> {
    let mut invalid = Invalid::new();
    let id = invalid.take("deliveryId", text.parse());
    invalid.finish(id)
}

pub fn endpoint(known: &endpoint::Known) -> pb::WebhookEndpoint {
    let created = &known.created;
    pb::WebhookEndpoint {
        endpoint_id: created.endpoint_id.to_string(),
        name: created.name.to_string(),
        url: created.url.to_string(),
        types: created.types.iter().map(ToString::to_string).collect(),
        enabled: known.enabled,
        dead_in_a_row: known.dead_in_a_row,
        secret_generation: known.generation,
    }
}

/// A notification as it is shown. One whose template this release does not know shows its type.
pub fn notification(kept: Kept, locale: &Locale) -> pb::Notification {
    let template = templates::exactly(&kept.template, kept.version);
    let rendered = template.and_then(|template| template.render(locale, &kept.facts, Channel::Plain).ok());
    let unknown = || Rendered { title: kept.template.clone(), body: String::new() };
    let Rendered { title, body } = rendered.unwrap_or_else(unknown);
    pb::Notification {
        notification_id: kept.notification_id,
        cursor: kept.sequence,
        r#type: kept.template,
        category: template.map_or(pb::Category::Unspecified, |template| category(template.category)).into(),
        title,
        body,
        facts: kept.facts.into_iter().collect(),
        time: Some(time::to_proto(kept.told_at)),
        read: !kept.unread,
    }
}

pub fn delivery(logged: Logged) -> pb::Delivery {
    let status = match &*logged.status {
        "QUEUED" => pb::DeliveryStatus::Queued,
        "SENDING" => pb::DeliveryStatus::Sending,
        "DELIVERED" => pb::DeliveryStatus::Delivered,
        "FAILED" => pb::DeliveryStatus::Failed,
        "DEAD" => pb::DeliveryStatus::Dead,
        "SUPPRESSED" => pb::DeliveryStatus::Suppressed,
        _ => pb::DeliveryStatus::Unspecified,
    };
    pb::Delivery {
        delivery_id: logged.delivery_id,
        endpoint_id: logged.endpoint_id,
        r#type: logged.what,
        status: status.into(),
        attempts: logged.attempts,
        result: logged.result,
        queued_at: Some(time::to_proto(logged.queued_at)),
        next_attempt_at: logged.due_at.map(time::to_proto),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<T>(read: Result<T, Invalid>) -> Vec<String> {
        read.err().map(|i| i.fields().iter().map(|f| f.field.clone()).collect()).unwrap_or_default()
    }

    #[test]
    fn each_faulty_field_is_named_and_all_at_once() {
        let long = "x".repeat(600);
        assert_eq!(fields(subscription(pb::SubscribeRequest::default())), Vec::<String>::new());
        let types = vec!["order.confirmed".to_owned(), "Order".to_owned(), String::new()];
        let subscribed = |types| fields(subscription(pb::SubscribeRequest { after_cursor: 0, types }));
        assert_eq!(subscribed(types), ["types[1]", "types[2]"]);
        assert_eq!(subscribed(vec!["a.b".to_owned(); 21]), ["types"]);

        let marked = |up_to, ids: &[&str]| {
            let ids = ids.iter().map(|id| (*id).to_owned()).collect();
            fields(mark_read(&pb::MarkReadRequest { up_to, ids }))
        };
        let good = crate::domain::notification_id("a", "b").to_string();
        assert_eq!(marked(3, &[]), Vec::<String>::new());
        assert_eq!(marked(0, &[&good]), Vec::<String>::new());
        assert_eq!(marked(0, &[]), ["upTo"]);
        assert_eq!(marked(3, &[&good, "x"]), ["upTo", "ids[1]"]);
        assert_eq!(marked(0, &vec![good.as_str(); 201]), ["ids"]);

        let preferred = |locale: &str, email: &str, categories: Vec<i32>| {
            fields(wanted(pb::UpdatePreferencesRequest {
                locale: Some(locale.into()),
                email_enabled: None,
                muted: Some(pb::MutedCategories { categories }),
                email: Some(email.into()),
            }))
        };
        assert_eq!(preferred("de", "a@example.org", vec![2, 3]), Vec::<String>::new());
        assert_eq!(preferred("de", "", vec![]), Vec::<String>::new());
        assert_eq!(
            preferred("german", "a@", vec![2, 1, 0, 9]),
            ["locale", "muted.categories[1]", "muted.categories[2]", "muted.categories[3]", "email"]
        );
        for bad in [
            "a",
            "@b.c",
            "a b@c.d",
            "a@b.c\r\nRCPT TO:<x@y.z>",
            "ä@b.c",
            "a@b.c,d@e.f",
            &format!("{long}@b.c"),
        ] {
            assert_eq!(preferred("en", bad, vec![]), ["email"], "{bad}");
        }

        let page = |size, token: &str| {
            notifications_page(
                &pb::ListNotificationsRequest {
                    page_size: size,
                    page_token: token.into(),
                    unread_only: false,
                },
                "gst_1",
            )
        };
        assert_eq!(page(0, "").expect("no token").expect("good").size, 50);
        assert_eq!(fields(page(201, "").expect("no token")), ["pageSize"]);
        let theirs = notifications_token(7, "gst_2");
        assert_eq!(page(1, &theirs).expect_err("somebody else's").reason, "INVALID_PAGE_TOKEN");
        assert_eq!(page(1, &notifications_token(7, "gst_1")).expect("own").expect("good").before, Some(7));
    }

    #[test]
    fn endpoints_and_sendings_are_read_whole_or_not_at_all() {
        let new = |name: &str, url: &str, types: &[&str]| {
            let types = types.iter().map(|text| (*text).to_owned()).collect();
            fields(new_endpoint(pb::CreateWebhookEndpointRequest {
                name: name.into(),
                url: url.into(),
                types,
            }))
        };
        for url in
            ["https://a.example", "https://a.example:8443/x?y=z", "http://127.0.0.1:9/", "https://[::1]/"]
        {
            assert_eq!(new("erp-1.x_y", url, &["order.confirmed"]), Vec::<String>::new(), "{url}");
        }
        let bad = [
            "",
            "a.example",
            "/x",
            "ftp://a.example",
            "https://",
            "https://u:p@a.example",
            "https://a.example/#x",
            "https://a b",
        ];
        for url in bad {
            assert_eq!(new("erp", url, &[]), ["url"], "{url}");
        }
        assert_eq!(new("", "x", &["?"]), ["name", "url", "types[0]"]);
        assert_eq!(new("a b", "https://a.example", &[]), ["name"]);
        let rotate = pb::RotateSecretRequest { endpoint_id: "x".into(), generation: 0 };
        assert_eq!(fields(rotation(&rotate)), ["endpointId", "generation"]);

        let request = |template: &str, dedup_key: &str, facts: &[(&str, &str)]| pb::SendNotificationRequest {
            subject: "gst_1".into(),
            template: template.into(),
            facts: facts.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            dedup_key: dedup_key.into(),
        };
        let good = request("account.notice", "k", &[("notice", "hello")]);
        assert!(sending(good.clone()).expect("readable").is_ok());
        let long = "x".repeat(501);
        let wrong = request("", "", &[("a", &long), ("b", "x")]);
        assert_eq!(
            fields(sending(pb::SendNotificationRequest { subject: String::new(), ..wrong })),
            ["subject", "dedupKey", "template", "facts.a"]
        );
        let reason = |request| sending(request).expect("readable").expect_err("refused").reason;
        assert_eq!(reason(request("account.unknown", "k", &[])), "UNKNOWN_TEMPLATE");
        assert_eq!(reason(request("account.notice", "k", &[("notice", "")])), "MISSING_FACT");
    }

    #[test]
    fn an_address_is_recognised_by_its_owner_and_by_nobody_else() {
        assert_eq!(hint("someone@mail.example.org"), "s…@m….org");
        assert_eq!(hint("a@b"), "a…@b…");
    }
}
