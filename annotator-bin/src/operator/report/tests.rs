//! The page of a fleet: what it says, how it is made, and what it lets through.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use insta::assert_snapshot;
use node_annotator_collectors as _;
use node_annotator_core::{Fact, Selected};
use proptest::prelude::*;
use regex::Regex;
use sha2::{Digest as _, Sha256};

use super::page::{POLICY, SCRIPT, STYLE};
use super::*;

fn about(title: &str) -> About {
    About {
        title: title.to_owned(),
        version: "1.2.3".to_owned(),
        time: "2026-01-02T03:04:05Z".parse().unwrap(),
    }
}

fn entry(collector: &str, state: State, why: Option<&str>) -> Entry {
    Entry { collector: collector.to_owned(), state, why: why.map(str::to_owned) }
}

fn node(name: &str, pool: &str, facts: &BTreeMap<String, String>) -> Node {
    let key = |name: &str| format!("k8s.haim.dev/{name}");
    let primary = facts.keys().filter(|name| !name.contains('.'));
    let mut labels: BTreeMap<_, _> = primary.map(|name| (key(name), "saved".to_owned())).collect();
    labels.insert("pool".to_owned(), pool.to_owned());
    let mut node = Node::default();
    node.metadata.name = name.to_owned();
    node.metadata.labels = Some(labels);
    node.metadata.annotations = Some(facts.iter().map(|(name, value)| (key(name), value.clone())).collect());
    node
}

/// Nodes of three pools with the examples of all facts, some of them in trouble.
fn fleet(nodes: usize, vary: impl Fn(usize, &mut BTreeMap<String, String>)) -> Fleet {
    let registry = Registry::from_inventory().unwrap();
    let by_default: Vec<_> =
        registry.iter().filter(|collector| collector.selected == Selected::ByDefault).collect();
    let names = by_default.iter().map(|collector| collector.name).collect();
    let mut fleet = Fleet::new(Grouping::Pool, &names);
    for number in 1..=nodes {
        let mut facts = BTreeMap::new();
        for collector in &by_default {
            facts.extend(collector.facts.iter().map(|fact: &Fact| {
                let end = fact.name.map(|name| format!(".{name}")).unwrap_or_default();
                (format!("{}{end}", collector.name), fact.example.to_owned())
            }));
        }
        let mut set = |name: &str, value: &str| drop(facts.insert(name.to_owned(), value.to_owned()));
        let pool = ["batch", "gpu", "web"][number % 3];
        if pool == "gpu" {
            set("cpu-model", "AMD EPYC 9654 96-Core Processor");
            set("cpu-model.vendor", "AuthenticAMD");
        }
        if number % 13 == 0 {
            set("kernel", "5.15.0-113-generic");
            set("kernel.major", "5");
            set("kernel.minor", "15");
        }
        if number == 5 {
            set("lsm", "selinux");
        }
        vary(number, &mut facts);
        let entries: Vec<_> = by_default
            .iter()
            .map(|collector| match (collector.name, number % 20) {
                ("kernel", 3) => entry("kernel", State::Stale, Some("another boot")),
                ("dmi", 7) => entry("dmi", State::Failed, Some("`/sys/class/dmi/id` cannot be read: permission denied")),
                (name, 11) => {
                    entry(name, State::Pending, Some("the taint `example.com/gpu=a:NoSchedule` is not tolerated by DaemonSet `node-annotator`"))
                }
                ("virt", 12) => entry("virt", State::GivenUp, Some("no CPU is listed in /proc/cpuinfo")),
                (name, 19) => entry(name, State::LeftOut, Some("opted out by the label `k8s.haim.dev/opt-out`")),
                (name, _) => entry(name, State::Done, None),
            })
            .collect();
        let node = node(&format!("worker-{number:04}"), pool, &facts);
        fleet.add(&node, &entries, &Prefix::default(), &registry, |_| true);
    }
    fleet
}

fn page(fleet: &Fleet, title: &str) -> String {
    fleet.report(&about(title)).render(ReportForm::Html).unwrap()
}

#[test]
fn the_policy_of_the_page_names_its_own_script_and_style() {
    for (kind, text) in [("style", STYLE), ("script", SCRIPT)] {
        let sum = BASE64_STANDARD.encode(Sha256::digest(text));
        assert!(POLICY.contains(&format!("{kind}-src 'sha256-{sum}'")), "{kind}-src 'sha256-{sum}'");
    }
}

#[test]
fn the_same_is_on_the_page_and_in_the_data() {
    let fleet = fleet(40, |_, _| {});
    let about = about("production <east>");
    let report = fleet.report(&about);
    if let Some(path) = std::env::var_os("REPORT_SAMPLE") {
        std::fs::write(path, page(&fleet, "production")).unwrap();
    }
    assert_snapshot!("report-json", report.render(ReportForm::Json).unwrap());
    let page = report.render(ReportForm::Html).unwrap();
    let tags = Regex::new("<[^>]*>").unwrap();
    let page = page.replacen(STYLE, "", 1).replacen(SCRIPT, "", 1);
    let words = tags.replace_all(&page, " ").split_whitespace().collect::<Vec<_>>().join(" ");
    for text in [
        "production &lt;east&gt;",
        "40 nodes",
        "failed 2 dmi `/sys/class/dmi/id` cannot be read: permission denied worker-[0007,0027]",
        "stale 2 kernel another boot worker-[0003,0023]",
        "lsm apparmor,yama 39 selinux 1",
        "5.15.0-113-generic",
    ] {
        assert!(words.contains(text), "{text}: {words}");
    }
}

#[test]
fn a_page_is_bounded_whatever_the_fleet() {
    let alike = page(&fleet(5000, |_, _| {}), "t");
    assert!(alike.len() < 300_000, "{}", alike.len());
    // No two nodes have anything in common, and each value is as long as a fact may be.
    let different = |number: usize, facts: &mut BTreeMap<String, String>| {
        for (at, value) in facts.values_mut().enumerate() {
            *value = format!("{number}-{at}-{}", "x".repeat(1000));
        }
    };
    let different = page(&fleet(5000, different), "t");
    assert!(different.len() < 8_000_000, "{}", different.len());
}

/// A text that somebody may have put on a node to get into the page.
fn hostile() -> impl Strategy<Value = String> {
    let parts = proptest::sample::select(vec![
        "<script>alert(1)</script>",
        "</style>",
        "</script>",
        "<!--",
        "-->",
        "\"",
        "'",
        "&",
        "&lt;",
        "<",
        ">",
        "=",
        "`",
        " onload=alert(1) ",
        "javascript:x",
        "<img src=x onerror=y>",
        "]]>",
        "\u{0}",
        "\u{1b}[2J",
        "\u{202e}",
        "é",
        "x",
    ]);
    proptest::collection::vec(parts, 1..8).prop_map(|parts| parts.concat())
}

/// What the page is made of: tags that are ours, with attributes that are ours, and text.
fn foreign(page: &str) -> Option<String> {
    let tag = Regex::new(concat!(
        "<!DOCTYPE html>|</?(html|head|body|header|main|section|footer|h1|h2|h3|p|ul|li|strong|small|mark|code|time|",
        "div|figure|figcaption|table|thead|tbody|tr|th|td|span|svg|rect|title|meta|br|style|script)",
        "( (lang|charset|http-equiv|content|name|class|align|datetime|border|cellpadding|cellspacing|width|height|scope|id|",
        "viewBox|preserveAspectRatio|role|aria-label|x|rx|fill)=\"[^\"<>]*\")*>"
    ))
    .unwrap();
    let page = page.replacen(STYLE, "", 1).replacen(SCRIPT, "", 1);
    let rest = tag.replace_all(&page, "");
    let at = rest.find(['<', '>'])?;
    Some(rest[rest.floor_char_boundary(at.saturating_sub(40))..].chars().take(120).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_value_gets_out_of_its_place(texts in proptest::collection::vec(hostile(), 8), title in hostile()) {
        let registry = Registry::from_inventory().unwrap();
        let mut fleet = Fleet::new(Grouping::Pool, &BTreeSet::from(["kernel", texts[0].as_str()]));
        for number in 0..5 {
            let text = |at: usize| texts[(number + at) % texts.len()].clone();
            let mut facts = BTreeMap::from([
                ("kernel".to_owned(), if number < 4 { texts[1].clone() } else { text(2) }),
                ("kernel.taints".to_owned(), text(3)),
                (text(4), text(5)),
            ]);
            if number == 2 {
                facts.insert("kernel.features".to_owned(), text(6));
            }
            let entries = [entry("kernel", State::Failed, Some(&text(6))), entry(&texts[0], State::Pending, Some(&text(7)))];
            let node = node(&text(0), &texts[number % 2], &facts);
            fleet.add(&node, &entries, &Prefix::default(), &registry, |_| true);
        }
        let page = page(&fleet, &title);
        prop_assert_eq!(foreign(&page), None);
        prop_assert_eq!(page.matches("<script").count(), 1);
        let moves_text = ['\0', '\u{1b}', '\u{202e}'];
        prop_assert!(!page.contains(moves_text));
    }
}
