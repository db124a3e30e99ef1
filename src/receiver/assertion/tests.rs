//! Assertions as whoever gives tokens checks them, and files that give none.

use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, PublicKeyData as _};
use time::macros::datetime;
use tokio_rustls::rustls::crypto::WebPkiSupportedAlgorithms;

use super::*;

const ONE: &str = include_str!("../../../tests/data/keys/one.pem");
const ANOTHER: &str = include_str!("../../../tests/data/keys/another.pem");

fn pair(pem: &str) -> KeyPair {
    KeyPair::from_pkcs8_pem_and_sign_algo(pem, &PKCS_RSA_SHA256).unwrap()
}

fn certificate(key: &KeyPair) -> rcgen::Certificate {
    CertificateParams::new([])
        .unwrap()
        .self_signed(key)
        .unwrap()
}

fn read(text: &str) -> Result<ClientCertificate, ClientCertificateError> {
    ClientCertificate::from_pem(Secret::new(text))
}

/// A part of an assertion.
fn part(text: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

/// Whether the key of `pair` has signed `signed` as PS256 does.
fn is_signed(pair: &KeyPair, signed: &str, signature: &str) -> bool {
    let WebPkiSupportedAlgorithms { mapping, .. } =
        ring::default_provider().signature_verification_algorithms;
    let scheme = SignatureScheme::RSA_PSS_SHA256;
    let (_, algorithms) = mapping.iter().find(|(known, _)| *known == scheme).unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    algorithms.iter().any(|algorithm| {
        let verified = algorithm.verify_signature(pair.der_bytes(), signed.as_bytes(), &signature);
        verified.is_ok()
    })
}

#[test]
fn an_assertion_says_who_for_whom_how_long_and_is_signed() {
    let pair = pair(ONE);
    let known = certificate(&pair);
    let read = read(&format!("{ONE}{}", known.pem())).unwrap();
    let endpoint = "https://login.example/tenant/oauth2/v2.0/token";
    let now = datetime!(2026-01-31 12:00 UTC);
    let assertion = read.assertion("client", endpoint, "id", now).unwrap();
    let [header, claims, signature] = assertion.split('.').collect::<Vec<_>>()[..] else {
        panic!("{assertion}");
    };
    let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(known.der()));
    assert_eq!(
        part(header),
        json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint})
    );
    assert_eq!(
        part(claims),
        json!({
            "aud": endpoint,
            "iss": "client",
            "sub": "client",
            "jti": "id",
            "iat": 1_769_860_800,
            "nbf": 1_769_860_800,
            "exp": 1_769_861_400,
        })
    );
    assert!(is_signed(&pair, &format!("{header}.{claims}"), signature));
    assert!(!is_signed(&pair, &format!("{header}.{header}"), signature));
}

#[test]
fn the_certificate_of_the_key_is_found_among_others() {
    let (one, another) = (certificate(&pair(ONE)), certificate(&pair(ANOTHER)));
    let expected = URL_SAFE_NO_PAD.encode(Sha256::digest(one.der()));
    for text in [
        format!("{ONE}{}{}", one.pem(), another.pem()),
        format!("{}{}{ONE}", another.pem(), one.pem()),
        format!("Bag Attributes\n    friendlyName: x\n{}{ONE}", one.pem()),
    ] {
        assert_eq!(read(&text).unwrap().thumbprint, expected, "{text}");
    }
}

#[test]
fn a_file_that_gives_no_certificate_is_told_what_to_do_about() {
    let one = certificate(&pair(ONE)).pem();
    let curve = KeyPair::generate().unwrap();
    let of_curve = certificate(&curve).pem();
    let encrypted = ONE.replace("PRIVATE", "ENCRYPTED PRIVATE");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client.pem");
    let check = |content: &[u8], expected: &str| {
        std::fs::write(&path, content).unwrap();
        let error = ClientCertificate::from_file(&path).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains("MII"), "{error}");
    };
    check(
        b"",
        "holds no private key in PEM form, or an encrypted one: there is no such section in it",
    );
    check(
        ONE.as_bytes(),
        "holds no certificate in PEM form: there is no such section in it",
    );
    check(
        one.as_bytes(),
        "holds no private key in PEM form, or an encrypted one: there is no such section in it",
    );
    check(
        format!("{}{one}", &ONE[..ONE.len() - 30]).as_bytes(),
        "holds no private key in PEM form, or an encrypted one: ",
    );
    check(
        format!("{one}{encrypted}").as_bytes(),
        "holds an encrypted private key; take the passphrase off by: openssl pkey",
    );
    check(
        format!("{one}{ANOTHER}").as_bytes(),
        "holds no certificate that belongs to its private key",
    );
    check(
        format!("{of_curve}{}", curve.serialize_pem()).as_bytes(),
        "holds a private key that Microsoft Entra ID does not take; it must be an RSA key",
    );
    // How PKCS #12 begins.
    check(
        b"\x30\x82\x09\xd7\x02\x01\x03",
        "is no PEM file; make one of a PKCS #12 file by: openssl pkcs12 -in FILE.pfx",
    );
    std::fs::remove_file(&path).unwrap();
    let error = ClientCertificate::from_file(&path).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn a_private_key_is_not_shown() {
    let read = read(&format!("{ONE}{}", certificate(&pair(ONE)).pem())).unwrap();
    let shown = format!("{read:?}");
    assert_eq!(shown, format!("ClientCertificate({:?})", read.thumbprint));
}
