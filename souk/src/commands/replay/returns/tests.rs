//! Against a double of the shop that answers what it is told to, one connection at a time.
use super::*;
use crate::retail::ReturnLine;
use std::collections::VecDeque;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// What the double says next; it must be asked for exactly this.
enum Says {
    /// The state of the order's money.
    Order(&'static str),
    /// How far the return is.
    Return(&'static str),
    /// The return waits for a person.
    Attention,
    /// It refuses, with a reason.
    No(u16, &'static str),
    /// It dies after it has heard the question, or before.
    Nothing,
}

/// The first line and the body of a request.
async fn heard(stream: &mut TcpStream) -> (String, String) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
            if body.len() >= length {
                return (head.lines().next().unwrap_or_default().to_owned(), body.to_owned());
            }
        }
        assert!(stream.read_buf(&mut bytes).await.expect("the client speaks") > 0, "half a request");
    }
}

/// Answers one request after the other; gives back the bodies that asked for a return. Ends with the script.
async fn play(listener: &TcpListener, script: Vec<Says>) -> Vec<Value> {
    let (mut script, mut recorded) = (VecDeque::from(script), Vec::new());
    while let Some(says) = script.pop_front() {
        let (mut stream, _) = listener.accept().await.expect("the client calls");
        let (asked, body) = heard(&mut stream).await;
        let wanted = if let Says::Order(_) = says { "GET /api/v1/orders:byExternalRef?" } else { "" };
        assert!(asked.starts_with(wanted), "{asked}");
        if asked.starts_with("POST /api/v1/returns:record ") {
            recorded.push(serde_json::from_str(&body).expect("JSON"));
        }
        let (status, answer) = match says {
            Says::Order(payment) => (200, json!({"order": {"orderId": "ord_1", "payment": payment}})),
            Says::Return(status) => (201, json!({"return": {"returnId": "rtn_1", "status": status}})),
            Says::Attention => {
                (201, json!({"return": {"status": "RETURN_STATUS_REFUNDING", "needsAttention": true}}))
            }
            Says::No(status, reason) => (status, json!({"status": status, "reason": reason, "detail": "no"})),
            Says::Nothing => continue,
        };
        let answer = answer.to_string();
        let head =
            format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", answer.len());
        stream.write_all((head + &answer).as_bytes()).await.expect("the client listens");
        stream.shutdown().await.expect("the client listens");
    }
    recorded
}

/// Takes one return back from the double; how that ended, and what was recorded.
async fn take_back(script: Vec<Says>) -> (Result<(), String>, Vec<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has ports");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let desk = Desk::new(&url, "token".to_owned(), HASH.to_owned());
    let lines = vec![ReturnLine { line: 1, quantity: 4 }, ReturnLine { line: 3, quantity: 1 }];
    let one = Return { cancellation: "C5".into(), invoice: "2".to_owned(), lines };
    let (done, recorded) = tokio::join!(desk.take_back(&one), play(&listener, script));
    (done.map_err(|failure| failure.to_string()), recorded)
}

#[tokio::test]
async fn a_return_is_recorded_when_its_order_is_paid_and_watched_until_it_is_refunded() {
    let (done, recorded) = take_back(vec![
        Says::Order("ORDER_PAYMENT_AUTHORIZED"),
        Says::Order("ORDER_PAYMENT_CAPTURED"),
        Says::Return("RETURN_STATUS_REFUNDING"),
        Says::Order("ORDER_PAYMENT_PARTIALLY_REFUNDED"),
        Says::Return("RETURN_STATUS_REFUNDED"),
    ])
    .await;
    assert_eq!(done, Ok(()));
    let said = json!({
        "externalRef": "0123456789abcdef0123456789abcdef/C5/2",
        "orderId": "ord_1",
        "lines": [
            {"line": 1, "quantity": 4, "grade": "RETURN_GRADE_A"},
            {"line": 3, "quantity": 1, "grade": "RETURN_GRADE_A"},
        ],
        "reason": "RETURN_REASON_UNWANTED",
    });
    assert_eq!(recorded, [said.clone(), said], "the same words each time");
}

#[tokio::test]
async fn a_shop_that_dies_is_asked_again() {
    let (done, recorded) = take_back(vec![
        Says::Nothing,
        Says::Order("ORDER_PAYMENT_CAPTURED"),
        Says::Nothing,
        Says::No(503, "UNAVAILABLE"),
        Says::Return("RETURN_STATUS_REFUNDED"),
    ])
    .await;
    assert_eq!((done, recorded.len()), (Ok(()), 3));
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_named() {
    for (last, said) in [
        (Says::No(409, "RETURN_EXCEEDS_DELIVERED"), "is refused: no (RETURN_EXCEEDS_DELIVERED, status 409)"),
        (Says::Return("RETURN_STATUS_DECLINED"), "ended as RETURN_STATUS_DECLINED"),
        (Says::Attention, "waits for a person"),
    ] {
        let (done, _) = take_back(vec![Says::Order("ORDER_PAYMENT_CAPTURED"), last]).await;
        assert_eq!(done, Err(format!("what C5 takes back of invoice 2 {said}")));
    }
}
