//! The state of a decoder: keys and values in blocks that forked rows share until they diverge, and
//! what recurrent mixers remember.

mod block;
mod recurrent;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use candle_core::{Result, Tensor};

pub(crate) use self::block::{BLOCK, CacheLayout, KeyValues};
pub(crate) use self::recurrent::{Advanced, Recurrent};
use crate::error::StateError;
use crate::language_model::{RowId, State};

/// What the rows of one model's states are made of. States of one model share one layout, which is
/// also how the model knows them.
pub(crate) trait Layout: Debug + Send + Sync + 'static {
    /// Keys and values of [`BLOCK`] positions, of all attentions.
    type Block: Debug + Send + Sync;
    /// What one recurrent mixer remembers of a row. It is never written to, so rows may share it.
    type Recurrent: Debug + Send + Sync;

    fn block(&self) -> Result<Self::Block>;
    /// A copy that shares nothing.
    fn duplicate(&self, block: &Self::Block) -> Result<Self::Block>;
    fn block_bytes(&self) -> usize;
    fn recurrent_bytes(&self, recurrent: &Self::Recurrent) -> usize;
    /// Whether rows cannot go back.
    fn is_recurrent(&self) -> bool;
}

/// The rows of one state.
///
/// Blocks hold a fixed number of positions, so a row grows without moving what it holds. They are
/// counted by reference: a fork copies pointers, and the only block that is ever copied is the last
/// one of a row, half full and shared, at the moment when one of its owners writes to it.
#[derive(Debug)]
pub(crate) struct Cache<L: Layout> {
    layout: Arc<L>,
    rows: BTreeMap<RowId, Row<L>>,
    next_id: u64,
}

/// One row; cloning it is what forking means.
///
/// Between calls it has exactly the blocks that `len` positions need. While a call runs it may have
/// more, and what is written behind `len` becomes part of the row when [`Row::commit`] says so.
#[derive(Debug)]
pub(crate) struct Row<L: Layout> {
    len: usize,
    blocks: Vec<Arc<L::Block>>,
    /// What recurrent mixers remember of the row's tokens, by slot; nothing of an empty row.
    recurrent: BTreeMap<usize, Arc<L::Recurrent>>,
}

impl<L: Layout> Clone for Row<L> {
    fn clone(&self) -> Self {
        Self { len: self.len, blocks: self.blocks.clone(), recurrent: self.recurrent.clone() }
    }
}

impl<L: Layout> Default for Row<L> {
    fn default() -> Self {
        Self { len: 0, blocks: Vec::new(), recurrent: BTreeMap::new() }
    }
}

impl<L: Layout> Cache<L> {
    pub(crate) fn new(layout: Arc<L>) -> Self {
        Self { layout, rows: BTreeMap::new(), next_id: 0 }
    }

    pub(crate) fn layout(&self) -> &Arc<L> {
        &self.layout
    }

    pub(crate) fn row(&self, row: RowId) -> std::result::Result<&Row<L>, StateError> {
        self.rows.get(&row).ok_or(StateError::UnknownRow { row })
    }

    pub(crate) fn row_mut(&mut self, row: RowId) -> std::result::Result<&mut Row<L>, StateError> {
        self.rows.get_mut(&row).ok_or(StateError::UnknownRow { row })
    }

    /// Makes what a call has come to part of the rows.
    pub(crate) fn advance(
        &mut self,
        advanced: Advanced<L::Recurrent>,
    ) -> std::result::Result<(), StateError> {
        for ((row, slot), recurrent) in advanced {
            self.row_mut(row)?.recurrent.insert(slot, Arc::new(recurrent));
        }
        Ok(())
    }

    fn insert(&mut self, row: Row<L>) -> RowId {
        let id = RowId::new(self.next_id);
        self.next_id += 1;
        self.rows.insert(id, row);
        id
    }
}

impl<L: Layout> State for Cache<L> {
    fn new_row(&mut self) -> RowId {
        self.insert(Row::default())
    }

    fn fork(&mut self, row: RowId) -> std::result::Result<RowId, StateError> {
        let copy = self.row(row)?.clone();
        Ok(self.insert(copy))
    }

    fn reorder(&mut self, parents: &[RowId]) -> std::result::Result<Vec<RowId>, StateError> {
        let rows = parents.iter().map(|parent| self.row(*parent).cloned());
        let rows = rows.collect::<std::result::Result<Vec<_>, _>>()?;
        self.rows.clear();
        Ok(rows.into_iter().map(|row| self.insert(row)).collect())
    }

    fn truncate(&mut self, row: RowId, len: usize) -> std::result::Result<(), StateError> {
        let held = self.row(row)?.len;
        if len > held {
            return Err(StateError::TooShort { row, held, len });
        }
        if self.layout.is_recurrent() && len < held {
            return Err(StateError::NoWayBack { row, held, len });
        }
        self.row_mut(row)?.commit(len);
        Ok(())
    }

    fn drop_row(&mut self, row: RowId) -> std::result::Result<(), StateError> {
        let dropped = self.rows.remove(&row);
        dropped.map(drop).ok_or(StateError::UnknownRow { row })
    }

    fn len(&self, row: RowId) -> std::result::Result<usize, StateError> {
        Ok(self.row(row)?.len)
    }

    fn bytes(&self) -> usize {
        let blocks = self.rows.values().flat_map(|row| &row.blocks);
        let distinct: HashSet<_> = blocks.map(Arc::as_ptr).collect();
        let recurrent = self.rows.values().flat_map(|row| row.recurrent.values());
        let recurrent: HashMap<_, _> = recurrent
            .map(|recurrent| (Arc::as_ptr(recurrent), self.layout.recurrent_bytes(recurrent)))
            .collect();
        distinct.len() * self.layout.block_bytes() + recurrent.values().sum::<usize>()
    }
}

impl<L: Layout> Row<L> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What a recurrent mixer remembers of the row, or `None` if the row is empty.
    pub(crate) fn recurrent(&self, slot: usize) -> Option<&L::Recurrent> {
        self.recurrent.get(&slot).map(|recurrent| &**recurrent)
    }

    /// Makes room for `added` positions that this row alone can write to.
    pub(crate) fn reserve(&mut self, added: usize, layout: &L) -> Result<()> {
        if !self.len.is_multiple_of(BLOCK)
            && let Some(last) = self.blocks.last_mut()
            && Arc::get_mut(last).is_none()
        {
            *last = Arc::new(layout.duplicate(last)?);
        }
        while self.blocks.len() * BLOCK < self.len + added {
            self.blocks.push(Arc::new(layout.block()?));
        }
        Ok(())
    }

    /// The block of a position, if it is this row's alone: those that [`reserve`](Self::reserve)
    /// made are.
    pub(crate) fn block_mut(&mut self, position: usize) -> Option<&mut L::Block> {
        Arc::get_mut(self.blocks.get_mut(position / BLOCK)?)
    }

    /// From now on the row holds `len` positions, which may be fewer than before.
    pub(crate) fn commit(&mut self, len: usize) {
        self.len = len;
        self.blocks.truncate(len.div_ceil(BLOCK));
    }

    /// Gives back what [`reserve`](Self::reserve) made.
    pub(crate) fn roll_back(&mut self) {
        self.commit(self.len);
    }

    /// The blocks that cover `positions`, each with the part of it that does.
    pub(crate) fn parts(
        &self,
        positions: Range<usize>,
    ) -> impl Iterator<Item = (&L::Block, Range<usize>)> {
        let first = positions.start / BLOCK;
        let blocks = self.blocks.iter().enumerate().skip(first);
        blocks.map_while(move |(index, block)| {
            let start = positions.start.max(index * BLOCK);
            let end = positions.end.min((index + 1) * BLOCK);
            let offset = index * BLOCK;
            (start < end).then(|| (&**block, start - offset..end - offset))
        })
    }
}

impl Row<CacheLayout> {
    /// Stores keys and values, each `[kv_heads, n, head_dim]`, of one attention from `position` on.
    ///
    /// The positions must lie behind the row's length, in what [`reserve`](Self::reserve) made.
    pub(crate) fn write(
        &self,
        slot: usize,
        position: usize,
        keys: &Tensor,
        values: &Tensor,
    ) -> Result<()> {
        let mut written = 0;
        for (block, part) in self.parts(position..position + keys.dim(1)?) {
            let held = block.slot(slot);
            let piece = |of: &Tensor| of.narrow(1, written, part.len())?.contiguous();
            held.keys.slice_set(&piece(keys)?, 1, part.start)?;
            held.values.slice_set(&piece(values)?, 1, part.start)?;
            written += part.len();
        }
        Ok(())
    }

    /// Views of keys and values of one attention at `positions`, block by block: each
    /// `[kv_heads, n, head_dim]`.
    pub(crate) fn read(&self, slot: usize, positions: Range<usize>) -> Result<Vec<KeyValues>> {
        self.parts(positions)
            .map(|(block, part)| {
                let held = block.slot(slot);
                Ok(KeyValues {
                    keys: held.keys.narrow(1, part.start, part.len())?,
                    values: held.values.narrow(1, part.start, part.len())?,
                })
            })
            .collect()
    }
}
