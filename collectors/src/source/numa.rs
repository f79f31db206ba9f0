//! The nodes of NUMA, as sysfs lists them. Their numbers may have gaps.

use node_annotator_core::HostRoot;
use node_annotator_core::context::HostError;

use super::cpulist::CpuList;

/// The directory of all nodes.
pub(crate) const NODES: &str = "/sys/devices/system/node";

/// The nodes of a list such as `online`, `has_cpu` or `has_memory`; `None` if it is empty, or not there.
pub(crate) fn nodes(host: &HostRoot, list: &str) -> Result<Option<CpuList>, HostError> {
    Ok(host.line(&format!("{NODES}/{list}"))?.as_deref().and_then(CpuList::parse))
}
