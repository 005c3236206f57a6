//! The service as others call it: parse, carry out, answer.
use crate::effects::{Cashier, Message};
use crate::{domain::Command, domain::Payment, proto, views};
use souk_contracts::payment::v1 as pb;
use souk_contracts::payment::v1::PaymentService;
use souk_contracts::terms::{PaymentId, money_to_proto};
use souk_eventstore::EventStore;
use souk_identity::{Kind, Principal};
use souk_kernel::Error;
use souk_rpc::{BoxFuture, Cx};

/// Who may see every payment.
const READERS: [&str; 2] = ["support", "admin"];

/// Answers `souk.payment.v1`.
pub struct Counter {
    store: EventStore,
    cashier: Cashier,
}

impl Counter {
    /// A counter over these books.
    pub fn new(store: EventStore, cashier: Cashier) -> Self {
        Self { store, cashier }
    }

    async fn carry_out(&self, cx: &Cx, command: Command) -> Result<Option<pb::Payment>, Error> {
        let id = command.payment_id;
        let payment = self.cashier.carry_out(cx, command).await?;
        Ok(Some(proto::payment(id, &payment)))
    }

    async fn get(&self, cx: &Cx, id: PaymentId) -> Result<pb::Payment, Error> {
        let payment = self.cashier.payment(id).await?;
        if payment.exists() && may_see(cx.principal()?, &payment) {
            Ok(proto::payment(id, &payment))
        } else {
            Err(Error::not_found("the payment"))
        }
    }

    /// Only the owner can have acted.
    async fn complete(&self, cx: &Cx, id: PaymentId) -> Result<pb::Payment, Error> {
        let payment = self.cashier.payment(id).await?;
        if !is_owner(cx.principal()?, &payment) {
            return Err(Error::not_found("the payment"));
        }
        Ok(proto::payment(id, &*self.cashier.complete_action(cx, id).await?))
    }
}

/// Its owner and nobody else.
fn is_owner(principal: &Principal, payment: &Payment) -> bool {
    payment.request().is_some_and(|request| request.owner == principal.owner())
}

/// Its owner, whoever acts for its owner, staff with a role that sees all, and services on their own account.
fn may_see(principal: &Principal, payment: &Payment) -> bool {
    let sees_all = match principal.kind {
        Kind::Staff => READERS.iter().any(|role| principal.has_role(role)),
        Kind::Service => principal.actor_for.is_none(),
        Kind::Guest | Kind::Customer => false,
    };
    is_owner(principal, payment) || sees_all
}

impl PaymentService for Counter {
    fn authorize(
        &self,
        cx: Cx,
        request: pb::AuthorizeRequest,
    ) -> BoxFuture<'_, Result<pb::AuthorizeResponse, Error>> {
        Box::pin(async move {
            let command = proto::authorize(request, cx.principal()?.owner())?;
            Ok(pb::AuthorizeResponse { payment: self.carry_out(&cx, command).await? })
        })
    }

    fn capture(
        &self,
        cx: Cx,
        request: pb::CaptureRequest,
    ) -> BoxFuture<'_, Result<pb::CaptureResponse, Error>> {
        Box::pin(async move {
            let command = proto::capture(request)?;
            Ok(pb::CaptureResponse { payment: self.carry_out(&cx, command).await? })
        })
    }

    fn void(&self, cx: Cx, request: pb::VoidRequest) -> BoxFuture<'_, Result<pb::VoidResponse, Error>> {
        Box::pin(async move {
            let command = proto::void(request)?;
            Ok(pb::VoidResponse { payment: self.carry_out(&cx, command).await? })
        })
    }

    fn refund(&self, cx: Cx, request: pb::RefundRequest) -> BoxFuture<'_, Result<pb::RefundResponse, Error>> {
        Box::pin(async move {
            let command = proto::refund(request)?;
            Ok(pb::RefundResponse { payment: self.carry_out(&cx, command).await? })
        })
    }

    fn reauthorize(
        &self,
        cx: Cx,
        request: pb::ReauthorizeRequest,
    ) -> BoxFuture<'_, Result<pb::ReauthorizeResponse, Error>> {
        Box::pin(async move {
            let command = proto::reauthorize(request)?;
            Ok(pb::ReauthorizeResponse { payment: self.carry_out(&cx, command).await? })
        })
    }

    fn complete_action(
        &self,
        cx: Cx,
        request: pb::CompleteActionRequest,
    ) -> BoxFuture<'_, Result<pb::CompleteActionResponse, Error>> {
        Box::pin(async move {
            let payment = self.complete(&cx, proto::complete_action(&request)?).await?;
            Ok(pb::CompleteActionResponse { payment: Some(payment) })
        })
    }

    fn handle_webhook(
        &self,
        cx: Cx,
        request: pb::HandleWebhookRequest,
    ) -> BoxFuture<'_, Result<pb::HandleWebhookResponse, Error>> {
        Box::pin(async move {
            let message = Message { headers: &request.headers, body: &request.body };
            self.cashier.take_notice(&cx, &request.provider, message).await?;
            Ok(pb::HandleWebhookResponse {})
        })
    }

    fn reconcile(
        &self,
        cx: Cx,
        request: pb::ReconcileRequest,
    ) -> BoxFuture<'_, Result<pb::ReconcileResponse, Error>> {
        Box::pin(async move {
            let day = proto::reconcile(request)?;
            let date = day.date.clone();
            let found = self.cashier.reconcile(&cx, day).await?;
            Ok(proto::compared(date, found))
        })
    }

    fn list_payment_issues(
        &self,
        _cx: Cx,
        request: pb::ListPaymentIssuesRequest,
    ) -> BoxFuture<'_, Result<pb::ListPaymentIssuesResponse, Error>> {
        Box::pin(async move {
            let issues = views::issues(&self.store, proto::list_issues(&request)?).await?;
            Ok(pb::ListPaymentIssuesResponse { issues: issues.into_iter().map(proto::issue).collect() })
        })
    }

    fn get_payment(
        &self,
        cx: Cx,
        request: pb::GetPaymentRequest,
    ) -> BoxFuture<'_, Result<pb::GetPaymentResponse, Error>> {
        Box::pin(async move {
            let payment = self.get(&cx, proto::get(&request)?).await?;
            Ok(pb::GetPaymentResponse { payment: Some(payment) })
        })
    }

    fn get_ledger(
        &self,
        _cx: Cx,
        _request: pb::GetLedgerRequest,
    ) -> BoxFuture<'_, Result<pb::GetLedgerResponse, Error>> {
        Box::pin(async move {
            let balances = views::balances(&self.store).await?;
            let message = |(account, amount): &(String, _)| proto::balance(account, money_to_proto(*amount));
            Ok(pb::GetLedgerResponse { balances: balances.iter().map(message).collect() })
        })
    }
}
