//! The collectors of clouds, in the binary as it is shipped, against servers on loopback that are as strict
//! as the metadata services.

use std::fmt::Write as _;
use std::sync::Arc;

use node_annotator_core::context::HttpRequest;
use node_annotator_testing::{Protocol, SECRET, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::process::{run, stderr, stdout, stock};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../collectors/fixtures");

/// A collector, the variable of its service, the machine and its protocol, and its primary fact there.
const CLOUDS: [(&str, &str, &str, Protocol, &str); 10] = [
    ("aws", "AWS_METADATA_URL", "ec2-spot", Protocol::AWS, "spot"),
    ("azure", "AZURE_METADATA_URL", "azure-spot", Protocol::AZURE, "Spot"),
    ("digital-ocean", "DIGITAL_OCEAN_METADATA_URL", "droplet", Protocol::OPEN, "289794365"),
    ("gcp", "GCP_METADATA_URL", "gce", Protocol::GCP, "SPOT"),
    ("hetzner", "HETZNER_METADATA_URL", "hetzner", Protocol::OPEN, "52437581"),
    ("linode", "LINODE_METADATA_URL", "linode", Protocol::LINODE, "58123456"),
    (
        "openstack",
        "OPENSTACK_METADATA_URL",
        "openstack",
        Protocol::OPEN,
        "83679162-1378-4288-a2d4-70e13ec132aa",
    ),
    ("oracle", "ORACLE_METADATA_URL", "oci-flex", Protocol::ORACLE, "FAULT-DOMAIN-2"),
    ("scaleway", "SCALEWAY_METADATA_URL", "scaleway", Protocol::OPEN, "3a8f0e2d-7c31-4b59-9d0e-5b6f0c1a2e47"),
    ("vultr", "VULTR_METADATA_URL", "vultr", Protocol::OPEN, "29bea708-2e6e-480a-90ad-0e6b5d5ad62f"),
];

/// Answers one request as the service does, and closes the connection.
async fn answer(service: &Service, mut stream: TcpStream) {
    let mut received = Vec::new();
    while !received.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut received).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let text = String::from_utf8(received).unwrap();
    let mut lines = text.lines();
    let mut first = lines.next().unwrap().split(' ');
    let (method, path) = (first.next().unwrap(), first.next().unwrap());
    let url = format!("http://127.0.0.1{path}");
    let request = if method == "PUT" { HttpRequest::put(url) } else { HttpRequest::get(url) };
    let fields = lines.filter_map(|line| line.split_once(": "));
    let request = fields.fold(request, |request, (name, value)| {
        // Names live as long as the program; a test has few.
        request.with_header(name.to_owned().leak(), value)
    });
    let response = service.answer(&request, 0).unwrap();
    let mut head =
        format!("HTTP/1.1 {} Status\r\ncontent-length: {}\r\n", response.status, response.body.len());
    for (name, value) in &response.headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    let answer = [head.as_bytes(), b"connection: close\r\n\r\n", &response.body].concat();
    stream.write_all(&answer).await.unwrap();
}

#[tokio::test]
async fn each_cloud_is_read_over_a_connection() {
    for (collector, variable, machine, protocol, primary) in CLOUDS {
        let service =
            Arc::new(Service::of_folder(format!("{FIXTURES}/{machine}.metadata")).keeping(protocol));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let path = if collector == "digital-ocean" { "/metadata/v1.json" } else { "" };
        let url = format!("http://{}{path}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                answer(&service, stream).await;
            }
        });
        let output = tokio::task::spawn_blocking(move || {
            let mut command = stock();
            command.args(["--dry-run", "-o", "json", "--collectors", collector]);
            run(command.env(variable, url))
        });
        let output = output.await.unwrap();
        server.abort();
        let (out, log) = (stdout(&output), stderr(&output));
        assert!(
            out.contains(&format!("\"k8s.haim.dev/{collector}\": \"{primary}\"")),
            "{collector}: {out}{log}"
        );
        assert!(!out.contains(SECRET) && !log.contains(SECRET), "{collector}: {out}{log}");
    }
}
