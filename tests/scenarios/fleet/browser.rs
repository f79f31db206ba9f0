//! A report in a browser: what a click and a search do, and what its own policy lets through.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use node_annotator_tests::browser;

/// Clicks and types as people do, and leaves what was seen as the title.
const VISITOR: &str = r##"<script>
  const rows = () => [...document.querySelectorAll("#nodes tbody tr")].filter((row) => !row.hidden);
  const counts = () => rows().map((row) => row.cells[1].textContent).join(",");
  const click = (name) => [...document.querySelectorAll("#nodes thead button")]
    .find((button) => button.textContent.trim() === name).click();
  const search = (text) => {
    const input = document.querySelector("input[type=search]");
    input.value = text;
    input.dispatchEvent(new Event("input"));
    return `${counts()} ${document.querySelector("[role=status]").textContent}`;
  };
  const seen = [];
  click("Count"); seen.push(counts());
  click("Count"); seen.push(counts());
  click("kernel"); seen.push(rows()[0].cells[1].textContent);
  for (const text of ["worker-0107", "worker-0108", "5.15 p1", "no such", ""]) seen.push(search(text));
  document.title = seen.join("; ");
</script>"##;

/// The page has a row of 10 nodes with another kernel in the pool `p1`, two of the others in both pools, and
/// one without a pool.
pub(super) async fn a_report_is_sorted_and_searched(folder: &Path, page: &str) -> Result<()> {
    let Some(dom) = shown(folder, page).await? else {
        eprintln!("left out: there is none of {}", browser::BROWSERS.join(", "));
        return Ok(());
    };
    assert!(dom.contains("<input type=\"search\""), "its own script has not run: {dom}");
    // Another script has no chance.
    let dom = shown(folder, &page.replace("</body>", &format!("{VISITOR}</body>"))).await?;
    let title = title(&dom.unwrap_or_default())?;
    assert_eq!(title, "A &lt;large&gt; fleet");

    let (start, policy) = page.split_once("<meta http-equiv").context("no policy")?;
    let (_, end) = policy.split_once('>').context("the policy has no end")?;
    let open = format!("{start}{}", end.replace("</body>", &format!("{VISITOR}</body>")));
    let seen = self::title(&shown(folder, &open).await?.unwrap_or_default())?;
    let expected = [
        "1,10,490,499",
        "499,490,10,1",
        // 5.14 comes before 5.15 as a number would.
        "499",
        "10 1 of 4 rows",
        "499 1 of 4 rows",
        "10 1 of 4 rows",
        " 0 of 4 rows",
    ];
    assert!(seen.starts_with(&expected.join("; ")), "{seen}");
    assert!(seen.matches(',').count() >= 9, "all rows are there again: {seen}");
    Ok(())
}

/// What a page has become in a browser, if there is one.
async fn shown(folder: &Path, page: &str) -> Result<Option<String>> {
    let Some(mut command) = browser::command(folder) else { return Ok(None) };
    let file = folder.join("report.html");
    std::fs::write(&file, page)?;
    command.args(["--dump-dom", "--virtual-time-budget=2000"]).arg(format!("file://{}", file.display()));
    let output = command.output().await.context("cannot start the browser")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(Some(String::from_utf8(output.stdout)?))
}

fn title(dom: &str) -> Result<String> {
    let (_, rest) = dom.split_once("<title>").with_context(|| format!("no title: {dom}"))?;
    Ok(rest.split("</title>").next().unwrap_or_default().to_owned())
}
