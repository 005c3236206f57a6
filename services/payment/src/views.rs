//! The ledger as tables, posted in the commit that records the movement of money; and what a person has to look at.
use crate::domain::events::Refusal;
use crate::domain::ledger::Transaction;
use crate::domain::notice::{Kept, NoticeEvent};
use crate::domain::reconciliation::{DayEvent, Reconciliation};
use crate::domain::{Payment, PaymentEvent, Step};
use crate::invariants;
use souk_eventstore::{Error, EventStore, Recorded, Row, Statement, Table, View};
use souk_kernel::{Currency, Money, Timestamp};

const LEDGER: Table = Table {
    name: "payment_ledger",
    ddl: "CREATE TABLE {name} (transaction_id TEXT NOT NULL, account TEXT NOT NULL, currency TEXT NOT NULL, \
          amount_minor BIGINT NOT NULL, payment_id TEXT NOT NULL, posted_us BIGINT NOT NULL, \
          PRIMARY KEY (transaction_id, account))",
    indexes: &["CREATE INDEX {name}_posted ON {name} (posted_us)"],
};

const ISSUES: Table = Table {
    name: "payment_issues",
    ddl: "CREATE TABLE {name} (issue_id TEXT PRIMARY KEY, kind TEXT NOT NULL, payment_id TEXT NOT NULL, \
          what TEXT NOT NULL, noticed_us BIGINT NOT NULL)",
    indexes: &["CREATE INDEX {name}_noticed ON {name} (noticed_us)"],
};

const ADD_ISSUE: &str = "INSERT INTO {payment_issues} (issue_id, kind, payment_id, what, noticed_us) \
    VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (issue_id) DO UPDATE SET kind = excluded.kind, what = excluded.what";

const DROP_ISSUE: &str = "DELETE FROM {payment_issues} WHERE issue_id = $1";

const NEWEST_ISSUES: &str = "SELECT issue_id, kind, payment_id, what, noticed_us FROM {payment_issues} \
    ORDER BY noticed_us DESC, issue_id LIMIT $1";

/// Captures and refunds: what they move is always told by what the provider owes us.
const MOVED_BETWEEN: &str = "SELECT transaction_id, currency, amount_minor FROM {payment_ledger} \
    WHERE posted_us >= $1 AND posted_us < $2 AND account = 'provider_clearing' ORDER BY transaction_id";

const BALANCES: Table = Table {
    name: "payment_balances",
    ddl: "CREATE TABLE {name} (account TEXT NOT NULL, currency TEXT NOT NULL, balance_minor BIGINT NOT NULL, \
          PRIMARY KEY (account, currency))",
    indexes: &[],
};

/// A second posting of the same transaction would be a defect: the key makes it an alarm.
const POST: &str = "INSERT INTO {payment_ledger} \
    (transaction_id, account, currency, amount_minor, payment_id, posted_us) VALUES ($1, $2, $3, $4, $5, $6)";

const ADD_TO_BALANCE: &str = "INSERT INTO {payment_balances} AS b (account, currency, balance_minor) \
    VALUES ($1, $2, $3) ON CONFLICT (account, currency) \
    DO UPDATE SET balance_minor = b.balance_minor + excluded.balance_minor";

const ALL_BALANCES: &str =
    "SELECT account, currency, balance_minor FROM {payment_balances} ORDER BY currency, account LIMIT $1";

const UNBALANCED: &str = "SELECT transaction_id FROM {payment_ledger} \
    GROUP BY transaction_id, currency HAVING SUM(amount_minor) <> 0 ORDER BY transaction_id LIMIT $1";

/// The largest answer: every account in every currency that there is.
const BALANCES_MAX: i64 = 1_000;

/// The ledger's tables.
pub fn views() -> Vec<View> {
    let ledger = View { name: "ledger", version: 2, tables: &[LEDGER, BALANCES], project };
    let issues = View { name: "issues", version: 1, tables: &[ISSUES], project: project_issues };
    vec![ledger, issues]
}

/// Something that a person has to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    pub id: String,
    pub kind: String,
    /// Empty when it is not known.
    pub payment_id: String,
    pub what: String,
    pub noticed: Timestamp,
}

/// The newest issues.
pub async fn issues(store: &EventStore, limit: u32) -> Result<Vec<Issue>, Error> {
    let rows = store.query(Statement::new(NEWEST_ISSUES).arg(i64::from(limit))).await?;
    let text = |row: &Row, at: usize| row.text(at).to_owned();
    let read = |row: &Row| Issue {
        id: text(row, 0),
        kind: text(row, 1),
        payment_id: text(row, 2),
        what: text(row, 3),
        noticed: row.get(4),
    };
    Ok(rows.iter().map(read).collect())
}

/// The provider's keys of all captures and refunds that were posted from `from` on and before `to`.
pub async fn moved_between(
    store: &EventStore,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<(String, Money)>, Error> {
    let rows = store.query(Statement::new(MOVED_BETWEEN).arg(from).arg(to)).await?;
    let read = |row: &Row| {
        let currency = Currency::parse(row.text(1)).expect("only known currencies are ever posted");
        (row.text(0).to_owned(), Money::new(row.get::<i64>(2).abs(), currency))
    };
    let is_operation = |(key, _): &(String, Money)| !key.contains(":dispute:");
    Ok(rows.iter().map(read).filter(is_operation).collect())
}

/// Every account with its balance.
pub async fn balances(store: &EventStore) -> Result<Vec<(String, Money)>, Error> {
    let rows = store.query(Statement::new(ALL_BALANCES).arg(BALANCES_MAX)).await?;
    let read = |row: &Row| {
        let currency = Currency::parse(row.text(1)).expect("only known currencies are ever posted");
        (row.text(0).to_owned(), Money::new(row.get(2), currency))
    };
    Ok(rows.iter().map(read).collect())
}

/// Transactions whose postings do not add up to zero: there must be none (I-PA-3).
pub async fn unbalanced(store: &EventStore) -> Result<Vec<String>, Error> {
    let rows = store.query(Statement::new(UNBALANCED).arg(BALANCES_MAX)).await?;
    Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
}

fn project(recorded: &Recorded, out: &mut Vec<Statement>) {
    let Some(event) = recorded.of::<Payment>() else { return };
    let Some(transaction) = Transaction::of(&event) else { return };
    assert_eq!(
        invariants::balanced(&transaction),
        Ok(()),
        "a transaction that does not balance is not posted"
    );
    let currency = transaction.currency.code();
    for posting in &transaction.postings {
        let (account, amount) = (posting.account.name(), posting.minor_units);
        out.push(
            Statement::new(POST)
                .arg(&transaction.id)
                .arg(account)
                .arg(currency)
                .arg(amount)
                .arg(recorded.stream.id())
                .arg(recorded.time),
        );
        out.push(Statement::new(ADD_TO_BALANCE).arg(account).arg(currency).arg(amount));
    }
}

fn project_issues(recorded: &Recorded, out: &mut Vec<Statement>) {
    let add = |id: String, kind: &'static str, payment_id: &str, what: String| {
        let statement = Statement::new(ADD_ISSUE).arg(id).arg(kind).arg(payment_id);
        statement.arg(what).arg(recorded.time)
    };
    if let Some(event) = recorded.of::<Payment>() {
        if let PaymentEvent::RefundRefused(e) = event.as_ref()
            && let Refusal::ByProvider(code) = &e.refusal
        {
            let id = format!("refund:{}", Step::Refund(e.refund_id.clone()).key(e.payment_id));
            let what = format!("the refund {} of {} failed: {code}", e.refund_id, e.amount);
            out.push(add(id, "refund_failed", recorded.stream.id(), what));
        }
    } else if let Some(event) = recorded.of::<Kept>() {
        let id = format!("notice:{}", recorded.stream.id());
        match event.as_ref() {
            NoticeEvent::NoticeKept(e) => {
                let payment_id = e.notice.payment_id().map(|id| id.to_string()).unwrap_or_default();
                let what = format!("waits for what it is about: {:?}", e.notice.about);
                out.push(add(id, "webhook_waiting", &payment_id, what));
            }
            NoticeEvent::NoticeApplied(_) => out.push(Statement::new(DROP_ISSUE).arg(id)),
            NoticeEvent::NoticeQuarantined(e) => {
                out.push(add(id, "webhook_quarantined", "", e.reason.clone()));
            }
        }
    } else if let Some(event) = recorded.of::<Reconciliation>() {
        match event.as_ref() {
            DayEvent::LedgerMismatch(e) => {
                let payment_id = e.key.split(':').next().unwrap_or_default();
                out.push(add(format!("mismatch:{}", e.key), "ledger_mismatch", payment_id, e.what.clone()));
            }
            DayEvent::DayCompared(_) => {}
        }
    }
}
