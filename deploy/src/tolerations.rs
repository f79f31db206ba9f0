//! Which taints of a node do not keep pods away.

use std::str::FromStr;

use k8s_openapi::api::core::v1::Toleration;

use crate::syntax::{is_label_key, is_label_value};
use crate::{Error, StartupTaint};

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Which taints of a node do not keep pods away. The DaemonSet controller adds those of nodes that are not
/// ready, cordoned or under pressure, whatever is said here.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Tolerations {
    /// Any taint: facts are wanted of every node, whatever it is reserved for or suffers from.
    #[default]
    All,
    /// These, and it may be none of them.
    Some(Vec<Toleration>),
}

impl Tolerations {
    /// As a pod has them. The startup taint keeps no pod of ours away: it waits for them.
    pub(crate) fn list(&self, startup_taint: Option<&StartupTaint>) -> Option<Vec<Toleration>> {
        let any = |key: Option<&String>| Toleration {
            key: key.cloned(),
            operator: Some("Exists".to_owned()),
            ..Toleration::default()
        };
        let list = match self {
            Self::All => vec![any(None)],
            Self::Some(list) => {
                list.iter().cloned().chain(startup_taint.map(|taint| any(Some(&taint.key)))).collect()
            }
        };
        (!list.is_empty()).then_some(list)
    }
}

impl FromStr for Tolerations {
    type Err = Error;

    /// `all`, `none`, or a list with commas of `KEY[=VALUE][:EFFECT]`, as `kubectl taint` writes a taint.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "all" => Ok(Self::All),
            "none" => Ok(Self::Some(Vec::new())),
            list => Ok(Self::Some(list.split(',').map(toleration).collect::<Result<_, _>>()?)),
        }
    }
}

/// Without a value any is tolerated, and so is any effect without one.
fn toleration(text: &str) -> Result<Toleration, Error> {
    let refused = |reason: String| Err(Error::Refused { what: "toleration", value: text.to_owned(), reason });
    if ["all", "none"].contains(&text) {
        return refused("stands alone, or is left out of the list".to_owned());
    }
    let (taint, effect) = match text.split_once(':') {
        None => (text, None),
        Some((taint, effect)) => (taint, Some(effect)),
    };
    let (key, value) = match taint.split_once('=') {
        None => (taint, None),
        Some((key, value)) => (key, Some(value)),
    };
    if !is_label_key(key) {
        return refused("write KEY, KEY=VALUE, KEY:EFFECT or KEY=VALUE:EFFECT".to_owned());
    }
    if value.is_some_and(|value| !is_label_value(value)) {
        return refused("the value is not that of a taint".to_owned());
    }
    if effect.is_some_and(|effect| !EFFECTS.contains(&effect)) {
        return refused(format!("valid effects: {}", EFFECTS.join(", ")));
    }
    Ok(Toleration {
        key: Some(key.to_owned()),
        operator: Some(if value.is_some() { "Equal" } else { "Exists" }.to_owned()),
        value: value.map(str::to_owned),
        effect: effect.map(str::to_owned),
        toleration_seconds: None,
    })
}
