//! The publisher against listeners on loopback that are no API server, or one that cannot be trusted.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use insta::assert_snapshot;
use kube::Config;
use node_annotator::cluster::{self, Reason};
use node_annotator::node::publish::{PublishError, Published, publish};
use node_annotator::process::stop::channel;
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::api::stored;
use crate::publishing::{plan, reason, told};

async fn publish_to(
    address: &str,
    roots: Option<Vec<Vec<u8>>>,
    budget: Duration,
) -> Result<Published, PublishError> {
    let mut config = Config::new(address.parse().unwrap());
    config.root_cert = roots;
    let client = cluster::client(config).unwrap();
    publish(client, "worker-1", &plan(), Instant::now() + budget, &channel().1).await
}

/// A listener that does this with each connection.
async fn listen<F: Future<Output = ()> + Send>(
    serve: impl Fn(TcpStream) -> F + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            serve(listener.accept().await.unwrap().0).await;
        }
    });
    address
}

/// Reads the head and the body of the one request that there is.
async fn read_request(stream: &mut TcpStream) {
    let mut received = Vec::new();
    while !received.ends_with(b"}}}") {
        assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "the client went away");
    }
}

const SHORT: Duration = Duration::from_millis(700);

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = publish_to(&address, None, SHORT).await.unwrap_err();
    assert!(matches!(error, PublishError::Deadline(Some(_))), "{error:?}");
    assert_snapshot!(told(&error), @r#"
    node `worker-1` could not be written before the deadline: cannot reach the API server: Connection refused (os error 111)
    hint: is the API server up, and does a NetworkPolicy let the pod reach it? see KUBERNETES_SERVICE_HOST or the kubeconfig
    "#);
}

#[tokio::test]
async fn connected_and_no_answer() {
    let address = listen(|mut stream| async move {
        read_request(&mut stream).await;
        tokio::time::pause();
        pending::<()>().await;
    })
    .await;
    let started = Instant::now();
    let error = publish_to(&format!("http://{address}"), None, Duration::from_secs(12)).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(13));
    assert_snapshot!(told(&error), @r#"
    node `worker-1` could not be written before the deadline: the API server does not answer: connected, but no answer in time
    hint: a firewall or NetworkPolicy drops the packets, or a load balancer has no API server behind it
    "#);
}

#[tokio::test]
async fn connected_and_no_handshake() {
    let address = listen(|stream| async move {
        stream.readable().await.unwrap();
        tokio::time::pause();
        pending::<()>().await;
    })
    .await;
    let error = publish_to(&format!("https://{address}"), None, Duration::from_secs(7)).await.unwrap_err();
    assert_snapshot!(told(&error), @r#"
    node `worker-1` could not be written before the deadline: the API server does not answer: connecting timed out
    hint: a firewall or NetworkPolicy drops the packets, or a load balancer has no API server behind it
    "#);
}

#[tokio::test]
async fn the_connection_breaks_before_the_answer() {
    let address = listen(|mut stream| async move { read_request(&mut stream).await }).await;
    let error = publish_to(&format!("http://{address}"), None, SHORT).await.unwrap_err();
    assert_snapshot!(told(&error), @r#"
    node `worker-1` could not be written before the deadline: the connection to the API server broke: connection closed before message completed
    hint: the API server is restarting, or a proxy or load balancer in between closes the connection
    "#);
}

#[tokio::test]
async fn the_connection_breaks_within_the_answer() {
    let address = listen(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await.unwrap();
    })
    .await;
    let error = publish_to(&format!("http://{address}"), None, SHORT).await.unwrap_err();
    assert_snapshot!(told(&error), @r#"
    node `worker-1` could not be written before the deadline: the connection to the API server broke: end of file before message length reached
    hint: the API server is restarting, or a proxy or load balancer in between closes the connection
    "#);
}

#[tokio::test]
async fn what_answers_is_something_else() {
    let answers: [(&str, &'static [u8]); 4] = [
        ("https", b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"),
        ("https", b"\x00\x01\x02 garbage of another protocol"),
        ("http", b"220 mail.example.com ESMTP\r\n"),
        ("http", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"),
    ];
    let mut all = Vec::new();
    for (scheme, answer) in answers {
        let address = listen(move |mut stream| async move {
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            stream.write_all(answer).await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        let error = publish_to(&format!("{scheme}://{address}"), None, SHORT).await.unwrap_err();
        assert_eq!(reason(&error), Some(Reason::Foreign), "{error:?}");
        all.push(error.trouble("worker-1").what);
    }
    assert_snapshot!(all.join("\n"), @r"
    what answers is no API server: received corrupt message of type InvalidContentType
    what answers is no API server: received corrupt message of type InvalidContentType
    what answers is no API server: invalid HTTP version parsed
    what answers is no API server: expected value at line 1 column 1
    ");
}

/// An API server with TLS, with a certificate of this authority for `localhost`; gives the certificate, too.
fn serve_tls(authority: &str) -> (u16, Vec<u8>) {
    use std::io::{Read, Write};
    let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
    parameters.distinguished_name.push(DnType::OrganizationName, authority);
    let signing_key = KeyPair::generate().unwrap();
    let cert = parameters.self_signed(&signing_key).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let config = Arc::new(config);
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
                    stream.write_all((head + &body).as_bytes()).unwrap();
                }
            }
        }
    });
    (port, cert.der().to_vec())
}

#[tokio::test]
async fn a_certificate_of_the_given_authority_is_trusted_and_no_other() {
    let (port, certificate) = serve_tls("ours");
    let roots = Some(vec![certificate]);
    let address = format!("https://localhost:{port}");
    let published = publish_to(&address, roots.clone(), Duration::from_secs(20)).await;
    assert_eq!(published.unwrap().resource_version, "42");

    let (_, other) = serve_tls("theirs");
    let stranger = publish_to(&address, Some(vec![other]), SHORT).await.unwrap_err();
    let misnamed = publish_to(&format!("https://127.0.0.1:{port}"), roots, SHORT).await.unwrap_err();
    for error in [&stranger, &misnamed] {
        assert_eq!(reason(error), Some(Reason::Untrusted));
    }
    let stranger = stranger.trouble("worker-1").what;
    assert_snapshot!(format!("{stranger}\n{}", told(&misnamed)).replace(&port.to_string(), "PORT"), @r#"
    cannot trust the API server: invalid peer certificate: UnknownIssuer
    cannot trust the API server: invalid peer certificate: certificate not valid for name "127.0.0.1"; certificate is only valid for DnsName("localhost")
    hint: the certificate of the API server is not signed by the given authority, or is made out to another name
    "#);
}
