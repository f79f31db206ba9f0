//! What a write may do to the record of who wrote which field.
//!
//! The API server takes what a patch says of `metadata.managedFields`, whether it is true or not, and others
//! act on it: a server-side apply takes away what its manager is said to have applied before and does not
//! apply now.

use node_annotator_core::write::FIELD_MANAGER;

use super::keys::FACT_LABELS;

/// Under this name the API server puts together the entries of those who wrote longest ago, and under no
/// subresource.
const OLDEST: &str = "ancient-changes";

/// So many managers that did not apply may have an entry of their own.
const MAX_UPDATERS: usize = 10;

pub(super) fn variables() -> Vec<(&'static str, String)> {
    let list = |object| format!("{object}.metadata.?managedFields.orValue([])");
    // Entries that a write leaves as they are cost next to nothing, however many there are.
    let without = |these: &str, those: &str| {
        format!(
            "variables.{these}.filter(m, !variables.{those}.exists(other, other.manager == m.manager && other == m))"
        )
    };
    vec![
        ("oldManagers", list("oldObject")),
        ("newManagers", list("object")),
        ("oldOurs", format!("variables.oldManagers.filter(m, {})", ours("m"))),
        ("newOurs", format!("variables.newManagers.filter(m, {})", ours("m"))),
        (
            "mayMerge",
            format!("size(variables.oldManagers.filter(m, m.operation == 'Update')) >= {MAX_UPDATERS}"),
        ),
        (
            "altered",
            format!(
                "{}.map(new, {{\n\
                 \x20 'entry': dyn(new), 'ours': dyn({}), 'merged': dyn({}),\n\
                 \x20 'before': dyn(variables.oldManagers.filter(old, {}))\n\
                 }})",
                without("newManagers", "oldManagers"),
                ours("new"),
                merged("new"),
                is_heir(),
            ),
        ),
        (
            "losing",
            format!(
                "{}.filter(old, !({})).map(old, {{\n\
                 \x20 'entry': dyn(old), 'after': dyn(variables.newManagers.filter(new, {}))\n\
                 }})",
                without("oldManagers", "newManagers"),
                ours("old"),
                is_heir(),
            ),
        ),
    ]
}

/// No entry claims what its manager did not have, but for ours, which may claim the keys that a run writes;
/// and the list of taints, where the startup taint goes out of it.
pub(super) fn claims(with_taint: bool, with_facts: bool) -> String {
    let key = key(with_facts);
    let taints = if with_taint { format!(" || (m.ours && {TAINTS})") } else { String::new() };
    format!(
        "\
variables.altered.all(m, (m.ours || size(m.before) > 0)
  && m.entry.?fieldsV1.orValue({{}}).all(a,
    (size(m.entry.fieldsV1[a]) > 0 || m.before.exists(old, old.?fieldsV1[?a] == m.entry.?fieldsV1[?a]))
    && m.entry.fieldsV1[a].all(b,
      (size(m.entry.fieldsV1[a][b]) > 0 || m.before.exists(old, old.?fieldsV1[?a][?b] == m.entry.?fieldsV1[?a][?b]){taints})
      && m.entry.fieldsV1[a][b].all(c,
        (m.ours && size(m.entry.fieldsV1[a][b][c]) == 0 && {key})
        || m.before.exists(old, old.?fieldsV1[?a][?b][?c] == m.entry.?fieldsV1[?a][?b][?c])
        || (m.merged && size(m.entry.fieldsV1[a][b][c]) > 0 && m.entry.fieldsV1[a][b][c].all(d,
          m.before.exists(old, old.?fieldsV1[?a][?b][?c][?d] == m.entry.?fieldsV1[?a][?b][?c][?d])))))))"
    )
}

/// What others have claimed stays theirs, but for the keys that a run writes, and the list of taints where
/// the startup taint goes: those change hands with each write.
pub(super) fn claims_kept(with_taint: bool, with_facts: bool) -> String {
    let key = key(with_facts);
    let taints = if with_taint { format!(" || ({TAINTS})") } else { String::new() };
    format!(
        "\
variables.losing.all(m, m.entry.?fieldsV1.orValue({{}}).all(a,
  (size(m.entry.fieldsV1[a]) > 0 || m.after.exists(new, new.?fieldsV1[?a].hasValue()))
  && m.entry.fieldsV1[a].all(b,
    (size(m.entry.fieldsV1[a][b]) > 0 || m.after.exists(new, new.?fieldsV1[?a][?b].hasValue()){taints})
    && m.entry.fieldsV1[a][b].all(c, {key}
      || m.after.exists(new, new.?fieldsV1[?a][?b][?c] == m.entry.?fieldsV1[?a][?b][?c]
        || (new.manager != m.entry.manager && new.?fieldsV1[?a][?b][?c].hasValue()))))))"
    )
}

/// Three steps that end at a key that a run writes, or at the map that it is in.
fn key(with_facts: bool) -> String {
    let one_of = |keys: &str| format!("c.startsWith('f:') && c.substring(2) in variables.{keys}");
    let fact = if with_facts { format!(" || {}", one_of(FACT_LABELS)) } else { String::new() };
    format!(
        "(a == 'f:metadata' && (
          b == 'f:labels' && (c == '.' || {}{fact})
          || b == 'f:annotations' && (c == '.' || {})))",
        one_of("labels"),
        one_of("annotations")
    )
}

/// Two steps that end at the list of taints, in a write that takes the startup taint out of it.
const TAINTS: &str = "variables.taintGoes && a == 'f:spec' && b == 'f:taints'";

fn ours(entry: &str) -> String {
    format!(
        "{entry}.manager == '{FIELD_MANAGER}' && {entry}.operation == 'Update' && !has({entry}.subresource)"
    )
}

fn merged(entry: &str) -> String {
    format!("variables.mayMerge && {entry}.manager == '{OLDEST}' && {entry}.operation == 'Update'")
}

/// Whether the claims of `old` are those of `new` after the write.
fn is_heir() -> String {
    format!(
        "old.operation == new.operation\n\
         \x20   && ((old.manager == new.manager && old.?subresource == new.?subresource) || ({}))",
        merged("new")
    )
}
