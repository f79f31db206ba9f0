//! `MutatingAdmissionPolicy` and its binding in `admissionregistration.k8s.io/v1`.
//!
//! That group has them since Kubernetes 1.36. The types of the oldest version that we support have them in
//! `v1alpha1`, with the same fields.

use k8s_openapi::api::admissionregistration::v1alpha1::{
    MutatingAdmissionPolicyBindingSpec, MutatingAdmissionPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{ClusterResourceScope, Metadata, Resource};
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

macro_rules! kinds {
    ($($(#[$meta:meta])* $kind:ident, $spec:ident, $plural:literal;)+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Deserialize)]
        pub struct $kind {
            /// Name and labels.
            pub metadata: ObjectMeta,
            /// What it says.
            pub spec: Option<$spec>,
        }

        impl Resource for $kind {
            const API_VERSION: &'static str = "admissionregistration.k8s.io/v1";
            const GROUP: &'static str = "admissionregistration.k8s.io";
            const KIND: &'static str = stringify!($kind);
            const VERSION: &'static str = "v1";
            const URL_PATH_SEGMENT: &'static str = $plural;
            type Scope = ClusterResourceScope;
        }

        impl Metadata for $kind {
            type Ty = ObjectMeta;

            fn metadata(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn metadata_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }

        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut state = serializer.serialize_struct(Self::KIND, 4)?;
                state.serialize_field("apiVersion", Self::API_VERSION)?;
                state.serialize_field("kind", Self::KIND)?;
                state.serialize_field("metadata", &self.metadata)?;
                state.serialize_field("spec", &self.spec)?;
                state.end()
            }
        }
    )+};
}

kinds! {
    /// Changes objects before they are stored.
    MutatingAdmissionPolicy, MutatingAdmissionPolicySpec, "mutatingadmissionpolicies";
    /// Puts such a policy into force.
    MutatingAdmissionPolicyBinding, MutatingAdmissionPolicyBindingSpec, "mutatingadmissionpolicybindings";
}
