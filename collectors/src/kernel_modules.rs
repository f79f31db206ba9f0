//! `kernel-modules`: which of the modules that workloads ask for are loaded or built in.
//!
//! What is not loaded may still be there to be loaded: a pod sees no `/lib/modules`. So a module that is
//! missing from a list is not said to be missing from the node.

use node_annotator_core::context::HostError;
use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, Kind, Stability, Topic, register,
};

use crate::source::list::sorted;

const PRESENT: Fact = Fact::primary(
    "modules that are loaded, or built in and visible, of a list of those for storage, networks, devices and virtual machines; \
     `_` in names, joined by commas; `none` if none of the list is",
    "br_netfilter,nf_tables,nft_compat,vxlan",
    Stability::Dynamic,
)
.kind(Kind::List);
const OUT_OF_TREE: Fact = Fact::named(
    "out-of-tree",
    "modules of the same list that are not the kernel's own, by its taint flags `O` and `P`, such as a vendor's driver; `none` \
     if there is none",
    "ib_core,mlx5_core,mlx5_ib,nvidia,nvidia_uvm",
    Stability::Dynamic,
)
.kind(Kind::List);
const SIGNATURES: Fact = Fact::named(
    "signatures-enforced",
    "whether only signed modules can be loaded: `true` or `false`; not there where the kernel checks none",
    "true",
    Stability::Dynamic,
)
.kind(Kind::Flag);

/// The collector.
pub static KERNEL_MODULES: Collector = Collector::new(
    "kernel-modules",
    Topic::Kernel,
    "Kernel modules that workloads ask for, and vendors' drivers among them",
    &[PRESENT, OUT_OF_TREE, SIGNATURES],
    Collect::Blocking(collect),
)
.reads(&[MODULES_PATH, LOADED_PATH, SIGNATURES_PATH]);

register!(KERNEL_MODULES);

/// Loaded modules are all in it; built-in ones if they have a parameter or a version.
const MODULES_PATH: &str = "/sys/module";
const LOADED_PATH: &str = "/proc/modules";
const SIGNATURES_PATH: &str = "/sys/module/module/parameters/sig_enforce";

/// Neither those of every node, nor security agents: that a node has one of these is nobody's business.
const LISTED: [&str; 85] = [
    "8021q",
    "act_ct",
    "amdgpu",
    "bcache",
    "beegfs",
    "bnxt_en",
    "bonding",
    "br_netfilter",
    "ceph",
    "cifs",
    "dm_crypt",
    "dm_multipath",
    "dm_thin_pool",
    "dm_verity",
    "drbd",
    "efa",
    "ena",
    "gasket",
    "gdrdrv",
    "geneve",
    "gve",
    "habanalabs",
    "i40e",
    "i915",
    "iavf",
    "ib_core",
    "ib_ipoib",
    "ib_iser",
    "ib_uverbs",
    "ice",
    "idxd",
    "igb_uio",
    "iommufd",
    "ip_set",
    "ip_tables",
    "ip_vs",
    "ip_vs_rr",
    "iptable_nat",
    "ipvlan",
    "irdma",
    "iscsi_target_mod",
    "iscsi_tcp",
    "kvm_amd",
    "kvm_intel",
    "lustre",
    "macvlan",
    "mana",
    "mlx5_core",
    "mlx5_ib",
    "mmfs26",
    "mptcp_diag",
    "nbd",
    "neuron",
    "nf_tables",
    "nfs",
    "nfsd",
    "nft_compat",
    "nvidia",
    "nvidia_peermem",
    "nvidia_uvm",
    "nvme_fabrics",
    "nvme_rdma",
    "nvme_tcp",
    "openvswitch",
    "qat_4xxx",
    "rbd",
    "rdma_cm",
    "sch_fq",
    "sctp",
    "target_core_mod",
    "tcp_bbr",
    "tls",
    "ublk_drv",
    "uio_pci_generic",
    "vfio_iommu_type1",
    "vfio_pci",
    "vhost_net",
    "vhost_vsock",
    "virtio_mem",
    "vrf",
    "vxlan",
    "wireguard",
    "xe",
    "xt_bpf",
    "zfs",
];

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    let Some(modules) = cx.host.list(MODULES_PATH)? else {
        return Err(HostError::absent(MODULES_PATH).into());
    };
    let loaded = cx.host.text(LOADED_PATH).map(|text| text.map(|text| sorted(out_of_tree(&text))));
    let signatures = cx.host.line(SIGNATURES_PATH);
    let signatures = signatures.map(|line| line.and_then(|line| flag(&line)));
    let present = modules.iter().map(String::as_str).filter(|name| LISTED.contains(name));
    Ok(Facts::new(sorted(present)).with_read(&OUT_OF_TREE, loaded).with_read(&SIGNATURES, signatures).into())
}

/// Of lines such as `nvidia 56717312 130 nvidia_uvm, Live 0x0000000000000000 (POE)`.
fn out_of_tree(modules: &str) -> impl Iterator<Item = &str> {
    modules.lines().filter_map(|line| {
        let (rest, flags) = line.trim_end().strip_suffix(')')?.rsplit_once('(')?;
        let name = rest.split(' ').next()?;
        (flags.contains(['O', 'P']) && LISTED.contains(&name)).then_some(name)
    })
}

fn flag(parameter: &str) -> Option<bool> {
    match parameter {
        "Y" | "1" => Some(true),
        "N" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn taint_flags_tell_whose_a_module_is() {
        let modules = "nvidia 56717312 130 nvidia_uvm,nvidia_modeset, Live 0x0000000000000000 (POE)\n\
                       mlx5_core 2211840 1 mlx5_ib, Live 0x0000000000000000 (OE)\n\
                       nvme_tcp 53248 0 - Live 0x0000000000000000\n\
                       agent 53248 0 - Live 0x0000000000000000 (OE)\n\
                       zfs 53248 0 - Loading 0x0000000000000000 (PO+)\n\
                       dummy 53248 0 - Live 0x0000000000000000 (E)\n\
                       nonsense)\n";
        assert_eq!(sorted(out_of_tree(modules)), "mlx5_core,nvidia,zfs");
        assert_eq!(sorted(out_of_tree("")), "none");
    }

    #[test]
    fn the_list_is_sorted_and_in_one_spelling() {
        assert!(LISTED.is_sorted());
        assert!(LISTED.iter().all(|name| !name.contains('-')));
    }

    proptest! {
        #[test]
        fn any_text_yields_listed_modules_alone(text in "\\PC*|((zfs|rbd|\\PC{1,4}) 1 0 - Live 0x0( \\((O|P|E){0,3}\\))?\n){0,5}") {
            prop_assert!(out_of_tree(&text).all(|name| LISTED.contains(&name)));
        }
    }
}
