//! Who is still in the running for the next token, and at what score.

mod boundary;
mod cut;
mod decided;
mod edit;
mod frontier;
mod measure;
mod nearest;
mod overlay;
mod pick;
mod probe;
mod read;

use alloc::vec::Vec;

pub use cut::{Edge, MassRule};
pub(crate) use probe::{Census, Probe};
pub use read::Normaliser;

use self::decided::Decided;
use self::frontier::Split;
use crate::kernels::Mass;
use crate::kernels::estimate::Histogram;
use crate::kernels::gather::Taken;
use crate::kernels::passes::{Gaps, blocks_for, chunks_for};
use crate::kernels::selection::{SelectionScratch, first_value};
use crate::kernels::tally::Tally;
use crate::logits::Logits;
use crate::sequence::Draws;

/// The buffers a [`Candidates`] works in, sized for a vocabulary once.
#[derive(Debug)]
pub(crate) struct Buffers {
    /// Scores before the pending temperature: the edited row, or the list's values.
    values: Vec<f32>,
    /// The list's token ids, ascending.
    ids: Vec<u32>,
    block_max: Vec<f32>,
    /// The mass of the candidates in each chunk, see [`Chunks`].
    chunk_mass: Vec<u64>,
    histogram: Histogram,
    /// The part of the candidates in which a cut by mass falls.
    edge: Taken,
    edge_masses: Vec<u64>,
    weights: Vec<f32>,
    /// The next `values` while a cut reads the present ones.
    spare: Vec<f32>,
    /// Priorities among equals, or the masses of those at one distance.
    numbers: Vec<u64>,
    /// Edits over the caller's row, slots ascending.
    overlay: Vec<(u32, f32)>,
    /// Lent to stages that keep account of something, see [`Candidates::with_words`].
    words: Vec<u64>,
    selection: SelectionScratch,
    decided: Decided,
    pub(crate) probe: Probe,
}

impl Buffers {
    pub(crate) fn for_vocabulary(size: usize) -> Self {
        Self {
            values: Vec::with_capacity(size),
            ids: Vec::with_capacity(size),
            block_max: Vec::with_capacity(blocks_for(size)),
            chunk_mass: Vec::with_capacity(chunks_for(size)),
            histogram: Histogram::new(),
            edge: Taken::for_vocabulary(size),
            edge_masses: Vec::with_capacity(size),
            weights: alloc::vec![0.0; size],
            spare: Vec::with_capacity(size),
            numbers: Vec::with_capacity(size),
            overlay: Vec::with_capacity(overlay::room_for(size)),
            // A window of the text may be longer than a small vocabulary.
            words: Vec::with_capacity(size.max(4096)),
            selection: SelectionScratch::for_vocabulary(size),
            decided: Decided::default(),
            probe: Probe::for_vocabulary(size),
        }
    }
}

/// How the candidates are held. No verb shows which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// The caller's row, untouched: slot = token id.
    Row,
    /// The caller's row, and edits that lie over it.
    Overlaid,
    /// An edited copy of the row: slot = token id.
    Dense,
    /// The survivors of a cut, ids ascending.
    List,
}

/// The best candidate's value, and its score after the pending temperature.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Best {
    value: f32,
    score: f32,
}

/// Statistics that one verb computed and the next may use.
#[derive(Debug, Clone, Copy, Default)]
struct Cache {
    best: Option<Best>,
    /// Whether `block_max` describes the values as they are.
    blocks: bool,
    mass: Option<Mass>,
    /// What `chunk_mass` is of; it does not outlast `mass`.
    chunks: Chunks,
    /// Whether `weights` are those of the candidates as they are; they do not outlast `mass` either.
    weights: bool,
    /// For a trace.
    tally: Option<Tally>,
}

/// What the masses of chunks are of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Chunks {
    #[default]
    Unknown,
    /// Of the candidates among so many consecutive token ids.
    OfTokens,
    /// Of so many consecutive candidates on a list.
    OfSlots,
}

/// A cut that has been decided and not carried out: the next verb that needs the survivors one by
/// one does that, and a draw needs none of them.
#[derive(Debug, Clone, Copy)]
struct Pending {
    split: Split,
    /// How many it leaves, if that is known.
    kept: Option<usize>,
}

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
/// temperature can not change who is first. −0.0 and +0.0 are equal. An edit that follows a
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
    shape: Shape,
    divisor: f32,
    pending: Option<Pending>,
    draws: Draws,
    cache: Cache,
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
        let (shape, cache) = (Shape::Row, Cache::default());
        let mut candidates = Self {
            source,
            row,
            row_max: None,
            vocab_size,
            buffers,
            shape,
            divisor: 1.0,
            pending: None,
            draws,
            cache,
        };
        candidates.buffers.decided.forget();
        candidates.start_again();
        candidates
    }

    /// Lists all tokens again, for a run that repeats the one before.
    pub(crate) fn run_again(&mut self) {
        self.buffers.decided.rewind();
        self.start_again();
    }

    /// That run is over: what comes after it repeats nothing.
    pub(crate) fn has_run_again(&mut self) {
        self.buffers.decided.forget();
    }

    /// Lists all tokens again, untouched.
    pub(crate) fn start_again(&mut self) {
        (self.divisor, self.cache, self.pending) = (1.0, Cache::default(), None);
        if let Some(max) = self.row_max {
            let best = Some(Best { value: max, score: max });
            self.cache = Cache { best, blocks: true, ..Cache::default() };
        }
        let Buffers { values, ids, words, .. } = &mut *self.buffers;
        values.clear();
        self.shape = match self.source {
            Logits::F32(_) => Shape::Row,
            #[cfg(feature = "half")]
            Logits::F16(row) => {
                values.extend(row.iter().map(|x| x.to_f32()));
                Shape::Dense
            }
            #[cfg(feature = "half")]
            Logits::Bf16(row) => {
                values.extend(row.iter().map(|x| x.to_f32()));
                Shape::Dense
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
                Shape::List
            }
        };
    }

    /// A token that is listed more than once, if there is one.
    pub(crate) fn listed_twice(&self) -> Option<u32> {
        let ids = if self.shape == Shape::List { &self.buffers.ids[..] } else { &[] };
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

    pub(crate) fn probe(&mut self) -> &mut Probe {
        &mut self.buffers.probe
    }

    /// The values by slot: those that a pending cut takes away are among them, and edits over a row
    /// are not.
    fn values(&self) -> &[f32] {
        match self.shape {
            Shape::Row | Shape::Overlaid => self.row,
            Shape::Dense | Shape::List => &self.buffers.values,
        }
    }

    /// The block maxima of the values, if they are known.
    fn blocks(&self) -> Option<&[f32]> {
        self.cache.blocks.then_some(self.buffers.block_max.as_slice())
    }

    fn id_at(&self, slot: usize) -> u32 {
        match self.shape {
            Shape::Row | Shape::Overlaid | Shape::Dense => slot as u32,
            Shape::List => self.buffers.ids[slot],
        }
    }

    /// Where a token is listed; `None` when it was removed or is no token.
    fn slot_of(&self, id: u32) -> Option<usize> {
        let slot = match self.shape {
            Shape::Row | Shape::Overlaid | Shape::Dense => {
                ((id as usize) < self.vocab_size).then_some(id as usize)
            }
            Shape::List => self.buffers.ids.binary_search(&id).ok(),
        };
        slot.filter(|&slot| self.stays(slot, self.values()[slot]))
    }

    /// Whether a pending cut, if there is one, leaves the candidate in this slot.
    #[inline(always)]
    fn stays(&self, slot: usize, value: f32) -> bool {
        self.pending.is_none_or(|pending| pending.split.holds(slot, value))
    }

    #[inline(always)]
    fn score_of(&self, value: f32) -> f32 {
        // x / 1 is x, bit for bit: no branch is needed.
        value / self.divisor
    }

    /// The lowest value whose score passes `test`, a test that holds from some score upwards.
    ///
    /// Division is monotone, so a comparison of scores becomes one of stored values, and a pass
    /// over the row needs no division. −∞ when everything passes; NaN when nothing does.
    fn lowest_value(&self, test: impl Fn(f32) -> bool) -> f32 {
        if !test(self.score_of(f32::INFINITY)) {
            return f32::NAN;
        }
        first_value(|value| test(self.score_of(value)))
    }

    fn gaps(&self, best: Best) -> Gaps {
        Gaps { best: best.score, divisor: self.divisor }
    }
}
