//! Devices on virtio, and the devices on PCI that they are behind.

use node_annotator_core::HostRoot;
use node_annotator_core::context::HostError;

use super::bus;

/// Where they are.
pub(crate) const PATH: &str = "/sys/bus/virtio/devices";
/// The links of which each tells what the device is behind.
pub(crate) const LINKS: &str = "/sys/bus/virtio/devices/*";
/// What is read of each.
pub(crate) const UEVENTS: &str = "/sys/bus/virtio/devices/*/uevent";

/// The driver of what they are behind on PCI.
pub(crate) const ON_PCI: &str = "virtio-pci";

/// The number of network devices.
pub(crate) const NETWORK: u32 = 1;

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// What it is, by the numbers of the virtio specification.
    pub(crate) id: u32,
    /// The driver that is bound to it.
    pub(crate) driver: Option<String>,
    /// Where the link of the device leads.
    target: String,
}

impl Device {
    /// Whether it is behind the device on PCI with this address.
    pub(crate) fn is_on(&self, address: &str) -> bool {
        self.target.rsplit('/').nth(1) == Some(address)
    }

    /// Whether it is behind any device on PCI.
    pub(crate) fn is_on_pci(&self) -> bool {
        self.target.split('/').any(|part| part.starts_with("pci"))
    }
}

/// All devices; empty where the kernel knows no virtio.
pub(crate) fn devices(host: &HostRoot) -> Result<Vec<Device>, HostError> {
    let mut devices = Vec::new();
    for name in host.list(PATH)?.unwrap_or_default() {
        let target = bus::target(host, &format!("{PATH}/{name}"))?;
        let (Some(target), Some(device)) = (target, bus::device(host, "virtio", &name)?) else { continue };
        if let Some(id) = device.get("MODALIAS").and_then(id) {
            devices.push(Device { id, driver: device.driver().map(str::to_owned), target });
        }
    }
    Ok(devices)
}

/// The number in `virtio:d00000001v00001AF4`.
fn id(modalias: &str) -> Option<u32> {
    u32::from_str_radix(modalias.strip_prefix("virtio:d")?.get(..8)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_device_tells_what_it_is_behind() {
        let device = |target: &str| Device { id: 1, driver: None, target: target.to_owned() };
        let on_pci = device("../../../devices/pci0000:00/0000:00:03.0/virtio2");
        assert!(on_pci.is_on_pci() && on_pci.is_on("0000:00:03.0") && !on_pci.is_on("0000:00:04.0"));
        assert!(!device("../../../devices/platform/LNRO0005:01/virtio1").is_on_pci());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*|virtio:d[0-9A-Fé]{0,9}") {
            let _ = id(&text);
        }
    }

    #[test]
    fn the_number_is_told_by_the_modalias() {
        assert_eq!(id("virtio:d00000013v00001AF4"), Some(19));
        assert_eq!(id("pci:v00001AF4d00001041"), None);
    }
}
