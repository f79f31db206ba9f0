//! What goes wrong with certificates and keys, in words: whose certificate it is, and what about it.

use kube::client::RustlsTlsError;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};

use super::Reason;

/// A failed handshake.
pub(super) fn handshake(error: &Error) -> (Reason, String) {
    use AlertDescription as Alert;
    match error {
        Error::InvalidCertificate(error) => certificate(error, "certificate of the API server"),
        Error::AlertReceived(
            alert @ (Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::CertificateRequired),
        ) => (Reason::ClientCertificate, format!("it answers {alert:?}")),
        Error::AlertReceived(
            alert @ (Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity),
        ) => (Reason::Algorithm, format!("it answers {alert:?} to what we offer: TLS 1.2 or 1.3, {KEYS}")),
        Error::PeerIncompatible(what) => (Reason::Algorithm, format!("{what:?}")),
        Error::AlertReceived(alert) => (Reason::Untrusted, format!("it answers {alert:?}")),
        other => (Reason::Foreign, other.to_string()),
    }
}

/// What the key of a certificate may be.
const KEYS: &str = "RSA, Ed25519 and ECDSA on P-256 or P-384";

/// A configuration that no connection can be made from.
pub(super) fn setup(error: &RustlsTlsError) -> (Reason, String) {
    match error {
        RustlsTlsError::InvalidPrivateKey(Error::InvalidCertificate(error)) => {
            let (_, what) = certificate(error, "client certificate");
            (Reason::ClientCertificate, what)
        }
        RustlsTlsError::InvalidPrivateKey(Error::InconsistentKeys(_)) => {
            (Reason::ClientCertificate, "client certificate and client key do not belong together".to_owned())
        }
        // Neither quotes what it read.
        RustlsTlsError::InvalidPrivateKey(error) => {
            (Reason::ClientCertificate, format!("client key: {error}"))
        }
        RustlsTlsError::InvalidIdentityPem(_) => {
            (Reason::ClientCertificate, "client certificate or client key is no PEM".to_owned())
        }
        RustlsTlsError::MissingPrivateKey | RustlsTlsError::UnknownPrivateKeyFormat => {
            (Reason::ClientCertificate, "there is no client key in PEM (PKCS#8, PKCS#1 or SEC1)".to_owned())
        }
        RustlsTlsError::MissingCertificate => {
            (Reason::ClientCertificate, "there is no client certificate in PEM".to_owned())
        }
        other => (Reason::Setup, other.to_string()),
    }
}

fn certificate(error: &CertificateError, whose: &str) -> (Reason, String) {
    match error {
        CertificateError::ExpiredContext { time, not_after } => (
            Reason::Clock,
            format!("the {whose} was valid until {}, and here it is {}", at(*not_after), at(*time)),
        ),
        CertificateError::NotValidYetContext { time, not_before } => (
            Reason::Clock,
            format!("the {whose} is valid from {} on, and here it is {}", at(*not_before), at(*time)),
        ),
        CertificateError::UnsupportedSignatureAlgorithmContext { signature_algorithm_id: id, .. } => {
            (Reason::Algorithm, format!("the {whose} is signed with {}", algorithm(id)))
        }
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: signature,
            public_key_algorithm_id: key,
        } => (
            Reason::Algorithm,
            format!("the {whose} is signed with {} by a key of {}", algorithm(signature), algorithm(key)),
        ),
        CertificateError::UnknownIssuer => {
            (Reason::Untrusted, format!("the {whose} is signed by nobody in the given bundle"))
        }
        CertificateError::NotValidForNameContext { .. } | CertificateError::NotValidForName => {
            (Reason::Untrusted, error.to_string())
        }
        CertificateError::Other(other) if other.to_string().contains("UnsupportedCertVersion") => {
            (Reason::Untrusted, format!("the {whose} is of X.509 version 1, where version 3 is needed"))
        }
        other => (Reason::Untrusted, format!("the {whose}: {other:?}")),
    }
}

fn at(time: UnixTime) -> String {
    i64::try_from(time.as_secs())
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| format!("{} s after 1970", time.as_secs()), |time| time.to_string())
}

/// The name of an algorithm, given as the content of a DER `AlgorithmIdentifier` or as the bare identifier.
fn algorithm(id: &[u8]) -> String {
    const NAMES: [(&[u8], &str); 8] = [
        (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04], "ECDSA with SHA-512"),
        (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03], "ECDSA with SHA-384"),
        (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02], "ECDSA with SHA-256"),
        (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01], "ECDSA with SHA-1"),
        (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05], "RSA with SHA-1"),
        (&[0x2b, 0x81, 0x04, 0x00, 0x23], "ECDSA P-521"),
        (&[0x2b, 0x81, 0x04, 0x00, 0x0a], "ECDSA secp256k1"),
        (&[0x2b, 0x65, 0x71], "Ed448"),
    ];
    let named = NAMES.iter().find(|(bytes, _)| id.windows(bytes.len()).any(|window| window == *bytes));
    named.map_or_else(|| format!("the algorithm with DER {id:02x?}"), |(_, name)| (*name).to_owned())
}
