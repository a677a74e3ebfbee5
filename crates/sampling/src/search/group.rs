//! One group of beams: its unfinished and finished hypotheses, and what the rules have in common.

use alloc::vec;
use alloc::vec::Vec;

use super::beam::{BeamRef, Hypothesis, Reorder, Round, SearchError};
use super::frontier::{Candidate, Frontier};
use super::rows::ScoreRows;
use super::settings::{BeamSettings, SearchRule};
use super::tree::{Fate, Nodes, TreeNode};
use super::{canonical, huggingface, stochastic};
use crate::kernels::rows::visits;

/// The score of what is no hypothesis: Hugging Face's stand-in for −∞, which leaves its f32 sums
/// no digits below 64.
pub(super) const NEVER: f32 = -1.0e9;

#[derive(Debug)]
pub(super) struct Group<R> {
    pub(super) width: usize,
    rule: SearchRule,
    pub(super) running: Vec<Running>,
    pub(super) ended: Vec<Ended<R>>,
    /// Hugging Face's flag that a better hypothesis may yet come. Once down it stays down.
    pub(super) improvable: bool,
    /// The tokens for which later groups pay.
    pub(super) taken: Vec<u32>,
    /// Whether a score above 0 was seen, so that sums may grow.
    pub(super) rising: bool,
    /// The greatest perturbed score that a stochastic search dropped.
    pub(super) threshold: f64,
    pub(super) done: bool,
}

/// An unfinished hypothesis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running {
    /// `None` is the prompt.
    pub(super) node: Option<usize>,
    /// The row of the next step that belongs to it; until [`Group::reorder`], the row it came from.
    pub(super) row: usize,
    pub(super) score: f32,
    /// Whether it stands for a hypothesis, or only fills a place.
    pub(super) real: bool,
    /// A stochastic search's rank.
    pub(super) perturbed: f64,
}

/// A place among the finished hypotheses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended<R> {
    /// `None` in a place that was never taken.
    pub(super) node: Option<usize>,
    pub(super) score: f32,
    pub(super) sum: f32,
    /// `None` for what has not ended and fills a place.
    pub(super) reason: Option<R>,
    pub(super) real: bool,
    pub(super) perturbed: f64,
}

/// A candidate about which the caller was asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer<R> {
    pub(super) candidate: Candidate,
    /// The row of the beam that it continues.
    pub(super) row: usize,
    pub(super) node: usize,
    pub(super) reason: Option<R>,
    pub(super) real: bool,
}

impl<R: Copy> Group<R> {
    pub(super) fn new(settings: &BeamSettings, width: usize) -> Self {
        let start = Running { node: None, row: 0, score: 0.0, real: true, perturbed: 0.0 };
        let nowhere = Running { score: NEVER, real: false, ..start };
        let empty = Ended {
            node: None,
            score: NEVER,
            sum: NEVER,
            reason: None,
            real: false,
            perturbed: 0.0,
        };
        let (running, ended) = match settings.rule {
            // All beams begin at the prompt, and all but the first do not count.
            SearchRule::HuggingFace { .. } => {
                let rest = core::iter::repeat_n(nowhere, width - 1);
                (core::iter::once(start).chain(rest).collect(), vec![empty; width])
            }
            SearchRule::Canonical => (vec![start], Vec::new()),
            SearchRule::Stochastic => {
                let perturbed = stochastic::root(settings.key);
                (vec![Running { perturbed, ..start }], Vec::new())
            }
        };
        Self {
            width,
            rule: settings.rule,
            running,
            ended,
            improvable: true,
            taken: Vec::new(),
            rising: false,
            threshold: f64::NEG_INFINITY,
            done: false,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    pub(super) fn has_finished(&self) -> bool {
        self.ended.iter().any(|ended| ended.real && ended.reason.is_some())
    }

    /// Whether any token may follow any of the hypotheses.
    pub(super) fn can_go_on(&self, rows: ScoreRows<'_>, vocab_size: usize) -> bool {
        let possible = |row: usize| rows.any_above(f32::NEG_INFINITY, row, vocab_size);
        self.running.iter().any(|beam| beam.real && possible(beam.row))
    }

    pub(super) fn advance(
        &mut self,
        round: &mut Round<'_, R>,
        finish: &mut impl FnMut(BeamRef, u32) -> Option<R>,
    ) -> Result<(), SearchError> {
        match self.rule {
            SearchRule::HuggingFace { early_stopping, sampled } => {
                return huggingface::advance(self, round, early_stopping, sampled, finish);
            }
            SearchRule::Canonical => return canonical::advance(self, round, finish),
            SearchRule::Stochastic => stochastic::advance(self, round, finish),
        }
        Ok(())
    }

    /// The best `limit` continuations of all beams by score. Refuses NaN and +∞ on the way: a look at
    /// all rows for their sake alone would take as long.
    pub(super) fn best(
        &self,
        round: &Round<'_, R>,
        limit: usize,
    ) -> Result<Vec<Candidate>, SearchError> {
        let frontier = Frontier::new(limit.min(self.running.len() * round.rows.vocab_size()));
        let mut state = (frontier, None::<(usize, u32, f32)>);
        for (beam, running) in self.running.iter().enumerate() {
            let sum = running.score;
            visits::visit_above(
                &round.rows.row(running.row),
                round.rows.block_max(running.row),
                #[inline(always)]
                move |own| own + sum,
                &mut state,
                |(frontier, _)| frontier.floor(),
                #[inline(always)]
                |(frontier, refused), token, own| {
                    let token = token as u32;
                    if own < f32::INFINITY {
                        let score = own + sum;
                        let rank_by = f64::from(score);
                        frontier.offer(Candidate { beam, token, score, rank_by });
                    } else if refused.is_none_or(|(row, ..)| running.row < row) {
                        *refused = Some((running.row, token, own));
                    }
                },
            );
        }
        match state {
            (_, Some((beam, token, score))) => Err(SearchError::NotFinite { beam, token, score }),
            (frontier, None) => Ok(frontier.into_best_first()),
        }
    }

    /// Asks the caller about candidates and notes them down.
    pub(super) fn ask(
        &self,
        candidates: Vec<Candidate>,
        round: &mut Round<'_, R>,
        finish: &mut impl FnMut(BeamRef, u32) -> Option<R>,
    ) -> Vec<Offer<R>> {
        let length = round.length;
        let one = |candidate: Candidate| {
            let parent = self.running[candidate.beam];
            let reason = finish(BeamRef { row: parent.row, length }, candidate.token);
            let real = parent.real && candidate.score > f32::NEG_INFINITY;
            let node = round.nodes.add(TreeNode {
                parent: parent.node,
                token: candidate.token,
                length,
                sum: candidate.score,
                fate: if real { Fate::Outranked } else { Fate::Impossible },
            });
            Offer { candidate, row: parent.row, node, reason, real }
        };
        candidates.into_iter().map(one).collect()
    }

    /// Gives the running beams the rows of the next step, behind those of earlier groups.
    pub(super) fn reorder(&mut self, nodes: &Nodes<R>, next: &mut Reorder) {
        if self.done {
            return;
        }
        for beam in &mut self.running {
            let Some(node) = beam.node else { continue };
            next.parents.push(beam.row);
            next.tokens.push(nodes.all()[node].token);
            beam.row = next.tokens.len() - 1;
        }
    }

    pub(super) fn hypotheses(&self, nodes: &Nodes<R>) -> Vec<Hypothesis<R>> {
        let finished = self.ended.iter().filter(|ended| ended.real);
        let hypothesis = |ended: &Ended<R>| {
            Some(Hypothesis {
                tokens: nodes.tokens(ended.node),
                score: ended.score,
                sum: ended.sum,
                reason: ended.reason?,
                inclusion_probability: (self.rule == SearchRule::Stochastic)
                    .then(|| stochastic::inclusion(f64::from(ended.sum), self.threshold)),
            })
        };
        finished.filter_map(hypothesis).collect()
    }

    pub(super) fn unfinished(&self, nodes: &Nodes<R>) -> Vec<(Vec<u32>, f32)> {
        let real = self.running.iter().filter(|beam| beam.real && !self.done);
        real.map(|beam| (nodes.tokens(beam.node), beam.score)).collect()
    }
}

impl<R> Offer<R> {
    /// As a beam that goes on.
    pub(super) fn running(&self, score: f32) -> Running {
        Running {
            node: Some(self.node),
            row: self.row,
            score,
            real: self.real && self.reason.is_none(),
            perturbed: self.candidate.rank_by,
        }
    }
}

/// Puts the highest first, keeps the order of equals, and says where each was.
pub(super) fn by_score(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].partial_cmp(&scores[a]).unwrap_or(core::cmp::Ordering::Equal));
    order
}
