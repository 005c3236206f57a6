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

/// What this thread logs from now on.
fn keep() -> (Kept, tracing::subscriber::DefaultGuard) {
    let kept = Kept::default();
    let writer = kept.clone();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone());
    let guard = tracing::subscriber::set_default(subscriber.finish());
    (kept, guard)
}

#[tokio::test]
async fn each_request_is_one_line_without_anything_personal() {
    let (kept, _guard) = keep();
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

#[tokio::test]
async fn the_story_of_what_broke_is_told_once() {
    let (kept, _guard) = keep();
    let bench = Bench::new();
    let stories = |from: usize| -> Vec<(Option<String>, u64, String)> {
        let lines = kept.lines().split_off(from);
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let told = |line: &serde_json::Value| {
            (text(&line["story"]), line["status"].as_u64().unwrap_or(0), line["error.type"].to_string())
        };
        lines.iter().map(told).collect()
    };
    bench.send("GET /api/v1/fail?code=13&reason=TOLD&message=no%20such%20table", &[], "").await;
    assert_eq!(stories(0), [(None, 500, "\"INTERNAL\"".to_owned())], "the guard has told it");
    bench.send("GET /api/v1/absent", &[], "").await;
    let told = stories(1);
    assert_eq!(told.len(), 2, "nobody else can tell it: {told:?}");
    assert!(told[0].0.as_ref().is_some_and(|story| story.contains("nobody answers")), "{told:?}");
    assert_eq!(told[1], (None, 503, "\"UNAVAILABLE\"".to_owned()));
}
