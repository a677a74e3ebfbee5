//! What test pipelines and rows are made of. Each operation is a stage with a twin in the
//! reference.

mod cuts;
mod edits;

use proptest::prelude::*;
use taper_sampling::reference::List;
use taper_sampling::*;

pub(crate) use cuts::Cut;
pub(crate) use edits::{Edit, unconditional};

#[derive(Debug, Clone)]
pub(crate) enum Op {
    Cut(Cut),
    Edit(Edit),
}

impl Op {
    pub(crate) fn stage(&self) -> Box<dyn Stage> {
        match self {
            Self::Cut(cut) => cut.stage(),
            Self::Edit(edit) => edit.stage(),
        }
    }

    /// What the stage does at a step with this history, to a row of so many logits.
    pub(crate) fn apply(&self, list: &mut List, history: &History, vocab_size: usize) {
        match self {
            Self::Cut(cut) => cut.apply(list),
            Self::Edit(edit) => edit.apply(list, history, vocab_size),
        }
    }

    /// Whether the reference, which sums in another order, may round to another side.
    pub(crate) fn is_undecided(&self, list: &List) -> bool {
        matches!(self, Self::Cut(cut) if cut.is_undecided(list))
    }
}

/// The first half of the tokens as the prompt, the rest as generated.
pub(crate) fn history(tokens: &[u32]) -> History {
    let (prompt, generated) = tokens.split_at(tokens.len() / 2);
    let mut history = History::new(prompt);
    for &id in generated {
        history.accept(id);
    }
    history
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![3 => cuts::cut().prop_map(Op::Cut), 2 => edits::edit().prop_map(Op::Edit)]
}

/// Logits that collide: a coarse grid, both zeros, neighbours in the last place, subnormals, −∞,
/// and now and then a huge spread.
fn logit() -> impl Strategy<Value = f32> {
    let one_up = f32::from_bits(1.0_f32.to_bits() + 1);
    let odd = vec![0.0, -0.0, 1e-42, -1e-42, 1.0, one_up, f32::NEG_INFINITY, -1e30, 88.0];
    prop_oneof![
        4 => (-32_i32..32).prop_map(|i| i as f32 / 4.0),
        2 => -9.0_f32..9.0,
        1 => prop::sample::select(odd),
    ]
}

pub(crate) fn row() -> impl Strategy<Value = Vec<f32>> {
    prop_oneof![prop::collection::vec(logit(), 1..60), prop::collection::vec(logit(), 900..1400)]
        .prop_filter("something must be allowed", |r| r.iter().any(|&x| x > f32::NEG_INFINITY))
}
