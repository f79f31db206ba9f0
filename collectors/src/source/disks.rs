//! The disks of the machine, as `/sys/block` has them.
//!
//! What a kernel makes up by itself (loop, device mapper, RAID, RAM) is none, nor is what is removable,
//! empty, or read-only as the disk that a cloud puts its configuration on. Serial numbers and WWIDs, which
//! are beside what is read here, are not read.

use node_annotator_core::HostRoot;
use node_annotator_core::context::HostError;
use node_annotator_core::fact::clean;

use super::bus;

/// Where they are.
const PATH: &str = "/sys/block";

/// The machines that have none of its facts.
pub(crate) const WITHOUT: &str = "where the kernel knows no block devices";
/// Why they have none.
pub(crate) const ABSENT: &str = "the kernel knows no block devices: there is no `/sys/block`";

/// Sizes are in these, whatever the disk's own are.
const SECTOR_BYTES: u64 = 512;

const MAX_MODEL_BYTES: usize = 64;

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Disk {
    /// Such as `nvme0n1`.
    pub(crate) name: String,
    /// Where its link leads: through the buses and controllers that it is on.
    target: String,
    pub(crate) bytes: u64,
}

impl Disk {
    /// The path of one of its files.
    pub(crate) fn file(&self, name: &str) -> String {
        format!("{PATH}/{}/{name}", self.name)
    }

    /// By what it is attached, in the words of the kernel and of `lsblk`; of NVMe that of its controller. Of
    /// most RAID controllers it is `scsi`.
    pub(crate) fn transport(&self, host: &HostRoot) -> Result<String, HostError> {
        if !self.is_nvme() {
            return Ok(transport(&self.name, &self.target).to_owned());
        }
        let path = self.file("device/transport");
        if let Some(transport) = host.line(&path)? {
            return Ok(transport);
        }
        // With several controllers, a namespace belongs to the subsystem that they have in common.
        let names = host.list(&self.file("device"))?.unwrap_or_default();
        let controllers = names.iter().filter(|name| is_controller(name));
        for controller in controllers {
            if let Some(transport) = host.line(&self.file(&format!("device/{controller}/transport")))? {
                return Ok(transport);
            }
        }
        Err(HostError::absent(path))
    }

    /// The model, as the disk or its controller tells it; paravirtual ones tell none.
    pub(crate) fn model(&self, host: &HostRoot) -> Result<Option<String>, HostError> {
        self.text(host, "device/model")
    }

    /// A file of one line, as printable text.
    pub(crate) fn text(&self, host: &HostRoot, name: &str) -> Result<Option<String>, HostError> {
        let text = host.line(&self.file(name))?.map(|text| clean(&text, MAX_MODEL_BYTES));
        Ok(text.filter(|text| !text.is_empty()))
    }

    pub(crate) fn is_nvme(&self) -> bool {
        self.name.starts_with("nvme")
    }

    /// The address of the controller, if it is on PCI.
    pub(crate) fn pci_address(&self) -> Option<&str> {
        self.target.split('/').rfind(|part| is_pci_address(part))
    }
}

/// `0000:41:00.0`; domains may have more digits than four.
fn is_pci_address(part: &str) -> bool {
    let mut parts = part.split([':', '.']);
    let mut is_hexadecimal = |digits: std::ops::RangeInclusive<usize>| {
        parts.next().is_some_and(|part| {
            digits.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    let is_address =
        is_hexadecimal(4..=8) && is_hexadecimal(2..=2) && is_hexadecimal(2..=2) && is_hexadecimal(1..=1);
    is_address && parts.next().is_none() && part.matches(':').count() == 2
}

/// `nvme0`, and not `nvme0n1` or `nvme-subsys0`.
fn is_controller(name: &str) -> bool {
    name.strip_prefix("nvme")
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// All disks, in order of name; none where the kernel knows no block devices. Those that go away while they
/// are read are left out.
pub(crate) fn disks(host: &HostRoot) -> Result<Option<Vec<Disk>>, HostError> {
    let Some(names) = host.list(PATH)? else { return Ok(None) };
    let mut disks = Vec::new();
    for name in names {
        let Some(target) = bus::target(host, &format!("{PATH}/{name}"))? else { continue };
        if !is_hardware(&name, &target) {
            continue;
        }
        let mut disk = Disk { name, target, bytes: 0 };
        let is = |file| Ok::<_, HostError>(host.number(&disk.file(file))?.is_some_and(|flag| flag != 0));
        if is("removable")? || is("hidden")? || is("ro")? {
            continue;
        }
        let size = host.number(&disk.file("size"))?.unwrap_or_default();
        disk.bytes = size.saturating_mul(SECTOR_BYTES);
        if disk.bytes == 0 {
            continue;
        }
        // What the kernel does not make up has a device, which tells what the disk is.
        let device = disk.file("device");
        if !host.exists(&device)? {
            return Err(HostError::absent(device));
        }
        disks.push(disk);
    }
    Ok(Some(disks))
}

/// Whether there is a device behind a name. Images of Ceph belong to pods more often than to nodes, and parts
/// of a memory card are no disks of their own.
fn is_hardware(name: &str, target: &str) -> bool {
    let is_made_up = target.contains("/devices/virtual/") && !target.contains("/nvme-subsystem/");
    let is_part = name.starts_with("mmcblk") && (name.contains("boot") || name.contains("rpmb"));
    !is_made_up && !is_part && !target.contains("/devices/rbd/")
}

/// By what a disk that is no NVMe is attached.
fn transport(name: &str, target: &str) -> &'static str {
    let has = |start: &str| target.split('/').any(|part| part.starts_with(start));
    if has("virtio") {
        "virtio"
    } else if has("vbd-") {
        "xen"
    } else if name.starts_with("mmcblk") {
        "mmc"
    } else if name.starts_with("dasd") {
        "ccw"
    } else if name.starts_with("pmem") {
        "nvdimm"
    } else if has("usb") {
        "usb"
    } else if has("session") {
        "iscsi"
    } else if has("rport-") {
        "fc"
    } else if has("end_device-") {
        "sas"
    } else if has("ata") {
        "sata"
    } else if has("host") {
        "scsi"
    } else {
        "other"
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_kernel_makes_up_is_no_disk() {
        for (name, target, expected) in [
            ("loop0", "../devices/virtual/block/loop0", false),
            ("dm-0", "../devices/virtual/block/dm-0", false),
            ("rbd0", "../devices/rbd/0/block/rbd0", false),
            ("nvme0n1", "../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1", true),
            ("nvme0n1", "../devices/pci0000:00/0000:00:04.0/nvme/nvme0/nvme0n1", true),
            ("mmcblk0", "../devices/platform/fe330000.mmc/mmc_host/mmc0/mmc0:0001/block/mmcblk0", true),
            ("mmcblk0boot0", "../devices/platform/mmc_host/mmc0/mmc0:0001/block/mmcblk0/mmcblk0boot0", false),
        ] {
            assert_eq!(is_hardware(name, target), expected, "{target}");
        }
    }

    #[test]
    fn the_way_to_a_disk_tells_by_what_it_is_attached() {
        for (name, target, word) in [
            ("vda", "../devices/pci0000:00/0000:00:06.0/virtio4/block/vda", "virtio"),
            (
                "sda",
                "../devices/pci0000:00/0000:00:05.0/virtio2/host2/target2:0:1/2:0:1:0/block/sda",
                "virtio",
            ),
            ("xvda", "../devices/vbd-51712/block/xvda", "xen"),
            ("sda", "../devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda", "sata"),
            (
                "sda",
                "../devices/pci0000:17/0000:18:00.0/host0/port-0:0/end_device-0:0/target0:0:0/0:0:0:0/block/sda",
                "sas",
            ),
            ("sda", "../devices/pci0000:17/0000:18:00.0/host0/target0:2:0/0:2:0:0/block/sda", "scsi"),
            ("sdb", "../devices/platform/host3/session1/target3:0:0/3:0:0:1/block/sdb", "iscsi"),
            (
                "sdc",
                "../devices/pci0000:3a/0000:3b:00.0/host1/rport-1:0-2/target1:0:0/1:0:0:0/block/sdc",
                "fc",
            ),
            (
                "sdd",
                "../devices/pci0000:00/0000:00:14.0/usb1/1-4/1-4:1.0/host6/target6:0:0/6:0:0:0/block/sdd",
                "usb",
            ),
            ("dasda", "../devices/css0/0.0.0003/0.0.0200/block/dasda", "ccw"),
        ] {
            assert_eq!(transport(name, target), word, "{target}");
        }
    }

    #[test]
    fn a_controller_on_pci_is_the_last_one_on_the_way() {
        let disk = |target: &str| Disk { name: "sda".to_owned(), target: target.to_owned(), bytes: 1 };
        let on_pci =
            disk("../devices/pci0000:17/0000:17:02.0/0000:18:00.0/host0/target0:2:0/0:2:0:0/block/sda");
        assert_eq!(on_pci.pci_address(), Some("0000:18:00.0"));
        assert_eq!(disk("../devices/vbd-51712/block/xvda").pci_address(), None);
        assert!(
            is_pci_address("10000:01:00.0") && !is_pci_address("0:2:0:0") && !is_pci_address("0000.41:00:0:")
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*|[0-9a-f:./]{0,30}") {
            let _ = (is_pci_address(&text), is_controller(&text), transport(&text, &text), is_hardware(&text, &text));
        }
    }
}
