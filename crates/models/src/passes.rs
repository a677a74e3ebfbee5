//! Cutting the work of a call into passes, and refusing what cannot be done.

use std::collections::HashSet;
use std::ops::Range;

use crate::cache::{Cache, Layout};
use crate::error::{ModelError, StateError};
use crate::language_model::{RowId, Want, Work};
use crate::spec::DecoderSpec;

/// New tokens of one row within a pass.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Index of the piece of work that they belong to.
    pub(crate) work: usize,
    pub(crate) row: RowId,
    /// Which tokens of that work they are.
    pub(crate) tokens: Range<usize>,
    /// Position of the first of them in the row.
    pub(crate) position: usize,
}

impl Segment {
    /// Of how many of its last tokens the logits are wanted.
    pub(crate) fn wanted(&self, piece: &Work<'_>) -> usize {
        match piece.want {
            Want::All => self.tokens.len(),
            Want::Last => usize::from(self.tokens.end == piece.tokens.len()),
        }
    }
}

/// Refuses work that a model of this spec cannot do on these rows.
pub(crate) fn check<L: Layout>(
    spec: &DecoderSpec,
    cache: &Cache<L>,
    work: &[Work<'_>],
) -> Result<(), ModelError> {
    let (vocab_size, limit) = (spec.vocab_size, spec.context_length);
    let mut rows = HashSet::new();
    for &Work { row, tokens, .. } in work {
        let held = cache.row(row)?.len();
        if !rows.insert(row) {
            return Err(ModelError::RepeatedRow { row });
        }
        if tokens.is_empty() {
            return Err(ModelError::EmptyWork { row });
        }
        if let Some(&token) = tokens.iter().find(|token| **token as usize >= vocab_size) {
            return Err(ModelError::TokenOutOfRange { token, vocab_size });
        }
        if tokens.len() > limit - held {
            return Err(ModelError::ContextOverflow { row, held, added: tokens.len(), limit });
        }
    }
    Ok(())
}

/// Cuts the work into passes of at most `limit` tokens, in order.
pub(crate) fn passes<L: Layout>(
    cache: &Cache<L>,
    work: &[Work<'_>],
    limit: usize,
) -> Result<Vec<Vec<Segment>>, StateError> {
    let (mut passes, mut pass, mut room) = (Vec::new(), Vec::new(), limit);
    for (index, piece) in work.iter().enumerate() {
        let held = cache.row(piece.row)?.len();
        let mut start = 0;
        while start < piece.tokens.len() {
            let end = piece.tokens.len().min(start + room);
            pass.push(Segment {
                work: index,
                row: piece.row,
                tokens: start..end,
                position: held + start,
            });
            room -= end - start;
            start = end;
            if room == 0 {
                passes.push(std::mem::take(&mut pass));
                room = limit;
            }
        }
    }
    if !pass.is_empty() {
        passes.push(pass);
    }
    Ok(passes)
}
