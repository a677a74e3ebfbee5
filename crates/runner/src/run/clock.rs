//! How long the parts of a run took.

use std::time::{Duration, Instant};

use crate::outcome::Timing;

#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// When the run began; `None` before the prompt's pass.
    pub(crate) started: Option<Instant>,
    pub(crate) prefill: Duration,
    pub(crate) decode: Duration,
    pub(crate) sampler: Duration,
    /// Tokens that took a pass of their own.
    pub(crate) decoded: usize,
    pub(crate) failed: bool,
}

impl Clock {
    /// Whether so many seconds have passed since the run began.
    pub(crate) fn is_over(&self, seconds: f64) -> bool {
        self.started.is_some_and(|began| began.elapsed().as_secs_f64() >= seconds)
    }

    pub(crate) fn timing(&self) -> Timing {
        let busy = (self.decode + self.sampler).as_secs_f64();
        Timing {
            load_s: None,
            prefill_s: self.prefill.as_secs_f64(),
            decode_s: self.decode.as_secs_f64(),
            sampler_s: self.sampler.as_secs_f64(),
            tokens_per_s: (self.decoded > 0 && busy > 0.0).then(|| self.decoded as f64 / busy),
        }
    }
}
