//! That each condition of the policy is needed: without it, something comes out otherwise.

use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use kube::Client;
use node_annotator_deploy::policy::{self, Rule, Scope};
use node_annotator_tests::wait;
use serde_json::json;

use super::attempt::{Attempt, Case, Expected, PatchType};
use super::stage::{POD, Stage, settings};
use super::{with_our_rights, with_wide_rights};
use crate::support::key;

#[tokio::test]
async fn without_any_one_condition_of_the_policy_something_comes_out_otherwise() -> Result<()> {
    let stage = Stage::start().await?;
    stage.grant_wide_rights().await?;
    let (n1, n2) = (stage.node("n1").await?, stage.node("n2").await?);
    let cases = [with_our_rights(&n1), with_wide_rights::cases(&n1, &n2)].concat();
    each_condition_is_needed(&stage, POD, &Scope::new(&settings()), |_, _| true, &cases).await
}

/// Leaves out each chosen condition of a rule of the runs' policy in turn, and tries what the rule refuses.
pub(super) async fn each_condition_is_needed(
    stage: &Stage,
    who: &str,
    scope: &Scope,
    is_chosen: impl Fn(&Rule, &str) -> bool,
    cases: &[Case],
) -> Result<()> {
    let generated = |rules| policy::policy(scope, rules);
    each_condition_of(stage, who, (&policy::rules(scope), &generated), is_chosen, cases).await
}

/// The same of any policy that can be generated with other rules.
pub(super) async fn each_condition_of(
    stage: &Stage,
    who: &str,
    (rules, generated): (&[Rule], &dyn Fn(Vec<Rule>) -> ValidatingAdmissionPolicy),
    is_chosen: impl Fn(&Rule, &str) -> bool,
    cases: &[Case],
) -> Result<()> {
    let mut version = 0;
    for (index, rule) in rules.iter().enumerate() {
        let guarded: Vec<_> = cases.iter().filter(|case| is_refused_by(case, rule)).collect();
        for (without, weaker) in weaker(rule).into_iter().filter(|(without, _)| is_chosen(rule, without)) {
            version += 1;
            let mut rules = rules.to_vec();
            rules.splice(index..=index, weaker);
            // The first that refuses is the one that tells.
            rules.insert(0, mark(version));
            stage.cluster.apply(&generated(rules)).await?;
            wait_until_in_force(stage.attacker(who)?, "n1", version).await?;
            let changed = what_differs(stage, &guarded).await?;
            let text = format!("{}, without {without}", rule.id);
            ensure!(!changed.is_empty(), "{text}: all {} attempts are refused as before", guarded.len());
            let shown = changed.iter().find(|text| text.ends_with(": 200 ")).unwrap_or(&changed[0]);
            eprintln!("{text}: {} of {} come out otherwise\n    {shown}", changed.len(), guarded.len());
        }
    }
    Ok(())
}

/// Refuses one label: a policy is in force a moment after it was stored, and this tells which one is.
pub(super) fn mark(version: usize) -> Rule {
    Rule {
        id: "mark",
        expression: format!("!('{}' in variables.newLabels)", mark_label(version)),
        message: format!("this is version {version} of the policy"),
    }
}

fn mark_label(version: usize) -> String {
    key(&format!("version-{version}"))
}

pub(super) async fn wait_until_in_force(client: &Client, node: &str, version: usize) -> Result<()> {
    let label = json!({"metadata": {"labels": {mark_label(version): "x"}}});
    let attempt = Attempt::patch(PatchType::Merge, node, &label);
    wait::until_within(Duration::from_secs(20), "another policy to be in force", async || {
        let answer = attempt.send(client, true).await?;
        if answer.message.ends_with(&mark(version).message) { Ok(()) } else { Err(anyhow!("{answer}")) }
    })
    .await
}

fn is_refused_by(case: &Case, rule: &Rule) -> bool {
    matches!(case.expected, Expected::Refused(422, says) if rule.message.contains(says))
}

/// What is left out, and what is left.
fn weaker(rule: &Rule) -> Vec<(String, Option<Rule>)> {
    let conditions = conditions(&rule.expression);
    let mut weaker = vec![("all of it".to_owned(), None)];
    for (index, condition) in conditions.iter().enumerate().filter(|_| conditions.len() > 1) {
        let mut others = conditions.clone();
        others.remove(index);
        let rule = Rule { expression: others.join(" && "), ..rule.clone() };
        weaker.push((condition.split_whitespace().collect::<Vec<_>>().join(" "), Some(rule)));
    }
    weaker
}

/// The parts of an expression between which stands `&&`, outside of all parentheses.
fn conditions(expression: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (index, character) in expression.char_indices() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '&' if depth == 0 && expression[index..].starts_with("&&") => {
                parts.push(expression[start..index].trim());
                start = index + 2;
            }
            _ => {}
        }
    }
    parts.push(expression[start..].trim());
    parts
}

/// Which attempts are answered in another way, and how. Stores nothing.
async fn what_differs(stage: &Stage, cases: &[&Case]) -> Result<Vec<String>> {
    let mut changed = Vec::new();
    for case in cases {
        let answer = stage.send(case, true).await?;
        if !case.expected.fits(&answer) {
            changed.push(format!("{case}: {answer}"));
        }
    }
    Ok(changed)
}

#[test]
fn conditions_are_parted_outside_of_parentheses() {
    assert_eq!(
        conditions("a == 'x' && (b || c && d)\n&& e.all(k, k && f)"),
        ["a == 'x'", "(b || c && d)", "e.all(k, k && f)"]
    );
    assert_eq!(conditions("a || b"), ["a || b"]);
}
