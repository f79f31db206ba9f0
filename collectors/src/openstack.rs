//! `openstack`: what the metadata service says of an `OpenStack` instance: id, availability zone and floating
//! address.
//!
//! Many clouds give the document on a configuration drive alone, and have no such service: then the collector
//! fails.

use node_annotator_core::{
    Collect, CollectError, Collector, Fact, Facts, Need, NodeField, Stability, Topic, Variable, register,
};
use serde::Deserialize;

use crate::source::cloud;
use crate::source::metadata::{self, Field, Service, Session, is_address, is_name};

const INSTANCE_ID: Fact = Fact::primary(
    "id of the instance (server), a UUID",
    "83679162-1378-4288-a2d4-70e13ec132aa",
    Stability::Immutable,
)
.unique()
.also_in(NodeField::ProviderId("openstack"));
const AVAILABILITY_ZONE: Fact =
    Fact::named("availability-zone", "availability zone of Nova", "nova", Stability::Immutable);
const FLOATING_IPV4: Fact = Fact::named(
    "floating-ipv4",
    "floating IPv4 address, if one was assigned when the collector ran",
    "203.0.113.25",
    Stability::Dynamic,
)
.unique();

/// The collector.
pub static OPENSTACK: Collector = Collector::new(
    "openstack",
    Topic::Cloud,
    "Id, availability zone and floating address of an OpenStack instance",
    &[INSTANCE_ID, AVAILABILITY_ZONE, FLOATING_IPV4],
    Collect::Async(|cx| Box::pin(SERVICE.collect(cx, facts))),
)
.reads(&SOURCES)
.not_applicable("where nothing local and no operator says that it is an OpenStack instance")
.needs(&[Need::MetadataService])
.variables(&[URL])
.timeout(metadata::TIMEOUT)
.on_request();

register!(OPENSTACK);

const URL: Variable = Variable::operator(
    "OPENSTACK_METADATA_URL",
    "http:// address of the metadata service, without a path; set, the node is taken for an OpenStack instance",
);

/// What tells the cloud, and the service.
const SOURCES: [&str; 8] = cloud::sources(&[
    "http://169.254.169.254/openstack/latest/meta_data.json",
    "http://169.254.169.254/latest/meta-data/public-ipv4",
]);

static SERVICE: Service = Service {
    unreachable: "the cloud may have no such service (a configuration drive in its place), or a NetworkPolicy or the network \
                  plugin keeps pods from it: allow egress to 169.254.169.254, or run with the host network",
    ..Service::new("openstack", "OpenStack", "an OpenStack instance", URL)
};

/// `random_seed`, `admin_pass`, `public_keys` and the user's `meta` are beside these.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    uuid: Field<String>,
    availability_zone: Field<String>,
}

async fn facts(session: Session) -> Result<Facts, CollectError> {
    let metadata: Metadata = session.required_document("/openstack/latest/meta_data.json").await?;
    let id = metadata.uuid.checked("uuid", is_name).ok().flatten();
    Ok(Facts::new(id.ok_or_else(|| session.other_shape())?)
        .with_read(&AVAILABILITY_ZONE, metadata.availability_zone.checked("availability_zone", is_name))
        // Only the interface that is modelled on EC2's has it.
        .with_read(&FLOATING_IPV4, session.text("/latest/meta-data/public-ipv4", is_address).await))
}
