//! Where the text of a beam ends: stop strings, for which each beam needs its text so far.

use taper_models::tokenizers::Tokenizer;
use taper_sampling::search::Reorder;

use crate::detokenizer::Detokenizer;
use crate::error::RunError;
use crate::outcome::FinishReason;

#[derive(Debug)]
pub(super) struct Ends<'m> {
    /// At the end of the prompt.
    start: Option<Detokenizer<'m>>,
    /// One for each beam, if there are stop strings to look for.
    beams: Option<Vec<Detokenizer<'m>>>,
    /// What went wrong while a search was asking.
    failed: Option<RunError>,
}

impl<'m> Ends<'m> {
    pub(super) fn new(tokenizer: Option<&'m Tokenizer>, prompt: &[u32], stops: &[String]) -> Self {
        let start = tokenizer.map(|tokenizer| Detokenizer::new(tokenizer, prompt, stops));
        let beams = start.clone().filter(|_| !stops.is_empty()).map(|start| vec![start]);
        Self { start, beams, failed: None }
    }

    /// Whether a token completes a stop string after a beam.
    pub(super) fn stops(&mut self, beam: usize, token: u32) -> Option<FinishReason> {
        let mut text = self.beams.as_ref()?[beam].clone();
        match text.push(token) {
            Ok(piece) => piece.stopped.then_some(FinishReason::StopString),
            Err(error) => {
                self.failed.get_or_insert(error);
                None
            }
        }
    }

    /// The error that [`stops`](Self::stops) met, if it met one.
    pub(super) fn check(&mut self) -> Result<(), RunError> {
        self.failed.take().map_or(Ok(()), Err)
    }

    pub(super) fn reorder(&mut self, next: &Reorder) -> Result<(), RunError> {
        let Some(beams) = &mut self.beams else { return Ok(()) };
        let continued = next.parents.iter().zip(&next.tokens).map(|(&parent, &token)| {
            let mut text = beams[parent].clone();
            text.push(token)?;
            Ok(text)
        });
        *beams = continued.collect::<Result<Vec<_>, RunError>>()?;
        Ok(())
    }

    /// The text of a sequence; it ends before a stop string.
    pub(super) fn text(&self, tokens: &[u32]) -> String {
        let (mut text, Some(mut detokenizer)) = (String::new(), self.start.clone()) else {
            return String::new();
        };
        for &token in tokens {
            // A tokenizer that fails here failed before; what it settled until then stands.
            let Ok(piece) = detokenizer.push(token) else { return text };
            text.push_str(&piece.text);
            if piece.stopped {
                return text;
            }
        }
        text.push_str(&detokenizer.finish().unwrap_or_default());
        text
    }
}
