//! Devices and disks that are on none of the machines.

use crate::root::{Root, collector, facts};

/// A device on PCI: its address, class, numbers and driver.
fn pci(address: &str, class: &str, id: &str, driver: &str) -> (String, String) {
    let text = format!("DRIVER={driver}\nPCI_CLASS={class}\nPCI_ID={id}\nPCI_SLOT_NAME={address}\n");
    (format!("/sys/bus/pci/devices/{address}/uevent"), text)
}

/// A disk: its name, where its link leads, whether it rotates and who made it.
fn disk(name: &str, target: &str, rotational: &str, vendor: &str) -> Vec<(String, String)> {
    let file = |file: &str, text: &str| (format!("/sys/devices/{target}/{file}"), text.to_owned());
    vec![
        (format!("/sys/block/{name}"), format!("->../devices/{target}")),
        file("size", "2048\n"),
        file("queue/rotational", rotational),
        file("device/vendor", vendor),
    ]
}

#[tokio::test]
async fn a_kernel_that_drives_no_iommu_says_so() {
    let root = Root::of_fixture("amd-epyc");
    for number in 0..4 {
        let path = root.path().join(format!("sys/class/iommu/ivhd{number}"));
        std::fs::remove_dir_all(path).unwrap();
    }
    let facts = facts(collector("firmware"), root.host()).await;
    assert_eq!(facts.get(Some("iommu")), Some("none"));
}

#[tokio::test]
async fn a_guest_has_a_virtual_function_as_a_card_of_its_own() {
    let root = Root::new([
        pci("0000:00:05.0", "20000", "15B3:101E", "mlx5_core"),
        pci("0000:00:06.0", "20700", "15B3:101B", "vfio-pci"),
    ]);
    let facts = facts(collector("nic"), root.host()).await;
    assert_eq!(facts.get(None), Some("15b3:101b=1,15b3:101e=1"));
    assert_eq!(facts.get(Some("drivers")), Some("mlx5_core,vfio-pci"));
}

#[tokio::test]
async fn a_host_with_a_hundred_kinds_of_devices_still_fits() {
    let devices = (0..100).map(|number| {
        pci(&format!("0000:{number:02x}:00.0"), "20000", &format!("15B3:{number:04X}"), "mlx5_core")
    });
    let facts = facts(collector("nic"), Root::new(devices).host()).await;
    let value = facts.get(None).unwrap();
    assert!(value.len() <= 512 && value.contains("15b3:0000=1,") && value.contains(",others="), "{value}");
}

#[tokio::test]
async fn accelerators_are_told_apart_by_their_drivers() {
    let mut root = vec![
        pci("0000:01:00.0", "30200", "10DE:2330", "nvidia"),
        pci("0000:02:00.0", "30200", "10DE:2330", "vfio-pci"),
        pci("0000:03:00.0", "120000", "1DA3:1020", "habanalabs"),
        pci("0000:04:00.0", "120000", "1E52:401E", ""),
    ];
    root.push(("/sys/module/nvidia/version".to_owned(), "570.124.06\n".to_owned()));
    root.push(("/sys/module/habanalabs/version".to_owned(), "1.19.0\n".to_owned()));
    let facts = facts(collector("accelerator"), Root::new(root).host()).await;
    assert_eq!(facts.get(None), Some("4"));
    assert_eq!(facts.get(Some("driver")), Some("habanalabs,none,nvidia,vfio-pci"));
    assert_eq!(facts.get(Some("driver-version")), Some("1.19.0,570.124.06"));
    assert_eq!(facts.get(Some("vendors")), Some("habana,nvidia,tenstorrent"));
}

#[tokio::test]
async fn disks_of_a_raid_controller_say_whether_they_rotate_and_those_of_a_hypervisor_do_not() {
    let path =
        |name: &str, host: u8| format!("pci0000:00/0000:00:15.0/host{host}/target{host}:0:0/block/{name}");
    let disks = [
        disk("sda", &path("sda", 0), "0\n", "DELL    \n"),
        disk("sdb", &path("sdb", 0), "1\n", "DELL    \n"),
        disk("sdc", &path("sdc", 1), "1\n", "VMware  \n"),
        disk("md0", "virtual/block/md0", "0\n", ""),
    ];
    let facts = facts(collector("disk"), Root::new(disks.into_iter().flatten()).host()).await;
    assert_eq!(facts.get(None), Some("3"));
    assert_eq!(facts.get(Some("kinds")), Some("hdd=1,scsi=1,ssd=1"));
    assert_eq!(facts.get(Some("total-bytes")), Some("3145728"));
}
