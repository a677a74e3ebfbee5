//! From tokens to text that can be shown: never half a character, never part of a stop string.

use taper_models::tokenizers::Tokenizer;
pub use taper_sampling::Piece;
use taper_sampling::TextStream;

use crate::error::RunError;

/// What stands for bytes that are not, or not yet, a character.
const REPLACEMENT: char = '\u{FFFD}';

/// Prompt tokens that the first generated token is decoded after. Some decoders treat the start of
/// a text specially (they drop a leading space), so a token must not be decoded alone.
const CONTEXT: usize = 8;

/// Turns the tokens of one sequence into text as they come.
///
/// Two things are held back until the next tokens settle them: bytes that do not make a character
/// yet, and text that may turn out to be the beginning of a stop string. What was released is
/// never taken back. Special tokens have no text.
#[derive(Debug, Clone)]
pub struct Detokenizer<'t> {
    tokenizer: &'t Tokenizer,
    /// The tokens that still matter: those before `read` are context, those after are new.
    window: Vec<u32>,
    read: usize,
    /// Text of the new tokens that was handed on to `text` already, in bytes.
    taken: usize,
    /// Holds back what may be the beginning of a stop string.
    text: TextStream,
}

impl<'t> Detokenizer<'t> {
    /// Continues the text of `prompt`; `stops` are the stop strings, none of them empty.
    pub fn new(tokenizer: &'t Tokenizer, prompt: &[u32], stops: &[String]) -> Self {
        let window = prompt[prompt.len().saturating_sub(CONTEXT)..].to_vec();
        let read = window.len();
        let text = TextStream::new().stops(stops.iter().cloned());
        Self { tokenizer, window, read, taken: 0, text }
    }

    /// Takes a token.
    ///
    /// # Errors
    ///
    /// [`RunError::Tokenizer`] when the tokenizer fails.
    pub fn push(&mut self, token: u32) -> Result<Piece, RunError> {
        self.window.push(token);
        let new = self.new_text()?;
        // A character is complete once something follows it that is not a replacement.
        let settled = new.trim_end_matches(REPLACEMENT);
        let more = settled.get(self.taken..).unwrap_or_default();
        let piece = self.text.push_str(more);
        self.taken = self.taken.max(settled.len());
        if settled.len() == new.len() && !new.is_empty() {
            // Nothing is open: the next token needs only the last few as context.
            self.window.drain(..self.read);
            self.read = self.window.len();
            self.taken = 0;
        }
        Ok(piece)
    }

    /// All that is held back: there are no more tokens.
    ///
    /// # Errors
    ///
    /// [`RunError::Tokenizer`] when the tokenizer fails.
    pub fn finish(&mut self) -> Result<String, RunError> {
        let new = self.new_text()?;
        let last = self.text.push_str(new.get(self.taken..).unwrap_or_default());
        self.taken = new.len();
        Ok(last.text + &self.text.finish())
    }

    /// The text that the new tokens add to that of their context.
    fn new_text(&self) -> Result<String, RunError> {
        let context = decode(self.tokenizer, &self.window[..self.read])?;
        let mut all = decode(self.tokenizer, &self.window)?;
        // A decoder may change its mind about the end of the context; then what they share is old.
        let shared: usize = all
            .chars()
            .zip(context.chars())
            .take_while(|(a, b)| a == b)
            .map(|(a, _)| a.len_utf8())
            .sum();
        Ok(all.split_off(shared))
    }
}

fn decode(tokenizer: &Tokenizer, tokens: &[u32]) -> Result<String, RunError> {
    tokenizer.decode(tokens, true).map_err(|error| RunError::Tokenizer(error.to_string()))
}

/// The text of one token as it stands within a text, special tokens by their names.
///
/// # Errors
///
/// [`RunError::Tokenizer`] when the tokenizer fails.
pub fn token_text(tokenizer: &Tokenizer, token: u32) -> Result<String, RunError> {
    let decode = |tokens: &[u32]| {
        let text = tokenizer.decode(tokens, false);
        text.map_err(|error| RunError::Tokenizer(error.to_string()))
    };
    // The second of two shows the leading space that some decoders drop at the start of a text.
    let once = decode(&[token])?;
    let twice = decode(&[token, token])?;
    Ok(twice.strip_prefix(&once).map_or_else(|| once.clone(), str::to_owned))
}
