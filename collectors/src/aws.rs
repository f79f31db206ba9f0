//! `aws`: what the metadata service says of an EC2 instance and Kubernetes does not have: life cycle,
//! placement, image and public addresses.
//!
//! The service is asked for a token first (`IMDSv2`). Its answer goes no further than the instance's hop
//! limit, which is 1 unless somebody has raised it: a pod that is not on the host's network gets none.

use node_annotator_core::{
    Collect, CollectError, Collector, Fact, Facts, Kind, Need, NodeField, Stability, Topic, Variable,
    register,
};

use crate::source::cloud;
use crate::source::metadata::{self, Service, Session, is_address, is_name, is_number};

const LIFE_CYCLE: Fact = Fact::primary(
    "how the instance is paid for: `on-demand`, `spot`, `scheduled` or `capacity-block`",
    "spot",
    Stability::Immutable,
);
const INSTANCE_ID: Fact =
    Fact::named("instance-id", "id of the instance", "i-0a1b2c3d4e5f60718", Stability::Immutable)
        .unique()
        .also_in(NodeField::ProviderId("aws"));
const ZONE_ID: Fact = Fact::named(
    "zone-id",
    "id of the availability zone, which is the same in all accounts, unlike its name",
    "use1-az4",
    Stability::Immutable,
);
const PLACEMENT_GROUP: Fact =
    Fact::named("placement-group", "placement group, if it is in one", "kafka", Stability::Immutable);
const PARTITION: Fact = Fact::named(
    "partition",
    "number of the partition, in a partition placement group",
    "3",
    Stability::Immutable,
)
.kind(Kind::Number);
const IMAGE: Fact =
    Fact::named("image", "AMI that it was launched from", "ami-0abcdef1234567890", Stability::Immutable);
const PUBLIC_IPV4: Fact = Fact::named(
    "public-ipv4",
    "public IPv4 address, or the Elastic IP in its place, when the collector ran",
    "203.0.113.25",
    Stability::Dynamic,
)
.unique();
const IPV6: Fact = Fact::named(
    "ipv6",
    "first IPv6 address of the first interface, when the collector ran",
    "2001:db8::17",
    Stability::Dynamic,
)
.unique();
const AWS_PARTITION: Fact = Fact::named(
    "aws-partition",
    "partition of AWS: `aws`, `aws-cn`, `aws-us-gov`",
    "aws",
    Stability::Immutable,
);

/// The collector.
pub static AWS: Collector = Collector::new(
    "aws",
    Topic::Cloud,
    "Life cycle, placement, image and public addresses of an EC2 instance",
    &[LIFE_CYCLE, INSTANCE_ID, ZONE_ID, PLACEMENT_GROUP, PARTITION, IMAGE, PUBLIC_IPV4, IPV6, AWS_PARTITION],
    Collect::Async(|cx| Box::pin(SERVICE.collect(cx, facts))),
)
.reads(&SOURCES)
.not_applicable("where nothing local and no operator says that it is an EC2 instance")
.needs(&[Need::HostNetwork, Need::MetadataService])
.variables(&[URL])
.timeout(metadata::TIMEOUT)
.on_request();

register!(AWS);

const URL: Variable = Variable::operator(
    "AWS_METADATA_URL",
    "http:// address of the metadata service, without a path; set, the node is taken for an EC2 instance",
);

/// What tells the cloud, and the service.
const SOURCES: [&str; 10] = cloud::sources(&[
    "http://169.254.169.254/latest/api/token",
    "http://169.254.169.254/latest/meta-data/*",
    "http://169.254.169.254/latest/meta-data/placement/*",
    "http://169.254.169.254/latest/meta-data/services/partition",
]);

static SERVICE: Service = Service {
    unreachable: "the answers of the service go no further than the hop limit of the instance: run with the host network, \
                  or set HttpPutResponseHopLimit to 2",
    denied: "is the service turned off (HttpEndpoint), or does something such as kube2iam filter it?",
    ..Service::new("aws", "AWS", "an EC2 instance", URL)
};

const LIFE_CYCLE_PATH: &str = "/latest/meta-data/instance-life-cycle";

/// A fact, the path of its document, and what its text must be.
type Leaf = (&'static Fact, &'static str, fn(&str) -> bool);

/// Each is a document of its own; those that do not hold for an instance are missing.
const LEAVES: [Leaf; 8] = [
    (&INSTANCE_ID, "/latest/meta-data/instance-id", is_name),
    (&ZONE_ID, "/latest/meta-data/placement/availability-zone-id", is_name),
    (&PLACEMENT_GROUP, "/latest/meta-data/placement/group-name", is_name),
    (&PARTITION, "/latest/meta-data/placement/partition-number", is_number),
    (&IMAGE, "/latest/meta-data/ami-id", is_name),
    (&PUBLIC_IPV4, "/latest/meta-data/public-ipv4", is_address),
    (&IPV6, "/latest/meta-data/ipv6", is_address),
    (&AWS_PARTITION, "/latest/meta-data/services/partition", is_name),
];

async fn facts(session: Session) -> Result<Facts, CollectError> {
    let life_time = ("X-aws-ec2-metadata-token-ttl-seconds", "60");
    let session = session.with_token("/latest/api/token", life_time, "X-aws-ec2-metadata-token").await?;
    let mut facts = Facts::new(session.required_text(LIFE_CYCLE_PATH, is_word).await?);
    for (fact, path, is) in LEAVES {
        facts = facts.with_read(fact, session.text(path, is).await);
    }
    Ok(facts)
}

/// Whether a text may be a life cycle: a page of a web server, or an error in its place, is none.
fn is_word(text: &str) -> bool {
    text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}
