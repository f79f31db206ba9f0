//! Collectors that break the contract, each in one way.

#![expect(clippy::items_after_statements, reason = "each collector stands beside what is expected of it")]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use node_annotator_core::context::HttpRequest;
use node_annotator_core::{
    BoxFuture, Collect, CollectError, Collected, Context, Fact, Facts, Kind, Need, Stability, Topic, Variable,
};
use tempfile::TempDir;

use super::*;

const FILES: [&str; 2] = ["/sys/word", "/sys/count"];
const ID: &str = "http://169.254.169.254/id";

type Answer = Result<Collected, CollectError>;

const WORD: Fact = Fact::primary("a word", "rack", Stability::PerBoot);
const COUNT: Fact = Fact::named("count", "a number", "1", Stability::PerBoot).kind(Kind::Number);

const fn blocking(collect: fn(&Context) -> Answer) -> Collector {
    named("rack", Collect::Blocking(collect))
}

const fn asking(collect: for<'a> fn(&'a Context) -> BoxFuture<'a, Answer>) -> Collector {
    named("rack", Collect::Async(collect))
}

const fn named(name: &'static str, collect: Collect) -> Collector {
    Collector::new(name, Topic::Other("site"), "The rack", &[WORD, COUNT], collect).reads(&FILES)
}

/// The text of `/sys/word` and the number in `/sys/count`.
fn facts(cx: &Context) -> Result<Facts, CollectError> {
    Ok(Facts::new(cx.host.read("/sys/word")?.to_string()).with_read(&COUNT, cx.host.line("/sys/count")))
}

static SOUND: Collector = blocking(|cx| Ok(facts(cx)?.into()));

/// A machine with both facts, one without the number, and one of a cloud.
fn fixtures() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("both/sys/word", "rack"),
        ("both/sys/count", "1"),
        ("one/sys/word", "shelf"),
        ("cloud/sys/word", "cloud"),
        ("cloud.metadata/id", "i-1"),
    ] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn breaches(collector: &'static Collector) -> Vec<String> {
    let folder = fixtures();
    Contract::new(folder.path()).examine(collector).1
}

/// Every breach of a collector must contain the words.
#[track_caller]
fn breaks(collector: &'static Collector, words: &str) {
    let breaches = breaches(collector);
    assert!(!breaches.is_empty(), "nothing is noticed");
    assert!(breaches.iter().all(|breach| breach.contains(words)), "{breaches:#?}");
}

#[test]
fn a_sound_collector_breaks_nothing_and_its_outcomes_are_by_machine() {
    let folder = fixtures();
    let outcomes = Contract::new(folder.path()).check(&SOUND);
    let names: Vec<_> = outcomes.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["both", "cloud", "nothing-to-see", "one"]);
    let both = serde_json::json!({"outcome": "collected", "facts": {"rack": "rack", "rack.count": "1"}});
    assert_eq!(outcomes["both"], both);
    assert_eq!(outcomes["nothing-to-see"]["outcome"], "failed");
}

#[test]
#[should_panic(
    expected = "the collector `rack` breaks its contract\n- on `both` it asks for the variable `A`"
)]
fn check_panics_and_names_the_breach() {
    static VARIABLE: Collector = blocking(|cx| {
        cx.environment.get("A");
        Ok(facts(cx)?.into())
    });
    let folder = fixtures();
    Contract::new(folder.path()).check(&VARIABLE);
}

#[test]
fn what_is_not_declared_is_noticed_even_if_the_refusal_is_swallowed() {
    static PATH: Collector = blocking(|cx| {
        let _ = cx.host.line("/etc/rack");
        Ok(facts(cx)?.into())
    });
    breaks(&PATH, "asks for the host path `/etc/rack`, which it does not declare");
    static ABOVE: Collector = blocking(|cx| {
        let _ = cx.host.exists("/proc/../etc/rack");
        Ok(facts(cx)?.into())
    });
    breaks(&ABOVE, "asks for the host path `/proc/../etc/rack`, which it does not declare");
    static FACT: Collector = blocking(|cx| {
        const OTHER: Fact = Fact::named("other", "another", "x", Stability::PerBoot);
        Ok(facts(cx)?.with(&OTHER, "x").into())
    });
    breaks(&FACT, "yields the fact `other`, which it does not declare");
}

#[test]
fn an_undeclared_network_is_noticed_even_if_the_refusal_is_swallowed() {
    static HTTP: Collector = asking(|cx| {
        Box::pin(async {
            let _ = cx.http.send(HttpRequest::get(ID)).await;
            Ok(facts(cx)?.into())
        })
    });
    breaks(&HTTP, "asks for the metadata service `http://169.254.169.254/id`, which it does not declare");
    static DNS: Collector = asking(|cx| {
        Box::pin(async {
            let _ = cx.resolver.addresses("example.com").await;
            let _ = cx.resolver.names([192, 0, 2, 1].into()).await;
            Ok(facts(cx)?.into())
        })
    });
    breaks(&DNS, "in DNS, which it does not declare");
    assert_eq!(breaches(&DNS).len(), 8);
}

#[test]
fn nobody_is_asked_blindly() {
    static BLIND: Collector = asking(|cx| {
        Box::pin(async {
            let _ = cx.http.send(HttpRequest::get(ID)).await;
            Ok(facts(cx)?.into())
        })
    })
    .needs(&[Need::MetadataService])
    .reads(&[FILES[0], FILES[1], ID]);
    let found = breaches(&BLIND);
    let expected = |machine| {
        format!(
            "on `{machine}` it asks `http://169.254.169.254/id`, though the machine has no metadata service"
        )
    };
    assert_eq!(found, [expected("both"), expected("one"), expected("nothing-to-see")]);
}

#[test]
fn the_network_that_is_declared_answers() {
    static NETWORK: Collector = asking(|cx| {
        Box::pin(async {
            let address = cx.environment.get("ADDRESS").unwrap_or_default().parse().unwrap();
            let names = cx.resolver.names(address).await?;
            let facts = facts(cx)?.with(&COUNT, names.len());
            if cx.host.line("/sys/word")?.as_deref() != Some("cloud") {
                return Ok(facts.into());
            }
            let id = cx.http.send(HttpRequest::get(ID)).await?;
            Ok(Facts::new(String::from_utf8(id.body).unwrap()).with(&COUNT, names.len()).into())
        })
    })
    .needs(&[Need::Dns, Need::MetadataService])
    .reads(&[FILES[0], FILES[1], ID])
    .variables(&[Variable::field("ADDRESS", "an address", "status.hostIP")]);
    let folder = fixtures();
    let (outcomes, breaches) = Contract::new(folder.path()).examine(&NETWORK);
    assert_eq!(breaches, [""; 0]);
    assert_eq!(outcomes["cloud"]["facts"], serde_json::json!({"rack": "i-1", "rack.count": "1"}));
    assert_eq!(outcomes["one"]["facts"], serde_json::json!({"rack": "shelf", "rack.count": "1"}));
}

#[test]
fn a_value_of_another_kind_is_noticed() {
    static KIND: Collector = blocking(|cx| Ok(facts(cx)?.with(&COUNT, "12 units").into()));
    breaks(&KIND, "yields the fact `count` with the value `12 units`, which is no number");
}

#[test]
fn what_cannot_be_seen_is_not_absent() {
    static SWALLOWS: Collector = blocking(|cx| {
        Ok(Facts::new(cx.host.read("/sys/word")?.to_string())
            .with_some(&COUNT, cx.host.line("/sys/count").ok().flatten())
            .into())
    });
    breaks(&SWALLOWS, "leaves the fact `count` out without a reason if `/sys/count` cannot be seen");
    static DEFAULT: Collector = blocking(|cx| {
        let count = cx.host.number("/sys/count").ok().flatten().unwrap_or_default();
        Ok(Facts::new(cx.host.read("/sys/word")?.to_string()).with(&COUNT, count).into())
    });
    breaks(&DEFAULT, "says that the fact `count` is `0` if `/sys/count` cannot be seen");
    static NOT_APPLICABLE: Collector = blocking(|cx| match cx.host.read("/sys/word") {
        Ok(_) => Ok(facts(cx)?.into()),
        Err(_) => Ok(Collected::not_applicable("there is no rack")),
    })
    .not_applicable("without a rack");
    let found = breaches(&NOT_APPLICABLE);
    let hidden = "it is not applicable (there is no rack) if `/sys/word` cannot be seen";
    let nothing = "it says that there is nothing, though it cannot see anything: there is no rack";
    let expected = [("both", hidden), ("cloud", hidden), ("one", hidden), ("nothing-to-see", nothing)];
    assert_eq!(found, expected.map(|(machine, breach)| format!("on `{machine}` {breach}")));
    static MADE_UP: Collector = blocking(|cx| Ok(facts(cx).unwrap_or_else(|_| Facts::new("unknown")).into()));
    let found = breaches(&MADE_UP);
    assert!(
        found.contains(&"on `nothing-to-see` it has facts, though it cannot see anything".to_owned()),
        "{found:#?}"
    );
}

#[test]
fn an_outcome_that_differs_is_noticed() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    static COUNTING: Collector =
        blocking(|_| Ok(Facts::new("rack").with(&COUNT, RUNS.fetch_add(1, Ordering::Relaxed)).into()))
            .reads(&[]);
    breaks(&COUNTING, "does not say the same each time: ");
}

#[test]
fn a_failure_is_noticed_but_on_a_hostile_machine() {
    static FAILS: Collector = blocking(|cx| {
        if cx.host.line("/sys/word")?.as_deref() == Some("shelf") {
            return Err(CollectError::new("a shelf"));
        }
        Ok(facts(cx)?.into())
    });
    breaks(&FAILS, "on `one` it fails: a shelf");
    let folder = fixtures();
    assert_eq!(Contract::new(folder.path()).hostile("one").examine(&FAILS).1, [""; 0]);
}

#[test]
fn a_panic_is_noticed_on_any_machine() {
    static PANICS: Collector = blocking(|cx| {
        assert!(cx.host.line("/sys/word")?.as_deref() != Some("shelf"), "a shelf");
        Ok(facts(cx)?.into())
    });
    let folder = fixtures();
    let breaches = Contract::new(folder.path()).hostile("one").examine(&PANICS).1;
    assert_eq!(breaches, ["on `one` it panics: a shelf"]);
}

#[test]
fn a_secret_is_noticed_wherever_it_is_told() {
    static LEFT_OUT: Collector =
        blocking(|cx| Ok(facts(cx)?.without(&WORD, format!("not {}", crate::SECRET)).into()));
    breaks(&LEFT_OUT, "publishes a secret");
    static REASON: Collector = blocking(|cx| match cx.host.line("/sys/count")? {
        Some(_) => Ok(facts(cx)?.into()),
        None => Ok(Collected::not_applicable(crate::SECRET)),
    })
    .not_applicable("without a number");
    breaks(&REASON, "publishes a secret");
}

#[test]
fn a_fact_that_is_found_nowhere_is_noticed() {
    static RARE: Collector =
        blocking(|cx| Ok(Facts::new(cx.host.read("/sys/word")?.to_string()).into())).reads(&["/sys/word"]);
    assert_eq!(breaches(&RARE), ["the fact `count` is found on no machine"]);
}

#[test]
fn an_example_is_a_value_of_some_machine() {
    static OTHER: Collector = blocking(|cx| Ok(facts(cx)?.with(&COUNT, 42).into()));
    assert_eq!(breaches(&OTHER), ["the example `1` of the fact `count` is its value on no machine"]);
}

#[test]
fn the_description_names_what_is_read_and_nothing_else() {
    static FEWER: Collector = blocking(|cx| Ok(facts(cx)?.into())).reads(&["/sys/word"]);
    assert_eq!(breaches(&FEWER), ["it reads `/sys/count`, which its description does not name"]);
    static MORE: Collector = blocking(|cx| Ok(facts(cx)?.into())).reads(&[FILES[0], FILES[1], "/sys/other"]);
    assert_eq!(breaches(&MORE), ["it is said to read `/sys/other`, and does so on no machine"]);
}

#[test]
fn the_description_says_where_it_is_not_applicable() {
    static SILENT: Collector = blocking(|cx| match cx.host.line("/sys/count")? {
        Some(_) => Ok(facts(cx)?.into()),
        None => Ok(Collected::not_applicable("there is no number")),
    });
    let found = breaches(&SILENT);
    assert!(
        found.contains(&"its description does not say where it is not applicable".to_owned()),
        "{found:#?}"
    );
    static WRONG: Collector = blocking(|cx| Ok(facts(cx)?.into())).not_applicable("without a rack");
    assert_eq!(breaches(&WRONG), ["it is said not to apply without a rack, and applies on every machine"]);
}

#[test]
fn a_wrong_declaration_is_noticed() {
    static WRONG: Collector = named("Rack", Collect::Blocking(|cx| Ok(facts(cx)?.into())));
    breaks(&WRONG, "collector `Rack`: the name is not in kebab case");
}

#[test]
#[should_panic(expected = "there is no machine in")]
fn a_contract_without_machines_is_none() {
    let folder = tempfile::tempdir().unwrap();
    Contract::new(folder.path());
}

#[test]
#[should_panic(expected = "there is no machine `both-ends`")]
fn a_hostile_machine_must_be_there() {
    let folder = fixtures();
    let _ = Contract::new(Path::new(folder.path())).hostile("both-ends");
}
