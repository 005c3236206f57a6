//! Operators in a house of one process: who may, and a key that is parked and redriven through the contract.
mod services;

use services::*;
use souk_eventstore::CommitId;
use souk_host::Settings;
use souk_identity::{AUDIENCE_ALL, Claims, Kind};
use souk_kernel::{Code, Timestamp};
use souk_rpc::Cx;
use souk_rpc::ops::{
    GetSagaRequest, ListParkedRequest, ListSagasRequest, OperationsServiceClient, RedriveRequest,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A call by somebody on the staff.
fn by(node: &souk_host::Node, role: &str) -> Cx {
    let now = Timestamp::from_unix_s(1_795_219_200);
    let claims =
        Claims::new("stf_1", Kind::Staff, AUDIENCE_ALL, now, 3_600).with_roles(vec![role.to_owned()]);
    let token: Arc<str> = node.signer().sign(&claims).into();
    Cx::new(tokio::time::Instant::now() + Duration::from_secs(60)).with_token(token)
}

fn wish(operation_id: &str) -> RedriveRequest {
    RedriveRequest {
        service: "b".into(),
        key: "notes/all".into(),
        reason: "it is put right".into(),
        operation_id: operation_id.into(),
        ..RedriveRequest::default()
    }
}

#[tokio::test]
async fn a_key_that_one_service_parked_is_redriven_by_whoever_may() {
    let broken = Arc::new(AtomicBool::new(true));
    let listener = TestService {
        listens_to: vec![("b.of_a", "a")],
        publishes: false,
        poisoned: broken.clone(),
        ..service("b")
    };
    let node = start(vec![service("a"), listener], &Settings::in_memory()).await.expect("it starts");
    let [(_, a), (_, b)] = node.stores() else { panic!("two stores") };
    for text in ["one", "two"] {
        a.commit(noting(CommitId::derived(&[text]), text.to_owned(), None)).await.expect("noted");
    }
    until(b, || async { b.parked("b.of_a", 10).await.expect("readable").len() == 2 }).await;

    let operators: OperationsServiceClient = node.peers().get();
    let listed =
        operators.list_parked(by(&node, "support"), ListParkedRequest::default()).await.expect("allowed");
    assert_eq!((listed.services.as_slice(), listed.silent.len()), (&["a".to_owned(), "b".to_owned()][..], 0));
    let key = &listed.keys[0];
    assert_eq!(
        (key.reaction.as_str(), key.key.as_str(), key.first, key.count),
        ("b.of_a", "notes/all", 1, 2)
    );
    let refused = operators.redrive(by(&node, "support"), wish("op1")).await.expect_err("it may only look");
    assert_eq!(refused.code(), Code::PermissionDenied);

    let in_vain = operators.redrive(by(&node, "admin"), wish("op1")).await.expect("allowed");
    assert_eq!((in_vain.results[0].applied, in_vain.results[0].left), (0, 2), "{in_vain:?}");
    broken.store(false, Ordering::SeqCst);
    let done = operators.redrive(by(&node, "admin"), wish("op2")).await.expect("allowed");
    assert_eq!((done.results[0].applied, done.results[0].left), (2, 0), "{done:?}");
    assert_eq!(texts(b).await, ["one of a", "two of a"]);
    let nothing = operators.redrive(by(&node, "admin"), wish("op3")).await.expect_err("all is applied");
    assert_eq!(nothing.reason(), "KEY_NOT_PARKED");
    node.shut_down().await;
}

#[tokio::test]
async fn what_is_not_there_is_said_so() {
    let node = start(vec![service("a")], &Settings::in_memory()).await.expect("it starts");
    let operators: OperationsServiceClient = node.peers().get();
    let sagas =
        operators.list_sagas(by(&node, "support"), ListSagasRequest::default()).await.expect("allowed");
    assert_eq!((sagas.open, sagas.services.as_slice()), (0, &["a".to_owned()][..]));
    let stranger = ListSagasRequest { service: "z".into(), ..ListSagasRequest::default() };
    let unknown = operators.list_sagas(by(&node, "support"), stranger).await.expect_err("no such service");
    assert_eq!(unknown.code(), Code::NotFound);
    let request = GetSagaRequest { service: "a".into(), id: "x".into(), here: false };
    let none = operators.get_saga(by(&node, "support"), request).await.expect_err("it has no sagas");
    assert_eq!(none.code(), Code::NotFound);
    let empty =
        operators.redrive(by(&node, "admin"), RedriveRequest::default()).await.expect_err("nothing said");
    let fields: Vec<_> = empty.fields().iter().map(|field| field.field.as_str()).collect();
    assert_eq!(fields, ["service", "key", "reason", "operationId"]);
    node.shut_down().await;
}
