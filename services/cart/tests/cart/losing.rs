//! Commits that fail, and answers that are lost after the commit was durable.
use crate::others::{TestCatalog, TestInventory};
use souk_cart::domain::{Cart, CartEvent};
use souk_cart::invariants;
use souk_contracts::cart::v1::{AddItemRequest, CartServiceClient, MergeGuestCartRequest};
use souk_contracts::catalog::v1::CatalogServiceClient;
use souk_contracts::inventory::v1::InventoryServiceClient;
use souk_decider::fold;
use souk_eventstore::{EventStore, Faults, Injected, Location, Options, Position};
use souk_host::{Resources, Service};
use souk_identity::{Claims, KeySet, Kind, ServiceIdentity, Signer, SigningKey, Verifier};
use souk_kernel::{Clock, Ids, ManualClock, SeededEntropy, Timestamp};
use souk_rpc::{Cx, Guard, Peers};
use std::sync::Arc;
use std::time::Duration;

const START: Timestamp = Timestamp::from_unix_s(1_795_219_200);

/// Carts on a store that fails as `faults` says; it sells A.
fn carts(faults: Faults) -> Resources {
    let clock: Arc<dyn Clock> = ManualClock::at(START);
    let service = souk_cart::service();
    let options = Options::new("cart", Location::Memory(faults), clock.clone()).views(service.views());
    let store = EventStore::open(options).expect("it opens");
    let signer = Arc::new(Signer::new(SigningKey::from_seed([7; 32])));
    let keys = KeySet::new();
    keys.add(signer.public());
    let ids = Ids::new(clock.clone(), SeededEntropy::new(1));
    let peers = Peers::new();
    let catalog = TestCatalog::default();
    catalog.sell("A", "GB", 100);
    peers.add_local::<CatalogServiceClient>(Arc::new(catalog));
    peers.add_local::<InventoryServiceClient>(Arc::new(TestInventory::default()));
    let identity = Arc::new(ServiceIdentity::new("cart", signer.clone(), clock.clone(), ids.clone()));
    let guard = Arc::new(Guard::new(Arc::new(Verifier::new(keys, "cart", clock.clone()))));
    let own = Resources { store, clock, ids, peers, identity, signer, guard };
    service.serve(&own).iter().for_each(|bound| own.peers.add_bound(bound));
    own
}

/// Adds one A under each op_id, asking again for as long as there is no answer. Returns how often it asked.
async fn add_until_answered(own: &Resources, ops: usize) -> usize {
    const ATTEMPTS_MAX: usize = 50;
    let client: CartServiceClient = own.peers.get();
    let claims = Claims::new("gst_1", Kind::Guest, "souk", START, 86_400);
    let token: Arc<str> = own.signer.sign(&claims).into();
    let mut asked = 0;
    for op in 0..ops {
        let request =
            AddItemRequest { sku: "A".into(), quantity: 1, op_id: format!("op{op}"), market: String::new() };
        for attempt in 1.. {
            asked += 1;
            let cx = Cx::new(tokio::time::Instant::now() + Duration::from_secs(30)).with_token(token.clone());
            match client.add_item(cx, request.clone()).await {
                Ok(_) => break,
                Err(error) => assert!(error.is_unknown_outcome() && attempt < ATTEMPTS_MAX, "{error:?}"),
            }
        }
    }
    asked
}

async fn history(own: &Resources) -> Vec<CartEvent> {
    let log = own.store.read_log(Position::START, 10_000).await.expect("readable");
    log.iter().filter_map(|recorded| recorded.of::<Cart>()).map(|event| event.as_ref().clone()).collect()
}

fn pieces(events: &[CartEvent]) -> u32 {
    let cart: Cart = fold(events);
    assert_eq!(invariants::quantities_are_sums(events, &cart), Ok(()));
    assert_eq!(invariants::no_addition_twice(events), Ok(()));
    cart.active().map_or(0, |active| active.lines.iter().map(|line| line.quantity).sum())
}

#[tokio::test]
async fn an_addition_whose_answer_was_lost_counts_once_when_it_is_asked_again() {
    for fault in
        [Injected::BeforeCommit, Injected::AfterCommit, Injected::StorageFull, Injected::ViewStatement]
    {
        // The first commit opens the cart, the second adds to it.
        for number in [1, 2] {
            let own = carts(Faults::none().at(number, fault));
            let asked = add_until_answered(&own, 3).await;
            let events = history(&own).await;
            assert_eq!((asked, pieces(&events)), (4, 3), "{fault:?} at {number}");
            let opened = events.iter().filter(|event| matches!(event, CartEvent::CartOpened(_))).count();
            assert_eq!(opened, 1, "{fault:?} at {number}");
        }
    }
}

#[tokio::test]
async fn a_merge_whose_answer_was_lost_is_done_once_and_never_by_half() {
    for fault in
        [Injected::BeforeCommit, Injected::AfterCommit, Injected::StorageFull, Injected::ViewStatement]
    {
        // The first commit opens the guest's cart, the second merges it.
        let own = carts(Faults::none().at(2, fault));
        add_until_answered(&own, 1).await;
        let client: CartServiceClient = own.peers.get();
        let token = |name: &str, kind| own.signer.sign(&Claims::new(name, kind, "souk", START, 86_400));
        let request = MergeGuestCartRequest { guest_token: token("gst_1", Kind::Guest) };
        let merge = || {
            let cx = Cx::new(tokio::time::Instant::now() + Duration::from_secs(30));
            let cx = cx.with_token(Arc::<str>::from(token("usr_1", Kind::Customer)));
            client.merge_guest_cart(cx, request.clone())
        };
        let lost = merge().await.expect_err("no answer");
        assert!(lost.is_unknown_outcome(), "{fault:?}: {lost:?}");
        let halves = |events: &[CartEvent]| {
            let gone = events.iter().filter(|event| matches!(event, CartEvent::CartMerged(_))).count();
            (gone, events.iter().filter(|event| matches!(event, CartEvent::LinesMerged(_))).count())
        };
        let (gone, taken) = halves(&history(&own).await);
        assert_eq!(gone, taken, "{fault:?}");
        let cart = merge().await.expect("asked again").cart.expect("a cart");
        assert_eq!(cart.lines.iter().map(|line| line.quantity).collect::<Vec<_>>(), [1], "{fault:?}");
        assert_eq!(halves(&history(&own).await), (1, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn many_faults_lose_and_double_nothing() {
    for seed in 1..=20 {
        let own = carts(Faults::none().by_chance(300, seed));
        let asked = add_until_answered(&own, 40).await;
        assert!(asked > 40, "seed {seed}: no fault happened");
        assert_eq!(pieces(&history(&own).await), 40, "seed {seed}");
    }
}
