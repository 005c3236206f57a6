//! Answers calls: parse, commit or query, answer. The rules are in `domain`.
use crate::domain::preferences::{self, AddressChange, Preferences, Update};
use crate::domain::templates::Locale;
use crate::domain::{Delivery, Endpoint, EndpointId, Inbox, delivery, endpoint, inbox};
use crate::proto::{self, Marked, Subscription};
use crate::reactions::{self, Telling};
use crate::{Options, views};
use futures_util::StreamExt;
use souk_contracts::notification::v1::{self as pb, NotificationService};
use souk_eventstore::{CommitId, Decision, EventStore, Expected, Folded, Origin, Position, StreamId, Work};
use souk_host::Resources;
use souk_kernel::{Code, Error, Sealed, Uuid};
use souk_rpc::{BoxFuture, BoxStream, Cx, Result};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch::Receiver;

/// How long a subscriber hears nothing before a sign of life.
pub const SIGN_OF_LIFE_EVERY: Duration = Duration::from_secs(15);
/// How many notifications are read at once for a subscriber.
const READ_AT_ONCE: usize = 100;

/// The service's answers.
pub struct Desk {
    own: Resources,
    /// Whether there is somebody to take e-mail.
    mail: bool,
    sign_of_life_every: Duration,
}

impl Desk {
    pub fn new(own: &Resources, options: &Options) -> Self {
        let mail = options.mail.is_some();
        Self { own: own.clone(), mail, sign_of_life_every: options.sign_of_life_every }
    }

    fn work(&self, cx: &Cx) -> Work {
        let actor = cx.principal().map_or("", |principal| principal.subject.as_str());
        let origin = Origin::by(actor)
            .correlation(cx.request_id())
            .causation(cx.request_id())
            .trace(cx.trace().traceparent());
        Work::new(CommitId::new(self.own.ids.uuid()), origin)
    }

    async fn person(&self, subject: &str) -> Result<Folded<Preferences>> {
        Ok(self.own.store.state::<Preferences>(&StreamId::of::<Preferences>(subject)).await?)
    }

    async fn subscription(&self, cx: &Cx, wanted: Subscription) -> Result<Subscriber> {
        let subject: Arc<str> = owner(cx)?.into();
        let last = views::inbox_of(&self.own.store.query(views::inbox(&subject)).await?).last;
        if wanted.after > last {
            let message = format!("the newest notification has the cursor {last}");
            return Err(Error::new(Code::OutOfRange, "CURSOR_AHEAD", message).with("last_cursor", last));
        }
        let locale = self.person(&subject).await?.chosen.locale.clone();
        let (store, head) = (self.own.store.clone(), self.own.store.head());
        Ok(Subscriber {
            store,
            head,
            subject,
            locale,
            cursor: wanted.after,
            wanted,
            ready: VecDeque::new(),
            sign_of_life_every: self.sign_of_life_every,
        })
    }

    async fn list(
        &self,
        cx: &Cx,
        request: pb::ListNotificationsRequest,
    ) -> Result<pb::ListNotificationsResponse> {
        let subject = owner(cx)?;
        let page = proto::notifications_page(&request, subject)??;
        let limit = page.size + 1;
        let rows =
            self.own.store.query(views::before(subject, page.before, request.unread_only, limit)).await?;
        let locale = self.person(subject).await?.chosen.locale.clone();
        let shown = rows.iter().take(page.size).map(|row| proto::notification(views::kept(row), &locale));
        let notifications: Vec<_> = shown.collect();
        let last = notifications.last().filter(|_| rows.len() > page.size);
        let next_page_token = last.map(|last| proto::notifications_token(last.cursor, subject));
        Ok(pb::ListNotificationsResponse {
            next_page_token: next_page_token.unwrap_or_default(),
            notifications,
        })
    }

    async fn mark(&self, cx: &Cx, marked: Marked) -> Result<u64> {
        const UNREAD: &str = "unread";
        let subject: Arc<str> = owner(cx)?.into();
        let stream = StreamId::of::<Inbox>(&subject);
        let work = match marked {
            Marked::UpTo(sequence) => {
                self.work(cx).rows(UNREAD, views::inbox(&subject)).decide(move |facts, _| {
                    let events = inbox::read_up_to(views::inbox_of(facts.rows(UNREAD)), sequence);
                    Ok(Decision::new().append(&stream, Expected::Any, events))
                })
            }
            Marked::These(ids) => {
                let mut ids = ids;
                ids.sort_unstable();
                ids.dedup();
                let labels: Vec<String> = ids.iter().map(ToString::to_string).collect();
                let reads = ids.iter().zip(&labels);
                let work = reads.fold(self.work(cx), |work, (id, label)| {
                    work.rows(label.clone(), views::unread_one(*id, &subject))
                });
                work.decide(move |facts, _| {
                    let rows = labels.iter().flat_map(|label| facts.rows(label));
                    let unread = rows.map(|row| row.get::<i64>(0).unsigned_abs()).collect();
                    Ok(Decision::new().append(&stream, Expected::Any, inbox::read_some(unread)))
                })
            }
        };
        self.own.store.commit(work).await?;
        Ok(views::count_of(&self.own.store.query(views::unread(&subject)).await?))
    }

    async fn shown(&self, person: &Preferences) -> Result<pb::Preferences> {
        let email = match &person.address {
            Some(sealed) => self.own.store.keys().open(sealed).await?,
            None => None,
        };
        Ok(proto::preferences(person, email.as_deref()))
    }

    async fn prefer(&self, cx: &Cx, wanted: proto::Wanted) -> Result<pb::Preferences> {
        let subject = owner(cx)?;
        let stream = StreamId::of::<Preferences>(subject);
        let address = self.address(subject, wanted.email).await?;
        let (locale, email_enabled, muted) = (wanted.locale, wanted.email_enabled, wanted.muted);
        let update = Update { locale, email_enabled, muted, address };
        let of = stream.clone();
        let work = self.work(cx).read::<Preferences>(&stream).decide(move |facts, _| {
            let events = preferences::update(&facts.state::<Preferences>(&of), &update);
            Ok(Decision::new().append(&of, Expected::Any, events))
        });
        let committed = self.own.store.commit(work).await?;
        let after = state::<Preferences>(&committed, &stream)?;
        self.shown(&after).await
    }

    /// The change of the address, closed. One that is given again as it is changes nothing.
    async fn address(&self, subject: &str, email: Option<String>) -> Result<AddressChange> {
        let Some(email) = email else { return Ok(AddressChange::Keep) };
        if email.is_empty() {
            return Ok(AddressChange::Forget);
        }
        let keys = self.own.store.keys();
        if let Some(known) = &self.person(subject).await?.address
            && keys.open(known).await?.as_ref() == Some(&email)
        {
            return Ok(AddressChange::Keep);
        }
        Ok(AddressChange::Set(keys.seal(subject, &email).await?))
    }

    async fn send(&self, cx: &Cx, sending: proto::Sending) -> Result<pb::SendNotificationResponse> {
        let proto::Sending { template, news, dedup_key } = sending;
        let telling = Telling {
            news,
            template: Some(template),
            dedup_key,
            happened_at: self.own.store.now(),
            mail: self.mail,
            partners: false,
            mark: None,
        };
        let id = telling.id().to_string();
        self.own.store.commit(reactions::tell(self.work(cx), telling)).await?;
        let told = self.own.store.query(views::is_told(&id)).await?;
        Ok(pb::SendNotificationResponse { notification_id: id, told: views::count_of(&told) > 0 })
    }

    /// First nothing more is told, then the key goes: what is left half done is done when it is said again.
    async fn forget(&self, cx: &Cx, subject: &str) -> Result<()> {
        let stream = StreamId::of::<Preferences>(subject);
        let of = stream.clone();
        let work = self.work(cx).read::<Preferences>(&stream).decide(move |facts, _| {
            let events = preferences::forget(&facts.state::<Preferences>(&of));
            Ok(Decision::new().append(&of, Expected::Any, events))
        });
        self.own.store.commit(work).await?;
        Ok(self.own.store.keys().destroy(subject).await?)
    }

    /// A secret that nobody can guess, closed under its endpoint.
    async fn new_secret(&self, id: EndpointId) -> Result<Sealed<String>> {
        let ids: [Uuid; 4] = std::array::from_fn(|_| self.own.ids.uuid());
        let bytes: Vec<u8> = ids.iter().flat_map(|id| *id.as_bytes()).collect();
        let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
        let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(self.own.store.keys().seal(&id.to_string(), &format!("whsec_{hex}")).await?)
    }

    async fn secret_of(&self, known: &endpoint::Known) -> Result<String> {
        let opened = self.own.store.keys().open(&known.secret).await?;
        opened.ok_or_else(|| Error::internal("an endpoint's secret cannot be opened"))
    }

    async fn register(&self, cx: &Cx, new: proto::NewEndpoint) -> Result<pb::CreateWebhookEndpointResponse> {
        const ALL: &str = "all";
        let id = crate::domain::endpoint_id(&new.name);
        let wanted = new.with(self.new_secret(id).await?);
        let stream = StreamId::of::<Endpoint>(id);
        let of = stream.clone();
        let work = self.work(cx).read::<Endpoint>(&stream).rows(ALL, views::endpoints());
        let work = work.decide(move |facts, _| {
            let events = endpoint::create(&facts.state::<Endpoint>(&of), &wanted, facts.rows(ALL).len())?;
            Ok(Decision::new().append(&of, Expected::Any, events))
        });
        let after = state::<Endpoint>(&self.own.store.commit(work).await?, &stream)?;
        let known = known(&after)?;
        let secret = self.secret_of(known).await?;
        Ok(pb::CreateWebhookEndpointResponse { endpoint: Some(proto::endpoint(known)), secret })
    }

    async fn rotate(&self, cx: &Cx, id: EndpointId, generation: u32) -> Result<pb::RotateSecretResponse> {
        let secret = self.new_secret(id).await?;
        let change = move |endpoint: &Endpoint, now| endpoint::rotate(endpoint, generation, &secret, now);
        let after = self.change(cx, id, change).await?;
        let known = known(&after)?;
        let secret = self.secret_of(known).await?;
        let old_valid_until = known.old.as_ref().map(|(_, until)| souk_rpc::time::to_proto(*until));
        Ok(pb::RotateSecretResponse { endpoint: Some(proto::endpoint(known)), secret, old_valid_until })
    }

    async fn change<R>(&self, cx: &Cx, id: EndpointId, rule: R) -> Result<Folded<Endpoint>>
    where
        R: Fn(
                &Endpoint,
                souk_kernel::Timestamp,
            ) -> std::result::Result<Vec<endpoint::EndpointEvent>, souk_kernel::Rejection>
            + Send
            + Sync
            + 'static,
    {
        let stream = StreamId::of::<Endpoint>(id);
        let of = stream.clone();
        let work = self.work(cx).read::<Endpoint>(&stream).decide(move |facts, now| {
            Ok(Decision::new().append(&of, Expected::Any, rule(&facts.state::<Endpoint>(&of), now)?))
        });
        state::<Endpoint>(&self.own.store.commit(work).await?, &stream)
    }

    async fn endpoints(&self) -> Result<Vec<pb::WebhookEndpoint>> {
        let mut all = Vec::new();
        for id in self.own.store.query(views::endpoints()).await?.iter().filter_map(views::endpoint_of) {
            let endpoint = self.own.store.state::<Endpoint>(&StreamId::of::<Endpoint>(id)).await?;
            all.extend(endpoint.known().map(proto::endpoint));
        }
        Ok(all)
    }

    async fn log(&self, request: pb::ListDeliveriesRequest) -> Result<pb::ListDeliveriesResponse> {
        let (endpoint, page) = proto::deliveries_page(&request)??;
        let known = self.own.store.state::<Endpoint>(&StreamId::of::<Endpoint>(endpoint)).await?;
        known.known().ok_or_else(|| Error::not_found("the endpoint"))?;
        let rows = self.own.store.query(views::log(endpoint, page.before, page.size + 1)).await?;
        let lines: Vec<_> = rows.iter().take(page.size).map(views::logged).collect();
        let last = lines.last().filter(|_| rows.len() > page.size);
        let next_page_token = last.map(proto::deliveries_token).unwrap_or_default();
        Ok(pb::ListDeliveriesResponse {
            deliveries: lines.into_iter().map(proto::delivery).collect(),
            next_page_token,
        })
    }

    /// Only what goes to endpoints: an e-mail is no business of partners' staff.
    async fn redeliver(&self, cx: &Cx, id: crate::domain::DeliveryId) -> Result<pb::Delivery> {
        let stream = StreamId::of::<Delivery>(id);
        let missing = || Error::not_found("the delivery");
        let found = self.own.store.state::<Delivery>(&stream).await?;
        let is_call = found.known().is_some_and(|known| match known.queued.target {
            delivery::Target::Webhook { .. } => true,
            delivery::Target::Email { .. } => false,
        });
        if !is_call {
            return Err(missing());
        }
        let of = stream.clone();
        let work = self.work(cx).read::<Delivery>(&stream).decide(move |facts, now| {
            let events = delivery::redeliver(&facts.state::<Delivery>(&of), now);
            Ok(Decision::new().append(&of, Expected::Any, events))
        });
        self.own.store.commit(work).await?;
        let rows = self.own.store.query(views::logged_one(id)).await?;
        rows.first().map(|row| proto::delivery(views::logged(row))).ok_or_else(missing)
    }
}

fn owner(cx: &Cx) -> Result<&str> {
    Ok(cx.principal()?.owner())
}

fn known(endpoint: &Endpoint) -> Result<&endpoint::Known> {
    endpoint.known().ok_or_else(|| Error::internal("an endpoint was decided and is not there"))
}

fn state<A: souk_decider::Aggregate>(
    committed: &souk_eventstore::Committed,
    stream: &StreamId,
) -> Result<Folded<A>> {
    committed.state::<A>(stream).ok_or_else(|| Error::internal("a commit lost the state that it had read"))
}

/// Reads for one subscriber, at the subscriber's pace: nothing is queued for it, so a slow one costs nothing and
/// a lost one loses nothing.
struct Subscriber {
    store: EventStore,
    head: Receiver<Position>,
    subject: Arc<str>,
    locale: Locale,
    wanted: Subscription,
    cursor: u64,
    ready: VecDeque<pb::SubscribeResponse>,
    sign_of_life_every: Duration,
}

impl Subscriber {
    fn messages(self) -> BoxStream<'static, Result<pb::SubscribeResponse>> {
        futures_util::stream::unfold(Some(self), |subscriber| async move {
            let mut subscriber = subscriber?;
            match subscriber.next().await {
                Ok(Some(message)) => Some((Ok(message), Some(subscriber))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<pb::SubscribeResponse>> {
        let quiet_until = tokio::time::Instant::now() + self.sign_of_life_every;
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(Some(message));
            }
            self.head.borrow_and_update();
            if self.read().await? {
                continue;
            }
            // The head moves with every commit of the service, whoever's inbox it is about.
            match tokio::time::timeout_at(quiet_until, self.head.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Ok(None),
                Err(_) => return Ok(Some(pb::SubscribeResponse { notification: None, cursor: self.cursor })),
            }
        }
    }

    /// Reads what is new; tells whether anything was.
    async fn read(&mut self) -> Result<bool> {
        let rows = self.store.query(views::after(&self.subject, self.cursor, READ_AT_ONCE)).await?;
        for kept in rows.iter().map(views::kept) {
            self.cursor = kept.sequence;
            if self.wanted.wants(&kept.template) {
                let cursor = kept.sequence;
                let notification = Some(proto::notification(kept, &self.locale));
                self.ready.push_back(pb::SubscribeResponse { notification, cursor });
            }
        }
        Ok(!rows.is_empty())
    }
}

impl NotificationService for Desk {
    fn subscribe(
        &self,
        cx: Cx,
        request: pb::SubscribeRequest,
    ) -> BoxFuture<'_, Result<BoxStream<'static, Result<pb::SubscribeResponse>>>> {
        Box::pin(async move { Ok(self.subscription(&cx, proto::subscription(request)?).await?.messages()) })
    }

    fn list_notifications(
        &self,
        cx: Cx,
        request: pb::ListNotificationsRequest,
    ) -> BoxFuture<'_, Result<pb::ListNotificationsResponse>> {
        Box::pin(async move { self.list(&cx, request).await })
    }

    fn mark_read(&self, cx: Cx, request: pb::MarkReadRequest) -> BoxFuture<'_, Result<pb::MarkReadResponse>> {
        Box::pin(async move {
            let unread = self.mark(&cx, proto::mark_read(&request)?).await?;
            Ok(pb::MarkReadResponse { unread })
        })
    }

    fn unread_count(
        &self,
        cx: Cx,
        _request: pb::UnreadCountRequest,
    ) -> BoxFuture<'_, Result<pb::UnreadCountResponse>> {
        Box::pin(async move {
            let subject = owner(&cx)?;
            let unread = views::count_of(&self.own.store.query(views::unread(subject)).await?);
            let last_cursor = views::inbox_of(&self.own.store.query(views::inbox(subject)).await?).last;
            Ok(pb::UnreadCountResponse { unread, last_cursor })
        })
    }

    fn get_preferences(
        &self,
        cx: Cx,
        _request: pb::GetPreferencesRequest,
    ) -> BoxFuture<'_, Result<pb::GetPreferencesResponse>> {
        Box::pin(async move {
            let person = self.person(owner(&cx)?).await?;
            Ok(pb::GetPreferencesResponse { preferences: Some(self.shown(&person).await?) })
        })
    }

    fn update_preferences(
        &self,
        cx: Cx,
        request: pb::UpdatePreferencesRequest,
    ) -> BoxFuture<'_, Result<pb::UpdatePreferencesResponse>> {
        Box::pin(async move {
            let preferences = self.prefer(&cx, proto::wanted(request)?).await?;
            Ok(pb::UpdatePreferencesResponse { preferences: Some(preferences) })
        })
    }

    fn send_notification(
        &self,
        cx: Cx,
        request: pb::SendNotificationRequest,
    ) -> BoxFuture<'_, Result<pb::SendNotificationResponse>> {
        Box::pin(async move { self.send(&cx, proto::sending(request)??).await })
    }

    fn forget_person(
        &self,
        cx: Cx,
        request: pb::ForgetPersonRequest,
    ) -> BoxFuture<'_, Result<pb::ForgetPersonResponse>> {
        Box::pin(async move {
            self.forget(&cx, &proto::subject(request.subject)?).await?;
            Ok(pb::ForgetPersonResponse {})
        })
    }

    fn create_webhook_endpoint(
        &self,
        cx: Cx,
        request: pb::CreateWebhookEndpointRequest,
    ) -> BoxFuture<'_, Result<pb::CreateWebhookEndpointResponse>> {
        Box::pin(async move { self.register(&cx, proto::new_endpoint(request)?).await })
    }

    fn list_webhook_endpoints(
        &self,
        _cx: Cx,
        _request: pb::ListWebhookEndpointsRequest,
    ) -> BoxFuture<'_, Result<pb::ListWebhookEndpointsResponse>> {
        Box::pin(async move { Ok(pb::ListWebhookEndpointsResponse { endpoints: self.endpoints().await? }) })
    }

    fn rotate_secret(
        &self,
        cx: Cx,
        request: pb::RotateSecretRequest,
    ) -> BoxFuture<'_, Result<pb::RotateSecretResponse>> {
        Box::pin(async move {
            let (id, generation) = proto::rotation(&request)?;
            self.rotate(&cx, id, generation).await
        })
    }

    fn set_webhook_enabled(
        &self,
        cx: Cx,
        request: pb::SetWebhookEnabledRequest,
    ) -> BoxFuture<'_, Result<pb::SetWebhookEnabledResponse>> {
        Box::pin(async move {
            let id = proto::endpoint_id(&request.endpoint_id)?;
            let enabled = request.enabled;
            let change = move |endpoint: &Endpoint, _| endpoint::set_enabled(endpoint, enabled);
            let after = self.change(&cx, id, change).await?;
            Ok(pb::SetWebhookEnabledResponse { endpoint: after.known().map(proto::endpoint) })
        })
    }

    fn list_deliveries(
        &self,
        _cx: Cx,
        request: pb::ListDeliveriesRequest,
    ) -> BoxFuture<'_, Result<pb::ListDeliveriesResponse>> {
        Box::pin(async move { self.log(request).await })
    }

    fn redeliver(
        &self,
        cx: Cx,
        request: pb::RedeliverRequest,
    ) -> BoxFuture<'_, Result<pb::RedeliverResponse>> {
        Box::pin(async move {
            let delivery = self.redeliver(&cx, proto::delivery_id(&request.delivery_id)?).await?;
            Ok(pb::RedeliverResponse { delivery: Some(delivery) })
        })
    }
}
