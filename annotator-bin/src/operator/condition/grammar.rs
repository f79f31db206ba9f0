//! The grammar of a condition.
//!
//! ```text
//! condition  = all { ( "or" | "||" ) all }
//! all        = one { ( "and" | "&&" ) one }
//! one        = ( "not" | "!" ) one | "(" condition ")" | comparison
//! comparison = key [ operator value | "in" "(" value { "," value } ")" ]
//! operator   = "==" | "=" | "!=" | "<=" | "<" | ">=" | ">" | "contains"
//! key        = letters, digits, "." "-" "_" "/"
//! value      = 'text' | "text" | text without spaces, quotes, brackets and operators;
//!              in a list, without commas
//! ```

use node_annotator_core::{Kind, Registry};
use winnow::ascii::multispace0;
use winnow::combinator::{alt, cut_err, delimited, not, opt, preceded, separated, terminated};
use winnow::error::ContextError;
use winnow::prelude::*;
use winnow::token::{take_till, take_while};

use super::{Condition, Key, Operator, value};

/// Longer ones are refused.
const MAX_BYTES: usize = 4096;

/// More brackets and negations are refused: they nest, and the parser with them.
const MAX_NESTED: usize = 64;

pub(super) fn parse(text: &str, registry: &Registry) -> Result<Condition, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("it is longer than {MAX_BYTES} bytes"));
    }
    let negations = text.split_whitespace().filter(|word| *word == "not").count();
    if negations + text.matches(['(', '!']).count() > MAX_NESTED {
        return Err(format!("it has more than {MAX_NESTED} brackets and negations"));
    }
    let read = terminated(any, multispace0).parse(text).map_err(|error| {
        let (before, rest) = text.split_at(text.floor_char_boundary(error.offset()));
        let next = rest.split_whitespace().next();
        let next = next.map_or_else(|| "the end".to_owned(), |word| format!("`{word}`"));
        format!(
            "at column {}, before {next}: a comparison is expected, such as `kernel.major < 6`, with `and`, `or`, `not` and brackets \
             between them",
            before.chars().count() + 1
        )
    })?;
    typed(read, registry)
}

fn any(input: &mut &str) -> ModalResult<Condition> {
    let conditions: Vec<_> = separated(1.., all, alt((symbol("||"), word("or")))).parse_next(input)?;
    Ok(one_or(conditions, Condition::Any))
}

fn all(input: &mut &str) -> ModalResult<Condition> {
    let conditions: Vec<_> = separated(1.., one, alt((symbol("&&"), word("and")))).parse_next(input)?;
    Ok(one_or(conditions, Condition::All))
}

fn one(input: &mut &str) -> ModalResult<Condition> {
    let negation = alt(((symbol("!"), not('=')).void(), word("not")));
    alt((
        preceded(negation, cut_err(one)).map(|condition| Condition::Not(Box::new(condition))),
        delimited(symbol("("), cut_err(any), cut_err(symbol(")"))),
        comparison,
    ))
    .parse_next(input)
}

fn one_or(mut conditions: Vec<Condition>, several: fn(Vec<Condition>) -> Condition) -> Condition {
    if conditions.len() == 1 { conditions.remove(0) } else { several(conditions) }
}

fn comparison(input: &mut &str) -> ModalResult<Condition> {
    let key = key.map(|key| Key::Fact(key.to_owned(), None)).parse_next(input)?;
    if opt(word("in")).parse_next(input)?.is_some() {
        let values = delimited(symbol("("), separated(1.., literal(","), symbol(",")), symbol(")"));
        return cut_err(values).map(|values| Condition::In(key.clone(), values)).parse_next(input);
    }
    match opt(operator).parse_next(input)? {
        None => Ok(Condition::Has(key)),
        Some(operator) => {
            let value = cut_err(literal("")).parse_next(input)?;
            Ok(Condition::Compare(key, operator, value))
        }
    }
}

fn operator(input: &mut &str) -> ModalResult<Operator> {
    alt((
        symbol("==").value(Operator::Equal),
        symbol("=").value(Operator::Equal),
        symbol("!=").value(Operator::Unequal),
        symbol("<=").value(Operator::LessOrEqual),
        symbol("<").value(Operator::Less),
        symbol(">=").value(Operator::GreaterOrEqual),
        symbol(">").value(Operator::Greater),
        word("contains").value(Operator::Contains),
    ))
    .parse_next(input)
}

const KEYWORDS: [&str; 5] = ["and", "or", "not", "in", "contains"];

fn key<'a>(input: &mut &'a str) -> ModalResult<&'a str> {
    preceded(multispace0, take_while(1.., is_key)).verify(|text| !KEYWORDS.contains(&text)).parse_next(input)
}

fn is_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/')
}

/// A value; without quotes it ends before what ends it here too.
fn literal<'a>(ends: &'static str) -> impl ModalParser<&'a str, String, ContextError> {
    let quoted = |quote: char| delimited(quote, take_till(0.., quote), quote);
    let bare = take_while(1.., move |c: char| {
        !c.is_whitespace()
            && !matches!(c, '\'' | '"' | '(' | ')' | '=' | '<' | '>' | '!' | '&' | '|')
            && !ends.contains(c)
    });
    preceded(multispace0, alt((quoted('\''), quoted('"'), bare))).map(str::to_owned)
}

/// Something that is no word, after any space.
fn symbol<'a>(text: &'static str) -> impl ModalParser<&'a str, (), ContextError> {
    (multispace0, text).void()
}

/// A word with an end, after any space.
fn word<'a>(text: &'static str) -> impl ModalParser<&'a str, (), ContextError> {
    (multispace0, text, not(take_while(1, is_key))).void()
}

/// The same with the kinds of its facts, which what they are compared with must be of.
fn typed(condition: Condition, registry: &Registry) -> Result<Condition, String> {
    let each = |conditions: Vec<_>| -> Result<Vec<_>, String> {
        conditions.into_iter().map(|condition| typed(condition, registry)).collect()
    };
    Ok(match condition {
        Condition::All(conditions) => Condition::All(each(conditions)?),
        Condition::Any(conditions) => Condition::Any(each(conditions)?),
        Condition::Not(condition) => Condition::Not(Box::new(typed(*condition, registry)?)),
        Condition::Has(key) => Condition::Has(Key::parse(key.as_str(), registry)?),
        Condition::In(key, values) => {
            let key = Key::parse(key.as_str(), registry)?;
            values.iter().try_for_each(|value| check(&key, Operator::Equal, value))?;
            Condition::In(key, values)
        }
        Condition::Compare(key, operator, value) => {
            let key = Key::parse(key.as_str(), registry)?;
            check(&key, operator, &value)?;
            Condition::Compare(key, operator, value)
        }
    })
}

fn check(key: &Key, operator: Operator, value: &str) -> Result<(), String> {
    use Operator::{Contains, Equal, Unequal};
    let Some(kind) = key.kind() else { return Ok(()) };
    let compares = match kind {
        Kind::Text | Kind::List => matches!(operator, Equal | Unequal | Contains),
        Kind::Flag => matches!(operator, Equal | Unequal),
        _ => operator != Contains,
    };
    if !compares {
        let article = if kind == Kind::Text || kind == Kind::Bytes { "" } else { "a " };
        let (key, operator) = (key.as_str(), operator.as_str());
        return Err(format!("`{key}` is {article}{kind}, which `{operator}` does not compare"));
    }
    // A part of a list or a text is none of its own kind.
    if operator == Contains || value::is_of(kind, value) {
        return Ok(());
    }
    Err(format!("`{value}` is no {kind}, as `{}` is", key.as_str()))
}

#[cfg(test)]
mod tests {
    use node_annotator_collectors as _;
    use proptest::prelude::*;

    use super::*;

    /// Written out, with as many brackets as there can be.
    fn written(condition: &Condition) -> String {
        let joined = |conditions: &[Condition], between: &str| {
            let each = conditions.iter().map(|condition| format!("({})", written(condition)));
            each.collect::<Vec<_>>().join(between)
        };
        match condition {
            Condition::All(conditions) => joined(conditions, " and "),
            Condition::Any(conditions) => joined(conditions, "||"),
            Condition::Not(condition) => format!("!({})", written(condition)),
            Condition::Has(key) => key.as_str().to_owned(),
            Condition::In(key, values) => {
                let values = values.iter().map(|value| format!("'{value}'")).collect::<Vec<_>>();
                format!("{} in ({})", key.as_str(), values.join(", "))
            }
            Condition::Compare(key, operator, value) => {
                format!("{} {} \"{value}\"", key.as_str(), operator.as_str())
            }
        }
    }

    fn conditions() -> impl Strategy<Value = Condition> {
        let key = || {
            prop_oneof![
                "site-[a-z]{1,3}(\\.[a-z]{1,3})?".prop_map(|text| Key::Fact(text, None)),
                "[a-z]{1,3}\\.io/[a-z]{1,3}".prop_map(Key::Label),
            ]
        };
        let operator = proptest::sample::select(vec![
            Operator::Equal,
            Operator::Unequal,
            Operator::Less,
            Operator::LessOrEqual,
            Operator::Greater,
            Operator::GreaterOrEqual,
            Operator::Contains,
        ]);
        let leaf = prop_oneof![
            key().prop_map(Condition::Has),
            (key(), operator, "[^\"]{0,5}")
                .prop_map(|(key, operator, value)| Condition::Compare(key, operator, value)),
            (key(), proptest::collection::vec("[^']{0,4}", 1..3))
                .prop_map(|(key, values)| Condition::In(key, values)),
        ];
        leaf.prop_recursive(3, 8, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 2..4).prop_map(Condition::All),
                proptest::collection::vec(inner.clone(), 2..4).prop_map(Condition::Any),
                inner.prop_map(|condition| Condition::Not(Box::new(condition))),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(condition in conditions()) {
            let text = written(&condition);
            prop_assume!(text.len() <= MAX_BYTES && text.matches(['(', '!']).count() <= MAX_NESTED);
            let registry = Registry::from_inventory().unwrap();
            prop_assert_eq!(parse(&text, &registry).unwrap(), condition);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}|[a-z()!&|=<> '\",.]{0,40}") {
            let registry = Registry::from_inventory().unwrap();
            if let Err(error) = parse(&text, &registry) {
                prop_assert!(!error.is_empty());
            }
        }
    }

    #[test]
    fn brackets_nest_as_deep_as_there_is_room() {
        let registry = Registry::from_inventory().unwrap();
        let nested = |open: &str, close: &str| {
            parse(&format!("{}kernel{}", open.repeat(MAX_NESTED), close.repeat(MAX_NESTED)), &registry)
        };
        for (open, close) in [("(", ")"), ("!", ""), ("not ", "")] {
            assert!(nested(open, close).is_ok(), "{open}");
            assert!(nested(&format!("{open}{open}"), &format!("{close}{close}")).is_err(), "{open}");
        }
        assert!(parse(&"(".repeat(MAX_NESTED), &registry).is_err());
        assert!(parse(&" ".repeat(MAX_BYTES + 1), &registry).is_err());
    }
}
