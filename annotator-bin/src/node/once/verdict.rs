//! What the records of all steps say of the task.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::record::{End, Record};

/// What became of a task so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on.
    Pending,
    /// It goes on, and this is what went wrong.
    Failing(String),
    /// It is done, with these facts.
    Done(BTreeMap<String, String>),
    /// It has failed for good.
    Failed(String),
}

/// All steps as they were last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// In the order in which they start; nothing of those that have not.
    records: Vec<(String, Option<Record>)>,
    /// The first whose record cannot be read, and why.
    unreadable: Option<String>,
}

impl Seen {
    pub(super) fn look(folder: &Path, steps: &[String]) -> Self {
        let mut unreadable = None;
        let mut read = |step: &String| match Record::read(folder, step) {
            Ok(record) => record,
            Err(error) => {
                unreadable.get_or_insert(format!("`{step}`: what became of it cannot be read: {error}"));
                None
            }
        };
        let records = steps.iter().map(|step| (step.clone(), read(step))).collect();
        Self { records, unreadable }
    }

    /// What they say, after `still` without a change. A step that does not start in the time of a try has
    /// failed; when that has passed as often as it may be tried, for good.
    pub(super) fn verdict(&self, still: Duration, timeout: Duration, tries: u32) -> Verdict {
        let known = || self.records.iter().filter_map(|(step, record)| Some((step, record.as_ref()?)));
        let ended = |end| known().any(|(_, record)| record.end == Some(end));
        let facts = || known().flat_map(|(_, record)| record.facts.clone()).collect();
        if let Some(text) = &self.unreadable {
            return Verdict::Failed(text.clone());
        }
        if ended(End::Already) || self.records.iter().all(|(_, it)| it.as_ref().is_some_and(is_done)) {
            return Verdict::Done(facts());
        }
        let failure = |is_last: bool| {
            known().find_map(|(step, record)| {
                let text =
                    record.failure.as_ref().filter(|_| (record.end == Some(End::Failed)) == is_last)?;
                Some(format!("`{step}`: {text}"))
            })
        };
        if let Some(text) = failure(true) {
            return Verdict::Failed(text);
        }
        let is_at_work = known().any(|(_, record)| record.end.is_none());
        if let (Some((step, _)), false) = (self.records.iter().find(|(_, it)| it.is_none()), is_at_work)
            && still >= timeout
        {
            let text = format!(
                "`{step}` has not started after {timeout:?}: is its image there, and all that its container refers to?"
            );
            return if still >= timeout * tries { Verdict::Failed(text) } else { Verdict::Failing(text) };
        }
        failure(false).map_or(Verdict::Pending, Verdict::Failing)
    }
}

fn is_done(record: &Record) -> bool {
    record.end == Some(End::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(records: &[Option<Record>]) -> Seen {
        let records = records.iter().enumerate().map(|(index, it)| (format!("s{index}"), it.clone()));
        Seen { records: records.collect(), unreadable: None }
    }

    fn ended(end: End) -> Record {
        Record { tries: 1, end: Some(end), ..Record::default() }
    }

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn a_task_is_done_when_all_steps_are_or_the_check_says_so() {
        let fact =
            |name: &str| Record { facts: [(name.to_owned(), "1".to_owned())].into(), ..ended(End::Done) };
        let verdict = |records: &[_]| seen(records).verdict(Duration::ZERO, LIMIT, 3);
        let names = |verdict| match verdict {
            Verdict::Done(facts) => facts.into_keys().collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(names(verdict(&[Some(fact("a")), Some(fact("b"))])), ["a", "b"]);
        assert_eq!(names(verdict(&[Some(ended(End::Already)), None])), [""; 0]);
        assert_eq!(verdict(&[Some(fact("a")), None]), Verdict::Pending);
        assert_eq!(verdict(&[Some(fact("a")), Some(Record::default())]), Verdict::Pending);
    }

    #[test]
    fn a_failure_is_told_at_once_and_is_final_when_its_step_has_ended() {
        let failing = Record { failure: Some("exit code 1".to_owned()), ..Record::default() };
        let failed = Record { failure: Some("exit code 1".to_owned()), ..ended(End::Failed) };
        let verdict = |records: &[_]| seen(records).verdict(Duration::ZERO, LIMIT, 3);
        let text = "`s0`: exit code 1".to_owned();
        assert_eq!(verdict(&[Some(failing), None]), Verdict::Failing(text.clone()));
        assert_eq!(verdict(&[Some(failed), Some(ended(End::Skipped))]), Verdict::Failed(text));
    }

    #[test]
    fn what_never_starts_is_a_failure_in_time() {
        let seen = seen(&[Some(ended(End::Done)), None]);
        let at = |seconds| seen.verdict(Duration::from_secs(seconds), LIMIT, 3);
        assert_eq!(at(9), Verdict::Pending);
        assert!(matches!(at(10), Verdict::Failing(text) if text.contains("`s1` has not started after 10s")));
        assert!(matches!(at(30), Verdict::Failed(_)));
    }

    #[test]
    fn a_step_at_work_is_not_taken_for_one_that_never_starts() {
        let running = Record { tries: 1, is_running: true, ..Record::default() };
        let seen = seen(&[Some(running), None]);
        assert_eq!(seen.verdict(LIMIT * 100, LIMIT, 3), Verdict::Pending);
    }
}
