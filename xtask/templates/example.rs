//! `example-name`: what it observes, and what tells two nodes apart by it.

use node_annotator_core::{
    Collect, CollectError, Collected, Collector, Context, Fact, Facts, Stability, Topic, register,
};

const PRIMARY: Fact =
    Fact::primary("what the value is, with its shape and unit", "example", Stability::PerBoot);

const PATH: &str = "/sys/kernel/example";

/// The collector.
pub static EXAMPLE_NAME: Collector = Collector::new(
    "example-name",
    Topic::System,
    "What is collected, in one line",
    &[PRIMARY],
    Collect::Blocking(collect),
)
.reads(&[PATH])
.not_applicable("where there is no `/sys/kernel/example`");

register!(EXAMPLE_NAME);

fn collect(cx: &Context) -> Result<Collected, CollectError> {
    Ok(match cx.host.line(PATH)? {
        Some(line) => Facts::new(parse(&line)).into(),
        None => Collected::not_applicable("there is no `/sys/kernel/example`"),
    })
}

/// Apart from reading, so that it can be tested on any text.
fn parse(line: &str) -> &str {
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_value() {
        assert_eq!(parse("example"), "example");
    }
}
