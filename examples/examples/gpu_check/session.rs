//! One row of one model, fed a token at a time.

use taper_models::{Decoder, LanguageModel, Outputs, RowId, State, Want, Work};

use crate::Error;

pub(crate) struct Session<'m> {
    model: &'m Decoder,
    state: Box<dyn State>,
    row: RowId,
    outputs: Outputs,
}

impl<'m> Session<'m> {
    pub(crate) fn new(model: &'m Decoder) -> Self {
        let mut state = model.new_state();
        let row = state.new_row();
        Self { model, state, row, outputs: Outputs::new() }
    }

    /// The logits behind the last of `tokens`, or behind each: on the host, so the device is done.
    pub(crate) fn append(&mut self, tokens: &[u32], want: Want) -> Result<&[f32], Error> {
        let work = [Work { row: self.row, tokens, want }];
        self.model.forward(&mut *self.state, &work, &mut self.outputs)?;
        Ok(self.outputs.logits(0))
    }

    /// The best token behind the last that was appended.
    pub(crate) fn best(&self) -> u32 {
        let row = self.outputs.last(0);
        let best = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]).then(b.cmp(&a)));
        best.unwrap_or(0) as u32
    }

    /// Memory of the state, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.state.bytes()
    }
}

/// Tokens without a pattern that a model could settle into.
pub(crate) fn prompt(length: usize, vocab_size: usize) -> Vec<u32> {
    (0..length).map(|i| ((i * i * 7 + i * 13 + 5) % vocab_size) as u32).collect()
}
