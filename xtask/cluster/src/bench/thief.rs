//! What a stolen token of a pod costs the cluster, behind the policy and without it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Namespace, Node};
use kube::api::{Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use node_annotator_core::write::FIELD_MANAGER;
use node_annotator_core::{Registry, Selection};
use node_annotator_deploy::policy::{Keys, Scope};
use node_annotator_deploy::{PolicyMode, Settings};
use node_annotator_tests::{Cluster, NodeSpec, Options as ClusterOptions};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio::time::interval;

use super::figures::{Figure, Figures, Unit, float};
use super::pod::{self, Recorder};
use super::progress;
use super::server::Snapshot;

const NODE: &str = "n1";
const FLOOD: Duration = Duration::from_secs(20);
const CONNECTIONS: usize = 8;
/// How often another client reads.
const TICK: Duration = Duration::from_millis(50);
const PATCHES: usize = 200;
/// Managers that are forged, and what each claims: more is too much for the API server, which then drops the
/// record.
const FORGED: usize = 60;
const CLAIMS: usize = 70;
const LARGE: &str = "example.com/large";
/// What the API server takes of annotations, less a little for those of others.
const MOST_BYTES: usize = 250 * 1024;

pub(super) async fn measure(figures: &mut Figures) -> Result<()> {
    for (subject, policy) in
        [("thief, no policy", PolicyMode::Omitted), ("thief behind the policy", PolicyMode::Enforced)]
    {
        Stage::start(subject, policy).await?.measure(figures).await?;
    }
    Ok(())
}

/// A cluster with one node, and the token of a pod on it.
struct Stage {
    subject: &'static str,
    policy: PolicyMode,
    cluster: Cluster,
    thieves: Vec<Api<Node>>,
    keys: Keys,
}

/// Answers by status.
#[derive(Default)]
struct Answers {
    /// Of those that passed, what came of them: where nothing changes, the version stays.
    versions: BTreeSet<String>,
    /// By admission.
    refused: usize,
    /// By the queue, or for another reason.
    other: usize,
}

impl Stage {
    async fn start(subject: &'static str, policy: PolicyMode) -> Result<Self> {
        progress(&format!("{subject}: starting a control plane"));
        let recorder = Arc::<Recorder>::default();
        let options = ClusterOptions { runtime: Some(recorder.clone()), ..ClusterOptions::default() };
        let cluster = Cluster::start(options).await?;
        let selection = Selection::parse("default", &Registry::from_inventory()?)?;
        let settings = Settings { policy, ..Settings::new(selection) };
        let started = pod::start(&cluster, &recorder, &settings, NodeSpec::new(NODE)).await?;
        let mut thieves = Vec::new();
        for _ in 0..CONNECTIONS {
            let kubeconfig = Kubeconfig::read_from(&started.kubeconfig)?;
            let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
            thieves.push(Api::all(Client::try_from(config)?));
        }
        let keys = Scope::new(&settings).keys();
        Ok(Self { subject, policy, cluster, thieves, keys })
    }

    async fn measure(self, figures: &mut Figures) -> Result<()> {
        self.honest_writes(figures).await?;
        self.flood(figures).await?;
        self.writes_of_others(figures).await
    }

    /// What a run's PATCH costs the servers, each on a Node that an administrator clears before.
    async fn honest_writes(&self, figures: &mut Figures) -> Result<()> {
        progress(&format!("{}: writes of a run", self.subject));
        let run = self.filled(40);
        let mut seconds = Vec::new();
        let before = Snapshot::take(&self.cluster).await?;
        for _ in 0..PATCHES {
            self.clear().await?;
            let started = Instant::now();
            self.thieves[0].patch_metadata(NODE, &parameters(), &Patch::Merge(&run)).await?;
            seconds.push(started.elapsed().as_secs_f64());
        }
        let cpu = Snapshot::take(&self.cluster).await?.cpu_since(&before) / float(PATCHES);
        let median = percentile(&mut seconds, 50);
        figures.add(self.figure("write of a run, median", median * 1e3, Unit::Milliseconds));
        figures.add(self.figure("clearing and writing, processor time", cpu * 1e3, Unit::Milliseconds));
        Ok(())
    }

    /// As many changes as the token gets through, and what another client sees meanwhile.
    async fn flood(&self, figures: &mut Figures) -> Result<()> {
        progress(&format!("{}: {} s of writes", self.subject, FLOOD.as_secs()));
        let (calm, _) = self.reads(Duration::from_secs(5)).await?;
        let before = Snapshot::take(&self.cluster).await?;
        let end = Instant::now() + FLOOD;
        let mut flood = JoinSet::new();
        for (number, thief) in self.thieves.iter().cloned().enumerate() {
            let largest = self.largest(&format!("{number}-ROUND.")).to_string();
            flood.spawn(async move {
                let mut answers = Answers::default();
                for round in 10_000.. {
                    if Instant::now() >= end {
                        break;
                    }
                    let body = largest.replace("ROUND", &round.to_string());
                    let body =
                        Patch::Merge(serde_json::from_str::<Value>(&body).expect("it is made of JSON"));
                    match thief.patch_metadata(NODE, &parameters(), &body).await {
                        Ok(node) => answers.versions.extend(node.metadata.resource_version),
                        Err(kube::Error::Api(status)) if status.code == 422 => answers.refused += 1,
                        Err(_) => answers.other += 1,
                    }
                }
                answers
            });
        }
        let (median, most) = self.reads(FLOOD).await?;
        let answers = flood.join_all().await;
        let after = Snapshot::take(&self.cluster).await?;
        let sum = |of: fn(&Answers) -> usize| float(answers.iter().map(of).sum()) / FLOOD.as_secs_f64();
        let stored: BTreeSet<_> = answers.iter().flat_map(|answers| &answers.versions).collect();
        for (name, value, unit) in [
            ("flood: stored, each second", float(stored.len()) / FLOOD.as_secs_f64(), Unit::Plain),
            ("flood: refused, each second", sum(|answers| answers.refused), Unit::Plain),
            ("flood: turned away, each second", sum(|answers| answers.other), Unit::Plain),
            (
                "flood: growth of etcd, each second",
                float(after.store_bytes.saturating_sub(before.store_bytes)) / FLOOD.as_secs_f64(),
                Unit::Bytes,
            ),
            ("flood: processor time of the servers", after.cpu_since(&before), Unit::Seconds),
            ("another client's read in calm, median", calm * 1e3, Unit::Milliseconds),
            ("another client's read in the flood, median", median * 1e3, Unit::Milliseconds),
            ("another client's read in the flood, 99 of 100", most * 1e3, Unit::Milliseconds),
        ] {
            figures.add(self.figure(name, value, unit));
        }
        Ok(())
    }

    /// What a small write of somebody else costs on the largest Node that the token can make.
    async fn writes_of_others(&self, figures: &mut Figures) -> Result<()> {
        progress(&format!("{}: writes of others on a Node that was made large", self.subject));
        self.clear().await?;
        let small = self.cost_of_others().await?;
        self.thieves[0].patch_metadata(NODE, &parameters(), &Patch::Merge(self.largest("again."))).await?;
        if self.policy == PolicyMode::Omitted {
            let mut list = json!(self.cluster.node(NODE).await?.metadata.managed_fields);
            let claims: Map<_, _> =
                (0..CLAIMS).map(|index| (format!("f:example.com/{index}"), json!({}))).collect();
            for manager in 0..FORGED {
                list.as_array_mut().context("no record")?.push(json!({
                    "manager": format!("forged-{manager}"), "operation": "Apply", "apiVersion": "v1",
                    "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:labels": claims}},
                }));
            }
            let forged = json!({"metadata": {"managedFields": list}});
            self.thieves[0].patch_metadata(NODE, &parameters(), &Patch::Merge(forged)).await?;
            let stored = self.cluster.node(NODE).await?.metadata.managed_fields.map_or(0, |list| list.len());
            ensure!(stored >= FORGED, "the forged claims are not on the Node");
        }
        let large = self.cost_of_others().await?;
        figures.add(self.figure("write of another, processor time", small * 1e3, Unit::Milliseconds));
        figures.add(
            self.figure("the same on a large Node", large * 1e3, Unit::Milliseconds).over(Some(small * 1e3)),
        );
        Ok(())
    }

    /// Takes off the Node what a run or a thief has written.
    async fn clear(&self) -> Result<()> {
        let mut away = self.filled_with(|_, _| Value::Null);
        away["metadata"]["annotations"][LARGE] = Value::Null;
        self.administrator().patch(NODE, &PatchParams::default(), &Patch::Merge(&away)).await?;
        Ok(())
    }

    async fn cost_of_others(&self) -> Result<f64> {
        const WRITES: usize = 50;
        let before = Snapshot::take(&self.cluster).await?;
        for number in 0..WRITES {
            let change = json!({"metadata": {"annotations": {"example.com/count": number.to_string()}}});
            self.administrator().patch(NODE, &PatchParams::default(), &Patch::Merge(change)).await?;
        }
        Ok(Snapshot::take(&self.cluster).await?.cpu_since(&before) / float(WRITES))
    }

    /// Median and 99th percentile, in seconds, of reads of something small by an administrator.
    async fn reads(&self, time: Duration) -> Result<(f64, f64)> {
        let namespaces: Api<Namespace> = Api::all(self.cluster.client());
        let (mut ticks, end) = (interval(TICK), Instant::now() + time);
        let mut seconds = Vec::new();
        while Instant::now() < end {
            ticks.tick().await;
            let started = Instant::now();
            namespaces.get("default").await?;
            seconds.push(started.elapsed().as_secs_f64());
        }
        Ok((percentile(&mut seconds, 50), percentile(&mut seconds, 99)))
    }

    fn administrator(&self) -> Api<Node> {
        Api::all(self.cluster.client())
    }

    /// The largest values that the policy takes; without one, what the API server takes.
    fn largest(&self, word: &str) -> Value {
        let value = |bytes: usize| json!(word.repeat(bytes / word.len()));
        if self.policy == PolicyMode::Omitted {
            return json!({"metadata": {"annotations": {LARGE: value(MOST_BYTES)}}});
        }
        let mut left = self.keys.max_bytes;
        self.filled_with(|_, bytes| {
            let bytes = bytes.min(left);
            left -= bytes;
            value(bytes)
        })
    }

    /// What a run writes, with values of about this length.
    fn filled(&self, length: usize) -> Value {
        self.filled_with(|_, bytes| json!("x".repeat(bytes.min(length))))
    }

    fn filled_with(&self, mut value: impl FnMut(&str, usize) -> Value) -> Value {
        let bounds = self.keys.annotations.iter().filter_map(|(key, bytes)| Some((key, (*bytes)?)));
        let annotations: Map<_, _> = bounds.map(|(key, bytes)| (key.clone(), value(key, bytes))).collect();
        let away = annotations.values().all(Value::is_null);
        let label = |text: &String| if away { Value::Null } else { json!(text) };
        let labels: Map<_, _> =
            self.keys.labels.iter().map(|(key, text)| (key.clone(), label(text))).collect();
        json!({"metadata": {"annotations": annotations, "labels": labels}})
    }

    fn figure(&self, name: &str, value: f64, unit: Unit) -> Figure {
        Figure::new(self.subject, name, value, unit)
    }
}

fn parameters() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

/// The value below which so many of a hundred are; the list is sorted then.
fn percentile(values: &mut [f64], hundredths: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get(last * hundredths / 100).copied().unwrap_or_default()
}
