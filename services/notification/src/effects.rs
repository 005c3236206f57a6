//! What leaves the house: the courier takes what is due, records the attempt, makes it, and records what came of
//! it. E-mail goes to a relay by SMTP, calls to partners' endpoints by HTTP.
//!
//! The to-do list is a view row per delivery, written in the commit of its event; there is nothing to forget in
//! memory. At least once: after a crash an attempt without a recorded end is made again under the same id.
use crate::domain::delivery::{self, Outcome, Stage, Target};
use crate::domain::endpoint;
use crate::domain::preferences::Preferences;
use crate::domain::reach::Reach;
use crate::domain::templates::{self, Channel, Rendered};
use crate::domain::{Category, Delivery, DeliveryEvent, DeliveryId, Endpoint, EndpointId, Facts};
use crate::{Options, views};
use bytes::Bytes;
use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use souk_eventstore::{CommitId, Decision, Expected, Folded, Origin, StreamId, Work};
use souk_host::{Process, Resources};
use souk_kernel::{Error, Sealed, Timestamp};
use souk_rpc::BoxFuture;
use souk_telemetry::Stop;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

/// How many attempts are made at once.
const AT_ONCE_MAX: usize = 32;
/// How long one attempt may take, with everything: names, connection, TLS, answer.
pub const ATTEMPT_MAX: Duration = Duration::from_secs(10);
/// The longest wait between two looks, so that a moved clock is noticed.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(1);
/// The wait after a failure of our own.
const PAUSE_AFTER_FAULT: Duration = Duration::from_millis(500);
/// The most bytes of an answer's head; its body is not read at all.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Who commits what the courier does.
const COURIER: &str = "svc:notification";

/// Takes what is due where it belongs.
#[derive(Clone)]
pub struct Courier {
    own: Resources,
    mail: Option<Arc<Mail>>,
    caller: Caller,
    attempt_max: Duration,
}

impl Process for Courier {
    fn name(&self) -> &'static str {
        "courier"
    }

    fn run(self: Box<Self>, stop: Stop) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async move { self.deliver(stop).await })
    }

    fn again(&self) -> Option<Box<dyn Process>> {
        Some(Box::new(self.clone()))
    }
}

impl Courier {
    /// A courier for what is due in the store of `own`.
    pub fn new(own: Resources, options: &Options) -> Self {
        let (mail, caller) = (options.mail.clone(), Caller::new(Arc::clone(&options.reach)));
        Self { own, mail, caller, attempt_max: options.attempt_max }
    }

    async fn deliver(&self, stop: Stop) -> Result<(), Error> {
        let mut head = self.own.store.head();
        let mut running = FuturesUnordered::new();
        let mut under_way: HashSet<DeliveryId> = HashSet::new();
        loop {
            head.borrow_and_update();
            let now = self.own.store.now();
            // What is under way is due as well, so that a crash does not lose it.
            let rows = self.own.store.query(views::due(now, under_way.len() + AT_ONCE_MAX)).await?;
            for id in rows.iter().filter_map(views::due_of) {
                if under_way.len() < AT_ONCE_MAX && under_way.insert(id) {
                    running.push(async move { (id, self.attempt(id).await) });
                }
            }
            let next = views::next_due_of(&self.own.store.query(views::next_due(now)).await?);
            let wait = next.map_or(LOOK_AT_LEAST_EVERY, |due| due.since(now).min(LOOK_AT_LEAST_EVERY));
            tokio::select! {
                () = stop.requested() => return Ok(()),
                Some((id, ended)) = running.next() => {
                    under_way.remove(&id);
                    note(id, ended).await;
                }
                changed = head.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep(wait.max(Duration::from_millis(1))) => {}
            }
        }
    }

    /// One attempt, from its record to the record of its end.
    async fn attempt(&self, id: DeliveryId) -> Result<(), Error> {
        let begun = self.begin(id).await?;
        let Some(known) = begun.known().filter(|known| known.stage == Stage::Sending) else { return Ok(()) };
        let (queued, attempt) = (Arc::clone(&known.queued), known.attempts);
        let outcome = match &queued.target {
            Target::Email { subject, template, version, facts, .. } => {
                let letter = Letter { id, template, version: *version, facts, at: queued.at };
                self.write(subject, letter).await?
            }
            Target::Webhook { endpoint_id, body } => self.call(*endpoint_id, id, &queued.what, body).await?,
        };
        self.end(id, attempt, &queued.target, outcome).await
    }

    async fn begin(&self, id: DeliveryId) -> Result<Folded<Delivery>, Error> {
        let stream = StreamId::of::<Delivery>(id);
        let of = stream.clone();
        let work = self.work(id).read::<Delivery>(&stream).decide(move |facts, now| {
            Ok(Decision::new().append(
                &of,
                Expected::Any,
                delivery::start(&facts.state::<Delivery>(&of), now),
            ))
        });
        let committed = self.own.store.commit(work).await?;
        committed
            .state::<Delivery>(&stream)
            .ok_or_else(|| Error::internal("a delivery that was read is gone"))
    }

    /// Records an attempt's end, and what an endpoint makes of it, in one commit.
    async fn end(
        &self,
        id: DeliveryId,
        attempt: u32,
        target: &Target,
        outcome: Outcome,
    ) -> Result<(), Error> {
        let stream = StreamId::of::<Delivery>(id);
        let endpoint = match target {
            Target::Email { .. } => None,
            Target::Webhook { endpoint_id, .. } => Some(StreamId::of::<Endpoint>(endpoint_id)),
        };
        let work = self.work(id).read::<Delivery>(&stream);
        let work = match &endpoint {
            Some(endpoint) => work.read::<Endpoint>(endpoint),
            None => work,
        };
        let work = work.decide(move |facts, now| {
            let events = delivery::settle(&facts.state::<Delivery>(&stream), attempt, &outcome, now);
            let decision = Decision::new();
            let decision = match &endpoint {
                Some(at) => {
                    let noted = noted(&events, id, &facts.state::<Endpoint>(at));
                    decision.append(at, Expected::Any, noted)
                }
                None => decision,
            };
            Ok(decision.append(&stream, Expected::Exists, events))
        });
        self.own.store.commit(work).await?;
        Ok(())
    }

    async fn write(&self, subject: &str, letter: Letter<'_>) -> Result<Outcome, Error> {
        let Some(mail) = &self.mail else { return Ok(failed("MAIL_IS_OFF")) };
        let person = self.own.store.state::<Preferences>(&StreamId::of::<Preferences>(subject)).await?;
        let category = templates::exactly(letter.template, letter.version).map(|template| template.category);
        if category != Some(Category::Transactional) && !person.chosen.email_enabled {
            return Ok(Outcome::Suppressed(delivery::TURNED_OFF));
        }
        let Some(sealed) = &person.address else { return Ok(Outcome::Suppressed(delivery::NO_ADDRESS)) };
        let Some(address) = self.own.store.keys().open(sealed).await? else {
            return Ok(Outcome::Suppressed(delivery::NO_ADDRESS));
        };
        let Some((plain, html)) = letter.texts(&person) else { return Ok(refused("TEMPLATE_UNKNOWN")) };
        let sent = mail.send(letter.id, letter.at, &address, plain, html);
        Ok(tokio::time::timeout(self.attempt_max, sent).await.unwrap_or_else(|_| failed("SMTP_TIMEOUT")))
    }

    async fn call(
        &self,
        endpoint_id: EndpointId,
        id: DeliveryId,
        what: &str,
        body: &Arc<str>,
    ) -> Result<Outcome, Error> {
        let stream = StreamId::of::<Endpoint>(endpoint_id);
        let endpoint = self.own.store.state::<Endpoint>(&stream).await?;
        let Some(known) = endpoint.known().filter(|known| known.enabled) else {
            return Ok(Outcome::Suppressed(delivery::ENDPOINT_OFF));
        };
        let now = self.own.store.now();
        let secrets = open_all(&self.own, known.signing(now)).await?;
        let call = Call {
            url: &known.created.url,
            delivery: id.to_string(),
            what,
            signature: signature(&secrets, now, body),
            body,
        };
        let called = tokio::time::timeout(self.attempt_max, self.caller.call(call));
        Ok(called.await.unwrap_or_else(|_| failed("TIMEOUT")))
    }

    fn work(&self, id: DeliveryId) -> Work {
        Work::new(CommitId::new(self.own.ids.uuid()), Origin::by(COURIER).causation(id.to_string()))
    }
}

async fn note(id: DeliveryId, ended: Result<(), Error>) {
    if let Err(error) = ended {
        tracing::error!(delivery_id = %id, error = %error.story(), "delivery could not be recorded");
        tokio::time::sleep(PAUSE_AFTER_FAULT).await;
    }
}

/// What an endpoint learns from the end of an attempt.
fn noted(events: &[DeliveryEvent], id: DeliveryId, state: &Endpoint) -> Vec<endpoint::EndpointEvent> {
    let noted = events.iter().flat_map(|event| match event {
        DeliveryEvent::DeliveryDead(_) => endpoint::given_up(state, id),
        DeliveryEvent::DeliveryDone(_) => endpoint::arrived(state),
        DeliveryEvent::DeliveryQueued(_)
        | DeliveryEvent::AttemptStarted(_)
        | DeliveryEvent::AttemptFailed(_)
        | DeliveryEvent::DeliverySuppressed(_)
        | DeliveryEvent::RedeliveryRequested(_) => Vec::new(),
    });
    noted.collect()
}

async fn open_all(own: &Resources, sealed: Vec<Sealed<String>>) -> Result<Vec<String>, Error> {
    let mut secrets = Vec::with_capacity(sealed.len());
    for one in &sealed {
        secrets.extend(own.store.keys().open(one).await?);
    }
    Ok(secrets)
}

fn failed(code: impl Into<Arc<str>>) -> Outcome {
    Outcome::Failed(code.into())
}

fn refused(code: impl Into<Arc<str>>) -> Outcome {
    Outcome::Refused(code.into())
}

/// What stands in a mail.
struct Letter<'a> {
    id: DeliveryId,
    template: &'a str,
    version: u16,
    facts: &'a Facts,
    at: Timestamp,
}

impl Letter<'_> {
    /// As plain text and as a page; `None` when this release does not know the template.
    fn texts(&self, person: &Preferences) -> Option<(Rendered, Rendered)> {
        let template = templates::exactly(self.template, self.version)?;
        let render = |channel| template.render(&person.chosen.locale, self.facts, channel).ok();
        Some((render(Channel::Plain)?, render(Channel::Html)?))
    }
}

/// The relay that takes e-mail.
pub struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mail {
    /// A relay by its url (`smtp://host:25`, `smtps://user:password@host`, `smtp://host:587?tls=required`), and
    /// whom mail comes from (`Shop <shop@example.org>`).
    ///
    /// # Errors
    /// A sentence about what is wrong with either.
    pub fn new(url: &str, from: &str) -> Result<Self, String> {
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|_| "must be a url such as smtp://mail.example.org:587?tls=required".to_owned())?;
        let from =
            from.parse().map_err(|_| "must be an address such as Shop <shop@example.org>".to_owned())?;
        Ok(Self { transport: builder.timeout(Some(ATTEMPT_MAX)).build(), from })
    }

    /// The id that stays the same at every attempt: by it a receiver drops what it has.
    fn message_id(&self, id: DeliveryId) -> String {
        format!("<{id}@{}>", self.from.email.domain())
    }

    async fn send(
        &self,
        id: DeliveryId,
        at: Timestamp,
        to: &str,
        plain: Rendered,
        html: Rendered,
    ) -> Outcome {
        let Some(message) = self.message(id, at, to, plain, html) else { return refused("BAD_ADDRESS") };
        match self.transport.send(message).await {
            Ok(response) => Outcome::Accepted(format!("SMTP_{}", response.code()).into()),
            Err(error) => judged(&error),
        }
    }

    fn message(
        &self,
        id: DeliveryId,
        at: Timestamp,
        to: &str,
        plain: Rendered,
        html: Rendered,
    ) -> Option<Message> {
        let to: Address = to.parse().ok()?;
        let sent = UNIX_EPOCH + Duration::from_micros(u64::try_from(at.unix_us()).ok()?);
        let by_machine = HeaderName::new_from_ascii_str("Auto-Submitted");
        let page = format!("<!doctype html><title>{}</title><p>{}</p>", html.title, html.body);
        Message::builder()
            .message_id(Some(self.message_id(id)))
            .date(sent)
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(plain.title)
            .raw_header(HeaderValue::new(by_machine, "auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(plain.body, page))
            .ok()
    }
}

/// A refusal of this message is final; one of ourselves (we may not relay, we are not who we say) is a mistake
/// of the configuration, and its mail waits until that is mended. A relay's words are not kept: they name people.
fn judged(error: &lettre::transport::smtp::Error) -> Outcome {
    let Some(code) = error.status().map(|code| code.to_string()) else {
        let what = if error.is_timeout() { "SMTP_TIMEOUT" } else { "SMTP_UNREACHABLE" };
        return failed(what);
    };
    let about_us = ["530", "534", "535", "538", "521"].contains(&code.as_str());
    let result = format!("SMTP_{code}");
    if error.is_permanent() && !about_us { refused(result) } else { failed(result) }
}

/// `t=<seconds>,v1=<hex>`, with one `v1` for each secret that signs: HMAC-SHA-256 over `<seconds>.<body>`.
pub fn signature(secrets: &[String], now: Timestamp, body: &str) -> String {
    let t = now.unix_s();
    let signed = format!("{t}.{body}");
    let one = |secret: &String| {
        let key = ::ring::hmac::Key::new(::ring::hmac::HMAC_SHA256, secret.as_bytes());
        let tag = ::ring::hmac::sign(&key, signed.as_bytes());
        let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!(",v1={hex}")
    };
    let all: String = secrets.iter().map(one).collect();
    format!("t={t}{all}")
}

/// A call to a partner.
struct Call<'a> {
    url: &'a str,
    delivery: String,
    what: &'a str,
    signature: String,
    body: &'a Arc<str>,
}

/// Calls partners, and only them.
#[derive(Clone)]
struct Caller {
    reach: Arc<Reach>,
    tls: TlsConnector,
}

impl Caller {
    fn new(reach: Arc<Reach>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring speaks the default versions of TLS")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { reach, tls: TlsConnector::from(Arc::new(config)) }
    }

    /// One call, without redirects. The name is resolved once, and the address that is judged is the one that
    /// is connected to: a name that says something else a moment later changes nothing.
    async fn call(&self, call: Call<'_>) -> Outcome {
        let Ok(uri) = call.url.parse::<http::Uri>() else { return refused("BAD_URL") };
        let Some(host) = uri.host().map(|host| host.trim_start_matches('[').trim_end_matches(']').to_owned())
        else {
            return refused("BAD_URL");
        };
        let secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let addresses = match tokio::net::lookup_host((host.as_str(), port)).await {
            Ok(addresses) => addresses.collect::<Vec<_>>(),
            Err(_) => return failed("NAME_UNKNOWN"),
        };
        let address = match chosen(&self.reach, &addresses, secure) {
            Ok(address) => address,
            Err(outcome) => return outcome,
        };
        let Ok(stream) = TcpStream::connect(address).await else { return failed("UNREACHABLE") };
        if !secure {
            return exchange(stream, &uri, call).await;
        }
        let Ok(name) = ServerName::try_from(host) else { return refused("BAD_URL") };
        match self.tls.connect(name, stream).await {
            Ok(stream) => exchange(stream, &uri, call).await,
            Err(_) => failed("TLS"),
        }
    }
}

/// The address to connect to. Without TLS only receivers that the configuration lists are called: nobody else
/// could keep what is told between two of them.
fn chosen(reach: &Reach, addresses: &[SocketAddr], secure: bool) -> Result<SocketAddr, Outcome> {
    let may = |ip: IpAddr| if secure { reach.permits(ip) } else { reach.lists(ip) };
    if let Some(address) = addresses.iter().find(|address| may(address.ip())) {
        return Ok(*address);
    }
    let is_plain = !secure && addresses.iter().any(|address| reach.permits(address.ip()));
    Err(match (addresses.is_empty(), is_plain) {
        (true, _) => failed("NAME_UNKNOWN"),
        (false, true) => refused("TLS_REQUIRED"),
        (false, false) => refused("ADDRESS_NOT_ALLOWED"),
    })
}

async fn exchange<S>(stream: S, uri: &http::Uri, call: Call<'_>) -> Outcome
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(request) = request(uri, &call) else { return refused("BAD_URL") };
    let builder = {
        let mut builder = hyper::client::conn::http1::Builder::new();
        builder.max_buf_size(HEAD_BYTES_MAX);
        builder
    };
    let Ok((mut sender, connection)) = builder.handshake(TokioIo::new(stream)).await else {
        return failed("UNREACHABLE");
    };
    let answer = std::pin::pin!(sender.send_request(request));
    let connection = std::pin::pin!(connection);
    let answer = match select(answer, connection).await {
        Either::Left((answer, _)) => answer,
        Either::Right((_, answer)) => answer.await,
    };
    match answer {
        Ok(response) => answered(response.status()),
        Err(_) => failed("NO_ANSWER"),
    }
}

/// The status is the answer. A redirect is none: who moved says so by a new endpoint.
fn answered(status: http::StatusCode) -> Outcome {
    let result = format!("HTTP_{}", status.as_u16());
    match status {
        _ if status.is_success() => Outcome::Accepted(result.into()),
        http::StatusCode::GONE => refused(result),
        _ => failed(result),
    }
}

fn request(uri: &http::Uri, call: &Call<'_>) -> Option<http::Request<Full<Bytes>>> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    http::Request::post(path)
        .header("host", uri.authority()?.as_str())
        .header("content-type", "application/json")
        .header("user-agent", "souk-webhook/1")
        .header("souk-delivery", &call.delivery)
        .header("souk-event-type", call.what)
        .header("souk-signature", &call.signature)
        .body(Full::new(Bytes::copy_from_slice(call.body.as_bytes())))
        .ok()
}
