//! The publisher against listeners on loopback that are no API server, or one that cannot be trusted.

use std::future::pending;
use std::time::Duration;

use insta::assert_snapshot;
use kube::Config;
use node_annotator::cluster::{self, Reason};
use node_annotator::node::publish::{Patience, PublishError, Published, publish};
use node_annotator::process::stop::channel;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::publishing::{plan, reason, told};

/// The outcome with this configuration, within this time.
pub(crate) async fn publish_with(config: Config, budget: Duration) -> Result<Published, PublishError> {
    let client = cluster::client(config).unwrap();
    publish(client, "worker-1", &plan(), Instant::now() + budget, Patience::None, &channel().1).await
}

async fn publish_to(address: &str, budget: Duration) -> Result<Published, PublishError> {
    publish_with(Config::new(address.parse().unwrap()), budget).await
}

/// A listener that does this with each connection.
pub(crate) async fn listen<F: Future<Output = ()> + Send>(
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

/// Reads the head and the body of one request.
pub(crate) async fn read_request(stream: &mut TcpStream) -> String {
    let mut received = Vec::new();
    while !received.ends_with(b"}}}") {
        assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "the client went away");
    }
    String::from_utf8(received).unwrap()
}

const SHORT: Duration = Duration::from_millis(700);

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = publish_to(&address, SHORT).await.unwrap_err();
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
    let error = publish_to(&format!("http://{address}"), Duration::from_secs(12)).await.unwrap_err();
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
    let error = publish_to(&format!("https://{address}"), Duration::from_secs(7)).await.unwrap_err();
    assert_snapshot!(told(&error), @r#"
    node `worker-1` could not be written before the deadline: the API server does not answer: connecting timed out
    hint: a firewall or NetworkPolicy drops the packets, or a load balancer has no API server behind it
    "#);
}

#[tokio::test]
async fn the_connection_breaks_before_the_answer() {
    let address = listen(|mut stream| async move { drop(read_request(&mut stream).await) }).await;
    let error = publish_to(&format!("http://{address}"), SHORT).await.unwrap_err();
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
    let error = publish_to(&format!("http://{address}"), SHORT).await.unwrap_err();
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
        let error = publish_to(&format!("{scheme}://{address}"), SHORT).await.unwrap_err();
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

#[tokio::test]
async fn an_answer_without_an_end_is_cut() {
    let mut all = Vec::new();
    for code in ["200 OK", "403 Forbidden", "500 Internal Server Error"] {
        let address = listen(move |mut stream| async move {
            read_request(&mut stream).await;
            let head = format!("HTTP/1.1 {code}\r\ncontent-type: application/json\r\n\r\n");
            let mut written = stream.write_all(head.as_bytes()).await;
            while written.is_ok() {
                written = stream.write_all(&[b'x'; 8 * 1024]).await;
            }
        })
        .await;
        let error = publish_to(&format!("http://{address}"), Duration::from_secs(20)).await.unwrap_err();
        assert_eq!(reason(&error), Some(Reason::TooLong), "{error:?}");
        all.push(told(&error));
    }
    all.dedup();
    assert_snapshot!(all.join("\n"), @r#"
    the API server's answer is too long: more than 4 MiB
    hint: no API server answers that much to one request of ours: what stands before it, a proxy, portal or load balancer, sends something else
    "#);
}

#[tokio::test]
async fn header_lines_without_an_end_are_cut() {
    let address = listen(|mut stream| async move {
        read_request(&mut stream).await;
        let mut written = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while written.is_ok() {
            written = stream.write_all(format!("x-long: {}\r\n", "x".repeat(8 * 1024)).as_bytes()).await;
        }
    })
    .await;
    let error = publish_to(&format!("http://{address}"), Duration::from_secs(20)).await.unwrap_err();
    assert_eq!(reason(&error), Some(Reason::Foreign), "{error:?}");
    assert_snapshot!(told(&error), @r#"
    what answers is no API server: message head is too large
    hint: another service, a proxy or a port without TLS answers there: see KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, or the kubeconfig
    "#);
}
