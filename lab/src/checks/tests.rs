//! Each checker is shown a world in which all is well, and then the same with one thing faked.
use super::*;
use crate::books::{Mail, Shelf, Taken};

const KEY: &str = "place-1";

fn sent() -> Entry {
    let act = Act::Place { quote_id: "quo_1".into(), sku: "LAMP".into(), quantity: 1, total_minor: 1_000 };
    Entry::Sent { key: KEY.into(), act }
}

fn done(order_id: &str) -> Entry {
    Entry::Done { key: KEY.into(), order_id: order_id.into(), quote_id: "quo_1".into(), total_minor: 1_000 }
}

fn failed() -> Entry {
    Entry::Failed { key: KEY.into(), status: 409, reason: "QUOTE_EXPIRED".into() }
}

fn unknown() -> Entry {
    Entry::Unknown { key: KEY.into(), why: "reset".into() }
}

fn supplied(quantity: u64) -> Entry {
    Entry::Supplied { sku: "LAMP".into(), quantity }
}

fn order(order_id: &str, state: State) -> Sold {
    let pieces = BTreeMap::from([("LAMP".to_owned(), 1)]);
    Sold {
        order_id: order_id.into(),
        quote_id: "quo_1".into(),
        state,
        total_minor: 1_000,
        parcels_minor: None,
        pieces,
    }
}

fn taken(captured_minor: i64, refunded_minor: i64) -> Taken {
    let live = u32::from(captured_minor > 0);
    Taken { promised_minor: 0, captured_minor, refunded_minor, live }
}

fn mail(id: &str) -> Mail {
    Mail { id: id.into(), to: "c1@customers.example".into(), subject: "Your order is confirmed".into() }
}

fn reachable() -> Entry {
    Entry::Reachable { key: KEY.into(), email: "c1@customers.example".into() }
}

/// One lamp, sold once, paid once.
fn well() -> (Vec<Entry>, Books) {
    let journal = vec![supplied(1), reachable(), sent(), unknown(), sent(), done("ord_1"), done("ord_1")];
    let books = Books {
        orders: vec![order("ord_1", State::Paid)],
        shelves: BTreeMap::from([("LAMP".to_owned(), Shelf { on_hand: 1, reserved: 1 })]),
        money: BTreeMap::from([("ord_1".to_owned(), taken(1_000, 0))]),
        ledger: BTreeMap::from([("GBP".to_owned(), (0, 1_000))]),
        mails: vec![mail("<1@souk>"), mail("<1@souk>")],
    };
    (journal, books)
}

/// The invariants that are violated when `fake` has changed a world in which all was well.
fn broken(fake: impl FnOnce(&mut Vec<Entry>, &mut Books)) -> Vec<&'static str> {
    let (mut journal, mut books) = well();
    fake(&mut journal, &mut books);
    let mut broken: Vec<_> = check(&journal, &books).into_iter().map(|found| found.invariant).collect();
    broken.dedup();
    broken
}

#[test]
fn all_is_well() {
    assert_eq!(broken(|_, _| {}), Vec::<&str>::new());
    let nothing = |journal: &mut Vec<Entry>, books: &mut Books| {
        *journal = vec![sent(), unknown()];
        *books = Books::default();
    };
    assert_eq!(broken(nothing), Vec::<&str>::new(), "an unanswered call may have had no effect");
    let one = |journal: &mut Vec<Entry>, _: &mut Books| *journal = vec![supplied(1), sent(), unknown()];
    assert_eq!(broken(one), Vec::<&str>::new(), "or one");
}

#[test]
fn i1_selling_more_than_there_is() {
    assert_eq!(broken(|journal, _| journal.retain(|entry| *entry != supplied(1))), ["I1"]);
    let shelf = |on_hand, reserved| {
        move |_: &mut Vec<Entry>, books: &mut Books| {
            books.shelves.insert("LAMP".into(), Shelf { on_hand, reserved });
        }
    };
    assert_eq!(broken(shelf(1, 2)), ["I1"]);
    assert_eq!(broken(shelf(-1, -1)), ["I1"]);
}

#[test]
fn i2_an_accepted_order_that_is_gone_or_never_ends() {
    assert!(broken(|_, books| books.orders.clear()).contains(&"I2"));
    assert!(broken(|_, books| books.orders[0].state = State::Open).contains(&"I2"));
}

#[test]
fn i3_an_order_that_nobody_wanted_or_twice() {
    let unasked = |journal: &mut Vec<Entry>, _: &mut Books| *journal = vec![supplied(1)];
    assert_eq!(broken(unasked), ["I3"]);
    let refused = |journal: &mut Vec<Entry>, _: &mut Books| *journal = vec![supplied(1), sent(), failed()];
    assert_eq!(broken(refused), ["I3"]);
    let twice = |journal: &mut Vec<Entry>, books: &mut Books| {
        *journal = vec![supplied(2), sent(), unknown()];
        books.orders.push(order("ord_2", State::Holds));
    };
    assert_eq!(broken(twice), ["I3"], "an unanswered call may have made one order, not two");
}

#[test]
fn i4_money_that_was_taken_twice_or_kept() {
    let money = |taken: Taken| {
        move |_: &mut Vec<Entry>, books: &mut Books| {
            books.ledger.insert("GBP".into(), (0, taken.captured_minor - taken.refunded_minor));
            books.money.insert("ord_1".into(), taken);
        }
    };
    assert_eq!(broken(money(taken(2_000, 0))), ["I4"]);
    assert_eq!(broken(money(taken(999, 0))), ["I4"]);
    assert_eq!(broken(money(Taken { live: 2, ..taken(1_000, 0) })), ["I4"]);
    let kept = |_: &mut Vec<Entry>, books: &mut Books| books.orders[0].state = State::Nothing;
    assert_eq!(broken(kept), ["I4"], "a cancelled order whose money was kept");
    let promise = |_: &mut Vec<Entry>, books: &mut Books| {
        books.orders[0].state = State::Nothing;
        books.ledger.clear();
        books.money.insert("ord_1".into(), Taken { promised_minor: 1_000, live: 1, ..taken(0, 0) });
    };
    assert_eq!(broken(promise), ["I4"], "a rejected order whose promise was kept");
    let parcel = |_: &mut Vec<Entry>, books: &mut Books| {
        books.orders[0] = Sold { parcels_minor: Some(400), ..order("ord_1", State::Holds) };
        books.ledger.insert("GBP".into(), (0, 800));
        books.money.insert("ord_1".into(), taken(800, 0));
    };
    assert_eq!(broken(parcel), ["I4"], "a parcel that was paid twice");
    let stray = |_: &mut Vec<Entry>, books: &mut Books| {
        books.money.insert("ord_9".into(), taken(5, 0));
        books.ledger.insert("GBP".into(), (0, 1_005));
    };
    assert_eq!(broken(stray), ["I4"], "money for no order");
}

#[test]
fn i4_a_refund_that_is_not_what_the_customer_was_told() {
    let told = |minor| Entry::Refunded { order_id: "ord_1".into(), minor };
    let given = |told_minor, given_minor| {
        move |journal: &mut Vec<Entry>, books: &mut Books| {
            journal.push(told(told_minor));
            books.orders[0] =
                Sold { parcels_minor: Some(1_000 - given_minor), ..order("ord_1", State::Holds) };
            books.ledger.insert("GBP".into(), (0, 1_000 - given_minor));
            books.money.insert("ord_1".into(), taken(1_000, given_minor));
        }
    };
    assert_eq!(broken(given(400, 400)), Vec::<&str>::new());
    assert_eq!(broken(given(400, 800)), ["I4"], "given back twice");
    assert_eq!(broken(given(400, 0)), ["I4"], "or never");
}

#[test]
fn i5_a_ledger_that_does_not_balance() {
    let ledger = |sum, clearing| {
        move |_: &mut Vec<Entry>, books: &mut Books| {
            books.ledger.insert("GBP".into(), (sum, clearing));
        }
    };
    assert_eq!(broken(ledger(1, 1_000)), ["I5"]);
    assert_eq!(broken(ledger(0, 999)), ["I5"]);
}

#[test]
fn i10_a_key_with_two_answers() {
    assert!(broken(|journal, _| journal.push(done("ord_2"))).contains(&"I10"));
    assert_eq!(broken(|journal, _| journal.push(failed())), ["I10"]);
    let other = |status| {
        move |journal: &mut Vec<Entry>, _: &mut Books| {
            journal.push(Entry::OtherBody { key: KEY.into(), status });
        }
    };
    assert_eq!(broken(other(422)), Vec::<&str>::new());
    assert_eq!(broken(other(202)), ["I10"]);
}

#[test]
fn i11_a_mail_that_never_came_or_was_another() {
    assert_eq!(broken(|_, books| books.mails.clear()), ["I11"]);
    assert_eq!(broken(|_, books| books.mails.push(mail("<2@souk>"))), ["I11"]);
    let rejected = |_: &mut Vec<Entry>, books: &mut Books| {
        books.mails.clear();
        books.orders[0].state = State::Nothing;
        books.ledger.clear();
        books.money.clear();
    };
    assert_eq!(broken(rejected), Vec::<&str>::new(), "nothing was bought");
}
