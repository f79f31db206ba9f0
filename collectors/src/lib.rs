//! The collectors that come with node-annotator.
//!
//! Each lives in a module of its own, named for what it observes, and registers itself: naming this crate
//! once is enough to have them all. A collector reaches the host through its context alone, and parses apart
//! from reading.

pub mod accelerator;
pub mod aws;
pub mod azure;
pub mod boot;
pub mod cgroup;
pub mod cloud;
pub mod confidential;
pub mod container_runtime;
pub mod cpu_cache;
pub mod cpu_cache_levels;
pub mod cpu_features;
pub mod cpu_frequency;
pub mod cpu_idle;
pub mod cpu_model;
pub mod cpu_vulnerabilities;
pub mod digital_ocean;
pub mod digital_ocean_anchor_ip;
pub mod disk;
pub mod disk_inventory;
pub mod dmi;
pub mod dmi_inventory;
pub mod dns_name;
pub mod files;
pub mod filesystems;
pub mod firmware;
pub mod gcp;
pub mod gpu;
pub mod hetzner;
pub mod hugepages;
pub mod kernel;
pub mod kernel_config;
pub mod kernel_modules;
pub mod limits;
pub mod linode;
pub mod lsm;
pub mod memory;
pub mod memory_ecc;
pub mod network_interfaces;
pub mod nic;
pub mod numa;
pub mod numa_topology;
pub mod openstack;
pub mod oracle;
pub mod os;
pub mod pci;
pub mod rdma;
pub mod scaleway;
pub mod sysctl;
pub mod time;
pub mod usb;
pub mod virt;
pub mod vultr;

mod source;
