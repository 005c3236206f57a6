//! Guests and staff, through the service as the host runs it.
use souk_contracts::user::v1::{StartGuestSessionRequest, UserServiceClient};
use souk_host::{Environment, Node, Service, Settings};
use souk_identity::{Kind, TokenError, Verifier};
use souk_kernel::{Clock, ManualClock, SeededEntropy, Timestamp};
use souk_rpc::{Cx, Peers};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

async fn node(clock: &Arc<ManualClock>) -> Node {
    let environment = Environment { clock: clock.clone(), entropy: SeededEntropy::new(1) };
    let services: Vec<Box<dyn Service>> = vec![Box::new(souk_user::service())];
    Node::start(&services, &environment, &Settings::in_memory(), Peers::new()).await.expect("it starts")
}

fn cx() -> Cx {
    Cx::new(Instant::now() + Duration::from_secs(5))
}

#[tokio::test]
async fn every_session_is_another_guest_whose_token_counts_for_thirty_days() {
    let clock = ManualClock::at(Timestamp::from_unix_s(1_800_000_000));
    let node = node(&clock).await;
    let user: UserServiceClient = node.peers().get();
    let session =
        user.start_guest_session(cx(), StartGuestSessionRequest {}).await.expect("open to everybody");
    let other = user.start_guest_session(cx(), StartGuestSessionRequest {}).await.expect("open to everybody");
    assert_ne!(session.subject, other.subject);
    assert_eq!(session.expires_at.expect("it ends").seconds, 1_800_000_000 + 30 * 86_400);

    let order = Verifier::new(node.keys().clone(), "order", clock.clone() as Arc<dyn Clock>);
    let guest = order.verify(&session.token).expect("any service knows the guest");
    assert_eq!((guest.subject.as_str(), guest.kind), (session.subject.as_str(), Kind::Guest));
    assert_eq!(guest.owner(), session.subject);
    assert!(guest.roles.is_empty());
    clock.advance_ms((30 * 86_400 + 61) * 1_000);
    assert_eq!(order.verify(&session.token).err(), Some(TokenError::Expired));
}

#[tokio::test]
async fn a_staff_token_gives_its_one_role() {
    let clock = ManualClock::at(Timestamp::from_unix_s(1_800_000_000));
    let node = node(&clock).await;
    let ids = souk_kernel::Ids::new(clock.clone(), SeededEntropy::new(2));
    let role = "sales".parse().expect("a role");
    let token =
        souk_user::staff_token(node.signer(), clock.as_ref(), &ids, role, Duration::from_secs(8 * 3_600));
    let catalog = Verifier::new(node.keys().clone(), "catalog", clock as Arc<dyn Clock>);
    let staff = catalog.verify(&token).expect("just made");
    assert_eq!(staff.kind, Kind::Staff);
    assert!(staff.has_role("sales") && !staff.has_role("admin"));
}
