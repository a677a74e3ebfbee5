//! Mirostat, version 1: top-k with a `k` that follows the surprise of what was chosen.

use alloc::boxed::Box;

use super::Selector;
use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::kernels::ln;
use crate::kernels::special::pow;
use crate::sequence::Purpose;
use crate::sequence::{Accepted, Logged, StageMemory};
use crate::stage::StepContext;
use crate::ties::TiePolicy;

/// The candidates from which the slope of the distribution is estimated.
const LEADERS: usize = 100;

/// Keeps the best `k` candidates and draws among them, `k` such that the surprise of the token is
/// `τ` bits on average.
///
/// From the 100 best, `ŝ = Σ tᵢbᵢ / Σ tᵢ²` estimates the exponent of a Zipf distribution, with
/// `tᵢ = ln((i+1)/i)` and `bᵢ = sᵢ − sᵢ₊₁`; then, with `ε = ŝ − 1` and the vocabulary's size `V`,
/// `k = ⌊(ε · 2^μ / (1 − V^−ε))^(1/ŝ)⌋`, at least 1. After the token is accepted,
/// `μ ← μ − η · (−log₂ p − τ)`, where `p` is its probability among the `k`. At first `μ = 2τ`.
///
/// `μ` lives in the sequence's [`Memory`](crate::Memory), without which a step is refused. A token
/// that the caller chose itself leaves it as it is.
///
/// # Ties
///
/// Exactly `k` candidates stay, the lowest ids among equals.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused. A banned candidate among the best 100 makes the estimate infinite, and
/// `k = 1`; so does an estimate that is not a number.
///
/// # Differences
///
/// llama.cpp computes in single precision, and a `k` that does not fit its integer becomes 1; here
/// it keeps everything. It draws from its own generator.
///
/// # Complexity
///
/// A top-k of 100 and a sort of those, a top-k, and one pass of exponentials over what is left.
///
/// # Source
///
/// Basu et al., *Mirostat*, arXiv 2007.14966; llama.cpp `llama_sampler_mirostat`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mirostat {
    target: SurpriseTarget,
}

/// What both versions steer by: the surprise aimed at, and how fast `μ` follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SurpriseTarget {
    tau: f64,
    eta: f64,
}

/// `μ`, with what its next value depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Mu {
    mu: f64,
    target: SurpriseTarget,
}

impl SurpriseTarget {
    pub(super) fn new(tau: f64, eta: f64) -> Result<Self, SettingError> {
        let fits = |x: f64| x >= 0.0 && (x as f32) < f32::INFINITY;
        if !fits(tau) {
            return Err(
                SettingError::new("tau", tau, "at least 0 and finite").called("mirostat_tau")
            );
        }
        if !fits(eta) {
            return Err(
                SettingError::new("eta", eta, "at least 0 and finite").called("mirostat_eta")
            );
        }
        Ok(Self { tau: f64::from(tau as f32), eta: f64::from(eta as f32) })
    }

    pub(super) fn mu(step: &StepContext<'_>) -> Result<f64, StageError> {
        Ok(step.memory::<Logged<Mu>>()?.now().mu)
    }

    pub(super) fn settings(self, name: &str) -> Settings {
        let settings = Settings::new(name);
        settings.with("tau", self.tau as f32).with("eta", self.eta as f32)
    }

    pub(super) fn new_memory(self) -> Box<dyn StageMemory> {
        Box::new(Logged::new(Mu { mu: 2.0 * self.tau, target: self }, Mu::after))
    }
}

impl Mu {
    fn after(&self, accepted: &Accepted) -> Self {
        let Some(probability) = accepted.probability.filter(|&p| p > 0.0) else { return *self };
        let surprise = -ln(probability) * core::f64::consts::LOG2_E;
        let SurpriseTarget { tau, eta } = self.target;
        Self { mu: self.mu - eta * (surprise - tau), ..*self }
    }
}

impl Mirostat {
    /// Aims at `tau` bits of surprise with the learning rate `eta`, both rounded to `f32`.
    ///
    /// # Errors
    ///
    /// [`SettingError`] unless both are at least 0 and finite.
    pub fn new(tau: f64, eta: f64) -> Result<Self, SettingError> {
        Ok(Self { target: SurpriseTarget::new(tau, eta)? })
    }
}

impl Selector for Mirostat {
    fn name(&self) -> &'static str {
        "mirostat"
    }

    fn settings(&self) -> Option<Settings> {
        Some(self.target.settings(self.name()))
    }

    fn select(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<u32, StageError> {
        let vocab_size = candidates.vocab_size();
        let slope = zipf_exponent(candidates.leading(LEADERS)?);
        let k = zipf_rank(slope, SurpriseTarget::mu(step)?, vocab_size);
        candidates.keep_top(k, TiePolicy::LowestId)?;
        candidates.pick(step.draws().unit(Purpose::Select, 0))
    }

    fn truncates(&self) -> bool {
        true
    }

    fn new_memory(&self) -> Option<Box<dyn StageMemory>> {
        Some(self.target.new_memory())
    }
}

impl Described for Mirostat {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let (tau, eta) = (arguments.required("tau")?, arguments.required("eta")?);
        arguments.built(Self::new(tau, eta))
    }
}

/// The least-squares slope of the leaders' log-probabilities over the logarithm of their rank.
fn zipf_exponent(leaders: &[f32]) -> f64 {
    let (mut above, mut below) = (0.0, 0.0);
    for (i, pair) in leaders.windows(2).enumerate() {
        let t = ln((i + 2) as f64 / (i + 1) as f64);
        above += t * (f64::from(pair[0]) - f64::from(pair[1]));
        below += t * t;
    }
    above / below
}

/// How many tokens of a Zipf distribution over `vocab_size` have less than `mu` bits of surprise.
fn zipf_rank(slope: f64, mu: f64, vocab_size: usize) -> usize {
    let epsilon = slope - 1.0;
    let tail = 1.0 - pow(vocab_size as f64, -epsilon);
    let k = pow(epsilon * pow(2.0, mu) / tail, 1.0 / slope);
    // Not a number where the slope is: an infinite one, or one of exactly 1.
    if k >= 1.0 { k as usize } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zipf_distribution_has_the_exponent_it_was_made_with() {
        let scores: std::vec::Vec<f32> = (1..=100).map(|i| -1.3 * (i as f32).ln()).collect();
        assert!((zipf_exponent(&scores) - 1.3).abs() < 1e-6);
        // By hand: (0.3·2⁶ / (1 − 1000^−0.3))^(1/1.3) = 11.0…
        let by_hand = (0.3 * 64.0 / (1.0 - 1000_f64.powf(-0.3))).powf(1.0 / 1.3);
        assert_eq!(zipf_rank(1.3, 6.0, 1000), by_hand as usize);
    }

    #[test]
    fn what_gives_no_estimate_keeps_one() {
        assert_eq!(zipf_rank(zipf_exponent(&[1.0]), 9.0, 10), 1);
        assert_eq!(zipf_rank(zipf_exponent(&[1.0, f32::NEG_INFINITY]), 9.0, 10), 1);
        assert_eq!(zipf_rank(1.0, 9.0, 10), 1);
    }

    #[test]
    fn mu_follows_the_surprise() {
        let target = SurpriseTarget::new(3.0, 0.5).expect("in range");
        let mu = Mu { mu: 6.0, target };
        let accepted = |p| Accepted { token: 0, probability: p };
        assert_eq!(mu.after(&accepted(Some(0.125))).mu, 6.0);
        assert!((mu.after(&accepted(Some(0.5))).mu - 7.0).abs() < 1e-12);
        assert_eq!(mu.after(&accepted(None)), mu);
    }
}
