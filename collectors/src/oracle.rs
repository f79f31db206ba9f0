//! `oracle`: what the metadata service says of an Oracle Cloud instance and Kubernetes does not have: fault
//! domain, physical availability domain, place in the network, burst baseline and image.

use node_annotator_core::{
    Collect, CollectError, Collector, Fact, Facts, Need, Stability, Topic, Variable, register,
};
use serde::Deserialize;

use crate::source::cloud;
use crate::source::metadata::{self, Field, Odd, Service, Session, is_name};

const FAULT_DOMAIN: Fact =
    Fact::primary("fault domain in the availability domain", "FAULT-DOMAIN-2", Stability::Immutable);
const AD_NAME: Fact = Fact::named(
    "ad-name",
    "physical availability domain, by the name that is the same in all tenancies",
    "iad-ad-3",
    Stability::Immutable,
);
const RACK: Fact = Fact::named(
    "rack",
    "hash of the rack, where the service tells the host: bare metal and some shapes",
    "d6b03c7f4b1d4c2aa0d4f8f3e5a1b2c3",
    Stability::Dynamic,
);
const NETWORK_BLOCK: Fact = Fact::named(
    "network-block",
    "block of the network, which holds a few local blocks; an id, or the last part of its OCID",
    "a7c1e9d3b5f24680",
    Stability::Dynamic,
);
const LOCAL_BLOCK: Fact = Fact::named(
    "local-block",
    "block of the cluster network with the least latency, where the tenancy is told its topology; the last part of its \
     OCID, as with the next",
    "anuwcljtabcdefgh2345",
    Stability::Dynamic,
);
const HPC_ISLAND: Fact = Fact::named(
    "hpc-island",
    "island of the cluster network: all network blocks that reach each other",
    "anuwcljtqrstuvwx6723",
    Stability::Dynamic,
);
const GPU_FABRIC: Fact = Fact::named(
    "gpu-fabric",
    "memory fabric that GPUs share, with GB200 and GB300",
    "anuwcljtmnopqrst4567",
    Stability::Dynamic,
);
const BASELINE: Fact = Fact::named(
    "baseline",
    "part of its CPUs that a burstable instance always has: `BASELINE_1_8`, `BASELINE_1_2`, or `BASELINE_1_1` for all",
    "BASELINE_1_8",
    Stability::Dynamic,
);
const IMAGE: Fact = Fact::named(
    "image",
    "image of the boot volume: the last part of its OCID",
    "aaaaaaaaqxv6l3xb5pbx",
    Stability::Immutable,
);

/// The collector.
pub static ORACLE: Collector = Collector::new(
    "oracle",
    Topic::Cloud,
    "Fault domain, place in the network, burst baseline and image of an Oracle Cloud instance",
    &[FAULT_DOMAIN, AD_NAME, RACK, NETWORK_BLOCK, LOCAL_BLOCK, HPC_ISLAND, GPU_FABRIC, BASELINE, IMAGE],
    Collect::Async(|cx| Box::pin(SERVICE.collect(cx, facts))),
)
.reads(&SOURCES)
.not_applicable("where nothing local and no operator says that it is an Oracle Cloud instance")
.needs(&[Need::MetadataService])
.variables(&[URL])
.timeout(metadata::TIMEOUT)
.on_request();

register!(ORACLE);

const URL: Variable = Variable::operator(
    "ORACLE_METADATA_URL",
    "http:// address of the metadata service, without a path; set, the node is taken for an Oracle Cloud instance",
);

/// What tells the cloud, and the service.
const SOURCES: [&str; 8] =
    cloud::sources(&["http://169.254.169.254/opc/v2/instance/", "http://169.254.169.254/opc/v2/host/"]);

static SERVICE: Service = Service {
    headers: &[("Authorization", "Bearer Oracle")],
    unreachable: "requests must leave by the primary VNIC, and a NetworkPolicy or the network plugin may keep pods from \
                  link-local addresses: allow egress to 169.254.169.254, or run with the host network",
    denied: "the service refuses requests that were forwarded, or is turned off for the instance",
    ..Service::new("oracle", "Oracle Cloud", "an Oracle Cloud instance", URL)
};

/// `metadata` and `extendedMetadata` are beside these, with SSH keys and user data.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Instance {
    fault_domain: Field<String>,
    oci_ad_name: Field<String>,
    image: Field<String>,
    shape_config: Field<ShapeConfig>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ShapeConfig {
    baseline_ocpu_utilization: Field<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Host {
    rack_id: Field<String>,
    network_block_id: Field<String>,
    rdma_topology_data: Field<RdmaTopology>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct RdmaTopology {
    #[serde(rename = "customerNetworkBlock")]
    network_block: Field<String>,
    #[serde(rename = "customerLocalBlock")]
    local_block: Field<String>,
    #[serde(rename = "customerHPCIslandId")]
    hpc_island: Field<String>,
    #[serde(rename = "customerGpuMemoryFabric")]
    gpu_fabric: Field<String>,
}

async fn facts(session: Session) -> Result<Facts, CollectError> {
    let instance: Instance = session.required_document("/opc/v2/instance/").await?;
    let fault_domain = instance.fault_domain.checked("faultDomain", is_name).ok().flatten();
    let shape = instance.shape_config.told("shapeConfig").map(Option::unwrap_or_default);
    let baseline =
        shape.and_then(|shape| shape.baseline_ocpu_utilization.checked("baselineOcpuUtilization", is_name));
    let facts = Facts::new(fault_domain.ok_or_else(|| session.other_shape())?)
        .with_read(&AD_NAME, instance.oci_ad_name.checked("ociAdName", is_name))
        .with_read(&BASELINE, baseline)
        .with_read(&IMAGE, last_part(instance.image, "image"));
    Ok(with_host(facts, session.document("/opc/v2/host/").await))
}

fn with_host(facts: Facts, host: Result<Option<Host>, CollectError>) -> Facts {
    let parts = [&RACK, &NETWORK_BLOCK, &LOCAL_BLOCK, &HPC_ISLAND, &GPU_FABRIC];
    let Host { rack_id, network_block_id, rdma_topology_data } = match host {
        Ok(host) => host.unwrap_or_default(),
        Err(error) => return metadata::without(facts, &parts, &error),
    };
    let rdma = rdma_topology_data.told("rdmaTopologyData").map(Option::unwrap_or_default);
    let of_rdma = |field: fn(RdmaTopology) -> Field<String>, name| {
        rdma.clone().and_then(|rdma| last_part(field(rdma), name))
    };
    let network_block = match last_part(network_block_id, "networkBlockId") {
        Ok(None) => of_rdma(|rdma| rdma.network_block, "customerNetworkBlock"),
        told => told,
    };
    facts
        .with_read(&RACK, last_part(rack_id, "rackId"))
        .with_read(&NETWORK_BLOCK, network_block)
        .with_read(&LOCAL_BLOCK, of_rdma(|rdma| rdma.local_block, "customerLocalBlock"))
        .with_read(&HPC_ISLAND, of_rdma(|rdma| rdma.hpc_island, "customerHPCIslandId"))
        .with_read(&GPU_FABRIC, of_rdma(|rdma| rdma.gpu_fabric, "customerGpuMemoryFabric"))
}

/// OCIDs are long, and what tells two of one kind and region apart is behind the last dot.
fn last_part(field: Field<String>, name: &'static str) -> Result<Option<String>, Odd> {
    let id = field.checked(name, is_name)?;
    Ok(id.map(|id| id.rsplit('.').next().unwrap_or_default().to_owned()))
}
