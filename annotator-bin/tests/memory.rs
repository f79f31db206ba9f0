//! The memory of a process that tries again and again. Alone in its process, so that no other test is
//! measured.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use node_annotator::node::job::{Job, Moment};
use node_annotator::node::publish::Patience;
use node_annotator::node::run::{Settings, Target};
use node_annotator::output::Format;
use node_annotator::process::stop::channel;
use node_annotator_core::{
    Collect, CollectError, Collector, Context, DoneMark, Fact, GiveUpAfter, HostRoot, LabelFacts, Prefix,
    Registry, Selection, Stability, Topic,
};
use tempfile::TempDir;

const TRIES: usize = 1200;
const FIRST: usize = 200;

/// A leak of a kilobyte in each try would be twice that.
const TOLERANCE: usize = 512;

const WORD: &[Fact] = &[Fact::primary("a word", "word", Stability::Immutable)];

static READING: Collector = failing(
    "reading",
    Collect::Blocking(|cx| {
        cx.host.read("/proc/large")?;
        Err(CollectError::new("no word in it"))
    }),
);
static WAITING: Collector =
    failing("waiting", Collect::Async(|_| Box::pin(std::future::pending()))).timeout(Duration::from_secs(2));
static PANICKING: Collector =
    failing("panicking", Collect::Async(|_| Box::pin(async { panic!("lost my head") })));

const fn failing(name: &'static str, collect: Collect) -> Collector {
    Collector::new(name, Topic::System, "a fake", WORD, collect)
}

#[tokio::test(start_paused = true)]
async fn memory_after_hundreds_of_tries_is_that_of_the_first_ones() {
    std::panic::set_hook(Box::new(|_| ()));
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("proc")).unwrap();
    fs::write(folder.path().join("proc/large"), "x".repeat(16 * 1024)).unwrap();
    fs::write(folder.path().join("termination-log"), "").unwrap();
    let registry = Registry::new([&READING, &WAITING, &PANICKING]).unwrap();
    let job = Job {
        settings: Settings {
            selection: Selection::parse("all", &registry).unwrap(),
            prefix: Prefix::default(),
            done_mark: DoneMark::Saved,
            stamp_day: false,
            labels: LabelFacts::default(),
            target: Target::DryRun,
            deadline: Duration::from_mins(1),
            publish_budget: Duration::from_secs(30),
            patience: Patience::None,
            give_up_after: Some(GiveUpAfter::Never),
        },
        context: Arc::new(Context::offline(HostRoot::new(folder.path()))),
        user_agent: "test/1".to_owned(),
        kubeconfig: None,
        output: Format::Json,
        termination_message_path: folder.path().join("termination-log"),
        linger_limit: Duration::from_mins(10),
    };
    let (stopper, stop) = channel();
    let mut seen = Vec::with_capacity(TRIES);
    let tell = |moment| {
        if let Moment::Ended(..) = moment {
            seen.push(resident_kilobytes());
            if seen.len() == TRIES {
                stopper.stop();
            }
        }
        Ok(())
    };
    job.until_done(&stop, tell).await.unwrap();
    assert_eq!(seen.len(), TRIES);
    let (early, late) = (seen[FIRST - 1], seen[TRIES - 1]);
    eprintln!("{} kB after one try, {early} kB after {FIRST}, {late} kB after {TRIES}", seen[0]);
    assert!(late < early + TOLERANCE, "{early} kB after {FIRST} tries, {late} kB after {TRIES}");
}

fn resident_kilobytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
