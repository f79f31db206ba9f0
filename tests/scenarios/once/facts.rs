//! What a command writes as facts.

use anyhow::{Context as _, Result};

use super::{apply_script, cluster, fact, mark, wait_for_label, wait_until_gone};

#[tokio::test]
async fn facts_come_and_go_with_what_is_declared() -> Result<()> {
    let cluster = cluster().await?;
    let both = "echo 1 > $NODE_ANNOTATOR_FACTS/rack; echo 2 > $NODE_ANNOTATOR_FACTS/row";
    apply_script(&cluster, "place", &["--fact=rack,row"], both).await?;
    let node = wait_for_label(&cluster, "n1", "place").await?;
    assert_eq!((fact(&node, "place.rack"), fact(&node, "place.row")), (Some("1"), Some("2")));
    wait_until_gone(&cluster, "place").await?;
    // Declared and missing: it is deleted. No longer declared: it stays, until it is said to be retired.
    let before = mark(&node, "place").context("no label")?.to_owned();
    let of_another = async |before: &str| {
        let is_another = |node: &_| match mark(node, "place") {
            Some(value) if value != before => Ok((value.to_owned(), node.clone())),
            other => Err(format!("{other:?}")),
        };
        cluster.wait_for_node("n1", "another value", is_another).await
    };
    apply_script(&cluster, "place", &["--fact=rack"], "true").await?;
    let (before, node) = of_another(&before).await?;
    assert_eq!((fact(&node, "place.rack"), fact(&node, "place.row")), (None, Some("2")));
    wait_until_gone(&cluster, "place").await?;
    apply_script(&cluster, "place", &["--retired-fact=row"], "true").await?;
    let (_, node) = of_another(&before).await?;
    assert_eq!((fact(&node, "place.rack"), fact(&node, "place.row")), (None, None));
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_no_fact_is_a_failure_that_names_it() -> Result<()> {
    let cluster = cluster().await?;
    for (name, script, told) in [
        (
            "undeclared",
            "echo x > $NODE_ANNOTATOR_FACTS/other",
            "`other` is not declared: name it with --fact",
        ),
        (
            "oversized",
            "head -c 1025 /dev/zero > $NODE_ANNOTATOR_FACTS/value",
            "`value` cannot be taken: it is longer than 1024 bytes",
        ),
        ("linked", "ln -s /etc/passwd $NODE_ANNOTATOR_FACTS/value", "`value` cannot be taken"),
        ("piped", "mkfifo $NODE_ANNOTATOR_FACTS/value", "`value` cannot be taken: it is no regular file"),
        ("folder", "mkdir $NODE_ANNOTATOR_FACTS/value", "`value` cannot be taken: it is no regular file"),
        (
            "escaped",
            "echo x > \"$NODE_ANNOTATOR_FACTS/$(printf 'a\\033[31m\\nb')\"",
            "`a [31m b` is not declared",
        ),
        ("gone", "rm -r $NODE_ANNOTATOR_FACTS", "the folder of facts cannot be read"),
    ] {
        apply_script(&cluster, name, &["--tries=1"], script).await?;
        let node = wait_for_label(&cluster, "n1", &format!("{name}.failed")).await?;
        let error = fact(&node, &format!("{name}.error")).context("no error")?;
        assert!(error.contains(told) && !error.contains('\u{1b}'), "{name}: {error}");
        assert_eq!((mark(&node, name), fact(&node, name)), (None, None));
    }
    // What is taken has no control characters, and none that turn text around.
    let script = "printf 'a\\033[31m\\342\\200\\256b\\n' > $NODE_ANNOTATOR_FACTS/value";
    apply_script(&cluster, "hostile", &[], script).await?;
    let node = wait_for_label(&cluster, "n1", "hostile").await?;
    assert_eq!(fact(&node, "hostile"), Some("a [31m b"));
    Ok(())
}
