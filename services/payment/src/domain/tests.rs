//! Each command does, refuses and stays quiet; each answer is recorded once; every stored shape is kept.
use super::*;
use crate::invariants;
use souk_decider::testing::{Given, golden};
use souk_kernel::{Currency, TypeId, Uuid};
use std::collections::BTreeSet;

pub(crate) fn order_id() -> OrderId {
    OrderId::from_uuid(Uuid::v7(1, [1; 10]))
}

pub(crate) fn payment_id() -> PaymentId {
    PaymentId::from_uuid(order_id().uuid())
}

pub(crate) fn gbp(minor_units: i64) -> Money {
    Money::new(minor_units, Currency::parse("GBP").expect("known"))
}

fn eur(minor_units: i64) -> Money {
    Money::new(minor_units, Currency::parse("EUR").expect("known"))
}

pub(crate) fn id(text: &str) -> OperationId {
    text.parse().expect("a good id")
}

const NOW: Timestamp = Timestamp::from_unix_s(1_000);

fn command(want: Want) -> Command {
    Command { payment_id: payment_id(), want }
}

fn wants_authorize(amount: Money) -> Want {
    let (owner, method_token) = ("gst_1".to_owned(), "ok".to_owned());
    Want::Authorize { order_id: order_id(), owner, amount, method_token }
}

fn wants_capture(text: &str, amount: Money) -> Want {
    Want::Capture { id: id(text), amount }
}

fn wants_refund(text: &str, amount: Money) -> Want {
    Want::Refund { id: id(text), amount, reason: "RETURNED".to_owned() }
}

fn wants_void() -> Want {
    Want::Void { reason: "CANCELLED".to_owned() }
}

/// The events of a history in which each `want` is decided and then answered.
fn history(steps: &[(Want, Option<Answer>)]) -> Vec<PaymentEvent> {
    let mut events = Vec::new();
    for (want, answer) in steps {
        let payment: Payment = souk_decider::fold(&events);
        let decided = decide(&payment, &command(want.clone()), NOW).expect("the history is allowed");
        events.extend(decided);
        if let Some(answer) = answer {
            let payment: Payment = souk_decider::fold(&events);
            events.extend(record(&payment, &want.step(), answer, Source::Answer, NOW));
        }
    }
    check_history(&events);
    events
}

/// Every prefix of a history keeps the invariants, and nothing moves back.
fn check_history(events: &[PaymentEvent]) {
    let mut payment = Payment::default();
    for (index, event) in events.iter().enumerate() {
        let before = payment.clone();
        souk_decider::Aggregate::evolve(&mut payment, event);
        assert_eq!(invariants::check(&payment, &events[..=index]), Ok(()));
        assert_eq!(invariants::never_moves_back(&before, &payment), Ok(()));
    }
}

fn done(want: Want) -> (Want, Option<Answer>) {
    (want, Some(Answer::Succeeded))
}

fn declined(want: Want, code: &str) -> (Want, Option<Answer>) {
    (want, Some(Answer::Declined(code.to_owned())))
}

fn open(want: Want) -> (Want, Option<Answer>) {
    (want, None)
}

fn given(steps: &[(Want, Option<Answer>)]) -> Given<Payment> {
    Given::events(history(steps))
}

fn when(given: Given<Payment>, want: Want) -> souk_decider::testing::Outcome<Payment, Rejection> {
    given.when(|payment| decide(payment, &command(want), NOW))
}

fn kinds(events: &[PaymentEvent]) -> Vec<&'static str> {
    events.iter().map(souk_decider::StoredEvent::kind).collect()
}

fn status_after(steps: &[(Want, Option<Answer>)]) -> Status {
    souk_decider::fold::<Payment>(&history(steps)).status()
}

fn held() -> Vec<(Want, Option<Answer>)> {
    vec![done(wants_authorize(gbp(1000)))]
}

fn held_and(more: &[(Want, Option<Answer>)]) -> Vec<(Want, Option<Answer>)> {
    let mut steps = held();
    steps.extend_from_slice(more);
    steps
}

#[test]
fn an_intent_is_stored_before_anything_else() {
    when(given(&[]), wants_authorize(gbp(1000)))
        .then_events(|events| assert_eq!(kinds(events), ["AuthorizationRequested"]));
    when(given(&held()), wants_capture("a", gbp(400)))
        .then_events(|events| assert_eq!(kinds(events), ["CaptureRequested"]));
    when(given(&held()), wants_void()).then_events(|events| assert_eq!(kinds(events), ["VoidRequested"]));
    let captured = held_and(&[done(wants_capture("a", gbp(400)))]);
    when(given(&captured), wants_refund("r", gbp(400)))
        .then_events(|events| assert_eq!(kinds(events), ["RefundRequested"]));
}

#[test]
fn saying_it_again_changes_nothing_and_other_content_is_a_conflict() {
    let asked = [open(wants_authorize(gbp(1000)))];
    when(given(&asked), wants_authorize(gbp(1000))).then_nothing();
    when(given(&asked), wants_authorize(gbp(999))).then_rejects("PAYMENT_CONFLICT");
    when(given(&asked), wants_authorize(eur(1000))).then_rejects("PAYMENT_CONFLICT");
    let all = held_and(&[done(wants_capture("a", gbp(400))), done(wants_refund("r", gbp(100)))]);
    when(given(&all), wants_capture("a", gbp(400))).then_nothing();
    when(given(&all), wants_capture("a", gbp(401))).then_rejects("PAYMENT_CONFLICT");
    when(given(&all), wants_refund("r", gbp(100))).then_nothing();
    when(given(&all), wants_refund("r", gbp(101))).then_rejects("PAYMENT_CONFLICT");
    when(given(&held_and(&[done(wants_void())])), wants_void()).then_nothing();
}

#[test]
fn nothing_to_pay_needs_no_provider() {
    let free = [open(wants_authorize(gbp(0)))];
    when(given(&[]), wants_authorize(gbp(0))).then_events(|events| {
        assert_eq!(kinds(events), ["AuthorizationRequested", "AuthorizationSucceeded"]);
    });
    when(given(&free), wants_capture("full", gbp(0))).then_events(|events| {
        assert_eq!(kinds(events), ["CaptureRequested", "CaptureSucceeded"]);
        assert!(events.iter().all(|event| ledger::Transaction::of(event).is_none()), "nothing is posted");
    });
    when(given(&free), wants_void())
        .then_events(|events| assert_eq!(kinds(events), ["VoidRequested", "Voided"]));
    let captured = [open(wants_authorize(gbp(0))), open(wants_capture("full", gbp(0)))];
    assert_eq!(status_after(&captured), Status::Captured);
    when(given(&captured), wants_void()).then_rejects("ALREADY_CAPTURED");
    when(given(&captured), wants_refund("r", gbp(0))).then_events(|events| {
        assert_eq!(kinds(events), ["RefundRequested", "RefundSucceeded"]);
    });
}

#[test]
fn more_than_is_promised_is_refused_for_good_under_its_id() {
    let steps = held_and(&[done(wants_capture("a", gbp(600)))]);
    let after = when(given(&steps), wants_capture("b", gbp(401)))
        .then_events(|events| assert_eq!(kinds(events), ["CaptureRefused"]));
    let next = next(&after, &wants_capture("b", gbp(401)), &BTreeSet::new());
    assert!(matches!(next, Next::Refuse(r) if r.reason == "CAPTURE_EXCEEDS_AUTHORIZED"));
    when(given(&steps), wants_capture("b", gbp(400)))
        .then_events(|events| assert_eq!(kinds(events), ["CaptureRequested"]));
    when(given(&steps), wants_capture("b", eur(1))).then_rejects("PAYMENT_CONFLICT");
    when(given(&steps), wants_capture("b", gbp(i64::MAX)))
        .then_events(|events| assert_eq!(kinds(events), ["CaptureRefused"]));
}

#[test]
fn whether_a_capture_fits_can_depend_on_one_in_doubt() {
    let steps = held_and(&[open(wants_capture("a", gbp(600)))]);
    let rejection = when(given(&steps), wants_capture("b", gbp(401))).then_rejects("OUTCOME_UNKNOWN");
    assert_eq!(rejection.code, Code::Unavailable);
    when(given(&steps), wants_refund("r", gbp(100))).then_rejects("OUTCOME_UNKNOWN");
}

#[test]
fn more_than_was_taken_is_refused_for_good_under_its_id() {
    let steps = held_and(&[done(wants_capture("a", gbp(600))), open(wants_refund("r", gbp(400)))]);
    let after = when(given(&steps), wants_refund("s", gbp(201)))
        .then_events(|events| assert_eq!(kinds(events), ["RefundRefused"]));
    let next = next(&after, &wants_refund("s", gbp(201)), &BTreeSet::new());
    assert!(matches!(next, Next::Refuse(r) if r.reason == "REFUND_EXCEEDS_CAPTURED"));
    when(given(&steps), wants_refund("s", gbp(200)))
        .then_events(|events| assert_eq!(kinds(events), ["RefundRequested"]));
    when(given(&[]), wants_refund("s", gbp(1))).then_rejects("NOT_AUTHORIZED");
}

#[test]
fn nothing_is_captured_without_a_promise_or_after_a_void() {
    when(given(&[]), wants_capture("a", gbp(1))).then_rejects("NOT_AUTHORIZED");
    let no_funds = [declined(wants_authorize(gbp(1000)), "insufficient_funds")];
    when(given(&no_funds), wants_capture("a", gbp(1))).then_rejects("NOT_AUTHORIZED");
    let asked = [open(wants_authorize(gbp(1000)))];
    when(given(&asked), wants_capture("a", gbp(1))).then_rejects("OUTCOME_UNKNOWN");
    when(given(&held_and(&[open(wants_void())])), wants_capture("a", gbp(1))).then_rejects("OUTCOME_UNKNOWN");
    when(given(&held_and(&[done(wants_void())])), wants_capture("a", gbp(1))).then_rejects("PAYMENT_VOIDED");
    when(given(&[open(wants_void())]), wants_capture("a", gbp(1))).then_rejects("PAYMENT_VOIDED");
}

#[test]
fn the_void_of_an_unknown_payment_is_a_tombstone() {
    let dead = [open(wants_void())];
    let after =
        when(given(&[]), wants_void()).then_events(|events| assert_eq!(kinds(events), ["PaymentTombstoned"]));
    assert_eq!(after.status(), Status::Voided);
    when(given(&dead), wants_void()).then_nothing();
    when(given(&dead), wants_authorize(gbp(1000))).then_nothing();
    assert_eq!(next(&after, &wants_authorize(gbp(1000)), &BTreeSet::new()), Next::Answer);
}

#[test]
fn a_void_gives_up_what_is_left_and_is_refused_only_when_nothing_is() {
    let captured = held_and(&[done(wants_capture("a", gbp(1000)))]);
    when(given(&captured), wants_void()).then_rejects("ALREADY_CAPTURED");
    let part = held_and(&[done(wants_capture("a", gbp(600)))]);
    when(given(&part), wants_void()).then_events(|events| assert_eq!(kinds(events), ["VoidRequested"]));
    let given_up = held_and(&[done(wants_capture("a", gbp(600))), done(wants_void())]);
    let payment: Payment = souk_decider::fold(&history(&given_up));
    assert_eq!((payment.voided_minor(), payment.left_minor()), (400, 0));
    assert_eq!(payment.status(), Status::PartiallyCaptured);
    when(given(&given_up), wants_void()).then_nothing();
    when(given(&given_up), wants_capture("b", gbp(1))).then_rejects("PAYMENT_VOIDED");
    when(given(&given_up), wants_refund("r", gbp(600)))
        .then_events(|events| assert_eq!(kinds(events), ["RefundRequested"]));
    let no_funds = [declined(wants_authorize(gbp(1000)), "insufficient_funds")];
    when(given(&no_funds), wants_void()).then_nothing();
    assert_eq!(status_after(&no_funds), Status::Declined);
}

#[test]
fn before_a_void_all_that_is_open_is_settled() {
    let steps = [open(wants_authorize(gbp(1000))), open(wants_void())];
    let payment: Payment = souk_decider::fold(&history(&steps));
    let mut unheard = BTreeSet::from([Step::Void]);
    assert_eq!(next(&payment, &wants_void(), &unheard), Next::Find(Step::Authorize));
    unheard.insert(Step::Authorize);
    assert_eq!(next(&payment, &wants_void(), &unheard), Next::Perform(Step::Void));
    assert_eq!(next(&payment, &wants_authorize(gbp(1000)), &unheard), Next::Wait("a void is on its way"));

    let steps = held_and(&[open(wants_capture("a", gbp(1))), open(wants_void())]);
    let payment: Payment = souk_decider::fold(&history(&steps));
    let step = Step::Capture(id("a"));
    assert_eq!(next(&payment, &wants_void(), &BTreeSet::new()), Next::Find(step.clone()));
    assert_eq!(next(&payment, &wants_capture("a", gbp(1)), &BTreeSet::new()), Next::Find(step));
}

#[test]
fn a_void_that_wins_settles_the_captures_that_may_have_come_before_it() {
    let steps = held_and(&[open(wants_capture("a", gbp(1))), done(wants_void())]);
    let mut events = history(&steps);
    assert_eq!(kinds(&events[3..]), ["VoidRequested", "Voided"]);
    let payment: Payment = souk_decider::fold(&events);
    let step = Step::Capture(id("a"));
    assert_eq!(next(&payment, &wants_void(), &BTreeSet::new()), Next::Perform(step.clone()));
    let late = Answer::Declined("voided".to_owned());
    events.extend(record(&payment, &step, &late, Source::Answer, NOW));
    let payment: Payment = souk_decider::fold(&events);
    let refused = next(&payment, &wants_capture("a", gbp(1)), &BTreeSet::new());
    assert!(matches!(refused, Next::Refuse(r) if r.reason == "PAYMENT_VOIDED"));
    assert_eq!(next(&payment, &wants_void(), &BTreeSet::new()), Next::Answer);
    check_history(&events);
}

#[test]
fn a_late_or_repeated_answer_never_moves_a_payment_back() {
    let all = held_and(&[
        done(wants_capture("a", gbp(600))),
        declined(wants_capture("b", gbp(100)), "capture_failed"),
        done(wants_refund("r", gbp(100))),
        declined(wants_refund("s", gbp(100)), "refund_failed"),
    ]);
    let voided = held_and(&[done(wants_void())]);
    let tombstoned = [open(wants_authorize(gbp(1000))), done(wants_void())];
    let names = ["a", "b"].map(|text| Step::Capture(id(text)));
    let refunds = ["r", "s"].map(|text| Step::Refund(id(text)));
    let steps: Vec<Step> = [Step::Authorize, Step::Void].into_iter().chain(names).chain(refunds).collect();
    for history_of in [&all[..], &voided[..], &tombstoned[..]] {
        let payment: Payment = souk_decider::fold(&history(history_of));
        for step in &steps {
            for answer in [Answer::Succeeded, Answer::Declined("late".to_owned()), Answer::Pending] {
                assert_eq!(record(&payment, step, &answer, Source::Query, NOW), [], "{step:?} {answer:?}");
            }
            assert_eq!(doubt(&payment, step, NOW), [], "{step:?}");
        }
    }
}

#[test]
fn a_doubt_is_recorded_once_and_settled_by_an_answer() {
    let mut events = history(&[open(wants_authorize(gbp(1000)))]);
    let payment: Payment = souk_decider::fold(&events);
    assert_eq!(payment.status(), Status::Authorizing);
    events.extend(doubt(&payment, &Step::Authorize, NOW));
    let payment: Payment = souk_decider::fold(&events);
    assert_eq!((payment.status(), kinds(&events)[1]), (Status::Unknown, "AuthorizationUnknown"));
    assert_eq!(doubt(&payment, &Step::Authorize, NOW), []);
    events.extend(record(&payment, &Step::Authorize, &Answer::Succeeded, Source::Query, NOW));
    assert_eq!(souk_decider::fold::<Payment>(&events).status(), Status::Authorized);
    check_history(&events);
}

#[test]
fn a_pending_refund_counts_until_it_is_settled() {
    let pending = (wants_refund("r", gbp(600)), Some(Answer::Pending));
    let steps = held_and(&[done(wants_capture("a", gbp(600))), pending]);
    let mut events = history(&steps);
    let payment: Payment = souk_decider::fold(&events);
    assert_eq!((payment.refunding_minor(), payment.refunded_minor()), (600, 0));
    assert_eq!(record(&payment, &Step::Refund(id("r")), &Answer::Pending, Source::Query, NOW), []);
    assert_eq!(doubt(&payment, &Step::Refund(id("r")), NOW), []);
    let failed = Answer::Declined("refund_failed".to_owned());
    events.extend(record(&payment, &Step::Refund(id("r")), &failed, Source::Query, NOW));
    check_history(&events);
    when(Given::events(events), wants_refund("s", gbp(600)))
        .then_events(|events| assert_eq!(kinds(events), ["RefundRequested"]));
}

#[test]
fn the_status_says_what_it_amounts_to() {
    assert_eq!(status_after(&[]), Status::Unheard);
    assert_eq!(status_after(&held()), Status::Authorized);
    let part = held_and(&[done(wants_capture("a", gbp(400)))]);
    assert_eq!(status_after(&part), Status::PartiallyCaptured);
    let all = held_and(&[done(wants_capture("a", gbp(400))), done(wants_capture("b", gbp(600)))]);
    assert_eq!(status_after(&all), Status::Captured);
    let some_back = held_and(&[done(wants_capture("a", gbp(400))), done(wants_refund("r", gbp(1)))]);
    assert_eq!(status_after(&some_back), Status::PartiallyRefunded);
    let all_back = held_and(&[done(wants_capture("a", gbp(400))), done(wants_refund("r", gbp(400)))]);
    assert_eq!(status_after(&all_back), Status::Refunded);
    let gone = [open(wants_authorize(gbp(1))), open(wants_void())];
    let payment: Payment = souk_decider::fold(&history(&gone));
    let no_funds = Answer::Declined("insufficient_funds".to_owned());
    let events = record(&payment, &Step::Authorize, &no_funds, Source::Query, NOW);
    assert_eq!(kinds(&events), ["AuthorizationDeclined", "Voided"]);
}

#[test]
fn a_payment_has_a_bounded_number_of_operations() {
    let steps: Vec<_> = (0..OPERATIONS_MAX).map(|n| done(wants_capture(&format!("c{n}"), gbp(1)))).collect();
    let payment: Payment = souk_decider::fold(&history(&held_and(&steps)));
    let one_more = decide(&payment, &command(wants_capture("one-more", gbp(1))), NOW);
    assert_eq!(one_more.expect_err("it is too much").reason, "TOO_MANY_OPERATIONS");
    assert_eq!(decide(&payment, &command(wants_capture("c0", gbp(1))), NOW), Ok(Vec::new()));
}

#[test]
fn every_posting_balances_and_follows_the_money() {
    let steps = held_and(&[done(wants_capture("a", gbp(600))), done(wants_refund("r", gbp(150)))]);
    let mut balances: std::collections::BTreeMap<_, i64> = Default::default();
    for transaction in history(&steps).iter().filter_map(ledger::Transaction::of) {
        assert_eq!(invariants::balanced(&transaction), Ok(()));
        for posting in transaction.postings {
            *balances.entry(posting.account).or_default() += posting.minor_units;
        }
    }
    use ledger::Account::{ProviderClearing, Refunds, Revenue};
    assert_eq!(
        balances.into_iter().collect::<Vec<_>>(),
        [(ProviderClearing, 450), (Revenue, -600), (Refunds, 150)]
    );
}

#[test]
fn the_providers_keys_are_made_of_ids_alone() {
    let key = |step: Step| step.key(payment_id());
    assert_eq!(key(Step::Authorize), format!("{}:authorize", payment_id()));
    assert_eq!(key(Step::Capture(id("full"))), format!("{}:capture:full", payment_id()));
    assert_eq!(key(Step::Refund(id("full"))), format!("{}:refund:full", payment_id()));
    assert_eq!(key(Step::Void), format!("{}:void", payment_id()));
}

#[test]
fn golden_files_hold_every_stored_shape() {
    let (payment_id, order_id, at) = (payment_id(), order_id(), NOW);
    let key = |step: Step| step.key(payment_id);
    let (capture, refund) = (Step::Capture(id("full")), Step::Refund(id("cancel")));
    let (code, reason) = ("insufficient_funds".to_owned(), "CANCELLED_BY_CUSTOMER".to_owned());
    let doubt = |step: &Step| Doubt { payment_id, key: step.key(payment_id), at };
    let (amount, source) = (gbp(1599), Source::Answer);
    let authorize_key = key(Step::Authorize);
    let examples = [
        PaymentEvent::AuthorizationRequested(AuthorizationRequested {
            payment_id,
            order_id,
            owner: "gst_1".to_owned(),
            amount,
            method_token: "ok".to_owned(),
            key: authorize_key.clone(),
            at,
        }),
        PaymentEvent::AuthorizationSucceeded(AuthorizationSucceeded {
            payment_id,
            order_id,
            amount,
            key: authorize_key.clone(),
            source,
            owner: None,
            expires_at: None,
            at,
        }),
        PaymentEvent::AuthorizationDeclined(AuthorizationDeclined {
            payment_id,
            order_id,
            amount,
            key: authorize_key,
            code,
            source: Source::Query,
            owner: None,
            at,
        }),
        PaymentEvent::AuthorizationUnknown(doubt(&Step::Authorize)),
        PaymentEvent::CaptureUnknown(doubt(&capture)),
        PaymentEvent::VoidUnknown(doubt(&Step::Void)),
        PaymentEvent::RefundUnknown(doubt(&refund)),
        PaymentEvent::RefundPending(doubt(&refund)),
        PaymentEvent::PaymentTombstoned(PaymentTombstoned { payment_id, reason: reason.clone(), at }),
        PaymentEvent::VoidRequested(VoidRequested {
            payment_id,
            key: key(Step::Void),
            reason: reason.clone(),
            at,
        }),
        PaymentEvent::Voided(Voided {
            payment_id,
            order_id,
            amount,
            key: key(Step::Void),
            source,
            owner: None,
            at,
        }),
        PaymentEvent::VoidRefused(VoidRefused {
            payment_id,
            key: key(Step::Void),
            code: "already_captured".to_owned(),
            at,
        }),
    ];
    let more = [movement_examples(reason), later_examples(), latest_examples()].concat();
    golden::check(env!("CARGO_MANIFEST_DIR"), &[examples.to_vec(), more].concat());
}

fn movement_examples(reason: String) -> Vec<PaymentEvent> {
    let (payment_id, at, amount) = (payment_id(), NOW, gbp(1599));
    let (capture_id, refund_id) = (id("full"), id("cancel"));
    let capture_key = Step::Capture(capture_id.clone()).key(payment_id);
    let refund_key = Step::Refund(refund_id.clone()).key(payment_id);
    let capture_refused = |refusal| {
        let capture_id = capture_id.clone();
        PaymentEvent::CaptureRefused(CaptureRefused { payment_id, capture_id, amount, refusal, at })
    };
    vec![
        PaymentEvent::CaptureRequested(CaptureRequested {
            payment_id,
            capture_id: capture_id.clone(),
            amount,
            key: capture_key.clone(),
            at,
        }),
        PaymentEvent::CaptureSucceeded(CaptureSucceeded {
            payment_id,
            capture_id: capture_id.clone(),
            amount,
            key: capture_key,
            source: Source::Ourselves,
            owner: None,
            at,
        }),
        capture_refused(Refusal::ExceedsAuthorized),
        capture_refused(Refusal::PaymentVoided),
        capture_refused(Refusal::ByProvider("capture_failed".to_owned())),
        PaymentEvent::RefundRequested(RefundRequested {
            payment_id,
            refund_id: refund_id.clone(),
            amount,
            reason,
            key: refund_key.clone(),
            at,
        }),
        PaymentEvent::RefundSucceeded(RefundSucceeded {
            payment_id,
            refund_id: refund_id.clone(),
            amount,
            key: refund_key,
            source: Source::Query,
            owner: None,
            at,
        }),
        PaymentEvent::RefundRefused(RefundRefused {
            payment_id,
            refund_id,
            amount,
            refusal: Refusal::ExceedsCaptured,
            owner: None,
            at,
        }),
    ]
}

/// What is stored since others hear of payments and customers act.
fn later_examples() -> Vec<PaymentEvent> {
    let (payment_id, order_id, at, amount) = (payment_id(), order_id(), NOW, gbp(1599));
    let (owner, until) = ("gst_1".to_owned(), NOW.plus(PROMISE_LENGTH));
    let told = Some(owner.clone());
    let key = Step::Authorize.key(payment_id);
    vec![
        PaymentEvent::AuthorizationSucceeded(AuthorizationSucceeded {
            payment_id,
            order_id,
            amount,
            key: key.clone(),
            source: Source::Notice,
            owner: told.clone(),
            expires_at: Some(until),
            at,
        }),
        PaymentEvent::AuthorizationDeclined(AuthorizationDeclined {
            payment_id,
            order_id,
            amount,
            key: key.clone(),
            code: ACTION_EXPIRED.to_owned(),
            source: Source::Time,
            owner: told.clone(),
            at,
        }),
        PaymentEvent::RefundRefused(RefundRefused {
            payment_id,
            refund_id: id("cancel"),
            amount,
            refusal: Refusal::ByProvider("refund_failed".to_owned()),
            owner: told,
            at,
        }),
        PaymentEvent::ActionRequired(ActionRequired {
            payment_id,
            order_id,
            owner,
            amount,
            key,
            action_url: "https://bank.example/challenge".to_owned(),
            expires_at: NOW.plus(ACTION_WITHIN),
            source: Source::Answer,
            at,
        }),
    ]
}

/// What is stored since promises end and disputes come.
fn latest_examples() -> Vec<PaymentEvent> {
    let (payment_id, order_id, at, amount) = (payment_id(), order_id(), NOW, gbp(1599));
    let (owner, until) = ("gst_1".to_owned(), NOW.plus(PROMISE_LENGTH));
    let renewal = Step::Reauthorize(id("again"));
    let (authorization_id, renewal_key) = (id("again"), renewal.key(payment_id));
    let closed = || {
        let (owner, dispute_id) = (owner.clone(), "dsp_1".to_owned());
        DisputeClosed { payment_id, order_id, owner, dispute_id, amount, at }
    };
    vec![
        PaymentEvent::AuthorizationExpired(AuthorizationExpired {
            payment_id,
            order_id,
            owner: owner.clone(),
            amount,
            at,
        }),
        PaymentEvent::ReauthorizationRequested(ReauthorizationRequested {
            payment_id,
            authorization_id: authorization_id.clone(),
            amount,
            key: renewal_key.clone(),
            at,
        }),
        PaymentEvent::ReauthorizationSucceeded(ReauthorizationSucceeded {
            payment_id,
            order_id,
            owner: owner.clone(),
            authorization_id: authorization_id.clone(),
            amount,
            key: renewal_key.clone(),
            source: Source::Answer,
            expires_at: until,
            at,
        }),
        PaymentEvent::ReauthorizationRefused(ReauthorizationRefused {
            payment_id,
            authorization_id,
            amount,
            refusal: Refusal::NotExpired,
            at,
        }),
        PaymentEvent::ReauthorizationUnknown(Doubt { payment_id, key: renewal_key, at }),
        PaymentEvent::DisputeOpened(DisputeOpened {
            payment_id,
            order_id,
            owner: owner.clone(),
            dispute_id: "dsp_1".to_owned(),
            amount,
            reason: "product_not_received".to_owned(),
            at,
        }),
        PaymentEvent::DisputeWon(closed()),
        PaymentEvent::DisputeLost(closed()),
    ]
}

/// Timers and notices, in a file of their own.
mod later;
