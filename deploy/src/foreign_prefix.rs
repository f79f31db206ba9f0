//! Domains whose keys on Nodes others trust: the policy would hand them to every token of ours.

use node_annotator_core::Prefix;

/// Who writes or reads labels and annotations of Nodes under a domain of their own. Kubernetes' own domains
/// are no prefixes at all.
pub(crate) const OWNERS: [&str; 61] = [
    "alibabacloud.com",
    "aliyun.com",
    "amazonaws.com",
    "amd.com",
    "antrea.io",
    "azure.com",
    "cast.ai",
    "cattle.io",
    "ceph.com",
    "cilium.io",
    "cloud.google.com",
    "coreos.com",
    "digitalocean.com",
    "exoscale.com",
    "flannel.io",
    "flatcar-linux.net",
    "gardener.cloud",
    "gke.io",
    "googleapis.com",
    "habana.ai",
    "harvesterhci.io",
    "hetzner.cloud",
    "huaweicloud.com",
    "ibm.com",
    "intel.com",
    "istio.io",
    "k0sproject.io",
    "k3s.io",
    "k8s.aws",
    "karpenter.sh",
    "koordinator.sh",
    "kruise.io",
    "kube-router.io",
    "kubeedge.io",
    "kubeovn.io",
    "kubevirt.io",
    "kured.dev",
    "linode.com",
    "liqo.io",
    "longhorn.io",
    "mellanox.com",
    "metallb.io",
    "metallb.universe.tf",
    "microk8s.io",
    "nvidia.com",
    "openebs.io",
    "openshift.io",
    "oraclecloud.com",
    "ovhcloud.com",
    "ovn.org",
    "portworx.com",
    "projectcalico.org",
    "rook.io",
    "scaleway.com",
    "sidero.dev",
    "submariner.io",
    "talos.dev",
    "tencent.com",
    "tigera.io",
    "volcengine.com",
    "weave.works",
];

/// The domain of others that a prefix is, or is in.
pub(crate) fn owner(prefix: &Prefix) -> Option<&'static str> {
    let prefix = prefix.as_str();
    OWNERS.into_iter().find(|owner| {
        prefix.strip_suffix(owner).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner_of(prefix: &str) -> Option<&'static str> {
        owner(&prefix.parse().unwrap())
    }

    #[test]
    fn domains_of_others_and_what_is_in_them_have_an_owner() {
        for (prefix, owner) in [
            ("cilium.io", "cilium.io"),
            ("network.cilium.io", "cilium.io"),
            ("projectcalico.org", "projectcalico.org"),
            ("nvidia.com", "nvidia.com"),
            ("flannel.alpha.coreos.com", "coreos.com"),
            ("eks.amazonaws.com", "amazonaws.com"),
            ("cloud.google.com", "cloud.google.com"),
            ("node.openshift.io", "openshift.io"),
        ] {
            assert_eq!(owner_of(prefix), Some(owner), "{prefix}");
        }
    }

    #[test]
    fn other_domains_have_none() {
        for prefix in ["k8s.haim.dev", "facts", "mycilium.io", "cilium.io.example.com", "facts.google.com"] {
            assert_eq!(owner_of(prefix), None, "{prefix}");
        }
    }

    #[test]
    fn owners_are_listed_once_in_order() {
        assert!(OWNERS.is_sorted_by(|a, b| a < b));
    }
}
