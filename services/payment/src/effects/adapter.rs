//! The provider that answers `souk.provider.v1` and tells what it has to tell in protobuf.
use crate::domain::Answer;
use crate::domain::notice::{About, Notice, Stage, Told};
use crate::effects::{Authorize, Message, Move, Provider, Reported};
use crate::proto::Day;
use souk_contracts::provider::v1 as pb;
use souk_contracts::provider::v1::ProviderServiceClient;
use souk_contracts::terms::{money_from_proto, money_to_proto};
use souk_identity::{ServiceIdentity, WebhookSecret};
use souk_kernel::{Code, Error, Invalid, Money, Timestamp};
use souk_rpc::{BoxFuture, Cx, Peers};
use std::sync::Arc;

/// What the signatures of the provider's notices are made for; see [`WebhookSecret::derived`].
pub const WEBHOOK_PURPOSE: &str = "payments of sim";

/// The provider's name in addresses and books.
pub const NAME: &str = "sim";

/// The header with a notice's signature.
const SIGNATURE: &str = "webhook-signature";

/// The longest id of a notice or a dispute, and the longest reason of one.
const ID_BYTES_MAX: usize = 300;

/// How many pages a report of a day has at most.
const PAGES_MAX: usize = 10_000;

/// The provider, called over its contract.
pub struct RpcProvider {
    client: ProviderServiceClient,
    identity: Arc<ServiceIdentity>,
    secret: WebhookSecret,
}

impl RpcProvider {
    /// The provider that `peers` knows, called as `identity`; its notices are signed with `secret`.
    pub fn new(peers: &Peers, identity: Arc<ServiceIdentity>, secret: WebhookSecret) -> Self {
        Self { client: peers.get(), identity, secret }
    }

    fn cx(&self, cx: &Cx) -> Cx {
        cx.for_call(self.identity.token_for("provider", None))
    }

    async fn whole_report(&self, cx: Cx, date: String) -> Result<Vec<Reported>, Error> {
        let (mut lines, mut page_token) = (Vec::new(), String::new());
        for _ in 0..PAGES_MAX {
            let request = pb::ListOperationsRequest { date: date.clone(), page_token };
            let page = self.client.list_operations(self.cx(&cx), request).await?;
            for operation in page.operations {
                let amount = money(operation.amount.as_ref())?;
                lines.push(Reported { key: operation.key.clone(), amount, answer: answer(Some(operation))? });
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(lines);
            }
        }
        Err(Error::unavailable("the payment provider's report has no end"))
    }
}

fn unreadable() -> Error {
    Error::unavailable("the payment provider's answer cannot be read")
}

fn money(message: Option<&souk_contracts::types::v1::Money>) -> Result<Option<Money>, Error> {
    message.map(money_from_proto).transpose().map_err(|_| unreadable())
}

/// What the provider's record says. A status that we do not know is no answer.
fn answer(operation: Option<pb::Operation>) -> Result<Answer, Error> {
    let operation = operation.ok_or_else(unreadable)?;
    match operation.status() {
        pb::OperationStatus::Succeeded => {
            let until = operation.expires_at.as_ref().and_then(souk_rpc::time::from_proto);
            Ok(until.map_or(Answer::Succeeded, Answer::Promised))
        }
        pb::OperationStatus::Declined => Ok(Answer::Declined(operation.decline_code)),
        pb::OperationStatus::Pending => Ok(Answer::Pending),
        pb::OperationStatus::RequiresAction => {
            let until = operation.expires_at.as_ref().and_then(souk_rpc::time::from_proto);
            Ok(Answer::ActionRequired { url: operation.action_url, until })
        }
        pb::OperationStatus::Unspecified => Err(unreadable()),
    }
}

impl Provider for RpcProvider {
    fn authorize(&self, cx: Cx, call: Authorize) -> BoxFuture<'_, Result<Answer, Error>> {
        let Authorize { key, amount, method_token, reference } = call;
        let amount = Some(money_to_proto(amount));
        let request = pb::AuthorizeRequest { key, amount, method_token, reference };
        Box::pin(async move { answer(self.client.authorize(self.cx(&cx), request).await?.operation) })
    }

    fn capture(&self, cx: Cx, call: Move) -> BoxFuture<'_, Result<Answer, Error>> {
        let Move { key, authorization: authorization_key, amount } = call;
        let request = pb::CaptureRequest { key, authorization_key, amount: Some(money_to_proto(amount)) };
        Box::pin(async move { answer(self.client.capture(self.cx(&cx), request).await?.operation) })
    }

    fn void(&self, cx: Cx, key: String, authorization_key: String) -> BoxFuture<'_, Result<Answer, Error>> {
        let request = pb::VoidRequest { key, authorization_key };
        Box::pin(async move { answer(self.client.void(self.cx(&cx), request).await?.operation) })
    }

    fn refund(&self, cx: Cx, call: Move) -> BoxFuture<'_, Result<Answer, Error>> {
        let Move { key, authorization: authorization_key, amount } = call;
        let request = pb::RefundRequest { key, authorization_key, amount: Some(money_to_proto(amount)) };
        Box::pin(async move { answer(self.client.refund(self.cx(&cx), request).await?.operation) })
    }

    fn reauthorize(&self, cx: Cx, call: Move) -> BoxFuture<'_, Result<Answer, Error>> {
        let Move { key, authorization: authorization_key, amount } = call;
        let request = pb::ReauthorizeRequest { key, authorization_key, amount: Some(money_to_proto(amount)) };
        Box::pin(async move { answer(self.client.reauthorize(self.cx(&cx), request).await?.operation) })
    }

    fn complete(&self, cx: Cx, authorization_key: String) -> BoxFuture<'_, Result<Option<Answer>, Error>> {
        let request = pb::CompleteActionRequest { authorization_key };
        Box::pin(async move {
            let found = self.client.complete_action(self.cx(&cx), request).await?;
            found.operation.map(|operation| answer(Some(operation))).transpose()
        })
    }

    fn find(&self, cx: Cx, key: String) -> BoxFuture<'_, Result<Option<Answer>, Error>> {
        let request = pb::FindByKeyRequest { key };
        Box::pin(async move {
            let found = self.client.find_by_key(self.cx(&cx), request).await?;
            found.operation.map(|operation| answer(Some(operation))).transpose()
        })
    }

    fn report(&self, cx: Cx, day: Day) -> BoxFuture<'_, Result<Vec<Reported>, Error>> {
        Box::pin(self.whole_report(cx, day.date))
    }

    fn notice(&self, message: &Message<'_>, now: Timestamp) -> Result<Notice, Error> {
        let header = message.headers.get(SIGNATURE).map_or("", String::as_str);
        self.secret.verify(header, now, message.body).map_err(|why| {
            Error::new(Code::Unauthenticated, "BAD_SIGNATURE", "the message is not signed as it must be")
                .with_source(why)
        })?;
        Ok(read(message.body)?)
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

/// Reads a notice whose signature is good.
fn read(body: &[u8]) -> Result<Notice, Invalid> {
    let Ok(message) = <pb::Notification as prost::Message>::decode(body) else {
        return Err(Invalid::field("body", "is no notification"));
    };
    let mut invalid = Invalid::new();
    if !(1..=ID_BYTES_MAX).contains(&message.event_id.len()) {
        invalid.add("body.eventId", format!("must be 1 to {ID_BYTES_MAX} bytes"));
    }
    let read = match message.about {
        Some(pb::notification::About::Operation(operation)) => of_operation(&mut invalid, operation),
        Some(pb::notification::About::Dispute(dispute)) => of_dispute(&mut invalid, dispute),
        None => {
            invalid.add("body.about", "is missing");
            None
        }
    };
    let notice =
        |(about, amount)| Notice { provider: NAME.to_owned(), event_id: message.event_id, about, amount };
    invalid.finish(read.map(notice))
}

fn of_operation(invalid: &mut Invalid, operation: pb::Operation) -> Option<(About, Option<Money>)> {
    let amount = operation.amount.as_ref().map(money_from_proto).transpose();
    let amount = invalid.take("body.operation.amount", amount)?;
    let key = operation.key.clone();
    let told = match answer(Some(operation)) {
        Ok(Answer::Succeeded) => Told::Succeeded,
        Ok(Answer::Promised(until)) => Told::Promised(until),
        Ok(Answer::Declined(code)) => Told::Declined(code),
        Ok(Answer::Pending | Answer::ActionRequired { .. }) => Told::Pending,
        Err(_) => {
            invalid.add("body.operation.status", "is not known");
            return None;
        }
    };
    Some((About::Operation { key, told }, amount))
}

fn of_dispute(invalid: &mut Invalid, dispute: pb::Dispute) -> Option<(About, Option<Money>)> {
    let stage = match dispute.status() {
        pb::DisputeStatus::Open => Some(Stage::Open),
        pb::DisputeStatus::Won => Some(Stage::Won),
        pb::DisputeStatus::Lost => Some(Stage::Lost),
        pb::DisputeStatus::Unspecified => None,
    };
    if stage.is_none() {
        invalid.add("body.dispute.status", "is not known");
    }
    for (field, text) in [("disputeId", &dispute.dispute_id), ("reason", &dispute.reason)] {
        let fits = (1..=ID_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        if !fits {
            invalid.add(format!("body.dispute.{field}"), format!("must be 1 to {ID_BYTES_MAX} bytes"));
        }
    }
    let amount = dispute.amount.as_ref().map(money_from_proto).transpose();
    let amount = invalid.take("body.dispute.amount", amount)?;
    let pb::Dispute { dispute_id, authorization_key, reason, .. } = dispute;
    Some((About::Dispute { authorization_key, dispute_id, stage: stage?, reason }, amount))
}
