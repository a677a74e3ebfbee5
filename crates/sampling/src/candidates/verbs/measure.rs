//! The verbs that measure the set: its leaders, its mean, its spread, where a probability lies.

use crate::candidates::Candidates;
use crate::candidates::buffers::Buffers;
use crate::candidates::known::Chunks;
use crate::candidates::scores::Form;
use crate::error::StageError;
use crate::kernels::exp;
use crate::kernels::rows::{self, moments, visits};
use crate::kernels::select::order::{key, value_of};

impl Candidates<'_> {
    /// The score of the `k`-th of the order, of the last if there are fewer.
    ///
    /// # Errors
    ///
    /// [`StageError::Empty`] for `k = 0`, and as [`Candidates::max`].
    pub fn kth(&mut self, k: usize) -> Result<f32, StageError> {
        let best = self.best()?;
        match k.min(self.len()) {
            0 => Err(StageError::Empty),
            1 => Ok(best.score),
            k => {
                let value = self.kth_value(k).nth().value;
                Ok(self.score_of(value))
            }
        }
    }

    /// The `n` best scores, best first; all of them if there are fewer. Sorts `n` numbers: meant
    /// for a rule that looks at a hundred or so.
    ///
    /// # Errors
    ///
    /// As [`Candidates::max`].
    pub fn leading(&mut self, n: usize) -> Result<&[f32], StageError> {
        self.best()?;
        let n = n.min(self.len());
        let value = if n == 0 { f32::INFINITY } else { self.kth_value(n).nth().value };
        let divisor = self.divisor;
        let Buffers { values, block_max, spare, .. } = &mut *self.buffers;
        let values = self.form.of(self.row, values);
        let blocks = self.known.blocks.then_some(block_max.as_slice());
        spare.clear();
        // What is above the n-th, then its equals for the rest: a row of ties stays short.
        visits::visit_from(values, blocks, value, |_, other| {
            if other > value {
                spare.push(other / divisor);
            }
        });
        spare.sort_unstable_by(|a, b| b.total_cmp(a));
        spare.resize(n, value / divisor);
        Ok(spare)
    }

    /// The lowest score whose probability, rounded to `f32`, is at least `p`; +∞ if no score has
    /// that. Engines compare probabilities in `f32`, so that equality is met where they meet it.
    ///
    /// # Errors
    ///
    /// As [`Candidates::max`].
    pub fn score_at(&mut self, p: f32) -> Result<f32, StageError> {
        let best = f64::from(self.best()?.score);
        let total = self.mass()?.as_f64();
        let reaches = |score: f32| (exp(f64::from(score) - best) / total) as f32 >= p;
        let (mut low, mut high) = (key(f32::NEG_INFINITY), key(best as f32));
        if !reaches(best as f32) {
            return Ok(f32::INFINITY);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if reaches(value_of(middle)) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(value_of(low))
    }

    /// The mean of the scores under their own probabilities: `log_norm` less the entropy.
    ///
    /// # Errors
    ///
    /// As [`Candidates::max`].
    pub fn mean_score(&mut self) -> Result<f64, StageError> {
        let best = self.best()?;
        let gaps = self.gaps(best);
        let Buffers { values, weights, .. } = &mut *self.buffers;
        let values = self.form.of(self.row, values);
        // Whoever asks for the mean goes on to a cut by mass around it, which wants the weights.
        let (mass, spread) = rows::mass_and_spread(values, gaps, weights);
        self.known.weighed(mass, Chunks::Unknown);
        self.known.weights = true;
        Ok(f64::from(best.score) - spread.share_of(mass))
    }

    /// The standard deviation of the scores as numbers, each counted once, banned ones not at all;
    /// of the population, that is divided by their number.
    ///
    /// # Errors
    ///
    /// As [`Candidates::max`].
    pub fn deviation(&mut self) -> Result<f64, StageError> {
        let best = self.best()?;
        let gaps = self.gaps(best);
        let moments = if self.form == Form::List {
            moments::of_list(&self.buffers.ids, &self.buffers.values, gaps)
        } else {
            moments::of_row(self.values(), gaps)
        };
        Ok(moments.deviation())
    }
}
