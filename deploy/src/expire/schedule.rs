//! When a CronJob begins, as Kubernetes reads it.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// The words that stand for five fields.
const WORDS: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Each field: what it is called, its smallest and its largest number, and the names of numbers, from the
/// smallest on.
const FIELDS: [(&str, u32, u32, &[&str]); 5] = [
    ("minute", 0, 59, &[]),
    ("hour", 0, 23, &[]),
    ("day of the month", 1, 31, &[]),
    ("month", 1, 12, &MONTHS),
    ("day of the week", 0, 6, &DAYS),
];

/// The schedule of a CronJob: a word such as `@hourly`, or five fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(String);

impl Schedule {
    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = |reason: String| Error::Schedule { value: text.to_owned(), reason };
        if text.starts_with('@') {
            let is_known = WORDS.contains(&text);
            return is_known
                .then(|| Self(text.to_owned()))
                .ok_or_else(|| refused(format!("the words are {}", WORDS.join(", "))));
        }
        let fields: Vec<_> = text.split_whitespace().collect();
        if fields.len() != FIELDS.len() {
            return Err(refused(format!("it has {} fields, and not {}", fields.len(), FIELDS.len())));
        }
        for (field, (what, least, most, names)) in fields.iter().zip(FIELDS) {
            if !field.split(',').all(|part| is_part(part, least, most, names)) {
                return Err(refused(format!("`{field}` is no {what}: from {least} to {most}")));
            }
        }
        Ok(Self(fields.join(" ")))
    }
}

/// `*`, `?`, a number, or a range of them, each with a step or without.
fn is_part(part: &str, least: u32, most: u32, names: &[&str]) -> bool {
    let number = |text: &str| {
        let index = names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let number = match index {
            Some(index) => least + u32::try_from(index).ok()?,
            None => text.parse().ok()?,
        };
        (least..=most).contains(&number).then_some(number)
    };
    let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
    let step_holds = step.is_none_or(|step| step.parse::<u32>().is_ok_and(|step| step > 0));
    let range_holds = matches!(range, "*" | "?")
        || match range.split_once('-') {
            None => number(range).is_some(),
            Some((from, to)) => number(from).zip(number(to)).is_some_and(|(from, to)| from <= to),
        };
    step_holds && range_holds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_five_fields_are_schedules_and_nothing_else() {
        for text in ["@hourly", "@daily", "*/30 * * * *", "0 3 1-7 jan,JUL mon", "5/10 0-6/2 ? * *"] {
            assert_eq!(text.parse::<Schedule>().unwrap().as_str(), text);
        }
        assert_eq!("0  3 * * *".parse::<Schedule>().unwrap().as_str(), "0 3 * * *");
        for (text, reason) in [
            ("", "it has 0 fields"),
            ("hourly", "it has 1 fields"),
            ("@every 1h", "the words are @yearly"),
            ("60 * * * *", "`60` is no minute: from 0 to 59"),
            ("0 24 * * *", "`24` is no hour"),
            ("0 0 0 * *", "`0` is no day of the month"),
            ("0 0 * foo *", "`foo` is no month"),
            ("0 0 * * 7", "`7` is no day of the week"),
            ("*/0 * * * *", "`*/0` is no minute"),
            ("9-5 * * * *", "`9-5` is no minute"),
            ("TZ=UTC 0 0 * * *", "it has 6 fields"),
        ] {
            let error = text.parse::<Schedule>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
