//! Whether the policy refuses what it has to and nothing else, told by what the API server answers.

use std::time::Duration;

use kube::Error;
use kube::core::Status;
use node_annotator_deploy::STATIC_END;
use node_annotator_deploy::policy::{self, Scope, TOO_SOON};

use super::Settings;
use super::account::Account;
use super::check::{Conclusion, Outcome};
use super::evidence::{Evidence, OurNamespace};
use super::requests::{Denial, Sender, own_key};
use crate::cluster::ADMINISTRATOR;
use crate::trouble::Trouble;

/// Until a policy that was applied just now is in force, and until the rate rule lets a node be written
/// that has run just now.
const PAUSE: Duration = Duration::from_millis(2_500);

/// As long as runs that follow each other take.
const TRIES: u32 = 5;

/// Whether a run may write what it has to.
pub(super) async fn allowed(all: &Evidence, one: &OurNamespace) -> Outcome {
    let (sender, settings) = (Sender::new(all, one)?, &all.settings);
    let mut answer = sender.try_own_key().await;
    for tried in 1..TRIES {
        let Err(Error::Api(status)) = &answer else { break };
        let is_ours = refusal(status, sender.account, settings) == Refusal::OurPolicy;
        if !is_ours || tried > 1 && !status.message.contains(TOO_SOON) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        answer = sender.try_own_key().await;
    }
    let stored = match answer {
        Ok(stored) => stored,
        Err(Error::Api(status)) => {
            return match refusal(&status, sender.account, settings) {
                Refusal::Impersonation => Err(may_not_impersonate(&status)),
                Refusal::Gone => Err(gone()),
                Refusal::Trouble => Err(Error::Api(status).into()),
                Refusal::Rbac => Ok(Conclusion::fail(
                    format!("a run could not write: {}", status.message),
                    settings.apply_command(),
                )),
                Refusal::OurPolicy => Ok(Conclusion::fail(
                    format!("the policy refuses what every run writes: {}", status.message),
                    settings.apply_command(),
                )),
                Refusal::Others => Ok(Conclusion::fail(
                    format!("a run could not write: {}", status.message),
                    format!(
                        "exempt `system:serviceaccount:{}:*` from the webhook or policy that the message names",
                        sender.account.namespace
                    ),
                )),
            };
        }
        Err(error) => return Err(error.into()),
    };
    if contains(&serde_json::to_value(&stored).unwrap_or_default(), &own_key(&all.scope)) {
        return Ok(Conclusion::pass("a run may write its keys on its own node"));
    }
    Ok(Conclusion::fail(
        "a run could not write: its keys are taken out or changed on the way",
        format!(
            "exempt `{}` from the mutation: kubectl get mutatingwebhookconfigurations,mutatingadmissionpolicies",
            settings.prefix.key_start()
        ),
    ))
}

/// Whether a request that has to be refused is.
pub(super) async fn refused(all: &Evidence, one: &OurNamespace, denial: &Denial) -> Outcome {
    let answer = Sender::new(all, one)?.try_denial(denial).await;
    denied(answer, denial, &one.account, &all.scope, &all.settings)
}

fn denied(
    answer: Result<(), Error>,
    denial: &Denial,
    account: &Account,
    scope: &Scope,
    settings: &Settings,
) -> Outcome {
    let attempt = denial.attempt;
    let status = match answer {
        Ok(()) => {
            return Ok(Conclusion::fail(format!("not refused: {attempt}"), settings.apply_command()));
        }
        Err(Error::Api(status)) => status,
        Err(error) => return Err(error.into()),
    };
    match refusal(&status, account, settings) {
        Refusal::OurPolicy if status.message.contains(&message(denial, scope)) => {
            Ok(Conclusion::pass(format!("refused: {attempt}")))
        }
        Refusal::OurPolicy => Ok(Conclusion::warn(
            format!("refused with a message of another version: {attempt}: {}", status.message),
            settings.apply_command(),
        )),
        Refusal::Impersonation => Err(may_not_impersonate(&status)),
        Refusal::Gone => Err(gone()),
        Refusal::Rbac => Err(Trouble::new(
            "RBAC refuses it before the policy is asked",
            "see `rights-suffice`: the policy shows itself once the grant is there",
        )),
        Refusal::Others => Err(Trouble::new(
            format!("something else refuses it first: {}", status.message),
            "the webhook or policy that the message names hides whether ours would do it",
        )),
        Refusal::Trouble => Err(Error::Api(status).into()),
    }
}

/// The part of the API server that refused a request.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// Our policy.
    OurPolicy,
    /// RBAC, to our account.
    Rbac,
    /// RBAC, to whoever runs this.
    Impersonation,
    /// Another policy, a webhook, a validation.
    Others,
    /// Nobody: the node is not there any more.
    Gone,
    /// Nobody: the server is not well.
    Trouble,
}

fn refusal(status: &Status, account: &Account, settings: &Settings) -> Refusal {
    // In the API, or in a file of the server.
    let ours = ["", STATIC_END]
        .map(|end| format!("ValidatingAdmissionPolicy '{}{end}'", settings.installation.cluster_object()));
    let account = format!("User \"{}\" cannot", account.user);
    match status.code {
        _ if ours.iter().any(|ours| status.message.contains(ours)) => Refusal::OurPolicy,
        403 if status.message.contains(&account) => Refusal::Rbac,
        // The details name the node, or what was to be impersonated.
        403 if !is_about_nodes(status) => Refusal::Impersonation,
        404 => Refusal::Gone,
        401 | 409 | 429 | 500.. => Refusal::Trouble,
        _ => Refusal::Others,
    }
}

fn is_about_nodes(status: &Status) -> bool {
    status.details.as_ref().is_some_and(|details| details.kind == "nodes")
}

fn message(denial: &Denial, scope: &Scope) -> String {
    let rule = policy::rules(scope).into_iter().find(|rule| rule.id == denial.rule);
    rule.expect("a test holds the table against the rules").message
}

fn may_not_impersonate(status: &Status) -> Trouble {
    Trouble::new(format!("not allowed to impersonate: {}", status.message), ADMINISTRATOR)
}

fn gone() -> Trouble {
    Trouble::new("the node that it was tried on is gone", "run it again")
}

/// Whether all that is in the second value is in the first.
fn contains(whole: &serde_json::Value, part: &serde_json::Value) -> bool {
    match part.as_object() {
        Some(fields) => {
            fields.iter().all(|(key, value)| whole.get(key).is_some_and(|other| contains(other, value)))
        }
        None => whole == part,
    }
}

#[cfg(test)]
mod tests {
    use kube::core::response::StatusDetails;
    use node_annotator_core::PrivilegeClass;

    use super::super::check::Verdict;
    use super::super::requests::DENIALS;
    use super::*;

    fn judged(code: u16, kind: &str, message: &str) -> Outcome {
        let settings = Settings::default();
        let account = Account::new(PrivilegeClass::Restricted, &settings);
        let details: StatusDetails = serde_json::from_value(serde_json::json!({ "kind": kind })).unwrap();
        let status =
            Status { code, message: message.to_owned(), details: Some(details), ..Status::default() };
        let denial = DENIALS.iter().find(|denial| denial.check == "denies-spec").unwrap();
        denied(Err(Error::Api(Box::new(status))), denial, &account, &settings.all_collectors(&[]), &settings)
    }

    #[test]
    fn only_our_own_refusal_is_a_proof() {
        let ours = "nodes \"a\" is forbidden: ValidatingAdmissionPolicy 'node-annotator' with binding \
            'node-annotator' denied request: ";
        let passed =
            judged(422, "nodes", &format!("{ours}the Node's spec may not be changed: no taint, no cordon"));
        assert_eq!(passed.unwrap().verdict(), Verdict::Pass);
        assert_eq!(judged(422, "nodes", &format!("{ours}no taints")).unwrap().verdict(), Verdict::Warn);
        for (code, kind, message, reason) in [
            (
                403,
                "nodes",
                "nodes \"a\" is forbidden: User \"system:serviceaccount:node-annotator:node-annotator\" cannot patch",
                "RBAC refuses it",
            ),
            (
                403,
                "users",
                "users \"a\" is forbidden: User \"eve\" cannot impersonate",
                "not allowed to impersonate",
            ),
            (
                403,
                "serviceaccounts",
                "serviceaccounts \"a\" is forbidden: User \"system:serviceaccount:ops:doctor\" cannot impersonate",
                "not allowed to impersonate",
            ),
            (403, "nodes", "admission webhook \"w\" denied the request", "something else refuses it first"),
            (422, "nodes", "ValidatingAdmissionPolicy 'other' denied", "something else refuses it first"),
            (404, "nodes", "nodes \"a\" not found", "the node that it was tried on is gone"),
            (503, "", "etcd is away", "the API server says 503"),
        ] {
            let reason_given = judged(code, kind, message).unwrap_err().what;
            assert!(reason_given.starts_with(reason), "{reason_given}");
        }
    }

    #[test]
    fn what_would_be_stored_has_to_have_our_keys() {
        let part = own_key(&Settings::default().all_collectors(&[]));
        let mut whole = part.clone();
        whole["metadata"]["labels"]["other"] = "x".into();
        assert!(contains(&whole, &part));
        assert!(!contains(&part, &whole));
    }
}
