//! DNS by hickory-resolver, as /etc/resolv.conf and /etc/hosts say.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::RData;
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
            .get_or_try_init(|| async {
                let mut builder = TokioResolver::builder_tokio()?;
                builder.options_mut().timeout = TIMEOUT;
                builder.options_mut().attempts = ATTEMPTS;
                builder.build()
            })
            .await
            .map_err(|error| ResolveError::Unconfigured(Box::new(error)))
    }
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
