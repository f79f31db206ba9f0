//! Our service accounts, as the API server sees them.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use node_annotator_core::PrivilegeClass;

use super::Settings;

const NODE_NAME: HeaderName =
    HeaderName::from_static("impersonate-extra-authentication.kubernetes.io%2fnode-name");
const POD_NAME: HeaderName =
    HeaderName::from_static("impersonate-extra-authentication.kubernetes.io%2fpod-name");
const NODE_UID: HeaderName =
    HeaderName::from_static("impersonate-extra-authentication.kubernetes.io%2fnode-uid");

/// The service account of one of our namespaces.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) namespace: String,
    /// The name that the API server knows it by.
    pub(super) user: String,
    name: &'static str,
}

/// The node that a token names, being bound to a pod on it.
#[derive(Debug, Clone, Copy)]
pub(super) enum TokenNode<'a> {
    /// The token is bound to no pod.
    None,
    /// The node's name, and the identity of the object of that name. Which pod it is decides nothing.
    Node(&'a str, &'a str),
}

impl Account {
    pub(super) fn new(class: PrivilegeClass, settings: &Settings) -> Self {
        Self::of(settings.installation.namespace(class), settings)
    }

    /// That of the CronJob.
    pub(super) fn of_expire(settings: &Settings) -> Self {
        Self::of(settings.installation.expire_namespace(), settings)
    }

    fn of(namespace: String, settings: &Settings) -> Self {
        let name = settings.installation.service_account();
        let user = format!("system:serviceaccount:{namespace}:{name}");
        Self { namespace, user, name }
    }

    /// Its name in its namespace.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// The groups that the API server puts it into. Impersonation does not add them by itself.
    pub(super) fn groups(&self) -> Vec<String> {
        vec![
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{}", self.namespace),
            "system:authenticated".to_owned(),
        ]
    }

    /// The headers that make a request this account's.
    ///
    /// Each request gets them, instead of a client for each account: so one connection serves all, and the
    /// credential plugin of a kubeconfig runs once.
    pub(super) fn headers(&self, token_node: TokenNode) -> Result<HeaderMap, http::Error> {
        let mut headers = HeaderMap::new();
        headers.insert("impersonate-user", HeaderValue::from_str(&self.user)?);
        for group in self.groups() {
            headers.append("impersonate-group", HeaderValue::from_str(&group)?);
        }
        match token_node {
            TokenNode::None => {}
            TokenNode::Node(name, uid) => {
                headers.insert(POD_NAME, HeaderValue::from_static("doctor"));
                headers.insert(NODE_NAME, HeaderValue::from_str(name)?);
                headers.insert(NODE_UID, HeaderValue::from_str(uid)?);
            }
        }
        Ok(headers)
    }
}
