//! The recommended labels, which stand on every object.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::Installation;
use crate::installation::PRODUCT;

/// What the object is: the product.
pub const NAME: &str = "app.kubernetes.io/name";
/// Which part of the product: the collector of a DaemonSet, or [`COMBINED`].
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// Which installation it belongs to.
pub const PART_OF: &str = "app.kubernetes.io/part-of";
/// The version that generated it.
pub const VERSION: &str = "app.kubernetes.io/version";
/// What generated it.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// All of them.
pub(crate) const ALL: [&str; 5] = [NAME, COMPONENT, PART_OF, VERSION, MANAGED_BY];

/// The component of a DaemonSet that runs several collectors. No collector may have this name.
pub const COMBINED: &str = "combined";

/// The component of what runs again what is stale. No collector may have this name.
pub const EXPIRE: &str = "expire";

/// The component of what all DaemonSets share.
const BASE: &str = "base";

/// The labels of an object of the given component, but for the version, which all objects get last.
pub fn recommended(installation: &Installation, component: &str) -> BTreeMap<String, String> {
    let mut labels = selector(component);
    labels.extend(
        [(PART_OF, installation.as_str()), (MANAGED_BY, PRODUCT)]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    labels
}

/// The labels that a DaemonSet knows its pods by. They can never be changed, so nothing in them may vary with
/// a version.
pub fn selector(component: &str) -> BTreeMap<String, String> {
    [(NAME, PRODUCT), (COMPONENT, component)].map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// The metadata of an object that all DaemonSets share.
pub(crate) fn base_metadata(installation: &Installation, name: impl Into<String>) -> ObjectMeta {
    metadata(installation, BASE, name)
}

/// The metadata of an object of a component.
pub(crate) fn metadata(installation: &Installation, component: &str, name: impl Into<String>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.into()),
        labels: Some(recommended(installation, component)),
        ..ObjectMeta::default()
    }
}
