//! What the log says about requests, and what it must not say.
mod common;

use common::Bench;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic while held").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn lines(&self) -> Vec<serde_json::Value> {
        let bytes = self.0.lock().expect("no panic while held").clone();
        let text = String::from_utf8(bytes).expect("UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }
}

#[tokio::test]
async fn each_request_is_one_line_without_anything_personal() {
    let kept = Kept::default();
    let writer = kept.clone();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let bench = Bench::new();
    let secrets = [
        ("authorization", "Bearer s3cret"),
        ("content-type", "application/json"),
        ("idempotency-key", "s3cret-key"),
    ];
    bench.send("POST /api/v1/orders?", &secrets, r#"{"orderId":"s3cret-order","price":"s3cret"}"#).await;
    bench.send("GET /api/v1/orders/s3cret-id?tags=s3cret-tag", &[("x-request-id", "r1")], "").await;
    bench.send("S3CRET /s3cret-path", &[("x-user-id", "s3cret")], "").await;
    let lines = kept.lines();
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["method"].as_str(),
                line["route"].as_str(),
                line["status"].as_u64(),
                line["error.type"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (Some("POST"), Some("/api/v1/orders"), Some(400), Some("INVALID_ARGUMENT")),
            (Some("GET"), Some("/api/v1/orders/{order_id}"), Some(200), None),
            (Some("_OTHER"), Some("-"), Some(404), Some("NOT_FOUND")),
        ]
    );
    assert_eq!(lines[1]["request_id"], "r1");
    assert!(lines.iter().all(|line| line["duration_ms"].is_u64() && line["level"] == "INFO"));
    assert!(!format!("{lines:?}").to_lowercase().contains("s3cret"), "{lines:?}");
}
