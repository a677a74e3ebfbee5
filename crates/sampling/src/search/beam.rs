//! The state machine: rows of scores in, the beams that go on out.

use alloc::vec::Vec;

use super::group::Group;
use super::length::LengthPenalty;
use super::rows::ScoreRows;
use super::settings::{BeamSettings, BeamSettingsError};
use super::tree::{Nodes, TreeNode};

/// A beam search over rows of scores. It knows no model: it says which rows it needs, takes them,
/// and answers with how the beams are to be reordered. A hypothesis ends by one of the settings' EOS
/// tokens and by their length; a caller may have reasons of its own, of type `R`.
///
/// Each step takes one row for each of the present beams, `[beams, vocab_size]` in one slice: the
/// *processed* log-probabilities of the tokens that may follow, −∞ for those that may not
/// ([`BeamRows`](super::BeamRows) makes them with a [`Pipeline`](crate::Pipeline)). At the first
/// step there is one beam, the prompt.
///
/// ```
/// use taper_sampling::search::{BeamEnd, BeamSearch, BeamSettings};
///
/// // What follows a token hangs on that token alone, and 2 ends the text.
/// let table = [[0.1_f32, 0.6, 0.3], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6]].map(|row| row.map(f32::ln));
/// let mut search = BeamSearch::new(BeamSettings::new(2, 4, &[2]), 3)?;
/// let mut last = vec![0];
/// while !search.is_done() {
///     let rows: Vec<f32> = last.iter().flat_map(|&token| table[token as usize]).collect();
///     last = search.advance(&rows)?.tokens;
/// }
/// let best = &search.hypotheses()[0];
/// assert_eq!((&best.tokens[..], best.reason), (&[1, 0, 1, 0][..], BeamEnd::Length));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BeamSearch<R = ()> {
    pub(super) settings: BeamSettings,
    pub(super) divisors: LengthPenalty,
    vocab_size: usize,
    length: usize,
    beams: usize,
    nodes: Nodes<BeamEnd<R>>,
    groups: Vec<Group<BeamEnd<R>>>,
}

/// Why a hypothesis ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BeamEnd<R = ()> {
    /// By an EOS token.
    Eos,
    /// The caller's reason: a stop string, say.
    Stopped(R),
    /// It has as many tokens as it may.
    Length,
}

/// A candidate's beam, as the caller knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BeamRef {
    /// Index of its row among those given to this step.
    pub row: usize,
    /// Tokens of the hypothesis, the candidate's included.
    pub length: usize,
}

/// The beams that go on after a step: the `i`-th continues row `parents[i]` of the step by
/// `tokens[i]`. Both are empty when the search is over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reorder {
    /// For each beam the row that it continues.
    pub parents: Vec<usize>,
    /// For each beam its new token.
    pub tokens: Vec<u32>,
}

/// A finished hypothesis.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Hypothesis<R> {
    /// Its tokens after the prompt, the one that ended it included.
    pub tokens: Vec<u32>,
    /// What it is ranked by: the sum over its length to the power of the length penalty. In a
    /// stochastic search the sum, and the rank is the draw's.
    pub score: f32,
    /// The sum of its processed log-probabilities.
    pub sum: f32,
    /// Why it ended.
    pub reason: R,
    /// The probability with which a stochastic search of this size has it among its sequences,
    /// given the threshold that the search found; `None` for the other rules. The share of a
    /// sequence in an estimate is its probability over this.
    pub inclusion_probability: Option<f64>,
}

/// Why a step was refused.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// There must be a score for each token of each beam.
    #[error("{given} scores were given for {beams} beams; there must be {vocab_size} for each")]
    Rows {
        /// Scores given.
        given: usize,
        /// Beams at this step.
        beams: usize,
        /// Tokens.
        vocab_size: usize,
    },
    /// A score is NaN or +∞.
    #[error("the score of token {token} after beam {beam} is {score}; it must be finite or -inf")]
    NotFinite {
        /// Index of the row.
        beam: usize,
        /// The token.
        token: u32,
        /// Its score.
        score: f32,
    },
    /// No beam has a token that may follow, and nothing has finished.
    #[error("no token may follow any of the {beams} beams, and no hypothesis has finished")]
    DeadEnd {
        /// Beams at this step.
        beams: usize,
    },
    /// The search was over before.
    #[error("the search is over")]
    Over,
}

impl BeamSearch {
    /// A search over `vocab_size` tokens that has made none yet, whose hypotheses end by EOS and length.
    ///
    /// # Errors
    ///
    /// As [`BeamSettings::validate`].
    pub fn new(settings: BeamSettings, vocab_size: usize) -> Result<Self, BeamSettingsError> {
        Self::with_reasons(settings, vocab_size)
    }

    /// Takes a row for each beam and finds the next beams. The rows are [`BeamRows`], or
    /// `[beams, vocab_size]` scores.
    ///
    /// # Errors
    ///
    /// When the rows do not fit, hold NaN or +∞, or leave nothing to go on with while nothing has
    /// finished; the search is then as it was.
    ///
    /// [`BeamRows`]: super::BeamRows
    pub fn advance<'r>(&mut self, rows: impl Into<ScoreRows<'r>>) -> Result<Reorder, SearchError> {
        self.advance_or_stop(rows, |_, _| None)
    }
}

impl<R: Copy> BeamSearch<R> {
    /// As [`BeamSearch::new`], for a caller with reasons of its own why a hypothesis ends.
    ///
    /// # Errors
    ///
    /// As [`BeamSettings::validate`].
    pub fn with_reasons(
        settings: BeamSettings,
        vocab_size: usize,
    ) -> Result<Self, BeamSettingsError> {
        settings.validate()?;
        let width = settings.num_beams / settings.num_beam_groups;
        let group = || Group::new(&settings, width);
        let groups = (0..settings.num_beam_groups).map(|_| group()).collect();
        let divisors = LengthPenalty::new(settings.length_penalty);
        Ok(Self {
            settings,
            divisors,
            vocab_size,
            length: 0,
            beams: 1,
            nodes: Nodes::new(),
            groups,
        })
    }

    /// Rows that the next step takes.
    pub fn beams(&self) -> usize {
        self.beams
    }

    /// Tokens that each beam has.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Whether there is nothing left to search for.
    pub fn is_done(&self) -> bool {
        self.groups.iter().all(Group::is_done)
    }

    /// As [`BeamSearch::advance`]; `stop` is asked once for each candidate that is looked at and is no
    /// EOS token, and says why the hypothesis ends with this token, if it does.
    ///
    /// # Errors
    ///
    /// As [`BeamSearch::advance`].
    pub fn advance_or_stop<'r>(
        &mut self,
        rows: impl Into<ScoreRows<'r>>,
        mut stop: impl FnMut(BeamRef, u32) -> Option<R>,
    ) -> Result<Reorder, SearchError> {
        let scores = rows.into();
        self.check(scores)?;
        let length = self.length + 1;
        let (eos, longest) = (&self.settings.eos_token_ids, self.settings.max_new_tokens);
        let mut finish = |beam: BeamRef, token: u32| {
            if eos.contains(&token) {
                return Some(BeamEnd::Eos);
            }
            let full = (length >= longest).then_some(BeamEnd::Length);
            stop(beam, token).map(BeamEnd::Stopped).or(full)
        };
        let mut taken = Vec::new();
        let mut next = Reorder::default();
        for group in self.groups.iter_mut().filter(|group| !group.is_done()) {
            let rows = Rows {
                scores,
                vocab_size: self.vocab_size,
                penalty: self.settings.diversity_penalty as f32,
                taken: &taken,
            };
            let mut round = Round {
                settings: &self.settings,
                divisors: self.divisors,
                length,
                nodes: &mut self.nodes,
                rows,
            };
            group.advance(&mut round, &mut finish)?;
            group.reorder(&self.nodes, &mut next);
            taken.extend_from_slice(&group.taken);
        }
        (self.length, self.beams) = (length, next.tokens.len());
        Ok(next)
    }

    /// The best finished hypotheses, best first: as many as are wanted, or fewer if fewer ended.
    /// A stochastic search has them in the order drawn.
    pub fn hypotheses(&self) -> Vec<Hypothesis<BeamEnd<R>>> {
        let mut all: Vec<_> =
            self.groups.iter().flat_map(|group| group.hypotheses(&self.nodes)).collect();
        if self.groups.len() > 1 {
            // Stable: among equals the earlier group's.
            all.sort_by(|a, b| b.score.total_cmp(&a.score));
        }
        all.truncate(self.settings.num_return_sequences);
        all
    }

    /// The unfinished hypotheses, best first, with the sums of their log-probabilities: what there
    /// is when a search is broken off.
    pub fn unfinished(&self) -> Vec<(Vec<u32>, f32)> {
        self.groups.iter().flat_map(|group| group.unfinished(&self.nodes)).collect()
    }

    /// Every candidate that was looked at, parents before their children.
    pub fn tree(&self) -> &[TreeNode<BeamEnd<R>>] {
        self.nodes.all()
    }

    fn check(&self, rows: ScoreRows<'_>) -> Result<(), SearchError> {
        let (beams, vocab_size) = (self.beams, self.vocab_size);
        if self.is_done() {
            return Err(SearchError::Over);
        }
        let given = rows.scores.len();
        if given != beams * vocab_size || given == 0 {
            return Err(SearchError::Rows { given, beams, vocab_size });
        }
        // A single group that looks at every score as it is refuses by itself, ahead of any change.
        if self.groups.len() > 1 || !self.settings.rule.takes_the_best() {
            self.check_finite(rows)?;
        }
        let possible = |group: &Group<BeamEnd<R>>| {
            group.is_done() || group.has_finished() || group.can_go_on(rows, vocab_size)
        };
        if self.groups.iter().all(possible) {
            return Ok(());
        }
        self.check_finite(rows)?;
        Err(SearchError::DeadEnd { beams })
    }

    fn check_finite(&self, rows: ScoreRows<'_>) -> Result<(), SearchError> {
        let Some(at) = rows.first_bad() else { return Ok(()) };
        let (beam, token) = (at / self.vocab_size, (at % self.vocab_size) as u32);
        Err(SearchError::NotFinite { beam, token, score: rows.scores[at] })
    }
}

/// The rows of a step as one group sees them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'r> {
    scores: ScoreRows<'r>,
    vocab_size: usize,
    penalty: f32,
    /// The tokens that beams of earlier groups took at this step.
    taken: &'r [u32],
}

impl<'r> Rows<'r> {
    pub(super) fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Whether any of the scores after a beam, before diversity, is above 0.
    pub(super) fn rises(&self, row: usize) -> bool {
        self.scores.any_above(0.0, row, self.vocab_size)
    }

    /// What scores after a beam lie below, by block.
    pub(super) fn block_max(&self, row: usize) -> Option<&'r [f32]> {
        self.scores.block_max(row, self.vocab_size)
    }

    /// The scores after a beam, less what diversity asks for.
    pub(super) fn row(&self, row: usize) -> alloc::borrow::Cow<'r, [f32]> {
        let scores = self.scores.row(row, self.vocab_size);
        if self.taken.is_empty() {
            return scores.into();
        }
        let mut scores = scores.to_vec();
        for (id, score) in (0..).zip(&mut scores) {
            let times = self.taken.iter().filter(|&&token| token == id).count();
            if times > 0 {
                *score -= self.penalty * times as f32;
            }
        }
        scores.into()
    }
}

/// What a group is given at a step.
#[derive(Debug)]
pub(super) struct Round<'r, R> {
    pub(super) settings: &'r BeamSettings,
    pub(super) divisors: LengthPenalty,
    /// Tokens that hypotheses have after this step.
    pub(super) length: usize,
    pub(super) nodes: &'r mut Nodes<R>,
    pub(super) rows: Rows<'r>,
}
