//! What the tests share: an echo service behind a guard, its callers' tokens, and its three ways to be
//! reached.
#![allow(dead_code, reason = "each test binary uses its own part")]

#[allow(clippy::all, clippy::wildcard_enum_match_arm, unused_imports, reason = "generated code")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/test/protos.rs"));
}

pub use generated::souk::test::v1 as echo;

use echo::*;
use futures_util::{StreamExt, stream};
use souk_identity::{Claims, KeySet, Kind, Signer, SigningKey, Verifier};
use souk_kernel::{Clock, FieldViolation, ManualClock, SeededEntropy, Timestamp};
use souk_rpc::grpc::{BoxIo, Connector, GrpcChannel, GrpcServer, ServerLimits};
use souk_rpc::{Bound, BoxFuture, BoxStream, ByteService, Code, Cx, Error, Guard, Peers, Result};
use souk_telemetry::{Stop, StopSource, task};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

#[derive(Default)]
pub struct Echo {
    /// How many hanging calls came to an end because nobody waited for them any more.
    given_up: Arc<AtomicUsize>,
}

struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl EchoService for Echo {
    fn say(&self, cx: Cx, request: SayRequest) -> BoxFuture<'_, Result<SayResponse>> {
        Box::pin(async move {
            match request.how.as_str() {
                "panic" => panic!("on purpose"),
                "hang" => {
                    let _waiting = Waiting(Arc::clone(&self.given_up));
                    std::future::pending().await
                }
                "fault" => Err(Error::internal("the secret story")),
                "reject" => Err(rejection()),
                "token" => {
                    Err(Error::new(Code::Unauthenticated, "UNAUTHENTICATED", "a valid token is needed"))
                }
                "invalid" => Err(invalid()),
                "large" => Ok(SayResponse { text: "x".repeat(5 * 1024 * 1024), ..SayResponse::default() }),
                _ => Ok(SayResponse {
                    text: request.text,
                    request_id: cx.request_id().to_owned(),
                    key: cx.key().unwrap_or_default().to_owned(),
                    traceparent: cx.trace().to_string(),
                    wait_ms: cx.wait().map_or(0, |wait| u64::try_from(wait.as_millis()).expect("short")),
                    remaining_ms: u64::try_from(cx.remaining().as_millis()).expect("short"),
                }),
            }
        })
    }

    fn who_am_i(&self, cx: Cx, _: WhoAmIRequest) -> BoxFuture<'_, Result<WhoAmIResponse>> {
        Box::pin(async move {
            let caller = cx.principal()?;
            Ok(WhoAmIResponse { subject: caller.subject.clone(), owner: caller.owner().to_owned() })
        })
    }

    fn staff_only(&self, _: Cx, _: StaffOnlyRequest) -> BoxFuture<'_, Result<StaffOnlyResponse>> {
        Box::pin(async { Ok(StaffOnlyResponse {}) })
    }

    fn service_only(&self, _: Cx, _: ServiceOnlyRequest) -> BoxFuture<'_, Result<ServiceOnlyResponse>> {
        Box::pin(async { Ok(ServiceOnlyResponse {}) })
    }

    fn pay(&self, _: Cx, _: PayRequest) -> BoxFuture<'_, Result<PayResponse>> {
        Box::pin(async { Ok(PayResponse {}) })
    }

    fn count(
        &self,
        _: Cx,
        request: CountRequest,
    ) -> BoxFuture<'_, Result<BoxStream<'static, Result<CountResponse>>>> {
        Box::pin(async move {
            let numbers = stream::iter(1..=request.to).map(|number| Ok(CountResponse { number }));
            Ok(match request.then.as_str() {
                "panic" => numbers.chain(stream::poll_fn(|_| panic!("on purpose"))).boxed(),
                "hang" => numbers.chain(stream::pending()).boxed(),
                "reject" => numbers.chain(stream::iter([Err(rejection())])).boxed(),
                "refuse" => return Err(rejection()),
                _ => numbers.boxed(),
            })
        })
    }
}

pub fn rejection() -> Error {
    Error::new(Code::FailedPrecondition, "SOLD_OUT", "100% sold out: „nothing“ left")
        .with("sku", "85123A")
        .with_retry_after(Duration::from_millis(2_500))
}

pub fn invalid() -> Error {
    let field = |n: u32| FieldViolation { field: format!("lines[{n}]"), description: "must be there".into() };
    Error::new(Code::InvalidArgument, "INVALID_ARGUMENT", "two are wrong")
        .with_fields(vec![field(0), field(1)])
}

/// All that an error says to the outside.
pub fn outside(error: &Error) -> String {
    let (code, reason, message, after) = (error.code(), error.reason(), error.message(), error.retry_after());
    format!("{code:?} {reason} {message} {:?} {:?} {after:?}", error.metadata(), error.fields())
}

/// The echo service, who may call it, and until when the tests run.
pub struct House {
    pub clock: Arc<ManualClock>,
    pub bound: Bound,
    pub connects: Arc<AtomicUsize>,
    pub given_up: Arc<AtomicUsize>,
    pub stop: Stop,
    signer: Signer,
    pub source: StopSource,
}

const NOW_S: i64 = 1_700_000_000;

pub fn house() -> House {
    let clock = ManualClock::at(Timestamp::from_unix_s(NOW_S));
    let signer = Signer::new(SigningKey::generate(SeededEntropy::new(1).as_ref()));
    let keys = KeySet::new();
    keys.add(signer.public());
    let verifier = Verifier::new(keys, "echo", Arc::clone(&clock) as Arc<dyn Clock>);
    let echo = Echo::default();
    let given_up = Arc::clone(&echo.given_up);
    let bound = bind(Arc::new(echo), Arc::new(Guard::new(Arc::new(verifier))));
    let (source, stop) = Stop::new();
    House { clock, bound, connects: Arc::default(), given_up, stop, signer, source }
}

/// The ways in which a service can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Local,
    Bytes,
    Grpc,
}

pub const WAYS: [Way; 3] = [Way::Local, Way::Bytes, Way::Grpc];

impl House {
    pub fn token(&self, subject: &str, kind: Kind, roles: &[&str]) -> Arc<str> {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let claims = Claims::new(subject, kind, "souk", Timestamp::from_unix_s(NOW_S), 600).with_roles(roles);
        self.signer.sign(&claims).into()
    }

    pub fn service_token(&self, audience: &str, owner: Option<&str>) -> Arc<str> {
        let claims = Claims::new("svc:order", Kind::Service, audience, Timestamp::from_unix_s(NOW_S), 60);
        self.signer.sign(&claims.on_behalf_of(owner)).into()
    }

    pub fn server(&self) -> GrpcServer {
        self.server_with(ServerLimits::default())
    }

    pub fn server_with(&self, limits: ServerLimits) -> GrpcServer {
        GrpcServer::with_limits([Arc::clone(&self.bound.wire)], limits)
    }

    /// A connector to `server` through memory, which counts how often it was used.
    pub fn connector(&self, server: GrpcServer) -> Connector {
        let (stop, connects) = (self.stop.clone(), Arc::clone(&self.connects));
        Arc::new(move || {
            connects.fetch_add(1, Ordering::SeqCst);
            let (near, far) = tokio::io::duplex(64 * 1024);
            let (server, stop) = (server.clone(), stop.clone());
            let serve = async move { server.serve_connection(far, stop).await };
            task::spawn(task::Kind::Background, "test.server", serve).detach();
            Box::pin(async move { Ok(Box::new(near) as BoxIo) })
        })
    }

    pub fn channel(&self) -> Arc<dyn ByteService> {
        Arc::new(GrpcChannel::new(echo::SERVICE, "echo", self.connector(self.server())))
    }

    pub fn client(&self, way: Way) -> EchoServiceClient {
        let peers = Peers::new();
        let client = peers.get();
        match way {
            Way::Local => peers.add_bound(&self.bound),
            Way::Bytes => {
                peers.add_bound(&self.bound);
                peers.round_trip(true);
            }
            Way::Grpc => peers.add_remote(echo::SERVICE, self.channel()),
        }
        client
    }
}

pub fn cx() -> Cx {
    Cx::new(Instant::now() + Duration::from_secs(60))
}

pub fn say(how: &str) -> SayRequest {
    SayRequest { text: "hello".into(), how: how.into() }
}
