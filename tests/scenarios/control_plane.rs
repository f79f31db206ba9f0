//! The harness itself: what all other scenarios stand on.

use std::fs;
use std::path::Path;

use anyhow::anyhow;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use node_annotator_tests::kubelet::events::{Event, What};
use node_annotator_tests::kubelet::runtime::Exit;
use node_annotator_tests::{Cluster, NodeSpec, Options, wait};

/// Nothing but a program that runs until it is asked to end, on nodes without a label.
pub(crate) const SLEEPER: &str = "
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: sleeper, namespace: default}
spec:
  selector: {matchLabels: {app: sleeper}}
  template:
    metadata: {labels: {app: sleeper}}
    spec:
      affinity:
        nodeAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            nodeSelectorTerms:
            - matchExpressions: [{key: example.com/done, operator: DoesNotExist}]
      tolerations: [{operator: Exists}]
      containers:
      - name: sleeper
        image: none
        command: [sh, -c, 'echo \"$0\"; exec sleep 1000']
        args: [on $(NODE_NAME)]
        env:
        - {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
";

pub(crate) fn start_of(events: &[Event], restarts: u32) -> Option<(Event, u32)> {
    events.iter().find_map(|event| match event.what {
        What::Started { pid: Some(pid), restart } if restart == restarts => Some((event.clone(), pid)),
        _ => None,
    })
}

async fn wait_for_running_pod(cluster: &Cluster, restarts: i32) {
    let running = wait::until("a pod to run", async || {
        let pods = cluster.pods("default").await?;
        let status = pods.first().and_then(|pod| pod.status.as_ref()).ok_or_else(|| anyhow!("no pod"))?;
        let container = status.container_statuses.iter().flatten().next();
        match (status.phase.as_deref(), container) {
            (Some("Running"), Some(it)) if it.restart_count == restarts && it.ready => Ok(()),
            _ => Err(anyhow!("{}", serde_json::to_string(status)?)),
        }
    });
    running.await.unwrap();
}

/// Makes a request with a pod's token, and returns the node that the server reads from it.
async fn node_of_token(cluster: &Cluster, kubeconfig: &Path) -> String {
    let config = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap().apiserver_version().await.unwrap();
    let requests = cluster.requests(|it| it.user.username == "system:serviceaccount:default:default");
    let user = requests.await.unwrap().pop().unwrap().user;
    user.extra["authentication.kubernetes.io/node-name"].join(",")
}

#[tokio::test]
async fn a_pod_lives_as_long_as_its_node_is_not_labelled() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    cluster.add_node(NodeSpec::new("n1").env("EXTRA", "of n1")).await.unwrap();
    cluster.apply_yaml(SLEEPER).await.unwrap();

    let (event, pid) = cluster.events().wait_for("a start", |events| start_of(events, 0)).await.unwrap();
    assert_eq!((event.node.as_str(), event.container.as_str()), ("n1", "sleeper"));
    // The shell has to become the program first.
    let environment = wait::until("the program", async || {
        let environment = fs::read_to_string(format!("/proc/{pid}/environ")).unwrap_or_default();
        if environment.is_empty() { Err("nothing") } else { Ok(environment) }
    });
    let environment = environment.await.unwrap();
    for variable in ["NODE_NAME=n1\0", "EXTRA=of n1\0", "KUBECONFIG=/"] {
        assert!(environment.contains(variable), "{environment}");
    }
    assert!(!environment.contains("CARGO"), "{environment}");
    wait_for_running_pod(&cluster, 0).await;
    let kubeconfig =
        environment.split('\0').find_map(|variable| variable.strip_prefix("KUBECONFIG=")).unwrap();
    assert_eq!(node_of_token(&cluster, Path::new(kubeconfig)).await, "n1");

    assert_eq!(cluster.kubelet().kill_containers("n1"), 1);
    cluster.events().wait_for("a restart", |events| start_of(events, 1)).await.unwrap();
    wait_for_running_pod(&cluster, 1).await;

    cluster.label_node("n1", "example.com/done", Some("yes")).await.unwrap();
    let removed =
        |events: &[Event]| events.iter().any(|event| event.what == What::Removed).then(|| events.to_vec());
    let events = cluster.events().wait_for("the pod to go", removed).await.unwrap();
    let ended = |code| What::Exited { exit: Exit { code, signal: Some(code - 128) }, message: String::new() };
    let whats: Vec<_> = events.into_iter().map(|event| event.what).collect();
    assert!(matches!(&whats[..], [What::Started { .. }, ..]), "{whats:?}");
    assert_eq!(whats[1], ended(137));
    assert_eq!(whats[3..], [What::Terminating, ended(143), What::Removed]);
    let folder = cluster.kubelet().container_folder(&event.pod_uid, &event.container);
    assert_eq!(fs::read_to_string(folder.join("0.stdout")).unwrap(), "on n1\n");
    cluster.wait_until_done("default", "sleeper").await.unwrap();
    assert!(cluster.pods("default").await.unwrap().is_empty());
    // Late news of the pod starts nothing anew.
    assert_eq!(cluster.events().all().len(), whats.len());
}

#[tokio::test]
async fn the_api_server_comes_back_with_its_data_and_its_audit_log() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    cluster.add_node(NodeSpec::new("n1")).await.unwrap();
    cluster.label_node("n1", "example.com/first", Some("yes")).await.unwrap();

    cluster.stop_api_server();
    cluster.node("n1").await.unwrap_err();
    cluster.start_api_server().await.unwrap();
    cluster.label_node("n1", "example.com/second", Some("yes")).await.unwrap();

    let labels = cluster.node("n1").await.unwrap().metadata.labels.unwrap();
    assert!(
        labels.contains_key("example.com/first") && labels.contains_key("example.com/second"),
        "{labels:?}"
    );
    let patches = cluster.requests(|request| {
        request.verb == "patch" && request.is_on_node("n1") && request.user.username == "admin"
    });
    let bodies: Vec<_> = patches.await.unwrap().into_iter().map(|patch| patch.request_object).collect();
    let body = |key: &str| Some(serde_json::json!({"metadata": {"labels": {key: "yes"}}}));
    assert_eq!(bodies, [body("example.com/first"), body("example.com/second")]);

    // The watch of the kubelet is there again, too.
    cluster.apply_yaml(SLEEPER).await.unwrap();
    wait_for_running_pod(&cluster, 0).await;
    cluster.delete_node("n1").await.unwrap();
    let removed = |events: &[Event]| events.iter().find(|event| event.what == What::Removed).cloned();
    cluster.events().wait_for("the pod to go with its node", removed).await.unwrap();
}
