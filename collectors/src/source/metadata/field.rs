//! The fields of a metadata document.

use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A number in newer documents, a text in older ones.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum NumberOrText {
    Number(u64),
    Text(String),
}

/// A field of the document. One of another type than the service documents must not make the others
/// unreadable.
#[derive(Debug, Clone, Default)]
pub(crate) enum Field<T> {
    /// It is not there, or it is empty.
    #[default]
    Absent,
    Told(T),
    OfOtherType,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Value::deserialize(deserializer)? {
            Value::Null => Self::Absent,
            Value::String(text) if text.trim().is_empty() => Self::Absent,
            value => T::deserialize(value).map_or(Self::OfOtherType, Self::Told),
        })
    }
}

impl<T> Field<T> {
    /// The value, or that it is of another type.
    pub(crate) fn told(self, name: &'static str) -> Result<Option<T>, Odd> {
        match self {
            Self::Absent => Ok(None),
            Self::Told(value) => Ok(Some(value)),
            Self::OfOtherType => Err(Odd::Type(name)),
        }
    }
}

impl Field<String> {
    /// The value, read as an address or a number.
    pub(crate) fn parsed<V: FromStr>(self, name: &'static str) -> Result<Option<V>, Odd> {
        self.told(name)?.map(|text| text.trim().parse().map_err(|_| Odd::Value(name))).transpose()
    }

    /// The value, if it is as it should be.
    pub(crate) fn checked(self, name: &'static str, is: fn(&str) -> bool) -> Result<Option<String>, Odd> {
        match self.told(name)?.map(|text| text.trim().to_owned()) {
            Some(text) if !is(&text) => Err(Odd::Value(name)),
            text => Ok(text),
        }
    }
}

impl Field<NumberOrText> {
    /// The number.
    pub(crate) fn number(self, name: &'static str) -> Result<Option<u64>, Odd> {
        self.written(name)?.map(|text| text.parse().map_err(|_| Odd::Value(name))).transpose()
    }

    /// The number, decimal, or the text in its place.
    pub(crate) fn written(self, name: &'static str) -> Result<Option<String>, Odd> {
        Ok(self.told(name)?.map(|value| match value {
            NumberOrText::Number(number) => number.to_string(),
            NumberOrText::Text(text) => text.trim().to_owned(),
        }))
    }
}

/// Most addresses of one list that are worth writing on a Node.
const MAX_LISTED: usize = 16;

/// Values, joined by commas, each once; `None` for none.
pub(crate) fn list<V: ToString>(values: impl IntoIterator<Item = V>) -> Option<String> {
    let mut words: Vec<String> = Vec::new();
    for word in values.into_iter().map(|value| value.to_string()) {
        if words.len() < MAX_LISTED && !words.contains(&word) {
            words.push(word);
        }
    }
    (!words.is_empty()).then(|| words.join(","))
}

/// What is odd about a field that is left out. Deliberately without its value, which may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Odd {
    Type(&'static str),
    Value(&'static str),
}

impl std::error::Error for Odd {}

impl std::fmt::Display for Odd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Type(name) => write!(f, "the document's `{name}` has another type than is documented"),
            Self::Value(name) => write!(f, "the document's `{name}` is not what is documented"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field<T: DeserializeOwned>(json: &str) -> Field<T> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_empty_is_not_there_and_another_type_is_odd() {
        for empty in ["null", "\"\"", "\" \\n\""] {
            assert_eq!(field::<String>(empty).told("a"), Ok(None), "{empty}");
        }
        assert_eq!(field::<String>("7").told("a"), Err(Odd::Type("a")));
        assert_eq!(field::<String>("\"7\"").parsed::<u64>("a"), Ok(Some(7)));
        assert_eq!(field::<String>("\"x\"").parsed::<u64>("a"), Err(Odd::Value("a")));
        for number in ["7", "\" 7\""] {
            assert_eq!(field::<NumberOrText>(number).written("a"), Ok(Some("7".to_owned())));
        }
        assert_eq!(field::<NumberOrText>("-7").written("a"), Err(Odd::Type("a")));
    }

    #[test]
    fn a_list_has_each_word_once_and_an_end() {
        assert_eq!(list([1, 2, 1]).as_deref(), Some("1,2"));
        assert_eq!(list([] as [u8; 0]), None);
        assert_eq!(list(0..100).map(|text| text.split(',').count()), Some(MAX_LISTED));
    }
}
