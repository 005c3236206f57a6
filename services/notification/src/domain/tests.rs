//! Given what happened, when something is wanted, then that happens.
use super::delivery::{self, *};
use super::endpoint::{self, *};
use super::inbox::{self, *};
use super::preferences::{self, *};
use super::templates::Locale;
use super::*;
use crate::invariants;
use souk_decider::testing::Given;
use souk_decider::{fold, golden};
use souk_kernel::{Rejection, Sealed, Timestamp};
use std::collections::BTreeSet;

const NOON: Timestamp = Timestamp::from_unix_s(1_795_219_200);

fn facts() -> Facts {
    [("order_id".to_owned(), "ord_1".to_owned()), ("total".to_owned(), "1.00 GBP".to_owned())].into()
}

fn sealed(of: &str) -> Sealed<String> {
    Sealed::from_parts(of, [7; 12], vec![1, 2, 3])
}

fn notified(sequence: u64, key: &str) -> InboxEvent {
    InboxEvent::Notified(Notified {
        sequence,
        notification_id: notification_id("gst_1", key),
        template: "order.confirmed".into(),
        version: 1,
        facts: facts(),
        dedup_key: key.into(),
    })
}

fn ok<T>(value: T) -> Result<T, Rejection> {
    Ok(value)
}

#[test]
fn an_inbox_is_read_as_far_as_it_goes_and_once() {
    let inbox = || Given::<Inbox>::events(vec![notified(1, "a"), notified(2, "b")]);
    let read = |sequence| InboxEvent::ReadUpTo(ReadUpTo { sequence });
    inbox().when(|inbox| ok(inbox::read_up_to(*inbox, 1))).then(vec![read(1)]);
    inbox().when(|inbox| ok(inbox::read_up_to(*inbox, 9))).then(vec![read(2)]);
    inbox().and(vec![read(2)]).when(|inbox| ok(inbox::read_up_to(*inbox, 2))).then_nothing();
    Given::<Inbox>::nothing().when(|inbox| ok(inbox::read_up_to(*inbox, 9))).then_nothing();
    assert_eq!(inbox::read_some(vec![]), []);
    assert_eq!(inbox::read_some(vec![2]), [InboxEvent::ReadSome(ReadSome { sequences: vec![2] })]);
}

#[test]
fn the_invariants_of_an_inbox_see_gaps_and_repetitions() {
    let good = [notified(1, "a"), notified(2, "b"), InboxEvent::ReadUpTo(ReadUpTo { sequence: 2 })];
    assert_eq!(invariants::gap_free(&good), Ok(()));
    assert_eq!(invariants::told_once(&good), Ok(()));
    assert!(invariants::gap_free(&[notified(1, "a"), notified(3, "b")]).is_err());
    assert!(invariants::gap_free(&[notified(1, "a"), notified(1, "b")]).is_err());
    assert!(invariants::gap_free(&[notified(2, "a")]).is_err());
    assert!(invariants::gap_free(&[InboxEvent::ReadUpTo(ReadUpTo { sequence: 1 })]).is_err());
    assert!(
        invariants::gap_free(&[notified(1, "a"), InboxEvent::ReadSome(ReadSome { sequences: vec![1, 2] })])
            .is_err()
    );
    assert!(invariants::told_once(&[notified(1, "a"), notified(2, "a")]).is_err());
}

#[test]
fn ids_follow_from_what_they_name_and_from_nothing_else() {
    assert_eq!(notification_id("gst_1", "a"), notification_id("gst_1", "a"));
    assert_ne!(notification_id("gst_1", "a"), notification_id("gst_2", "a"));
    assert_ne!(notification_id("ab", "c"), notification_id("a", "bc"));
    assert_ne!(delivery_id("x", "email"), delivery_id("x", "whk_1"));
    assert_ne!(endpoint_id("a").uuid(), notification_id("a", "").uuid());
}

fn change() -> Update {
    Update { locale: None, email_enabled: None, muted: None, address: AddressChange::Keep }
}

fn muted() -> BTreeSet<Category> {
    [Category::Progress].into()
}

#[test]
fn preferences_change_by_what_is_named_and_stay_quiet_otherwise() {
    let german = Locale::parse("de").expect("a locale");
    let chosen = PreferencesChanged { locale: german.clone(), email_enabled: false, muted: muted() };
    let all = Update { locale: Some(german), email_enabled: Some(false), muted: Some(muted()), ..change() };
    let changed = PreferencesEvent::PreferencesChanged(chosen);
    let when =
        |given: Given<Preferences>, update: Update| given.when(move |p| ok(preferences::update(p, &update)));
    when(Given::nothing(), all.clone()).then(vec![changed.clone()]);
    when(Given::events(vec![changed]), all).then_nothing();
    when(Given::nothing(), change()).then_nothing();
    let set = PreferencesEvent::AddressSet(AddressSet { address: sealed("gst_1") });
    let forgotten = PreferencesEvent::AddressForgotten(AddressForgotten {});
    let given = || Update { address: AddressChange::Set(sealed("gst_1")), ..change() };
    let forget = || Update { address: AddressChange::Forget, ..change() };
    when(Given::nothing(), given()).then(vec![set.clone()]);
    when(Given::events(vec![set.clone()]), forget()).then(vec![forgotten.clone()]);
    when(Given::nothing(), forget()).then_nothing();
    when(Given::events(vec![set, forgotten]), forget()).then_nothing();
}

#[test]
fn a_forgotten_person_stays_forgotten_and_hears_nothing() {
    let gone = || PreferencesEvent::PersonForgotten(PersonForgotten {});
    let set = PreferencesEvent::AddressSet(AddressSet { address: sealed("gst_1") });
    let after =
        Given::<Preferences>::events(vec![set]).when(|p| ok(preferences::forget(p))).then(vec![gone()]);
    assert_eq!(after.address, None);
    Given::<Preferences>::events(vec![gone()]).when(|p| ok(preferences::forget(p))).then_nothing();
    let given = Update { address: AddressChange::Set(sealed("gst_1")), ..change() };
    Given::<Preferences>::events(vec![gone()]).when(|p| ok(preferences::update(p, &given))).then_nothing();
    let wishes = Wishes { has_address: true, forgotten: true, ..Wishes::default() };
    assert!(!wishes.hears(Category::Transactional) && !wishes.reads_mail(Category::Transactional));
}

/// What may come of anything, in any order: the invariant holds, and what is over stays over.
#[test]
fn whatever_happens_to_a_delivery_it_happens_in_order() {
    for seed in 0..200 {
        let entropy = souk_kernel::SeededEntropy::new(seed);
        let (mut history, mut now) = (vec![queued()], NOON);
        for _ in 0..60 {
            let state: Delivery = fold(&history);
            let attempt = state.known().map_or(0, |known| known.attempts);
            history.extend(match entropy.next_u64() % 8 {
                0 | 1 => delivery::start(&state, now),
                2 => delivery::settle(&state, attempt, &Outcome::Accepted("HTTP_200".into()), now),
                3 => delivery::settle(&state, attempt, &Outcome::Failed("HTTP_503".into()), now),
                4 => delivery::settle(
                    &state,
                    attempt.wrapping_sub(1),
                    &Outcome::Refused("HTTP_410".into()),
                    now,
                ),
                5 => delivery::redeliver(&state, now),
                _ => {
                    now = now.plus(PAUSE_FIRST);
                    Vec::new()
                }
            });
        }
        assert_eq!(invariants::attempts_in_order(&history), Ok(()), "seed {seed}");
    }
}

#[test]
fn messages_about_sales_cannot_be_turned_off() {
    let all: BTreeSet<_> = Category::ALL.into();
    let wishes = Wishes { has_address: true, email_off: true, muted: all, ..Wishes::default() };
    assert!(wishes.hears(Category::Transactional) && wishes.reads_mail(Category::Transactional));
    assert!(!wishes.hears(Category::Progress) && !wishes.reads_mail(Category::News));
    let usual = Wishes { has_address: true, ..Wishes::default() };
    assert!(Category::ALL.iter().all(|category| usual.hears(*category) && usual.reads_mail(*category)));
    assert!(!Wishes::default().reads_mail(Category::Transactional), "there is nowhere to send it");
    let quiet = Wishes { email_off: true, ..usual };
    assert!(quiet.hears(Category::Progress) && !quiet.reads_mail(Category::Progress));
}

fn mail() -> DeliveryQueued {
    let notification_id = notification_id("gst_1", "a");
    DeliveryQueued {
        delivery_id: delivery_id(&notification_id.to_string(), "email"),
        what: "order.confirmed".into(),
        target: Target::Email {
            subject: "gst_1".into(),
            notification_id,
            template: "order.confirmed".into(),
            version: 1,
            facts: facts(),
        },
        at: NOON,
    }
}

fn webhook() -> DeliveryQueued {
    DeliveryQueued {
        delivery_id: delivery_id("ntf_1", "whk_1"),
        target: Target::Webhook { endpoint_id: super::endpoint_id("erp"), body: "{}".into() },
        ..mail()
    }
}

fn queued() -> DeliveryEvent {
    DeliveryEvent::DeliveryQueued(mail())
}

fn started(attempt: u32) -> DeliveryEvent {
    DeliveryEvent::AttemptStarted(AttemptStarted { attempt })
}

fn failed(attempt: u32, next_at: Timestamp) -> DeliveryEvent {
    DeliveryEvent::AttemptFailed(AttemptFailed { attempt, result: "HTTP_503".into(), next_at })
}

fn done(attempt: u32) -> DeliveryEvent {
    DeliveryEvent::DeliveryDone(DeliveryDone { attempt, result: "HTTP_200".into() })
}

fn dead(attempt: u32) -> DeliveryEvent {
    DeliveryEvent::DeliveryDead(DeliveryDead { attempt, result: "HTTP_503".into() })
}

#[test]
fn an_attempt_begins_when_it_is_due_and_again_when_it_never_ended() {
    let start = |events: Vec<DeliveryEvent>, now| {
        Given::<Delivery>::events(events).when(move |d| ok(delivery::start(d, now)))
    };
    let later = NOON.plus(PAUSE_FIRST);
    start(vec![queued()], NOON).then(vec![started(1)]);
    start(vec![queued(), started(1)], NOON).then(vec![started(2)]);
    start(vec![queued(), started(1), failed(1, later)], NOON).then_nothing();
    start(vec![queued(), started(1), failed(1, later)], later).then(vec![started(2)]);
    start(vec![queued(), started(1), done(1)], later).then_nothing();
    start(vec![queued(), started(1), dead(1)], later).then_nothing();
    start(vec![], NOON).then_nothing();
}

#[test]
fn an_attempts_end_is_recorded_once_and_only_its_own() {
    let settle = |events: Vec<DeliveryEvent>, attempt, outcome: Outcome| {
        Given::<Delivery>::events(events).when(move |d| ok(delivery::settle(d, attempt, &outcome, NOON)))
    };
    let trying = || vec![queued(), started(1)];
    settle(trying(), 1, Outcome::Accepted("HTTP_200".into())).then(vec![done(1)]);
    settle(trying(), 1, Outcome::Refused("HTTP_503".into())).then(vec![dead(1)]);
    settle(trying(), 1, Outcome::Failed("HTTP_503".into())).then(vec![failed(1, NOON.plus(PAUSE_FIRST))]);
    let suppressed = DeliverySuppressed { reason: NO_ADDRESS.into() };
    let suppressed = DeliveryEvent::DeliverySuppressed(suppressed);
    settle(trying(), 1, Outcome::Suppressed(NO_ADDRESS)).then(vec![suppressed]);
    settle(vec![queued(), started(1), started(2)], 1, Outcome::Accepted("x".into())).then_nothing();
    settle(vec![queued(), started(1), done(1)], 1, Outcome::Failed("x".into())).then_nothing();
    settle(vec![queued()], 0, Outcome::Accepted("x".into())).then_nothing();
    settle(vec![], 1, Outcome::Accepted("x".into())).then_nothing();
}

#[test]
fn pauses_grow_up_to_a_bound_and_end_after_a_day() {
    assert_eq!(delivery::pause(1), PAUSE_FIRST);
    assert_eq!(delivery::pause(2), PAUSE_FIRST * 2);
    assert_eq!(delivery::pause(u32::MAX), PAUSE_MAX);
    let (mut history, mut now) = (vec![queued()], NOON);
    let attempts = loop {
        let state: Delivery = fold(&history);
        let begun = delivery::start(&state, now);
        history.extend(begun);
        let state: Delivery = fold(&history);
        let attempt = state.known().expect("queued").attempts;
        history.extend(delivery::settle(&state, attempt, &Outcome::Failed("HTTP_503".into()), now));
        let state: Delivery = fold(&history);
        match &state.known().expect("queued").stage {
            Stage::Waiting { next_at } => now = *next_at,
            Stage::Dead => break attempt,
            other @ (Stage::Queued | Stage::Sending | Stage::Done | Stage::Suppressed) => panic!("{other:?}"),
        }
    };
    assert!((15..40).contains(&attempts), "{attempts} attempts in a day");
    assert!(now.since(NOON) <= GIVE_UP_AFTER);
    assert!(now.since(NOON) >= GIVE_UP_AFTER - PAUSE_MAX);
    assert_eq!(invariants::attempts_in_order(&history), Ok(()));
}

#[test]
fn what_is_over_can_be_sent_again_from_the_beginning() {
    let later = NOON.plus(GIVE_UP_AFTER);
    let again = |events: Vec<DeliveryEvent>| {
        Given::<Delivery>::events(events).when(move |d| ok(delivery::redeliver(d, later)))
    };
    let asked = || DeliveryEvent::RedeliveryRequested(RedeliveryRequested { at: later });
    again(vec![queued(), started(1), dead(1)]).then(vec![asked()]);
    again(vec![queued(), started(1), done(1)]).then(vec![asked()]);
    again(vec![queued()]).then_nothing();
    again(vec![queued(), started(1)]).then_nothing();
    again(vec![queued(), started(1), failed(1, later)]).then_nothing();
    again(vec![]).then_nothing();
    let history = [queued(), started(1), dead(1), asked(), started(2)];
    let state: Delivery = fold(&history);
    let ended = delivery::settle(&state, 2, &Outcome::Failed("HTTP_503".into()), later);
    assert_eq!(ended, [failed(2, later.plus(PAUSE_FIRST))], "the pauses and the day begin anew");
}

#[test]
fn the_invariant_of_deliveries_sees_what_cannot_be() {
    let wrong = [
        vec![queued(), queued()],
        vec![queued(), started(2)],
        vec![queued(), done(1)],
        vec![queued(), started(1), done(2)],
        vec![queued(), started(1), done(1), dead(1)],
    ];
    for events in wrong {
        assert!(invariants::attempts_in_order(&events).is_err(), "{events:?}");
    }
}

fn created() -> EndpointCreated {
    EndpointCreated {
        endpoint_id: super::endpoint_id("erp"),
        name: "erp".into(),
        url: "https://partner.example/hooks".into(),
        types: ["order.confirmed".into()].into(),
        secret: sealed("whk_1"),
    }
}

fn registered() -> EndpointEvent {
    EndpointEvent::EndpointCreated(created())
}

fn rotated(generation: u32) -> EndpointEvent {
    let (secret, old_valid_until) = (sealed("whk_2"), NOON.plus(OVERLAP));
    EndpointEvent::SecretRotated(SecretRotated { generation, secret, old_valid_until })
}

#[test]
fn an_endpoint_is_registered_once_per_name() {
    let create = |events, wanted: EndpointCreated, there_are| {
        Given::<Endpoint>::events(events).when(move |e| endpoint::create(e, &wanted, there_are))
    };
    create(vec![], created(), 0).then(vec![registered()]);
    let other_secret = EndpointCreated { secret: sealed("x"), ..created() };
    create(vec![registered()], other_secret, 1).then_nothing();
    let elsewhere = EndpointCreated { url: "https://other.example/".into(), ..created() };
    create(vec![registered()], elsewhere, 1).then_rejects(ENDPOINT_EXISTS);
    create(vec![registered()], EndpointCreated { types: [].into(), ..created() }, 1)
        .then_rejects(ENDPOINT_EXISTS);
    create(vec![], created(), ENDPOINTS_MAX).then_rejects(TOO_MANY_ENDPOINTS);
}

#[test]
fn a_new_secret_signs_beside_the_old_one_for_a_day() {
    let rotate = |events, generation| {
        let given = Given::<Endpoint>::events(events);
        given.when(move |e| endpoint::rotate(e, generation, &sealed("whk_2"), NOON))
    };
    let after = rotate(vec![registered()], 1).then(vec![rotated(2)]);
    let signing = |now| after.known().expect("registered").signing(now);
    assert_eq!(signing(NOON), [sealed("whk_2"), sealed("whk_1")]);
    assert_eq!(signing(NOON.plus(OVERLAP)), [sealed("whk_2")]);
    rotate(vec![registered(), rotated(2)], 1).then_nothing();
    rotate(vec![registered()], 2).then_rejects(GENERATION_MISMATCH);
    rotate(vec![registered(), rotated(2), rotated(3)], 1).then_rejects(GENERATION_MISMATCH);
    rotate(vec![], 1).then_rejects("NOT_FOUND");
}

#[test]
fn an_endpoint_that_misses_too_much_is_turned_off_until_a_person_turns_it_on() {
    let missed = || EndpointEvent::DeliveryGivenUp(DeliveryGivenUp { delivery_id: delivery_id("a", "b") });
    let recovered = EndpointEvent::EndpointRecovered(EndpointRecovered {});
    let off = |because| EndpointEvent::EndpointDisabled(EndpointDisabled { because });
    let on = EndpointEvent::EndpointEnabled(EndpointEnabled {});
    let miss =
        |events| Given::<Endpoint>::events(events).when(|e| ok(endpoint::given_up(e, delivery_id("a", "b"))));
    let before = || [vec![registered()], vec![missed(); 4]].concat();
    miss(vec![registered()]).then(vec![missed()]);
    let after = miss(before()).then(vec![missed(), off(OffBecause::DeadInARow)]);
    assert!(!after.known().expect("registered").enabled);
    let arrive = |events| Given::<Endpoint>::events(events).when(|e| ok(endpoint::arrived(e)));
    arrive(vec![registered()]).then_nothing();
    arrive(before()).then(vec![recovered.clone()]);
    miss([before(), vec![recovered]].concat()).then(vec![missed()]);
    let set =
        |events, enabled| Given::<Endpoint>::events(events).when(move |e| endpoint::set_enabled(e, enabled));
    set(vec![registered()], false).then(vec![off(OffBecause::Asked)]);
    set(vec![registered()], true).then_nothing();
    let after = set([before(), vec![missed(), off(OffBecause::DeadInARow)]].concat(), true).then(vec![on]);
    assert_eq!(after.known().expect("registered").dead_in_a_row, 0);
    set(vec![], true).then_rejects("NOT_FOUND");
}

#[test]
fn golden_files_hold_every_stored_shape() {
    let dir = env!("CARGO_MANIFEST_DIR");
    let some = InboxEvent::ReadSome(ReadSome { sequences: vec![2, 3] });
    golden::check(dir, &[notified(1, "a"), InboxEvent::ReadUpTo(ReadUpTo { sequence: 1 }), some]);
    let locale = Locale::parse("de-AT").expect("a locale");
    golden::check(
        dir,
        &[
            PreferencesEvent::PreferencesChanged(PreferencesChanged {
                locale,
                email_enabled: false,
                muted: muted(),
            }),
            PreferencesEvent::AddressSet(AddressSet { address: sealed("gst_1") }),
            PreferencesEvent::AddressForgotten(AddressForgotten {}),
            PreferencesEvent::PersonForgotten(PersonForgotten {}),
        ],
    );
    golden::check(
        dir,
        &[
            queued(),
            DeliveryEvent::DeliveryQueued(webhook()),
            started(1),
            failed(1, NOON.plus(PAUSE_FIRST)),
            done(2),
            dead(3),
            DeliveryEvent::DeliverySuppressed(DeliverySuppressed { reason: ENDPOINT_OFF.into() }),
            DeliveryEvent::RedeliveryRequested(RedeliveryRequested { at: NOON }),
        ],
    );
    golden::check(
        dir,
        &[
            registered(),
            rotated(2),
            EndpointEvent::EndpointDisabled(EndpointDisabled { because: OffBecause::Asked }),
            EndpointEvent::EndpointDisabled(EndpointDisabled { because: OffBecause::DeadInARow }),
            EndpointEvent::EndpointEnabled(EndpointEnabled {}),
            EndpointEvent::DeliveryGivenUp(DeliveryGivenUp { delivery_id: delivery_id("a", "b") }),
            EndpointEvent::EndpointRecovered(EndpointRecovered {}),
        ],
    );
}
