//! The least that a program can do to write on a Node: one TLS handshake and one PATCH, over the TLS stack
//! of the binary.
//!
//! It knows no kubeconfig, no collector, no retry and no runtime. `cargo xtask bench` holds the binary
//! against it.
//!
//! ```text
//! floor ADDRESS SERVER-NAME CA-FILE TOKEN-FILE NODE BODY-FILE
//! ```

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, server_name, authority, token, node, body] = &arguments[..] else {
        return Err("six arguments are needed".into());
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), ServerName::try_from(server_name.clone())?)?;
    let socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    let mut stream = StreamOwned::new(connection, socket);

    let (token, body) = (std::fs::read_to_string(token)?, std::fs::read(body)?);
    let mut request = format!(
        "PATCH /api/v1/nodes/{node}?fieldManager=node-annotator HTTP/1.1\r\n\
         host: {address}\r\n\
         user-agent: node-annotator-floor\r\n\
         authorization: Bearer {token}\r\n\
         accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1\r\n\
         content-type: application/merge-patch+json\r\n\
         content-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(body);
    stream.write_all(&request)?;
    let mut answer = Vec::new();
    // The API server closes the connection, as it was asked to; not all versions say so in TLS first.
    let closed = stream.read_to_end(&mut answer);
    if !answer.starts_with(b"HTTP/1.1 200") {
        closed?;
        return Err(String::from_utf8_lossy(&answer).into());
    }
    Ok(())
}
