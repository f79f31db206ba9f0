//! Collectors that do everything a collector should not do. The tests run this binary as a process of its
//! own.

use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

use node_annotator_core::{
    BoxFuture, Collect, CollectError, Collected, Collector, Context, Fact, Facts, Need, Stability, Topic,
    Variable,
};

fn main() -> ExitCode {
    node_annotator::main()
}

type Answer = Result<Collected, CollectError>;

const WORD: Fact = Fact::primary("a word", "word", Stability::Immutable);

/// A collector with one fact, which runs only when it is named.
const fn faulty(name: &'static str, summary: &'static str, collect: Collect) -> Collector {
    Collector::new(name, Topic::Other("faults"), summary, &[WORD], collect)
        .timeout(Duration::from_mins(1))
        .on_request()
}

const GREETING: Fact = Fact::primary("a greeting", "hello", Stability::Immutable);
const BOOTS: Fact = Fact::named("boots", "how often the node was started", "42", Stability::PerBoot);
const BOOTS_PATH: &str = "/proc/boots";

/// While this is there, `rude` only fails.
const PATIENCE_PATH: &str = "/proc/patience";

static GOOD: Collector =
    Collector::new("good", Topic::System, "Does what it should", &[GREETING, BOOTS], Collect::Blocking(good))
        .retired(&["tooth"])
        .variables(&[Variable::operator("GREETING", "the greeting; without it, `hello`")]);

static ABSENT: Collector = Collector::new(
    "absent",
    Topic::System,
    "Finds nothing to collect",
    &[WORD],
    Collect::Blocking(|_| Ok(Collected::not_applicable("there is nothing here"))),
)
.needs(&[Need::HostNetwork, Need::MetadataService])
.timeout(Duration::from_mins(1));

static FAILING: Collector = faulty("failing", "Fails", Collect::Blocking(failing));
static PANICKING: Collector = faulty("panicking", "Panics", Collect::Blocking(panicking));
static SLOW: Collector = faulty("slow", "Waits for ever, with a timeout of its own", Collect::Async(waiting))
    .timeout(Duration::from_millis(300));
static WAITING: Collector = faulty("waiting", "Waits for ever", Collect::Async(waiting));
static READING: Collector = faulty("reading", "Reads for ever", Collect::Blocking(reading));
static RUDE: Collector = faulty("rude", "Blocks the runtime thread", Collect::Async(rude));
static NOISY: Collector = faulty("noisy", "Logs until nobody reads it any more", Collect::Async(noisy));

node_annotator_core::register!(GOOD);
node_annotator_core::register!(ABSENT);
node_annotator_core::register!(FAILING);
node_annotator_core::register!(PANICKING);
node_annotator_core::register!(SLOW);
node_annotator_core::register!(WAITING);
node_annotator_core::register!(READING);
node_annotator_core::register!(RUDE);
node_annotator_core::register!(NOISY);

#[expect(clippy::unnecessary_wraps, reason = "the signature of every collector")]
fn good(cx: &Context) -> Answer {
    let greeting = cx.environment.get("GREETING").unwrap_or("hello");
    Ok(Facts::new(greeting).with_read(&BOOTS, cx.host.line(BOOTS_PATH)).into())
}

fn failing(_: &Context) -> Answer {
    Err(CollectError::new("cannot read the palm").with_hint("hold still"))
}

fn panicking(_: &Context) -> Answer {
    panic!("lost my head")
}

fn waiting(_: &Context) -> BoxFuture<'_, Answer> {
    Box::pin(async {
        tracing::info!("waiting for ever");
        std::future::pending().await
    })
}

/// As from a file system that has gone away.
fn reading(_: &Context) -> Answer {
    let (mut reader, _writer) = std::io::pipe().expect("a pipe");
    let mut text = String::new();
    reader.read_to_string(&mut text).map_err(|error| CollectError::new("cannot read").because(error))?;
    Ok(Facts::new(text).into())
}

/// Against the rules: whoever blocks here stops every timer of the run.
fn rude(cx: &Context) -> BoxFuture<'_, Answer> {
    Box::pin(async move {
        if cx.host.line(PATIENCE_PATH)?.is_some() {
            return Err(CollectError::new("lost my patience"));
        }
        tracing::info!("blocking the runtime");
        reading(cx)
    })
}

fn noisy(_: &Context) -> BoxFuture<'_, Answer> {
    Box::pin(async {
        loop {
            tracing::warn!("one more line");
        }
    })
}
