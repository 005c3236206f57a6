//! What stands behind both gateways: the same products, as protobuf over gRPC for ours, as JSON over HTTP/1.1
//! for the one that only passes bytes on.
use crate::report::{NoResult, Outcome};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prost::Message;
use souk_contracts::catalog::v1::{
    GetProductResponse, ListProductsRequest, ListProductsResponse, Media, Price, Product, ProductStatus,
    Variant,
};
use souk_contracts::types::v1::Money;
use souk_kernel::Timestamp;
use souk_rpc::grpc::GrpcServer;
use souk_rpc::{BoxFuture, ByteService, Code, Cx, Error, Reply, Result};
use souk_telemetry::{Stop, task};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpListener, TcpStream};

/// Products on a page.
pub const PAGE: u32 = 50;
/// Where one product is asked for.
pub const SMALL_PATH: &str = "/api/v1/products/bench-000";
/// Where a page of them is asked for.
pub const LARGE_PATH: &str = "/api/v1/products?pageSize=50";

/// Where they are asked for so that each answer is another than the last ones.
pub const FRESH_PATH: &str = "/api/v1/products?pageSize=50&pageToken=fresh";
/// How many answers there are before they come again: more than any cache of a gateway holds.
const FRESH_PAGES: usize = 256;

/// Answers as the catalogue would.
struct Catalog {
    product: Bytes,
    /// All of one length. The first is the answer to whoever does not ask for a fresh one.
    pages: Vec<Bytes>,
    next: AtomicUsize,
}

impl Catalog {
    fn page(&self, request: &[u8]) -> Option<Bytes> {
        let request = ListProductsRequest::decode(request).ok()?;
        let number = match request.page_token.is_empty() {
            true => 0,
            false => self.next.fetch_add(1, Ordering::Relaxed) % self.pages.len(),
        };
        self.pages.get(number).cloned()
    }
}

impl ByteService for Catalog {
    fn service(&self) -> &str {
        "souk.catalog.v1.CatalogService"
    }

    fn call(&self, method: &str, _: Cx, request: Bytes) -> BoxFuture<'static, Result<Reply>> {
        let reply = match method {
            "GetProduct" => Some(self.product.clone()),
            "ListProducts" => self.page(&request),
            _ => None,
        };
        let unknown = || Error::new(Code::Unimplemented, "UNIMPLEMENTED", "the bench does not ask for this");
        Box::pin(std::future::ready(reply.map(Reply::One).ok_or_else(unknown)))
    }
}

/// As large and as various as a product of the demonstration catalogue.
fn product(number: u32) -> Product {
    let price = |market: &str, currency: &str, minor_units| Price {
        market: market.to_owned(),
        amount: Some(Money { minor_units, currency: currency.to_owned() }),
        valid_from: Some(souk_rpc::time::to_proto(Timestamp::from_unix_us(1_790_000_000_123_456))),
        price_version: 1,
    };
    let variant = |size: &str, minor_units| Variant {
        sku: format!("BENCH-{number:03}-{size}"),
        title: size.to_owned(),
        option_values: vec![size.to_owned()],
        prices: vec![price("GB", "GBP", minor_units), price("US", "USD", minor_units + 150)],
        tax_class: String::new(),
    };
    Product {
        product_id: format!("prd_01jbench{number:018}"),
        handle: format!("bench-{number:03}"),
        title: format!("Lantern No. {number} “Kerkouane”"),
        description: "Hammered brass, pierced by hand; throws a pattern that nobody has drawn. ".repeat(3),
        categories: vec!["Home".to_owned(), "Lighting".to_owned()],
        options: vec!["Size".to_owned()],
        variants: vec![variant("S", 1_250), variant("M", 2_400), variant("L", 4_800)],
        status: ProductStatus::Published.into(),
        version: 3,
        vendor: "Nour & Daughters".to_owned(),
        media: vec![Media { url: format!("/media/bench-{number:03}.svg"), alt: "A lit lantern".to_owned() }],
        tax_class: "standard".to_owned(),
    }
}

/// Serves the products over gRPC until the stop.
pub async fn serve_grpc(stop: Stop) -> Outcome<SocketAddr> {
    let products: Vec<_> = (0..PAGE).map(product).collect();
    let one = GetProductResponse { product: products.first().cloned() };
    let page = |number| {
        let next_page_token = format!("bench-{number:03}");
        Bytes::from(ListProductsResponse { products: products.clone(), next_page_token }.encode_to_vec())
    };
    let pages = (0..FRESH_PAGES).map(page).collect();
    let catalog: Arc<dyn ByteService> =
        Arc::new(Catalog { product: one.encode_to_vec().into(), pages, next: AtomicUsize::new(0) });
    let (listener, address) = listen().await?;
    let server = GrpcServer::new([catalog]);
    drop(task::spawn(
        task::Kind::Background,
        "bench.grpc",
        async move { server.serve(listener, stop).await },
    ));
    Ok(address)
}

/// What the plain upstream answers: the very bytes that our gateway made of the same products.
#[derive(Clone)]
pub struct Answers {
    pub small: Bytes,
    pub large: Bytes,
}

/// Serves the answers over HTTP/1.1 until the stop.
pub async fn serve_http(answers: Answers, stop: Stop) -> Outcome<SocketAddr> {
    let (listener, address) = listen().await?;
    drop(task::spawn(task::Kind::Background, "bench.http", async move {
        loop {
            let accepted = tokio::select! {
                () = stop.requested() => return,
                accepted = listener.accept() => accepted,
            };
            // Without it the client hears nothing and says so.
            let Ok((stream, _)) = accepted else { return };
            let serving = serve_connection(stream, answers.clone());
            drop(task::spawn(task::Kind::Request, "bench.http.connection", serving));
        }
    }));
    Ok(address)
}

async fn serve_connection(stream: TcpStream, answers: Answers) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let is_page = request.uri().path() == "/api/v1/products";
        let body = if is_page { answers.large.clone() } else { answers.small.clone() };
        let mut response = Response::new(Full::new(body));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        std::future::ready(Ok::<_, Infallible>(response))
    });
    // The proxy ends its connections as it likes.
    let _ =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn listen() -> Outcome<(TcpListener, SocketAddr)> {
    let failed = |e| NoResult::failed("an upstream cannot listen", e);
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::{Ask, Caller};
    use souk_rpc::grpc::GrpcChannel;
    use std::time::Duration;

    #[tokio::test]
    async fn both_upstreams_answer_one_product_and_a_page() {
        let (_source, stop) = Stop::new();
        let address = serve_grpc(stop.clone()).await.expect("listens");
        let channel = GrpcChannel::tcp("souk.catalog.v1.CatalogService", &address.to_string());
        let cx = || Cx::new(tokio::time::Instant::now() + Duration::from_secs(10));
        let page = channel.call("ListProducts", cx(), Bytes::new()).await.expect("called");
        let page = ListProductsResponse::decode(page.one().await.expect("one")).expect("decodes");
        assert_eq!(page.products.len(), PAGE as usize);
        let refused = channel.call("PutProduct", cx(), Bytes::new()).await.expect_err("refused");
        assert_eq!(refused.code(), Code::Unimplemented);

        let answers = Answers { small: Bytes::from_static(b"one"), large: Bytes::from_static(b"fifty") };
        let mut caller = Caller::new(serve_http(answers, stop).await.expect("listens"));
        assert_eq!(caller.success(&Ask::get(SMALL_PATH)).await.expect("answers"), "one");
        assert_eq!(caller.success(&Ask::get(LARGE_PATH)).await.expect("answers"), "fifty");
    }
}
