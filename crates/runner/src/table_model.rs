//! A model that is a table, for tests and for the study of decoding by itself.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use taper_models::{
    Capabilities, LanguageModel, ModelError, Outputs, RowId, State, StateError, Work,
};

/// A language model whose next-token logits are `table[last token]`.
///
/// It can do all that a [`LanguageModel`] can be asked for, at no cost, so that what is seen of a
/// run is the decoding alone.
///
/// ```
/// use taper_runner::TableModel;
/// use taper_runner::models::LanguageModel;
/// let two_tokens = TableModel::new(vec![vec![0.0, 1.0], vec![1.0, 0.0]], 16)?;
/// assert_eq!(two_tokens.vocab_size(), 2);
/// # Ok::<(), taper_runner::TableError>(())
/// ```
#[derive(Debug, Clone)]
pub struct TableModel {
    table: Arc<Vec<Vec<f32>>>,
    context_length: usize,
}

/// Why a table is no model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The table has no rows.
    #[error("the table is empty; it must have a row of logits for each token")]
    Empty,
    /// A row does not have one logit for each token.
    #[error(
        "row {row} of the table has {len} logits; there are {vocab_size} rows, so it must have as many"
    )]
    RowLength {
        /// Index of the row.
        row: usize,
        /// Its length.
        len: usize,
        /// Number of rows.
        vocab_size: usize,
    },
}

impl TableModel {
    /// A model of `table.len()` tokens; row `t` holds the logits that follow the token `t`.
    ///
    /// # Errors
    ///
    /// When the table is empty or not square.
    pub fn new(table: Vec<Vec<f32>>, context_length: usize) -> Result<Self, TableError> {
        let vocab_size = table.len();
        if vocab_size == 0 {
            return Err(TableError::Empty);
        }
        match table.iter().position(|row| row.len() != vocab_size) {
            Some(row) => Err(TableError::RowLength { row, len: table[row].len(), vocab_size }),
            None => Ok(Self { table: Arc::new(table), context_length }),
        }
    }

    fn check(&self, state: &TableState, work: &[Work<'_>]) -> Result<(), ModelError> {
        for (i, piece) in work.iter().enumerate() {
            let row = piece.row;
            let (held, added) = (state.len(row)?, piece.tokens.len());
            if added == 0 {
                return Err(ModelError::EmptyWork { row });
            }
            if work[..i].iter().any(|earlier| earlier.row == row) {
                return Err(ModelError::RepeatedRow { row });
            }
            if held + added > self.context_length {
                return Err(ModelError::ContextOverflow {
                    row,
                    held,
                    added,
                    limit: self.context_length,
                });
            }
            let vocab_size = self.table.len();
            if let Some(&token) = piece.tokens.iter().find(|&&t| t as usize >= vocab_size) {
                return Err(ModelError::TokenOutOfRange { token, vocab_size });
            }
        }
        Ok(())
    }
}

impl LanguageModel for TableModel {
    fn family(&self) -> &'static str {
        "table"
    }

    fn vocab_size(&self) -> usize {
        self.table.len()
    }

    fn context_length(&self) -> usize {
        self.context_length
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::ALL
    }

    fn new_state(&self) -> Box<dyn State> {
        Box::new(TableState { table: Arc::clone(&self.table), rows: BTreeMap::new(), next: 0 })
    }

    fn forward(
        &self,
        state: &mut dyn State,
        work: &[Work<'_>],
        outputs: &mut Outputs,
    ) -> Result<(), ModelError> {
        let state: &mut dyn Any = state;
        let state = state.downcast_mut::<TableState>().ok_or(ModelError::ForeignState)?;
        if !Arc::ptr_eq(&self.table, &state.table) {
            return Err(ModelError::ForeignState);
        }
        self.check(state, work)?;
        outputs.reset(self.table.len(), work);
        for (i, piece) in work.iter().enumerate() {
            let positions = piece.want.positions(piece.tokens.len());
            let wanted = &piece.tokens[piece.tokens.len() - positions..];
            let rows = outputs.logits_mut(i).chunks_exact_mut(self.table.len());
            for (row, &token) in rows.zip(wanted) {
                row.copy_from_slice(&self.table[token as usize]);
            }
            state.rows.entry(piece.row).or_default().extend_from_slice(piece.tokens);
        }
        Ok(())
    }
}

/// The tokens of each row.
#[derive(Debug)]
struct TableState {
    /// That of the model, by which the model knows its own states.
    table: Arc<Vec<Vec<f32>>>,
    rows: BTreeMap<RowId, Vec<u32>>,
    next: u64,
}

impl TableState {
    fn tokens(&self, row: RowId) -> Result<&Vec<u32>, StateError> {
        self.rows.get(&row).ok_or(StateError::UnknownRow { row })
    }

    fn add(&mut self, tokens: Vec<u32>) -> RowId {
        let row = RowId::new(self.next);
        self.next += 1;
        self.rows.insert(row, tokens);
        row
    }
}

impl State for TableState {
    fn new_row(&mut self) -> RowId {
        self.add(Vec::new())
    }

    fn fork(&mut self, row: RowId) -> Result<RowId, StateError> {
        let tokens = self.tokens(row)?.clone();
        Ok(self.add(tokens))
    }

    fn reorder(&mut self, parents: &[RowId]) -> Result<Vec<RowId>, StateError> {
        let tokens: Vec<_> =
            parents.iter().map(|&row| self.tokens(row).cloned()).collect::<Result<_, _>>()?;
        self.rows.clear();
        Ok(tokens.into_iter().map(|tokens| self.add(tokens)).collect())
    }

    fn truncate(&mut self, row: RowId, len: usize) -> Result<(), StateError> {
        let tokens = self.rows.get_mut(&row).ok_or(StateError::UnknownRow { row })?;
        if len > tokens.len() {
            return Err(StateError::TooShort { row, held: tokens.len(), len });
        }
        tokens.truncate(len);
        Ok(())
    }

    fn drop_row(&mut self, row: RowId) -> Result<(), StateError> {
        self.rows.remove(&row).map(drop).ok_or(StateError::UnknownRow { row })
    }

    fn len(&self, row: RowId) -> Result<usize, StateError> {
        self.tokens(row).map(Vec::len)
    }

    fn bytes(&self) -> usize {
        self.rows.values().map(|tokens| tokens.capacity() * size_of::<u32>()).sum()
    }
}

#[cfg(test)]
mod tests {
    use taper_models::Want;

    use super::*;

    #[test]
    fn rows_go_their_own_ways() -> Result<(), Box<dyn std::error::Error>> {
        let model = TableModel::new(vec![vec![0.0, 1.0], vec![2.0, 3.0]], 4)?;
        let (mut state, mut outputs) = (model.new_state(), Outputs::new());
        let row = state.new_row();
        let prompt = Work { row, tokens: &[0, 1, 0], want: Want::All };
        model.forward(&mut *state, &[prompt], &mut outputs)?;
        assert_eq!(outputs.logits(0), [0.0, 1.0, 2.0, 3.0, 0.0, 1.0]);
        let fork = state.fork(row)?;
        let one = |row| [Work { row, tokens: &[1], want: Want::Last }];
        model.forward(&mut *state, &one(row), &mut outputs)?;
        assert_eq!((state.len(row)?, state.len(fork)?), (4, 3));
        let overflow = model.forward(&mut *state, &one(row), &mut outputs);
        assert!(matches!(overflow, Err(ModelError::ContextOverflow { held: 4, limit: 4, .. })));
        state.truncate(row, 1)?;
        assert_eq!(state.len(row)?, 1);
        let mut stranger = TableModel::new(vec![vec![0.0]], 4)?.new_state();
        let row = stranger.new_row();
        let foreign = model.forward(&mut *stranger, &one(row), &mut outputs);
        assert!(matches!(foreign, Err(ModelError::ForeignState)));
        Ok(())
    }

    #[test]
    fn a_table_must_be_square() {
        assert_eq!(TableModel::new(vec![], 1).err(), Some(TableError::Empty));
        let ragged = TableModel::new(vec![vec![0.0, 1.0], vec![0.0]], 1);
        let expected = TableError::RowLength { row: 1, len: 1, vocab_size: 2 };
        assert_eq!(ragged.err(), Some(expected));
    }
}
