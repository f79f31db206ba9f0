//! Logs on stderr, for people or as JSON lines.

use std::io::{self, IsTerminal};
use std::panic;

use clap::ValueEnum;
use tracing::{Level, error};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// The shape of a log line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    /// One line of text for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogLevel {
    /// Failures that end the run.
    Error,
    /// Events that an operator should look at.
    Warn,
    /// Events.
    Info,
    /// How they came about.
    Debug,
    /// Everything, other libraries' logs included. Bodies of metadata services never.
    Trace,
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

/// Libraries whose logs are shown at `trace` alone, since our own messages tell the same. Collectors are not
/// among them.
const LIBRARIES: [&str; 7] = ["hickory", "hyper", "kube", "mio", "rustls", "tokio", "tower"];

/// Starts logging, and logs panics. A collector's panic is its outcome, and the hook of the standard library
/// would print it as loose text.
pub(crate) fn start(format: LogFormat, level: LogLevel) {
    let ours = Level::from(level);
    let others = if matches!(level, LogLevel::Trace) { LevelFilter::TRACE } else { LevelFilter::OFF };
    let filter = Targets::new().with_default(ours).with_targets(LIBRARIES.map(|library| (library, others)));
    let lines = fmt::layer().with_writer(io::stderr).with_target(false);
    let layer = match format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.with_ansi(use_color()).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
    panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("no message");
        error!(location, "panicked: {message}");
    }));
}

/// Color for terminals, unless `NO_COLOR` says otherwise.
fn use_color() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
