//! The provider that answers an HTTP API of payment intents: forms in, JSON out, an idempotency key on every write.
//!
//! An intent is found by the key that is noted in its metadata when it is made; a capture notes itself in the
//! intent's metadata, a refund has metadata of its own. So the outcome of every operation can be asked for by key, and
//! what is not found is done with the same key, which has at most one effect. Nothing else is remembered here.
mod client;
mod notice;
mod read;

pub use client::{Account, NotUsable};

use crate::domain::notice::Notice;
use crate::domain::{Answer, Step};
use crate::effects::{Authorize, Message, Move, Provider, Reported};
use crate::proto::Day;
use client::Client;
use read::{Done, Intent, List, Refund, Transaction, asked, done, money, unreadable};
use souk_contracts::terms::PaymentId;
use souk_identity::WebhookSecret;
use souk_kernel::{Code, Error, Timestamp};
use souk_rpc::{BoxFuture, Cx};

/// What the signatures of the provider's notices are made for; see [`WebhookSecret::derived`].
pub const WEBHOOK_PURPOSE: &str = "payments of intents";

/// The provider's name in addresses and books.
pub const NAME: &str = "intents";

/// The header with a notice's signature.
const SIGNATURE: &str = "webhook-signature";

/// How many pages a list has at most.
const PAGES_MAX: usize = 10_000;

/// What every request about an intent asks to see of it.
const WHOLE: (&str, &str) = ("expand[]", "latest_charge");

/// The provider, called over HTTP.
pub struct IntentsProvider {
    client: Client,
    secret: WebhookSecret,
}

/// What an operation is called in the metadata of its intent: its key without the payment's id, because names in
/// metadata have to be short.
fn note_of(key: &str) -> &str {
    key.split_once(':').map_or(key, |(_, note)| note)
}

impl IntentsProvider {
    /// The provider with this account; its notices are signed with `secret`.
    pub fn new(account: Account, secret: WebhookSecret) -> Self {
        Self { client: Client::new(account), secret }
    }

    /// The intent that was made under this key, if any was.
    async fn intent(&self, cx: &Cx, key: &str) -> Result<Option<Intent>, Error> {
        let query = format!("metadata['key']:'{}'", key.replace('\\', r"\\").replace('\'', r"\'"));
        let query = [("query", query.as_str()), WHOLE];
        let found: List<Intent> = asked(self.client.get(cx, "/v1/payment_intents/search", &query).await?)?;
        Ok(found.data.into_iter().find(|intent| intent.metadata.get("key").is_some_and(|own| own == key)))
    }

    async fn known(&self, cx: &Cx, key: &str) -> Result<Intent, Error> {
        let unknown = || Error::unavailable("the payment provider does not find what it promised");
        self.intent(cx, key).await?.ok_or_else(unknown)
    }

    async fn promise(&self, cx: Cx, call: Authorize) -> Result<Answer, Error> {
        let (amount, currency) = (call.amount.minor_units().to_string(), lower(call.amount));
        let fields = [
            ("amount", amount.as_str()),
            ("currency", &currency),
            ("capture_method", "manual"),
            ("confirm", "true"),
            ("payment_method", &call.method_token),
            ("payment_method_options[card][request_multicapture]", "if_available"),
            ("metadata[key]", &call.key),
            ("metadata[reference]", &call.reference),
            WHOLE,
        ];
        match done::<Intent>(self.client.post(&cx, "/v1/payment_intents", &call.key, &fields).await?)? {
            Done::As(intent) => intent.authorization(),
            Done::Refused(code) => Ok(Answer::Declined(code)),
        }
    }

    /// Does something with an intent that leaves a note on it, and sees to it that it did.
    async fn noted(&self, cx: Cx, call: Move, verb: &str, name: &str) -> Result<Done<Intent>, Error> {
        let intent = self.known(&cx, &call.authorization).await?;
        let (amount, note) = (call.amount.minor_units().to_string(), note_of(&call.key));
        let metadata = format!("metadata[{note}]");
        // A capture is one of many: what is left stays promised.
        let fields = [(name, amount.as_str()), ("final_capture", "false"), (&metadata, &amount), WHOLE];
        let path = format!("/v1/payment_intents/{}/{verb}", intent.id);
        match done::<Intent>(self.client.post(&cx, &path, &call.key, &fields).await?)? {
            Done::As(intent) if intent.has(note) => Ok(Done::As(intent)),
            Done::As(_) => Err(unreadable()),
            Done::Refused(code) => Ok(Done::Refused(code)),
        }
    }

    /// Where there is nothing to give up, the key of the authorisation is taken with an intent that has no payment
    /// method and is given up at once: whatever else comes late under this key is another request and refused. Of
    /// what is promised nobody knows the sum here; the smallest one stands for it.
    async fn give_up(&self, cx: Cx, key: String, authorization: String) -> Result<Answer, Error> {
        let intent = match self.intent(&cx, &authorization).await? {
            Some(intent) => intent,
            None => self.placeholder(&cx, &authorization).await?,
        };
        let fields = [("cancellation_reason", "requested_by_customer"), WHOLE];
        let path = format!("/v1/payment_intents/{}/cancel", intent.id);
        match done::<Intent>(self.client.post(&cx, &path, &key, &fields).await?)? {
            Done::As(intent) if intent.is_given_up() => Ok(Answer::Succeeded),
            Done::As(_) => Err(unreadable()),
            // It was given up before, by another key.
            Done::Refused(code) if code == "voided" => Ok(Answer::Succeeded),
            Done::Refused(code) => Ok(Answer::Declined(code)),
        }
    }

    async fn placeholder(&self, cx: &Cx, authorization: &str) -> Result<Intent, Error> {
        let fields = [
            ("amount", "100"),
            ("currency", "eur"),
            ("capture_method", "manual"),
            ("confirm", "false"),
            ("metadata[key]", authorization),
        ];
        match done::<Intent>(self.client.post(cx, "/v1/payment_intents", authorization, &fields).await?)? {
            Done::As(intent) => Ok(intent),
            Done::Refused(_) => Err(unreadable()),
        }
    }

    async fn give_back(&self, cx: Cx, call: Move) -> Result<Answer, Error> {
        let intent = self.known(&cx, &call.authorization).await?;
        let amount = call.amount.minor_units().to_string();
        let fields =
            [("payment_intent", intent.id.as_str()), ("amount", &amount), ("metadata[key]", &call.key)];
        match done::<Refund>(self.client.post(&cx, "/v1/refunds", &call.key, &fields).await?)? {
            Done::As(refund) => Ok(refund.answer()),
            Done::Refused(code) => Ok(Answer::Declined(code)),
        }
    }

    /// The customer came back: the intent goes on, or says how it stands.
    async fn confirm(&self, cx: Cx, authorization: String) -> Result<Option<Answer>, Error> {
        let Some(intent) = self.intent(&cx, &authorization).await? else { return Ok(None) };
        if intent.status != read::Status::RequiresAction {
            return intent.authorization().map(Some);
        }
        let path = format!("/v1/payment_intents/{}/confirm", intent.id);
        let key = format!("{authorization}:confirm");
        match done::<Intent>(self.client.post(&cx, &path, &key, &[WHOLE]).await?)? {
            Done::As(intent) => intent.authorization().map(Some),
            Done::Refused(code) => Ok(Some(Answer::Declined(code))),
        }
    }

    async fn outcome(&self, cx: Cx, key: String) -> Result<Option<Answer>, Error> {
        let payment = key.split(':').next().and_then(|id| id.parse::<PaymentId>().ok());
        let Some(authorization) = payment.map(|id| Step::Authorize.key(id)) else { return Ok(None) };
        let found = self.intent(&cx, &authorization).await?;
        let Some(intent) = found.filter(|intent| !intent.is_unconfirmed()) else { return Ok(None) };
        let note = note_of(&key);
        match note.split(':').next().unwrap_or_default() {
            "authorize" => intent.authorization().map(Some),
            "void" => Ok(intent.is_given_up().then_some(Answer::Succeeded)),
            "refund" => Ok(self.refund_of(&cx, &intent, &key).await?.map(|refund| refund.answer())),
            "capture" => Ok(intent.has(note).then_some(Answer::Succeeded)),
            "reauthorize" => Ok(intent.has(note).then(|| intent.promised())),
            _ => Ok(None),
        }
    }

    async fn refund_of(&self, cx: &Cx, intent: &Intent, key: &str) -> Result<Option<Refund>, Error> {
        let mut after = String::new();
        for _ in 0..PAGES_MAX {
            let mut query = vec![("payment_intent", intent.id.as_str()), ("limit", "100")];
            if !after.is_empty() {
                query.push(("starting_after", &after));
            }
            let page: List<Refund> = asked(self.client.get(cx, "/v1/refunds", &query).await?)?;
            let found =
                page.data.iter().find(|refund| refund.metadata.get("key").is_some_and(|own| own == key));
            let last = page.data.last().map(|refund| refund.id.clone());
            match (found, last) {
                (Some(refund), _) => return Ok(Some(refund.clone())),
                (None, Some(last)) if page.has_more => after = last,
                (None, _) => return Ok(None),
            }
        }
        Err(unreadable())
    }

    /// What was taken and given back; promises are no movements of money and not in it.
    async fn movements(&self, cx: Cx, day: Day) -> Result<Vec<Reported>, Error> {
        let (from, to) = (day.from.unix_s().to_string(), day.to.unix_s().to_string());
        let (mut lines, mut next) = (Vec::new(), String::new());
        for _ in 0..PAGES_MAX {
            let mut query = vec![
                ("created[gte]", from.as_str()),
                ("created[lt]", &to),
                ("limit", "100"),
                ("expand[]", "data.source"),
            ];
            if !next.is_empty() {
                query.push(("page", &next));
            }
            let page: List<Transaction> =
                asked(self.client.get(&cx, "/v1/balance_transactions", &query).await?)?;
            for line in page.data {
                lines.push(reported(line)?);
            }
            match page.next_page {
                Some(page) => next = page,
                None => return Ok(lines),
            }
        }
        Err(unreadable())
    }
}

/// What carries no key of ours is in the report all the same, under no key.
fn reported(line: Transaction) -> Result<Reported, Error> {
    let amount = money(line.amount.saturating_abs(), &line.currency).ok_or_else(unreadable)?;
    let key = line.source.metadata.get("key").cloned().unwrap_or_default();
    Ok(Reported { key, answer: Answer::Succeeded, amount: Some(amount) })
}

fn lower(amount: souk_kernel::Money) -> String {
    amount.currency().code().to_ascii_lowercase()
}

impl Provider for IntentsProvider {
    fn authorize(&self, cx: Cx, call: Authorize) -> BoxFuture<'_, Result<Answer, Error>> {
        Box::pin(self.promise(cx, call))
    }

    fn capture(&self, cx: Cx, call: Move) -> BoxFuture<'_, Result<Answer, Error>> {
        Box::pin(async move {
            Ok(match self.noted(cx, call, "capture", "amount_to_capture").await? {
                Done::As(_) => Answer::Succeeded,
                Done::Refused(code) => Answer::Declined(code),
            })
        })
    }

    fn void(&self, cx: Cx, key: String, authorization: String) -> BoxFuture<'_, Result<Answer, Error>> {
        Box::pin(self.give_up(cx, key, authorization))
    }

    fn refund(&self, cx: Cx, call: Move) -> BoxFuture<'_, Result<Answer, Error>> {
        Box::pin(self.give_back(cx, call))
    }

    fn reauthorize(&self, cx: Cx, call: Move) -> BoxFuture<'_, Result<Answer, Error>> {
        Box::pin(async move {
            Ok(match self.noted(cx, call, "reauthorize", "amount").await? {
                Done::As(intent) => intent.promised(),
                Done::Refused(code) => Answer::Declined(code),
            })
        })
    }

    fn complete(&self, cx: Cx, authorization: String) -> BoxFuture<'_, Result<Option<Answer>, Error>> {
        Box::pin(self.confirm(cx, authorization))
    }

    fn find(&self, cx: Cx, key: String) -> BoxFuture<'_, Result<Option<Answer>, Error>> {
        Box::pin(self.outcome(cx, key))
    }

    fn report(&self, cx: Cx, day: Day) -> BoxFuture<'_, Result<Vec<Reported>, Error>> {
        Box::pin(self.movements(cx, day))
    }

    fn notice(&self, message: &Message<'_>, now: Timestamp) -> Result<Notice, Error> {
        let header = message.headers.get(SIGNATURE).map_or("", String::as_str);
        self.secret.verify(header, now, message.body).map_err(|why| {
            Error::new(Code::Unauthenticated, "BAD_SIGNATURE", "the message is not signed as it must be")
                .with_source(why)
        })?;
        Ok(notice::read(message.body)?)
    }

    fn name(&self) -> &'static str {
        NAME
    }
}
