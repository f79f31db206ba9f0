//! What holds for all pages, also for those that are written by hand: links lead somewhere, the book has
//! every page, and commands are ones that the program takes.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;
use xtask_workspace::documents::{Page, pages, resolved};

/// The name of a heading as a target, as GitHub and mdBook have it.
fn anchor(heading: &str) -> String {
    let kept = |letter: char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
    heading.trim().to_lowercase().chars().filter(|letter| kept(*letter)).collect::<String>().replace(' ', "-")
}

fn anchors(page: &Page) -> BTreeSet<String> {
    let headings = page.lines().filter(|(line, is_code)| !is_code && line.starts_with('#'));
    let mut anchors = BTreeSet::new();
    for (line, _) in headings {
        let name = anchor(line.trim_start_matches('#'));
        assert!(anchors.insert(name.clone()), "{}: two headings are `{name}`", page.path.display());
    }
    anchors
}

/// Where the links of a page go, blocks of code left out.
fn links(page: &Page) -> Vec<String> {
    let prose: Vec<_> = page.lines().filter(|(_, is_code)| !is_code).map(|(line, _)| line).collect();
    let link = Regex::new(r"\]\(([^()\s]+)\)").unwrap();
    link.captures_iter(&prose.join("\n")).map(|found| found[1].to_owned()).collect()
}

#[test]
fn links_lead_to_what_is_there() {
    let pages = pages().unwrap();
    let (mut count, mut dead) = (0, Vec::new());
    for page in &pages {
        for link in links(page) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, name) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => page.path.clone(),
                path => resolved(&page.folder().join(path)),
            };
            let here = page.path.display();
            let there = pages.iter().find(|page| page.path == target);
            if !xtask_workspace::root().join(&target).exists() {
                dead.push(format!("{here}: `{link}` leads nowhere"));
            } else if !name.is_empty() && !there.is_some_and(|there| anchors(there).contains(name)) {
                dead.push(format!("{here}: there is no heading `{link}`"));
            }
            count += 1;
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
    assert!(count > 100, "{count} links");
}

#[test]
fn the_book_has_every_page() {
    let pages = pages().unwrap();
    let summary = pages.iter().find(|page| page.path == Path::new("docs/SUMMARY.md")).unwrap();
    let named: BTreeSet<_> = links(summary).iter().map(|link| summary.folder().join(link)).collect();
    let there = pages.iter().map(|page| page.path.clone());
    let there: BTreeSet<_> = there.filter(|path| path.starts_with("docs") && *path != summary.path).collect();
    assert_eq!(named, there);
}

/// One line for each command that a block has.
fn lines(block: &str) -> Vec<String> {
    let joined = block.replace("\\\n", " ");
    joined.replace("|\n", "| ").lines().map(|line| line.trim().to_owned()).collect()
}

/// The words behind `node-annotator` in a line, up to what is for the shell.
fn arguments(line: &str) -> Vec<Vec<String>> {
    let start = Regex::new(r"(?:^|[|;&]|\$\()\s*(?:kubectl )?node-annotator(?: |$)").unwrap();
    let commands = start.find_iter(line).map(|found| words(&line[found.end()..]));
    commands.collect()
}

/// As a shell takes a line apart, as far as pages go.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match quote {
            Some(mark) if letter == mark => quote = None,
            None if letter == '\'' || letter == '"' => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            None if letter == ' ' => words.extend(word.take()),
            None if "|>;&)#".contains(letter) && word.is_none() => return words,
            None if ")".contains(letter) => break,
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[test]
fn commands_are_those_of_the_program() {
    let (mut count, mut wrong) = (0, Vec::new());
    for page in pages().unwrap() {
        for block in page.commands().unwrap_or_else(|error| panic!("{error}")) {
            for line in lines(&block.text) {
                for mut arguments in arguments(&line) {
                    // Without a command it runs.
                    if arguments.first().is_none_or(|first| first.starts_with("--")) {
                        arguments.insert(0, "run".to_owned());
                    }
                    let all = ["node-annotator".to_owned()].into_iter().chain(arguments);
                    let parsed = node_annotator::command().try_get_matches_from(all);
                    if let Err(error) = parsed
                        && error.use_stderr()
                    {
                        wrong.push(format!("{}:{}: `{line}`: {error}", page.path.display(), block.line));
                    }
                    count += 1;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 30, "{count} commands");
}

#[test]
fn a_line_is_taken_apart_as_a_shell_does() {
    let line = "kubectl x | node-annotator once a -f - --check 'test -e /a b' > $X | kubectl apply -f - # node-annotator y";
    assert_eq!(
        arguments(line),
        [["once", "a", "-f", "-", "--check", "test -e /a b"].map(str::to_owned).to_vec()]
    );
    assert_eq!(arguments("node-annotator"), [Vec::<String>::new()]);
    assert_eq!(anchor(" `status`, and *why*: 1.36"), "status-and-why-136");
}
