//! `azure`: what the Instance Metadata Service says of a virtual machine and Kubernetes does not have:
//! priority, fault and update domain, physical zone, placement, security and image.
//!
//! The service writes all values as text, and an empty one for what does not hold for a machine.

use node_annotator_core::context::HttpResponse;
use node_annotator_core::{
    Collect, CollectError, Collector, Fact, Facts, Kind, Need, Stability, Topic, Variable, register,
};
use serde::Deserialize;

use crate::source::cloud;
use crate::source::metadata::{self, Field, Odd, Service, Session, is_name, is_number};

const PRIORITY: Fact = Fact::primary(
    "priority of the virtual machine: `Regular` (also where none is told), `Spot` or `Low`",
    "Spot",
    Stability::Immutable,
);
const EVICTION_POLICY: Fact = Fact::named(
    "eviction-policy",
    "what becomes of a spot machine that is evicted: `Deallocate` or `Delete`",
    "Delete",
    Stability::Immutable,
);
const FAULT_DOMAIN: Fact = Fact::named(
    "fault-domain",
    "number of the fault domain: the rack with one power source and switch",
    "2",
    Stability::Immutable,
)
.kind(Kind::Number);
const UPDATE_DOMAIN: Fact =
    Fact::named("update-domain", "number of the update domain", "1", Stability::Immutable).kind(Kind::Number);
const PHYSICAL_ZONE: Fact = Fact::named(
    "physical-zone",
    "availability zone by the name that is the same in all subscriptions",
    "eastus-az1",
    Stability::Immutable,
);
const PLACEMENT_GROUP: Fact = Fact::named(
    "placement-group",
    "id of the placement group in the scale set",
    "f67c14ab-e92c-408c-ae2d-da15866ec79a",
    Stability::Immutable,
);
const SCALE_SET: Fact =
    Fact::named("scale-set", "scale set that it is of", "aks-nodepool1-27049812-vmss", Stability::Immutable);
const SECURITY_TYPE: Fact = Fact::named(
    "security-type",
    "security type, if it has one: `TrustedLaunch` or `ConfidentialVM`",
    "TrustedLaunch",
    Stability::Immutable,
);
const ENCRYPTION_AT_HOST: Fact = Fact::named(
    "encryption-at-host",
    "whether the host encrypts caches and temporary disks: `true` or `false`",
    "true",
    Stability::Immutable,
)
.kind(Kind::Flag);
const IMAGE: Fact = Fact::named(
    "image",
    "image that it was made of: `publisher:offer:sku:version`, or `gallery/image/version`",
    "AKSUbuntu/2204gen2containerd/202409.04.0",
    Stability::Immutable,
);

/// The collector.
pub static AZURE: Collector = Collector::new(
    "azure",
    Topic::Cloud,
    "Priority, fault domain, placement, security and image of an Azure virtual machine",
    &[
        PRIORITY,
        EVICTION_POLICY,
        FAULT_DOMAIN,
        UPDATE_DOMAIN,
        PHYSICAL_ZONE,
        PLACEMENT_GROUP,
        SCALE_SET,
        SECURITY_TYPE,
        ENCRYPTION_AT_HOST,
        IMAGE,
    ],
    Collect::Async(|cx| Box::pin(SERVICE.collect(cx, facts))),
)
.reads(&SOURCES)
.not_applicable("where nothing local and no operator says that it is an Azure virtual machine")
.needs(&[Need::MetadataService])
.variables(&[URL])
.timeout(metadata::TIMEOUT);

register!(AZURE);

const URL: Variable = Variable::operator(
    "AZURE_METADATA_URL",
    "http:// address of the metadata service, without a path; set, the node is taken for an Azure virtual machine",
);

/// What tells the cloud, and the service.
const SOURCES: [&str; 7] = cloud::sources(&["http://169.254.169.254/metadata/instance*"]);

static SERVICE: Service = Service {
    headers: &[("Metadata", "true")],
    unreachable: "AKS with podLinkLocalAccess `None`, a NetworkPolicy or the network plugin keep pods from link-local \
                  addresses: allow egress to 169.254.169.254, or run with the host network",
    ..Service::new("azure", "Azure", "an Azure virtual machine", URL)
};

/// The first version with all that is read; parts of the cloud that lag behind refuse it and name theirs.
const VERSION: &str = "2023-11-15";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Instance {
    compute: Field<Compute>,
}

/// `osProfile`, `publicKeys`, `tags` and `userData` are beside these, and may hold secrets.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Compute {
    vm_id: Field<String>,
    priority: Field<String>,
    eviction_policy: Field<String>,
    platform_fault_domain: Field<String>,
    platform_update_domain: Field<String>,
    physical_zone: Field<String>,
    placement_group_id: Field<String>,
    vm_scale_set_name: Field<String>,
    security_profile: Field<SecurityProfile>,
    storage_profile: Field<StorageProfile>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SecurityProfile {
    security_type: Field<String>,
    encryption_at_host: Field<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct StorageProfile {
    image_reference: Field<ImageReference>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ImageReference {
    id: Field<String>,
    publisher: Field<String>,
    offer: Field<String>,
    sku: Field<String>,
    version: Field<String>,
    exact_version: Field<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Refusal {
    newest_versions: Field<Vec<String>>,
}

async fn facts(session: Session) -> Result<Facts, CollectError> {
    let instance: Instance = instance(&session).await?;
    let compute = instance.compute.told("compute").ok().flatten().ok_or_else(|| session.other_shape())?;
    // Each machine has it, and it is not published: a document without it is somebody else's.
    if !matches!(compute.vm_id, Field::Told(_)) {
        return Err(session.other_shape());
    }
    let priority =
        compute.priority.clone().checked("priority", is_name).map_err(|_| session.other_shape())?;
    Ok(of_compute(priority.as_deref().unwrap_or("Regular"), compute))
}

async fn instance(session: &Session) -> Result<Instance, CollectError> {
    let path = |version: &str| format!("/metadata/instance?api-version={version}&format=json");
    let response = session.ask(&path(VERSION)).await?;
    match newest_version(&response) {
        Some(version) => session.required_document(&path(&version)).await,
        None => session.decode_answer(response),
    }
}

/// The newest version that the service knows, if it does not know ours.
fn newest_version(response: &HttpResponse) -> Option<String> {
    if response.status != 400 {
        return None;
    }
    let refusal: Refusal = serde_json::from_slice(&response.body).ok()?;
    let Field::Told(versions) = refusal.newest_versions else { return None };
    // It becomes part of an address.
    let is_date = |text: &String| text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    versions.into_iter().filter(is_date).max()
}

fn of_compute(priority: &str, compute: Compute) -> Facts {
    let security = compute.security_profile.told("securityProfile").map(Option::unwrap_or_default);
    let storage = compute.storage_profile.told("storageProfile").map(Option::unwrap_or_default);
    let security_type =
        security.clone().and_then(|profile| profile.security_type.checked("securityType", is_name));
    let encryption =
        security.and_then(|profile| profile.encryption_at_host.parsed::<bool>("encryptionAtHost"));
    Facts::new(priority)
        .with_read(&EVICTION_POLICY, compute.eviction_policy.checked("evictionPolicy", is_name))
        .with_read(&FAULT_DOMAIN, compute.platform_fault_domain.checked("platformFaultDomain", is_number))
        .with_read(&UPDATE_DOMAIN, compute.platform_update_domain.checked("platformUpdateDomain", is_number))
        .with_read(&PHYSICAL_ZONE, compute.physical_zone.checked("physicalZone", is_name))
        .with_read(&PLACEMENT_GROUP, compute.placement_group_id.checked("placementGroupId", is_name))
        .with_read(&SCALE_SET, compute.vm_scale_set_name.checked("vmScaleSetName", is_name))
        .with_read(&SECURITY_TYPE, security_type)
        .with_read(&ENCRYPTION_AT_HOST, encryption)
        .with_read(&IMAGE, storage.and_then(image))
}

fn image(storage: StorageProfile) -> Result<Option<String>, Odd> {
    let reference = storage.image_reference.told("imageReference")?.unwrap_or_default();
    if let Some(id) = reference.id.checked("imageReference", is_resource)? {
        return Ok(Some(of_resource(&id)));
    }
    let version = reference.exact_version.checked("exactVersion", is_name)?;
    let version =
        version.map_or_else(|| reference.version.checked("version", is_name), |version| Ok(Some(version)))?;
    let parts = [
        reference.publisher.checked("publisher", is_name)?,
        reference.offer.checked("offer", is_name)?,
        reference.sku.checked("sku", is_name)?,
        version,
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    Ok((!parts.is_empty()).then(|| parts.join(":")))
}

fn is_resource(text: &str) -> bool {
    text.split('/').all(|part| part.is_empty() || is_name(part))
}

/// The names in the id of an image, which begins with a subscription: those of the gallery, the image and the
/// version.
fn of_resource(id: &str) -> String {
    let is_kind = |kind: &str| {
        let kind = kind.to_ascii_lowercase();
        kind.ends_with("galleries") || kind == "images" || kind == "versions"
    };
    let parts: Vec<_> = id.split('/').collect();
    let names = parts.windows(2).filter(|pair| is_kind(pair[0])).map(|pair| pair[1]);
    names.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_a_gallery_is_named_without_the_subscription() {
        let gallery = "/subscriptions/109a5e88/resourceGroups/AKS-Ubuntu/providers/Microsoft.Compute/galleries/AKSUbuntu/\
                       images/2204gen2containerd/versions/202409.04.0";
        let community =
            "/CommunityGalleries/AKSUbuntu-38d80f77/images/2204gen2containerd/versions/202409.04.0";
        let own = "/subscriptions/109a5e88/resourceGroups/images-rg/providers/Microsoft.Compute/images/base";
        for (id, name) in [
            (gallery, "AKSUbuntu/2204gen2containerd/202409.04.0"),
            (community, "AKSUbuntu-38d80f77/2204gen2containerd/202409.04.0"),
            (own, "base"),
            ("/subscriptions/109a5e88", ""),
        ] {
            assert_eq!(of_resource(id), name);
        }
    }

    #[test]
    fn the_newest_version_is_a_date() {
        let refusal = |body: &str| newest_version(&HttpResponse::new(400, body));
        let body = r#"{"error":"Bad request","newest-versions":["2020-10-01","2021-02-01","x&format=text"]}"#;
        assert_eq!(refusal(body).as_deref(), Some("2021-02-01"));
        for body in ["", "{}", r#"{"newest-versions":[]}"#, r#"{"newest-versions":"2020-10-01"}"#] {
            assert_eq!(refusal(body), None, "{body}");
        }
        assert_eq!(newest_version(&HttpResponse::new(200, body)), None);
    }
}
