//! Waiting for a condition: the one place where anything polls, with a deadline that says what was last seen.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep, timeout_at};

/// Far more than anything here takes: it only has to end a test that would otherwise never end.
pub const DEADLINE: Duration = Duration::from_secs(90);

pub(crate) const INTERVAL: Duration = Duration::from_millis(50);

/// Polls `probe` until it returns `Ok`; `Err` is what was seen instead, and is quoted when [`DEADLINE`]
/// passes.
pub async fn until<T, E: Display>(what: &str, probe: impl AsyncFnMut() -> Result<T, E>) -> Result<T> {
    until_within(DEADLINE, what, probe).await
}

/// As [`until`], with a deadline of the caller's.
///
/// A probe that hangs is given up at the deadline too.
pub async fn until_within<T, E: Display>(
    deadline: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    let mut seen = "nothing: the first probe did not return".to_owned();
    loop {
        match timeout_at(end, probe()).await {
            Ok(Ok(value)) => return Ok(value),
            // Alternate form: the whole chain when it is an `anyhow::Error`.
            Ok(Err(error)) => seen = format!("{error:#}"),
            Err(_) => {}
        }
        if Instant::now() + INTERVAL >= end {
            bail!("waited {deadline:?} for {what}; last seen: {seen}");
        }
        sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tells_what_was_last_seen() {
        let mut count = 0;
        let error = until_within(Duration::from_millis(120), "the moon", async || {
            count += 1;
            Err::<(), _>(format!("{count} clouds"))
        })
        .await
        .unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("waited 120ms for the moon; last seen: "), "{text}");
        assert!(text.ends_with(" clouds"), "{text}");
    }

    #[tokio::test]
    async fn returns_the_value() {
        let mut count = 0;
        let value = until("three", async || {
            count += 1;
            if count == 3 { Ok(count) } else { Err(count) }
        })
        .await;
        assert_eq!(value.unwrap(), 3);
    }
}
