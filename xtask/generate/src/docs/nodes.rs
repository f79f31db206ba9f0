//! README's Nodes: what some recorded machines have, trimmed.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use node_annotator_core::Prefix;
use serde_json::Value;

use super::recorded::Recorded;

/// The machines, and the facts of each that are shown.
const NODES: [(&str, &str, &[&str]); 3] = [
    (
        "azure-spot",
        "a spot VM on Azure",
        &[
            "azure",
            "azure.fault-domain",
            "azure.image",
            "azure.physical-zone",
            "cpu-model",
            "disk.total-bytes",
            "firmware.secure-boot",
        ],
    ),
    (
        "droplet",
        "a Droplet on DigitalOcean",
        &[
            "cloud",
            "cpu-features",
            "cpu-vulnerabilities",
            "digital-ocean-anchor-ip",
            "digital-ocean-anchor-ip.region",
            "kernel",
            "virt",
        ],
    ),
    (
        "intel-xeon",
        "a server of one's own",
        &[
            "accelerator.devices",
            "cpu-model",
            "cpu-model.sockets",
            "disk.kinds",
            "dmi",
            "firmware.tpm-version",
            "kernel.cmdline",
            "nic.sriov",
            "numa",
        ],
    ),
];

/// A block for each machine.
pub(super) fn blocks(recorded: &Recorded) -> Result<String> {
    let prefix = Prefix::default();
    let mut text = "\n```yaml\n".to_owned();
    for (machine, what, facts) in NODES {
        writeln!(text, "# {what}, trimmed")?;
        for fact in facts {
            let value =
                recorded.fact(machine, fact).with_context(|| format!("`{machine}` has no `{fact}`"))?;
            writeln!(text, "{}{fact}: {}", prefix.key_start(), Value::from(value))?;
        }
    }
    text += "```\n\n";
    Ok(text)
}
