//! What the Helm chart is made of: the objects as they are generated for settings that stand for those of a
//! release, and what each collector adds to them.
//!
//! The templates of the chart put the two together. They know no key, no privilege class, no expression and
//! no value of a label.

mod check;
mod collectors;
mod objects;

use node_annotator_core::{DoneMark, Prefix, PrivilegeClass, Registry, Selection};
use serde_json::{Map, Value, json};

use crate::render::generated;
use crate::startup_taint::StartupTaintKey;
use crate::{Error, Installation, Settings, labels, monitoring, policy};

/// What stands for the prefix.
const PREFIX: &str = "prefix.invalid";

/// What stands for the namespace of the release. No other name contains it.
const NAMESPACE: &str = "release-namespace";

/// What stands for the generation.
const GENERATION: &str = "chosen-generation";

/// What stands for the key of the startup taint.
const TAINT: &str = "taint.invalid/chosen";

/// What stands for the most bytes of annotations in one write.
const MAX_BYTES: &str = "chosen-bytes";

/// What stands for the component of a DaemonSet.
const COMPONENT: &str = "chosen-component";

/// What stands for a list of something of each collector, with the name of the list behind it.
const SLOT: &str = "chosen:";

/// The oldest version whose tokens name the uid of the node.
const KUBERNETES: &str = ">=1.32.0-0";

/// Path and text of each file that is generated: what each collector adds, the objects for each set of
/// namespaces, the rules for Prometheus, and the words that stand in all of them for what a release chooses.
pub fn files(registry: &Registry, command: &str) -> Result<Vec<(&'static str, String)>, Error> {
    let chart = json!({
        "apiVersion": "v2",
        "name": "node-annotator",
        "description": "Reads facts about each node once, writes them on the Node, and leaves nothing running",
        "type": "application",
        "version": env!("CARGO_PKG_VERSION"),
        "appVersion": env!("CARGO_PKG_VERSION"),
        "kubeVersion": KUBERNETES,
    });
    let rule = monitoring::prometheus_rule(registry, &prefix(), &NAMESPACE.parse()?);
    Ok(vec![
        ("Chart.yaml", generated(command, "The versions are those of the binary.", &chart)?),
        ("files/collectors.json", pretty(&collectors::all(registry))?),
        ("files/objects.json", pretty(&objects::all(registry)?)?),
        ("files/prometheus-rule.json", pretty(&rule)?),
        ("files/words.json", pretty(&words()?)?),
    ])
}

/// JSON, where every text is quoted: what is put in place of a word stays one.
fn pretty(value: &Value) -> Result<String, Error> {
    Ok(serde_json::to_string_pretty(value).map_err(Error::Json)? + "\n")
}

/// Settings that stand for those of a release.
fn settings(selection: Selection) -> Result<Settings, Error> {
    Ok(Settings { prefix: prefix(), installation: NAMESPACE.parse()?, ..Settings::new(selection) })
}

fn prefix() -> Prefix {
    PREFIX.parse().expect("it is a DNS subdomain")
}

fn generation() -> DoneMark {
    DoneMark::Generation(GENERATION.parse().expect("it is the value of a label"))
}

/// Which words stand for what, and the names that follow from them.
fn words() -> Result<Value, Error> {
    let installation: Installation = NAMESPACE.parse()?;
    let classes = [PrivilegeClass::Restricted, PrivilegeClass::Privileged];
    let namespaces: Map<_, _> = classes
        .iter()
        .map(|class| (class.as_str().to_owned(), installation.namespace(*class).into()))
        .collect();
    Ok(json!({
        "prefix": PREFIX,
        "namespace": NAMESPACE,
        "namespaces": namespaces,
        "clusterObject": installation.cluster_object(),
        "defaultNamespace": Installation::default().as_str(),
        "defaultClusterObject": Installation::default().cluster_object(),
        "serviceAccount": installation.service_account(),
        "checkAccount": check::account(&installation),
        "ownStartupTaint": StartupTaintKey::Own.of(&installation),
        "generation": GENERATION,
        "startupTaint": TAINT,
        "bytes": MAX_BYTES,
        "slot": SLOT,
        "combined": labels::COMBINED,
        "component": COMPONENT,
        "componentLabel": labels::COMPONENT,
        "managedByLabel": labels::MANAGED_BY,
        "partOfLabel": labels::PART_OF,
        "settingsAnnotation": policy::SETTINGS_ANNOTATION,
    }))
}
