//! The verbs that look and change nothing.
//!
//! They take `&mut self` because what they find is kept for the next verb.

use alloc::vec::Vec;

use crate::candidates::Candidates;
use crate::candidates::buffers::Buffers;
use crate::candidates::known::{Best, Chunks, Known};
use crate::candidates::pending::{Pending, Split};
use crate::candidates::scores::Form;
use crate::error::StageError;
use crate::kernels::rows::{self, visits};
use crate::kernels::zones::Band;
use crate::kernels::{Mass, bands, exp, ln};
use crate::sequence::Purpose;
use crate::ties::{ArgmaxTies, TiePolicy};

/// What turns scores into log-probabilities (nats).
///
/// The best score and the logarithm of the mass are kept apart: added up, they would lose the mass
/// where scores are huge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normaliser {
    best: f64,
    log_mass: f64,
}

impl Normaliser {
    /// The normaliser of a row outside the candidates.
    pub(crate) fn of_mass(best: f32, mass: Mass) -> Self {
        Self { best: f64::from(best), log_mass: ln(mass.as_f64()) }
    }

    /// The natural logarithm of the sum of `exp(score)`: of use by itself, and rounded where scores are
    /// huge.
    pub fn log_norm(self) -> f64 {
        self.best + self.log_mass
    }

    /// The log-probability of a score; −∞ for a banned one.
    pub fn log_probability(self, score: f32) -> f64 {
        f64::from(score) - self.best - self.log_mass
    }
}

impl Candidates<'_> {
    /// The score of a token: −∞ when it is banned, `None` when it was removed or is no token.
    pub fn get(&self, id: u32) -> Option<f32> {
        self.slot_of(id).map(|slot| self.score_of(self.value_at(slot)))
    }

    /// Calls `visit(id, score)` for every listed token, ids ascending, banned ones included.
    pub fn for_each(&self, mut visit: impl FnMut(u32, f32)) {
        let mut over = self.over().iter().peekable();
        for (slot, &value) in self.values().iter().enumerate() {
            let edit = over.next_if(|edit| edit.0 as usize == slot);
            let value = edit.map_or(value, |edit| edit.1);
            if self.stays(slot, value) {
                visit(self.id_at(slot), self.score_of(value));
            }
        }
    }

    /// Writes the score of every token to `out`, −∞ for those that are not listed.
    pub(crate) fn scores_into(&self, out: &mut [f32]) {
        if self.form == Form::List || self.pending.is_some() {
            out.fill(f32::NEG_INFINITY);
            self.for_each(|id, score| out[id as usize] = score);
        } else {
            let divisor = self.divisor;
            rows::map_into(
                self.values(),
                #[inline(always)]
                move |value| value / divisor,
                out,
            );
            for &(slot, value) in self.over() {
                out[slot as usize] = value / divisor;
            }
        }
    }

    /// The best score.
    ///
    /// # Errors
    ///
    /// [`StageError::NotFinite`] if any listed score is NaN or +∞, [`StageError::AllMasked`] if
    /// all are −∞, [`StageError::Empty`] if there are none.
    pub fn max(&mut self) -> Result<f32, StageError> {
        self.top().map(|best| best.score)
    }

    /// How many tokens could be chosen: listed and not banned.
    pub fn eligible(&self) -> usize {
        let scored = self.lowest_value(|score| score > f32::NEG_INFINITY);
        let split = self.pending.map_or(Split::EVERYTHING, |pending| pending.split);
        self.count_in(split, scored)
    }

    /// How many slots a split keeps whose value is at least `floor`.
    pub(in crate::candidates) fn count_in(&self, split: Split, floor: f32) -> usize {
        let (head, tail) = self.values().split_at(split.at.min(self.values().len()));
        let count = |values, band: Band| visits::count_in(values, band.low.max(floor), band.high);
        let of_row = count(head, split.before) + count(tail, split.after);
        // A pending cut has no edits over it.
        let edits = self.over().iter().filter(|edit| edit.1 >= floor).count();
        let edited = self.over().iter().map(|edit| self.values()[edit.0 as usize]);
        of_row + edits - edited.filter(|&value| value >= floor).count()
    }

    /// The mass of all candidates, in units of the best one's weight.
    ///
    /// # Errors
    ///
    /// As [`Candidates::max`].
    pub fn mass(&mut self) -> Result<Mass, StageError> {
        let best = self.top()?;
        if let Some(mass) = self.known.mass {
            return Ok(mass);
        }
        self.lay_down();
        let gaps = self.gaps(best);
        let Buffers { values, chunk_mass, .. } = &mut *self.buffers;
        let values = self.form.of(self.row, values);
        chunk_mass.clear();
        let each = |mass| chunk_mass.push(mass);
        let mass = match self.pending {
            // Without a list of its survivors.
            Some(Pending { split: Split { at, before, after }, .. }) => {
                bands::chunk_masses_in(values, gaps, (at, before, after), each)
            }
            None => rows::chunk_masses(values, gaps, each),
        };
        let chunks = if self.form == Form::List { Chunks::OfSlots } else { Chunks::OfTokens };
        self.known.weighed(mass, chunks);
        Ok(mass)
    }

    /// The sum of `f(weight)` over all candidates, in the same unit, exact and independent of
    /// order like the mass itself. `f` takes a weight in `0..=1` to a number in `0..=1`; with
    /// `|w| w * w` and [`Mass::share_of`] it gives the collision probability.
    ///
    /// # Errors
    ///
    /// As [`Candidates::max`].
    pub fn mass_by(&mut self, f: impl Fn(f32) -> f32) -> Result<Mass, StageError> {
        let best = self.best()?;
        let gaps = self.gaps(best);
        Ok(rows::mass_of(self.values(), |value| f(gaps.weight_of(value)), |_| ()))
    }

    /// The weight of a score in the unit of [`Candidates::mass`]: `exp(score − best)`, 0 when
    /// banned.
    ///
    /// # Errors
    ///
    /// As [`Candidates::max`].
    pub fn weight(&mut self, score: f32) -> Result<f32, StageError> {
        Ok(crate::kernels::weight(self.top()?.score - score))
    }

    /// What turns scores into log-probabilities.
    ///
    /// # Errors
    ///
    /// As [`Candidates::max`].
    pub fn normaliser(&mut self) -> Result<Normaliser, StageError> {
        let best = f64::from(self.top()?.score);
        Ok(Normaliser { best, log_mass: ln(self.mass()?.as_f64()) })
    }

    /// The Shannon entropy in nats, at least 0. Banned tokens contribute nothing.
    ///
    /// # Errors
    ///
    /// As [`Candidates::max`].
    pub fn entropy(&mut self) -> Result<f64, StageError> {
        let best = self.best()?;
        let (mass, spread) = rows::mass_and_spread(self.values(), self.gaps(best), &mut []);
        self.known.weighed(mass, Chunks::Unknown);
        Ok(ln(mass.as_f64()) + spread.share_of(mass))
    }

    /// The probability of a token: its share of the mass; 0 when it is banned or removed.
    ///
    /// # Errors
    ///
    /// As [`Candidates::max`].
    pub fn probability(&mut self, id: u32) -> Result<f64, StageError> {
        let normaliser = self.normaliser()?;
        Ok(self.get(id).map_or(0.0, |score| exp(normaliser.log_probability(score))))
    }

    /// The place of a token in the order, from 1, equals by lower id; `None` when it is not
    /// listed.
    ///
    /// # Errors
    ///
    /// As [`Candidates::max`].
    pub fn rank(&mut self, id: u32) -> Result<Option<usize>, StageError> {
        self.best()?;
        let Some(slot) = self.slot_of(id) else { return Ok(None) };
        let values = self.values();
        Ok(Some(1 + visits::count_before(values, self.blocks(), slot, values[slot])))
    }

    /// The best token, the first of the order.
    ///
    /// # Errors
    ///
    /// As [`Candidates::max`], and [`StageError::Tie`] under [`ArgmaxTies::Error`].
    pub fn argmax(&mut self, ties: ArgmaxTies) -> Result<u32, StageError> {
        let best = self.top()?;
        if self.form == Form::Overlaid && ties == ArgmaxTies::LowestId {
            return self.first_overlaid(best).ok_or(StageError::Empty);
        }
        self.materialise();
        if ties == ArgmaxTies::LowestId {
            let first = visits::first_from(self.values(), self.blocks(), best.value);
            return first.map(|slot| self.id_at(slot)).ok_or(StageError::Empty);
        }
        let mut series = (ties == ArgmaxTies::Random).then(|| self.draws.series(Purpose::Tie));
        let (mut first, mut last, mut tied) = (None, 0, 0_usize);
        let mut lucky = (0, 0);
        visits::visit_from(self.values(), self.blocks(), best.value, |slot, _| {
            let id = self.id_at(slot);
            first.get_or_insert(id);
            last = id;
            tied += 1;
            if let Some(series) = &mut series {
                lucky = lucky.max((series.bits(u64::from(id)), id));
            }
        });
        match ties {
            ArgmaxTies::Error if tied > 1 => {
                Err(StageError::Tie { score: best.score, tied, room: 1 })
            }
            ArgmaxTies::LowestId | ArgmaxTies::Error => first.ok_or(StageError::Empty),
            ArgmaxTies::HighestId => Ok(last),
            ArgmaxTies::Random => Ok(lucky.1),
        }
    }

    /// Fills `out` with the `n` best tokens and their log-probabilities, best first, equals by
    /// lower id. Only for candidates that no verb has changed yet: they are listed again after.
    pub(crate) fn untouched_top(
        &mut self,
        n: usize,
        out: &mut Vec<(u32, f64)>,
    ) -> Result<(), StageError> {
        out.clear();
        if n == 0 {
            return Ok(());
        }
        let normaliser = self.normaliser()?;
        let known = self.known;
        self.keep_top(n, TiePolicy::LowestId)?;
        self.for_each(|id, score| out.push((id, normaliser.log_probability(score))));
        // Ids ascend already, and the key below is total: an unstable sort is enough.
        out.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        self.start_again();
        self.known = known;
        Ok(())
    }

    /// The best candidate, after a pending cut has been carried out: for a verb that goes on to look
    /// at the candidates one by one.
    pub(in crate::candidates) fn best(&mut self) -> Result<Best, StageError> {
        self.materialise();
        self.top()
    }

    /// The best candidate. Every verb that needs an order or a mass comes through here, so this is
    /// where NaN, +∞ and a fully masked set are refused.
    pub(in crate::candidates) fn top(&mut self) -> Result<Best, StageError> {
        if let Some(best) = self.known.best {
            return Ok(best);
        }
        if self.form == Form::Overlaid {
            if let Some(best) = self.top_overlaid() {
                return Ok(best);
            }
            self.lay_down();
        }
        let values = self.form.of(self.row, &self.buffers.values);
        if values.is_empty() {
            return Err(StageError::Empty);
        }
        let scan = rows::scan(values, &mut self.buffers.block_max);
        self.row_max = None;
        if scan.nan || !(scan.max / self.divisor).is_finite() {
            return Err(self.refusal(scan.max));
        }
        let best = Best { value: scan.max, score: self.score_of(scan.max) };
        self.known = Known::scanned(best);
        if self.form == Form::Row {
            self.row_max = Some(scan.max);
        }
        Ok(best)
    }

    fn refusal(&self, max: f32) -> StageError {
        // No finite value has another score than a finite one but beside one of these.
        let bad = |&(_, &v): &(usize, &f32)| v.is_nan() || v == f32::INFINITY;
        if let Some((slot, &value)) = self.values().iter().enumerate().find(bad) {
            return StageError::NotFinite { id: self.id_at(slot), score: self.score_of(value) };
        }
        debug_assert_eq!(self.score_of(max), f32::NEG_INFINITY);
        StageError::AllMasked { candidates: self.len() }
    }
}
