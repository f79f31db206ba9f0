//! A name server for the pods of a node, which knows the few names that it is told.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket as StdUdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::PTR;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::namespaces::in_network_of;

/// Names without a final dot, with their addresses.
pub(super) type Zone = Arc<Mutex<BTreeMap<String, Ipv4Addr>>>;

/// The name server. Ends when dropped.
#[derive(Debug)]
pub(super) struct NameServer(JoinHandle<()>);

impl NameServer {
    /// `init` is the node's PID 1.
    pub(super) fn start(init: u32, address: SocketAddr, zone: Zone) -> Result<Self> {
        let socket = in_network_of(init, || {
            let socket = StdUdpSocket::bind(address)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        let socket = UdpSocket::from_std(socket.context("cannot serve names on the node")?)?;
        Ok(Self(tokio::spawn(async move {
            let mut buffer = [0; 1500];
            loop {
                let Ok((length, client)) = socket.recv_from(&mut buffer).await else { continue };
                if let Some(answer) = answer(&buffer[..length], &zone) {
                    let _ = socket.send_to(&answer, client).await;
                }
            }
        })))
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn answer(question: &[u8], zone: &Zone) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).ok()?;
    let query = question.queries.first()?.clone();
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    let data = {
        let zone = zone.lock().unwrap_or_else(PoisonError::into_inner);
        lookup(&zone, query.name(), query.query_type())
    };
    match data {
        None => answer.metadata.response_code = ResponseCode::NXDomain,
        Some(data) => {
            answer.add_answers(data.into_iter().map(|it| Record::from_rdata(query.name().clone(), 60, it)));
        }
    }
    answer.add_query(query);
    answer.to_vec().ok()
}

/// What the name has of the wanted type; `None` when there is no such name.
fn lookup(zone: &BTreeMap<String, Ipv4Addr>, name: &Name, wanted: RecordType) -> Option<Vec<RData>> {
    let text = name.to_ascii().trim_end_matches('.').to_ascii_lowercase();
    let data = if let Some(address) = zone.get(&text) {
        RData::A((*address).into())
    } else {
        let (known, _) = zone.iter().find(|(_, address)| reversed(**address) == text)?;
        RData::PTR(PTR(Name::from_ascii(format!("{known}.")).ok()?))
    };
    Some(if data.record_type() == wanted { vec![data] } else { Vec::new() })
}

fn reversed(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("{d}.{c}.{b}.{a}.in-addr.arpa")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_names_and_addresses() {
        let zone = BTreeMap::from([("api.example".to_owned(), Ipv4Addr::new(10, 96, 0, 1))]);
        let ask = |name: &str, kind| lookup(&zone, &Name::from_ascii(name).unwrap(), kind);
        let address = RData::A(Ipv4Addr::new(10, 96, 0, 1).into());
        assert_eq!(ask("API.example.", RecordType::A), Some(vec![address]));
        assert_eq!(ask("api.example.", RecordType::AAAA), Some(Vec::new()));
        let name = RData::PTR(PTR(Name::from_ascii("api.example.").unwrap()));
        assert_eq!(ask("1.0.96.10.in-addr.arpa.", RecordType::PTR), Some(vec![name]));
        assert_eq!(ask("other.example.", RecordType::A), None);
    }
}
