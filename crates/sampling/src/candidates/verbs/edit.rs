//! The verbs that change scores and keep every token listed.

use alloc::vec::Vec;

use crate::candidates::Candidates;
use crate::candidates::account::Received;
use crate::candidates::buffers::Buffers;
use crate::candidates::known::{Best, Known};
use crate::candidates::scores::Form;
use crate::error::StageError;
use crate::kernels::Mass;
use crate::kernels::rows::visits;
use crate::ties::ArgmaxTies;

impl Candidates<'_> {
    /// Divides every score by a temperature.
    ///
    /// Costs no more than the search for the best score, which most verbs after it need too: see
    /// [`Candidates`] on how the division is pending.
    ///
    /// A temperature so low that the best score, which was finite, is so no more has taken the
    /// distribution to its limit: the best, with all that equal it, keep the scores that they have, and
    /// all others are banned.
    ///
    /// # Errors
    ///
    /// [`StageError::Argument`] unless `temperature` is above 0 and finite.
    pub fn divide(&mut self, temperature: f32) -> Result<(), StageError> {
        if !(temperature > 0.0 && temperature < f32::INFINITY) {
            return Err(StageError::Argument {
                argument: "temperature",
                value: f64::from(temperature),
                domain: "above 0 and finite",
            });
        }
        if temperature == 1.0 {
            return Ok(());
        }
        if let Some(best) = self.best_beyond(temperature) {
            self.map(|_, score| if score < best { f32::NEG_INFINITY } else { score });
            return Ok(());
        }
        self.account_for_cuts();
        self.buffers.recorder.divided();
        if self.divisor != 1.0 {
            // fl(fl(x / a) / b) is not fl(x / ab): the first division is carried out.
            self.own_values();
            self.known.best = None;
        }
        self.carry_out_pending();
        self.divisor = temperature;
        self.known = self.known.at_new_weights();
        // The best value stays the best; its score is another.
        if let Some(best) = self.known.best {
            self.known.best = Some(Best { score: self.score_of(best.value), ..best });
        }
        Ok(())
    }

    /// The best score, if it is finite and would not be so under this temperature.
    fn best_beyond(&mut self, temperature: f32) -> Option<f32> {
        if temperature >= 1.0 {
            return None;
        }
        // What has no best score is for a later verb to refuse.
        let best = self.top().ok()?.score;
        (!(best / temperature).is_finite()).then_some(best)
    }

    /// Replaces the score of each token in `ids` by `f(id, score)`, in the order given, once per
    /// occurrence. Removed tokens are passed over.
    ///
    /// # Errors
    ///
    /// [`StageError::UnknownToken`] for an id outside the vocabulary; edits before it stay.
    pub fn edit(
        &mut self,
        ids: impl IntoIterator<Item = u32>,
        mut f: impl FnMut(u32, f32) -> f32,
    ) -> Result<(), StageError> {
        self.edit_with(ids.into_iter().map(|id| (id, ())), |id, (), score| f(id, score))
    }

    /// [`Candidates::edit`] with something to go by for each token: `f(id, value, score)`.
    ///
    /// # Errors
    ///
    /// As [`Candidates::edit`].
    pub fn edit_with<T>(
        &mut self,
        values: impl IntoIterator<Item = (u32, T)>,
        mut f: impl FnMut(u32, T, f32) -> f32,
    ) -> Result<(), StageError> {
        let mut values = values.into_iter();
        if self.takes_edits_beside() && self.edit_beside(&mut values, &mut f)? {
            return Ok(());
        }
        let mut values = values.peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let received = self.begin_edit();
        let mut outcome = Ok(());
        for (id, value) in values {
            if id as usize >= self.vocab_size() {
                outcome = Err(StageError::UnknownToken { id, vocab_size: self.vocab_size() });
                break;
            }
            if let Some(slot) = self.slot_of(id) {
                let score = &mut self.buffers.values[slot];
                *score = f(id, value, *score);
            }
        }
        self.end_edit(received);
        outcome
    }

    /// Replaces every listed score by `f(id, score)`, ids ascending.
    pub fn map(&mut self, mut f: impl FnMut(u32, f32) -> f32) {
        let received = self.begin_edit();
        for slot in 0..self.buffers.values.len() {
            let id = self.id_at(slot);
            let value = &mut self.buffers.values[slot];
            *value = f(id, *value);
        }
        self.end_edit(received);
    }

    /// Gives a listed token this score, whatever it had: the way back from a ban.
    ///
    /// # Errors
    ///
    /// [`StageError::UnknownToken`], or [`StageError::Removed`] if a cut took it away.
    pub fn restore(&mut self, id: u32, score: f32) -> Result<(), StageError> {
        if id as usize >= self.vocab_size() {
            return Err(StageError::UnknownToken { id, vocab_size: self.vocab_size() });
        }
        if self.slot_of(id).is_none() {
            return Err(StageError::Removed { id });
        }
        self.edit([id], |_, _| score)
    }

    /// Gives `ids` this score, whatever they had, and bans everybody else.
    ///
    /// # Errors
    ///
    /// As [`Candidates::restore`]; nothing has changed then.
    pub fn force(&mut self, ids: &[u32], score: f32) -> Result<(), StageError> {
        for &id in ids {
            if id as usize >= self.vocab_size() {
                return Err(StageError::UnknownToken { id, vocab_size: self.vocab_size() });
            }
            if self.slot_of(id).is_none() {
                return Err(StageError::Removed { id });
            }
        }
        self.map(|id, _| if ids.contains(&id) { score } else { f32::NEG_INFINITY });
        Ok(())
    }

    /// Bans every token whose bit in `allowed` is 0: bit `id % 32` of word `id / 32`. Tokens past
    /// the end of the mask are banned.
    ///
    /// # Errors
    ///
    /// [`StageError::NothingAllowed`] if that bans all that could be chosen.
    pub fn mask(&mut self, allowed: &[u32]) -> Result<(), StageError> {
        self.ban_unless(|id| {
            let word = allowed.get(id as usize / 32).copied().unwrap_or(0);
            word >> (id % 32) & 1 == 1
        })
    }

    /// Bans every token that is not among `ids`.
    ///
    /// # Errors
    ///
    /// [`StageError::UnknownToken`], and as [`Candidates::mask`].
    pub fn allow(&mut self, ids: &[u32]) -> Result<(), StageError> {
        if let Some(&id) = ids.iter().find(|&&id| id as usize >= self.vocab_size) {
            return Err(StageError::UnknownToken { id, vocab_size: self.vocab_size });
        }
        self.with_words(|candidates, words| {
            words.extend(ids.iter().map(|&id| u64::from(id)));
            words.sort_unstable();
            // Asked with ids ascending, and every one at most once.
            let mut left = words.iter().map(|&word| word as u32).peekable();
            candidates.ban_unless(|id| {
                while left.next_if(|&next| next < id).is_some() {}
                left.peek() == Some(&id)
            })
        })
    }

    /// Bans what `allowed` does not hold of, asked with ids ascending.
    fn ban_unless(&mut self, mut allowed: impl FnMut(u32) -> bool) -> Result<(), StageError> {
        let (mut before, mut left) = (0, false);
        self.map(|id, score| {
            // A NaN could be chosen as little as −∞; it is for a verb that needs an order to refuse.
            before += usize::from(score != f32::NEG_INFINITY);
            if !allowed(id) {
                return f32::NEG_INFINITY;
            }
            left |= score != f32::NEG_INFINITY;
            score
        });
        if before > 0 && !left {
            return Err(StageError::NothingAllowed { candidates: before });
        }
        Ok(())
    }

    /// Lends `f` a list of words to keep account in, empty at first, besides the candidates.
    ///
    /// Nothing is allocated while it holds no more words than the vocabulary has tokens.
    pub fn with_words<R>(&mut self, f: impl FnOnce(&mut Self, &mut Vec<u64>) -> R) -> R {
        let mut words = core::mem::take(&mut self.buffers.words);
        words.clear();
        let outcome = f(self, &mut words);
        self.buffers.words = words;
        outcome
    }

    /// Bans everybody except the best candidate, which keeps its score.
    ///
    /// # Errors
    ///
    /// As [`Candidates::argmax`].
    pub fn ban_all_but_best(&mut self, ties: ArgmaxTies) -> Result<(), StageError> {
        let best = self.argmax(ties)?;
        self.map(|id, score| if id == best { score } else { f32::NEG_INFINITY });
        Ok(())
    }

    /// Makes `buffers.values` hold the scores, so that they may be written.
    fn own_values(&mut self) {
        self.materialise();
        let divisor = self.divisor;
        if self.form == Form::Row {
            self.buffers.values.clear();
            if divisor == 1.0 {
                self.buffers.values.extend_from_slice(self.row);
            } else {
                self.buffers.values.extend(self.row.iter().map(|&x| x / divisor));
            }
            self.form = Form::Copy;
        } else if divisor != 1.0 {
            for value in &mut self.buffers.values {
                *value /= divisor;
            }
        }
        self.divisor = 1.0;
    }

    /// Makes the scores writable. When somebody watches, keeps a copy of them, so that the account
    /// of what the edit banned is about what it received, whatever it did in between.
    fn begin_edit(&mut self) -> Option<Received> {
        self.materialise();
        let received = if self.buffers.recorder.is_on() {
            self.account_for_cuts();
            let best = self.top().ok();
            let Buffers { values, spare, .. } = &mut *self.buffers;
            spare.clear();
            spare.extend_from_slice(self.form.of(self.row, values));
            best.map(|best| self.received(best))
        } else {
            None
        };
        self.own_values();
        received
    }

    fn end_edit(&mut self, received: Option<Received>) {
        self.known = Known::default();
        if !self.buffers.recorder.is_on() {
            return;
        }
        let Buffers { values, ids, spare, recorder, .. } = &mut *self.buffers;
        let listed = |old: f32| {
            received.map_or(old > f32::NEG_INFINITY, |received| received.halvings.is_eligible(old))
        };
        let mut banned = 0;
        visits::visit_pairs(
            (spare, values),
            #[inline(always)]
            |old, new| listed(old) != (new > f32::NEG_INFINITY),
            |slot, old, new| {
                let id = if self.form == Form::List { ids[slot] } else { slot as u32 };
                if new > f32::NEG_INFINITY {
                    recorder.unmark(id);
                } else if new == f32::NEG_INFINITY {
                    recorder.mark(id);
                    banned += received.map_or(0, |received| received.halvings.mass_of(old).0);
                }
            },
        );
        if let Some(received) = received {
            recorder.lose(Mass(banned), received.tally.mass);
        }
    }
}
