//! What was searched: every candidate that a search looked at, and what became of it.

use alloc::vec::Vec;

/// A candidate: a hypothesis continued by a token.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct TreeNode<R> {
    /// Index of the node that it continues; `None` if that is the prompt.
    pub parent: Option<usize>,
    /// The token.
    pub token: u32,
    /// Tokens of the hypothesis, this one included.
    pub length: usize,
    /// The sum of the processed log-probabilities, this token's included.
    pub sum: f32,
    /// What became of it.
    pub fate: Fate<R>,
}

/// What became of a candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Fate<R> {
    /// It went on as a beam.
    Kept,
    /// It ended, and was still among the best finished hypotheses when the search stopped.
    Finished {
        /// Why it ended.
        reason: R,
        /// What finished hypotheses are ranked by.
        score: f32,
    },
    /// It did not end, and as many as there are beams were better.
    Outranked,
    /// It ended, but below the first `num_beams` candidates, which is where Hugging Face's rule
    /// looks for finished ones.
    EndedTooLow {
        /// Why it ended.
        reason: R,
    },
    /// It ended, and better ones took its place among the finished.
    Displaced {
        /// Why it ended.
        reason: R,
        /// What finished hypotheses are ranked by.
        score: f32,
    },
    /// It is banned, or continues what had ended: Hugging Face's rule lets such candidates fill up
    /// where there are fewer possible ones than beams. It is never returned.
    Impossible,
}

/// Nodes in the order in which they were looked at; parents come before their children.
#[derive(Debug, Clone)]
pub(super) struct Nodes<R> {
    all: Vec<TreeNode<R>>,
}

impl<R> Nodes<R> {
    pub(super) fn new() -> Self {
        Self { all: Vec::new() }
    }

    pub(super) fn all(&self) -> &[TreeNode<R>] {
        &self.all
    }

    pub(super) fn add(&mut self, node: TreeNode<R>) -> usize {
        self.all.push(node);
        self.all.len() - 1
    }

    pub(super) fn set_fate(&mut self, node: usize, fate: Fate<R>) {
        self.all[node].fate = fate;
    }

    /// The tokens from the prompt to a node.
    pub(super) fn tokens(&self, node: Option<usize>) -> Vec<u32> {
        let mut tokens = Vec::new();
        let mut next = node;
        while let Some(node) = next {
            tokens.push(self.all[node].token);
            next = self.all[node].parent;
        }
        tokens.reverse();
        tokens
    }
}
