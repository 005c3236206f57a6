//! Double-entry bookkeeping. A promise is not money and posts nothing. What is captured is owed to us by the
//! provider (debit `provider_clearing`) and is revenue (credit `revenue`); what is refunded lessens the
//! revenue (debit `refunds`) and is owed by us (credit `provider_clearing`). What a dispute takes away stands in
//! `disputes` until it is won, or for good.
//!
//! Debits are positive, credits negative. A transaction is made by moving one amount between two accounts,
//! so that it cannot but balance.
use super::PaymentEvent;
use souk_kernel::{Currency, Money};
use std::fmt;

/// Where money can stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// What the provider owes us.
    ProviderClearing,
    /// What was sold.
    Revenue,
    /// What was given back.
    Refunds,
    /// What disputes keep away from us.
    Disputes,
}

impl Account {
    /// Every account.
    pub const ALL: [Account; 4] =
        [Account::ProviderClearing, Account::Revenue, Account::Refunds, Account::Disputes];

    /// The name in the books.
    pub fn name(self) -> &'static str {
        match self {
            Account::ProviderClearing => "provider_clearing",
            Account::Revenue => "revenue",
            Account::Refunds => "refunds",
            Account::Disputes => "disputes",
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One side of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting {
    /// Where.
    pub account: Account,
    /// Debit positive, credit negative.
    pub minor_units: i64,
}

/// What one event posts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// The provider's key of the operation, or the dispute's: unique, since a key has one effect.
    pub id: String,
    /// The one currency.
    pub currency: Currency,
    /// What is posted; adds up to zero.
    pub postings: [Posting; 2],
}

impl Transaction {
    /// What `event` posts, if anything.
    pub fn of(event: &PaymentEvent) -> Option<Transaction> {
        match event {
            PaymentEvent::CaptureSucceeded(e) => {
                Self::transfer(&e.key, e.amount, Account::ProviderClearing, Account::Revenue)
            }
            PaymentEvent::RefundSucceeded(e) => {
                Self::transfer(&e.key, e.amount, Account::Refunds, Account::ProviderClearing)
            }
            PaymentEvent::DisputeOpened(e) => {
                let id = format!("{}:dispute:{}:opened", e.payment_id, e.dispute_id);
                Self::transfer(&id, e.amount, Account::Disputes, Account::ProviderClearing)
            }
            PaymentEvent::DisputeWon(e) => {
                let id = format!("{}:dispute:{}:won", e.payment_id, e.dispute_id);
                Self::transfer(&id, e.amount, Account::ProviderClearing, Account::Disputes)
            }
            PaymentEvent::AuthorizationRequested(_)
            | PaymentEvent::ActionRequired(_)
            | PaymentEvent::AuthorizationExpired(_)
            | PaymentEvent::ReauthorizationRequested(_)
            | PaymentEvent::ReauthorizationSucceeded(_)
            | PaymentEvent::ReauthorizationRefused(_)
            | PaymentEvent::ReauthorizationUnknown(_)
            // The money is away already.
            | PaymentEvent::DisputeLost(_)
            | PaymentEvent::AuthorizationSucceeded(_)
            | PaymentEvent::AuthorizationDeclined(_)
            | PaymentEvent::AuthorizationUnknown(_)
            | PaymentEvent::CaptureRequested(_)
            | PaymentEvent::CaptureRefused(_)
            | PaymentEvent::CaptureUnknown(_)
            | PaymentEvent::VoidRequested(_)
            | PaymentEvent::Voided(_)
            | PaymentEvent::VoidRefused(_)
            | PaymentEvent::VoidUnknown(_)
            | PaymentEvent::RefundRequested(_)
            | PaymentEvent::RefundRefused(_)
            | PaymentEvent::RefundPending(_)
            | PaymentEvent::RefundUnknown(_)
            | PaymentEvent::PaymentTombstoned(_) => None,
        }
    }

    /// Whether debits and credits add up to zero.
    pub fn is_balanced(&self) -> bool {
        let sum = self.postings.iter().try_fold(0i64, |sum, posting| sum.checked_add(posting.minor_units));
        sum == Some(0)
    }

    fn transfer(id: &str, amount: Money, debit: Account, credit: Account) -> Option<Transaction> {
        let minor_units = amount.minor_units();
        let postings = [
            Posting { account: debit, minor_units },
            Posting { account: credit, minor_units: minor_units.checked_neg()? },
        ];
        let transaction = Transaction { id: id.to_owned(), currency: amount.currency(), postings };
        (minor_units != 0).then_some(transaction)
    }
}
