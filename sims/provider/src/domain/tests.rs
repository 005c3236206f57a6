//! Each command does, refuses and stays quiet; the sums hold whatever is asked in whatever order.
use super::*;
use crate::tokens::TOKENS;
use souk_decider::testing::{Given, golden};
use souk_kernel::{Currency, SeededEntropy};

const NOW: Timestamp = Timestamp::from_unix_s(1_000);

fn gbp(minor_units: i64) -> Money {
    Money::new(minor_units, Currency::parse("GBP").expect("known"))
}

fn eur(minor_units: i64) -> Money {
    Money::new(minor_units, Currency::parse("EUR").expect("known"))
}

fn authorize(token: &str, amount: Money) -> Command {
    let (key, method_token, reference) = ("a".to_owned(), token.to_owned(), "order".to_owned());
    Command::Authorize { key, amount, method_token, reference }
}

fn capture(key: &str, amount: Money) -> Command {
    Command::Capture { key: key.to_owned(), authorization_key: "a".to_owned(), amount }
}

fn void(key: &str) -> Command {
    Command::Void { key: key.to_owned(), authorization_key: "a".to_owned() }
}

fn refund(key: &str, amount: Money) -> Command {
    Command::Refund { key: key.to_owned(), authorization_key: "a".to_owned(), amount }
}

/// The books after these commands, each said as often as it takes to have an outcome.
fn books(commands: &[Command]) -> (Authorization, Vec<Event>) {
    let (mut state, mut log) = (Authorization::default(), Vec::new());
    for command in commands {
        while state.operation(command.key()).is_none() {
            let events = decide(&state, command, NOW).expect("the history is allowed");
            events.iter().for_each(|event| state.evolve(event));
            log.extend(events);
        }
    }
    (state, log)
}

fn outcome(commands: &[Command]) -> Status {
    let last = commands.last().expect("something was asked").key();
    books(commands).0.operation(last).expect("it has an outcome").status.clone()
}

fn declined(code: &str) -> Status {
    Status::Declined(code.to_owned())
}

#[test]
fn each_token_has_its_outcomes() {
    for (token, _) in TOKENS {
        let authorized = outcome(&[authorize(token, gbp(100))]);
        let expected = match *token {
            "decline_funds" => declined("insufficient_funds"),
            "decline_fraud" => declined("suspected_fraud"),
            "requires_action" | "requires_action_fails" => Status::ActionRequired,
            _ => Status::Succeeded,
        };
        assert_eq!(authorized, expected, "{token}");
        if authorized != Status::Succeeded {
            assert_eq!(
                outcome(&[authorize(token, gbp(100)), capture("c", gbp(1))]),
                declined("not_authorized")
            );
            continue;
        }
        let captured = outcome(&[authorize(token, gbp(100)), capture("c", gbp(100))]);
        let fails = *token == "capture_fails";
        assert_eq!(captured, if fails { declined("capture_failed") } else { Status::Succeeded }, "{token}");
        assert_eq!(outcome(&[authorize(token, gbp(100)), void("v")]), Status::Succeeded, "{token}");
        let refunded = outcome(&[authorize(token, gbp(100)), capture("c", gbp(100)), refund("r", gbp(100))]);
        let expected = match *token {
            "capture_fails" => declined("exceeds_captured"),
            "refund_pending_then_fails" | "refund_pending_then_succeeds" => Status::Pending,
            _ => Status::Succeeded,
        };
        assert_eq!(refunded, expected, "{token}");
    }
    assert_eq!(outcome(&[authorize("stolen", gbp(1))]), declined("unknown_payment_method"));
}

#[test]
fn only_the_first_call_of_a_key_fails_without_an_effect() {
    for token in ["timeout_before", "error_500_then_ok"] {
        let (state, log) =
            books(&[authorize(token, gbp(100)), capture("c", gbp(60)), void("v"), refund("r", gbp(60))]);
        let failed = log.iter().filter(|event| matches!(event, Event::AttemptFailed(_))).count();
        assert_eq!((failed, state.captured_minor(), state.refunded_minor()), (4, 60, 60));
    }
}

#[test]
fn a_repeated_key_changes_nothing_and_other_content_is_refused() {
    let (_, log) = books(&[authorize("ok", gbp(100)), capture("c", gbp(60)), refund("r", gbp(10))]);
    let given = || Given::<Authorization>::events(log.clone());
    for command in [authorize("ok", gbp(100)), capture("c", gbp(60)), refund("r", gbp(10))] {
        given().when(|state| decide(state, &command, NOW)).then_nothing();
    }
    for command in [
        authorize("ok", gbp(101)),
        authorize("slow_30s", gbp(100)),
        capture("c", gbp(61)),
        capture("r", gbp(10)),
        refund("r", eur(10)),
        void("c"),
    ] {
        given().when(|state| decide(state, &command, NOW)).then_rejects("KEY_REUSED");
    }
}

#[test]
fn what_was_never_promised_cannot_be_moved_but_can_be_voided() {
    let nothing = Given::<Authorization>::nothing;
    nothing().when(|state| decide(state, &capture("c", gbp(1)), NOW)).then_rejects("UNKNOWN_AUTHORIZATION");
    nothing().when(|state| decide(state, &refund("r", gbp(1)), NOW)).then_rejects("UNKNOWN_AUTHORIZATION");
    assert_eq!(outcome(&[void("v")]), Status::Succeeded);
    assert_eq!(outcome(&[void("v"), authorize("ok", gbp(1))]), declined("voided"));
    assert_eq!(outcome(&[void("v"), authorize("timeout_before", gbp(1))]), declined("voided"));
    assert_eq!(outcome(&[void("v"), capture("c", gbp(1))]), declined("voided"));
}

#[test]
fn the_sums_bound_each_other() {
    let held = [authorize("ok", gbp(100)), capture("c", gbp(60))];
    let after = |last: Command| outcome(&[&held[..], &[last]].concat());
    assert_eq!(after(capture("d", gbp(41))), declined("exceeds_authorized"));
    assert_eq!(after(capture("d", gbp(40))), Status::Succeeded);
    assert_eq!(after(capture("d", eur(1))), declined("currency_mismatch"));
    assert_eq!(after(refund("r", gbp(61))), declined("exceeds_captured"));
    assert_eq!(after(refund("r", eur(1))), declined("currency_mismatch"));
    assert_eq!(after(void("v")), Status::Succeeded, "the rest is given up");
    let after_void = |last: Command| outcome(&[&held[..], &[void("v"), last]].concat());
    assert_eq!(after_void(capture("d", gbp(1))), declined("voided"));
    assert_eq!(after_void(refund("r", gbp(60))), Status::Succeeded);
    assert_eq!(after_void(refund("r", gbp(61))), declined("exceeds_captured"));
    assert_eq!(after_void(refund("r", eur(1))), declined("currency_mismatch"));
    let whole = [authorize("ok", gbp(100)), capture("c", gbp(100)), void("v")];
    assert_eq!(outcome(&whole), declined("already_captured"), "nothing is left to give up");
}

#[test]
fn a_short_promise_expires_after_a_minute() {
    let (state, _) = books(&[authorize("auth_expires_1m", gbp(100))]);
    let at =
        |s: i64| decide(&state, &capture("c", gbp(1)), NOW.plus(std::time::Duration::from_secs(s as u64)));
    assert!(matches!(at(59).expect("decided")[..], [Event::Captured(_)]));
    let late = at(60).expect("decided");
    assert!(matches!(&late[..], [Event::CaptureDeclined(e)] if e.code == "authorization_expired"));
}

#[test]
fn a_refund_on_its_way_counts_and_fails_when_it_is_asked_for() {
    let token = "refund_pending_then_fails";
    let (mut state, _) = books(&[authorize(token, gbp(100)), capture("c", gbp(100)), refund("r", gbp(100))]);
    assert_eq!((state.refunding_minor(), state.refunded_minor()), (100, 0));
    let second = decide(&state, &refund("s", gbp(1)), NOW).expect("decided");
    assert!(matches!(&second[..], [Event::RefundDeclined(e)] if e.code == "exceeds_captured"));
    let asked = decide_asked(&state, "a", "r");
    let is_failure = |event: &Event| matches!(event, Event::RefundDeclined(e) if e.code == "refund_failed");
    assert!(is_failure(&asked[0]) && matches!(&asked[1..], [Event::NotificationDue(_)]), "{asked:?}");
    asked.iter().for_each(|event| state.evolve(event));
    assert_eq!((state.refunding_minor(), state.refunded_minor()), (0, 0));
    assert_eq!(decide_asked(&state, "a", "r"), []);
    assert_eq!(decide_asked(&state, "a", "c"), []);
}

#[test]
fn due_notifications_are_noted() {
    let manners = |token: &str| -> Vec<String> {
        let (_, log) = books(&[authorize(token, gbp(100)), capture("c", gbp(100))]);
        let mut manners = Vec::new();
        for event in &log {
            if let Event::NotificationDue(due) = event {
                manners.push(format!("{}:{}", due.kind.name(), due.manner));
            }
        }
        manners
    };
    assert_eq!(manners("webhook_duplicate"), ["authorize:duplicate", "capture:duplicate"]);
    assert_eq!(manners("dispute_after_capture"), ["capture:dispute"]);
    assert_eq!(manners("dispute_won"), ["capture:dispute", "capture:dispute_won"]);
    assert!(manners("ok").is_empty());
}

fn reauthorize(key: &str, amount: Money) -> Command {
    Command::Reauthorize { key: key.to_owned(), authorization_key: "a".to_owned(), amount }
}

#[test]
fn a_new_promise_comes_after_the_old_one_and_with_what_was_taken() {
    let (mut state, _) = books(&[authorize("auth_expires_1m", gbp(100)), capture("c", gbp(60))]);
    let ask = |state: &Authorization, key: &str, amount, s| {
        decide(state, &reauthorize(key, amount), NOW.plus(Duration::from_secs(s))).expect("decided")
    };
    let early = ask(&state, "n", gbp(40), 59);
    assert!(matches!(&early[..], [Event::ReauthorizationDeclined(e)] if e.code == "not_expired"));
    let foreign = ask(&state, "n", eur(40), 60);
    assert!(matches!(&foreign[..], [Event::ReauthorizationDeclined(e)] if e.code == "currency_mismatch"));
    ask(&state, "n", gbp(40), 60).iter().for_each(|event| state.evolve(event));
    assert_eq!(state.expires_at(), Some(NOW.plus(Duration::from_secs(120))));
    let taken = |amount| decide(&state, &capture("d", amount), NOW.plus(Duration::from_secs(61)));
    assert!(matches!(&taken(gbp(40)).expect("decided")[..], [Event::Captured(_)]));
    assert!(matches!(&taken(gbp(41)).expect("decided")[..], [Event::CaptureDeclined(_)]));
    let nothing = Given::<Authorization>::nothing();
    nothing.when(|state| decide(state, &reauthorize("n", gbp(1)), NOW)).then_rejects("UNKNOWN_AUTHORIZATION");
    assert_eq!(outcome(&[authorize("ok", gbp(9)), void("v"), reauthorize("n", gbp(1))]), declined("voided"));
    let no_funds = [authorize("decline_funds", gbp(9)), reauthorize("n", gbp(1))];
    assert_eq!(outcome(&no_funds), declined("not_authorized"));
}

#[test]
fn the_customer_comes_back_and_the_method_says_how_they_fared() {
    let asked = |commands: &[Command]| {
        let (mut state, _) = books(commands);
        let events = decide_completed(&state, "a", NOW);
        events.iter().for_each(|event| state.evolve(event));
        assert_eq!(decide_completed(&state, "a", NOW), [], "only once");
        state.operation("a").map(|operation| operation.status.clone())
    };
    assert_eq!(asked(&[authorize("requires_action", gbp(9))]), Some(Status::Succeeded));
    let failed = Some(declined("authentication_failed"));
    assert_eq!(asked(&[authorize("requires_action_fails", gbp(9))]), failed);
    assert_eq!(asked(&[authorize("requires_action", gbp(9)), void("v")]), Some(declined("voided")));
    assert_eq!(asked(&[authorize("ok", gbp(9))]), Some(Status::Succeeded));
    assert_eq!(asked(&[]), None);
}

#[test]
fn a_refund_on_its_way_may_arrive() {
    let token = "refund_pending_then_succeeds";
    let (mut state, _) = books(&[authorize(token, gbp(100)), capture("c", gbp(100)), refund("r", gbp(100))]);
    let asked = decide_asked(&state, "a", "r");
    assert!(matches!(&asked[..], [Event::Refunded(_), Event::NotificationDue(_)]));
    asked.iter().for_each(|event| state.evolve(event));
    assert_eq!((state.refunding_minor(), state.refunded_minor()), (0, 100));
}

/// Random commands in random order: whatever is asked, the books stay sound.
#[test]
fn no_order_of_commands_breaks_the_books() {
    for seed in 0..200 {
        let random = SeededEntropy::new(seed);
        let pick = |n: u64| random.next_u64() % n;
        let (token, _) = TOKENS[pick(TOKENS.len() as u64) as usize];
        let (mut state, mut minutes) = (Authorization::default(), 0);
        for _ in 0..40 {
            let (key, amount) = (format!("k{}", pick(12)), gbp(1 + pick(60) as i64));
            let command = match pick(8) {
                0 => authorize(token, gbp(100)),
                1 => void(&key),
                2..=4 => capture(&key, amount),
                5 => reauthorize(&key, amount),
                _ => refund(&key, amount),
            };
            minutes += pick(2);
            let now = NOW.plus(std::time::Duration::from_secs(minutes * 30));
            let events = decide(&state, &command, now).unwrap_or_default();
            events.iter().for_each(|event| state.evolve(event));
            check(&state, seed);
        }
    }
}

fn check(state: &Authorization, seed: u64) {
    let authorized = match state.promise() {
        Promise::Held { amount, .. } => amount.minor_units(),
        Promise::Voided { amount } => amount.map_or(0, |amount| amount.minor_units()),
        Promise::Refused | Promise::Unheard => 0,
    };
    let succeeded = |kind: Kind| -> i64 {
        let own = state.operations().values().filter(|op| op.kind == kind && op.status == Status::Succeeded);
        own.filter_map(|op| op.amount).map(|amount| amount.minor_units()).sum()
    };
    assert!(state.captured_minor() <= authorized, "seed {seed}: {state:?}");
    assert!(
        state.refunded_minor() + state.refunding_minor() <= state.captured_minor(),
        "seed {seed}: {state:?}"
    );
    assert_eq!(state.captured_minor(), succeeded(Kind::Capture), "seed {seed}");
    assert_eq!(state.refunded_minor(), succeeded(Kind::Refund), "seed {seed}");
}

#[test]
fn golden_files_hold_every_stored_shape() {
    let (key, authorization_key, amount) = ("c".to_owned(), "a".to_owned(), gbp(1599));
    let (method_token, reference) = ("ok".to_owned(), "order".to_owned());
    let moved = Moved::new("c", "a", amount);
    let opened = ActionRequired { key: "a".to_owned(), amount, method_token, reference };
    let ActionRequired { method_token, reference, .. } = opened.clone();
    let declined = AuthorizationDeclined {
        key: "a".to_owned(),
        amount,
        method_token: method_token.clone(),
        reference: reference.clone(),
        code: "insufficient_funds".to_owned(),
    };
    let expires_at = Some(NOW);
    let voided = Voided { key: key.clone(), authorization_key: authorization_key.clone() };
    let code = "already_captured".to_owned();
    let examples = [
        Event::Authorized(Authorized { key: "a".to_owned(), amount, method_token, reference, expires_at }),
        Event::AuthorizationDeclined(declined),
        Event::ActionRequired(opened),
        Event::Captured(moved.clone()),
        Event::CaptureDeclined(moved.clone().not("capture_failed")),
        Event::Voided(voided.clone()),
        Event::VoidDeclined(VoidDeclined {
            key: voided.key,
            authorization_key: voided.authorization_key,
            code,
        }),
        Event::Refunded(moved.clone()),
        Event::RefundPending(moved.clone()),
        Event::RefundDeclined(moved.clone().not("refund_failed")),
        Event::Reauthorized(Reauthorized {
            key: "n".to_owned(),
            authorization_key: authorization_key.clone(),
            amount,
            expires_at,
        }),
        Event::ReauthorizationDeclined(moved.not("not_expired")),
        Event::NotificationSent(NotificationSent {
            key: key.clone(),
            authorization_key: authorization_key.clone(),
            manner: PLAIN.to_owned(),
        }),
        Event::AttemptFailed(AttemptFailed {
            key: key.clone(),
            authorization_key: authorization_key.clone(),
            kind: Kind::Capture,
        }),
        Event::NotificationDue(NotificationDue {
            key,
            authorization_key,
            kind: Kind::Capture,
            manner: "dispute".to_owned(),
        }),
    ];
    golden::check(env!("CARGO_MANIFEST_DIR"), &examples);
}
