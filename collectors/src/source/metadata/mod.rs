//! Asking the metadata service of a cloud.
//!
//! The bodies of its answers hold secrets, so that only the needed fields are decoded and nothing of them is
//! ever quoted. A machine of another cloud is not asked: the firmware or a boot parameter tells where the
//! machine is.

mod answer;
mod field;

use std::sync::Arc;
use std::time::Duration;

use node_annotator_core::context::{HttpBudget, HttpClient, HttpError, HttpRequest, HttpResponse};
use node_annotator_core::{CollectError, Collected, Context, Fact, Facts, Variable};
use serde::de::DeserializeOwned;

pub(crate) use self::answer::{Malformed, is_address, is_name, is_number};
pub(crate) use self::field::{Field, NumberOrText, Odd, list};
use super::cloud::{self, Identity};
use super::dmi;

/// How long a collector that asks may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(15);

/// How long all its requests may take, so that what they came to is told before its time is over.
const BUDGET: Duration = Duration::from_secs(13);

/// Where no hint of the service itself fits better.
const LINK_LOCAL: &str = "a NetworkPolicy or the network plugin may keep pods from link-local addresses: \
     allow egress to 169.254.169.254, or run with the host network";

/// The facts without those of a document that could not be had.
pub(crate) fn without(facts: Facts, lost: &[&Fact], error: &CollectError) -> Facts {
    lost.iter().fold(facts, |facts, fact| facts.without(fact, error.chain()))
}

/// The metadata service of one cloud.
#[derive(Debug)]
pub(crate) struct Service {
    /// As [`cloud::identify`] names it.
    pub(crate) provider: &'static str,
    /// The name of the cloud in messages.
    pub(crate) name: &'static str,
    /// What a machine of it is called, with its article.
    pub(crate) machine: &'static str,
    /// The variable with the address, and the address that holds without it.
    pub(crate) url: Variable,
    pub(crate) default_url: &'static str,
    /// What each request must have.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// The header field, in lower case, that each of its answers has.
    pub(crate) proof: Option<(&'static str, &'static str)>,
    pub(crate) max_body_bytes: usize,
    /// What to do when nobody answers.
    pub(crate) unreachable: &'static str,
    /// What to do when it answers with 401 or 403.
    pub(crate) denied: &'static str,
}

/// The service of a machine that is known to be of its cloud.
pub(crate) struct Session {
    service: &'static Service,
    client: Arc<dyn HttpClient>,
    budget: HttpBudget,
    base: String,
    token: Option<(&'static str, String)>,
}

impl Service {
    /// A service on the usual address, which asks for nothing.
    pub(crate) const fn new(
        provider: &'static str,
        name: &'static str,
        machine: &'static str,
        url: Variable,
    ) -> Self {
        Self {
            provider,
            name,
            machine,
            url,
            default_url: "http://169.254.169.254",
            headers: &[],
            proof: None,
            max_body_bytes: 256 * 1024,
            unreachable: LINK_LOCAL,
            denied: "something between the pod and the service refuses requests, or the service is turned off",
        }
    }

    /// The facts of a machine of this cloud; on others nobody is asked.
    pub(crate) async fn collect<C: Into<Collected>, F: Future<Output = Result<C, CollectError>>>(
        &'static self,
        cx: &Context,
        facts: impl FnOnce(Session) -> F,
    ) -> Result<Collected, CollectError> {
        match self.find(cx).await {
            Ok(session) => facts(session).await.map(Into::into),
            Err(not_applicable) => Ok(not_applicable),
        }
    }

    /// The service, if the operator or something local says that there is somebody to ask; else why nobody is
    /// asked.
    async fn find(&'static self, cx: &Context) -> Result<Session, Collected> {
        let base = match cx.environment.get(self.url.name) {
            Some(url) => url.trim(),
            None => match self.reason_against(cx).await {
                Some(reason) => return Err(Collected::not_applicable(reason)),
                None => self.default_url,
            },
        };
        let (client, base) = (Arc::clone(&cx.http), base.to_owned());
        Ok(Session { service: self, client, budget: HttpBudget::of(BUDGET), base, token: None })
    }

    /// Why the machine is taken for one of another cloud or of none; a source that cannot be seen says
    /// nothing.
    async fn reason_against(&self, cx: &Context) -> Option<String> {
        let look = |host: &_| (cloud::identify(host), dmi::read(host, "sys_vendor"));
        let (identity, vendor) = cx.host.blocking(look).await;
        let machine = self.machine;
        match (identity, vendor) {
            (Ok(Some(Identity { provider, .. })), _) if provider == self.provider => None,
            (Ok(_), Ok(Some(vendor))) => Some(format!("not {machine}: the firmware names `{vendor}`")),
            (Ok(Some(Identity { provider, evidence })), _) => {
                Some(format!("not {machine}: the machine is one of `{provider}`, by `{evidence}`"))
            }
            (Ok(None) | Err(_), _) => Some(format!(
                "nothing says that this is {machine}; set `{}` to ask all the same",
                self.url.name
            )),
        }
    }

    /// The failure of a document that is none of this service.
    pub(crate) fn malformed(malformed: Malformed) -> CollectError {
        CollectError::new("the answer is not the JSON of the metadata service").because(malformed).malformed()
    }

    fn no_answer(&self, error: HttpError) -> CollectError {
        let failure = CollectError::new(format!("cannot ask the metadata service of {}", self.name));
        let failure = match error {
            HttpError::Address { .. } => failure.with_hint(format!(
                "set `{}` to an address such as {}, or unset it",
                self.url.name, self.default_url
            )),
            HttpError::TooLong { .. } => failure.with_hint(self.somebody_else()),
            _ => failure.with_hint(self.unreachable),
        };
        failure.because(error)
    }

    fn refused(&self, response: &HttpResponse) -> CollectError {
        let (name, status) = (self.name, response.status);
        let failure =
            CollectError::new(format!("the metadata service of {name} answered with status {status}"));
        match status {
            // Azure says 410 while it is updated.
            410 => failure,
            _ if response.is_passing() => failure,
            401 | 403 => failure.with_hint(self.denied).malformed(),
            _ => failure.with_hint(self.somebody_else()).malformed(),
        }
    }

    fn somebody_else(&self) -> String {
        format!("is something else answering in its place, or is `{}` wrong?", self.url.name)
    }
}

impl Session {
    /// Asks for a token, and sends it with each later request.
    pub(crate) async fn with_token(
        mut self,
        path: &str,
        life_time: (&'static str, &'static str),
        header: &'static str,
    ) -> Result<Self, CollectError> {
        let (name, seconds) = life_time;
        let response = self.send(HttpRequest::put(self.url(path)).with_header(name, seconds)).await?;
        if response.status != 200 {
            return Err(self.service.refused(&response));
        }
        let token = str::from_utf8(&response.body).map(str::trim).unwrap_or_default();
        // Anything else would be no header field.
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(self.strange(path));
        }
        self.token = Some((header, token.to_owned()));
        Ok(self)
    }

    /// The answer to a path, whatever its status.
    pub(crate) async fn ask(&self, path: &str) -> Result<HttpResponse, CollectError> {
        let mut request = HttpRequest::get(self.url(path));
        for (name, value) in self.service.headers {
            request = request.with_header(name, *value);
        }
        if let Some((name, token)) = &self.token {
            request = request.with_header(name, token.as_str());
        }
        let response = self.send(request).await?;
        match self.service.proof {
            Some((name, value)) if response.status == 200 && response.header(name) != Some(value) => {
                Err(self.strange(path))
            }
            _ => Ok(response),
        }
    }

    /// A body; `None` if the service has nothing there.
    pub(crate) async fn get(&self, path: &str) -> Result<Option<Vec<u8>>, CollectError> {
        let response = self.ask(path).await?;
        match response.status {
            200 => Ok(Some(response.body)),
            204 | 404 => Ok(None),
            _ => Err(self.service.refused(&response)),
        }
    }

    /// A text that is as it should be; one that is empty is as good as none.
    pub(crate) async fn text(
        &self,
        path: &str,
        is: fn(&str) -> bool,
    ) -> Result<Option<String>, CollectError> {
        let Some(body) = self.get(path).await? else { return Ok(None) };
        match str::from_utf8(&body).map(str::trim) {
            Ok("") => Ok(None),
            Ok(text) if is(text) => Ok(Some(text.to_owned())),
            _ => Err(self.strange(path)),
        }
    }

    /// A text that the service of every machine has.
    pub(crate) async fn required_text(
        &self,
        path: &str,
        is: fn(&str) -> bool,
    ) -> Result<String, CollectError> {
        self.text(path, is).await?.ok_or_else(|| self.missing(path))
    }

    /// A body that the service of every machine has.
    pub(crate) async fn required(&self, path: &str) -> Result<Vec<u8>, CollectError> {
        self.body(self.ask(path).await?)
    }

    /// The body of an answer that must be there.
    fn body(&self, response: HttpResponse) -> Result<Vec<u8>, CollectError> {
        if response.status == 200 { Ok(response.body) } else { Err(self.service.refused(&response)) }
    }

    /// The failure of a service that lacks what every machine has.
    pub(crate) fn missing(&self, path: &str) -> CollectError {
        let failure =
            CollectError::new(format!("the metadata service of {} has no `{path}`", self.service.name));
        failure.with_hint(self.service.denied).malformed()
    }

    /// A JSON document; `None` if the service has nothing there.
    pub(crate) async fn document<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, CollectError> {
        match self.get(path).await? {
            Some(body) => Ok(Some(self.decode(&body)?)),
            None => Ok(None),
        }
    }

    /// A JSON document that the service of every machine has.
    pub(crate) async fn required_document<T: DeserializeOwned>(&self, path: &str) -> Result<T, CollectError> {
        self.decode(&self.required(path).await?)
    }

    /// The JSON document of an answer that must be there.
    pub(crate) fn decode_answer<T: DeserializeOwned>(
        &self,
        response: HttpResponse,
    ) -> Result<T, CollectError> {
        self.decode(&self.body(response)?)
    }

    fn decode<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, CollectError> {
        let malformed = |error| Service::malformed(Malformed::of(&error, self.service.machine));
        serde_json::from_slice(body).map_err(malformed)
    }

    /// The failure of an answer, with status 200, that the service would not give.
    pub(crate) fn strange(&self, path: &str) -> CollectError {
        let failure = CollectError::new(format!("the answer to `{path}` is none of the metadata service"));
        failure.with_hint(self.service.somebody_else()).malformed()
    }

    /// The failure of a document without a field that every machine has.
    pub(crate) fn other_shape(&self) -> CollectError {
        Service::malformed(Malformed::Shape(self.service.machine))
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, CollectError> {
        let request = HttpRequest { max_body_bytes: self.service.max_body_bytes, ..request };
        self.budget.send(&*self.client, request).await.map_err(|error| self.service.no_answer(error))
    }

    fn url(&self, path: &str) -> String {
        match path {
            "" => self.base.clone(),
            path => format!("{}{path}", self.base.trim_end_matches('/')),
        }
    }
}
