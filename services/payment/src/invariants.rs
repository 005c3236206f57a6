//! What must hold of payments, as predicates: for tests, for simulations, and for `souk verify`.
use crate::domain::ledger::Transaction;
use crate::domain::{DisputeStage, Movement, Payment, PaymentEvent, Promise, Step, Void};
use souk_contracts::terms::PaymentId;
use souk_kernel::{Currency, Money};
use std::collections::{BTreeMap, BTreeSet};

/// Something that must hold does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which invariant, for example `I-PA-2`.
    pub invariant: &'static str,
    /// What was found.
    pub what: String,
}

fn holds(invariant: &'static str, condition: bool, what: impl FnOnce() -> String) -> Result<(), Broken> {
    if condition { Ok(()) } else { Err(Broken { invariant, what: what() }) }
}

/// I-PA-1: per provider key at most one operation has an effect. `events` are those of one payment.
pub fn one_effect_per_key(events: &[PaymentEvent]) -> Result<(), Broken> {
    let mut seen = BTreeSet::new();
    events
        .iter()
        .filter_map(effect_key)
        .try_for_each(|key| holds("I-PA-1", seen.insert(key), || format!("{key} had its effect twice")))
}

/// I-PA-4: whatever had an effect was meant before. `events` are those of one payment.
pub fn intent_comes_first(events: &[PaymentEvent]) -> Result<(), Broken> {
    let mut meant = BTreeSet::new();
    for event in events {
        meant.extend(intent_key(event));
        if let Some(key) = effect_key(event).filter(|key| !meant.contains(key)) {
            return holds("I-PA-4", false, || format!("{key} had its effect before it was meant"));
        }
    }
    Ok(())
}

/// The key of an operation that is meant.
fn intent_key(event: &PaymentEvent) -> Option<&str> {
    match event {
        PaymentEvent::AuthorizationRequested(e) => Some(&e.key),
        PaymentEvent::CaptureRequested(e) => Some(&e.key),
        PaymentEvent::VoidRequested(e) => Some(&e.key),
        PaymentEvent::RefundRequested(e) => Some(&e.key),
        PaymentEvent::ReauthorizationRequested(e) => Some(&e.key),
        PaymentEvent::ActionRequired(_)
        | PaymentEvent::AuthorizationExpired(_)
        | PaymentEvent::ReauthorizationSucceeded(_)
        | PaymentEvent::ReauthorizationRefused(_)
        | PaymentEvent::ReauthorizationUnknown(_)
        | PaymentEvent::DisputeOpened(_)
        | PaymentEvent::DisputeWon(_)
        | PaymentEvent::DisputeLost(_)
        | PaymentEvent::AuthorizationSucceeded(_)
        | PaymentEvent::AuthorizationDeclined(_)
        | PaymentEvent::AuthorizationUnknown(_)
        | PaymentEvent::CaptureSucceeded(_)
        | PaymentEvent::CaptureRefused(_)
        | PaymentEvent::CaptureUnknown(_)
        | PaymentEvent::Voided(_)
        | PaymentEvent::VoidRefused(_)
        | PaymentEvent::VoidUnknown(_)
        | PaymentEvent::RefundSucceeded(_)
        | PaymentEvent::RefundRefused(_)
        | PaymentEvent::RefundPending(_)
        | PaymentEvent::RefundUnknown(_)
        | PaymentEvent::PaymentTombstoned(_) => None,
    }
}

/// The key of an operation that had its effect.
fn effect_key(event: &PaymentEvent) -> Option<&str> {
    match event {
        PaymentEvent::AuthorizationSucceeded(e) => Some(&e.key),
        PaymentEvent::CaptureSucceeded(e) => Some(&e.key),
        PaymentEvent::Voided(e) => Some(&e.key),
        PaymentEvent::RefundSucceeded(e) => Some(&e.key),
        PaymentEvent::ReauthorizationSucceeded(e) => Some(&e.key),
        PaymentEvent::ActionRequired(_)
        | PaymentEvent::AuthorizationExpired(_)
        | PaymentEvent::ReauthorizationRequested(_)
        | PaymentEvent::ReauthorizationRefused(_)
        | PaymentEvent::ReauthorizationUnknown(_)
        | PaymentEvent::DisputeOpened(_)
        | PaymentEvent::DisputeWon(_)
        | PaymentEvent::DisputeLost(_)
        | PaymentEvent::AuthorizationRequested(_)
        | PaymentEvent::AuthorizationDeclined(_)
        | PaymentEvent::AuthorizationUnknown(_)
        | PaymentEvent::CaptureRequested(_)
        | PaymentEvent::CaptureRefused(_)
        | PaymentEvent::CaptureUnknown(_)
        | PaymentEvent::VoidRequested(_)
        | PaymentEvent::VoidRefused(_)
        | PaymentEvent::VoidUnknown(_)
        | PaymentEvent::RefundRequested(_)
        | PaymentEvent::RefundRefused(_)
        | PaymentEvent::RefundPending(_)
        | PaymentEvent::RefundUnknown(_)
        | PaymentEvent::PaymentTombstoned(_) => None,
    }
}

/// I-PA-2: never more is promised than was asked for, nor taken than was promised, nor given back than was taken, what is on its way included.
pub fn within_bounds(payment: &Payment) -> Result<(), Broken> {
    let (authorized, captured) = (payment.authorized_minor(), payment.captured_minor());
    let asked_for = payment.request().map_or(0, |request| request.amount.minor_units());
    holds("I-PA-2", authorized <= asked_for, || format!("{authorized} promised of {asked_for} asked for"))?;
    let taken = captured + payment.capturing_minor();
    holds("I-PA-2", taken <= authorized, || format!("{taken} taken of {authorized} promised"))?;
    let returned = payment.refunded_minor() + payment.refunding_minor();
    holds("I-PA-2", returned <= captured, || format!("{returned} given back of {captured} taken"))
}

/// I-PA-3, for one transaction: debits and credits add up to zero.
pub fn balanced(transaction: &Transaction) -> Result<(), Broken> {
    holds("I-PA-3", transaction.is_balanced(), || format!("{} does not balance", transaction.id))
}

/// I-PA-3, for the whole ledger: per currency all balances add up to zero.
pub fn ledger_balanced(balances: &[(String, Money)]) -> Result<(), Broken> {
    let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
    for (_, balance) in balances {
        *sums.entry(balance.currency()).or_default() += i128::from(balance.minor_units());
    }
    sums.iter().try_for_each(|(currency, sum)| {
        holds("I-PA-3", *sum == 0, || format!("the balances in {currency} add up to {sum}"))
    })
}

/// I-PA-5: what is settled stays settled, and sums only grow.
pub fn never_moves_back(before: &Payment, after: &Payment) -> Result<(), Broken> {
    let rank = ((before.renewed(), promise_rank(before.promise())), void_rank(before.void()));
    let next = ((after.renewed(), promise_rank(after.promise())), void_rank(after.void()));
    let is_later = rank.0 <= next.0 && rank.1 <= next.1;
    holds("I-PA-5", is_later, || format!("{before:?} became {after:?}"))?;
    let settled = |(id, movement): (_, &Movement), later: &BTreeMap<_, _>| {
        movement.outcome.is_open() || later.get(id) == Some(movement)
    };
    let captures = before.captures().iter().all(|entry| settled(entry, after.captures()));
    let refunds = before.refunds().iter().all(|entry| settled(entry, after.refunds()));
    let renewals = before.renewals().iter().all(|entry| settled(entry, after.renewals()));
    let disputes = before.disputes().iter().all(|(id, dispute)| {
        dispute.stage == DisputeStage::Open || after.disputes().get(id) == Some(dispute)
    });
    holds("I-PA-5", captures && refunds && renewals && disputes, || {
        format!("an outcome of {before:?} became another: {after:?}")
    })
}

fn promise_rank(promise: &Promise) -> u8 {
    match promise {
        Promise::None => 0,
        Promise::Requested(_) => 1,
        Promise::ActionRequired { .. } => 2,
        Promise::Held { .. } | Promise::Declined { .. } => 3,
        Promise::Expired => 4,
    }
}

fn void_rank(void: &Void) -> u8 {
    match void {
        Void::None => 0,
        Void::Requested(_) => 1,
        Void::Refused { .. } | Void::Done => 2,
    }
}

/// I-PA-6: every operation that is not refused is in the currency of the payment.
pub fn one_currency(payment: &Payment) -> Result<(), Broken> {
    let Some(request) = payment.request() else { return Ok(()) };
    let own = request.amount.currency();
    let movements = payment.captures().values().chain(payment.refunds().values());
    let mut movements = movements.chain(payment.renewals().values());
    let foreign = movements.find(|movement| movement.amount.currency() != own);
    holds("I-PA-6", foreign.is_none(), || format!("{foreign:?} in a payment in {own}"))
}

/// All that must hold of one payment's state and events.
pub fn check(payment: &Payment, events: &[PaymentEvent]) -> Result<(), Broken> {
    within_bounds(payment)?;
    one_currency(payment)?;
    one_effect_per_key(events)?;
    intent_comes_first(events)?;
    events.iter().filter_map(Transaction::of).try_for_each(|transaction| balanced(&transaction))
}

/// What our books say of one payment at the provider, in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours {
    /// Which one.
    pub payment_id: PaymentId,
    /// Absent for a tombstone.
    pub currency: Option<Currency>,
    /// What is promised; 0 when that is not known.
    pub authorized_minor: i64,
    /// What was taken for certain.
    pub captured_minor: i64,
    /// What may have been taken besides.
    pub capturing_minor: i64,
    /// What was given back for certain.
    pub refunded_minor: i64,
    /// What may have been given back besides.
    pub refunding_minor: i64,
    /// Whether the promise is given up.
    pub voided: bool,
    /// Whether something about the promise itself is not known yet.
    pub in_doubt: bool,
}

impl Ours {
    /// What the state of a payment says. Of what never needed the provider there is nothing to compare.
    pub fn of(payment_id: PaymentId, payment: &Payment) -> Option<Ours> {
        let request = payment.request()?;
        let is_open = |step: &Step| payment.waiting(step).is_some();
        (request.amount.minor_units() != 0).then(|| Ours {
            payment_id,
            currency: Some(request.amount.currency()),
            authorized_minor: payment.authorized_minor(),
            captured_minor: payment.captured_minor(),
            capturing_minor: payment.capturing_minor(),
            refunded_minor: payment.refunded_minor(),
            refunding_minor: payment.refunding_minor(),
            voided: *payment.void() == Void::Done,
            in_doubt: is_open(&Step::Authorize) || is_open(&Step::Void) || is_renewing(payment),
        })
    }

    /// The provider's key of the authorisation.
    pub fn authorization_key(&self) -> String {
        Step::Authorize.key(self.payment_id)
    }
}

/// An expired promise may be a new one at the provider already, and the provider keeps no end of it in its books.
fn is_renewing(payment: &Payment) -> bool {
    *payment.promise() == Promise::Expired
}

/// What the provider's books say of one authorisation, in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theirs {
    /// Its key.
    pub authorization_key: String,
    /// Absent when nothing was ever promised.
    pub currency: Option<Currency>,
    /// What is promised, or was before it was given up.
    pub authorized_minor: i64,
    /// What was taken.
    pub captured_minor: i64,
    /// What was given back.
    pub refunded_minor: i64,
    /// Whether the promise was given up.
    pub voided: bool,
}

/// V1: our books and the provider's say the same, as far as ours claim to know. Every difference is told,
/// by payment or key.
pub fn differences(ours: &[Ours], theirs: &[Theirs]) -> Vec<Broken> {
    let mut by_key: BTreeMap<&str, &Theirs> =
        theirs.iter().map(|their| (their.authorization_key.as_str(), their)).collect();
    let mut broken = Vec::new();
    for our in ours {
        let their = by_key.remove(our.authorization_key().as_str());
        broken.extend(difference(our, their).map(|what| Broken { invariant: "V1", what }));
    }
    let unknown = by_key.values().filter(|their| their.authorized_minor != 0 && !their.voided);
    broken.extend(unknown.map(|their| Broken {
        invariant: "V1",
        what: format!("the provider holds a promise that we do not know: {}", their.authorization_key),
    }));
    broken
}

fn difference(our: &Ours, their: Option<&Theirs>) -> Option<String> {
    let id = our.payment_id;
    let Some(their) = their else {
        let claims = our.authorized_minor != 0 || our.captured_minor != 0;
        return claims.then(|| format!("{id}: the provider knows nothing of it"));
    };
    let between = |value: i64, sure: i64, open: i64| (sure..=sure.saturating_add(open)).contains(&value);
    let (our_open, their_open) = (open_promise(our), their_promise(their));
    if !our.in_doubt && our_open != their_open {
        return Some(format!("{id}: promised {our_open} in our books, {their_open} in the provider's"));
    }
    if their.currency.is_some() && our.currency != their.currency {
        return Some(format!(
            "{id}: {:?} in our books, {:?} in the provider's",
            our.currency, their.currency
        ));
    }
    if !between(their.captured_minor, our.captured_minor, our.capturing_minor) {
        let (ours, theirs) = (our.captured_minor, their.captured_minor);
        return Some(format!("{id}: captured {ours} in our books, {theirs} in the provider's"));
    }
    if !between(their.refunded_minor, our.refunded_minor, our.refunding_minor) {
        let (ours, theirs) = (our.refunded_minor, their.refunded_minor);
        return Some(format!("{id}: refunded {ours} in our books, {theirs} in the provider's"));
    }
    None
}

/// What can still be taken or was: nothing after a void.
fn open_promise(our: &Ours) -> i64 {
    if our.voided { 0 } else { our.authorized_minor }
}

fn their_promise(their: &Theirs) -> i64 {
    if their.voided { 0 } else { their.authorized_minor }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::events::{
        AuthorizationRequested, CaptureRequested, CaptureSucceeded, RefundSucceeded,
    };
    use crate::domain::ledger::{Account, Posting};
    use crate::domain::tests::{gbp, id, order_id, payment_id};
    use crate::domain::{Source, events};
    use souk_decider::{Aggregate, fold};
    use souk_kernel::Timestamp;

    fn requested(minor_units: i64) -> PaymentEvent {
        PaymentEvent::AuthorizationRequested(AuthorizationRequested {
            payment_id: payment_id(),
            order_id: order_id(),
            owner: "gst_1".to_owned(),
            amount: gbp(minor_units),
            method_token: "ok".to_owned(),
            key: "k".to_owned(),
            at: Timestamp::EPOCH,
        })
    }

    fn held() -> PaymentEvent {
        PaymentEvent::AuthorizationSucceeded(events::AuthorizationSucceeded {
            payment_id: payment_id(),
            order_id: order_id(),
            amount: gbp(100),
            key: "k".to_owned(),
            source: Source::Answer,
            owner: None,
            expires_at: None,
            at: Timestamp::EPOCH,
        })
    }

    fn capture(amount: Money) -> [PaymentEvent; 2] {
        let (payment_id, capture_id, key, at) = (payment_id(), id("a"), "c".to_owned(), Timestamp::EPOCH);
        let meant =
            CaptureRequested { payment_id, capture_id: capture_id.clone(), amount, key: key.clone(), at };
        let source = Source::Answer;
        let done = CaptureSucceeded { payment_id, capture_id, amount, key, source, owner: None, at };
        [PaymentEvent::CaptureRequested(meant), PaymentEvent::CaptureSucceeded(done)]
    }

    fn broken(events: &[PaymentEvent]) -> Option<&'static str> {
        check(&fold(events), events).err().map(|broken| broken.invariant)
    }

    #[test]
    fn each_invariant_notices_when_it_is_broken() {
        let [meant, done] = capture(gbp(100));
        let sound = [requested(100), held(), meant.clone(), done.clone()];
        assert_eq!(broken(&sound), None);
        assert_eq!(broken(&[&sound[..], std::slice::from_ref(&done)].concat()), Some("I-PA-1"));
        assert_eq!(broken(&[requested(99), held(), meant.clone(), done.clone()]), Some("I-PA-2"));
        assert_eq!(broken(&[requested(100), held(), done]), Some("I-PA-4"));
        let euros = capture(Money::new(1, Currency::parse("EUR").expect("known")));
        assert_eq!(broken(&[&sound[..2], &euros[..]].concat()), Some("I-PA-6"));
        let returned = PaymentEvent::RefundSucceeded(RefundSucceeded {
            payment_id: payment_id(),
            refund_id: id("r"),
            amount: gbp(101),
            key: "r".to_owned(),
            source: Source::Answer,
            owner: None,
            at: Timestamp::EPOCH,
        });
        assert_eq!(broken(&[&sound[..], &[returned]].concat()), Some("I-PA-4"));
    }

    #[test]
    fn a_payment_that_moves_back_and_a_ledger_that_does_not_balance_are_noticed() {
        let before: Payment = fold(&[requested(100), held()]);
        assert_eq!(never_moves_back(&before, &before), Ok(()));
        assert_eq!(
            never_moves_back(&before, &fold(&[requested(100)])).map_err(|b| b.invariant),
            Err("I-PA-5")
        );
        let [meant, done] = capture(gbp(100));
        let mut taken = before.clone();
        taken.evolve(&meant);
        taken.evolve(&done);
        let mut untaken = before.clone();
        untaken.evolve(&meant);
        assert_eq!(never_moves_back(&taken, &untaken).map_err(|b| b.invariant), Err("I-PA-5"));
        let posting = |account, minor_units| Posting { account, minor_units };
        let postings = [posting(Account::Revenue, -1), posting(Account::Refunds, 2)];
        let transaction = Transaction { id: "t".to_owned(), currency: gbp(0).currency(), postings };
        assert_eq!(balanced(&transaction).map_err(|b| b.invariant), Err("I-PA-3"));
        let balances = [("revenue".to_owned(), gbp(-5)), ("refunds".to_owned(), gbp(4))];
        assert_eq!(ledger_balanced(&balances).map_err(|b| b.invariant), Err("I-PA-3"));
    }

    fn both() -> (Ours, Theirs) {
        let [meant, done] = capture(gbp(100));
        let payment = fold(&[requested(100), held(), meant, done]);
        let ours = Ours::of(payment_id(), &payment).expect("it needed the provider");
        let theirs = Theirs {
            authorization_key: ours.authorization_key(),
            currency: ours.currency,
            authorized_minor: 100,
            captured_minor: 100,
            refunded_minor: 0,
            voided: false,
        };
        (ours, theirs)
    }

    #[test]
    fn books_that_differ_in_anything_are_noticed() {
        let check = |change: &dyn Fn(&mut Ours, &mut Theirs)| {
            let (mut ours, mut theirs) = both();
            change(&mut ours, &mut theirs);
            differences(&[ours], &[theirs]).len()
        };
        assert_eq!(check(&|_, _| {}), 0);
        assert_eq!(check(&|_, t| t.captured_minor = 99), 1);
        assert_eq!(check(&|_, t| t.refunded_minor = 1), 1);
        assert_eq!(check(&|_, t| t.authorized_minor = 99), 1);
        assert_eq!(check(&|_, t| t.voided = true), 1);
        assert_eq!(check(&|_, t| t.currency = Currency::parse("EUR")), 1);
        assert_eq!(check(&|o, _| o.captured_minor = 99), 1);
        let elsewhere = |_: &mut Ours, t: &mut Theirs| t.authorization_key.push('x');
        assert_eq!(check(&elsewhere), 2, "unknown to them, and unknown to us");
    }

    #[test]
    fn what_is_in_doubt_on_our_side_may_be_either_way_on_theirs() {
        let (mut ours, mut theirs) = both();
        (ours.captured_minor, ours.capturing_minor) = (0, 100);
        assert_eq!(differences(&[ours.clone()], &[theirs.clone()]), []);
        theirs.captured_minor = 0;
        assert_eq!(differences(&[ours.clone()], &[theirs.clone()]), []);
        (ours.capturing_minor, ours.authorized_minor, ours.in_doubt) = (0, 0, true);
        assert_eq!(differences(&[ours.clone()], &[theirs]), []);
        assert_eq!(differences(&[ours], &[]), []);
    }
}
