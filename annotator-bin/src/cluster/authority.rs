//! The certificates of the authority that signed the API server's, from a bundle in PEM.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tracing::warn;

/// The usable certificates of a bundle. As with kubectl, what is no certificate, or one that cannot be read,
/// is left out, as long as one remains.
pub(super) fn certificates(bundle: &[u8]) -> Result<Vec<Vec<u8>>, Unusable> {
    let mut usable = Vec::new();
    let mut unreadable = 0_u32;
    for certificate in CertificateDer::pem_slice_iter(bundle) {
        match certificate {
            Ok(certificate) if RootCertStore::empty().add(certificate.clone()).is_ok() => {
                usable.push(certificate.to_vec());
            }
            _ => unreadable += 1,
        }
    }
    match (usable.is_empty(), unreadable) {
        (false, 0) => {}
        (false, _) => {
            warn!(unreadable, usable = usable.len(), "certificates of the authority's bundle cannot be read");
        }
        (true, 1..) => return Err(Unusable("no certificate in it can be read")),
        (true, 0) if bundle.windows(TRUSTED.len()).any(|window| window == TRUSTED) => {
            return Err(Unusable(
                "it has `TRUSTED CERTIFICATE`, which is OpenSSL's own form: `openssl x509 -in FILE -out FILE` makes a \
                 `CERTIFICATE` of it",
            ));
        }
        (true, 0) => return Err(Unusable("there is no `BEGIN CERTIFICATE` in it")),
    }
    Ok(usable)
}

const TRUSTED: &[u8] = b"BEGIN TRUSTED CERTIFICATE";

/// Nothing in the bundle can be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unusable(&'static str);

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the authority's certificates cannot be used: {}", self.0)
    }
}

impl std::error::Error for Unusable {}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn certificate() -> String {
        CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let (first, second) = (certificate(), certificate());
        let no_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let no_base64 = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
        let trusted = first.replace("CERTIFICATE", "TRUSTED CERTIFICATE");
        for odd in [no_der, no_base64, trusted.as_str(), "# comment\n", "\r\n"] {
            let read = certificates(format!("{first}{odd}{second}").as_bytes()).unwrap();
            assert_eq!(read.len(), 2, "{odd}");
        }
        let why = |bundle: &str| certificates(bundle.as_bytes()).unwrap_err().0;
        assert!(why(&trusted).contains("openssl x509"));
        assert!(why(no_der).contains("no certificate in it can be read"));
        assert!(why("").contains("no `BEGIN CERTIFICATE`"));
    }
}
