//! Rows of token ids to train on.

use candle_core::{Device, Tensor};
use taper_models::builtin::grammar::Grammar;
use tokenizers::Tokenizer;

/// The training corpus, one document after the other; none is seen twice.
pub(crate) struct Rows<'t> {
    tokenizer: &'t Tokenizer,
    eos: u32,
    seed: u64,
    next_document: u64,
}

impl<'t> Rows<'t> {
    /// The corpus `seed` from its first document on.
    pub(crate) fn new(tokenizer: &'t Tokenizer, eos: u32, seed: u64) -> Self {
        Self { tokenizer, eos, seed, next_document: 0 }
    }

    /// The next `rows` rows of `length` inputs, with what follows each: two tensors of shape
    /// `[rows, length]`.
    ///
    /// Every row begins at the start of a document, because that is where a prompt stands; what of
    /// its last document does not fit is left out.
    pub(crate) fn batch(
        &mut self,
        rows: usize,
        length: usize,
    ) -> tokenizers::Result<(Tensor, Tensor)> {
        let (mut inputs, mut targets) = (Vec::new(), Vec::new());
        for _ in 0..rows {
            let row = self.row(length + 1)?;
            inputs.extend_from_slice(&row[..length]);
            targets.extend_from_slice(&row[1..]);
        }
        let tensor = |ids| Tensor::from_vec(ids, (rows, length), &Device::Cpu);
        Ok((tensor(inputs)?, tensor(targets)?))
    }

    fn row(&mut self, length: usize) -> tokenizers::Result<Vec<u32>> {
        let mut row = Vec::new();
        while row.len() < length {
            let document = Grammar::builtin().training_document(self.seed, self.next_document);
            self.next_document += 1;
            row.extend(self.tokenizer.encode_fast(document, true)?.get_ids());
            row.push(self.eos);
        }
        row.truncate(length);
        Ok(row)
    }
}
