//! Certificates and keys of servers and of our own: what is accepted, and what is said of the rest.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use insta::assert_snapshot;
use kube::Config;
use node_annotator::cluster::{self, ClusterError, Reason};
use node_annotator::trouble::Trouble;
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::api::stored;
use crate::connection::publish_with;
use crate::process::Pod;
use crate::publishing::{plan, reason, told};

const SHORT: Duration = Duration::from_millis(700);

const LEAF_KEY: &[u8] = include_bytes!("certificates/leaf.key");

/// A certificate and its key.
struct Identity {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

fn identity(authority: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
    parameters.distinguished_name.push(DnType::OrganizationName, authority);
    change(&mut parameters);
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap().der().to_vec();
    Identity { certificate, key: key.serialize_der() }
}

fn from_pem(certificate: &[u8]) -> Vec<u8> {
    CertificateDer::from_pem_slice(certificate).unwrap().to_vec()
}

/// An API server with TLS, and with this certificate; it wants one of the authority `clients` from its
/// clients.
fn serve_tls(identity: &Identity, clients: Option<&[u8]>) -> u16 {
    serve_answers(identity, clients, usize::MAX)
}

/// The same, which goes away without a word after so many bytes of its answer.
fn serve_answers(identity: &Identity, clients: Option<&[u8]>, bytes: usize) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from(authority.to_vec())).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let certificate = CertificateDer::from(identity.certificate.clone());
    let key = PrivateKeyDer::try_from(identity.key.clone()).unwrap();
    let config = Arc::new(config.with_single_cert(vec![certificate], key).unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            let mut received = vec![0; 64 * 1024];
            let mut length = 0;
            // A client without trust goes away.
            while let Ok(more @ 1..) = stream.read(&mut received[length..]) {
                length += more;
                if received[..length].ends_with(b"}}}") {
                    let body = stored(&plan().patch()).to_string();
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                    let answer = head + &body;
                    stream.write_all(&answer.as_bytes()[..bytes.min(answer.len())]).unwrap();
                    if bytes < answer.len() {
                        break;
                    }
                }
            }
        }
    });
    port
}

fn trusting(port: u16, authority: &[u8]) -> Config {
    let mut config = Config::new(format!("https://localhost:{port}").parse().unwrap());
    config.root_cert = Some(vec![authority.to_vec()]);
    config
}

#[tokio::test]
async fn a_certificate_of_the_given_authority_is_trusted_and_no_other() {
    let ours = identity("ours", |_| {});
    let port = serve_tls(&ours, None);
    let published = publish_with(trusting(port, &ours.certificate), Duration::from_secs(20)).await;
    assert_eq!(published.unwrap().resource_version, "42");

    let other = identity("theirs", |_| {}).certificate;
    let stranger = publish_with(trusting(port, &other), SHORT).await.unwrap_err();
    let mut misnamed = trusting(port, &ours.certificate);
    misnamed.cluster_url = format!("https://127.0.0.1:{port}").parse().unwrap();
    let misnamed = publish_with(misnamed, SHORT).await.unwrap_err();
    for error in [&stranger, &misnamed] {
        assert_eq!(reason(error), Some(Reason::Untrusted));
    }
    let stranger = stranger.trouble("worker-1").what;
    assert_snapshot!(format!("{stranger}\n{}", told(&misnamed)).replace(&port.to_string(), "PORT"), @r#"
    cannot trust the API server: the certificate of the API server is signed by nobody in the given bundle
    cannot trust the API server: certificate not valid for name "127.0.0.1"; certificate is only valid for DnsName("localhost")
    hint: does `certificate-authority` of the kubeconfig, or the pod's ca.crt, belong to this API server, and is it addressed by a name that its certificate has?
    "#);
}

#[tokio::test]
async fn a_server_that_goes_away_is_told_without_a_link_to_the_documentation_of_others() {
    let ours = identity("ours", |_| {});
    for bytes in [0, 60] {
        let port = serve_answers(&ours, None, bytes);
        let error = publish_with(trusting(port, &ours.certificate), SHORT).await.unwrap_err();
        let told = told(&error);
        assert!(told.contains("the connection to the API server broke: peer closed connection"), "{told}");
        assert!(!told.contains("://"), "{told}");
    }
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_with_both_times() {
    let late = identity("late", |parameters| parameters.not_after = date_time_ymd(2020, 1, 2));
    let early = identity("early", |parameters| parameters.not_before = date_time_ymd(2095, 1, 2));
    let mut all = Vec::new();
    for identity in [late, early] {
        let port = serve_tls(&identity, None);
        let error = publish_with(trusting(port, &identity.certificate), SHORT).await.unwrap_err();
        assert_eq!(reason(&error), Some(Reason::Clock), "{error:?}");
        let told = told(&error);
        let (before, now) = told.split_once("here it is ").unwrap();
        assert!(now.starts_with("20"), "{now}");
        all.push(format!("{before}...{}", &now[now.find('\n').unwrap()..]));
    }
    assert_snapshot!(all.join("\n"), @r#"
    cannot trust the API server now: the certificate of the API server was valid until 2020-01-02T00:00:00Z, and ...
    hint: if this machine's clock is wrong, set it (is NTP running?); else a certificate has to be renewed, the API server's or its authority's
    cannot trust the API server now: the certificate of the API server is valid from 2095-01-02T00:00:00Z on, and ...
    hint: if this machine's clock is wrong, set it (is NTP running?); else a certificate has to be renewed, the API server's or its authority's
    "#);
}

#[tokio::test]
async fn what_cannot_be_checked_is_named() {
    let mut all = Vec::new();
    for (leaf, authority) in [
        (&include_bytes!("certificates/leaf256.pem")[..], &include_bytes!("certificates/ca256.pem")[..]),
        (include_bytes!("certificates/leaf521.pem"), include_bytes!("certificates/ca521.pem")),
    ] {
        let key = PrivateKeyDer::from_pem_slice(LEAF_KEY).unwrap().secret_der().to_vec();
        let port = serve_tls(&Identity { certificate: from_pem(leaf), key }, None);
        let error = publish_with(trusting(port, &from_pem(authority)), SHORT).await.unwrap_err();
        assert_eq!(reason(&error), Some(Reason::Algorithm), "{error:?}");
        all.push(told(&error));
    }
    assert_snapshot!(all.join("\n"), @r#"
    the API server's certificate is of a kind that cannot be checked: the certificate of the API server is signed with ECDSA with SHA-512
    hint: keys may be RSA, Ed25519 and ECDSA on P-256 or P-384, signatures RSA, Ed25519 and ECDSA with SHA-256 or SHA-384: give the API server, or its authority, such a certificate
    the API server's certificate is of a kind that cannot be checked: the certificate of the API server is signed with ECDSA with SHA-512
    hint: keys may be RSA, Ed25519 and ECDSA on P-256 or P-384, signatures RSA, Ed25519 and ECDSA with SHA-256 or SHA-384: give the API server, or its authority, such a certificate
    "#);
}

/// As a server does that has none but a key on P-521.
#[tokio::test]
async fn a_server_without_a_key_that_we_know_is_told_what_we_know() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            // The fatal alert `handshake_failure`.
            let _ = stream.write_all(&[0x15, 3, 3, 0, 2, 2, 40]);
        }
    });
    let authority = identity("ours", |_| {}).certificate;
    let error = publish_with(trusting(port, &authority), SHORT).await.unwrap_err();
    assert_eq!(reason(&error), Some(Reason::Algorithm), "{error:?}");
    assert_snapshot!(told(&error), @r#"
    the API server's certificate is of a kind that cannot be checked: it answers HandshakeFailure to what we offer: TLS 1.2 or 1.3, RSA, Ed25519 and ECDSA on P-256 or P-384
    hint: keys may be RSA, Ed25519 and ECDSA on P-256 or P-384, signatures RSA, Ed25519 and ECDSA with SHA-256 or SHA-384: give the API server, or its authority, such a certificate
    "#);
}

/// A kubeconfig with this client certificate and key.
async fn with_client_certificate(
    port: u16,
    server: &[u8],
    certificate: &str,
    key: &str,
) -> Result<Config, ClusterError> {
    let pod = Pod::new();
    std::fs::write(pod.path("client.pem"), certificate).unwrap();
    std::fs::write(pod.path("client.key"), key).unwrap();
    let authority = pem("CERTIFICATE", server);
    std::fs::write(pod.path("ca.pem"), authority).unwrap();
    let text = format!(
        "{{current-context: c, contexts: [{{name: c, context: {{cluster: c, user: u}}}}], clusters: [{{name: c, cluster: \
         {{server: 'https://localhost:{port}', certificate-authority: ca.pem}}}}], users: [{{name: u, user: \
         {{client-certificate: client.pem, client-key: client.key}}}}]}}"
    );
    std::fs::write(pod.path("kubeconfig"), text).unwrap();
    let config = cluster::configuration(Some(&pod.path("kubeconfig")), "node-annotator/test").await?;
    // The files are read when the client is made.
    cluster::client(config.clone())?;
    Ok(config)
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

#[tokio::test]
async fn our_own_certificate_is_not_taken_for_the_servers() {
    let server = identity("server", |_| {});
    let port = serve_tls(&server, Some(&identity("clients", |_| {}).certificate));
    let stranger = identity("stranger", |_| {});
    let (certificate, key) = (pem("CERTIFICATE", &stranger.certificate), pem("PRIVATE KEY", &stranger.key));
    let leaf_key = std::str::from_utf8(LEAF_KEY).unwrap();
    let mut all = Vec::new();
    for (certificate, key) in [
        (include_str!("certificates/version1.pem"), leaf_key),
        (certificate.as_str(), leaf_key),
        (certificate.as_str(), "nothing"),
        ("nothing", key.as_str()),
    ] {
        let error = with_client_certificate(port, &server.certificate, certificate, key).await.unwrap_err();
        assert_eq!(error.reason(), Reason::ClientCertificate, "{error:?}");
        all.push(Trouble::from(error).to_string());
    }
    let error = publish_with(trusting(port, &server.certificate), SHORT).await.unwrap_err();
    all.push(told(&error));
    assert_snapshot!(all.join("\n"), @r#"
    our own certificate does not serve: the client certificate is of X.509 version 1, where version 3 is needed
    hint: it is the kubeconfig's `client-certificate` with its `client-key`, not the API server's: make it anew, signed by the authority that the API server trusts for clients
    our own certificate does not serve: client certificate and client key do not belong together
    hint: it is the kubeconfig's `client-certificate` with its `client-key`, not the API server's: make it anew, signed by the authority that the API server trusts for clients
    our own certificate does not serve: there is no client key in PEM (PKCS#8, PKCS#1 or SEC1)
    hint: it is the kubeconfig's `client-certificate` with its `client-key`, not the API server's: make it anew, signed by the authority that the API server trusts for clients
    our own certificate does not serve: there is no client certificate in PEM
    hint: it is the kubeconfig's `client-certificate` with its `client-key`, not the API server's: make it anew, signed by the authority that the API server trusts for clients
    our own certificate does not serve: it answers CertificateRequired
    hint: it is the kubeconfig's `client-certificate` with its `client-key`, not the API server's: make it anew, signed by the authority that the API server trusts for clients
    "#);
}
