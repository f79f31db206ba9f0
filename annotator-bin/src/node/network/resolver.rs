//! DNS by hickory-resolver, as /etc/resolv.conf and /etc/hosts say.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::{ResolverBuilder, TokioResolver};
use node_annotator_core::BoxFuture;
use node_annotator_core::context::{ResolveError, Resolver};
use tokio::sync::OnceCell;

/// One question may take two tries of this long.
const TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;

/// The resolver of this machine or pod. Nothing is read before the first question.
#[derive(Debug, Default)]
pub(super) struct SystemResolver(OnceCell<TokioResolver>);

impl SystemResolver {
    async fn resolver(&self) -> Result<&TokioResolver, ResolveError> {
        self.0
            .get_or_try_init(|| async { TokioResolver::builder_tokio().and_then(bounded) })
            .await
            .map_err(|error| ResolveError::Unconfigured(Box::new(error)))
    }
}

fn bounded(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> Result<TokioResolver, NetError> {
    builder.options_mut().timeout = TIMEOUT;
    builder.options_mut().attempts = ATTEMPTS;
    builder.build()
}

impl Resolver for SystemResolver {
    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolveError>> {
        Box::pin(async move {
            let answer = self.resolver().await?.lookup_ip(name).await;
            Ok(present(answer, name)?.map(|lookup| lookup.iter().collect()).unwrap_or_default())
        })
    }

    fn names(&self, address: IpAddr) -> BoxFuture<'_, Result<Vec<String>, ResolveError>> {
        Box::pin(async move {
            let answer = self.resolver().await?.reverse_lookup(address).await;
            let Some(lookup) = present(answer, &address.to_string())? else { return Ok(Vec::new()) };
            let names = lookup.answers().iter().filter_map(|record| match &record.data {
                RData::PTR(name) => Some(name.to_string().trim_end_matches('.').to_owned()),
                _ => None,
            });
            Ok(names.collect())
        })
    }
}

/// "There is none" is an answer; everything else is a failure.
fn present<T>(answer: Result<T, NetError>, query: &str) -> Result<Option<T>, ResolveError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_nx_domain() || error.is_no_records_found() => Ok(None),
        Err(error) => Err(ResolveError::Failed { query: query.to_owned(), source: Box::new(error) }),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    use tokio::net::UdpSocket;

    use super::*;

    const NO_ERROR: u8 = 0;
    const SERVER_FAILURE: u8 = 2;
    const NO_SUCH_NAME: u8 = 3;

    /// Answers every question with this code and, if there is one, this record.
    async fn name_server(code: u8, record: Option<(u16, &'static [u8])>) -> SystemResolver {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut connection = ConnectionConfig::udp();
        connection.port = socket.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut question = [0; 512];
            loop {
                let (length, client) = socket.recv_from(&mut question).await.unwrap();
                // Name, type and class end where the name's empty label is, and four bytes on; what follows
                // is EDNS.
                let name = question[12..length].iter().position(|byte| *byte == 0).unwrap() + 1;
                let kind = u16::from_be_bytes([question[12 + name], question[13 + name]]);
                let record = record.filter(|(of, _)| *of == kind);
                let mut answer = question[..2].to_vec();
                answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(record.is_some()), 0, 0, 0, 0]);
                answer.extend(&question[12..16 + name]);
                if let Some((kind, data)) = record {
                    answer.extend([0xc0, 12]);
                    answer.extend(kind.to_be_bytes());
                    answer.extend([0, 1, 0, 0, 0, 60, 0, u8::try_from(data.len()).unwrap()]);
                    answer.extend(data);
                }
                socket.send_to(&answer, client).await.unwrap();
            }
        });
        let server = NameServerConfig::new(Ipv4Addr::LOCALHOST.into(), true, vec![connection]);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        SystemResolver(OnceCell::new_with(Some(bounded(builder).unwrap())))
    }

    #[tokio::test]
    async fn there_is_none_is_an_answer_and_failure_is_not() {
        let address = IpAddr::from([192, 0, 2, 7]);
        let resolver = name_server(NO_ERROR, Some((1, &[192, 0, 2, 7]))).await;
        assert_eq!(resolver.addresses("node.test.").await.unwrap(), [address]);
        let resolver = name_server(NO_ERROR, Some((12, b"\x04node\x04test\x00"))).await;
        assert_eq!(resolver.names(address).await.unwrap(), ["node.test"]);
        for code in [NO_ERROR, NO_SUCH_NAME] {
            let resolver = name_server(code, None).await;
            assert!(resolver.addresses("node.test.").await.unwrap().is_empty());
            assert!(resolver.names(address).await.unwrap().is_empty());
        }
        let resolver = name_server(SERVER_FAILURE, None).await;
        let error = resolver.names(address).await.unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
        assert_eq!(error.to_string(), "cannot resolve `192.0.2.7`");
    }
}
