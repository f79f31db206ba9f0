//! Devices on PCI.

use std::io;

use node_annotator_core::HostRoot;
use node_annotator_core::context::HostError;

use super::bus::{self, Device as OnBus};

/// Where they are.
pub(crate) const PATH: &str = "/sys/bus/pci/devices";
/// What is read of each.
pub(crate) const UEVENTS: &str = "/sys/bus/pci/devices/*/uevent";
/// The link that a virtual function has to the device that it is a part of, where that can be seen.
pub(crate) const PHYSFN: &str = "/sys/bus/pci/devices/*/physfn";

/// The machines that have no PCI.
pub(crate) const WITHOUT: &str = "on machines without a PCI bus";
/// Why they have no facts about it.
pub(crate) const ABSENT: &str = "the kernel knows no PCI bus: there is no `/sys/bus/pci/devices`";

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// Domain, bus, device and function, such as `0000:41:00.0`.
    pub(crate) address: String,
    /// Base class, subclass and interface, a byte each.
    class: u32,
    pub(crate) vendor: u16,
    pub(crate) product: u16,
    /// The driver that is bound to it.
    pub(crate) driver: Option<String>,
}

impl Device {
    /// Reads what the bus tells of a device; `None` if that makes no sense.
    fn parse(device: &OnBus) -> Option<Self> {
        let (vendor, id) = device.get("PCI_ID")?.split_once(':')?;
        Some(Self {
            address: device.name.clone(),
            class: u32::from_str_radix(device.get("PCI_CLASS")?, 16)
                .ok()
                .filter(|class| *class <= 0xff_ffff)?,
            vendor: u16::from_str_radix(vendor, 16).ok()?,
            product: u16::from_str_radix(id, 16).ok()?,
            driver: device.driver().map(str::to_owned),
        })
    }

    /// Base class and subclass: `0x0200` is Ethernet.
    pub(crate) fn class(&self) -> u32 {
        self.class >> 8
    }

    /// Whether its base class is this one.
    pub(crate) fn is_of(&self, base: u32) -> bool {
        self.class >> 16 == base
    }

    /// Vendor and device, as `lspci -n` prints them: `15b3:101d`.
    pub(crate) fn id(&self) -> String {
        format!("{:04x}:{:04x}", self.vendor, self.product)
    }

    /// The path of one of its files.
    pub(crate) fn file(&self, name: &str) -> String {
        format!("{PATH}/{}/{name}", self.address)
    }

    /// Whether it is a part of another device of this machine. A guest does not see what a virtual function
    /// belongs to, and has it as a device of its own.
    pub(crate) fn is_virtual_function(&self, host: &HostRoot) -> Result<bool, HostError> {
        Ok(host.link(&self.file("physfn"))?.is_some())
    }
}

/// All devices, in order of address; none where the kernel knows no PCI.
pub(crate) fn devices(host: &HostRoot) -> Result<Option<Vec<Device>>, HostError> {
    let Some(devices) = bus::devices(host, "pci")? else { return Ok(None) };
    let parsed = devices.iter().map(|device| {
        Device::parse(device).ok_or_else(|| {
            let error =
                io::Error::new(io::ErrorKind::InvalidData, "it tells no class and no numbers of a device");
            HostError::broken(format!("{PATH}/{}/uevent", device.name), error)
        })
    });
    parsed.collect::<Result<_, _>>().map(Some)
}

#[cfg(test)]
impl Device {
    /// The device of a `uevent`.
    pub(crate) fn of(uevent: &str) -> Option<Self> {
        Self::parse(&OnBus::new("0000:01:00.0", uevent))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_device_is_told_by_class_and_numbers() {
        let device = Device::of("DRIVER=mlx5_core\nPCI_CLASS=20000\nPCI_ID=15B3:101D\n").unwrap();
        assert_eq!((device.class(), device.is_of(0x02), device.id().as_str()), (0x0200, true, "15b3:101d"));
        assert_eq!(device.driver.as_deref(), Some("mlx5_core"));
        assert_eq!(device.file("physfn"), "/sys/bus/pci/devices/0000:01:00.0/physfn");
        // Class 0000 is that of devices that are older than the classes.
        assert_eq!(Device::of("PCI_CLASS=0\nPCI_ID=8086:0D57\n").unwrap().class(), 0);
        for uevent in [
            "PCI_CLASS=20000\n",
            "PCI_ID=1:2\n",
            "PCI_CLASS=zz\nPCI_ID=1:2\n",
            "PCI_CLASS=1000000\nPCI_ID=1:2\n",
        ] {
            assert_eq!(Device::of(uevent), None, "{uevent}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*|PCI_CLASS=[0-9A-F+]{0,7}\nPCI_ID=[0-9A-F:+]{0,10}\n") {
            prop_assert!(Device::of(&text).is_none_or(|device| device.id().len() == 9 && device.class() <= 0xffff));
        }
    }
}
