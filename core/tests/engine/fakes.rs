//! Fake collectors, one for each way to behave, and a network that answers as scripted.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::pending;
use std::panic::panic_any;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use node_annotator_core::context::{HttpClient, HttpError, HttpRequest, HttpResponse};
use node_annotator_core::{
    BoxFuture, Collect, CollectError, Collected, Collector, Context, Fact, Facts, HostRoot, Need, Registry,
    Selection, Stability, Topic,
};
use tokio::time::sleep;

/// Yields both of its facts at once.
pub(crate) static VALUE: Collector = fake("value", Collect::Async(|_| Box::pin(async { facts() })));

/// The same from a thread.
pub(crate) static VALUE_FILE: Collector = fake("value-file", Collect::Blocking(|_| facts()));

/// Has nothing to say about this node, in a text that a firmware might have had a hand in.
pub(crate) static ABSENT: Collector =
    fake("absent", Collect::Blocking(|_| Ok(Collected::not_applicable("made by\u{1b}[2J Somebody\n"))));

/// Yields what the scripted network answers.
pub(crate) static ASK: Collector = fake(
    "ask",
    Collect::Async(|cx| {
        Box::pin(async {
            let answer = cx.http.send(HttpRequest::get("http://192.0.2.1/")).await?;
            Ok(Facts::new(String::from_utf8_lossy(&answer.body)).into())
        })
    }),
)
.needs(&[Need::MetadataService])
.on_request();

/// Fails for good, with a cause and a hint.
pub(crate) static FAIL: Collector = fake(
    "fail",
    Collect::Blocking(|_| {
        let cause = std::io::Error::other("disk on fire");
        Err(CollectError::new("cannot read").because(cause).with_hint("call the fire brigade"))
    }),
);

/// Yields a fact that it did not declare.
pub(crate) static UNDECLARED: Collector =
    fake("undeclared", Collect::Blocking(|_| Ok(Facts::new("42").with(&SURPRISE, 1).into())));

/// What [`UNDECLARED`] yields.
pub(crate) const SURPRISE: Fact = Fact::named("surprise", "A third", "1", Stability::Dynamic);

/// Yields a primary fact of which nothing is left once it is cleaned.
pub(crate) static EMPTY: Collector =
    fake("empty", Collect::Blocking(|_| Ok(Facts::new(" \n").with(&EXTRA, 1).into())));

/// Never answers, and is given 2 s.
pub(crate) static HANG_SHORT: Collector =
    fake("hang-short", Collect::Async(|_| Box::pin(pending()))).timeout(Duration::from_secs(2));

/// Never answers, and is given 8 s.
pub(crate) static HANG_LONG: Collector =
    fake("hang-long", Collect::Async(|_| Box::pin(pending()))).timeout(Duration::from_secs(8));

/// Never comes back from a read, and is given 50 ms.
pub(crate) static STUCK: Collector =
    fake("stuck", Collect::Blocking(|_| match stuck() {})).timeout(Duration::from_millis(50));

/// The same in the midst of waiting for the network.
pub(crate) static STUCK_TASK: Collector =
    fake("stuck-task", Collect::Async(|cx| Box::pin(async { match cx.host.blocking(|_| stuck()).await {} })))
        .timeout(Duration::from_millis(50));

/// Answers after 3 s, later than the one whose name comes after it.
pub(crate) static SLOW_A: Collector = fake(
    "slow-a",
    Collect::Async(|_| {
        Box::pin(async {
            sleep(Duration::from_secs(3)).await;
            facts()
        })
    }),
);

/// Answers after 1 s.
pub(crate) static SLOW_B: Collector = fake(
    "slow-b",
    Collect::Async(|_| {
        Box::pin(async {
            sleep(Duration::from_secs(1)).await;
            facts()
        })
    }),
);

/// Panics in a task with a literal.
pub(crate) static PANIC_TASK_STR: Collector =
    fake("panic-task-str", Collect::Async(|_| Box::pin(async { panic!("literal") })));

/// Panics in a task with an owned text, before there is a future.
pub(crate) static PANIC_TASK_STRING: Collector =
    fake("panic-task-string", Collect::Async(|_| panic_any("owned".to_owned())));

/// Panics on a thread with a literal.
pub(crate) static PANIC_THREAD_STR: Collector =
    fake("panic-thread-str", Collect::Blocking(|_| panic!("literal")));

/// Panics on a thread with an owned text.
pub(crate) static PANIC_THREAD_STRING: Collector =
    fake("panic-thread-string", Collect::Blocking(|_| panic_any("owned".to_owned())));

/// Panics with something that is no text.
pub(crate) static PANIC_ODD: Collector = fake("panic-odd", Collect::Blocking(|_| panic_any(42)));

const NUMBER: Fact = Fact::primary("A number", "42", Stability::Immutable);

/// The further fact of every fake.
pub(crate) const EXTRA: Fact = Fact::named("extra", "Another", "23", Stability::PerBoot);

/// A well-declared collector, to be varied.
pub(crate) const fn fake(name: &'static str, collect: Collect) -> Collector {
    Collector::new(name, Topic::Other("fakes"), "A fake", &[NUMBER, EXTRA], collect)
        .retired(&["gone"])
        .timeout(Duration::from_secs(10))
}

fn stuck() -> Infallible {
    let (_open, never) = channel();
    never.recv().expect("the other end is open")
}

#[expect(clippy::unnecessary_wraps, reason = "what a collector returns")]
fn facts() -> Result<Collected, CollectError> {
    Ok(Facts::new("42").with(&EXTRA, 23).into())
}

pub(crate) fn registry(collectors: &[&'static Collector]) -> Registry {
    Registry::new(collectors.iter().copied()).unwrap()
}

pub(crate) fn select(collectors: &[&'static Collector]) -> Selection {
    Selection::parse("all", &registry(collectors)).unwrap()
}

pub(crate) fn offline() -> Context {
    Context::offline(HostRoot::new("/nowhere"))
}

/// What the network does at one request.
pub(crate) enum Reply {
    Body(&'static str),
    Error(HttpError),
    Never,
}

/// A context whose network gives these replies, one after the other.
pub(crate) fn scripted(replies: impl IntoIterator<Item = Reply>) -> Context {
    let replies = Mutex::new(replies.into_iter().collect());
    offline().with_http(Arc::new(Script { replies }))
}

struct Script {
    replies: Mutex<VecDeque<Reply>>,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script")
    }
}

impl HttpClient for Script {
    fn send(&self, _: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        let reply = self.replies.lock().unwrap().pop_front().expect("no more requests than replies");
        Box::pin(async {
            match reply {
                Reply::Body(body) => Ok(HttpResponse::new(200, body)),
                Reply::Error(error) => Err(error),
                Reply::Never => pending().await,
            }
        })
    }
}
