//! The whole suite with the provider that is called over HTTP, over real connections on this machine, and what only
//! such a provider can do: be somebody else, be nowhere, or take calls and say nothing.
mod shop;
mod suite;

use shop::{gbp, over_http, payment_id};
use souk_contracts::terms::money_from_proto;
use souk_eventstore::{EventStore, Faults, Location, Options};
use souk_identity::WebhookSecret;
use souk_kernel::{Clock, ManualClock, Timestamp};
use souk_payment::domain::Answer;
use souk_payment::effects::intents::Account;
use souk_payment::effects::{Authorize, IntentsProvider, Move, Provider};
use souk_provider::Simulator;
use souk_rpc::Cx;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::Instant;

const REACH: shop::Reach = shop::Reach::Http;

fn simulator() -> Simulator {
    let clock: Arc<dyn Clock> = ManualClock::at(Timestamp::from_unix_s(1_000));
    let options = Options::new("provider", Location::Memory(Faults::none()), Arc::clone(&clock));
    let store = EventStore::open(options.views(souk_provider::views())).expect("the store opens");
    Simulator::new(store, clock)
}

fn cx() -> Cx {
    Cx::new(Instant::now() + Duration::from_secs(60))
}

fn key(step: &str) -> String {
    format!("{}:{step}", payment_id())
}

fn promise(token: &str) -> Authorize {
    let amount = money_from_proto(&gbp(1000)).expect("money");
    Authorize { key: key("authorize"), amount, method_token: token.to_owned(), reference: "order".to_owned() }
}

fn at(url: &str, key: &str) -> IntentsProvider {
    IntentsProvider::new(Account::new(url, key).expect("usable"), WebhookSecret::new(shop::SECRET))
}

#[tokio::test]
async fn a_provider_that_is_not_there_or_does_not_know_us_or_says_nothing_is_never_taken_for_a_no() {
    let (wire, url) = over_http(simulator());
    let stranger = at(&url, "sk_of_somebody_else");
    assert!(stranger.authorize(cx(), promise("ok")).await.is_err(), "not let in");
    assert!(stranger.find(cx(), key("authorize")).await.is_err(), "not let in is not nothing found");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let silent = at(&format!("http://{}", listener.local_addr().expect("bound")), "k");
    let impatient = || Cx::new(Instant::now() + Duration::from_millis(20));
    assert!(silent.authorize(impatient(), promise("ok")).await.is_err(), "nobody accepts");
    assert!(silent.find(impatient(), key("authorize")).await.is_err());
    drop(listener);
    assert!(silent.find(cx(), key("authorize")).await.is_err(), "nobody is there");
    assert_eq!(
        wire.find(cx(), key("authorize")).await.expect("answered"),
        None,
        "nothing of all that had an effect"
    );
}

#[tokio::test]
async fn what_was_given_up_before_it_came_can_never_be_promised() {
    let (wire, _url) = over_http(simulator());
    for _ in 0..2 {
        assert_eq!(
            wire.void(cx(), key("void"), key("authorize")).await.expect("answered"),
            Answer::Succeeded
        );
    }
    assert_eq!(wire.find(cx(), key("void")).await.expect("answered"), Some(Answer::Succeeded));
    let late = Answer::Declined("voided".to_owned());
    assert_eq!(wire.authorize(cx(), promise("ok")).await.expect("answered"), late.clone());
    assert_eq!(wire.find(cx(), key("authorize")).await.expect("answered"), Some(late));
    let amount = money_from_proto(&gbp(1)).expect("money");
    let take = Move { key: key("capture:a"), authorization: key("authorize"), amount };
    let lost = wire.capture(cx(), take).await.ok();
    assert!(lost.is_none_or(|answer| matches!(answer, Answer::Declined(_))));
    assert_eq!(wire.find(cx(), key("capture:a")).await.expect("answered"), None);
}
