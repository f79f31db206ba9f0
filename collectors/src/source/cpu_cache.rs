//! The caches of a CPU, as sysfs lists them.

use node_annotator_core::HostRoot;
use node_annotator_core::context::HostError;

use super::cpulist::CpuList;

/// The directory of all CPUs.
pub(crate) const CPUS: &str = "/sys/devices/system/cpu";

/// The list of those that are online.
pub(crate) const ONLINE: &str = "/sys/devices/system/cpu/online";

/// A cache that a CPU uses, perhaps with others. Its number in sysfs is not its level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cache {
    directory: String,
    pub(crate) level: u64,
    /// `Data`, `Instruction` or `Unified`.
    pub(crate) kind: String,
}

impl Cache {
    /// The caches of a CPU; none where the kernel or the firmware does not tell.
    pub(crate) fn of_cpu(host: &HostRoot, cpu: u32) -> Result<Vec<Self>, HostError> {
        let directory = format!("{CPUS}/cpu{cpu}/cache");
        let mut caches = Vec::new();
        for name in host.list(&directory)?.unwrap_or_default() {
            if !name.starts_with("index") {
                continue;
            }
            let directory = format!("{directory}/{name}");
            let level = host.number(&format!("{directory}/level"))?;
            let kind = host.line(&format!("{directory}/type"))?;
            if let (Some(level), Some(kind)) = (level, kind) {
                caches.push(Self { directory, level, kind });
            }
        }
        Ok(caches)
    }

    /// Its size in bytes.
    pub(crate) fn bytes(&self, host: &HostRoot) -> Result<Option<u64>, HostError> {
        Ok(host.line(&format!("{}/size", self.directory))?.and_then(|text| bytes(&text)))
    }

    /// Those CPUs that are online and share it.
    pub(crate) fn cpus(&self, host: &HostRoot) -> Result<Option<CpuList>, HostError> {
        let list = host.line(&format!("{}/shared_cpu_list", self.directory))?;
        Ok(list.as_deref().and_then(CpuList::parse))
    }

    /// The number of bytes that are moved at once.
    pub(crate) fn line_bytes(&self, host: &HostRoot) -> Result<Option<u64>, HostError> {
        host.number(&format!("{}/coherency_line_size", self.directory))
    }
}

/// `32768K`.
fn bytes(text: &str) -> Option<u64> {
    text.strip_suffix('K')?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The CPUs that are online; `None` where the kernel does not list them.
pub(crate) fn online(host: &HostRoot) -> Result<Option<CpuList>, HostError> {
    Ok(host.line(ONLINE)?.as_deref().and_then(CpuList::parse))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_kib() {
        assert_eq!(bytes("32768K"), Some(33_554_432));
        for text in ["", "32M", "K", "-1K", "18446744073709551615K"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
