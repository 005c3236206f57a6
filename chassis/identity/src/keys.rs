//! Ed25519 keys: the secret ones that sign, the public ones that check, and their JSON forms.
use crate::Claims;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use souk_kernel::Entropy;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Why a key or a key set could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyError {
    /// Not JSON of the documented form.
    Form(String),
    /// A key is not 32 bytes in base64url without padding.
    Bytes,
    /// The id does not belong to the key.
    Id,
    /// A key set holds a key that is not Ed25519.
    Algorithm,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::Form(why) => write!(f, "the key file is not of the expected form: {why}"),
            KeyError::Bytes => f.write_str("a key must be 32 bytes in base64url without padding"),
            KeyError::Id => f.write_str("the key's id does not belong to the key"),
            KeyError::Algorithm => {
                f.write_str("only Ed25519 keys (kty OKP, crv Ed25519, alg EdDSA) are accepted")
            }
        }
    }
}

impl std::error::Error for KeyError {}

/// The number of characters of a key's id.
const KID_LEN: usize = 16;

/// A key that checks signatures. Its id is derived from it, so two keys never share one by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kid: Arc<str>,
    bytes: [u8; 32],
}

impl PublicKey {
    /// The key with these 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
        let kid = Arc::from(&BASE64.encode(digest)[..KID_LEN]);
        Self { kid, bytes }
    }

    /// The key's id: the first 16 characters of base64url(SHA-256(key)).
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Whether `signature` over `message` was made by the secret half of this key.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.bytes).verify(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.kid)
    }
}

/// A key that signs. Never printed.
pub struct SigningKey {
    seed: [u8; 32],
    pair: Ed25519KeyPair,
    public: PublicKey,
}

/// The key as it stands in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    kid: String,
    seed: String,
}

impl SigningKey {
    /// A new key from injected entropy.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut seed = [0u8; 32];
        entropy.fill(&mut seed);
        Self::from_seed(seed)
    }

    /// The key that belongs to `seed`.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are an Ed25519 seed");
        let public = pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes");
        Self { seed, pair, public: PublicKey::from_bytes(public) }
    }

    /// The file form: JSON `{"kid": …, "seed": base64url}`. A secret: give the file mode 0600.
    pub fn to_bytes(&self) -> Vec<u8> {
        let file = KeyFile { kid: self.public.kid().to_owned(), seed: BASE64.encode(self.seed) };
        serde_json::to_vec(&file).expect("two strings are always JSON")
    }

    /// Reads what [`SigningKey::to_bytes`] wrote; an id that does not belong to the seed is refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let file: KeyFile = serde_json::from_slice(bytes).map_err(|e| KeyError::Form(e.to_string()))?;
        let key = Self::from_seed(decode_32(&file.seed)?);
        if key.public.kid() == file.kid { Ok(key) } else { Err(KeyError::Id) }
    }

    /// The half that checks.
    pub fn public(&self) -> PublicKey {
        self.public.clone()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, ***)", self.public.kid())
    }
}

fn decode_32(text: &str) -> Result<[u8; 32], KeyError> {
    BASE64.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(KeyError::Bytes)
}

/// Signs claims with one key.
#[derive(Debug)]
pub struct Signer {
    key: SigningKey,
    /// The encoded header with its dot: it never changes for a key.
    prefix: String,
}

impl Signer {
    /// A signer that uses `key`.
    pub fn new(key: SigningKey) -> Self {
        let header = format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"at+jwt"}}"#, key.public.kid());
        let prefix = format!("{}.", BASE64.encode(header));
        Self { key, prefix }
    }

    /// The half of the key that checks, for the key set.
    pub fn public(&self) -> PublicKey {
        self.key.public()
    }

    /// The signature of `bytes`, for secrets that follow from the key.
    pub(crate) fn sign_bytes(&self, bytes: &[u8]) -> [u8; 64] {
        self.key.pair.sign(bytes).as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
    }

    /// A token (JWS compact form) that says `claims`.
    pub fn sign(&self, claims: &Claims) -> String {
        let payload = serde_json::to_vec(claims).expect("claims are strings and numbers");
        let mut token = self.prefix.clone();
        BASE64.encode_string(payload, &mut token);
        let signature = self.key.pair.sign(token.as_bytes());
        token.push('.');
        BASE64.encode_string(signature, &mut token);
        token
    }
}

/// The public keys whose signatures count. Clones share the keys: adding one makes it count everywhere.
#[derive(Clone, Default)]
pub struct KeySet(Arc<Shared>);

#[derive(Default)]
struct Shared {
    keys: RwLock<BTreeMap<Arc<str>, PublicKey>>,
    /// Grows with every change, so that verdicts under former keys can be told from current ones.
    generation: AtomicU64,
}

#[derive(Serialize, Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

#[derive(Serialize, Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    alg: String,
    #[serde(rename = "use")]
    usage: String,
    kid: String,
    x: String,
}

impl KeySet {
    /// No keys yet: nothing counts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets signatures by `key` count.
    pub fn add(&self, key: PublicKey) {
        self.change(|keys| {
            keys.insert(Arc::clone(&key.kid), key);
        });
    }

    /// Lets signatures by this key count no longer, tokens that were accepted before included.
    pub fn remove(&self, kid: &str) {
        self.change(|keys| {
            keys.remove(kid);
        });
    }

    /// The key with this id.
    pub fn get(&self, kid: &str) -> Option<PublicKey> {
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner).get(kid).cloned()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// The JSON Web Key Set (RFC 7517, RFC 8037).
    pub fn to_jwks(&self) -> String {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        let keys = keys.values().map(|key| Jwk {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            alg: "EdDSA".to_owned(),
            usage: "sig".to_owned(),
            kid: key.kid().to_owned(),
            x: BASE64.encode(key.bytes),
        });
        serde_json::to_string(&Jwks { keys: keys.collect() }).expect("strings are always JSON")
    }

    /// Reads what [`KeySet::to_jwks`] wrote. One key that is not ours makes the whole set unreadable.
    pub fn from_jwks(json: &str) -> Result<Self, KeyError> {
        let jwks: Jwks = serde_json::from_str(json).map_err(|e| KeyError::Form(e.to_string()))?;
        let set = Self::new();
        for jwk in jwks.keys {
            let is_ed25519 =
                jwk.kty == "OKP" && jwk.crv == "Ed25519" && jwk.alg == "EdDSA" && jwk.usage == "sig";
            if !is_ed25519 {
                return Err(KeyError::Algorithm);
            }
            let key = PublicKey::from_bytes(decode_32(&jwk.x)?);
            if key.kid() != jwk.kid {
                return Err(KeyError::Id);
            }
            set.add(key);
        }
        Ok(set)
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<Arc<str>, PublicKey>)) {
        let mut keys = self.0.keys.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut keys);
        self.0.generation.fetch_add(1, Ordering::Release);
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_set().entries(keys.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use souk_kernel::SeededEntropy;

    fn key(seed: u64) -> SigningKey {
        SigningKey::generate(SeededEntropy::new(seed).as_ref())
    }

    #[test]
    fn a_key_survives_its_file() {
        let key = key(1);
        let again = SigningKey::from_bytes(&key.to_bytes()).expect("just written");
        assert_eq!(again.public(), key.public());
        assert_eq!(key.public().kid().len(), KID_LEN);
        assert!(!format!("{key:?}").contains(&BASE64.encode(key.seed)), "the seed is never printed");
    }

    #[test]
    fn the_rfc_8032_vector_holds() {
        // RFC 8032, 7.1, test 1: the public key that belongs to this seed.
        let seed = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
        let public = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let key = SigningKey::from_seed(decode_32(seed).expect("32 bytes"));
        assert_eq!(BASE64.encode(key.public.bytes), public);
    }

    #[test]
    fn a_damaged_key_file_is_refused() {
        let text = String::from_utf8(key(1).to_bytes()).expect("JSON is UTF-8");
        let other_kid = text.replace(key(1).public().kid(), key(2).public().kid());
        assert_eq!(SigningKey::from_bytes(other_kid.as_bytes()).err(), Some(KeyError::Id));
        assert_eq!(SigningKey::from_bytes(br#"{"kid":"a","seed":"AA"}"#).err(), Some(KeyError::Bytes));
        assert!(matches!(SigningKey::from_bytes(b"{}"), Err(KeyError::Form(_))));
    }

    #[test]
    fn a_key_set_survives_its_jwks_and_refuses_foreign_keys() {
        let keys = KeySet::new();
        keys.add(key(1).public());
        keys.add(key(2).public());
        let jwks = keys.to_jwks();
        let again = KeySet::from_jwks(&jwks).expect("just written");
        assert_eq!(again.get(key(2).public().kid()), Some(key(2).public()));
        assert_eq!(KeySet::from_jwks(&jwks.replace("OKP", "RSA")).err(), Some(KeyError::Algorithm));
        let stolen_id = jwks.replace(key(1).public().kid(), "0123456789abcdef");
        assert_eq!(KeySet::from_jwks(&stolen_id).err(), Some(KeyError::Id));
    }
}
