//! What the commands for a fleet cost beside kubectl, on the same server in the same run. The Nodes are
//! objects alone, with everything on them that the default collectors may write.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Node;
use node_annotator_core::{DoneMark, Prefix, Registry, Selection};
use node_annotator_deploy::{Manifests, Settings};
use node_annotator_tests::binaries::{Binaries, Tool};
use node_annotator_tests::{Cluster, Options};
use serde_json::{Value, json};

use super::figures::{Figure, Figures, Unit, float};
use super::process::{Program, interleaved, median};
use super::progress;

/// Each takes seconds: more rounds than these tell nothing new.
const MOST_ROUNDS: usize = 7;

/// So many times what kubectl takes.
const MOST_TIMES: f64 = 3.0;

const MOST_RESIDENT_BYTES: usize = 40 * 1024 * 1024;

/// The images that a kubelet tells of.
const IMAGES: usize = 40;

/// They hold of every node; each is kept with each of them.
const EXPECTATIONS: &str = "expectations:\n- expect: kernel.major >= 5\n- expect: cpu-model\n";

const BOOT_ID: &str = "1bd2a6f4-8f0e-4a7b-9d53-0c2b6f1e7a90";

pub(super) async fn measure(figures: &mut Figures, binary: &Path, nodes: usize, rounds: usize) -> Result<()> {
    progress("starting a control plane");
    let cluster = Cluster::start(Options::default()).await?;
    let registry = Registry::from_inventory()?;
    let settings = Settings::new(Selection::parse("default", &registry)?);
    cluster.apply_yaml(&Manifests::new(&settings)?.yaml()?).await?;
    cluster.control_plane().pause_controllers()?;
    progress(&format!("making {nodes} nodes"));
    let made = (0..nodes).map(|index| node(index, &settings)).collect::<Result<Vec<_>>>()?;
    cluster.create_nodes(made).await?;

    let obtain = || Binaries::obtain(None, &[Tool::Kubectl]);
    let kubectl =
        tokio::task::spawn_blocking(obtain).await.context("the build panicked")??.path(Tool::Kubectl);
    let home = cluster.folder().join("home");
    std::fs::create_dir_all(&home)?;
    let program = |name, path: &Path, arguments: &[&str]| Program {
        name,
        path: PathBuf::from(path),
        arguments: arguments.iter().map(OsString::from).collect(),
        environment: vec![
            ("KUBECONFIG".to_owned(), cluster.kubeconfig().into()),
            ("HOME".to_owned(), home.clone().into()),
        ],
    };
    let names = [0, 7].map(name);
    let expectations = cluster.folder().join("expectations.yaml");
    std::fs::write(&expectations, EXPECTATIONS)?;
    let expectations = expectations.to_string_lossy();
    let programs = [
        program("kubectl get nodes", &kubectl, &["get", "nodes"]),
        program("kubectl get nodes -o json", &kubectl, &["get", "nodes", "-o", "json"]),
        program("get", binary, &["get"]),
        program("status", binary, &["status"]),
        program("expire", binary, &["expire"]),
        program("diff", binary, &["diff", &names[0], &names[1]]),
        program("drift", binary, &["drift"]),
        program("check", binary, &["check", "-f", &expectations]),
        program("report", binary, &["report"]),
        program("rerun --dry-run", binary, &["rerun", "--selector", "kubernetes.io/os", "--dry-run"]),
    ];
    tokio::task::block_in_place(|| {
        for program in &programs {
            program.run()?;
        }
        progress("timing");
        let samples = interleaved(&programs.iter().collect::<Vec<_>>(), rounds.clamp(1, MOST_ROUNDS))?;
        let wall: Vec<_> = samples.iter().map(|samples| median(samples, |sample| sample.wall)).collect();
        progress("looking at memory");
        for (index, program) in programs.iter().enumerate() {
            let floor = match program.name {
                // What reads metadata alone, and what reads whole Nodes.
                "get" | "diff" | "drift" | "check" => Some(wall[0]),
                "status" | "expire" | "report" | "rerun --dry-run" => Some(wall[1]),
                _ => None,
            };
            let subject = format!("{} on {nodes} nodes", program.name);
            let time = Figure::new(&subject, "time", wall[index], Unit::Milliseconds).over(floor);
            // Both were timed in turn: what the machine does beside is in both.
            figures.add(match floor {
                Some(floor) => time.at_most(MOST_TIMES * floor),
                None => time,
            });
            if program.path == *binary {
                let peak = program.peak()?.resident_bytes;
                figures.add(Figure::bytes(&subject, "peak memory", peak).at_most(float(MOST_RESIDENT_BYTES)));
            }
        }
        Ok(())
    })
}

fn name(index: usize) -> String {
    format!("ip-10-{}-{}-{}.example.internal", index / 65536, index / 256 % 256, index % 256)
}

/// A Node on which all is done, about as large as real ones are.
fn node(index: usize, settings: &Settings) -> Result<Node> {
    let prefix = Prefix::default();
    let name = name(index);
    let mut labels = json!({
        "kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": "m6i.4xlarge", "topology.kubernetes.io/region": "eu-central-1",
        "topology.kubernetes.io/zone": format!("eu-central-1{}", ["a", "b", "c"][index % 3]),
    });
    let mut annotations = json!({"node.alpha.kubernetes.io/ttl": "300"});
    let mut kernel = Value::Null;
    for collector in settings.selection.iter() {
        labels[prefix.done(collector.name)] = json!(DoneMark::Saved.label_value(collector.revision));
        if collector.holds_per_boot() {
            annotations[prefix.boot_id(collector.name)] = json!(BOOT_ID[..8]);
        }
        for fact in collector.facts {
            annotations[prefix.fact(collector.name, fact.name)] = json!(fact.example);
            if collector.name == "kernel" && fact.name.is_none() {
                kernel = json!(fact.example);
            }
        }
    }
    let image = |image: usize| {
        json!({
            "names": [format!("registry.example.com/team/service-{image}@sha256:{index:064x}")],
            "sizeBytes": 120_000_000 + image,
        })
    };
    let condition = |kind: &str, status: &str| {
        json!({
            "type": kind, "status": status, "reason": "KubeletTold", "message": "as the kubelet has told",
            "lastHeartbeatTime": "2026-11-25T10:00:00Z", "lastTransitionTime": "2026-11-25T10:00:00Z",
        })
    };
    let resources = json!({"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"});
    Ok(serde_json::from_value(json!({
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "spec": {"podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24"]},
        "status": {
            "nodeInfo": {
                "bootID": BOOT_ID, "kernelVersion": kernel, "architecture": "amd64", "operatingSystem": "linux",
                "osImage": "Ubuntu 24.04.1 LTS", "containerRuntimeVersion": "containerd://2.1.4",
                "kubeletVersion": "v1.37.0", "kubeProxyVersion": "", "systemUUID": "", "machineID": "",
            },
            "capacity": resources, "allocatable": resources,
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": name}],
            "conditions": [
                condition("MemoryPressure", "False"), condition("DiskPressure", "False"),
                condition("PIDPressure", "False"), condition("Ready", "True"),
            ],
            "images": (0..IMAGES).map(image).collect::<Vec<_>>(),
        },
    }))?)
}
