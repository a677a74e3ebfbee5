//! What test pipelines and rows are made of. Each operation is a stage with a twin in the
//! reference.

mod cuts;
mod edits;

use proptest::prelude::*;
use taper_sampling::reference::List;
use taper_sampling::*;

pub(crate) use cuts::{Cut, cut};
pub(crate) use edits::{Edit, unconditional};

#[derive(Debug, Clone)]
pub(crate) enum Op {
    Cut(Cut),
    Edit(Edit),
}

/// How often to try what an optimised build tries `most` times.
pub(crate) const fn cases(most: u32) -> u32 {
    if cfg!(debug_assertions) { most / 20 } else { most }
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

/// Rows of 8 to 20 chunks: flat, tied, spiky, sorted, all equal, one block with every large value.
pub(crate) fn long_row() -> impl Strategy<Value = Vec<f32>> {
    (8_200_usize..20_000, 0_usize..8, any::<u64>()).prop_map(|(len, kind, seed)| {
        let mut series = Draws::new(DrawKey::new(seed)).series(Purpose::Custom(9));
        // The sum of four uniforms: nearly normal.
        let mut normal = |i: usize| {
            let bits = series.bits(i as u64);
            (0..4).map(|k| (bits >> (16 * k) & 0xffff) as f32 / 65536.0 - 0.5).sum::<f32>() * 1.7
        };
        let mut row: Vec<f32> = (0..len).map(&mut normal).collect();
        match kind {
            0 => {}
            1 => row.iter_mut().for_each(|x| *x = (*x * 16.0).round() / 16.0),
            2 => (0..200).for_each(|i| row[i * 7919 % len] = 18.0 - 2.0 * (i as f32 + 1.0).ln()),
            3 => row.sort_by(f32::total_cmp),
            4 => row.sort_by(|a, b| b.total_cmp(a)),
            5 => row.fill(0.25),
            // Every sixteenth value of one chunk: a single block, whose maximum hides the others.
            6 => (0..60).for_each(|i| row[2048 + 16 * i] = 9.0 + i as f32 / 64.0),
            _ => row.iter_mut().for_each(|x| *x *= 9.0),
        }
        for i in (0..len).step_by(1_001) {
            row[i] = f32::NEG_INFINITY;
        }
        row
    })
}
