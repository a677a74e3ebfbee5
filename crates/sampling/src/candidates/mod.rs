//! The candidates for the next token, and the verbs that stages are made of.
//!
//! # A token has one of three states
//!
//! ```text
//!            edit, mask            cut
//!   scored ───────────► banned ─────────► removed
//!     ▲  ▲      edit,     │                 ▲
//!     │  └── restore ─────┘                 │
//!     └──────────────── cut ────────────────┘
//! ```
//!
//! *Scored*: listed with a finite score. *Banned*: listed at −∞; a later edit may revive it. *Removed* by a cut:
//! no longer listed, and that is final within the step.
//!
//! # The scores have one of four forms (`scores.rs`)
//!
//! ```text
//!             few edits               many edits
//!   Row ─────────────────► Overlaid ──────────────► Copy
//!    │   borrowed from         │   row + sparse       │   slot = token id
//!    │   the caller            │   edits              │
//!    └────────────┬────────────┴──────────────────────┘
//!                 │ a cut: decided at once, carried out when a verb needs the survivors one by one
//!                 ▼
//!              List: the survivors, ids ascending
//! ```
//!
//! A temperature changes no form. It is a divisor that is noted, and every verb reads `value / divisor`.
//!
//! # A step: temperature → top-k → top-p → draw
//!
//! 1. `Candidates::of` borrows the row ([`Form::Row`]); nothing is copied.
//! 2. `divide(0.8)` (`verbs/edit.rs`) notes the divisor. All that is known of masses is forgotten
//!    ([`Known::at_new_weights`]); the order of the values stays.
//! 3. `keep_top(50)` (`verbs/cut.rs`) scans the row once, for the best value and the block maxima, and refuses NaN
//!    and +∞ there. The 50th largest block maximum bounds the 50th value from below. What reaches the bound is
//!    collected as the *fringe*, the 50th value is found on it ([`Kth`](carry::Kth)), and a list of 50 is made,
//!    equals by the tie policy (`carry.rs`).
//! 4. `keep_mass(0.9)` sums the masses of the 50 as integers, finds the class of equal scores in which the sum
//!    reaches 0.9 (`locate.rs`), and drops what comes after it.
//! 5. `pick(u)` (`verbs/pick.rs`) walks the masses, ids ascending, to the share `u` of their sum.
//!
//! Without step 3, top-p sees the whole row. Then `locate.rs` guesses from a sample where the cut falls, weighs
//! everything in one pass, and searches the fringe around the guess alone; and the cut stays pending
//! (`pending.rs`), because `pick` needs no list.
//!
//! # Glossary
//!
//! | word | what it is |
//! |---|---|
//! | value | a number in the row, before the divisor |
//! | score | `fl(value / divisor)`: what stages see |
//! | slot | a place among the values: the token id, or the place on a list |
//! | order | score descending, then value descending, then the tie policy on ids |
//! | mass | `exp(score − best)` in fixed point; sums are exact, so they depend on no order |
//! | block, chunk | 64 values that share a maximum; 16 such blocks, whose masses are summed together |
//! | fringe | the values near a boundary, collected to find it exactly |
//! | class | all candidates of one value at a boundary; the tie policy divides it |
//! | frontier | where a cut falls: a class, and how many of it stay |
//! | split | a frontier as a test of slot and value |
//!
//! # Files
//!
//! `scores` forms and divisor · `overlay` sparse edits · `known` what a verb leaves for the next · `pending` cuts that
//! are decided only · `verbs/` what stages call · `locate` where a cut falls · `carry` how it is carried out ·
//! `account` what a trace is told · `buffers` the memory. The passes over rows are in [`crate::kernels`].

mod account;
mod buffers;
mod carry;
mod known;
mod locate;
mod overlay;
mod pending;
mod scores;
mod verbs;

pub(crate) use account::{Between, Recorder};
pub(crate) use buffers::Buffers;
pub(crate) use known::Best;
pub use verbs::{Edge, MassRule, Normaliser};

use self::known::Known;
use self::pending::Pending;
use self::scores::Form;
use crate::logits::Logits;
use crate::sequence::Draws;

/// The candidates of one step: token ids with scores, offered as verbs.
///
/// A token is in one of three states: *scored*; *banned*, that is listed at −∞, which a later
/// edit may revive ([`Candidates::restore`]); or *removed* by a cut and no longer listed, which is
/// final within the step.
///
/// # Scores
///
/// The score of a token whose value is `x` under the temperature `T` is `fl(x / T)`, but where that
/// would leave no finite best score ([`Candidates::divide`]). The division is not stored until an
/// edit needs it, but no verb can tell: reading, cutting and drawing see the divided score, bit for
/// bit.
///
/// # Order
///
/// Score descending; between equal scores the value before the temperature descending, since a
/// division may merge distinct logits; then the token id as the tie policy says. As division by
/// a positive number never swaps two values, that is the order of the undivided values: a
/// temperature cannot change who is first. −0.0 and +0.0 are equal. An edit that follows a
/// temperature stores the divided scores, and from there on they are the undivided values; so does
/// a second temperature.
///
/// # NaN and infinities
///
/// Edits pass NaN and +∞ on. The first verb that needs an order or a mass refuses them with
/// [`StageError::NotFinite`](crate::StageError::NotFinite), which names the token.
#[derive(Debug)]
pub struct Candidates<'w> {
    source: Logits<'w>,
    /// The row, if it is one in `f32`.
    row: &'w [f32],
    /// The largest value of the row, while `block_max` is of the row too.
    row_max: Option<f32>,
    vocab_size: usize,
    buffers: &'w mut Buffers,
    form: Form,
    divisor: f32,
    pending: Option<Pending>,
    draws: Draws,
    known: Known,
}

impl<'w> Candidates<'w> {
    /// All tokens of `source`, scored by their logits.
    ///
    /// Its tokens are below `vocab_size`, and if it is a row it is so long.
    pub(crate) fn of(
        source: Logits<'w>,
        vocab_size: usize,
        draws: Draws,
        buffers: &'w mut Buffers,
    ) -> Self {
        let row = if let Logits::F32(row) = source { row } else { &[] };
        let (form, known) = (Form::Row, Known::default());
        let mut candidates = Self {
            source,
            row,
            row_max: None,
            vocab_size,
            buffers,
            form,
            divisor: 1.0,
            pending: None,
            draws,
            known,
        };
        candidates.buffers.cut_memo.forget();
        candidates.start_again();
        candidates
    }

    /// Lists all tokens again, for a run that repeats the one before.
    pub(crate) fn run_again(&mut self) {
        self.buffers.cut_memo.rewind();
        self.start_again();
    }

    /// Ends the repetition; later verbs compute from scratch.
    pub(crate) fn has_run_again(&mut self) {
        self.buffers.cut_memo.forget();
    }

    /// Lists all tokens again, untouched.
    pub(crate) fn start_again(&mut self) {
        (self.divisor, self.known, self.pending) = (1.0, Known::default(), None);
        if let Some(max) = self.row_max {
            self.known = Known::scanned(Best { value: max, score: max });
        }
        let Buffers { values, ids, words, .. } = &mut *self.buffers;
        values.clear();
        self.form = match self.source {
            Logits::F32(_) => Form::Row,
            #[cfg(feature = "half")]
            Logits::F16(row) => {
                values.extend(row.iter().map(|x| x.to_f32()));
                Form::Copy
            }
            #[cfg(feature = "half")]
            Logits::Bf16(row) => {
                values.extend(row.iter().map(|x| x.to_f32()));
                Form::Copy
            }
            Logits::List(list) => {
                // Sorted by id: the logit rides along in the low half.
                let pack =
                    |&(id, logit): &(u32, f32)| u64::from(id) << 32 | u64::from(logit.to_bits());
                words.clear();
                words.extend(list.iter().map(pack));
                words.sort_unstable();
                ids.clear();
                ids.extend(words.iter().map(|word| (word >> 32) as u32));
                values.extend(words.iter().map(|&word| f32::from_bits(word as u32)));
                Form::List
            }
        };
    }

    /// A token that is listed more than once, if there is one.
    pub(crate) fn listed_twice(&self) -> Option<u32> {
        let ids = if self.form == Form::List { &self.buffers.ids[..] } else { &[] };
        ids.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }

    /// Tokens in the vocabulary: ids are below this.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Tokens still listed, banned ones included.
    pub fn len(&self) -> usize {
        let Some(Pending { split, kept }) = self.pending else { return self.values().len() };
        kept.unwrap_or_else(|| self.count_in(split, f32::NEG_INFINITY))
    }

    /// Whether no token is listed. A cut never leaves it so.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The block maxima of the row, if they are still there.
    pub(crate) fn row_block_max(&self) -> Option<&[f32]> {
        self.row_max.map(|_| self.buffers.block_max.as_slice())
    }

    pub(crate) fn recorder(&mut self) -> &mut Recorder {
        &mut self.buffers.recorder
    }
}
