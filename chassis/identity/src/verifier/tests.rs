use super::*;
use crate::{Kind, Signer, SigningKey};
use ring::hmac;
use souk_kernel::{ManualClock, SeededEntropy};

const NOW_S: i64 = 1_700_000_000;

struct House {
    clock: Arc<ManualClock>,
    keys: KeySet,
    signer: Signer,
    verifier: Verifier,
}

fn key(seed: u64) -> SigningKey {
    SigningKey::generate(SeededEntropy::new(seed).as_ref())
}

fn house() -> House {
    let clock = ManualClock::at(Timestamp::from_unix_s(NOW_S));
    let keys = KeySet::new();
    let signer = Signer::new(key(1));
    keys.add(signer.public());
    let verifier = Verifier::new(keys.clone(), "order", Arc::clone(&clock) as Arc<dyn Clock>);
    House { clock, keys, signer, verifier }
}

fn guest() -> Claims {
    Claims::new("gst_1", Kind::Guest, "souk", Timestamp::from_unix_s(NOW_S), 600)
}

impl House {
    fn verdict(&self, change: impl FnOnce(&mut Claims)) -> Result<Arc<Principal>, TokenError> {
        let mut claims = guest();
        change(&mut claims);
        self.verifier.verify(&self.signer.sign(&claims))
    }

    /// A token with a hand-written header and payload, signed with the known key.
    fn forged(&self, header: &str, payload: &str) -> Result<Arc<Principal>, TokenError> {
        let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(payload));
        let pair = ring::signature::Ed25519KeyPair::from_seed_unchecked(&seed_of(1)).expect("a seed");
        self.verifier.verify(&format!("{signed}.{}", BASE64.encode(pair.sign(signed.as_bytes()))))
    }
}

fn seed_of(seed: u64) -> [u8; 32] {
    let mut bytes = [0u8; 32];
    souk_kernel::Entropy::fill(SeededEntropy::new(seed).as_ref(), &mut bytes);
    bytes
}

#[test]
fn a_good_token_stands_for_its_subject() {
    let house = house();
    let service = house.verdict(|c| {
        c.sub = "svc:order".into();
        c.kind = Kind::Service;
        c.aud = "order".into();
        c.act = Some("gst_7".into());
    });
    let service = service.expect("all in order");
    assert_eq!((service.service(), service.owner()), (Some("order"), "gst_7"));
    let staff = house.verdict(|c| {
        c.sub = "stf_1".into();
        c.kind = Kind::Staff;
        c.roles = vec!["sales".into()];
    });
    let staff = staff.expect("all in order");
    assert!(staff.has_role("sales") && !staff.has_role("sale"));
    assert_eq!((staff.service(), staff.owner()), (None, "stf_1"));
}

#[test]
fn time_is_judged_with_a_minute_of_leeway() {
    let house = house();
    let token = house.signer.sign(&guest());
    assert!(house.verifier.verify(&token).is_ok());
    house.clock.advance_ms(659_999);
    assert!(house.verifier.verify(&token).is_ok(), "still within the leeway, from memory");
    house.clock.advance_ms(1);
    assert_eq!(
        house.verifier.verify(&token),
        Err(TokenError::Expired),
        "what was remembered expires as well"
    );
    assert_eq!(house.verifier.verify(&token), Err(TokenError::Expired), "and so does a fresh look");
    house.clock.advance_ms(-660_000);
    assert!(house.verdict(|c| c.nbf += 60).is_ok());
    assert_eq!(house.verdict(|c| c.nbf += 61), Err(TokenError::NotYet));
    assert_eq!(house.verdict(|c| c.iat += 61), Err(TokenError::NotYet));
}

#[test]
fn a_token_for_or_from_somebody_else_is_refused() {
    let house = house();
    assert_eq!(house.verdict(|c| c.aud = "payment".into()), Err(TokenError::Audience));
    assert_eq!(house.verdict(|c| c.aud = "".into()), Err(TokenError::Audience));
    assert_eq!(house.verdict(|c| c.iss = "bazaar".into()), Err(TokenError::Issuer));
}

#[test]
fn nobody_becomes_a_service_by_naming_themselves_one() {
    let house = house();
    assert_eq!(house.verdict(|c| c.sub = "svc:order".into()), Err(TokenError::Incoherent));
    assert_eq!(house.verdict(|c| c.kind = Kind::Service), Err(TokenError::Incoherent));
    assert_eq!(house.verdict(|c| c.act = Some("gst_2".into())), Err(TokenError::Incoherent));
    assert_eq!(house.verdict(|c| c.sub = "".into()), Err(TokenError::Incoherent));
}

#[test]
fn a_header_that_is_not_exactly_ours_is_refused() {
    let house = house();
    let kid = house.signer.public().kid().to_owned();
    let payload = serde_json::to_string(&guest()).expect("claims are JSON");
    let good = format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"at+jwt"}}"#);
    assert!(house.forged(&good, &payload).is_ok(), "the forger can sign, so only the header decides below");
    let more = |extra: &str| good.replace('}', &format!(",{extra}}}"));
    for header in [
        good.replace("EdDSA", "none"),
        good.replace("EdDSA", "NONE"),
        good.replace("EdDSA", "HS256"),
        good.replace("EdDSA", "ES256"),
        good.replace("EdDSA", "eddsa"),
        good.replace("at+jwt", "JWT"),
        good.replace("at+jwt", "rt+jwt"),
        more(r#""jku":"https://evil.example/keys""#),
        more(r#""jwk":{"kty":"OKP"}"#),
        more(r#""x5c":[]"#),
        more(r#""x5u":"https://evil.example""#),
        more(r#""crit":["exp"]"#),
        more(r#""b64":false"#),
        more(r#""alg":"EdDSA""#),
        more(&format!(r#""kid":"{kid}""#)),
        good.replace(r#","typ":"at+jwt""#, ""),
        "{}".to_owned(),
        "null".to_owned(),
    ] {
        assert_eq!(house.forged(&header, &payload).err(), Some(TokenError::Header), "{header}");
    }
    for kid in ["../../dev/null", "' OR 1=1 --", ""] {
        let header = format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"at+jwt"}}"#);
        assert_eq!(house.forged(&header, &payload).err(), Some(TokenError::UnknownKey), "{kid}");
    }
}

#[test]
fn a_doubled_claim_is_refused() {
    let house = house();
    let kid = house.signer.public().kid().to_owned();
    let header = format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"at+jwt"}}"#);
    let payload = serde_json::to_string(&guest()).expect("claims are JSON");
    let doubled = payload.replace(r#""sub":"gst_1""#, r#""sub":"gst_1","sub":"gst_2""#);
    assert_eq!(house.forged(&header, &doubled).err(), Some(TokenError::Malformed));
}

#[test]
fn a_signature_by_another_key_or_another_algorithm_is_refused() {
    let house = house();
    let token = house.signer.sign(&guest());
    let (signed, _) = token.rsplit_once('.').expect("three parts");
    let with = |signature: &[u8]| format!("{signed}.{}", BASE64.encode(signature));
    let stranger = Signer::new(key(2)).sign(&guest());
    assert_eq!(house.verifier.verify(&stranger), Err(TokenError::UnknownKey));
    let by_stranger =
        stranger.rsplit_once('.').map(|(_, signature)| signature.to_owned()).unwrap_or_default();
    assert_eq!(house.verifier.verify(&format!("{signed}.{by_stranger}")), Err(TokenError::Signature));
    // The public key used as the secret of an HMAC: works wherever the algorithm is taken from the header.
    let secret = hmac::Key::new(hmac::HMAC_SHA256, house.keys.to_jwks().as_bytes());
    assert_eq!(
        house.verifier.verify(&with(hmac::sign(&secret, signed.as_bytes()).as_ref())),
        Err(TokenError::Signature)
    );
    assert_eq!(house.verifier.verify(&with(&[])), Err(TokenError::Signature));
    assert_eq!(house.verifier.verify(&with(&[0; 64])), Err(TokenError::Signature));
    assert_eq!(house.verifier.verify(&with(&[0; 63])), Err(TokenError::Signature));
}

#[test]
fn what_is_not_a_token_is_refused() {
    let house = house();
    let token = house.signer.sign(&guest());
    let nested = format!("{token}.{token}");
    for bad in [
        "",
        ".",
        "..",
        "...",
        "a.b",
        "a.b.c",
        " ",
        "Bearer x",
        &nested,
        &format!("{token}="),
        &format!("{token} "),
    ] {
        assert!(house.verifier.verify(bad).is_err(), "{bad}");
    }
    for cut in 0..token.len() {
        assert!(house.verifier.verify(&token[..cut]).is_err(), "cut at {cut}");
    }
    assert_eq!(house.verifier.verify(&"a".repeat(TOKEN_BYTES_MAX + 1)), Err(TokenError::TooLong));
    assert!(house.verifier.verify(&token).is_ok(), "the whole one is good");
}

#[test]
fn a_removed_key_ends_tokens_that_were_accepted_before() {
    let house = house();
    let token = house.signer.sign(&guest());
    assert!(house.verifier.verify(&token).is_ok());
    house.keys.remove(house.signer.public().kid());
    assert_eq!(house.verifier.verify(&token), Err(TokenError::UnknownKey));
    house.keys.add(house.signer.public());
    assert!(house.verifier.verify(&token).is_ok());
}
