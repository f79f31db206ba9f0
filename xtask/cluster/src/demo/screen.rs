//! What the demo shows: lines on stdout, kept for a recording.

use std::cell::RefCell;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result};

pub(super) const HEADING: Style = AnsiColor::Cyan.on_default().bold();
const TIME: Style = Style::new().dimmed();
const FACT: Style = AnsiColor::Green.on_default();

/// Stdout, and everything that was written there.
#[derive(Debug)]
pub(super) struct Screen {
    started: Instant,
    shown: RefCell<String>,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), shown: RefCell::default() }
    }

    /// Begins a part.
    pub(super) fn heading(&self, text: &str) -> Result<()> {
        self.line("")?;
        self.line(&format!("{HEADING}== {text}{HEADING:#}"))
    }

    /// Tells something, with the seconds since the demo began.
    pub(super) fn note(&self, text: &str) -> Result<()> {
        self.timed(text, Style::new())
    }

    /// Tells of facts, which is what it is all about.
    pub(super) fn note_facts(&self, text: &str) -> Result<()> {
        self.timed(text, FACT)
    }

    /// Shows lines as they are. Without colours where they are not wanted: no terminal, `NO_COLOR`.
    pub(super) fn line(&self, text: &str) -> Result<()> {
        let mut shown = self.shown.borrow_mut();
        shown.push_str(text);
        shown.push('\n');
        writeln!(anstream::stdout(), "{text}").context("cannot write to stdout")
    }

    /// Writes everything that was shown as a picture.
    pub(super) fn record(&self, path: &Path) -> Result<()> {
        let picture = anstyle_svg::Term::new().render_svg(self.shown.borrow().trim());
        std::fs::write(path, picture).with_context(|| format!("cannot write `{}`", path.display()))
    }

    fn timed(&self, text: &str, style: Style) -> Result<()> {
        let seconds = self.started.elapsed().as_secs_f64();
        self.line(&format!("{TIME}{seconds:>6.1} s{TIME:#}  {style}{text}{style:#}"))
    }
}
