//! Feeds as their readers see them.
mod shop;

use futures_util::StreamExt;
use futures_util::future::join_all;
use prost::Message;
use shop::*;
use souk_bus::Feeds;
use souk_kernel::Code;
use souk_rpc::feed::{FeedEvent, ReadRequest};
use souk_rpc::{BoxStream, ByteService, Bytes, Cx, Error};
use std::sync::Arc;
use tokio::time::{Instant, timeout};

type Items = BoxStream<'static, Result<Bytes, Error>>;

async fn read(shop: &Shop, feed: &Arc<dyn ByteService>, request: ReadRequest) -> Result<Items, Error> {
    Ok(feed.call("Read", shop.cx(), request.encode_to_vec().into()).await?.many())
}

fn all_after(after: u64) -> ReadRequest {
    ReadRequest { source: "speaker".into(), after, limit: 0 }
}

async fn next(items: &mut Items) -> FeedEvent {
    decoded(timeout(PATIENCE, items.next()).await.expect("in time").expect("not the end"))
}

#[tokio::test]
async fn many_readers_see_every_event_in_order_while_it_is_said() {
    let shop = Shop::new();
    let speaker = shop.speaker();
    let feed = shop.feed(&speaker);
    let reader = async |after: u64| {
        let mut items = read(&shop, &feed, all_after(after)).await.expect("opens");
        for expected in after + 1..=300 {
            assert_eq!(next(&mut items).await.feed_seq, expected);
        }
    };
    say(&speaker, "ada", true, 0..50).await;
    let writer = async {
        for n in 0..125 {
            say(&speaker, ["ada", "bob"][n % 2], n % 3 == 0, [1, 2]).await;
        }
    };
    let readers = join_all([0, 0, 1, 7, 49, 50, 50, 20].map(reader));
    futures_util::future::join(readers, writer).await;
}

#[tokio::test]
async fn a_slow_reader_misses_nothing() {
    let shop = Shop::new();
    let speaker = shop.speaker();
    let feed = shop.feed(&speaker);
    say(&speaker, "ada", true, [0]).await;
    let mut items = read(&shop, &feed, all_after(0)).await.expect("opens");
    assert_eq!(next(&mut items).await.feed_seq, 1);
    // More than the store keeps in memory for those who keep up.
    for key in 0..10 {
        say(&speaker, &format!("key{key}"), true, 0..1_000).await;
    }
    for expected in 2..=10_001 {
        let event = next(&mut items).await;
        assert_eq!(event.feed_seq, expected);
        assert_eq!(event.public_seq, (expected - 2) % 1_000 + 1);
    }
}

#[tokio::test]
async fn an_event_carries_its_envelope() {
    let shop = Shop::new();
    let speaker = shop.speaker();
    let feed = shop.feed(&speaker);
    say(&speaker, "ada", true, [7]).await;
    let event = next(&mut read(&shop, &feed, all_after(0)).await.expect("opens")).await;
    assert_eq!((event.source.as_str(), event.stream.as_str()), ("speaker", "speaker/ada"));
    assert_eq!((event.kind.as_str(), &event.data[..]), (WANTED, &b"7"[..]));
    assert_eq!((event.id.as_str(), event.actor.as_str()), ("speaker/1", "test"));
    assert_eq!(event.time.expect("a time").seconds, START.unix_s());
}

#[tokio::test]
async fn a_limit_ends_the_stream() {
    let shop = Shop::new();
    let speaker = shop.speaker();
    let feed = shop.feed(&speaker);
    say(&speaker, "ada", true, 0..10).await;
    let request = ReadRequest { limit: 3, ..all_after(4) };
    let items = read(&shop, &feed, request).await.expect("opens");
    let numbers: Vec<_> = items.map(|item| decoded(item).feed_seq).collect().await;
    assert_eq!(numbers, [5, 6, 7]);
}

#[tokio::test]
async fn a_feed_ends_when_its_store_closes() {
    let shop = Shop::new();
    let speaker = shop.speaker();
    let feed = shop.feed(&speaker);
    say(&speaker, "ada", true, [1]).await;
    let mut items = read(&shop, &feed, all_after(0)).await.expect("opens");
    assert_eq!(next(&mut items).await.feed_seq, 1);
    let (end, ()) = futures_util::future::join(timeout(PATIENCE, items.next()), speaker.shutdown()).await;
    assert!(end.expect("in time").is_none());
}

#[tokio::test]
async fn a_reader_who_knows_more_than_there_is_hears_of_it() {
    let shop = Shop::new();
    let speaker = shop.speaker();
    let feed = shop.feed(&speaker);
    say(&speaker, "ada", true, [1]).await;
    assert!(read(&shop, &feed, all_after(1)).await.is_ok());
    let error = read(&shop, &feed, all_after(2)).await.err().expect("there are no two");
    assert_eq!((error.code(), error.reason()), (Code::OutOfRange, "FEED_BEHIND_READER"));
}

#[tokio::test]
async fn each_source_has_its_own_feed_and_only_services_may_read() {
    let shop = Shop::new();
    let (speaker, other) = (shop.speaker(), shop.speaker_called("other"));
    say(&speaker, "ada", true, [1]).await;
    say(&other, "bob", true, [2]).await;
    let feeds = Feeds::default().with("speaker", speaker).with("other", other);
    assert_eq!(feeds.sources().collect::<Vec<_>>(), ["other", "speaker"]);
    let feed = shop.wire(Arc::new(feeds));
    for (source, stream) in [("speaker", "speaker/ada"), ("other", "speaker/bob")] {
        let request = ReadRequest { source: source.into(), after: 0, limit: 1 };
        let event = next(&mut read(&shop, &feed, request).await.expect("opens")).await;
        assert_eq!((event.source.as_str(), event.stream.as_str()), (source, stream));
    }
    let request = ReadRequest { source: "nobody".into(), ..ReadRequest::default() };
    let error = read(&shop, &feed, request).await.err().expect("nobody publishes");
    assert_eq!((error.code(), error.reason()), (Code::NotFound, "UNKNOWN_FEED"));
    let stranger = Cx::new(Instant::now() + PATIENCE);
    let refused = feed.call("Read", stranger, all_after(0).encode_to_vec().into()).await;
    assert_eq!(refused.expect_err("no token").code(), Code::Unauthenticated);
}
