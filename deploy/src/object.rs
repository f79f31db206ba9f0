//! The kinds of objects that there are in manifests.

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PodTemplateSpec, ServiceAccount};
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::labels;
use crate::mutating_policy::{MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding};

/// Declares the kinds once: the variant has the name of the type it holds, and so of the Kubernetes kind.
macro_rules! kinds {
    ($($kind:ident),+ $(,)?) => {
        /// An object, serialized as Kubernetes takes it, `apiVersion` and `kind` included.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        #[expect(missing_docs, reason = "each variant is the kind that it is named for")]
        pub enum Object {
            $($kind(Box<$kind>),)+
            /// One of the operator's, of whatever kind.
            Copied(Box<Copied>),
        }

        impl Object {
            /// The Kubernetes kind.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => stringify!($kind),)+
                    Self::Copied(object) => object.kind,
                }
            }

            /// Name, namespace and labels.
            pub fn metadata(&self) -> &ObjectMeta {
                match self {
                    $(Self::$kind(object) => &object.metadata,)+
                    Self::Copied(object) => &object.metadata,
                }
            }

            pub(crate) fn metadata_mut(&mut self) -> &mut ObjectMeta {
                match self {
                    $(Self::$kind(object) => &mut object.metadata,)+
                    Self::Copied(object) => &mut object.metadata,
                }
            }
        }

        $(impl From<$kind> for Object {
            fn from(object: $kind) -> Self {
                Self::$kind(Box::new(object))
            }
        })+
    };
}

kinds! {
    Namespace,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
    MutatingAdmissionPolicy,
    MutatingAdmissionPolicyBinding,
    PriorityLevelConfiguration,
    FlowSchema,
    ServiceAccount,
    ClusterRole,
    ClusterRoleBinding,
    Role,
    RoleBinding,
    NetworkPolicy,
    PriorityClass,
    ConfigMap,
    CronJob,
    DaemonSet,
}

/// An object that is copied as it is, but for its metadata: no type of ours could lose a field of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "they are those of every object")]
pub struct Copied {
    pub api_version: &'static str,
    pub kind: &'static str,
    pub metadata: ObjectMeta,
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

impl From<Copied> for Object {
    fn from(object: Copied) -> Self {
        Self::Copied(Box::new(object))
    }
}

impl Object {
    /// Labels the object, and the pods that it makes, with the version of the binary that generates it; but
    /// for what installations of several versions share.
    pub(crate) fn label_version(&mut self, version: &str) {
        if matches!(self, Self::PriorityLevelConfiguration(_)) {
            return;
        }
        // What Cargo allows in a version and Kubernetes does not in a label.
        let version = version.replace('+', "-");
        if let Some(pods) = self.template_mut().and_then(|template| template.metadata.as_mut()) {
            pods.labels.get_or_insert_default().insert(labels::VERSION.to_owned(), version.clone());
        }
        self.metadata_mut().labels.get_or_insert_default().insert(labels::VERSION.to_owned(), version);
    }

    /// What the pods are made from.
    fn template_mut(&mut self) -> Option<&mut PodTemplateSpec> {
        match self {
            Self::DaemonSet(set) => set.spec.as_mut().map(|spec| &mut spec.template),
            Self::CronJob(job) => {
                let jobs = job.spec.as_mut().and_then(|spec| spec.job_template.spec.as_mut());
                jobs.map(|spec| &mut spec.template)
            }
            _ => None,
        }
    }
}
