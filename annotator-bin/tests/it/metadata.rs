//! The client for metadata services against loopback servers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use node_annotator::node::network::MetadataClient;
use node_annotator_core::BoxFuture;
use node_annotator_core::context::{
    HttpClient, HttpError, HttpMethod, HttpRequest, HttpResponse, ResolveError, Resolver, Unconnected,
};
use node_annotator_core::error::chain;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::Instant;

use crate::process::{run, stderr, stdout, stock};

/// Answers every connection with these bytes and leaves it open; tells what it was asked.
async fn serve(answer: &'static [u8]) -> (SocketAddr, UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, questions) = unbounded_channel();
    tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut received = Vec::new();
            while !received.ends_with(b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "the client went away");
            }
            asked.send(String::from_utf8(received).unwrap()).unwrap();
            stream.write_all(answer).await.unwrap();
            open.push(stream);
        }
    });
    (address, questions)
}

async fn send(request: HttpRequest) -> Result<HttpResponse, HttpError> {
    MetadataClient::new(Arc::new(Unconnected("no DNS here"))).send(request).await
}

async fn get(address: SocketAddr) -> Result<HttpResponse, HttpError> {
    send(HttpRequest::get(format!("http://{address}/v1.json"))).await
}

#[tokio::test]
async fn a_request_is_sent_as_given() {
    let (address, mut questions) = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\ntoken").await;
    let request = HttpRequest {
        method: HttpMethod::Put,
        headers: vec![("x-token-ttl", "60".to_owned())],
        ..HttpRequest::get(format!("http://{address}/latest/token?a=b"))
    };
    let answer = send(request).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"token"[..]));
    let question = questions.recv().await.unwrap();
    assert!(question.starts_with("PUT /latest/token?a=b HTTP/1.1\r\n"), "{question}");
    assert!(question.contains(&format!("host: {address}\r\n")), "{question}");
    assert!(question.contains("x-token-ttl: 60\r\n"), "{question}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let redirect = b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n";
    let (address, mut questions) = serve(redirect).await;
    assert_eq!(get(address).await.unwrap().status, 302);
    assert!(questions.recv().await.is_some() && questions.is_empty());
}

#[tokio::test]
async fn a_body_has_a_bound_whether_its_length_is_told_or_not() {
    let told: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789";
    let chunked: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n";
    for answer in [told, chunked] {
        let (address, _questions) = serve(answer).await;
        let bounded =
            |max_body_bytes| HttpRequest { max_body_bytes, ..HttpRequest::get(format!("http://{address}/")) };
        assert_eq!(send(bounded(10)).await.unwrap().body, b"0123456789");
        let error = send(bounded(9)).await.unwrap_err();
        assert!(matches!(error, HttpError::TooLong { limit: 9 }), "{error:?}");
    }
}

#[tokio::test]
async fn silence_and_dripping_end_at_the_timeout() {
    let answers: [&[u8]; 2] = [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123"];
    for answer in answers {
        let (address, _questions) = serve(answer).await;
        let timeout = Duration::from_millis(300);
        let started = Instant::now();
        let error = send(HttpRequest { timeout, ..HttpRequest::get(format!("http://{address}/")) }).await;
        assert!(matches!(error, Err(HttpError::Timeout)), "{error:?}");
        assert!((timeout..timeout * 10).contains(&started.elapsed()));
    }
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = get(address).await.unwrap_err();
    assert!(matches!(error, HttpError::Connect(_) | HttpError::Timeout), "{error:?}");
    let text = node_annotator_core::error::chain(&error);
    assert!(
        text.starts_with("cannot connect") && text.ends_with("Connection refused (os error 111)"),
        "{text}"
    );
    assert!(
        !text.contains(&address.port().to_string()),
        "a port in a text that is written on the Node: {text}"
    );
}

/// A listener whose queue is full answers no further handshake, like a firewall that drops packets.
#[tokio::test]
async fn a_connection_that_does_not_come_about_ends_at_its_own_timeout() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(100), tokio::net::TcpStream::connect(address)).await
    {
        queue.push(stream);
        assert!(queue.len() < 100, "the queue is never full");
    }
    let started = Instant::now();
    let connect_timeout = Duration::from_millis(200);
    let request = HttpRequest { connect_timeout, ..HttpRequest::get(format!("http://{address}/")) };
    let error = send(request).await.unwrap_err();
    assert!(matches!(error, HttpError::Connect(_) | HttpError::Timeout), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test]
async fn what_is_no_http_is_broken_and_not_unreachable() {
    let (address, _questions) = serve(b"SSH-2.0-OpenSSH_9.9\r\n\r\n").await;
    let error = get(address).await.unwrap_err();
    assert!(matches!(error, HttpError::Broken(_)), "{error:?}");
    assert_eq!(chain(&error), "the connection broke: invalid HTTP version parsed");
}

#[tokio::test]
async fn only_plain_http_addresses_are_taken() {
    for url in [
        "https://127.0.0.1/",
        "ftp://127.0.0.1/",
        "127.0.0.1",
        "/v1.json",
        "http://",
        "http:///x",
        "",
        "http://a b/",
    ] {
        let error = send(HttpRequest::get(url)).await.unwrap_err();
        assert!(matches!(&error, HttpError::Address { url: told } if told == url), "{url}: {error:?}");
    }
}

#[derive(Debug)]
struct Names;

impl Resolver for Names {
    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>> {
        let known = name == "metadata.test.";
        Box::pin(async move { Ok(known.then(|| IpAddr::from([127, 0, 0, 1])).into_iter().collect()) })
    }

    fn names(&self, _: IpAddr) -> BoxFuture<'_, Result<Vec<String>, ResolveError>> {
        unreachable!("HTTP asks for addresses")
    }
}

#[tokio::test]
async fn names_go_through_the_resolver_of_the_context() {
    let (address, _questions) = serve(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let client = MetadataClient::new(Arc::new(Names));
    let get = |name: &str| client.send(HttpRequest::get(format!("http://{name}:{}/", address.port())));
    assert_eq!(get("metadata.test.").await.unwrap().status, 204);
    for name in ["other.test.", "localhost"] {
        assert!(matches!(get(name).await.unwrap_err(), HttpError::Connect(_)));
    }
    let error = send(HttpRequest::get("http://metadata.test./")).await.unwrap_err();
    assert_eq!(chain(&error), "cannot connect: dns error: no resolver: no DNS here");
}

/// A proxy would answer for another machine.
#[tokio::test]
async fn proxy_variables_are_not_read() {
    let body =
        br#"{"droplet_id": 7, "interfaces": {"public": [{"anchor_ipv4": {"ip_address": "10.17.0.9"}}]}}"#;
    let answer = [b"HTTP/1.1 200 OK\r\ncontent-length: 91\r\n\r\n", &body[..]].concat();
    assert_eq!(body.len(), 91);
    let (address, mut questions) = serve(answer.leak()).await;
    let output = tokio::task::spawn_blocking(move || {
        let mut command = stock();
        for variable in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env(variable, "http://127.0.0.1:9");
        }
        command.args(["--dry-run", "--collectors", "digital-ocean-anchor-ip"]);
        run(command.env("DIGITAL_OCEAN_METADATA_URL", format!("http://{address}/v1.json")))
    });
    let output = output.await.unwrap();
    assert!(stdout(&output).contains("10.17.0.9"), "{}{}", stdout(&output), stderr(&output));
    assert!(questions.recv().await.unwrap().starts_with("GET /v1.json HTTP/1.1\r\n"));
}
