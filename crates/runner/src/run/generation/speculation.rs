//! Guesses at the next tokens, so that one pass of the model may settle several.

use std::time::Instant;

use taper_models::{Outputs, RowId, State, Want, Work};
use taper_sampling::{Guess, Workspace};

use super::super::marks::refuse_marks;
use super::sequence::Sequence;
use super::{Generation, Source};
use crate::error::{RequestError, RunError, refuse};
use crate::outcome::SpeculationReport;

/// Where guesses come from.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Draft<'m> {
    /// The text itself: where its last tokens stood before, what followed them there.
    PromptLookup {
        /// Most tokens to guess at once.
        tokens: usize,
        /// Most last tokens to look for; fewer if they are not found.
        max_ngram: usize,
    },
    /// A smaller model with the same tokens.
    Model {
        /// The model.
        source: Source<'m>,
        /// Tokens to guess at once.
        tokens: usize,
    },
}

#[derive(Debug)]
pub(super) struct Speculation<'m> {
    draft: Draft<'m>,
    drafting: Option<Drafting>,
    pub(super) report: SpeculationReport,
}

/// The draft model at work.
#[derive(Debug)]
struct Drafting {
    state: Box<dyn State>,
    row: RowId,
    /// What the row holds.
    held: Vec<u32>,
    outputs: Outputs,
    workspace: Workspace,
}

impl<'m> Generation<'m> {
    /// The same run with guesses, of which the model verifies several in one pass. The tokens keep
    /// their distribution. With [`Draft::PromptLookup`], and wherever nothing is drawn, they are
    /// those that the seed gives without guesses, up to the rounding of passes of another shape.
    ///
    /// # Errors
    ///
    /// When there are several sequences, when the run is guided, when no token or n-gram may be guessed by, when the model
    /// cannot return the logits of all positions or its state can go back neither by truncation nor
    /// by a fork, and when the draft model has other tokens or a state that cannot be truncated.
    pub fn speculate(mut self, draft: Draft<'m>) -> Result<Self, RequestError> {
        let by = match draft {
            Draft::PromptLookup { .. } => "prompt_lookup_num_tokens",
            Draft::Model { .. } => "a draft model",
        };
        let sequences = self.config.streams();
        if sequences != 1 {
            // Their number has one of two names.
            return match self.config.best_of {
                Some(all) => refuse("best_of", all, format!("1 with {by}")),
                None => refuse("num_return_sequences", sequences, format!("1 with {by}")),
            };
        }
        if self.config.guide.is_some() {
            let scale = self.config.generation.guidance_scale.unwrap_or(1.0);
            return refuse("guidance_scale", scale, format!("1 with {by}"));
        }
        refuse_marks(&self.pipeline, by)?;
        let can = self.source.model.capabilities();
        let able = can.all_positions && (can.truncate || can.fork);
        let (key, tokens) = match draft {
            Draft::PromptLookup { tokens, max_ngram: 0 } if tokens > 0 => {
                return refuse("max_matching_ngram_size", 0, "at least 1");
            }
            Draft::PromptLookup { tokens, .. } => ("prompt_lookup_num_tokens", tokens),
            Draft::Model { tokens, .. } => ("num_assistant_tokens", tokens),
        };
        if tokens == 0 || !able {
            let domain =
                if able { "at least 1" } else { "left out: the model cannot verify guesses" };
            return refuse(key, tokens, domain);
        }
        let drafting = match draft {
            Draft::PromptLookup { .. } => None,
            Draft::Model { source, .. } => {
                Some(Drafting::new(source, self.source.model.vocab_size())?)
            }
        };
        let report = SpeculationReport::default();
        self.speculation = Some(Speculation { draft, drafting, report });
        Ok(self)
    }

    /// Passes guesses through the model behind the last token of the only sequence, and chooses as
    /// long as they turn out right. Behind the last right one the model's own choice comes for
    /// nothing.
    pub(super) fn speculative_round(&mut self) -> Result<(), RunError> {
        let sequence = &self.sequences[0];
        let (Some(row), None, Some(speculation)) =
            (sequence.row(), sequence.finish, &mut self.speculation)
        else {
            return Ok(());
        };
        let (made, held) = (sequence.made(), sequence.history().tokens().len());
        let wanted = self.config.generation.max_new_tokens.unwrap_or(usize::MAX) - made;
        let most = (wanted - 1).min(self.source.model.context_length() - held);
        let began = Instant::now();
        let guesses = speculation.propose(sequence, most)?;
        let can = self.source.model.capabilities();
        let spare = if can.truncate { None } else { Some(self.state.fork(row)?) };
        let last = sequence.history().tokens()[held - 1];
        let tokens: Vec<u32> =
            std::iter::once(last).chain(guesses.iter().map(Guess::token)).collect();
        let work = [Work { row, tokens: &tokens, want: Want::All }];
        let dtype = self.config.logits_dtype;
        let passed = dtype.forward(self.source.model, &mut *self.state, &work, &mut self.outputs);
        self.clock.decode += began.elapsed();
        passed?;
        let right = self.verify(&guesses)?;
        self.take_back(row, spare, held, &tokens[..=right], guesses.len() - right)
    }

    /// Chooses token after token from the logits of the pass, and says how many guesses were right.
    fn verify(&mut self, guesses: &[Guess]) -> Result<usize, RunError> {
        let mut right = 0;
        loop {
            let guess = guesses.get(right);
            let token = self.choose(0, 0, Some(right), guess)?;
            self.clock.decoded += 1;
            let hit = guess.is_some_and(|guess| guess.token() == token);
            right += usize::from(hit);
            if !hit || self.sequences[0].finish.is_some() {
                break;
            }
        }
        if let Some(speculation) = &mut self.speculation {
            speculation.report.accepted += right;
        }
        Ok(right)
    }

    /// Leaves in the model's state what it held, `held - 1` tokens, and those of `kept`; `wrong` ones
    /// behind them go.
    fn take_back(
        &mut self,
        row: RowId,
        spare: Option<RowId>,
        held: usize,
        kept: &[u32],
        wrong: usize,
    ) -> Result<(), RunError> {
        let Some(spare) = spare else {
            if wrong > 0 {
                self.state.truncate(row, held - 1 + kept.len())?;
            }
            return Ok(());
        };
        if wrong == 0 {
            self.state.drop_row(spare)?;
            return Ok(());
        }
        self.state.drop_row(row)?;
        self.sequences[0].move_to(spare);
        let work = [Work { row: spare, tokens: kept, want: Want::Last }];
        let dtype = self.config.logits_dtype;
        dtype.forward(self.source.model, &mut *self.state, &work, &mut self.outputs)?;
        Ok(())
    }
}

impl Speculation<'_> {
    /// At most `most` guesses at what follows a sequence.
    pub(super) fn propose(
        &mut self,
        sequence: &Sequence<'_>,
        most: usize,
    ) -> Result<Vec<Guess>, RunError> {
        let guesses = match (self.draft, &mut self.drafting) {
            (Draft::PromptLookup { tokens, max_ngram }, _) => {
                let text = sequence.history().tokens();
                let found = look_up(text, max_ngram, tokens.min(most));
                found.iter().map(|&token| Guess::certain(token)).collect()
            }
            (Draft::Model { source, tokens }, Some(drafting)) => {
                drafting.guess(source, sequence, tokens.min(most))?
            }
            (Draft::Model { .. }, None) => Vec::new(),
        };
        self.report.proposed += guesses.len();
        self.report.passes += 1;
        Ok(guesses)
    }
}

/// What followed the first earlier place of the longest ending that has one, as Hugging Face's
/// `PromptLookupCandidateGenerator` finds it.
fn look_up(text: &[u32], max_ngram: usize, most: usize) -> &[u32] {
    for size in (1..=max_ngram.min(text.len().saturating_sub(1))).rev() {
        let ending = &text[text.len() - size..];
        let earlier = text[..text.len() - 1].windows(size).position(|window| window == ending);
        if let Some(at) = earlier {
            let start = at + size;
            return &text[start..text.len().min(start + most)];
        }
    }
    &[]
}

impl Drafting {
    fn new(source: Source<'_>, vocab_size: usize) -> Result<Self, RequestError> {
        let own = source.model.vocab_size();
        if own != vocab_size {
            let domain = format!("a model with the same {vocab_size} tokens; it has {own}");
            return refuse("draft_model", source.name, domain);
        }
        if !source.model.capabilities().truncate {
            return refuse("draft_model", source.name, "a model whose state can be truncated");
        }
        let mut state = source.model.new_state();
        let row = state.new_row();
        let (outputs, workspace) = (Outputs::new(), Workspace::new(own));
        Ok(Self { state, row, held: Vec::new(), outputs, workspace })
    }

    /// Goes on from the sequence by the draft's own choices, each with the past that it has.
    fn guess(
        &mut self,
        source: Source<'_>,
        sequence: &Sequence<'_>,
        count: usize,
    ) -> Result<Vec<Guess>, RunError> {
        // A stream of its own: the sequence's is what verifies.
        let mut draft = sequence.draft(u64::MAX);
        let mut guesses = Vec::with_capacity(count);
        // The draft may hold less than the target.
        let room = source.model.context_length().saturating_sub(draft.history().tokens().len());
        for _ in 0..count.min(room) {
            self.catch_up(source, draft.history().tokens())?;
            // A row that the draft can make nothing of ends the guessing, not the run.
            let Ok(guess) = draft.guess(self.outputs.last(0), &mut self.workspace) else { break };
            draft.accept(guess.token())?;
            guesses.push(guess);
        }
        Ok(guesses)
    }

    /// Lets the draft's row hold just these tokens, and computes the logits that follow.
    fn catch_up(&mut self, source: Source<'_>, tokens: &[u32]) -> Result<(), RunError> {
        let same = self.held.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        let keep = same.min(tokens.len() - 1);
        if keep < self.held.len() {
            self.state.truncate(self.row, keep)?;
        }
        let work = [Work { row: self.row, tokens: &tokens[keep..], want: Want::Last }];
        source.model.forward(&mut *self.state, &work, &mut self.outputs)?;
        self.held = tokens.to_vec();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_ending_is_looked_up_first() {
        let text = [1, 2, 3, 9, 2, 3, 4, 2, 3];
        assert_eq!(look_up(&text, 3, 2), [9, 2]);
        assert_eq!(look_up(&[5, 1, 2, 7, 3, 2, 8, 1, 2], 2, 3), [7, 3, 2]);
        assert_eq!(look_up(&[5, 3, 2, 8, 1, 2], 2, 9), [8, 1, 2]);
        assert_eq!(look_up(&[1, 1], 2, 4), [1]);
        assert!(look_up(&[1, 2, 3], 2, 4).is_empty());
        assert!(look_up(&[1], 2, 4).is_empty() && look_up(&[1, 1], 2, 0).is_empty());
    }
}
