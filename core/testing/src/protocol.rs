//! What metadata services ask of their clients, so that a fake refuses what the real one would.

use node_annotator_core::context::{HttpMethod, HttpRequest, HttpResponse};

use crate::Service;

/// What a metadata service asks of each request.
#[derive(Debug, Clone, Copy)]
pub struct Protocol {
    /// Header fields, and the status of the answer to a request without them.
    pub headers: &'static [(&'static str, &'static str)],
    /// The status.
    pub refusal: u16,
    /// How it gives out tokens, if it wants one.
    pub token: Option<Token>,
}

/// How a service gives out tokens: a `PUT` with a time to live is answered with one, and each later request
/// has it.
#[derive(Debug, Clone, Copy)]
pub struct Token {
    /// Where they are.
    pub path: &'static str,
    /// The header field with the seconds that it is to live.
    pub life_time: &'static str,
    /// The header field that has the token.
    pub header: &'static str,
}

impl Protocol {
    /// Reads are answered, whatever their header fields.
    pub const OPEN: Self = Self { headers: &[], refusal: 400, token: None };
    /// EC2 where only `IMDSv2` is allowed.
    pub const AWS: Self = Self {
        token: Some(Token {
            path: "/latest/api/token",
            life_time: "X-aws-ec2-metadata-token-ttl-seconds",
            header: "X-aws-ec2-metadata-token",
        }),
        ..Self::OPEN
    };
    /// Azure.
    pub const AZURE: Self = Self { headers: &[("Metadata", "true")], ..Self::OPEN };
    /// Google Cloud.
    pub const GCP: Self = Self { headers: &[("Metadata-Flavor", "Google")], refusal: 403, ..Self::OPEN };
    /// Linode, which answers in lines of text where no JSON is asked for; the fake refuses instead.
    pub const LINODE: Self = Self {
        headers: &[("Accept", "application/json")],
        refusal: 406,
        token: Some(Token {
            path: "/v1/token",
            life_time: "Metadata-Token-Expiry-Seconds",
            header: "Metadata-Token",
        }),
    };
    /// Oracle Cloud in its second version.
    pub const ORACLE: Self =
        Self { headers: &[("Authorization", "Bearer Oracle")], refusal: 403, ..Self::OPEN };

    /// The status with which a request is refused. `token` answers with the token that was given out.
    fn refuses(&self, request: &HttpRequest, token: impl Fn(&str) -> Option<Vec<u8>>) -> Option<u16> {
        if let Some(Token { path, life_time, header }) = self.token {
            let (origin, rest) = origin(&request.url);
            if rest == path {
                let seconds = field(request, life_time).and_then(|text| text.parse::<u32>().ok());
                return match (request.method, seconds) {
                    (HttpMethod::Put, Some(1..=21_600)) => None,
                    (HttpMethod::Put, _) => Some(400),
                    (HttpMethod::Get, _) => Some(405),
                };
            }
            if field(request, header).map(|text| text.as_bytes().to_vec())
                != token(&format!("{origin}{path}"))
            {
                return Some(401);
            }
        }
        if request.method != HttpMethod::Get {
            return Some(405);
        }
        let lacks = |(name, value): &(&str, &str)| field(request, name) != Some(value);
        self.headers.iter().any(lacks).then_some(self.refusal)
    }
}

impl Service {
    /// The same service, which refuses what does not keep to a protocol.
    #[must_use]
    pub fn keeping(self, protocol: Protocol) -> Self {
        Self::new(move |request, before| {
            let token =
                |url: &str| self.answer(&HttpRequest::put(url), before).ok().map(|answer| answer.body);
            match protocol.refuses(request, token) {
                Some(status) => Ok(HttpResponse::new(status, "")),
                None => self.answer(request, before),
            }
        })
    }
}

/// A URL, cut in front of its path.
fn origin(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |at| at + 3);
    url.split_at(url[host..].find('/').map_or(url.len(), |at| host + at))
}

fn field<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let mut fields = request.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
    fields.next().map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use node_annotator_core::context::HttpClient;

    use super::*;

    async fn status(protocol: Protocol, request: HttpRequest) -> u16 {
        Service::answers(200, "token").keeping(protocol).send(request).await.unwrap().status
    }

    #[tokio::test]
    async fn requests_that_the_real_service_refuses_are_refused() {
        let url = |path: &str| format!("http://127.0.0.1{path}");
        let token = || HttpRequest::put(url("/latest/api/token"));
        let id = || HttpRequest::get(url("/latest/meta-data/instance-id"));
        let (ttl, header) = ("X-aws-ec2-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token");
        for (protocol, request, expected) in [
            (Protocol::AWS, token().with_header(ttl, "60"), 200),
            (Protocol::AWS, token().with_header(ttl, "21601"), 400),
            (Protocol::AWS, token(), 400),
            (Protocol::AWS, HttpRequest::get(url("/latest/api/token")), 405),
            (Protocol::AWS, id(), 401),
            (Protocol::AWS, id().with_header(header, "other"), 401),
            (Protocol::AWS, id().with_header(header, "token"), 200),
            (Protocol::GCP, id(), 403),
            (Protocol::GCP, id().with_header("metadata-flavor", "Google"), 200),
            (Protocol::AZURE, id().with_header("Metadata", "false"), 400),
            (Protocol::OPEN, id(), 200),
            (Protocol::OPEN, token(), 405),
        ] {
            assert_eq!(status(protocol, request.clone()).await, expected, "{request:?}");
        }
    }
}
