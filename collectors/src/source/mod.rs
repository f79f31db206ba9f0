//! Sources that several collectors read: parsers and readers, each written once.

pub(crate) mod bus;
pub(crate) mod choice;
pub(crate) mod cloud;
pub(crate) mod cmdline;
pub(crate) mod counts;
pub(crate) mod cpu_cache;
pub(crate) mod cpuinfo;
pub(crate) mod cpulist;
pub(crate) mod disks;
pub(crate) mod dmi;
pub(crate) mod droplet;
pub(crate) mod list;
pub(crate) mod metadata;
pub(crate) mod numa;
pub(crate) mod os_release;
pub(crate) mod pci;
pub(crate) mod release;
pub(crate) mod size;
pub(crate) mod virtio;
