//! Reading along with the grammar: what may come next, and how likely it is.

use std::collections::BTreeMap;

use super::machine::{Emission, State, expand};
use super::{GrammarError, Symbol, Tables, words};

/// A word that may come next.
#[derive(Debug, Clone, PartialEq)]
pub struct NextWord {
    /// The word without the blank before it, `"\n"` for a line break, `None` for the end of the
    /// document.
    pub text: Option<String>,
    /// How likely it is.
    pub probability: f64,
}

/// A place in a document: everything that the grammar may have meant so far.
///
/// It is a forward pass over the grammar: every state that agrees with the words read, each with its
/// share. Probabilities are exact up to rounding, whether or not a text has several derivations.
#[derive(Debug, Clone)]
pub struct Reader<'g> {
    tables: &'g Tables,
    /// The states the grammar may be in; the shares sum to one.
    beliefs: Vec<(f64, State<'g>)>,
    text: String,
}

impl<'g> Reader<'g> {
    pub(super) fn new(tables: &'g Tables, symbols: &'g [Symbol]) -> Self {
        Self { tables, beliefs: vec![(1.0, State::new(symbols))], text: String::new() }
    }

    /// The distribution of the next word, likeliest first.
    pub fn next_words(&self) -> Vec<NextWord> {
        let mut shares = BTreeMap::new();
        for emission in self.emissions() {
            *shares.entry(emission.word).or_insert(0.0) += emission.probability;
        }
        let mut next: Vec<NextWord> = (shares.into_iter())
            .map(|(word, probability)| NextWord { text: word.map(Into::into), probability })
            .collect();
        next.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        next
    }

    /// Entropy of the next word in nats.
    pub fn entropy(&self) -> f64 {
        let next = self.next_words();
        -next.iter().map(|word| word.probability * word.probability.ln()).sum::<f64>()
    }

    /// Reads one word and returns the natural logarithm of its probability.
    ///
    /// # Errors
    ///
    /// [`GrammarError::Unexpected`] when the grammar does not write `word` here; the reader stays
    /// where it was.
    pub fn read(&mut self, word: &str) -> Result<f64, GrammarError> {
        let probability = self.advance(Some(word)).ok_or_else(|| GrammarError::Unexpected {
            before: self.text.clone(),
            word: word.to_owned(),
        })?;
        words::append(&mut self.text, word);
        Ok(probability.ln())
    }

    /// Reads a piece of text and returns the natural logarithm of its probability.
    ///
    /// # Errors
    ///
    /// [`GrammarError::Unexpected`] when the grammar does not write it here, upon which the reader
    /// stands before the first word that does not fit; [`GrammarError::Blanks`] when its words are
    /// not set apart as the grammar sets them.
    pub fn read_text(&mut self, text: &str) -> Result<f64, GrammarError> {
        let read = words::split(text);
        let mut written = self.text.clone();
        for word in &read {
            words::append(&mut written, word);
        }
        if !written.ends_with(text) {
            return Err(GrammarError::Blanks { text: text.to_owned() });
        }
        read.iter().map(|word| self.read(word)).sum()
    }

    /// Reads the end of the document and returns the natural logarithm of its probability.
    ///
    /// # Errors
    ///
    /// [`GrammarError::Unfinished`] when the grammar cannot end here.
    pub fn end(&mut self) -> Result<f64, GrammarError> {
        let probability = self.advance(None);
        let unfinished = || GrammarError::Unfinished { before: self.text.clone() };
        Ok(probability.ok_or_else(unfinished)?.ln())
    }

    /// What was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Keeps the states that write `word`, and returns how likely it was.
    fn advance(&mut self, word: Option<&str>) -> Option<f64> {
        let mut emissions = self.emissions();
        emissions.retain(|emission| emission.word.as_deref() == word);
        let probability: f64 = emissions.iter().map(|emission| emission.probability).sum();
        if emissions.is_empty() {
            return None;
        }
        let share = |emission: Emission<'g>| (emission.probability / probability, emission.state);
        self.beliefs = emissions.into_iter().map(share).collect();
        Some(probability)
    }

    fn emissions(&self) -> Vec<Emission<'g>> {
        let mut emissions = Vec::new();
        for (share, state) in &self.beliefs {
            expand(self.tables, state.clone(), *share, &mut emissions);
        }
        emissions
    }
}
