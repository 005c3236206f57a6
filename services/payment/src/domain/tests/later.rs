//! What time and notices do to a payment.
use super::super::notice::{About, Kept, Notice, NoticeEvent, Stage, Told, keep, settle};
use super::super::time::{Alarm, TimerChange};
use super::*;

fn act(until: Option<Timestamp>) -> (Want, Option<Answer>) {
    let url = "https://bank.example".to_owned();
    (wants_authorize(gbp(1000)), Some(Answer::ActionRequired { url, until }))
}

fn wants_renewal(text: &str, amount: Money) -> Want {
    Want::Reauthorize { id: id(text), amount }
}

fn folded(events: &[PaymentEvent]) -> Payment {
    souk_decider::fold(events)
}

/// A promise of 1000, of which `captured` was taken before it expired.
fn expired(captured: i64) -> Vec<PaymentEvent> {
    let mut events = history(&held());
    if captured > 0 {
        events = history(&held_and(&[done(wants_capture("a", gbp(captured)))]));
    }
    events.extend(expire(&folded(&events), NOW));
    check_history(&events);
    events
}

#[test]
fn a_promise_expires_but_for_what_was_taken() {
    let payment = folded(&expired(0));
    assert_eq!((payment.status(), payment.authorized_minor()), (Status::AuthExpired, 0));
    let payment = folded(&expired(600));
    assert_eq!(
        (payment.status(), payment.authorized_minor(), payment.captured_minor()),
        (Status::AuthExpired, 600, 600)
    );
    when(Given::events(expired(600)), wants_capture("b", gbp(400))).then_rejects("AUTHORIZATION_EXPIRED");
    when(Given::events(expired(600)), wants_refund("r", gbp(600)))
        .then_events(|events| assert_eq!(kinds(events), ["RefundRequested"]));
    for stays in [
        history(&[]),
        history(&[open(wants_authorize(gbp(1000)))]),
        history(&held_and(&[open(wants_capture("a", gbp(600)))])),
        history(&held_and(&[done(wants_capture("a", gbp(1000)))])),
        history(&held_and(&[open(wants_void())])),
        history(&held_and(&[done(wants_void())])),
    ] {
        assert_eq!(expire(&folded(&stays), NOW), [], "{:?}", kinds(&stays));
    }
}

#[test]
fn a_capture_that_came_too_late_tells_that_the_promise_is_over() {
    let late = declined(wants_capture("a", gbp(600)), "authorization_expired");
    let events = history(&held_and(std::slice::from_ref(&late)));
    assert_eq!(kinds(&events[3..]), ["CaptureRefused", "AuthorizationExpired"]);
    let events = history(&held_and(&[open(wants_capture("b", gbp(100))), late]));
    assert_eq!(kinds(&events[4..]), ["CaptureRefused"], "the other one may have come in time");
}

#[test]
fn a_new_promise_is_asked_for_once_after_the_old_one_and_within_it() {
    let ask = |captured, amount: Money| when(Given::events(expired(captured)), wants_renewal("n", amount));
    ask(0, gbp(1000)).then_events(|events| assert_eq!(kinds(events), ["ReauthorizationRequested"]));
    ask(600, gbp(400)).then_events(|events| assert_eq!(kinds(events), ["ReauthorizationRequested"]));
    let refused = |amount, captured| {
        let after = ask(captured, amount).then_events(|e| assert_eq!(kinds(e), ["ReauthorizationRefused"]));
        let next = next(&after, &wants_renewal("n", amount), &BTreeSet::new());
        assert!(matches!(next, Next::Refuse(r) if r.reason == "CAPTURE_EXCEEDS_AUTHORIZED"));
    };
    refused(gbp(401), 600);
    refused(gbp(0), 600);
    ask(0, eur(1)).then_rejects("PAYMENT_CONFLICT");
    let held_still = when(given(&held()), wants_renewal("n", gbp(1000)));
    let after = held_still.then_events(|events| assert_eq!(kinds(events), ["ReauthorizationRefused"]));
    let next = next(&after, &wants_renewal("n", gbp(1000)), &BTreeSet::new());
    assert!(matches!(next, Next::Refuse(r) if r.reason == "REAUTHORIZATION_REFUSED"));
    when(given(&[]), wants_renewal("n", gbp(1))).then_rejects("NOT_AUTHORIZED");
    when(given(&held_and(&[done(wants_void())])), wants_renewal("n", gbp(1))).then_rejects("PAYMENT_VOIDED");
}

#[test]
fn a_new_promise_is_as_good_as_the_first() {
    let mut events = expired(600);
    let want = wants_renewal("n", gbp(300));
    events.extend(decide(&folded(&events), &command(want.clone()), NOW).expect("it may be asked for"));
    when(Given::events(events.clone()), wants_renewal("m", gbp(1))).then_rejects("OUTCOME_UNKNOWN");
    let until = NOW.plus(PROMISE_LENGTH);
    events.extend(record(&folded(&events), &want.step(), &Answer::Promised(until), Source::Answer, NOW));
    check_history(&events);
    let payment = folded(&events);
    assert_eq!((payment.status(), payment.authorized_minor()), (Status::PartiallyCaptured, 900));
    assert_eq!(*payment.promise(), Promise::Held { until: Some(until) });
    when(Given::events(events.clone()), want).then_nothing();
    when(Given::events(events.clone()), wants_renewal("n", gbp(1))).then_rejects("PAYMENT_CONFLICT");
    when(Given::events(events.clone()), wants_capture("b", gbp(300)))
        .then_events(|events| assert_eq!(kinds(events), ["CaptureRequested"]));
    when(Given::events(events), wants_capture("b", gbp(301)))
        .then_events(|events| assert_eq!(kinds(events), ["CaptureRefused"]));
}

#[test]
fn the_customer_acts_first_and_not_for_ever() {
    let events = history(&[act(None)]);
    let payment = folded(&events);
    assert_eq!((kinds(&events)[1], payment.status()), ("ActionRequired", Status::RequiresAction));
    let url = "https://bank.example".to_owned();
    assert_eq!(*payment.promise(), Promise::ActionRequired { url, until: NOW.plus(ACTION_WITHIN) });
    assert_eq!(next(&payment, &wants_authorize(gbp(1000)), &BTreeSet::new()), Next::Answer);
    when(given(&[act(None)]), wants_capture("a", gbp(1))).then_rejects("NOT_AUTHORIZED");
    let sooner = folded(&history(&[act(Some(NOW.plus(std::time::Duration::from_secs(60))))]));
    assert!(
        matches!(sooner.promise(), Promise::ActionRequired { until, .. } if *until < NOW.plus(ACTION_WITHIN))
    );
    for (answer, status) in
        [(Answer::Succeeded, Status::Authorized), (Answer::Declined("no".to_owned()), Status::Declined)]
    {
        let mut events = history(&[act(None)]);
        events.extend(record(&payment, &Step::Authorize, &answer, Source::Notice, NOW));
        check_history(&events);
        assert_eq!(folded(&events).status(), status);
    }
}

#[test]
fn a_customer_who_did_not_act_in_time_is_declined() {
    let over = Want::Void { reason: ACTION_EXPIRED.to_owned() };
    let events = history(&[act(None), done(over)]);
    assert_eq!(kinds(&events[2..]), ["VoidRequested", "AuthorizationDeclined", "Voided"]);
    assert_eq!(folded(&events).status(), Status::Declined);
    let gone = history(&[act(None), done(wants_void())]);
    assert_eq!((kinds(&gone[2..]).len(), folded(&gone).status()), (2, Status::Voided));
}

#[test]
fn timers_come_and_go_with_what_needs_them() {
    let changes = |events: &[PaymentEvent]| {
        let mut payment = Payment::default();
        let mut changes = Vec::new();
        for event in events {
            changes.extend(timers(&payment, std::slice::from_ref(event)));
            souk_decider::Aggregate::evolve(&mut payment, event);
        }
        changes
    };
    let (expiry, action) = (Alarm::Expiry(payment_id()), Alarm::Action(payment_id()));
    let set = TimerChange::Set(expiry.clone(), NOW.plus(PROMISE_LENGTH));
    let cancel = TimerChange::Cancel(expiry.clone());
    assert_eq!(changes(&history(&held())), std::slice::from_ref(&set));
    let part = held_and(&[done(wants_capture("a", gbp(600)))]);
    assert_eq!(changes(&history(&part)), std::slice::from_ref(&set));
    let whole = held_and(&[done(wants_capture("a", gbp(600))), done(wants_capture("b", gbp(400)))]);
    assert_eq!(changes(&history(&whole)), [set.clone(), cancel.clone()]);
    assert_eq!(changes(&history(&held_and(&[done(wants_void())]))), [set.clone(), cancel.clone()]);
    assert_eq!(changes(&expired(0)), [set, cancel]);
    assert_eq!(changes(&history(&[act(None)])), [TimerChange::Set(action.clone(), NOW.plus(ACTION_WITHIN))]);
    let pending = (wants_refund("r", gbp(600)), Some(Answer::Pending));
    let refund = Alarm::Refund(payment_id(), id("r"));
    let mut events = history(&held_and(&[done(wants_capture("a", gbp(1000))), pending]));
    let asked = changes(&events);
    assert!(matches!(&asked[2], TimerChange::Set(alarm, _) if *alarm == refund), "{asked:?}");
    events.extend(record(&folded(&events), &Step::Refund(id("r")), &Answer::Succeeded, Source::Query, NOW));
    assert_eq!(changes(&events)[3], TimerChange::Cancel(refund.clone()));
    for alarm in [expiry, action, refund] {
        assert_eq!(alarm.to_string().parse(), Ok(alarm));
    }
    assert!("expiry:x".parse::<Alarm>().is_err() && "nap".parse::<Alarm>().is_err());
}

fn told(key: String, told: Told, amount: Option<Money>) -> Notice {
    let (provider, event_id) = ("sim".to_owned(), "evt_1".to_owned());
    Notice { provider, event_id, about: About::Operation { key, told }, amount }
}

fn dispute(stage: Stage, amount: Money) -> Notice {
    let about = About::Dispute {
        authorization_key: Step::Authorize.key(payment_id()),
        dispute_id: "dsp_1".to_owned(),
        stage,
        reason: "product_not_received".to_owned(),
    };
    Notice { provider: "sim".to_owned(), event_id: "evt_1".to_owned(), about, amount: Some(amount) }
}

/// What a notice does: the last word about it, and what happens to the payment.
fn taken(notice: &Notice, events: &[PaymentEvent]) -> (&'static str, Vec<PaymentEvent>) {
    let (of_notice, changes) = keep(&Kept::Unheard, notice, &folded(events), NOW);
    let all = [events, &changes[..]].concat();
    if !events.is_empty() {
        check_history(&all);
    }
    (of_notice.last().map_or("", souk_decider::StoredEvent::kind), changes)
}

#[test]
fn a_notice_settles_what_is_open_and_changes_nothing_that_is_known() {
    let (authorize, capture) = (Step::Authorize, Step::Capture(id("a")));
    let asked = history(&[open(wants_authorize(gbp(1000)))]);
    let good = told(authorize.key(payment_id()), Told::Promised(NOW), Some(gbp(1000)));
    let (word, changes) = taken(&good, &asked);
    assert_eq!((word, kinds(&changes)), ("NoticeApplied", vec!["AuthorizationSucceeded"]));
    let all = history(&held_and(&[done(wants_capture("a", gbp(600)))]));
    assert_eq!(taken(&good, &all), ("NoticeApplied", Vec::new()), "known already");
    let late = told(authorize.key(payment_id()), Told::Declined("no".to_owned()), None);
    assert_eq!(taken(&late, &all), ("NoticeApplied", Vec::new()), "nothing moves back");
    let pending = told(capture.key(payment_id()), Told::Pending, Some(gbp(600)));
    assert_eq!(taken(&pending, &all), ("NoticeApplied", Vec::new()));
    for kept in [Kept::Waiting(good.clone()), Kept::Applied, Kept::Quarantined] {
        assert_eq!(keep(&kept, &good, &folded(&asked), NOW), (Vec::new(), Vec::new()), "it counts once");
    }
}

#[test]
fn a_notice_that_contradicts_us_is_put_aside() {
    let asked = history(&[open(wants_authorize(gbp(1000)))]);
    let key = Step::Authorize.key(payment_id());
    for wrong in [gbp(999), eur(1000)] {
        let notice = told(key.clone(), Told::Succeeded, Some(wrong));
        assert_eq!(taken(&notice, &asked), ("NoticeQuarantined", Vec::new()), "{wrong:?}");
    }
    let foreign = told("ch_123".to_owned(), Told::Succeeded, Some(gbp(1)));
    assert_eq!(taken(&foreign, &[]), ("NoticeQuarantined", Vec::new()));
    let capture = Step::Capture(id("a")).key(payment_id());
    let refused = history(&held_and(&[declined(wants_capture("a", gbp(600)), "capture_failed")]));
    let moved = told(capture.clone(), Told::Succeeded, Some(gbp(600)));
    assert_eq!(taken(&moved, &refused), ("NoticeQuarantined", Vec::new()), "we know that it failed");
    let captured = history(&held_and(&[done(wants_capture("a", gbp(600)))]));
    let failed = told(capture, Told::Declined("no".to_owned()), Some(gbp(600)));
    assert_eq!(taken(&failed, &captured), ("NoticeQuarantined", Vec::new()), "we know that it worked");
}

#[test]
fn a_notice_of_what_we_do_not_know_yet_waits_and_not_for_ever() {
    let notice = told(Step::Authorize.key(payment_id()), Told::Succeeded, Some(gbp(1000)));
    assert_eq!(taken(&notice, &[]), ("NoticeKept", Vec::new()));
    let unknown = Payment::default();
    assert_eq!(settle(&notice, &unknown, false, NOW), (Vec::new(), Vec::new()));
    let (word, changes) = settle(&notice, &unknown, true, NOW);
    assert!(matches!(&word[..], [NoticeEvent::NoticeQuarantined(_)]) && changes.is_empty());
    let asked = folded(&history(&[open(wants_authorize(gbp(1000)))]));
    let (word, changes) = settle(&notice, &asked, true, NOW);
    assert!(matches!(&word[..], [NoticeEvent::NoticeApplied(_)]));
    assert_eq!(kinds(&changes), ["AuthorizationSucceeded"]);
}

#[test]
fn a_dispute_takes_money_away_until_it_is_won() {
    let captured = history(&held_and(&[done(wants_capture("a", gbp(600)))]));
    assert_eq!(taken(&dispute(Stage::Won, gbp(600)), &captured).0, "NoticeKept", "it overtook the opening");
    assert_eq!(taken(&dispute(Stage::Open, gbp(601)), &captured).0, "NoticeKept", "a capture may come yet");
    assert_eq!(taken(&dispute(Stage::Open, gbp(0)), &captured).0, "NoticeQuarantined");
    assert_eq!(taken(&dispute(Stage::Open, eur(600)), &captured).0, "NoticeQuarantined");
    let (_, opened) = taken(&dispute(Stage::Open, gbp(600)), &captured);
    assert_eq!(kinds(&opened), ["DisputeOpened"]);
    let disputed = [captured, opened].concat();
    assert_eq!(taken(&dispute(Stage::Open, gbp(600)), &disputed), ("NoticeApplied", Vec::new()));
    assert_eq!(taken(&dispute(Stage::Won, gbp(1)), &disputed).0, "NoticeQuarantined");
    // A refusal would be for ever, and this dispute may still be won.
    when(Given::events(disputed.clone()), wants_refund("r", gbp(1))).then_rejects("OUTCOME_UNKNOWN");
    for (stage, kind, away, other, refund) in [
        (Stage::Won, "DisputeWon", 0, Stage::Lost, "RefundRequested"),
        (Stage::Lost, "DisputeLost", 600, Stage::Won, "RefundRefused"),
    ] {
        let (_, closed) = taken(&dispute(stage, gbp(600)), &disputed);
        assert_eq!(kinds(&closed), [kind]);
        let over = [&disputed[..], &closed].concat();
        assert_eq!(folded(&over).disputed_minor(), away);
        when(Given::events(over.clone()), wants_refund("r", gbp(1)))
            .then_events(|events| assert_eq!(kinds(events), [refund]));
        assert_eq!(taken(&dispute(stage, gbp(600)), &over), ("NoticeApplied", Vec::new()));
        assert_eq!(taken(&dispute(other, gbp(600)), &over).0, "NoticeQuarantined");
        let posted: i64 = over
            .iter()
            .filter_map(ledger::Transaction::of)
            .flat_map(|transaction| transaction.postings)
            .filter(|posting| posting.account == ledger::Account::Disputes)
            .map(|posting| posting.minor_units)
            .sum();
        assert_eq!(posted, away, "{stage:?}");
    }
}

#[test]
fn golden_files_hold_every_stored_shape_of_notices() {
    let events = [
        super::super::notice::NoticeKept {
            notice: told(Step::Authorize.key(payment_id()), Told::Promised(NOW), Some(gbp(1000))),
            at: NOW,
        },
        super::super::notice::NoticeKept { notice: dispute(Stage::Open, gbp(600)), at: NOW },
    ];
    let mut examples: Vec<NoticeEvent> = events.into_iter().map(NoticeEvent::NoticeKept).collect();
    let applied = super::super::notice::NoticeApplied { payment_id: payment_id(), at: NOW };
    examples.push(NoticeEvent::NoticeApplied(applied));
    let reason = "no such payment".to_owned();
    let aside = super::super::notice::NoticeQuarantined { reason, at: NOW };
    examples.push(NoticeEvent::NoticeQuarantined(aside));
    golden::check(env!("CARGO_MANIFEST_DIR"), &examples);
}

#[test]
fn golden_files_hold_every_stored_shape_of_comparisons() {
    use super::super::reconciliation::{DayCompared, DayEvent, LedgerMismatch};
    let (date, key) = ("2026-03-01".to_owned(), Step::Capture(id("full")).key(payment_id()));
    let what = "done in our books, not at the provider".to_owned();
    let examples = [
        DayEvent::LedgerMismatch(LedgerMismatch { date: date.clone(), key, what, at: NOW }),
        DayEvent::DayCompared(DayCompared { date, compared: 12, mismatches: 1, at: NOW }),
    ];
    golden::check(env!("CARGO_MANIFEST_DIR"), &examples);
}
