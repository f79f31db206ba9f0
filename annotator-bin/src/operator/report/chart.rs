//! Bars of a chart, as SVG whose attributes carry everything: no style sheet is needed for them.

use maud::{Markup, html};

/// How wide a bar of everything is.
const WIDTH: usize = 200;
const HEIGHT: usize = 12;

/// What is not filled.
const TRACK: &str = "#8886";

/// The colour of bars that tell how many.
pub(super) const PLAIN: &str = "#4a7fd0";

/// The colour of bars that tell of how many nothing is known.
pub(super) const UNKNOWN: &str = "#8a94a3";

/// One bar of parts, each with its number and colour, beside what is missing to the whole.
pub(super) fn bar(parts: &[(usize, &str)], whole: usize) -> Markup {
    let mut start = 0;
    let mut rectangles = Vec::new();
    for (count, colour) in parts.iter().filter(|(count, _)| *count > 0) {
        // What is there can be seen, however little it is.
        let width = (count * WIDTH / whole.max(1)).clamp(2, WIDTH);
        let from = start.min(WIDTH - 2);
        rectangles.push((from, width.min(WIDTH - from), colour));
        start += width;
    }
    let told = parts.iter().map(|(count, _)| count.to_string()).collect::<Vec<_>>().join(", ");
    html! {
        svg width=(WIDTH) height=(HEIGHT) viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img"
            aria-label={ (told) " of " (whole) } {
            rect width=(WIDTH) height=(HEIGHT) rx="2" fill=(TRACK) {}
            @for (x, width, colour) in rectangles {
                rect x=(x) width=(width) height=(HEIGHT) rx="2" fill=(colour) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stay_within_the_whole_and_the_least_is_seen() {
        let widths = |parts: &[(usize, &str)], whole| -> Vec<usize> {
            let text = bar(parts, whole).into_string();
            let ends = text.match_indices("<rect x=\"").map(|(at, start)| &text[at + start.len()..]);
            let number = |text: &str| text.split('"').next().unwrap().parse::<usize>().unwrap();
            ends.map(|rest| number(rest) + number(rest.split("width=\"").nth(1).unwrap())).collect()
        };
        assert_eq!(widths(&[(1, "a"), (0, "b"), (1, "c")], 2), [100, 200]);
        assert_eq!(widths(&[(1, "a")], 5000), [2]);
        assert_eq!(widths(&[(4999, "a"), (1, "b")], 5000), [199, 200]);
        assert_eq!(widths(&[(0, "a")], 0), [0; 0]);
        assert_eq!(widths(&[(5000, "a"), (1, "b")], 5000), [200, 200]);
    }
}
