//! The shop's public API as the commands use it: JSON in, JSON out, and errors that say what to do.
use crate::failure::{Failure, exit};
use bytes::Bytes;
use http::Method;
use serde_json::Value;
use souk_gateway::client::{Client, ClientError};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long an answer is waited for, besides what the caller asked the server to wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// So many tries, and a call that is safe to repeat has failed.
const TRIES_MAX: u32 = 5;
/// The wait after the first try; it doubles with each further one.
const PAUSE_FIRST: Duration = Duration::from_millis(100);

/// One caller of one shop. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Rest {
    /// Or why there can be none at this address.
    client: Result<Client, String>,
    url: Arc<str>,
    token: Option<Arc<str>>,
    key: Option<Arc<str>>,
    wait_s: Option<u32>,
}

/// What the shop answered when it did what it was asked to.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// 200 to 299.
    pub status: u16,
    /// Null when there is none.
    pub body: Value,
}

/// Why there is no answer to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestError {
    /// Nobody answered, or not in time. Whether the call was carried out is unknown.
    Unreachable {
        /// Who was asked.
        url: String,
        /// What happened to the connection.
        detail: String,
    },
    /// The shop refused, and said why.
    Problem {
        /// 400 to 599; 200 to 299 when the answer is not one of the shop's; 0 when there is no answer to use.
        status: u16,
        /// A stable code such as `SKU_TAKEN`; empty when somebody else answered, or nobody.
        reason: String,
        /// A sentence for people.
        detail: String,
        /// Each faulty field with what is wrong with it.
        fields: Vec<(String, String)>,
        /// Particulars by name.
        metadata: BTreeMap<String, String>,
    },
}

impl RestError {
    /// Whether the same call may be answered by yes a little later.
    pub fn is_worth_repeating(&self) -> bool {
        match self {
            RestError::Unreachable { .. } => true,
            RestError::Problem { status, .. } => matches!(status, 408 | 429 | 502 | 503 | 504),
        }
    }

    /// Whether the shop does not take the caller for who they say they are.
    pub fn is_about_the_caller(&self) -> bool {
        matches!(self, RestError::Problem { status: 401 | 403, .. })
    }
}

impl fmt::Display for RestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestError::Unreachable { url, detail } => write!(f, "{url} does not answer: {detail}"),
            RestError::Problem { status, reason, detail, fields, .. } => {
                let reason = if reason.is_empty() { "no reason given" } else { reason };
                write!(f, "{detail} ({reason}, status {status})")?;
                fields.iter().try_for_each(|(field, what)| write!(f, "; {field} {what}"))
            }
        }
    }
}

impl std::error::Error for RestError {}

impl From<RestError> for Failure {
    fn from(error: RestError) -> Self {
        let code = match &error {
            RestError::Problem { status: 401 | 403, .. } => exit::PERMISSION,
            RestError::Unreachable { .. } => exit::UNAVAILABLE,
            RestError::Problem { .. } if error.is_worth_repeating() => exit::UNAVAILABLE,
            RestError::Problem { .. } => exit::GENERIC,
        };
        Failure::new(code, error)
    }
}

impl Rest {
    /// A caller of the shop at `url`, with the token that says who they are.
    pub fn new(url: &str, token: Option<String>) -> Self {
        let url = url.trim_end_matches('/');
        let client = Client::new(url).map(|client| client.with_deadline(ANSWER_TIMEOUT));
        let client = client.map_err(|error| error.to_string());
        Self { client, url: url.into(), token: token.map(Arc::from), key: None, wait_s: None }
    }

    /// The same caller with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// The same caller, whose calls are done once however often they are said under this key.
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: Some(key.into()), ..self.clone() }
    }

    /// The same caller, who would rather wait so long than come back to ask.
    pub fn prefer_wait(&self, seconds: u32) -> Self {
        let deadline = ANSWER_TIMEOUT + Duration::from_secs(seconds.into());
        let client = self.client.clone().map(|client| client.with_deadline(deadline));
        Self { client, wait_s: Some(seconds), ..self.clone() }
    }

    /// Where the shop is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Result<Answer, RestError> {
        self.call(Method::GET, path, None).await
    }

    /// Does.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer, RestError> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Puts in place.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Answer, RestError> {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// Changes a part.
    pub async fn patch(&self, path: &str, body: &Value) -> Result<Answer, RestError> {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// Takes away.
    pub async fn delete(&self, path: &str) -> Result<Answer, RestError> {
        self.call(Method::DELETE, path, None).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, RestError> {
        let client = self.client.as_ref().map_err(|why| useless(why.clone()))?;
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let headers = self.headers();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer =
            client.send(method, path, &headers, body).await.map_err(|error| self.unanswered(error))?;
        understood(answer.status, &answer.body)
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let token = self.token.as_ref().map(|token| ("authorization", format!("Bearer {token}")));
        let key = self.key.as_ref().map(|key| ("idempotency-key", key.to_string()));
        let wait = self.wait_s.map(|seconds| ("prefer", format!("wait={seconds}")));
        [token, key, wait].into_iter().flatten().collect()
    }

    fn unanswered(&self, error: ClientError) -> RestError {
        let url = self.url().to_owned();
        match error {
            ClientError::Unreachable(source) => {
                RestError::Unreachable { url, detail: innermost(source.as_ref()) }
            }
            ClientError::Late => RestError::Unreachable { url, detail: error.to_string() },
            ClientError::Invalid(_) | ClientError::TooLarge => useless(error.to_string()),
        }
    }
}

/// The same call would end in the same way.
fn useless(detail: String) -> RestError {
    RestError::Problem {
        status: 0,
        reason: String::new(),
        detail,
        fields: Vec::new(),
        metadata: BTreeMap::new(),
    }
}

/// What the system said, without the layers that passed it on.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// The JSON of an answer, or the problem that it states.
fn understood(status: u16, body: &[u8]) -> Result<Answer, RestError> {
    let json: Option<Value> =
        if body.is_empty() { Some(Value::Null) } else { serde_json::from_slice(body).ok() };
    match json {
        Some(body) if (200..300).contains(&status) => Ok(Answer { status, body }),
        Some(body) => Err(problem(status, &body)),
        None => Err(problem(status, &Value::Null)),
    }
}

fn problem(status: u16, body: &Value) -> RestError {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let field = |entry: &Value| (text(entry, "field"), text(entry, "description"));
    let fields = body["fields"].as_array().map(|all| all.iter().map(field).collect()).unwrap_or_default();
    let particular =
        |(name, value): (&String, &Value)| (name.clone(), value.as_str().unwrap_or_default().to_owned());
    let metadata =
        body["metadata"].as_object().map(|all| all.iter().map(particular).collect()).unwrap_or_default();
    let detail = match body["detail"].as_str() {
        Some(detail) => detail.to_owned(),
        None => "the answer is not one that the shop gives; is this address another server's?".to_owned(),
    };
    RestError::Problem { status, reason: text(body, "reason"), detail, fields, metadata }
}

/// Repeats a call that is safe to repeat until it is answered by yes or no, or several tries were in vain.
pub async fn patiently<F>(call: impl Fn() -> F) -> Result<Answer, RestError>
where
    F: Future<Output = Result<Answer, RestError>>,
{
    let mut pause = PAUSE_FIRST;
    for _ in 1..TRIES_MAX {
        match call().await {
            Err(error) if error.is_worth_repeating() => tokio::time::sleep(pause).await,
            settled => return settled,
        }
        pause *= 2;
    }
    call().await
}

/// A text as one segment of a path or one value of a query: everything but letters, digits and `-._~` escaped.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::cell::Cell;

    #[test]
    fn whatever_stands_in_a_segment_stays_one_segment() {
        assert_eq!(encode("A-1.b_c~2"), "A-1.b_c~2");
        assert_eq!(encode("a/b?c=é %"), "a%2Fb%3Fc%3D%C3%A9%20%25");
    }

    #[test]
    fn a_problem_keeps_all_that_the_shop_says() {
        let body = json!({
            "status": 409, "reason": "SKU_TAKEN", "detail": "SKU X belongs to another product",
            "fields": [{"field": "product.title", "description": "must be there"}],
            "metadata": {"sku": "X"},
        });
        let error = understood(409, body.to_string().as_bytes()).expect_err("a refusal");
        let expected =
            "SKU X belongs to another product (SKU_TAKEN, status 409); product.title must be there";
        assert_eq!(error.to_string(), expected);
        let RestError::Problem { metadata, .. } = error else { panic!("a problem") };
        assert_eq!(metadata["sku"], "X");
    }

    #[test]
    fn an_answer_of_somebody_else_is_no_answer() {
        for (status, body) in [(200, "<html>"), (502, "<html>"), (404, ""), (500, "[]")] {
            let error = understood(status, body.as_bytes()).expect_err(body);
            assert!(error.to_string().contains("another server's"), "{error}");
        }
        assert_eq!(understood(204, b""), Ok(Answer { status: 204, body: Value::Null }));
    }

    #[tokio::test]
    async fn nobody_there_and_nowhere_to_go_are_told_apart() {
        // Nothing listens on port 1, and nothing could without being root.
        let nobody = Rest::new("http://127.0.0.1:1/", None).get("/").await.expect_err("nobody listens");
        assert!(nobody.is_worth_repeating());
        assert!(nobody.to_string().starts_with("http://127.0.0.1:1 does not answer: "), "{nobody}");
        let nowhere = Rest::new("no address", None).get("/").await.expect_err("no address");
        assert!(!nowhere.is_worth_repeating(), "{nowhere}");
    }

    #[test]
    fn exit_codes_tell_what_kind_of_no_it_was() {
        let code = |status| Failure::from(problem(status, &Value::Null)).code;
        assert_eq!([code(401), code(403), code(503), code(409)], [77, 77, 69, 1]);
        let unreachable = RestError::Unreachable { url: "http://x".into(), detail: "refused".into() };
        assert_eq!(Failure::from(unreachable).code, 69);
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_may_change_is_tried_again() {
        for (status, tries) in [(503, TRIES_MAX), (409, 1)] {
            let calls = Cell::new(0);
            let refused = patiently(|| async {
                calls.set(calls.get() + 1);
                Err(problem(status, &Value::Null))
            });
            assert!(refused.await.is_err());
            assert_eq!(calls.get(), tries, "{status}");
        }
    }
}
