//! A queue of our own at the API server, so that neither a fleet that starts at once nor a stolen token keeps
//! others waiting.
//!
//! It bounds how many of our requests run at the same time, and not how many come: that the admission policy
//! does, for those that change something.

use k8s_openapi::api::flowcontrol::v1::{
    FlowSchema, FlowSchemaSpec, LimitResponse, LimitedPriorityLevelConfiguration, NonResourcePolicyRule,
    PolicyRulesWithSubjects, PriorityLevelConfiguration, PriorityLevelConfigurationReference,
    PriorityLevelConfigurationSpec, QueuingConfiguration, ResourcePolicyRule, ServiceAccountSubject, Subject,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::Installation;
use crate::installation::PRODUCT;
use crate::labels::{self, base_metadata};

/// Before the schema of all service accounts (9,000), and after those of the cluster's own (900 and less).
const PRECEDENCE: i32 = 1000;

/// About a fiftieth of the seats, those of an API server's own levels being 245 in all.
const SHARES: i32 = 5;

/// More than a large fleet: what finds no room is turned away, and comes back.
const QUEUE_LENGTH: i32 = 10_000;

/// Keep Argo CD and Flux from taking it from the other installations, when they take one away.
const KEPT: [(&str, &str); 2] = [
    ("argocd.argoproj.io/sync-options", "Prune=false,Delete=false"),
    ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
];

/// One for all installations: it stays when one of them goes, so it has neither the name nor the version of
/// one.
pub(crate) fn priority_level() -> PriorityLevelConfiguration {
    let map = |entries: [(&str, &str); 2]| entries.map(|(key, value)| (key.to_owned(), value.to_owned()));
    PriorityLevelConfiguration {
        metadata: ObjectMeta {
            name: Some(PRODUCT.to_owned()),
            labels: Some(map([(labels::NAME, PRODUCT), (labels::MANAGED_BY, PRODUCT)]).into()),
            annotations: Some(map(KEPT).into()),
            ..ObjectMeta::default()
        },
        spec: Some(PriorityLevelConfigurationSpec {
            type_: "Limited".to_owned(),
            limited: Some(LimitedPriorityLevelConfiguration {
                nominal_concurrency_shares: Some(SHARES),
                // Ours are idle nearly always, and then everybody's; a flood of ours takes none of others.
                lendable_percent: Some(100),
                borrowing_limit_percent: Some(0),
                limit_response: Some(LimitResponse {
                    type_: "Queue".to_owned(),
                    queuing: Some(QueuingConfiguration {
                        queues: Some(1),
                        hand_size: Some(1),
                        queue_length_limit: Some(QUEUE_LENGTH),
                    }),
                }),
            }),
            exempt: None,
        }),
        status: None,
    }
}

/// Every request of every account of our namespaces: one that is refused costs time as well.
pub fn flow_schema(installation: &Installation, namespaces: &[String]) -> FlowSchema {
    let any = || Some(vec!["*".to_owned()]);
    let subject = |namespace: &String| Subject {
        kind: "ServiceAccount".to_owned(),
        service_account: Some(ServiceAccountSubject { namespace: namespace.clone(), name: "*".to_owned() }),
        ..Subject::default()
    };
    FlowSchema {
        metadata: base_metadata(installation, installation.cluster_object()),
        spec: Some(FlowSchemaSpec {
            matching_precedence: Some(PRECEDENCE),
            priority_level_configuration: PriorityLevelConfigurationReference { name: PRODUCT.to_owned() },
            rules: Some(vec![PolicyRulesWithSubjects {
                subjects: namespaces.iter().map(subject).collect(),
                resource_rules: Some(vec![ResourcePolicyRule {
                    verbs: vec!["*".to_owned()],
                    api_groups: vec!["*".to_owned()],
                    resources: vec!["*".to_owned()],
                    cluster_scope: Some(true),
                    namespaces: any(),
                }]),
                non_resource_rules: Some(vec![NonResourcePolicyRule {
                    verbs: vec!["*".to_owned()],
                    non_resource_urls: vec!["*".to_owned()],
                }]),
            }]),
            distinguisher_method: None,
        }),
        status: None,
    }
}
