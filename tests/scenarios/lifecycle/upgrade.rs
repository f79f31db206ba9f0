//! A version with a later revision of a collector: it runs again what changed, once, and nothing fights.

use std::sync::Arc;

use anyhow::{Result, ensure};
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, Registry, Selection, Stability, Topic,
};
use node_annotator_deploy::{Layout, Manifests, PolicyMode, Settings};
use node_annotator_tests::kubelet::InProcess;
use node_annotator_tests::kubelet::events::Event;
use node_annotator_tests::kubelet::runtime::{ContainerSpec, Running, Runtime};
use node_annotator_tests::{Cluster, NodeSpec, Options};

use super::kubectl::Kubectl;
use super::{daemon_sets, ensure_starts, wait_for_value};
use crate::support::{annotations, install, key, labels, starts, wait_until_gone};

const WORD: Fact = Fact::primary("a word", "first", Stability::Immutable);

const fn collector(
    name: &'static str,
    collect: fn(&Context) -> Result<Collected, CollectError>,
) -> Collector {
    Collector::new(name, Topic::Other("test"), "A word", &[WORD], Collect::Blocking(collect))
}

static STEADY: Collector = collector("steady", |_| Ok(Facts::new("steady").into()));
static FIRST: Collector = collector("changing", |_| Ok(Facts::new("first").into()));
static SECOND: Collector = collector("changing", |_| Ok(Facts::new("second").into())).revision(2);

/// Comes when both versions are installed.
const NEW_NODE: &str = "new";

/// Two versions of one product.
#[derive(Debug, Clone, Copy)]
enum Version {
    Older,
    Newer,
}

impl Version {
    fn image(self) -> &'static str {
        match self {
            Self::Older => "node-annotator:older",
            Self::Newer => "node-annotator:newer",
        }
    }

    fn registry(self) -> Registry {
        let changing = match self {
            Self::Older => &FIRST,
            Self::Newer => &SECOND,
        };
        Registry::new([&STEADY, changing]).expect("they are well declared")
    }

    fn settings(self, layout: Layout) -> Settings {
        let selection = Selection::parse("all", &self.registry()).expect("there are two");
        Settings { image: self.image().to_owned(), layout, ..Settings::new(selection) }
    }
}

/// Runs the version that the image names.
#[derive(Debug)]
struct Images;

impl Runtime for Images {
    fn start(&self, mut spec: ContainerSpec) -> Result<Running> {
        // Where both versions run, the older may write last, while a pod of the newer still lingers: that one
        // stays, and runs again when it has lingered for long enough.
        if spec.node == NEW_NODE {
            spec.env.push(("NODE_ANNOTATOR_LINGER_LIMIT".to_owned(), "10s".to_owned()));
        }
        let version =
            [Version::Older, Version::Newer].into_iter().find(|version| version.image() == spec.image);
        let version = version.ok_or_else(|| anyhow::anyhow!("there is no image `{}`", spec.image))?;
        InProcess.start_of(&version.registry(), &spec)
    }
}

async fn start() -> Result<Cluster> {
    let cluster = Cluster::start(Options { runtime: Some(Arc::new(Images)), ..Options::default() }).await?;
    for node in ["n1", "n2"] {
        cluster.add_node(NodeSpec::new(node)).await?;
    }
    Ok(cluster)
}

/// How often pods of a DaemonSet were started.
fn starts_of(cluster: &Cluster, daemon_set: &str) -> usize {
    let is_of = |event: &Event| {
        event.pod.rsplit_once('-').is_some_and(|(generated_from, _)| generated_from == daemon_set)
    };
    starts(&cluster.events().all().into_iter().filter(is_of).collect::<Vec<_>>())
}

#[tokio::test]
async fn an_upgrade_runs_what_changed_once_on_every_node_and_going_back_runs_nothing() -> Result<()> {
    let cluster = start().await?;
    let sets = install(&cluster, &Version::Older.settings(Layout::PerCollector)).await?;
    for node in ["n1", "n2"] {
        wait_for_value(&cluster, node, &key("changing"), "saved").await?;
        wait_for_value(&cluster, node, &key("steady"), "saved").await?;
    }
    ensure_starts(&cluster, &sets, &[("n1", 2), ("n2", 2)]).await?;

    install(&cluster, &Version::Newer.settings(Layout::PerCollector)).await?;
    for node in ["n1", "n2"] {
        wait_for_value(&cluster, node, &key("changing"), "saved.r2").await?;
        assert_eq!(annotations(&cluster.node(node).await?)[&key("changing")], "second");
    }
    ensure_starts(&cluster, &sets, &[("n1", 3), ("n2", 3)]).await?;
    assert_eq!(starts_of(&cluster, "node-annotator-steady"), 2);

    install(&cluster, &Version::Older.settings(Layout::PerCollector)).await?;
    ensure_starts(&cluster, &sets, &[("n1", 3), ("n2", 3)]).await?;
    // A node that comes now is of the older version, and the only one that the newer runs on again.
    cluster.add_node(NodeSpec::new("n3")).await?;
    wait_for_value(&cluster, "n3", &key("changing"), "saved").await?;
    wait_for_value(&cluster, "n3", &key("steady"), "saved").await?;
    ensure_starts(&cluster, &sets, &[("n1", 3), ("n2", 3), ("n3", 2)]).await?;
    assert_eq!(labels(&cluster.node("n1").await?)[&key("changing")], "saved.r2");

    install(&cluster, &Version::Newer.settings(Layout::PerCollector)).await?;
    wait_for_value(&cluster, "n3", &key("changing"), "saved.r2").await?;
    ensure_starts(&cluster, &sets, &[("n1", 3), ("n2", 3), ("n3", 3)]).await
}

#[tokio::test]
async fn what_is_left_over_of_another_layout_and_an_older_version_fights_nobody() -> Result<()> {
    // With the policy the left-over is refused where it would write the older value; without it, it writes
    // it.
    for policy in [PolicyMode::Enforced, PolicyMode::Omitted] {
        let cluster = start().await?;
        let kubectl = Kubectl::of(&cluster).await?;
        let older = Settings { policy, ..Version::Older.settings(Layout::PerCollector) };
        let left_over = install(&cluster, &older).await?;
        for node in ["n1", "n2"] {
            wait_for_value(&cluster, node, &key("changing"), "saved").await?;
            wait_for_value(&cluster, node, &key("steady"), "saved").await?;
        }
        ensure_starts(&cluster, &left_over, &[("n1", 2), ("n2", 2)]).await?;

        // One pod runs all its collectors when one is due.
        let newer = Settings { policy, ..Version::Newer.settings(Layout::Combined) };
        let sets = install(&cluster, &newer).await?;
        let all: Vec<_> = sets.iter().chain(&left_over).cloned().collect();
        for node in ["n1", "n2"] {
            wait_for_value(&cluster, node, &key("changing"), "saved.r2").await?;
        }
        ensure_starts(&cluster, &all, &[("n1", 3), ("n2", 3)]).await?;

        // On a new node both run, and both are done.
        cluster.add_node(NodeSpec::new(NEW_NODE)).await?;
        wait_for_value(&cluster, NEW_NODE, &key("steady"), "saved").await?;
        wait_for_value(&cluster, NEW_NODE, &key("changing"), "saved.r2").await?;
        wait_until_gone(&cluster, &all).await?;
        let node = cluster.node(NEW_NODE).await?;
        assert_eq!(labels(&node)[&key("changing")], "saved.r2");
        assert_eq!(annotations(&node)[&key("changing")], "second");
        let on_new = starts(&cluster.events().on_node(NEW_NODE));
        // Without the policy the left-over may come last, and the newer once or twice more.
        ensure!((1..=5).contains(&on_new), "{on_new}: {:#?}", cluster.events().on_node(NEW_NODE));

        assert_eq!(daemon_sets(&cluster).await?.len(), 3);
        for command in Manifests::new(&newer)?.prune_commands() {
            kubectl.run(command).await?;
        }
        assert_eq!(daemon_sets(&cluster).await?, sets);
        ensure_starts(&cluster, &sets, &[("n1", 3), ("n2", 3), (NEW_NODE, on_new)]).await?;
    }
    Ok(())
}
