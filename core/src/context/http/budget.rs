//! The time for all requests of one collector, and trying again within it.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::{Instant, sleep};

use super::{HttpClient, HttpError, HttpRequest, HttpResponse};

/// How often a request is tried again, and how long before the first time.
const RETRIES: usize = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The time for all requests of one collector.
///
/// A collector that asks for several documents tries each again by itself: to begin anew with all of them,
/// as the runner does, would ask for what is known, and one document that is missing would take the others
/// away.
#[derive(Debug, Clone, Copy)]
pub struct HttpBudget {
    end: Instant,
}

impl HttpBudget {
    /// A budget that begins now.
    pub fn of(time: Duration) -> Self {
        Self { end: Instant::now() + time }
    }

    /// Sends a request, and again where that may help: there was no answer, or one with status 429 or 5xx.
    /// Waits as long as `Retry-After` asks for, if there is time for it.
    pub async fn send(
        &self,
        client: &dyn HttpClient,
        request: HttpRequest,
    ) -> Result<HttpResponse, HttpError> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_times(RETRIES)
            .with_jitter()
            .build();
        loop {
            let left = self.end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(HttpError::Timeout);
            }
            let timeout = request.timeout.min(left);
            let answer = client.send(HttpRequest { timeout, ..request.clone() }).await;
            let asked_for = match &answer {
                Ok(response) if response.is_passing() => retry_after(response),
                Err(error) if error.is_retryable() => None,
                _ => return answer,
            };
            let Some(pause) = pauses.next() else { return answer };
            let pause = asked_for.map_or(pause, |asked_for| asked_for.max(pause));
            // This answer is worth more than the end of the time.
            if Instant::now() + pause >= self.end {
                return answer;
            }
            sleep(pause).await;
        }
    }
}

/// The seconds of `Retry-After`. A date is not read: the clock of a node that starts may be wrong.
fn retry_after(response: &HttpResponse) -> Option<Duration> {
    // A number too large for the addition to a point in time is as good as for ever.
    let seconds: u32 = response.header("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::BoxFuture;

    /// Answers in order, and notes when it was asked, and how long it was to take.
    #[derive(Debug)]
    struct Script {
        answers: Mutex<Vec<Option<HttpResponse>>>,
        asked: Mutex<Vec<(Duration, Duration)>>,
        began: Instant,
    }

    impl Script {
        fn of(answers: impl IntoIterator<Item = Option<HttpResponse>>) -> Self {
            let mut answers: Vec<_> = answers.into_iter().collect();
            answers.reverse();
            Self { answers: Mutex::new(answers), asked: Mutex::default(), began: Instant::now() }
        }

        fn asked(&self) -> Vec<(Duration, Duration)> {
            self.asked.lock().unwrap().clone()
        }
    }

    impl HttpClient for Script {
        fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
            self.asked.lock().unwrap().push((self.began.elapsed(), request.timeout));
            let answer = self.answers.lock().unwrap().pop().flatten();
            Box::pin(async move {
                if let Some(answer) = answer {
                    return Ok(answer);
                }
                sleep(request.timeout).await;
                Err(HttpError::Timeout)
            })
        }
    }

    const BUDGET: Duration = Duration::from_secs(12);

    async fn status(script: &Script) -> Option<u16> {
        let answer = HttpBudget::of(BUDGET).send(script, HttpRequest::get("http://127.0.0.1/")).await;
        answer.ok().map(|response| response.status)
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_again() {
        for passing in [429, 500, 503] {
            let script =
                Script::of([None, Some(HttpResponse::new(passing, "")), Some(HttpResponse::new(200, ""))]);
            assert_eq!((status(&script).await, script.asked().len()), (Some(200), 3));
            let script = Script::of((0..9).map(|_| Some(HttpResponse::new(passing, ""))));
            assert_eq!((status(&script).await, script.asked().len()), (Some(passing), 4));
        }
        for lasting in [200, 204, 301, 400, 401, 403, 404, 410] {
            let script = Script::of([Some(HttpResponse::new(lasting, ""))]);
            assert_eq!((status(&script).await, script.asked().len()), (Some(lasting), 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_is_kept_to_within_the_budget() {
        let busy = |after: &str| Some(HttpResponse::new(429, "").with_header("Retry-After", after));
        let script = Script::of([busy("5"), Some(HttpResponse::new(200, ""))]);
        assert_eq!(status(&script).await, Some(200));
        assert!(script.asked()[1].0 >= Duration::from_secs(5));
        // Longer than there is time: the answer is that of the service, at once.
        for after in ["12", "4294967295"] {
            let script = Script::of([busy(after)]);
            assert_eq!((status(&script).await, script.began.elapsed()), (Some(429), Duration::ZERO));
        }
        // What is no number of seconds is as if it were not there.
        for after in ["", "-1", "Fri, 31 Dec 1999 23:59:59 GMT", "99999999999999999999"] {
            let script = Script::of([busy(after), Some(HttpResponse::new(200, ""))]);
            assert_eq!(status(&script).await, Some(200), "{after}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_ends_whatever_the_service_does() {
        let script = Script::of([]);
        let budget = HttpBudget::of(Duration::from_secs(4));
        let answer = budget.send(&script, HttpRequest::get("http://127.0.0.1/")).await;
        assert!(matches!(answer, Err(HttpError::Timeout)), "{answer:?}");
        assert!(script.began.elapsed() <= Duration::from_secs(4), "{:?}", script.began.elapsed());
        // The second try has what is left of the time, and a request after it is not sent.
        let asked = script.asked();
        assert_eq!((asked.len(), asked[0].1), (2, Duration::from_secs(3)));
        assert!(asked[1].1 < Duration::from_secs(1));
        let answer = budget.send(&script, HttpRequest::get("http://127.0.0.1/")).await;
        assert!(matches!(answer, Err(HttpError::Timeout)) && script.asked().len() == 2, "{answer:?}");
    }
}
