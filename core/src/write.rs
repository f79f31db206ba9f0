//! What a run and the admission policy agree on beside the keys.

/// Who owns our keys in `managedFields`: the policy lets no other.
pub const FIELD_MANAGER: &str = "node-annotator";

/// What the error of a collector begins with that is done, and does not know what it found: the policy takes
/// such an error for one that stays.
pub const UNKNOWN: &str = "unknown here: ";

/// What the policy tells a run that has to wait and to try again.
pub const TOO_SOON: &str =
    "a Node is changed at most once in two seconds, but for done labels that are set: wait, and try again";
