//! Why no manifests were made or written.

use std::io;
use std::path::PathBuf;

use node_annotator_core::Prefix;

impl Error {
    #[expect(clippy::needless_pass_by_value, reason = "reads better at the call: a text or what makes one")]
    pub(crate) fn refused(what: &'static str, value: impl ToString, reason: impl ToString) -> Self {
        Self::Refused { what, value: value.to_string(), reason: reason.to_string() }
    }
}

/// Why no manifests were made or written. Nothing was written in any of the cases.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The namespace is no DNS label, or leaves no room for the name of the second one.
    #[error(
        "`{name}` cannot name the namespace: lower-case letters, digits and inner hyphens, at most {max} characters"
    )]
    NamespaceSyntax {
        /// The name that was asked for.
        name: String,
        /// The longest name.
        max: usize,
    },
    /// The namespace belongs to everybody, or to Kubernetes.
    #[error(
        "the namespace `{0}` is shared with others\nhint: the admission policy binds every service account of its namespace; name one that is used for nothing else, such as `node-annotator`"
    )]
    NamespaceShared(String),
    /// The namespace would be taken for a further one of another installation.
    #[error(
        "the namespace `{name}` ends as a further one of an installation does\nhint: leave out `{suffix}`; it is added where it is needed"
    )]
    NamespaceSuffix {
        /// The name that was asked for.
        name: String,
        /// How it ends.
        suffix: &'static str,
    },
    /// The schedule is none that a CronJob takes.
    #[error(
        "`{value}` is no schedule of a CronJob: {reason}\nhint: write `@hourly`, or five fields such as `*/30 * * * *`"
    )]
    Schedule {
        /// What was given.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The image is no image reference.
    #[error("`{0}` is not an image reference, such as `node-annotator:1.0.0`")]
    Image(String),
    /// The word names no pull policy.
    #[error("there is no image pull policy `{0}`\nvalid: Always, IfNotPresent, Never")]
    ImagePullPolicy(String),
    /// The name cannot be that of a Secret.
    #[error("`{0}` cannot name an image pull secret: a DNS subdomain is expected")]
    ImagePullSecret(String),
    /// A label, a taint or the like is malformed, or nothing could run with it.
    #[error("{what} `{value}`: {reason}")]
    Refused {
        /// What it is.
        what: &'static str,
        /// As it was given.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The collector's name cannot be used for a DaemonSet.
    #[error("no DaemonSet can be named for the collector `{collector}`: {reason}")]
    CollectorName {
        /// The collector.
        collector: &'static str,
        /// What is wrong with its name.
        reason: &'static str,
    },
    /// No selected collector takes the variable from the operator.
    #[error("no selected collector reads the variable `{name}` from the operator\nvalid: {valid}")]
    Variable {
        /// The variable that was set.
        name: String,
        /// Those that could be set.
        valid: String,
    },
    /// The selected collectors may write more annotations than the admission policy can list.
    #[error(
        "the selected collectors may write {annotations} annotations on a node, and the admission policy lists {max} at most\nhint: select fewer collectors"
    )]
    TooManyKeys {
        /// What the selection may write.
        annotations: usize,
        /// What the policy lists.
        max: usize,
    },
    /// The prefix belongs to a product that trusts its keys on Nodes.
    #[error(
        "the prefix `{prefix}` belongs to others: what runs in these pods could set keys under `{owner}` that its owner trusts\nhint: use a domain of your own; `--allow-foreign-prefix` insists"
    )]
    ForeignPrefix {
        /// The prefix.
        prefix: Prefix,
        /// The domain that has an owner.
        owner: &'static str,
    },
    /// An object could not be written as YAML.
    #[error("cannot write `{file}` as YAML")]
    Yaml {
        /// The file it belongs to.
        file: String,
        /// The cause.
        #[source]
        source: serde_saphyr::ser::Error,
    },
    /// The objects could not be written as JSON.
    #[error("cannot write the manifests as JSON")]
    Json(#[source] serde_json::Error),
    /// A file of one of our names was not generated.
    #[error("`{}` is in the way: it was not generated\nhint: move it, or name another folder", .0.display())]
    NotGenerated(PathBuf),
    /// The file system refused.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}
