//! The grammar of `--collectors`.

use node_annotator_core::registry::UnknownCollector;
use node_annotator_core::selection::SelectionError;
use node_annotator_core::{Registry, Selection};
use proptest::prelude::*;

use crate::fakes::{self, ABSENT, ASK, VALUE, VALUE_FILE};

fn registry() -> Registry {
    fakes::registry(&[&VALUE, &VALUE_FILE, &ABSENT, &ASK])
}

fn names(selection: &Selection) -> Vec<&'static str> {
    selection.iter().map(|collector| collector.name).collect()
}

fn parse(text: &str) -> Result<Vec<&'static str>, SelectionError> {
    Selection::parse(text, &registry()).map(|selection| names(&selection))
}

#[test]
fn each_word_selects_what_it_says() {
    assert_eq!(parse("value").unwrap(), ["value"]);
    assert_eq!(parse("default").unwrap(), ["absent", "value", "value-file"]);
    assert_eq!(parse("all").unwrap(), ["absent", "ask", "value", "value-file"]);
    assert_eq!(parse("default,ask").unwrap(), ["absent", "ask", "value", "value-file"]);
    assert_eq!(parse("value,ask,value").unwrap(), ["ask", "value"]);
}

#[test]
fn removals_take_away_wherever_they_stand() {
    assert_eq!(parse("all,-value").unwrap(), ["absent", "ask", "value-file"]);
    assert_eq!(parse("-value,all").unwrap(), ["absent", "ask", "value-file"]);
    assert_eq!(parse("value,-ask").unwrap(), ["value"]);
}

#[test]
fn removals_alone_start_from_the_default() {
    assert_eq!(parse("-value").unwrap(), ["absent", "value-file"]);
}

#[test]
fn white_space_and_stray_commas_do_not_matter() {
    assert_eq!(parse(" value , ask\n,, -ask ,").unwrap(), ["value"]);
}

#[test]
fn an_unknown_word_is_refused_with_what_was_meant_and_what_is_valid() {
    for (text, name) in [("vlaue", "vlaue"), ("all,-vlaue", "vlaue"), ("value,vlaue", "vlaue")] {
        let valid = "absent, ask, value, value-file".to_owned();
        let unknown = UnknownCollector { name: name.to_owned(), nearest: Some("value"), valid };
        assert_eq!(parse(text), Err(SelectionError::Unknown(unknown)));
    }
    assert_eq!(
        parse("vlaue").unwrap_err().to_string(),
        "there is no collector `vlaue` in this binary; did you mean `value`?\n\
         valid: absent, ask, value, value-file; or `default`, `all`, `-NAME`"
    );
    assert!(!parse("kernel").unwrap_err().to_string().contains("did you mean"));
    assert!(matches!(parse("-"), Err(SelectionError::Unknown(_))));
}

#[test]
fn an_empty_list_is_refused() {
    for text in ["", " ", ",", " , "] {
        assert!(matches!(parse(text), Err(SelectionError::Empty { .. })), "`{text}`");
    }
    assert!(parse("").unwrap_err().to_string().contains("valid: absent, ask, value, value-file;"));
}

#[test]
fn a_list_of_which_nothing_is_left_is_refused() {
    assert_eq!(parse("ask,-ask"), Err(SelectionError::Nothing { text: "ask,-ask".to_owned() }));
    let registry = fakes::registry(&[&ASK]);
    let error = Selection::parse("default", &registry).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`default` selects nothing: what it names is taken away or not on by default"
    );
}

proptest! {
    #[test]
    fn the_order_of_the_words_does_not_matter((words, shuffled) in words_in_two_orders()) {
        let set = |words: &[&str]| parse(&words.join(",")).map_err(|error| std::mem::discriminant(&error));
        prop_assert_eq!(set(&words), set(&shuffled));
    }
}

fn words_in_two_orders() -> impl Strategy<Value = (Vec<&'static str>, Vec<&'static str>)> {
    let words = vec!["all", "default", "value", "absent", "ask", "-value", "-value-file", "-absent", "-ask"];
    let count = 1..=words.len();
    proptest::sample::subsequence(words, count)
        .prop_flat_map(|words| (Just(words.clone()), Just(words).prop_shuffle()))
}
