//! `gcp`: what the metadata server says of a Compute Engine instance and Kubernetes does not have: how it is
//! provisioned, where it is in the network, its CPU platform, image and external address.
//!
//! Each fact is a document of its own: among the attributes of a GKE node is `kube-env` with the credentials
//! of the kubelet, so that no list of them is ever asked for. On GKE another metadata server answers pods
//! that are not on the host's network, and holds most of this back.

use node_annotator_core::{
    Collect, CollectError, Collector, Fact, Facts, Kind, Need, Stability, Topic, Variable, register,
};
use serde::Deserialize;

use crate::source::cloud;
use crate::source::metadata::{self, Field, Service, Session, is_address, is_name};

const PROVISIONING_MODEL: Fact = Fact::primary(
    "how the instance is provisioned: `STANDARD`, `SPOT`, `FLEX_START`, `RESERVATION_BOUND`, or `PREEMPTIBLE` for the \
     older kind of `SPOT`",
    "SPOT",
    Stability::Immutable,
);
const ON_HOST_MAINTENANCE: Fact = Fact::named(
    "on-host-maintenance",
    "what becomes of it at maintenance of its host: `MIGRATE` or `TERMINATE`",
    "TERMINATE",
    Stability::Dynamic,
);
const AUTOMATIC_RESTART: Fact = Fact::named(
    "automatic-restart",
    "whether it is started again after a failure of its host: `true` or `false`",
    "false",
    Stability::Dynamic,
)
.kind(Kind::Flag);
const CLUSTER: Fact = Fact::named(
    "cluster",
    "cluster of hosts that it is in; the topology is told for some machine types alone",
    "europe-west1-cluster-jfhb",
    Stability::Dynamic,
);
const BLOCK: Fact = Fact::named(
    "block",
    "block of that cluster: the racks with one network fabric",
    "3e3056e23cf91a5cb4a8621b6a52c100",
    Stability::Dynamic,
);
const SUBBLOCK: Fact = Fact::named(
    "subblock",
    "part of that block: the hosts with one top-of-rack switch",
    "0fc09525cbd5abd734342893ca1c083f",
    Stability::Dynamic,
);
const HOST: Fact = Fact::named(
    "host",
    "host that it was on when the collector ran",
    "1215168a4ecdfb434fe4d28056589059",
    Stability::Dynamic,
);
const IMAGE: Fact = Fact::named(
    "image",
    "image of the boot disk, with its project",
    "cos-cloud/cos-113-18244-151-62",
    Stability::Immutable,
);
const CPU_PLATFORM: Fact = Fact::named(
    "cpu-platform",
    "generation of the CPU, where its model does not tell",
    "Intel Sapphire Rapids",
    Stability::Dynamic,
);
const EXTERNAL_IPV4: Fact = Fact::named(
    "external-ipv4",
    "external IPv4 address of the first interface, when the collector ran",
    "203.0.113.25",
    Stability::Dynamic,
)
.unique();

/// The collector.
pub static GCP: Collector = Collector::new(
    "gcp",
    Topic::Cloud,
    "Provisioning, topology, image and external address of a Compute Engine instance",
    &[
        PROVISIONING_MODEL,
        ON_HOST_MAINTENANCE,
        AUTOMATIC_RESTART,
        CLUSTER,
        BLOCK,
        SUBBLOCK,
        HOST,
        IMAGE,
        CPU_PLATFORM,
        EXTERNAL_IPV4,
    ],
    Collect::Async(|cx| Box::pin(SERVICE.collect(cx, facts))),
)
.reads(&SOURCES)
.not_applicable("where nothing local and no operator says that it is a Compute Engine instance")
.needs(&[Need::HostNetwork, Need::MetadataService])
.variables(&[URL])
.timeout(metadata::TIMEOUT)
.on_request();

register!(GCP);

const URL: Variable = Variable::operator(
    "GCP_METADATA_URL",
    "http:// address of the metadata server, without a path; set, the node is taken for a Compute Engine instance",
);

/// What tells the cloud, and the service.
const SOURCES: [&str; 11] = cloud::sources(&[
    "http://169.254.169.254/computeMetadata/v1/instance/scheduling/*",
    "http://169.254.169.254/computeMetadata/v1/instance/attributes/physical_host_topology",
    "http://169.254.169.254/computeMetadata/v1/instance/image",
    "http://169.254.169.254/computeMetadata/v1/instance/cpu-platform",
    "http://169.254.169.254/computeMetadata/v1/instance/network-interfaces/0/access-configs/0/external-ip",
]);

static SERVICE: Service = Service {
    headers: &[("Metadata-Flavor", "Google")],
    proof: Some(("metadata-flavor", "Google")),
    denied: "pods of GKE are answered by a metadata server of its own, which holds this back: run with the host network",
    ..Service::new("gcp", "Google Cloud", "a Compute Engine instance", URL)
};

const PROVISIONING_PATH: &str = "/computeMetadata/v1/instance/scheduling/provisioning-model";
const PREEMPTIBLE_PATH: &str = "/computeMetadata/v1/instance/scheduling/preemptible";
const MAINTENANCE_PATH: &str = "/computeMetadata/v1/instance/scheduling/on-host-maintenance";
const RESTART_PATH: &str = "/computeMetadata/v1/instance/scheduling/automatic-restart";
const TOPOLOGY_PATH: &str = "/computeMetadata/v1/instance/attributes/physical_host_topology";
const IMAGE_PATH: &str = "/computeMetadata/v1/instance/image";
const PLATFORM_PATH: &str = "/computeMetadata/v1/instance/cpu-platform";
const EXTERNAL_IP_PATH: &str =
    "/computeMetadata/v1/instance/network-interfaces/0/access-configs/0/external-ip";

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct HostTopology {
    cluster: Field<String>,
    block: Field<String>,
    sub_block: Field<String>,
    host: Field<String>,
}

async fn facts(session: Session) -> Result<Facts, CollectError> {
    let facts = Facts::new(provisioning_model(&session).await?)
        .with_read(&ON_HOST_MAINTENANCE, session.text(MAINTENANCE_PATH, is_word).await)
        .with_read(
            &AUTOMATIC_RESTART,
            session.text(RESTART_PATH, is_flag).await.map(|text| text.as_deref().map(flag)),
        )
        .with_read(&IMAGE, session.text(IMAGE_PATH, is_name).await.map(|text| text.map(|path| image(&path))))
        .with_read(&CPU_PLATFORM, session.text(PLATFORM_PATH, is_name).await)
        .with_read(&EXTERNAL_IPV4, session.text(EXTERNAL_IP_PATH, is_address).await);
    Ok(with_topology(facts, session.document(TOPOLOGY_PATH).await))
}

/// Only newer instances say it; what they all say is whether it is one of the older preemptible kind.
async fn provisioning_model(session: &Session) -> Result<String, CollectError> {
    let model = session.text(PROVISIONING_PATH, is_word).await?;
    let preemptible = session.text(PREEMPTIBLE_PATH, is_flag).await?.as_deref().map(flag);
    match (model.as_deref(), preemptible.as_deref()) {
        (None | Some("STANDARD"), Some("true")) => Ok("PREEMPTIBLE".to_owned()),
        (None, Some(_)) => Ok("STANDARD".to_owned()),
        (None, None) => Err(session.missing(PREEMPTIBLE_PATH)),
        (Some(model), _) => Ok(model.to_owned()),
    }
}

fn with_topology(facts: Facts, topology: Result<Option<HostTopology>, CollectError>) -> Facts {
    let parts = [&CLUSTER, &BLOCK, &SUBBLOCK, &HOST];
    match topology.map(Option::unwrap_or_default) {
        Ok(HostTopology { cluster, block, sub_block, host }) => facts
            .with_read(&CLUSTER, cluster.checked("cluster", is_name))
            .with_read(&BLOCK, block.checked("block", is_name))
            .with_read(&SUBBLOCK, sub_block.checked("subBlock", is_name))
            .with_read(&HOST, host.checked("host", is_name)),
        Err(error) => metadata::without(facts, &parts, &error),
    }
}

/// `projects/cos-cloud/global/images/cos-113`: its project and its name.
fn image(path: &str) -> String {
    match path.strip_prefix("projects/").and_then(|rest| rest.split_once("/global/images/")) {
        Some((project, name)) => format!("{project}/{name}"),
        None => path.to_owned(),
    }
}

/// Whether a text may be a word of the service, which are in upper case.
fn is_word(text: &str) -> bool {
    text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

fn is_flag(text: &str) -> bool {
    matches!(flag(text).as_str(), "true" | "false")
}

fn flag(text: &str) -> String {
    text.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_by_its_project() {
        for (path, name) in [
            ("projects/cos-cloud/global/images/cos-113-18244-85-29", "cos-cloud/cos-113-18244-85-29"),
            ("projects/p/zones/z/images/i", "projects/p/zones/z/images/i"),
            ("cos", "cos"),
        ] {
            assert_eq!(image(path), name);
        }
    }
}
