//! All collectors that need no privileges, in one pod.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use node_annotator_core::{Need, PrivilegeClass, Registry, Selection};
use node_annotator_deploy::Settings;

use crate::run_once::{facts, printed_by_the_binary};
use crate::world::{World, key};

/// Facts that a pod has otherwise than the machine, and why.
const OTHERWISE: [(&str, &str); 1] =
    [("container-runtime", "the machine's own root file system is no container's")];

/// A pod with the image's user and no capability has what a shell of root has on the machine.
pub(crate) async fn a_pod_sees_what_the_machine_has(world: &mut World) -> Result<()> {
    let registry = Registry::from_inventory()?;
    // The machine may have a metadata service or a resolver; the node has none.
    let local = registry.iter().filter(|collector| {
        let asks = |need: &Need| matches!(need, Need::MetadataService | Need::Dns);
        collector.privilege_class() == PrivilegeClass::Restricted && !collector.needs.iter().any(asks)
    });
    let names: Vec<_> = local.map(|collector| collector.name).collect();
    ensure!(names.len() > 15, "only {names:?}");
    world.lingering_pod(&Settings::new(Selection::parse(&names.join(","), &registry)?)).await?;
    let (in_pod, on_machine) = (facts(world).await?, printed_by_the_binary(world, &names).await?);
    println!("  {} collectors, {} annotations", names.len(), in_pod.len());

    let keys: BTreeMap<_, _> = in_pod.iter().chain(&on_machine).collect();
    let mut unexplained = Vec::new();
    for name in keys.into_keys().filter(|name| in_pod.get(*name) != on_machine.get(*name)) {
        let reason = OTHERWISE.iter().find(|(fact, _)| key(fact) == *name).map(|(_, reason)| reason);
        let difference =
            format!("{name}: {:?} in a pod, {:?} on the machine", in_pod.get(name), on_machine.get(name));
        match reason {
            Some(reason) => println!("  {difference}: {reason}"),
            None => unexplained.push(difference),
        }
    }
    ensure!(unexplained.is_empty(), "{}", unexplained.join("\n"));
    Ok(())
}
