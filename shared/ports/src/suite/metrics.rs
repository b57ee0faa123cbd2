//! What everybody who measures must do.

use longshore_events::{Measure, Percentile};

use crate::{ErrorKind, Measured, Metrics, Question, Window};

/// Somebody who measures, and releases of which it is known what they did.
pub struct Bench<M> {
    /// Who measures.
    pub metrics: M,
    /// A release that got requests within `window`.
    pub good: Known,
    /// Another one of the same workload, which got requests at the same time.
    pub bad: Known,
    /// A release that got none. Its measure and window are replaced.
    pub idle: Question,
    /// All requests lie within it.
    pub window: Window,
    /// One in which neither got any.
    pub before: Window,
    /// By how much of it a value may differ from the truth: 0.1 is a tenth.
    pub tolerance: f64,
    /// What cannot be measured here at all: saturation, by some; latency, where the peer of the test knows no percentiles.
    pub not_measured: Vec<Measure>,
}

/// A release, and what it did.
pub struct Known {
    /// Its measure and window are replaced.
    pub ask: Question,
    /// How many requests it got.
    pub requests: u64,
    /// How many of them failed.
    pub errors: u64,
    /// The least and the most that its requests took, in milliseconds.
    pub took_ms: (f64, f64),
}

/// Runs every test of the suite on one bench: nothing is changed.
pub async fn run<M: Metrics>(bench: &Bench<M>) {
    what_it_did_is_measured(bench).await;
    what_nothing_was_measured_of_is_unknown_and_never_zero(bench).await;
    an_expression_that_nobody_can_read_has_no_value(bench).await;
}

fn median() -> Measure {
    Measure::Latency(Percentile::new(5_000).expect("it is one"))
}

fn all() -> [Measure; 5] {
    let most = Measure::Latency(Percentile::new(9_900).expect("it is one"));
    [Measure::Requests, Measure::ErrorRate, median(), most, Measure::Saturation]
}

async fn ask<M: Metrics>(bench: &Bench<M>, ask: &Question, measure: Measure, window: Window) -> Measured {
    let question = Question { measure, window, ..ask.clone() };
    let answer = bench.metrics.measure(&question).await;
    answer.unwrap_or_else(|error| panic!("{question:?}: {error}"))
}

async fn what_it_did_is_measured<M: Metrics>(bench: &Bench<M>) {
    for known in [&bench.good, &bench.bad] {
        let value = async |measure: Measure| match ask(bench, &known.ask, measure.clone(), bench.window).await
        {
            Measured::Value { value, samples } => (value.get(), samples),
            unknown @ Measured::Unknown { .. } => panic!("{measure} of {:?}: {unknown:?}", known.ask),
        };
        let near = |is: f64, truth: f64| (is - truth).abs() <= truth * bench.tolerance;
        #[expect(clippy::cast_precision_loss, reason = "a test makes few requests")]
        let (requests, errors) = (known.requests as f64, known.errors as f64);
        let (counted, samples) = value(Measure::Requests).await;
        assert!(near(counted, requests), "{counted} requests, of {requests}");
        #[expect(clippy::cast_precision_loss, reason = "a test makes few requests")]
        let samples = samples as f64;
        assert!(near(samples, requests), "{samples} samples, of {requests}");
        let (rate, _) = value(Measure::ErrorRate).await;
        assert!(near(rate, 100.0 * errors / requests), "{rate} % of {errors} in {requests}");
        let (least, most) = known.took_ms;
        if bench.not_measured.contains(&median()) {
            continue;
        }
        let (took, _) = value(median()).await;
        let (low, high) = (least * (1.0 - bench.tolerance), most * (1.0 + bench.tolerance));
        assert!((low..=high).contains(&took), "{took} ms, of {least} to {most}");
        assert_eq!(value(median()).await.0.total_cmp(&took), std::cmp::Ordering::Equal, "asked twice");
    }
}

async fn what_nothing_was_measured_of_is_unknown_and_never_zero<M: Metrics>(bench: &Bench<M>) {
    for measure in all().into_iter().filter(|measure| !bench.not_measured.contains(measure)) {
        let cases = [(&bench.idle, bench.window), (&bench.good.ask, bench.before)];
        for (question, window) in cases {
            // A process that is idle may be measured all the same.
            if measure == Measure::Saturation && window == bench.window {
                continue;
            }
            match ask(bench, question, measure.clone(), window).await {
                Measured::Unknown { why, .. } => assert!(!why.is_empty() && !why.contains('\n'), "{why:?}"),
                value @ Measured::Value { .. } => panic!("{measure} of what got nothing: {value:?}"),
            }
        }
    }
    for measure in &bench.not_measured {
        let question = Question { measure: measure.clone(), window: bench.window, ..bench.good.ask.clone() };
        let answer = bench.metrics.measure(&question).await;
        let never = answer.as_ref().is_err_and(|error| error.kind == ErrorKind::Invalid);
        assert!(never || matches!(answer, Ok(Measured::Unknown { .. })), "{measure}: {answer:?}");
    }
}

async fn an_expression_that_nobody_can_read_has_no_value<M: Metrics>(bench: &Bench<M>) {
    let measure = Measure::Expression("(((".into());
    let question = Question { measure, window: bench.window, ..bench.good.ask.clone() };
    match bench.metrics.measure(&question).await {
        Ok(Measured::Unknown { .. }) => {}
        Ok(value) => panic!("nobody can read it: {value:?}"),
        Err(error) => assert!(error.kind == ErrorKind::Invalid && !error.is_temporary(), "{error}"),
    }
}
