//! `diff`, `drift` and `check`: nodes against each other, and against what is expected of them.

use super::*;

pub(super) async fn nodes_are_compared(fleet: &Fleet) -> Result<()> {
    let cluster = &fleet.cluster;
    two_nodes_differ_in_what_is_told(cluster).await?;
    most_nodes_of_a_group_are_the_measure(cluster).await?;
    what_is_expected_is_checked(cluster).await?;
    a_bad_file_is_told_by_line_and_entry(cluster).await?;
    a_fleet_is_on_one_page(cluster).await
}

async fn a_fleet_is_on_one_page(cluster: &Cluster) -> Result<()> {
    let data = run(cluster, &["report", "--group-by", "none", "-o", "json"]).await?.json()?;
    assert_eq!(data["totals"], run(cluster, &["status", "-o", "json"]).await?.json()?["totals"]);
    let given_up = data["troubles"].as_array().and_then(|troubles| troubles.first()).context("no trouble")?;
    assert_eq!((&given_up["state"], &given_up["nodes"]), (&json!("given-up"), &json!(["droplet-1"])));
    let nodes = data["nodes"].as_array().context("no nodes")?;
    assert_eq!(nodes.iter().filter_map(|row| row["count"].as_u64()).sum::<u64>(), 10);

    let page = run(cluster, &["report", "--group-by", "none"]).await?;
    assert_eq!((page.code, page.stderr.as_str()), (0, ""), "{page:?}");
    assert!(page.stdout.starts_with("<!DOCTYPE html>"), "{}", page.stdout);
    let place =
        |text: &str| page.stdout.find(text).with_context(|| format!("no `{text}` in {}", page.stdout));
    assert!(place("answered with status 500")? < place("<h2>Coverage</h2>")?, "what failed comes first");
    assert!(place("<mark>AMD EPYC 7763 64-Core Processor</mark>")? > 0);
    let only_pool = run(cluster, &["report", "--selector", "pool=b", "-o", "json"]).await?.json()?;
    assert_eq!(only_pool["nodeCount"], 1);
    Ok(())
}

async fn two_nodes_differ_in_what_is_told(cluster: &Cluster) -> Result<()> {
    let alike = run(cluster, &["diff", "worker-1", "worker-2", "--exit-code"]).await?;
    assert!(
        alike.code == 0 && alike.stdout.starts_with("facts that differ: 0, that are alike: "),
        "{alike:?}"
    );
    let table = run(cluster, &["diff", "worker-1", "amd-1", "--exit-code"]).await?;
    assert_eq!((table.code, table.stderr.as_str()), (3, ""), "{table:?}");
    assert!(table.stdout.starts_with("FACT "), "{table:?}");
    let json = run(cluster, &["diff", "worker-1", "droplet-1", "-o", "json"]).await?.json()?;
    let facts = json["facts"].as_array().context("no facts")?;
    let fact = |name: &str| facts.iter().find(|fact| fact["fact"] == name);
    let kernel =
        |node| async move { anyhow::Ok(cluster.node(node).await?.metadata.annotations.unwrap_or_default()) };
    let told = [&kernel("worker-1").await?[&key("kernel")], &kernel("droplet-1").await?[&key("kernel")]];
    assert_eq!(fact("kernel").context("no kernel")?["values"], json!(told));
    assert!(fact("kernel.build").is_none(), "text that people read need not be alike: {json:#}");
    // `tainted-1` has run nothing: what the other has is no difference in the machines.
    let unknown =
        run(cluster, &["diff", "worker-1", "tainted-1", "--collectors", "kernel", "-o", "json"]).await?;
    let unknown = unknown.json()?;
    assert!(
        unknown["facts"].as_array().is_some_and(|facts| facts.iter().all(|fact| {
            fact["known"] == json!([true, false])
                && fact["fact"].as_str().is_some_and(|name| name.starts_with("kernel"))
        })),
        "{unknown:#}"
    );
    let missing = run(cluster, &["diff", "worker-1", "no-such"]).await?;
    assert_eq!((missing.code, missing.stdout.as_str()), (4, ""), "{missing:?}");
    assert!(missing.stderr.starts_with("error: there is no node `no-such`\n"), "{missing:?}");
    Ok(())
}

async fn most_nodes_of_a_group_are_the_measure(cluster: &Cluster) -> Result<()> {
    let by_pool = run(cluster, &["drift", "--selector", "pool", "--exit-code"]).await?;
    assert_eq!((by_pool.code, by_pool.stderr.as_str()), (0, ""), "{by_pool:?}");
    assert!(by_pool.stdout.contains("4 nodes: 0 differ from most"), "{by_pool:?}");
    let all = &["drift", "--group-by", "none", "--exit-code"];
    let table = run(cluster, all).await?;
    assert_eq!(table.code, 3, "{table:?}");
    let names = run(cluster, &[&all[..], &["-o", "name"]].concat()).await?;
    assert_eq!(names.stdout, "node/amd-1\nnode/droplet-1\n");
    let kernel =
        run(cluster, &[&all[..], &["--collectors", "kernel", "-o", "json"]].concat()).await?.json()?;
    assert_eq!(kernel["nodeCount"], 10);
    let drift = kernel["groups"][0]["drift"].as_array().context("no drift")?;
    let kernel = drift.iter().find(|drift| drift["fact"] == "kernel").context("no kernel")?;
    assert_eq!(kernel["usualCount"], 4, "nodes without facts are not counted: {kernel:#}");
    let others = kernel["others"].as_array().context("no others")?;
    assert_eq!(others.len(), 2, "{kernel:#}");
    assert!(
        others
            .iter()
            .all(|other| other["nodes"] == json!(["amd-1"]) || other["nodes"] == json!(["droplet-1"]))
    );
    let grouped = run(cluster, &["drift", "--group-by", "cpu-model", "-o", "csv"]).await?;
    assert_eq!(grouped.stdout, "cpu-model,node,fact,usual,value\n", "{grouped:?}");
    Ok(())
}

const EXPECTATIONS: &str = "
apiVersion: node-annotator/v1
kind: Expectations
expectations:
- expect: kernel.major >= 5
- name: the pool runs Intel
  expect: cpu-model contains Intel
  selector: pool in (a,b)
- name: no old kernel
  expect: kernel >= 6
  where: pool == a and cpu-model contains Intel
";

async fn what_is_expected_is_checked(cluster: &Cluster) -> Result<()> {
    let file = cluster.folder().join("expectations.yaml");
    fs::write(&file, EXPECTATIONS)?;
    let file = file.to_string_lossy();
    let passed = run(cluster, &["check", "-f", &file, "--nodes", "droplet-1"]).await?;
    assert_eq!(passed.code, 0, "{passed:?}");
    assert!(passed.stdout.ends_with("1 node, 3 expectations: 1 passed, 0 failed, 0 unknown\n"), "{passed:?}");
    assert_eq!(
        passed.stderr,
        "warning: of no node: `the pool runs Intel`\nwarning: of no node: `no old kernel`\n"
    );

    let failed = run(cluster, &["check", "-f", &file, "--selector", "pool"]).await?;
    assert_eq!((failed.code, failed.stderr.as_str()), (3, ""), "{failed:?}");
    assert!(
        failed.stdout.ends_with("4 nodes, 3 expectations: 7 passed, 4 failed, 0 unknown\n"),
        "{failed:?}"
    );
    // Whoever has not run cannot be told of.
    let unknown =
        run(cluster, &["check", "-f", &file, "--nodes", "worker-1,tainted-1", "-o", "json"]).await?;
    let json = unknown.json()?;
    assert_eq!((unknown.code, &json["totals"]["unknown"]), (3, &json!(1)), "{json:#}");
    assert_eq!(json["expectations"][0]["totals"], json!({"passed": 1, "failed": 0, "unknown": 1}));

    let junit = run(cluster, &["check", "-f", &file, "--selector", "pool", "-o", "junit"]).await?;
    assert_eq!(junit.code, 3);
    assert!(junit.stdout.starts_with("<?xml version=\"1.0\""), "{junit:?}");
    assert_eq!(junit.stdout.matches("<testcase ").count(), 11, "{junit:?}");
    assert_eq!(junit.stdout.matches("<failure ").count(), 4, "{junit:?}");
    let names = run(cluster, &["check", "-f", &file, "--selector", "pool", "-o", "name"]).await?;
    assert_eq!(names.stdout, "node/amd-1\nnode/worker-1\nnode/worker-2\nnode/worker-3\n");
    Ok(())
}

async fn a_bad_file_is_told_by_line_and_entry(cluster: &Cluster) -> Result<()> {
    let file = cluster.folder().join("bad.yaml");
    let path = file.to_string_lossy();
    for (text, code, error) in [
        (
            "expectations:\n- expect: kernel\n- expect: kernel.mayor > 5\n",
            2,
            ":3: `expect` of entry 2 cannot be read",
        ),
        (
            "expectations:\n- expect: kernel\n  selector: 'a b'\n",
            4,
            "error: nodes of `a b` (line 2 of the file): ",
        ),
        ("expectations:\n- expects: kernel\n", 2, ":2: unknown field `expects`"),
    ] {
        fs::write(&file, text)?;
        let ended = run(cluster, &["check", "-f", &path]).await?;
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{ended:?}");
        assert!(ended.stderr.contains(error), "{ended:?}");
    }
    let missing = run(cluster, &["check", "-f", "/no/such/file"]).await?;
    assert_eq!(missing.code, 2, "{missing:?}");
    assert!(missing.stderr.starts_with("error: cannot read `/no/such/file`: "), "{missing:?}");
    Ok(())
}
