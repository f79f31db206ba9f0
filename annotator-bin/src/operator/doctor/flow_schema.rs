//! Whether our requests wait in a queue of their own.

use k8s_openapi::api::flowcontrol::v1::FlowSchema;
use node_annotator_deploy::queue;

use super::Settings;
use super::check::Conclusion;

/// Looks at the schema, and whether the level that it names is there.
pub(super) fn conclude(
    found: Option<&FlowSchema>,
    is_level_there: bool,
    namespaces: &[String],
    settings: &Settings,
) -> Conclusion {
    let name = settings.installation.cluster_object();
    let Some(found) = found else {
        return Conclusion::warn(
            format!("there is no FlowSchema `{name}`: our requests wait among those of all service accounts"),
            format!("where that is not meant, leave out --no-flow-schema: {}", settings.apply_command()),
        );
    };
    if !is_level_there {
        return Conclusion::warn(
            format!("the PriorityLevelConfiguration that the FlowSchema `{name}` names is not there"),
            settings.apply_command(),
        );
    }
    if found.spec != queue::flow_schema(&settings.installation, namespaces).spec {
        return Conclusion::warn(
            format!(
                "the FlowSchema `{name}` is not as this version generates it for {}",
                namespaces.join(", ")
            ),
            settings.apply_command(),
        );
    }
    Conclusion::pass(format!("requests of {} wait in a queue of their own", namespaces.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::check::Verdict;
    use super::*;

    #[test]
    fn the_schema_covers_the_namespaces_that_there_are() {
        let settings = Settings::default();
        let one = || vec!["node-annotator".to_owned()];
        let schema = queue::flow_schema(&settings.installation, &one());
        let both = [one(), vec!["node-annotator-expire".to_owned()]].concat();
        for (found, is_level_there, namespaces, verdict, finding) in [
            (Some(&schema), true, one(), Verdict::Pass, "requests of node-annotator wait"),
            (None, true, one(), Verdict::Warn, "there is no FlowSchema `node-annotator`"),
            (Some(&schema), false, one(), Verdict::Warn, "the PriorityLevelConfiguration"),
            (
                Some(&schema),
                true,
                both,
                Verdict::Warn,
                "the FlowSchema `node-annotator` is not as this version",
            ),
        ] {
            let concluded = conclude(found, is_level_there, &namespaces, &settings);
            assert_eq!(concluded.verdict(), verdict, "{concluded:?}");
            assert!(concluded.finding().starts_with(finding), "{concluded:?}");
        }
    }
}
