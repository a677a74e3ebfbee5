//! The memory that a step's candidates work in.

use alloc::vec::Vec;

use super::account::Recorder;
use super::overlay;
use super::pending::CutMemo;
use crate::kernels::gather::Fringe;
use crate::kernels::rows::{blocks_for, chunks_for};
use crate::kernels::select::guess::Histogram;
use crate::kernels::select::weighted::SelectionScratch;

/// The buffers a [`Candidates`](super::Candidates) works in, sized for a vocabulary once.
#[derive(Debug)]
pub(crate) struct Buffers {
    /// Scores before the pending temperature: the edited row, or the list's values.
    pub(super) values: Vec<f32>,
    /// The list's token ids, ascending.
    pub(super) ids: Vec<u32>,
    /// Edits over the caller's row, slots ascending.
    pub(super) overlay: Vec<(u32, f32)>,
    pub(super) block_max: Vec<f32>,
    /// The mass of the candidates in each chunk, see [`Chunks`](super::known::Chunks).
    pub(super) chunk_mass: Vec<u64>,
    pub(super) weights: Vec<f32>,
    pub(super) histogram: Histogram,
    /// The part of the candidates in which a cut falls.
    pub(super) fringe: Fringe,
    pub(super) fringe_masses: Vec<u64>,
    /// The next `values` while a cut reads the present ones.
    pub(super) spare: Vec<f32>,
    /// Priorities among equals, or the masses of those at one distance.
    pub(super) numbers: Vec<u64>,
    /// Lent to stages that keep account of something, see [`Candidates::with_words`](super::Candidates::with_words).
    pub(super) words: Vec<u64>,
    pub(super) selection: SelectionScratch,
    pub(super) cut_memo: CutMemo,
    pub(crate) recorder: Recorder,
}

impl Buffers {
    pub(crate) fn for_vocabulary(size: usize) -> Self {
        Self {
            values: Vec::with_capacity(size),
            ids: Vec::with_capacity(size),
            overlay: Vec::with_capacity(overlay::room_for(size)),
            block_max: Vec::with_capacity(blocks_for(size)),
            chunk_mass: Vec::with_capacity(chunks_for(size)),
            weights: alloc::vec![0.0; size],
            histogram: Histogram::new(),
            fringe: Fringe::for_vocabulary(size),
            fringe_masses: Vec::with_capacity(size),
            spare: Vec::with_capacity(size),
            numbers: Vec::with_capacity(size),
            // A window of the text may be longer than a small vocabulary.
            words: Vec::with_capacity(size.max(4096)),
            selection: SelectionScratch::for_vocabulary(size),
            cut_memo: CutMemo::default(),
            recorder: Recorder::for_vocabulary(size),
        }
    }
}
