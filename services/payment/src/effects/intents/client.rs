//! A small HTTP/1.1 client for forms and JSON: what the provider's HTTP API needs and no more. Connections are kept
//! and shared. TLS is not here: the address is that of a proxy beside the shop that speaks it, or of a simulator.
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioTimer;
use serde_json::Value;
use souk_kernel::Error;
use souk_rpc::Cx;
use souk_telemetry::task;
use std::fmt;
use std::time::Duration;
use tokio::time::timeout_at;

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a connection may take to open, and how long it is kept without a call.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
const IDLE_WITHIN: Duration = Duration::from_secs(4);

/// Why the settings of a provider cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotUsable {
    /// The address is no `http://host:port`.
    Address,
    /// The key is empty or cannot stand in a header.
    Key,
}

impl fmt::Display for NotUsable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotUsable::Address => "must be an address such as http://127.0.0.1:8092",
            NotUsable::Key => "must be the provider's key, in visible characters",
        })
    }
}

impl std::error::Error for NotUsable {}

/// Runs a connection beside its calls.
#[derive(Clone, Copy)]
struct Tasks;

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        task::spawn(task::Kind::Background, "intents.client", future).detach();
    }
}

/// The address and the key of a provider. The key is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    base: String,
    authorization: HeaderValue,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Account {
    /// The account with `key` at the provider at `url`.
    ///
    /// # Errors
    /// What of it cannot be used.
    pub fn new(url: &str, key: &str) -> Result<Self, NotUsable> {
        let base = url.trim_end_matches('/');
        let uri: Uri = base.parse().map_err(|_| NotUsable::Address)?;
        let is_plain = uri.scheme_str() == Some("http") && uri.authority().is_some() && uri.query().is_none();
        if !is_plain {
            return Err(NotUsable::Address);
        }
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NotUsable::Key);
        }
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| NotUsable::Key)?;
        authorization.set_sensitive(true);
        Ok(Self { base: base.to_owned(), authorization })
    }
}

/// An answer, whatever its status.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// Calls one provider.
#[derive(Clone)]
pub(crate) struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    account: Account,
}

impl Client {
    pub(crate) fn new(account: Account) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_WITHIN));
        let mut builder = Pool::builder(Tasks);
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_WITHIN);
        Self { pool: builder.build(connector), account }
    }

    /// Asks something.
    pub(crate) async fn get(&self, cx: &Cx, path: &str, query: &[(&str, &str)]) -> Result<Answered, Error> {
        let request = Request::builder().method(Method::GET);
        let uri = format!("{}{path}?{}", self.account.base, form(query));
        self.exchange(cx, request.uri(uri).body(Full::default())).await
    }

    /// Has something done, at most once for this key.
    pub(crate) async fn post(
        &self,
        cx: &Cx,
        path: &str,
        key: &str,
        fields: &[(&str, &str)],
    ) -> Result<Answered, Error> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", self.account.base))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("idempotency-key", key)
            .body(Full::new(Bytes::from(form(fields))));
        self.exchange(cx, request).await
    }

    /// One exchange within the time of the call. Whatever is no whole answer is none.
    async fn exchange(
        &self,
        cx: &Cx,
        request: http::Result<Request<Full<Bytes>>>,
    ) -> Result<Answered, Error> {
        let mut request = request.map_err(|why| silent("cannot be asked").with_source(why))?;
        request.headers_mut().insert(header::AUTHORIZATION, self.account.authorization.clone());
        let exchange = async {
            let response = self.pool.request(request).await;
            let (head, body) =
                response.map_err(|why| silent("was not reached or broke off").with_source(why))?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|_| silent("broke off in its answer"))?.to_bytes();
            let body = serde_json::from_slice(&body).map_err(|_| silent("answers what cannot be read"))?;
            Ok(Answered { status: head.status.as_u16(), body })
        };
        timeout_at(cx.deadline(), exchange).await.unwrap_or_else(|_| Err(silent("took too long")))
    }
}

fn silent(what: &str) -> Error {
    Error::unavailable(format!("the payment provider {what}"))
}

/// Pairs as a form or a query.
fn form(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    pairs.join("&")
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if is_plain { out.push(char::from(byte)) } else { out.push_str(&format!("%{byte:02X}")) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_escaped() {
        let fields = [("metadata[key]", "pay_1:capture:a b"), ("currency", "gbp"), ("ü", "&=%'")];
        let expected = "metadata%5Bkey%5D=pay_1%3Acapture%3Aa%20b&currency=gbp&%C3%BC=%26%3D%25%27";
        assert_eq!(form(&fields), expected);
    }

    #[test]
    fn an_account_needs_a_plain_address_and_a_key_which_is_never_printed() {
        let account = Account::new("http://127.0.0.1:1/", "sk_secret").expect("usable");
        assert_eq!(format!("{account:?}"), "Account { base: \"http://127.0.0.1:1\", .. }");
        for bad in ["", "127.0.0.1:1", "https://provider.example", "http://", "http://h/?a=b"] {
            assert_eq!(Account::new(bad, "k"), Err(NotUsable::Address), "{bad}");
        }
        for bad in ["", "a b", "a\nb", "ü"] {
            assert_eq!(Account::new("http://h", bad), Err(NotUsable::Key), "{bad:?}");
        }
    }
}
