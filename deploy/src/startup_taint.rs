//! The taint that nodes are born with, so that workloads wait for facts.

use std::str::FromStr;

use node_annotator_core::Prefix;
use serde::{Deserialize, Serialize};

use crate::syntax::is_label_key;
use crate::{Error, Installation, PolicyMode, Settings, foreign_prefix};

/// What cluster-autoscaler, and the managed clouds with it, take for a taint that goes by itself once a node
/// has started; and the older name for the same.
pub(crate) const AUTOSCALERS: [&str; 2] =
    ["startup-taint.cluster-autoscaler.kubernetes.io", "ignore-taint.cluster-autoscaler.kubernetes.io"];

/// The taint that nodes are born with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartupTaint {
    /// Its key; any value and effect is meant.
    pub key: String,
    /// What becomes of it where a collector is given up.
    pub on_failure: OnFailure,
}

/// What becomes of the taint where a collector is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// It stays until the collector succeeds.
    #[default]
    Keep,
    /// It goes as if the collector were done.
    Remove,
}

impl OnFailure {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Remove => "remove",
        }
    }
}

/// Which taint is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartupTaintKey {
    /// That of the installation: two of them do not open each other's gate.
    Own,
    /// Another one.
    Named(String),
}

impl StartupTaintKey {
    /// The key of the taint.
    pub fn of(&self, installation: &Installation) -> String {
        match self {
            Self::Own => format!("{}/{}", AUTOSCALERS[0], installation.cluster_object()),
            Self::Named(key) => key.clone(),
        }
    }
}

impl FromStr for StartupTaintKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "own" => Ok(Self::Own),
            key if is_label_key(key) => Ok(Self::Named(key.to_owned())),
            other => {
                Err(refused(other, "write `own`, or the key of a taint, such as `example.com/starting`"))
            }
        }
    }
}

/// Finds a taint that our pods may not take away, and one that nothing would.
pub(crate) fn check(settings: &Settings) -> Result<(), Error> {
    let Some(StartupTaint { key, .. }) = &settings.startup_taint else { return Ok(()) };
    if !is_label_key(key) {
        return Err(refused(key, "the name is longer than 63 characters; name a shorter key"));
    }
    if settings.policy == PolicyMode::Omitted {
        return Err(refused(
            key,
            "without the admission policy a run could be done and leave the taint behind; leave out `--no-policy`",
        ));
    }
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    if AUTOSCALERS.contains(&domain) {
        return Ok(());
    }
    // What is no prefix for our keys is none for a taint either.
    if let Err(error) = domain.parse::<Prefix>()
        && !domain.is_empty()
    {
        return Err(refused(key, &format!("taints of Kubernetes itself are not ours to take away: {error}")));
    }
    let owner = domain.parse().ok().and_then(|domain| foreign_prefix::owner(&domain));
    match owner.filter(|_| !settings.allow_foreign_prefix) {
        Some(owner) => Err(refused(
            key,
            &format!(
                "it belongs to others: what runs in these pods could take away a taint under `{owner}` that its owner \
                 minds\nhint: use a domain of your own; `--allow-foreign-prefix` insists"
            ),
        )),
        None => Ok(()),
    }
}

fn refused(value: &str, reason: &str) -> Error {
    Error::Refused { what: "startup taint", value: value.to_owned(), reason: reason.to_owned() }
}
