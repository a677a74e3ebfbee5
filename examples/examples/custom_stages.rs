//! Three published truncations, written outside the crate over the verbs of `Candidates`: they
//! get its passes, its tie rules and its trace like the built-in ones.
//!
//! ```text
//! cargo run --release -p taper-examples --example custom_stages
//! ```

use taper_sampling::*;

/// Top-a: keeps `p ≥ a·p_max²`. As `p_max = 1/Z` with weights relative to the best, that is a
/// floor under the scores: `s ≥ max + ln(a / Z)`.
#[derive(Debug)]
pub(crate) struct TopA(pub(crate) f64);

impl Stage for TopA {
    fn name(&self) -> &'static str {
        "top_a"
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<(), StageError> {
        let z = candidates.mass()?.as_f64();
        let floor = f64::from(candidates.max()?) + ln(self.0 / z);
        candidates.keep_from(floor as f32, Edge::Keep, 1)
    }
}

/// P-less (arXiv 2509.23234): keeps `p ≥ Σ p²`, the chance that two draws agree. No parameter, and
/// never empty, since `p_max ≥ Σ p²`.
#[derive(Debug)]
pub(crate) struct PLess;

impl Stage for PLess {
    fn name(&self) -> &'static str {
        "p_less"
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<(), StageError> {
        let share = candidates.mass_by(|w| w * w)?.share_of(candidates.mass()?);
        let floor = f64::from(candidates.max()?) + ln(share);
        candidates.keep_from(floor as f32, Edge::Keep, 1)
    }
}

/// Tail-free: cuts where the sorted probabilities stop curving, at the share `z` of the summed
/// absolute second differences. Sorts what it is given, so put a cut before it.
#[derive(Debug)]
pub(crate) struct TailFree(pub(crate) f32);

impl Stage for TailFree {
    fn name(&self) -> &'static str {
        "tail_free"
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<(), StageError> {
        let max = candidates.max()?;
        let (listed, sorted) = candidates.scratch();
        sorted.extend(listed.map(|(_, score)| weight(max - score)));
        sorted.sort_unstable_by(|a, b| b.total_cmp(a));
        let bend = |w: &[f32]| ((w[0] - w[1]) - (w[1] - w[2])).abs();
        let total: f32 = sorted.windows(3).map(bend).sum();
        let mut running = 0.0;
        let kept = sorted.windows(3).take_while(|w| {
            running += bend(w);
            running <= self.0 * total
        });
        let kept = kept.count().max(1);
        if total > 0.0 { candidates.keep_top(kept, TiePolicy::LowestId) } else { Ok(()) }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let logits: Vec<f32> = (0..1000_u16).map(|i| 9.0 - 2.0 * f32::from(i + 1).ln()).collect();
    let mut workspace = Workspace::new(logits.len());
    let step = Step::new(DrawKey::new(7)).ask(Ask::everything());

    let custom: [(&str, Box<dyn Stage>); 3] = [
        ("top-a 0.2", Box::new(TopA(0.2))),
        ("p-less", Box::new(PLess)),
        ("tail-free 0.95", Box::new(TailFree(0.95))),
    ];
    println!("{:<15} {:>6} {:>6} {:>12}  token", "stage", "before", "after", "removed mass");
    for (label, stage) in custom {
        let mut pipeline = Pipeline::draw().then(TopK::new(100)?);
        pipeline.push(stage);
        let chosen = pipeline.select(&logits, &step, &mut workspace)?;
        for entry in chosen.trace.expect("asked for").stages().iter().skip(1) {
            let (before, after) = (entry.before, entry.after);
            let removed = 100.0 * entry.removed_mass.expect("the row has a mass");
            println!("{label:<15} {before:>6} {after:>6} {removed:>10.1} %  {}", chosen.token);
        }
    }
    Ok(())
}
