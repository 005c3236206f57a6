//! A shop small enough to hold in the head: products by handle, stock by SKU, receipts by id.
use crate::rest::Rest;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use souk_telemetry::task;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// Products of one page: few, so that several pages are read.
const PAGE: usize = 7;

#[derive(Default)]
struct Books {
    products: BTreeMap<String, Value>,
    stock: BTreeMap<String, i64>,
    receipts: BTreeMap<String, Value>,
    refused: Vec<String>,
    lost: Option<(String, usize)>,
    is_closed: bool,
}

pub struct StandIn {
    books: Arc<Mutex<Books>>,
    url: String,
}

impl StandIn {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it listens"));
        let books = Arc::new(Mutex::new(Books::default()));
        drop(task::spawn(task::Kind::Background, "stand-in", serve(listener, Arc::clone(&books))));
        Self { books, url }
    }

    pub fn rest(&self) -> Rest {
        Rest::new(&self.url, Some("a token".to_owned()))
    }

    pub fn stock(&self, sku: &str) -> Option<i64> {
        self.change(|books| books.stock.get(sku).copied())
    }

    pub fn receipts(&self) -> usize {
        self.change(|books| books.receipts.len())
    }

    pub fn sell(&self, sku: &str, pieces: i64) {
        self.change(|books| *books.stock.get_mut(sku).expect("in stock") -= pieces);
    }

    /// Does what it is asked, and says that it is overloaded.
    pub fn lose_answers_of(&self, path: &str, count: usize) {
        self.change(|books| books.lost = Some((path.to_owned(), count)));
    }

    pub fn refuse(&self, handle: &str) {
        self.change(|books| books.refused.push(handle.to_owned()));
    }

    pub fn dismiss(&self) {
        self.change(|books| books.is_closed = true);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Books) -> T) -> T {
        change(&mut self.books.lock().expect("no test panics while it holds the books"))
    }
}

async fn serve(listener: TcpListener, books: Arc<Mutex<Books>>) {
    loop {
        let (socket, _) = listener.accept().await.expect("it listens");
        let books = Arc::clone(&books);
        let service = service_fn(move |request| answer(request, Arc::clone(&books)));
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service);
        drop(task::spawn(task::Kind::Background, "stand-in-connection", async move {
            let _ = connection.await;
        }));
    }
}

async fn answer(
    request: Request<Incoming>,
    books: Arc<Mutex<Books>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("the body arrives").to_bytes();
    let body: Value =
        if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") };
    let path = head.uri.path();
    let mut books = books.lock().expect("no test panics while it holds the books");
    let (mut status, mut json) = match (head.method, path) {
        _ if books.is_closed => {
            (401, json!({"detail": "the token is not one of this shop", "reason": "UNAUTHENTICATED"}))
        }
        (Method::PUT, path) => books.put(&text(path.trim_start_matches("/api/v1/products/")), body),
        (Method::POST, "/api/v1/stock:receive") => books.receive(&body),
        (Method::GET, "/api/v1/stock") => books.levels(head.uri.query().unwrap_or("")),
        (Method::GET, "/api/v1/products") => books.list(head.uri.query().unwrap_or("")),
        _ => (404, json!({"detail": "there is nothing here"})),
    };
    if let Some((lost, left)) =
        books.lost.as_mut().filter(|(lost, left)| path.contains(lost.as_str()) && *left > 0)
    {
        *left -= 1;
        (status, json) = (503, json!({"detail": format!("too busy for {lost}"), "reason": "UNAVAILABLE"}));
    }
    let mut response = Response::new(Full::new(Bytes::from(json.to_string())));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    Ok(response)
}

impl Books {
    fn put(&mut self, handle: &str, input: Value) -> (u16, Value) {
        if self.refused.iter().any(|refused| refused == handle) {
            let metadata = json!({"handle": handle});
            return (
                409,
                json!({"detail": "the product is archived", "reason": "PRODUCT_ARCHIVED", "metadata": metadata}),
            );
        }
        let outcome = match self.products.insert(handle.to_owned(), input.clone()) {
            None => "PUT_OUTCOME_CREATED",
            Some(before) if before == input => "PUT_OUTCOME_UNCHANGED",
            Some(_) => "PUT_OUTCOME_UPDATED",
        };
        (200, json!({"outcome": outcome}))
    }

    fn receive(&mut self, receipt: &Value) -> (u16, Value) {
        let id = receipt["receiptId"].as_str().expect("an id").to_owned();
        match self.receipts.get(&id) {
            Some(before) if before == receipt => return (200, json!({"repeatedReceipt": true})),
            Some(_) => return (409, json!({"detail": "another receipt", "reason": "RECEIPT_CONFLICT"})),
            None => self.receipts.insert(id, receipt.clone()),
        };
        for line in receipt["lines"].as_array().expect("lines") {
            let pieces: i64 = line["quantity"].as_str().expect("text").parse().expect("a number");
            *self.stock.entry(line["sku"].as_str().expect("a SKU").to_owned()).or_default() += pieces;
        }
        (200, json!({"repeatedReceipt": false}))
    }

    fn levels(&self, query: &str) -> (u16, Value) {
        let skus = query.split('&').filter_map(|pair| pair.strip_prefix("skus=")).map(text);
        let level = |sku: String| {
            let on_hand = self.stock.get(&sku);
            json!({"sku": sku, "known": on_hand.is_some(), "onHand": on_hand.unwrap_or(&0).to_string()})
        };
        (200, json!({"levels": skus.map(level).collect::<Vec<_>>()}))
    }

    /// The products of one status, by pages; a page's token is the handle of its last product.
    fn list(&self, query: &str) -> (u16, Value) {
        let of = |name: &str| {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            text(value.unwrap_or(""))
        };
        let (status, after) = (of("status"), of("pageToken"));
        let shown = |input: &Value| {
            if input["published"] == true { "PRODUCT_STATUS_PUBLISHED" } else { "PRODUCT_STATUS_DRAFT" }
        };
        let page: Vec<_> = self
            .products
            .iter()
            .filter(|(handle, input)| **handle > after && shown(input) == status)
            .take(PAGE)
            .map(|(handle, input)| product(handle, input, &status))
            .collect();
        let next = if page.len() == PAGE { page[PAGE - 1]["handle"].clone() } else { json!("") };
        (200, json!({"products": page, "nextPageToken": next}))
    }
}

/// What was put, as it is shown: with the titles that follow from the rest.
fn product(handle: &str, input: &Value, status: &str) -> Value {
    let mut product = input.clone();
    product["handle"] = json!(handle);
    product["status"] = json!(status);
    let title = input["title"].clone();
    for variant in product["variants"].as_array_mut().expect("variants") {
        let values = variant["optionValues"].as_array().expect("values").iter();
        let values: Vec<_> = values.map(|value| value.as_str().expect("text").to_owned()).collect();
        let shown = if values.is_empty() { title.clone() } else { json!(values.join(" / ")) };
        if variant["title"] == "" {
            variant["title"] = shown;
        }
    }
    product
}

/// A percent-encoded part of an address.
fn text(encoded: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let pair = [rest.next().expect("a digit"), rest.next().expect("a digit")];
            let pair = std::str::from_utf8(&pair).expect("ASCII");
            bytes.push(u8::from_str_radix(pair, 16).expect("hex"));
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).expect("text")
}
