//! What is asked over HTTP, put to the same books: reads forms, lets the [`Simulator`] carry out, shapes the answer.
use super::form::{Form, key_in, searched};
use super::shape::{self, Reply, note_of};
use crate::domain::{Command, Kind, Status};
use crate::proto;
use crate::simulator::Simulator;
use serde_json::{Value, json};
use souk_contracts::provider::v1 as pb;
use souk_contracts::terms::money_from_proto;
use souk_contracts::types::v1::Money as MoneyMessage;
use souk_kernel::{Code, Error, Timestamp};
use souk_rpc::Cx;

/// A request, as far as it matters.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) idempotency_key: &'a str,
    pub(crate) body: &'a [u8],
}

/// Why there is no good answer.
enum Not {
    /// Something is wrong with the request.
    Answered(Reply),
    /// Nothing is said at all.
    Silent,
}

impl From<Error> for Not {
    fn from(error: Error) -> Self {
        let reply = |status, kind, code| Not::Answered(Reply::error(status, kind, code, json!({})));
        match error.code() {
            Code::Unavailable | Code::DeadlineExceeded => Not::Silent,
            Code::AlreadyExists => reply(400, "idempotency_error", "idempotency_key_in_use"),
            Code::NotFound => Not::Answered(Reply::missing()),
            Code::InvalidArgument => reply(400, "invalid_request_error", "parameter_invalid"),
            Code::Unauthenticated
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::ResourceExhausted
            | Code::Cancelled
            | Code::Unimplemented
            | Code::Unknown
            | Code::DataLoss
            | Code::Internal => reply(500, "api_error", "provider_error"),
        }
    }
}

impl From<Reply> for Not {
    fn from(reply: Reply) -> Self {
        Not::Answered(reply)
    }
}

/// The answer; `None` when there is none.
pub(crate) async fn answer(simulator: &Simulator, cx: &Cx, asked: &Asked<'_>) -> Option<Reply> {
    match route(simulator, cx, asked).await {
        Ok(reply) | Err(Not::Answered(reply)) => Some(reply),
        Err(Not::Silent) => None,
    }
}

async fn route(simulator: &Simulator, cx: &Cx, asked: &Asked<'_>) -> Result<Reply, Not> {
    let path: Vec<_> = asked.path.trim_start_matches('/').split('/').collect();
    let is_write = asked.method == "POST";
    let text = if is_write { asked.body } else { asked.query.as_bytes() };
    let form = Form::parse(text).ok_or_else(|| Reply::invalid("body"))?;
    if is_write && asked.idempotency_key.is_empty() {
        return Err(Reply::invalid("Idempotency-Key").into());
    }
    let counter = Counter { simulator, cx, form: &form, key: asked.idempotency_key };
    match (asked.method, path.as_slice()) {
        ("POST", ["v1", "payment_intents"]) => counter.create().await,
        ("GET", ["v1", "payment_intents", "search"]) => counter.search().await,
        ("GET", ["v1", "payment_intents", id]) => {
            let intent = counter.intent(&intent_key(id)?).await?;
            intent.map(Reply::ok).ok_or_else(|| Reply::missing().into())
        }
        ("POST", ["v1", "payment_intents", id, "capture"]) => counter.capture(&intent_key(id)?).await,
        ("POST", ["v1", "payment_intents", id, "reauthorize"]) => counter.reauthorize(&intent_key(id)?).await,
        ("POST", ["v1", "payment_intents", id, "cancel"]) => {
            let (key, authorization_key) = (counter.key.to_owned(), intent_key(id)?);
            counter.on_intent(proto::void(pb::VoidRequest { key, authorization_key })).await
        }
        ("POST", ["v1", "payment_intents", id, "confirm"]) => counter.confirm(&intent_key(id)?).await,
        ("POST", ["v1", "refunds"]) => counter.refund().await,
        ("GET", ["v1", "refunds"]) => counter.refunds().await,
        ("GET", ["v1", "balance_transactions"]) => counter.transactions().await,
        _ => Err(Reply::missing().into()),
    }
}

fn intent_key(id: &str) -> Result<String, Reply> {
    key_in("pi", id).ok_or_else(Reply::missing)
}

/// One request on its way through.
struct Counter<'a> {
    simulator: &'a Simulator,
    cx: &'a Cx,
    form: &'a Form,
    key: &'a str,
}

impl Counter<'_> {
    async fn intent(&self, key: &str) -> Result<Option<Value>, Not> {
        Ok(shape::intent(key, &*self.simulator.authorization(key).await?))
    }

    async fn create(&self) -> Result<Reply, Not> {
        let (key, form) = (self.key.to_owned(), self.form);
        for (name, value) in [("capture_method", "manual"), ("metadata[key]", self.key)] {
            if form.text(name) != value {
                return Err(Reply::invalid(name).into());
            }
        }
        let amount = self.amount("amount", form.text("currency"))?;
        match form.text("confirm") {
            "true" => {}
            "false" => return self.create_unconfirmed(&amount).await,
            _ => return Err(Reply::invalid("confirm").into()),
        }
        let method_token = form.text("payment_method").to_owned();
        let reference = form.text("metadata[reference]").to_owned();
        let request = pb::AuthorizeRequest { key, amount: Some(amount), method_token, reference };
        let command = proto::authorize(request).map_err(Error::from)?;
        let operation = self.simulator.carry_out(self.cx, command).await?;
        let intent = self.intent(self.key).await?;
        match operation.status() {
            pb::OperationStatus::Declined => {
                let more = json!({ "decline_code": operation.decline_code, "payment_intent": intent });
                Ok(Reply::error(402, "card_error", "card_declined", more))
            }
            pb::OperationStatus::Succeeded
            | pb::OperationStatus::RequiresAction
            | pb::OperationStatus::Pending
            | pb::OperationStatus::Unspecified => Ok(Reply::ok(intent.unwrap_or_default())),
        }
    }

    /// Nothing is written into the books until it is confirmed or cancelled; a key that has been confirmed with a
    /// payment method names another request.
    async fn create_unconfirmed(&self, amount: &MoneyMessage) -> Result<Reply, Not> {
        let state = self.simulator.authorization(self.key).await?;
        if state.operation(self.key).is_some() {
            return Err(Reply::error(400, "idempotency_error", "idempotency_key_in_use", json!({})).into());
        }
        let currency = self.form.text("currency");
        Ok(Reply::ok(shape::unconfirmed(self.key, amount.minor_units, currency)))
    }

    fn amount(&self, name: &str, currency: &str) -> Result<MoneyMessage, Reply> {
        let is_lower = currency.bytes().all(|byte| byte.is_ascii_lowercase());
        let amount = self
            .form
            .number(name)
            .filter(|_| is_lower)
            .map(|minor_units| MoneyMessage { minor_units, currency: currency.to_ascii_uppercase() });
        amount.filter(|amount| money_from_proto(amount).is_ok()).ok_or_else(|| Reply::invalid(name))
    }

    /// The amount of this name, in the currency of the intent; what is noted of it must be what is kept of it.
    async fn amount_of(&self, authorization_key: &str, name: &str) -> Result<MoneyMessage, Not> {
        let state = self.simulator.authorization(authorization_key).await?;
        let promised = state.operation(authorization_key).and_then(|operation| operation.amount);
        let currency = promised.map(shape::currency).ok_or_else(Reply::missing)?;
        Ok(self.amount(name, &currency)?)
    }

    fn must_note(&self, amount: &MoneyMessage) -> Result<(), Reply> {
        let name = format!("metadata[{}]", note_of(self.key));
        let is_noted = self.form.text(&name) == amount.minor_units.to_string();
        if is_noted { Ok(()) } else { Err(Reply::invalid(&name)) }
    }

    async fn search(&self) -> Result<Reply, Not> {
        let key = searched(self.form.text("query")).ok_or_else(|| Reply::invalid("query"))?;
        let found: Vec<_> = self.intent(&key).await?.into_iter().collect();
        Ok(Reply::ok(json!({ "object": "search_result", "data": found, "has_more": false })))
    }

    async fn capture(&self, authorization_key: &str) -> Result<Reply, Not> {
        let amount = self.amount_of(authorization_key, "amount_to_capture").await?;
        self.must_note(&amount)?;
        let (key, authorization_key) = (self.key.to_owned(), authorization_key.to_owned());
        let amount = Some(amount);
        self.on_intent(proto::capture(pb::CaptureRequest { key, authorization_key, amount })).await
    }

    async fn reauthorize(&self, authorization_key: &str) -> Result<Reply, Not> {
        let amount = self.amount_of(authorization_key, "amount").await?;
        self.must_note(&amount)?;
        let (key, authorization_key) = (self.key.to_owned(), authorization_key.to_owned());
        let amount = Some(amount);
        self.on_intent(proto::reauthorize(pb::ReauthorizeRequest { key, authorization_key, amount })).await
    }

    /// The customer comes back.
    async fn confirm(&self, authorization_key: &str) -> Result<Reply, Not> {
        self.simulator.completed(self.cx, authorization_key.to_owned()).await?;
        let intent = self.intent(authorization_key).await?;
        intent.map(Reply::ok).ok_or_else(|| Reply::missing().into())
    }

    async fn on_intent(&self, read: Result<Command, souk_kernel::Invalid>) -> Result<Reply, Not> {
        let command = read.map_err(Error::from)?;
        let authorization_key = command.authorization_key().to_owned();
        let operation = self.simulator.carry_out(self.cx, command).await?;
        let intent = self.intent(&authorization_key).await?;
        if operation.status() == pb::OperationStatus::Declined {
            return Ok(shape::refusal(&operation.decline_code, intent));
        }
        Ok(Reply::ok(intent.unwrap_or_default()))
    }

    async fn refund(&self) -> Result<Reply, Not> {
        if self.form.text("metadata[key]") != self.key {
            return Err(Reply::invalid("metadata[key]").into());
        }
        let authorization_key = intent_key(self.form.text("payment_intent"))?;
        let amount = Some(self.amount_of(&authorization_key, "amount").await?);
        let key = self.key.to_owned();
        let request = pb::RefundRequest { key, authorization_key: authorization_key.clone(), amount };
        let command = proto::refund(request).map_err(Error::from)?;
        let answered = self.simulator.carry_out(self.cx, command).await?;
        let state = self.simulator.authorization(&authorization_key).await?;
        let operation = state.operation(self.key).ok_or(Not::Silent)?;
        let refund = shape::refund(&authorization_key, self.key, operation);
        let refused = || shape::refusal(&answered.decline_code, shape::intent(&authorization_key, &state));
        Ok(refund.map_or_else(refused, Reply::ok))
    }

    /// By the time that somebody asks, what was on its way has come to its end.
    async fn refunds(&self) -> Result<Reply, Not> {
        let authorization_key = intent_key(self.form.text("payment_intent"))?;
        let state = self.simulator.authorization(&authorization_key).await?;
        let on_their_way = |status: &Status| *status == Status::Pending;
        let pending = state.operations().iter().filter(|(_, operation)| on_their_way(&operation.status));
        for (key, _) in pending {
            self.simulator.find(self.cx, key.clone()).await?;
        }
        let state = self.simulator.authorization(&authorization_key).await?;
        let operations = state.operations().iter().filter(|(_, operation)| operation.kind == Kind::Refund);
        let refunds: Vec<_> = operations
            .filter_map(|(key, operation)| shape::refund(&authorization_key, key, operation))
            .collect();
        Ok(Reply::ok(json!({ "object": "list", "data": refunds, "has_more": false })))
    }

    /// What was taken and given back in a time.
    async fn transactions(&self) -> Result<Reply, Not> {
        let second = |name: &str| {
            let second = self.form.number(name).ok_or_else(|| Reply::invalid(name))?;
            Ok::<_, Reply>(Timestamp::from_unix_s(second))
        };
        let (from, to) = (second("created[gte]")?, second("created[lt]")?);
        let after = proto::after(self.form.text("page")).ok_or_else(|| Reply::invalid("page"))?;
        let page = self.simulator.list(proto::Page { from, to, after }).await?;
        let data: Vec<_> = page.operations.iter().filter_map(transaction).collect();
        let next = Some(page.next_page_token).filter(|next| !next.is_empty());
        Ok(Reply::ok(
            json!({ "object": "list", "data": data, "has_more": next.is_some(), "next_page": next }),
        ))
    }
}

/// Money that moved; refunds are negative.
fn transaction(operation: &pb::Operation) -> Option<Value> {
    let amount = operation.amount.as_ref()?;
    let (kind, sign) = match operation.kind() {
        pb::OperationKind::Capture => ("charge", 1),
        pb::OperationKind::Refund => ("refund", -1),
        pb::OperationKind::Authorize
        | pb::OperationKind::Void
        | pb::OperationKind::Reauthorize
        | pb::OperationKind::Unspecified => return None,
    };
    (operation.status() == pb::OperationStatus::Succeeded).then(|| {
        json!({
            "object": "balance_transaction",
            "type": kind,
            "amount": sign * amount.minor_units,
            "currency": amount.currency.to_ascii_lowercase(),
            "source": { "object": kind, "metadata": { "key": operation.key } },
        })
    })
}
