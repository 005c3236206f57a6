//! Personal values: closed for everybody but their service, and for ever once the key is destroyed.
mod suite;
use serde::{Deserialize, Serialize};
use souk_eventstore::*;
use souk_kernel::Sealed;
use std::path::Path;
use suite::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Letter {
    to: String,
    lines: Vec<String>,
}

fn letter() -> Letter {
    Letter { to: "Ada Lovelace".to_owned(), lines: vec!["12 St James's Square".to_owned()] }
}

/// Everything that the store has written, its write-ahead logs included.
fn bytes_under(folder: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    files.flat_map(|file| std::fs::read(file).expect("a file")).collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn what_is_sealed_opens_again_also_after_a_restart() {
    for place in [Place::sqlite(), Place::inline(), Place::memory()] {
        let store = place.open();
        let sealed = store.keys().seal("cus_1", &letter()).await.expect("sealed");
        let again = store.keys().seal("cus_1", &letter()).await.expect("sealed");
        assert_ne!(sealed, again, "the same value is never closed the same way twice");
        assert_eq!(store.keys().open(&sealed).await, Ok(Some(letter())));
        assert_eq!(store.keys().open(&again).await, Ok(Some(letter())));
        let json = serde_json::to_string(&sealed).expect("it is JSON");
        assert!(!json.contains("Ada") && !format!("{sealed:?}").contains("Ada"), "{json}");
        if place.is_file() {
            store.shutdown().await;
            drop(store);
            let stored: Sealed<Letter> = serde_json::from_str(&json).expect("readable");
            assert_eq!(place.open().keys().open(&stored).await, Ok(Some(letter())));
        }
    }
}

#[tokio::test]
async fn a_changed_byte_another_person_and_another_service_are_noticed() {
    let place = Place::memory();
    let store = place.open();
    let keys = store.keys();
    let sealed = keys.seal("cus_1", &letter()).await.expect("sealed");
    keys.seal("cus_2", &letter()).await.expect("so that there is such a key");
    for at in [0, sealed.ciphertext().len() / 2, sealed.ciphertext().len() - 1] {
        let mut bytes = sealed.ciphertext().to_vec();
        bytes[at] ^= 1;
        let changed = Sealed::<Letter>::from_parts("cus_1", sealed.nonce(), bytes);
        assert_eq!(keys.open(&changed).await, Err(SealError::Tampered));
    }
    let moved = Sealed::<Letter>::from_parts("cus_2", sealed.nonce(), sealed.ciphertext().to_vec());
    assert_eq!(keys.open(&moved).await, Err(SealError::Tampered));
    let unknown = Sealed::<Letter>::from_parts("cus_3", sealed.nonce(), sealed.ciphertext().to_vec());
    assert_eq!(keys.open(&unknown).await, Ok(None));
    let other = Sealed::<u32>::from_parts("cus_1", sealed.nonce(), sealed.ciphertext().to_vec());
    let error = keys.open(&other).await.expect_err("it is a letter");
    assert!(!format!("{error}{error:?}").contains("Ada"), "{error}");
}

#[tokio::test]
async fn a_destroyed_key_closes_everything_for_ever() {
    for place in [Place::sqlite(), Place::inline(), Place::memory()] {
        let store = place.open();
        let keys = store.keys();
        let sealed = keys.seal("cus_1", &letter()).await.expect("sealed");
        let other = keys.seal("cus_2", &letter()).await.expect("sealed");
        for _ in 0..2 {
            keys.destroy("cus_1").await.expect("saying it twice is fine");
            assert_eq!(keys.open(&sealed).await, Ok(None));
            assert_eq!(keys.seal("cus_1", &letter()).await, Err(SealError::Erased));
        }
        keys.destroy("cus_9").await.expect("an unknown person is fine");
        assert_eq!(keys.seal("cus_9", &letter()).await, Err(SealError::Erased));
        assert_eq!(keys.open(&other).await, Ok(Some(letter())), "others are not touched");
        if place.is_file() {
            store.shutdown().await;
            drop((store, keys));
            assert_eq!(place.open().keys().open(&sealed).await, Ok(None));
        }
    }
}

#[tokio::test]
async fn no_file_holds_the_value_and_the_store_holds_no_key() {
    let place = Place::sqlite();
    let store = place.open();
    let sealed = store.keys().seal("cus_1", &letter()).await.expect("sealed");
    let file = place.path().with_extension("keys");
    let rows = || {
        let audit = Audit::open(place.path()).expect("opens");
        audit.query(&Statement::new("SELECT name FROM sqlite_master WHERE name = 'keys'")).expect("readable")
    };
    let secret = {
        let bytes = std::fs::read(&file).expect("there");
        let log = std::fs::read(file.with_extension("keys-wal")).unwrap_or_default();
        let text = String::from_utf8_lossy(&[bytes, log].concat()).into_owned();
        let digits = |c: char| c.is_ascii_hexdigit();
        let found = text.split(|c: char| !digits(c)).find(|part| part.len() >= 64).map(str::to_owned);
        found.expect("the key stands in its own file, in hexadecimal")
    };
    let folder = place.path().parent().expect("a folder").to_owned();
    assert!(holds(&bytes_under(&folder), &secret[secret.len() - 64..]));
    assert!(!holds(&bytes_under(&folder), "Lovelace") && !holds(&bytes_under(&folder), "St James"));
    assert!(rows().is_empty(), "a copy of the store is no copy of the keys");
    store.keys().destroy("cus_1").await.expect("destroyed");
    assert!(!holds(&bytes_under(&folder), &secret[secret.len() - 64..]), "the key is overwritten");
    assert_eq!(store.keys().open(&sealed).await, Ok(None));
}
