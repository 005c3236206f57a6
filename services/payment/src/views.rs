//! The ledger as tables, posted in the commit that records the movement of money.
use crate::domain::Payment;
use crate::domain::ledger::Transaction;
use crate::invariants;
use souk_eventstore::{Error, EventStore, Recorded, Row, Statement, Table, View};
use souk_kernel::{Currency, Money};

const LEDGER: Table = Table {
    name: "payment_ledger",
    ddl: "CREATE TABLE {name} (transaction_id TEXT NOT NULL, account TEXT NOT NULL, currency TEXT NOT NULL, \
          amount_minor BIGINT NOT NULL, payment_id TEXT NOT NULL, posted_us BIGINT NOT NULL, \
          PRIMARY KEY (transaction_id, account))",
    indexes: &[],
};

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
    vec![View { name: "ledger", version: 1, tables: &[LEDGER, BALANCES], project }]
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
