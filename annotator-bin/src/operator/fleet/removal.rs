//! The only place of the operator's wing that writes to a Node: it takes keys away that have the values that
//! were seen, and nothing else.
//!
//! Each Node is one JSON patch that tests those values, so that a run in between is never undone, and what is
//! stopped at any moment leaves each Node as it was or as it is to be.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::{StreamExt as _, stream};
use http::header::{CONTENT_TYPE, HeaderValue};
use k8s_openapi::api::core::v1::Node as K8sNode;
use kube::Resource;
use kube::api::{Patch, PatchParams};
use kube::core::{PartialObjectMeta, Request};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::cluster::{ClusterError, Reason};
use crate::operator::lists::Reader;
use crate::process::stop::Stop;
use crate::trouble::Trouble;

/// Who removes, in `managedFields`.
const FIELD_MANAGER: &str = "node-annotator-operator";

const JSON_PATCH: HeaderValue = HeaderValue::from_static("application/json-patch+json");

/// How often a server that is busy, or does not answer, is asked again. With the pauses below that takes
/// about a minute.
const MAX_TRIES: usize = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Keys to be removed from one Node, with the values that were seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Removal {
    pub(crate) node: String,
    pub(crate) labels: Seen,
    pub(crate) annotations: Seen,
    /// Annotations that stay, and without whose values nothing is removed either.
    pub(crate) while_annotated: Seen,
}

/// Keys with their values. A large fleet has many, and most of them on all nodes.
pub(crate) type Seen = Vec<(Arc<str>, Arc<str>)>;

/// What became of a removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Removed {
    /// The keys are gone, since this resource version; 0 where the answer that tells it did not come.
    Done(u64),
    /// They had not the values any more that were seen, and nothing was removed.
    Changed,
    /// The Node is gone.
    NodeGone,
    /// It was not begun: a stop was asked for.
    NotBegun,
    /// The API server did not do it.
    Failed(Trouble),
}

impl Removal {
    /// How many keys it takes away.
    pub(crate) fn keys(&self) -> usize {
        self.labels.len() + self.annotations.len()
    }

    /// First all tests, then all removals: nothing is removed unless everything is as it was seen.
    fn patch(&self) -> Vec<Value> {
        let removed = || pairs("labels", &self.labels).chain(pairs("annotations", &self.annotations));
        let tested = removed().chain(pairs("annotations", &self.while_annotated));
        let tests = tested.map(|(path, value)| json!({ "op": "test", "path": path, "value": value }));
        let removals = removed().map(|(path, _)| json!({ "op": "remove", "path": path }));
        tests.chain(removals).collect()
    }

    async fn send(&self, reader: &Reader, stop: &Stop) -> Removed {
        if stop.is_requested() {
            return Removed::NotBegun;
        }
        let pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(MAX_TRIES)
            .with_jitter()
            .build();
        let mut pauses = pauses.into_iter();
        let mut may_be_done = false;
        loop {
            let error = match self.send_once(reader).await {
                Ok(version) => return Removed::Done(version),
                Err(error) => error,
            };
            match error.reason() {
                Reason::NotFound => return Removed::NodeGone,
                // What a patch gets whose test does not hold: also after one that was done, and whose answer
                // did not come.
                Reason::Refused if may_be_done => return Removed::Done(0),
                Reason::Refused => return Removed::Changed,
                Reason::Broken | Reason::Silent => may_be_done = true,
                _ => {}
            }
            let pause = pauses.next().filter(|_| error.is_retryable() && !stop.is_requested());
            let Some(pause) = pause else { return Removed::Failed(error.into()) };
            tokio::select! {
                () = stop.requested() => return Removed::Failed(error.into()),
                () = sleep(pause + error.retry_after().unwrap_or_default()) => {}
            }
        }
    }

    async fn send_once(&self, reader: &Reader) -> Result<u64, ClusterError> {
        let parameters =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let path = Request::new(K8sNode::url_path(&(), None));
        let request = path.patch_metadata(&self.node, &parameters, &Patch::Merge(self.patch()));
        let request = request.map(|mut request| {
            request.headers_mut().insert(CONTENT_TYPE, JSON_PATCH);
            request
        });
        let stored: PartialObjectMeta<K8sNode> = reader.ask(request).await?;
        Ok(version(stored.metadata.resource_version.as_deref().unwrap_or_default()))
    }
}

/// The path of each key, with its value. A slash in a key is no step of the path.
fn pairs<'a>(kind: &str, seen: &'a Seen) -> impl Iterator<Item = (String, &'a str)> + use<'a> {
    let start = format!("/metadata/{kind}/");
    let path = move |key: &str| format!("{start}{}", key.replace('~', "~0").replace('/', "~1"));
    seen.iter().map(move |(key, value)| (path(key), &**value))
}

/// A resource version to be compared with others of the same kind of object, as Kubernetes lets clients do.
pub(crate) fn version(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}

/// Makes removals, so many at once, and tells what became of each. Once a stop is asked for none is begun any
/// more, and those under way come to their end.
pub(crate) async fn remove(
    reader: &Reader,
    removals: &[Removal],
    at_once: usize,
    stop: &Stop,
    mut tell: impl FnMut(&Removal, Removed),
) {
    let mut answers = stream::iter(removals)
        .map(async |removal| (removal, removal.send(reader, stop).await))
        .buffer_unordered(at_once.max(1));
    while let Some((removal, removed)) = answers.next().await {
        tell(removal, removed);
    }
}

/// What became of all of them.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) done: usize,
    pub(crate) changed: usize,
    pub(crate) gone: usize,
    pub(crate) not_begun: usize,
    pub(crate) failed: usize,
    /// The first of the failures, with its node.
    pub(crate) first: Option<(String, Trouble)>,
}

impl Tally {
    /// Counts one.
    pub(crate) fn add(&mut self, removal: &Removal, removed: &Removed) {
        match removed {
            Removed::Done(_) => self.done += 1,
            Removed::Changed => self.changed += 1,
            Removed::NodeGone => self.gone += 1,
            Removed::NotBegun => self.not_begun += 1,
            Removed::Failed(trouble) => {
                self.failed += 1;
                self.first.get_or_insert_with(|| (removal.node.clone(), trouble.clone()));
            }
        }
    }

    /// Whether everything is done that there was to do.
    pub(crate) fn is_complete(&self) -> bool {
        self.failed + self.not_begun == 0
    }

    /// On one line, and a line for the first failure.
    pub(crate) fn told(&self) -> String {
        let mut text = format!("nodes changed: {}", self.done);
        for (count, what) in [
            (self.changed, "not changed, since a run was faster"),
            (self.gone, "gone"),
            (self.not_begun, "not begun, since it was stopped"),
            (self.failed, "failed"),
        ] {
            if count > 0 {
                text = format!("{text}, {what}: {count}");
            }
        }
        if let Some((node, trouble)) = &self.first {
            text = format!("{text}\nerror: `{node}`: {trouble}");
        }
        if !self.is_complete() {
            text += "\nhint: the same command goes on where this one ended";
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use http::{Request as HttpRequest, Response};
    use kube::client::Body;
    use tower::service_fn;

    use super::*;
    use crate::cluster;
    use crate::process::stop;

    fn removal() -> Removal {
        Removal {
            node: "n1".to_owned(),
            labels: [("k8s.haim.dev/kernel".into(), "saved".into())].into(),
            while_annotated: [("k8s.haim.dev/kernel.boot-id".into(), "1bd2a6f4".into())].into(),
            ..Removal::default()
        }
    }

    /// A server that gives one answer after the other, and the last one for ever.
    fn answering(answers: &'static [(u16, &'static str)]) -> (Reader, std::sync::Arc<Mutex<usize>>) {
        let asked = std::sync::Arc::new(Mutex::new(0));
        let counted = std::sync::Arc::clone(&asked);
        let service = service_fn(move |_: HttpRequest<Body>| {
            let mut asked = counted.lock().unwrap();
            let (code, body) = answers[(*asked).min(answers.len() - 1)];
            *asked += 1;
            let mut answer = Response::builder().status(code);
            if code == 429 {
                answer = answer.header("retry-after", "7");
            }
            std::future::ready(answer.body(Body::from(body.as_bytes().to_vec())))
        });
        (Reader::new(cluster::over(service), None), asked)
    }

    const STORED: &str =
        r#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"n1"}}"#;
    const BUSY: &str =
        r#"{"kind":"Status","status":"Failure","message":"too many","reason":"TooManyRequests","code":429}"#;
    const CONFLICT: &str = r#"{"kind":"Status","status":"Failure","message":"the object has been modified","reason":"Conflict","code":409}"#;
    const TEST_FAILED: &str = r#"{"kind":"Status","status":"Failure","message":"the server rejected our request due to an error in our request","reason":"Invalid","code":422}"#;
    const NOT_FOUND: &str = r#"{"kind":"Status","status":"Failure","message":"nodes \"n1\" not found","reason":"NotFound","code":404}"#;
    const FORBIDDEN: &str =
        r#"{"kind":"Status","status":"Failure","message":"no","reason":"Forbidden","code":403}"#;

    #[test]
    fn values_are_tested_before_anything_is_removed() {
        assert_eq!(
            removal().patch(),
            [
                json!({ "op": "test", "path": "/metadata/labels/k8s.haim.dev~1kernel", "value": "saved" }),
                json!({ "op": "test", "path": "/metadata/annotations/k8s.haim.dev~1kernel.boot-id", "value": "1bd2a6f4" }),
                json!({ "op": "remove", "path": "/metadata/labels/k8s.haim.dev~1kernel" }),
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn each_answer_is_counted_as_what_it_is_and_a_busy_server_is_asked_again() {
        for (answers, expected, requests) in [
            (&[(200, STORED)][..], "nodes changed: 1", 1),
            (&[(429, BUSY), (503, BUSY), (200, STORED)], "nodes changed: 1", 3),
            (&[(409, CONFLICT), (200, STORED)], "nodes changed: 1", 2),
            (&[(422, TEST_FAILED)], "nodes changed: 0, not changed, since a run was faster: 1", 1),
            (&[(404, NOT_FOUND)], "nodes changed: 0, gone: 1", 1),
            (&[(403, FORBIDDEN)], "nodes changed: 0, failed: 1\nerror: `n1`: not allowed: no", 1),
            (
                &[(429, BUSY)],
                "nodes changed: 0, failed: 1\nerror: `n1`: the API server says 429",
                1 + MAX_TRIES,
            ),
        ] {
            let (reader, asked) = answering(answers);
            let (_stopper, stop) = stop::channel();
            let (mut tally, begun) = (Tally::default(), tokio::time::Instant::now());
            remove(&reader, &[removal()], 2, &stop, |removal, removed| tally.add(removal, &removed)).await;
            assert!(tally.told().starts_with(expected), "{}", tally.told());
            assert_eq!(*asked.lock().unwrap(), requests, "{expected}");
            if answers[0].0 == 429 {
                assert!(begun.elapsed() >= Duration::from_secs(7), "Retry-After is kept");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_are_under_way_at_once_and_no_more() {
        let at_work = std::sync::Arc::new(Mutex::new((0, 0)));
        let counted = std::sync::Arc::clone(&at_work);
        let service = service_fn(move |_: HttpRequest<Body>| {
            let counted = std::sync::Arc::clone(&counted);
            async move {
                {
                    let mut counted = counted.lock().unwrap();
                    counted.0 += 1;
                    counted.1 = counted.1.max(counted.0);
                }
                sleep(Duration::from_secs(1)).await;
                counted.lock().unwrap().0 -= 1;
                Ok::<_, std::convert::Infallible>(Response::new(Body::from(STORED.as_bytes().to_vec())))
            }
        });
        let reader = Reader::new(cluster::over(service), None);
        let (_stopper, stop) = stop::channel();
        let (removals, mut tally) = (vec![removal(); 20], Tally::default());
        remove(&reader, &removals, 7, &stop, |removal, removed| tally.add(removal, &removed)).await;
        assert_eq!((tally.done, *at_work.lock().unwrap()), (20, (0, 7)));
    }

    /// No answer has come, and what was asked for may have been done.
    #[tokio::test(start_paused = true)]
    async fn what_was_done_without_an_answer_is_no_other_run() {
        let asked = Mutex::new(0);
        let service = service_fn(move |_: HttpRequest<Body>| {
            let mut asked = asked.lock().unwrap();
            *asked += 1;
            let broken = || std::io::Error::from(std::io::ErrorKind::TimedOut);
            let refused = Response::builder().status(422).body(Body::from(TEST_FAILED.as_bytes().to_vec()));
            std::future::ready(if *asked == 1 { Err(broken()) } else { Ok(refused.unwrap()) })
        });
        let reader = Reader::new(cluster::over(service), None);
        let (_stopper, stop) = stop::channel();
        let mut tally = Tally::default();
        remove(&reader, &[removal()], 1, &stop, |removal, removed| tally.add(removal, &removed)).await;
        assert_eq!(tally.told(), "nodes changed: 1");
    }

    #[tokio::test]
    async fn after_a_stop_nothing_is_begun() {
        let (reader, asked) = answering(&[(200, STORED)]);
        let (stopper, stop) = stop::channel();
        stopper.stop();
        let mut tally = Tally::default();
        remove(&reader, &[removal(), removal()], 2, &stop, |removal, removed| tally.add(removal, &removed))
            .await;
        assert_eq!((tally.not_begun, *asked.lock().unwrap()), (2, 0));
        assert!(tally.told().contains("hint: the same command goes on"), "{}", tally.told());
    }
}
