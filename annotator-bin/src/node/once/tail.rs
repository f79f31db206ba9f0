//! What a command has printed last.

use std::collections::VecDeque;

/// As much of the output as is kept.
const KEPT_BYTES: usize = 4096;

/// As much of it as is told, which leaves room for what happened.
const TOLD_BYTES: usize = 320;

/// As many lines as are told.
const TOLD_LINES: usize = 5;

/// The end of an output.
#[derive(Debug, Default)]
pub(super) struct Tail(VecDeque<u8>);

impl Tail {
    /// Takes in what was printed.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        let excess = self.0.len().saturating_sub(KEPT_BYTES);
        self.0.drain(..excess);
    }

    /// The last lines, one after the other; nothing if there are none.
    pub(super) fn text(&mut self) -> String {
        let text = String::from_utf8_lossy(self.0.make_contiguous()).into_owned();
        let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(TOLD_LINES)..].join(" | ");
        match last.len().checked_sub(TOLD_BYTES) {
            None | Some(0) => last,
            Some(excess) => format!("…{}", &last[last.ceil_char_boundary(excess)..]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_told_whatever_was_before_it() {
        let mut tail = Tail::default();
        assert_eq!(tail.text(), "");
        tail.push(b"one\n\n  two\n");
        assert_eq!(tail.text(), "one | two");
        tail.push(&[b'x'; 10_000]);
        tail.push("\nthe disk is full: \u{e4}\n".as_bytes());
        let text = tail.text();
        assert!(text.ends_with("xx | the disk is full: ä") && text.starts_with('…'), "{text}");
        assert!(text.len() <= TOLD_BYTES + '…'.len_utf8());
        let mut tail = Tail::default();
        (0..10).for_each(|line| tail.push(format!("{line}\n").as_bytes()));
        assert_eq!(tail.text(), "5 | 6 | 7 | 8 | 9");
        let mut tail = Tail::default();
        tail.push("ä".repeat(3000).as_bytes());
        tail.push(b"\xff\xfe");
        assert!(tail.text().starts_with('…'));
    }
}
