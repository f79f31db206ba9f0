//! The commands that compare and report, on a thousand nodes.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::PostParams;

use super::*;
use crate::support::{annotations, labels};

const NODES: usize = 1000;

/// Every hundredth node has another kernel.
fn is_odd(number: usize) -> bool {
    number % 100 == 7
}

/// A node as it stands after a run, under other names. No kubelet keeps them: what is done stays done.
async fn multiply(cluster: &Cluster, model: &Node) -> Result<()> {
    let nodes = Api::<Node>::all(cluster.client());
    let ours = |texts: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        let ours = texts.iter().filter(|(key, _)| key.starts_with("k8s.haim.dev/"));
        ours.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let create = async |number: usize| -> Result<()> {
        let mut node = Node { status: model.status.clone(), ..Node::default() };
        let (mut facts, mut marks) = (ours(annotations(model)), ours(labels(model)));
        marks.insert("pool".to_owned(), format!("p{}", number % 2));
        if is_odd(number) {
            facts.insert(key("kernel"), "5.15.0-113-generic".to_owned());
            facts.insert(key("kernel.minor"), "15".to_owned());
            if let Some(info) = node.status.as_mut().and_then(|status| status.node_info.as_mut()) {
                "5.15.0-113-generic".clone_into(&mut info.kernel_version);
            }
        }
        node.metadata.name = Some(format!("worker-{number:04}"));
        (node.metadata.annotations, node.metadata.labels) = (Some(facts), Some(marks));
        nodes.create(&PostParams::default(), &node).await?;
        Ok(())
    };
    stream::iter((1..NODES).map(create)).buffer_unordered(16).try_collect().await
}

#[tokio::test]
async fn a_thousand_nodes_are_compared_and_reported() -> Result<()> {
    let cluster = Cluster::start(Options::default()).await?;
    cluster.add_node(node_of("model", "intel-xeon")).await?;
    install(&cluster, &impatient()?).await?;
    wait_for_states(&cluster, &[("model kernel", "done"), ("model cpu-model", "done")]).await?;
    multiply(&cluster, &cluster.node("model").await?).await?;

    let diff = run(&cluster, &["diff", "worker-0007", "worker-0008"]).await?;
    assert!(diff.stdout.contains("\nfacts that differ: 2, "), "{diff:?}");

    let drift = run(&cluster, &["drift", "--exit-code"]).await?;
    assert_eq!((drift.code, drift.stderr.as_str()), (3, ""), "{drift:?}");
    assert!(drift.stdout.contains("1000 nodes: 10 differ from most, in 2 facts"), "{drift:?}");
    assert!(drift.stdout.contains("worker-[0007,0107,0207,0307,0407,0507,0607,0707,0807,0907]"), "{drift:?}");
    let names = run(&cluster, &["drift", "-o", "name"]).await?;
    assert_eq!(names.stdout.lines().count(), 10);

    let file = cluster.folder().join("expectations.yaml");
    fs::write(&file, "expectations:\n- expect: kernel.minor < 15\n- expect: kernel\n  selector: pool=p1\n")?;
    let check = run(&cluster, &["check", "-f", &file.to_string_lossy()]).await?;
    assert_eq!(check.code, 3, "{check:?}");
    let line = "1000 nodes, 2 expectations: 1490 passed, 10 failed, 0 unknown\n";
    assert!(check.stdout.ends_with(line), "{check:?}");

    let json = run(&cluster, &["report", "-o", "json"]).await?.json()?;
    assert_eq!((&json["kind"], &json["nodeCount"]), (&json!("FleetReport"), &json!(NODES)));
    assert_eq!(
        json["nodes"].as_array().map(Vec::len),
        Some(4),
        "alike in pool and facts: {:#}",
        json["nodes"]
    );
    let page = run(&cluster, &["report", "--title", "A <large> fleet"]).await?;
    assert_eq!((page.code, page.stderr.as_str()), (0, ""), "{page:?}");
    assert!(page.stdout.contains("<h1>A &lt;large&gt; fleet</h1>"), "{}", page.stdout);
    assert!(page.stdout.contains("<strong>1000</strong> nodes"), "{}", page.stdout);
    assert!(page.stdout.len() < 100_000, "{}", page.stdout.len());
    for load in ["src=", "href=", "@import", "url(", "http://", "https://"] {
        assert!(!page.stdout.contains(load), "nothing is loaded: {load}");
    }
    super::browser::a_report_is_sorted_and_searched(cluster.folder(), &page.stdout).await
}
