//! One run on one node, beside the floor and beside what people would write instead.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams};
use node_annotator_core::{Prefix, Registry, Selection};
use node_annotator_deploy::Settings;
use node_annotator_tests::metadata::DIGITAL_OCEAN_PATH;
use node_annotator_tests::{Cluster, NodeSpec, Options as ClusterOptions};
use serde_json::json;

use super::alternatives::{self, Request};
use super::budget;
use super::figures::{Figure, Figures, Unit, float};
use super::pod::{self, Recorder, Started};
use super::process::{Program, Sample, interleaved, mean, median, minimum};
use super::progress;
use super::relay::{Relay, Traffic};
use crate::recorded;

const NODE: &str = "n1";
const FLOOR: &str = "floor";
const OURS: &str = "node-annotator";

/// Measures; `rounds` of time, none of them in the short form.
pub(super) async fn measure(figures: &mut Figures, binary: &Path, rounds: Option<usize>) -> Result<()> {
    progress("starting a control plane");
    let recorder = Arc::<Recorder>::default();
    let options = ClusterOptions { runtime: Some(recorder.clone()), ..ClusterOptions::default() };
    let cluster = Cluster::start(options).await?;
    // A Droplet: the machine on which all default collectors find something.
    let metadata = recorded::droplet_metadata().await?;
    let node = NodeSpec::new(NODE)
        .env("NODE_ANNOTATOR_HOST_ROOT", recorded::machine("droplet").to_string_lossy())
        .env("DIGITAL_OCEAN_METADATA_URL", metadata.url(DIGITAL_OCEAN_PATH));
    let settings = Settings::new(Selection::parse("default", &Registry::from_inventory()?)?);
    let started = pod::start(&cluster, &recorder, &settings, node).await?;
    let relay = Relay::start(&cluster.control_plane().server()).await?;
    let through_relay = started.kubeconfig_to(&cluster.control_plane().server(), &relay.address())?;

    let direct = ours(binary, &started, &started.kubeconfig);
    let relayed = ours(binary, &started, &through_relay);
    // The first run is the one that changes the Node; all others find it as it is, and so does everything
    // beside them.
    tokio::task::block_in_place(|| relayed.run())?;
    let request = Request {
        node: NODE,
        server: cluster.control_plane().server().trim_start_matches("https://").to_owned(),
        authority: cluster.control_plane().certificate_authority(),
        token: started.token.clone(),
        body: body(&cluster, &started).await?,
        metadata: metadata.url(DIGITAL_OCEAN_PATH),
        kubeconfig: cluster.kubeconfig(),
    };
    let empty = empty_run(&relayed);
    let mut beside = alternatives::all(&cluster, binary, &request)?;
    let relayed_request = Request { server: relay.address(), ..request };
    let beside_relayed = alternatives::all(&cluster, binary, &relayed_request)?;

    progress("counting requests and bytes");
    let allowed_bytes = budget::Count::of(settings.selection.iter()).sent_bytes();
    let mut floor = None;
    let relayed_programs = beside_relayed.iter().map(|(program, own)| (program, *own));
    for (program, through) in relayed_programs.chain([(&relayed, true)]) {
        let (requests, traffic) = count(&cluster, &relay, program, through).await?;
        let figure = |name: &str, value: usize, floor: Option<usize>| {
            let unit = if name.starts_with("bytes") { Unit::Bytes } else { Unit::Count };
            Figure::new(program.name, name, float(value), unit).over(floor.map(float))
        };
        let base = floor.filter(|_| program.name != FLOOR);
        let base = |of: &dyn Fn(&(usize, Traffic)) -> usize| base.as_ref().map(of);
        let is_ours = program.name == OURS;
        let bound = |figure: Figure, limit| if is_ours { figure.at_most(limit) } else { figure };
        figures.add(bound(figure("requests", requests, base(&|floor| floor.0)), budget::REQUESTS));
        if through {
            let sent = figure("bytes sent", traffic.sent, base(&|floor| floor.1.sent));
            figures.add(bound(sent, allowed_bytes));
            figures.add(figure("bytes received", traffic.received, base(&|floor| floor.1.received)));
            figures.add(figure("writes of the client", traffic.writes, base(&|floor| floor.1.writes)));
        }
        if program.name == FLOOR {
            floor = Some((requests, traffic));
        }
    }
    // A change that only takes facts away is not told from a stream of them, and refused.
    forget(&cluster).await?;
    let (_, traffic) = count(&cluster, &relay, &empty, true).await?;
    let sent = Figure::bytes(OURS, "bytes sent, nothing found", traffic.sent);
    figures.add(sent.at_most(budget::EMPTY_RUN_BYTES));
    tokio::task::block_in_place(|| relayed.run())?;
    beside.push((direct, true));
    let programs: Vec<_> = beside.iter().map(|(program, _)| program).collect();
    memory(figures, &programs)?;
    if let Some(rounds) = rounds {
        instructions(figures, &programs);
        times(figures, &programs, rounds)?;
    }
    Ok(())
}

/// What the pod would run, but for lingering.
fn ours(binary: &Path, started: &Started, kubeconfig: &Path) -> Program {
    let arguments = started.arguments.iter().filter(|argument| *argument != "--linger");
    let environment = started.environment.iter().filter(|(name, _)| name != "KUBECONFIG");
    let kubeconfig = ("KUBECONFIG".to_owned(), OsString::from(kubeconfig));
    Program {
        name: OURS,
        path: binary.to_owned(),
        arguments: arguments.map(OsString::from).collect(),
        environment: environment
            .map(|(name, value)| (name.clone(), OsString::from(value)))
            .chain([kubeconfig])
            .collect(),
    }
}

/// The same with one collector, on a machine that it does not apply to: the least that a run sends.
fn empty_run(program: &Program) -> Program {
    let mut program = program.clone();
    for argument in &mut program.arguments {
        if argument.to_string_lossy().starts_with("--collectors=") {
            *argument = "--collectors=digital-ocean-anchor-ip".into();
        }
    }
    // An address set by the operator would be asked, whatever the machine is.
    program.environment.retain(|(name, _)| name != "DIGITAL_OCEAN_METADATA_URL");
    for (name, value) in &mut program.environment {
        if name == "NODE_ANNOTATOR_HOST_ROOT" {
            *value = recorded::machine("amd-epyc").into();
        }
    }
    program
}

/// The body of the PATCH, as a file.
async fn body(cluster: &Cluster, started: &Started) -> Result<PathBuf> {
    let requests = cluster.annotator_requests().await?;
    let body = requests.first().and_then(|request| request.request_object.as_ref());
    let path = started.kubeconfig.with_file_name("patch.json");
    std::fs::write(&path, body.context("no PATCH in the audit log")?.to_string())?;
    Ok(path)
}

/// Takes all that a run has written off the Node.
async fn forget(cluster: &Cluster) -> Result<()> {
    let node = cluster.node(NODE).await?.metadata;
    let start = Prefix::default().key_start();
    let away = |map: Option<BTreeMap<String, String>>| -> BTreeMap<String, Option<String>> {
        map.into_iter()
            .flatten()
            .filter(|(key, _)| key.starts_with(&start))
            .map(|(key, _)| (key, None))
            .collect()
    };
    let metadata = json!({"annotations": away(node.annotations), "labels": away(node.labels)});
    let nodes: Api<Node> = Api::all(cluster.client());
    nodes.patch(NODE, &PatchParams::default(), &Patch::Merge(json!({"metadata": metadata}))).await?;
    Ok(())
}

/// Requests and bytes of one run.
async fn count(
    cluster: &Cluster,
    relay: &Relay,
    program: &Program,
    through: bool,
) -> Result<(usize, Traffic)> {
    let all = async || cluster.requests(|request| alternatives::is_of(program.name, request)).await;
    let before = all().await?.len();
    let traffic = if through {
        relay.count(1, async || tokio::task::block_in_place(|| program.run())).await?
    } else {
        tokio::task::block_in_place(|| program.run())?;
        Traffic::default()
    };
    let after = all().await?;
    let verbs: Vec<_> = after[before..].iter().map(|request| request.verb.as_str()).collect();
    ensure!(!verbs.is_empty(), "no request of {} reached the API server", program.name);
    progress(&format!("{}: {}", program.name, verbs.join(", ")));
    Ok((verbs.len(), traffic))
}

fn memory(figures: &mut Figures, programs: &[&Program]) -> Result<()> {
    progress("looking at memory and threads");
    let mut floor = None;
    // Of the script only the shell itself would be seen.
    for program in programs.iter().filter(|program| program.name != alternatives::SHELL) {
        let peak = tokio::task::block_in_place(|| program.peak())?;
        let resident = Figure::bytes(program.name, "peak RSS", peak.resident_bytes).over(floor);
        let is_ours = program.name == OURS;
        figures.add(if is_ours { resident.at_most(budget::RESIDENT_BYTES) } else { resident });
        figures.add(Figure::count(program.name, "threads", peak.threads));
        if program.name == FLOOR {
            floor = Some(float(peak.resident_bytes));
        }
    }
    Ok(())
}

fn instructions(figures: &mut Figures, programs: &[&Program]) {
    progress("counting instructions");
    let mut floor = None;
    for program in programs.iter().filter(|program| program.name != alternatives::SHELL) {
        let Some(count) = tokio::task::block_in_place(|| program.instructions()) else {
            figures.missing("instructions: neither perf's counters nor valgrind work here");
            return;
        };
        figures.add(Figure::new(program.name, "instructions, user", count / 1e6, Unit::Millions).over(floor));
        floor = floor.or(Some(count / 1e6));
    }
}

fn times(figures: &mut Figures, programs: &[&Program], rounds: usize) -> Result<()> {
    progress(&format!("taking the time of {rounds} rounds"));
    let all = tokio::task::block_in_place(|| interleaved(programs, rounds))?;
    let floor = &all[0];
    for (program, samples) in programs.iter().zip(&all) {
        let mut add = |name: &str, unit, value: &dyn Fn(&[Sample]) -> f64| {
            let base = (program.name != FLOOR).then(|| value(floor));
            figures.add(Figure::new(program.name, name, value(samples), unit).over(base));
        };
        let time = Unit::Milliseconds;
        add("wall, least", time, &|samples| minimum(samples, |sample| sample.wall));
        add("wall, median", time, &|samples| median(samples, |sample| sample.wall));
        add("user, mean", time, &|samples| mean(samples, |sample| sample.user));
        add("system, mean", time, &|samples| mean(samples, |sample| sample.system));
        add("page faults", Unit::Count, &|samples| median(samples, |sample| sample.faults));
    }
    Ok(())
}
