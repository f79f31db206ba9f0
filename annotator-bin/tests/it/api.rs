//! An API server for one Node, on loopback and in the clear: it stores merge patches as the real one does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::{Value, json};

use crate::process::PATIENCE;

/// A request as it came over the wire.
#[derive(Debug)]
pub(crate) struct Received {
    /// Method, target and version.
    pub(crate) line: String,
    /// Header lines, in lower case.
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

/// What to do with a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    /// Store the patch and say so.
    Store,
    /// Answer with this status.
    Status(u16),
    /// Answer once [`FakeApi::release`] is called.
    Hold,
}

#[derive(Debug)]
pub(crate) struct FakeApi {
    pub(crate) address: SocketAddr,
    received: Receiver<Received>,
    release: Sender<()>,
}

impl FakeApi {
    /// Serves one connection after the other; the last answer holds for all further requests.
    pub(crate) fn start(answers: &'static [Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let ((send, received), (release, released)) = (channel(), channel());
        std::thread::spawn(move || {
            let mut answers = answers.iter().copied();
            let mut answer = Answer::Store;
            for stream in listener.incoming() {
                answer = answers.next().unwrap_or(answer);
                serve(&stream.expect("a connection"), answer, &send, &released);
            }
        });
        Self { address, received, release }
    }

    pub(crate) fn next_request(&self) -> Received {
        self.received.recv_timeout(PATIENCE).expect("a request")
    }

    pub(crate) fn further_requests(&self) -> usize {
        self.received.try_iter().count()
    }

    pub(crate) fn release(&self) {
        self.release.send(()).expect("a server that waits");
    }
}

fn serve(stream: &TcpStream, answer: Answer, send: &Sender<Received>, released: &Receiver<()>) {
    let mut lines = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).unwrap_or_default() == 0 {
            return;
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let headers: Vec<_> = head[1..].iter().map(|line| line.to_lowercase()).collect();
    let length = headers.iter().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
    lines.read_exact(&mut body).expect("a body");
    let body = String::from_utf8(body).expect("text");
    let patch: Value = serde_json::from_str(&body).expect("JSON");
    let _ = send.send(Received { line: head[0].clone(), headers, body });
    let (code, answer) = match answer {
        Answer::Store => (200, stored(&patch)),
        Answer::Status(code) => (code, status(code, "as the test wants it")),
        Answer::Hold => {
            let _ = released.recv_timeout(PATIENCE);
            (200, stored(&patch))
        }
    };
    let answer = answer.to_string();
    let head =
        format!("HTTP/1.1 {code} As Such\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
    let mut stream = stream;
    // A client that has gone away does not want it.
    let _ = stream.write_all((head + &answer).as_bytes());
}

/// The metadata of a Node on which nothing else was, after this patch.
pub(crate) fn stored(patch: &Value) -> Value {
    let set = |kind: &str| {
        let mut values = patch["metadata"][kind].as_object().cloned().unwrap_or_default();
        values.retain(|_, value| !value.is_null());
        values
    };
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {
            "name": "worker-1",
            "resourceVersion": "42",
            "annotations": set("annotations"),
            "labels": set("labels"),
        },
    })
}

/// A failure as the API server words it.
pub(crate) fn status(code: u16, message: &str) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": "Test",
        "code": code,
    })
}
