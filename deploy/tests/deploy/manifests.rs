//! What is generated for which settings, and what is refused.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use node_annotator_core::{Collector, Registry, Selection};
use node_annotator_deploy::{
    ImagePullPolicy, Layout, Manifests, Object, PolicyMode, Queue, Settings, labels, policy,
};

use crate::fakes::{ANCHOR_IP, CPU_MODEL, KERNEL, NIC, OS, PTR, leaked, named, settings};

fn all() -> Settings {
    settings(&[&KERNEL, &CPU_MODEL, &ANCHOR_IP, &PTR, &NIC, &OS])
}

fn pod(settings: &Settings, name: &str) -> (String, PodSpec) {
    let manifests = Manifests::new(settings).unwrap();
    let daemon_set = manifests
        .daemon_sets()
        .find(|daemon_set| daemon_set.metadata.name.as_deref() == Some(name))
        .unwrap_or_else(|| panic!("there is no DaemonSet {name}"));
    let spec = daemon_set.spec.as_ref().unwrap();
    (daemon_set.metadata.namespace.clone().unwrap(), spec.template.spec.clone().unwrap())
}

fn volumes(pod: &PodSpec) -> Vec<&str> {
    pod.volumes.iter().flatten().map(|volume| volume.name.as_str()).collect()
}

fn env(container: &Container) -> Vec<&str> {
    container.env.iter().flatten().map(|variable| variable.name.as_str()).collect()
}

#[test]
fn the_collectors_that_come_with_it_can_all_be_deployed() {
    use node_annotator_collectors as _;
    let registry = Registry::from_inventory().unwrap();
    for layout in [Layout::PerCollector, Layout::Combined] {
        for host_network in [false, true] {
            let selection = Selection::parse("all", &registry).unwrap();
            let settings = Settings { layout, host_network, ..Settings::new(selection) };
            assert!(Manifests::new(&settings).unwrap().daemon_sets().count() > 0);
        }
    }
}

#[test]
fn everything_for_two_collectors() {
    insta::assert_snapshot!(Manifests::new(&settings(&[&KERNEL, &CPU_MODEL])).unwrap().yaml().unwrap());
}

#[test]
fn the_daemon_sets_of_both_classes_combined() {
    let settings = Settings {
        layout: Layout::Combined,
        mark: node_annotator_core::DoneMark::Generation("2".parse().unwrap()),
        exclude_control_plane: true,
        ..all()
    };
    let texts = Manifests::new(&settings).unwrap().render().unwrap();
    let shown = texts.iter().filter(|(name, _)| name.starts_with("daemonset") || name.starts_with("Kustom"));
    let shown: Vec<_> = shown.map(|(name, text)| format!("==> {name}\n{text}")).collect();
    insta::assert_snapshot!(shown.concat());
}

#[test]
fn the_kustomization_lists_every_other_file() {
    for layout in [Layout::PerCollector, Layout::Combined] {
        let manifests = Manifests::new(&Settings { layout, ..all() }).unwrap();
        let texts = manifests.render().unwrap();
        let (_, kustomization) = texts.iter().find(|(name, _)| name == "Kustomization").unwrap();
        for (name, _) in texts.iter().filter(|(name, _)| name != "Kustomization") {
            assert!(kustomization.contains(&format!("- {name}\n")), "{name}");
        }
        let applied: Vec<&str> = manifests.files().iter().map(|file| file.name.as_str()).collect();
        assert!(applied.is_sorted(), "`kubectl apply -f` takes them in order of name: {applied:?}");
    }
}

#[test]
fn a_right_comes_after_the_policy_that_limits_it() {
    let manifests = Manifests::new(&all()).unwrap();
    let mut kinds: Vec<&str> = manifests.objects().map(Object::kind).collect();
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            "Namespace",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "PriorityLevelConfiguration",
            "FlowSchema",
            "ServiceAccount",
            "ClusterRole",
            "NetworkPolicy",
            "PriorityClass",
            "ClusterRoleBinding",
            "DaemonSet",
        ]
    );
}

#[test]
fn patch_of_nodes_is_the_only_right() {
    for object in Manifests::new(&all()).unwrap().objects() {
        if let Object::ClusterRole(role) = object {
            let rules = serde_json::to_value(&role.rules).unwrap();
            assert_eq!(
                rules,
                serde_json::json!([{"apiGroups": [""], "resources": ["nodes"], "verbs": ["patch"]}])
            );
        }
    }
}

#[test]
fn what_a_collector_needs_comes_from_its_declaration() {
    let (namespace, kernel) = pod(&all(), "node-annotator-kernel");
    assert_eq!(namespace, "node-annotator");
    assert_eq!((kernel.host_network, volumes(&kernel)), (None, vec!["token"]));
    assert_eq!(env(&kernel.containers[0]), ["NODE_NAME"]);

    let (namespace, ptr) = pod(&all(), "node-annotator-ptr");
    assert_eq!(namespace, "node-annotator");
    assert_eq!(env(&ptr.containers[0]), ["NODE_NAME", "NODE_IPS"]);

    let (namespace, nic) = pod(&all(), "node-annotator-nic");
    assert_eq!(namespace, "node-annotator-privileged");
    assert_eq!((nic.host_network, volumes(&nic)), (Some(true), vec!["token"]));

    let (namespace, os) = pod(&all(), "node-annotator-os");
    assert_eq!(namespace, "node-annotator-privileged");
    assert_eq!(os.host_network, None);
    let sources: Vec<_> = os.volumes.iter().flatten().filter_map(|volume| volume.host_path.clone()).collect();
    let sources: Vec<_> =
        sources.iter().map(|host| (host.path.as_str(), host.type_.as_deref().unwrap())).collect();
    assert_eq!(
        sources,
        [("/etc", "Directory"), ("/etc/machine-id", "File"), ("/usr/lib/modules", "Directory")]
    );
    assert!(os.containers[0].args.as_ref().unwrap().contains(&"--host-mount=/host".to_owned()));
    let mounts = os.containers[0].volume_mounts.iter().flatten();
    for mount in mounts.filter(|mount| mount.name != "token") {
        assert_eq!(mount.read_only, Some(true), "{}", mount.mount_path);
        assert!(mount.mount_path.starts_with("/host/"), "{}", mount.mount_path);
    }
}

#[test]
fn the_host_network_is_for_those_who_ask_a_metadata_service() {
    let (namespace, anchor_ip) = pod(&all(), "node-annotator-anchor-ip");
    assert_eq!((namespace.as_str(), anchor_ip.host_network), ("node-annotator", None));
    let settings = Settings { host_network: true, ..all() };
    let (namespace, anchor_ip) = pod(&settings, "node-annotator-anchor-ip");
    assert_eq!((namespace.as_str(), anchor_ip.host_network), ("node-annotator-privileged", Some(true)));
    let (namespace, kernel) = pod(&settings, "node-annotator-kernel");
    assert_eq!((namespace.as_str(), kernel.host_network), ("node-annotator", None));
}

#[test]
fn the_policy_binds_exactly_the_namespaces_that_there_are() {
    let namespaces = |settings: &Settings| -> (Vec<String>, String) {
        let (mut names, mut condition) = (Vec::new(), String::new());
        for object in Manifests::new(settings).unwrap().objects() {
            match object {
                Object::Namespace(namespace) => names.extend(namespace.metadata.name.clone()),
                Object::ValidatingAdmissionPolicy(policy) => {
                    let conditions = policy.spec.as_ref().unwrap().match_conditions.as_ref().unwrap();
                    condition.clone_from(&conditions[0].expression);
                }
                _ => {}
            }
        }
        (names, condition)
    };
    let (names, condition) = namespaces(&settings(&[&KERNEL]));
    assert_eq!(names, ["node-annotator"]);
    assert_eq!(
        condition,
        "request.userInfo.?groups.orValue([]).exists(group, group in ['system:serviceaccounts:node-annotator'])\n\
         || request.userInfo.?username.orValue('').startsWith('system:serviceaccount:node-annotator:')"
    );

    let settings = Settings { installation: "facts".parse().unwrap(), ..all() };
    let (names, condition) = namespaces(&settings);
    assert_eq!(names, ["facts", "facts-privileged"]);
    let groups = "['system:serviceaccounts:facts', 'system:serviceaccounts:facts-privileged']";
    assert!(condition.contains(groups), "{condition}");
}

#[test]
fn a_second_installation_shares_no_cluster_object_with_the_first() {
    let cluster_objects = |settings: &Settings| -> Vec<String> {
        let manifests = Manifests::new(settings).unwrap();
        let global = manifests.objects().filter(|object| object.metadata().namespace.is_none());
        global
            .map(|object| format!("{}/{}", object.kind(), object.metadata().name.as_deref().unwrap()))
            .collect()
    };
    let first = cluster_objects(&all());
    let second = cluster_objects(&Settings { installation: "facts".parse().unwrap(), ..all() });
    let shared: Vec<_> = first.iter().filter(|object| second.contains(object)).collect();
    // The one queue for all of them, which no uninstalling takes away.
    assert_eq!(shared, ["PriorityLevelConfiguration/node-annotator"]);
}

#[test]
fn rules_have_distinct_ids_and_messages_on_one_line() {
    let rules = policy::rules(&policy::Scope::new(&all()));
    let ids: std::collections::BTreeSet<_> = rules.iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), rules.len());
    for rule in &rules {
        assert!(!rule.message.contains('\n') && !rule.message.is_empty(), "{}", rule.id);
    }
}

#[test]
fn every_object_has_the_recommended_labels_and_no_selector_has_the_version() {
    // A `+` is part of some versions, and of no label.
    let settings = Settings { version: "0.3.0+site".to_owned(), ..all() };
    for object in Manifests::new(&settings).unwrap().objects() {
        if let Object::PriorityLevelConfiguration(level) = object {
            assert!(!level.metadata.labels.as_ref().unwrap().contains_key(labels::PART_OF));
            continue;
        }
        let found = object.metadata().labels.clone().unwrap();
        assert_eq!(found[labels::VERSION], "0.3.0-site");
        for key in [labels::NAME, labels::COMPONENT, labels::PART_OF, labels::VERSION, labels::MANAGED_BY] {
            assert!(found.contains_key(key), "{} lacks {key}", object.kind());
        }
        if let Object::DaemonSet(daemon_set) = object {
            let spec = daemon_set.spec.as_ref().unwrap();
            let selector = spec.selector.match_labels.as_ref().unwrap();
            assert_eq!(selector.keys().collect::<Vec<_>>(), [labels::COMPONENT, labels::NAME]);
            let pod = spec.template.metadata.as_ref().unwrap().labels.as_ref().unwrap();
            assert!(selector.iter().all(|(key, value)| pod.get(key) == Some(value)));
            assert_eq!(pod[labels::VERSION], "0.3.0-site");
        }
    }
}

#[test]
fn images_are_pulled_as_told() {
    let settings = Settings {
        image: "mirror.example/facts@sha256:0".to_owned(),
        image_pull_policy: ImagePullPolicy::Always,
        image_pull_secrets: vec!["on".to_owned()],
        ..all()
    };
    let (_, pod) = pod(&settings, "node-annotator-kernel");
    assert_eq!(pod.containers[0].image.as_deref(), Some("mirror.example/facts@sha256:0"));
    assert_eq!(pod.containers[0].image_pull_policy.as_deref(), Some("Always"));
    assert_eq!(pod.image_pull_secrets.unwrap()[0].name, "on");
}

#[test]
fn without_a_policy_every_file_warns() {
    let settings = Settings { policy: PolicyMode::Omitted, ..all() };
    let manifests = Manifests::new(&settings).unwrap();
    assert_eq!(manifests.warnings().len(), 1);
    assert!(manifests.objects().all(|object| !object.kind().starts_with("ValidatingAdmission")));
    for (name, text) in manifests.render().unwrap() {
        assert!(
            text.lines().nth(1).unwrap().starts_with("# Warning: there is no admission policy"),
            "{name}"
        );
    }
}

#[test]
fn there_is_a_queue_unless_it_is_refused() {
    let kinds = |settings: &Settings| -> Vec<&str> {
        let manifests = Manifests::new(settings).unwrap();
        let kinds: Vec<_> = manifests.objects().map(Object::kind).collect();
        kinds.into_iter().filter(|kind| ["FlowSchema", "PriorityLevelConfiguration"].contains(kind)).collect()
    };
    assert_eq!(kinds(&all()), ["PriorityLevelConfiguration", "FlowSchema"]);
    assert!(kinds(&Settings { queue: Queue::Shared, ..all() }).is_empty());
}

#[test]
fn left_over_daemon_sets_are_deleted_and_no_others() {
    let commands = |settings: &Settings| Manifests::new(settings).unwrap().prune_commands().to_vec();
    assert_eq!(
        commands(&settings(&[&KERNEL, &CPU_MODEL, &NIC])),
        [
            "kubectl delete daemonsets --namespace node-annotator --selector \
             'app.kubernetes.io/part-of=node-annotator,app.kubernetes.io/component notin (cpu-model,kernel)'",
            "kubectl delete daemonsets --namespace node-annotator-privileged --selector \
             'app.kubernetes.io/part-of=node-annotator,app.kubernetes.io/component notin (nic)'",
        ]
    );
    let combined = Settings { layout: Layout::Combined, ..settings(&[&KERNEL]) };
    assert_eq!(
        commands(&combined),
        [
            "kubectl delete daemonsets --namespace node-annotator --selector \
             'app.kubernetes.io/part-of=node-annotator,app.kubernetes.io/component notin (combined)'",
            "kubectl delete daemonsets --namespace node-annotator-privileged --selector \
             'app.kubernetes.io/part-of=node-annotator'",
        ]
    );
}

fn refusal(settings: &Settings) -> String {
    Manifests::new(settings).unwrap_err().to_string()
}

fn with_selector(key: &str, value: &str) -> Settings {
    Settings { node_selector: BTreeMap::from([(key.to_owned(), value.to_owned())]), ..all() }
}

#[test]
fn bad_input_is_refused() {
    insta::assert_snapshot!(
        [
            refusal(&Settings { image: "two words".to_owned(), ..all() }),
            refusal(&Settings { image: String::new(), ..all() }),
            refusal(&Settings { image_pull_secrets: vec!["Not a name".to_owned()], ..all() }),
            refusal(&Settings { prefix: "network.cilium.io".parse().unwrap(), ..all() }),
            refusal(&with_selector("a b", "c")),
            refusal(&with_selector("a", "b/c")),
            refusal(&with_selector("kubernetes.io/os", "windows")),
            refusal(&with_selector("k8s.haim.dev/kernel", "saved")),
            refusal(&with_selector("k8s.haim.dev/opt-out", "")),
            "Sometimes".parse::<ImagePullPolicy>().unwrap_err().to_string(),
            "kube-system".parse::<node_annotator_deploy::Installation>().unwrap_err().to_string(),
            "No".parse::<node_annotator_deploy::Installation>().unwrap_err().to_string(),
            "x-privileged".parse::<node_annotator_deploy::Installation>().unwrap_err().to_string(),
        ]
        .join("\n\n")
    );
    assert!(Manifests::new(&with_selector("kubernetes.io/os", "linux")).is_ok());
    assert!(Manifests::new(&with_selector("type", "bare-metal")).is_ok());
    let insisting = Settings { prefix: "cilium.io".parse().unwrap(), allow_foreign_prefix: true, ..all() };
    assert!(Manifests::new(&insisting).is_ok());
    // Facts of one collector may decide where another runs.
    assert!(Manifests::new(&with_selector("k8s.haim.dev/cloud", "saved")).is_ok());
}

#[test]
fn variables_are_those_that_a_selected_collector_takes_from_the_operator() {
    let with = |name: &str| Settings {
        environment: [(name.to_owned(), "http://192.0.2.1/".to_owned())].into(),
        ..settings(&[&ANCHOR_IP, &KERNEL, &PTR])
    };
    for (name, variables) in [("anchor-ip", vec!["NODE_NAME", "METADATA_URL"]), ("kernel", vec!["NODE_NAME"])]
    {
        let (_, pod) = pod(&with("METADATA_URL"), &format!("node-annotator-{name}"));
        assert_eq!(env(&pod.containers[0]), variables);
    }
    for name in ["NODE_IPS", "METADATA_UR"] {
        let refused = format!(
            "no selected collector reads the variable `{name}` from the operator\nvalid: METADATA_URL"
        );
        assert_eq!(refusal(&with(name)), refused);
    }
    let none = Settings { environment: with("A").environment, ..settings(&[&KERNEL]) };
    assert!(refusal(&none).ends_with("valid: none"));
}

#[test]
fn collectors_that_no_daemon_set_can_run_are_refused() {
    let refuse = |collector| refusal(&settings(&[leaked(collector)]));
    insta::assert_snapshot!(
        [refuse(named("combined")), refuse(named("a-name-of-forty-nine-characters-that-is-too-longx")),]
            .join("\n")
    );
    let many: Vec<&'static Collector> =
        (0..=policy::MAX_ANNOTATIONS / 5).map(|index| leaked(named(format!("c{index}").leak()))).collect();
    assert_eq!(
        refusal(&settings(&many)),
        "the selected collectors may write 1025 annotations on a node, and the admission policy lists 1024 at most\n\
         hint: select fewer collectors"
    );
    assert!(Manifests::new(&settings(&many[1..])).is_ok());
    let settings = Settings { policy: PolicyMode::Omitted, ..settings(&many) };
    assert!(Manifests::new(&settings).is_ok(), "nothing lists them");
}
