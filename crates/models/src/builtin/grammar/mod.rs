//! A small English of which every probability is known.
//!
//! The grammar writes documents: tales whose hero, home, friend and find are carried from the first
//! sentence to the last; facts such as capitals and sums; lists, some of which have a dominant
//! name and some of which are flat; rhymed verses; and passages in which the likeliest way on is
//! another round of the same. It is the corpus of the [builtin model](super), and the ruler the
//! model is measured with: [`Grammar::reader`] gives the exact distribution of the next word after
//! any beginning.
//!
//! The rules are written in plain text files beside this module; `source.rs` describes their
//! language.
//!
//! # Held-out sentences
//!
//! [`is_held_out`] puts one sentence in fifty aside, by a hash of its words, and
//! [`Grammar::training_document`] never writes one of these: where one comes up, the sentence is
//! drawn again. That moves the distribution of a sentence by at most what it loses, about two
//! parts in a hundred. Sentences of fewer than [`HELD_OUT_WORDS`] words are never held out: facts
//! and lines of lists have too few variants, and to leave out a capital is to leave out the fact.
//!
//! # Example
//!
//! ```
//! use taper_models::builtin::grammar::Grammar;
//!
//! let grammar = Grammar::builtin();
//! println!("{}", grammar.document(7, 0));
//!
//! let reader = grammar.reader_after("The capital of France is")?;
//! let next = reader.next_words();
//! assert_eq!((next[0].text.as_deref(), next[0].probability), (Some("Paris"), 1.0));
//! # Ok::<(), taper_models::builtin::grammar::GrammarError>(())
//! ```

mod machine;
mod reader;
mod source;
mod words;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use thiserror::Error;

use self::machine::{State, Stop};
pub use self::reader::{NextWord, Reader};

/// Sentences with fewer words than this are never held out.
pub const HELD_OUT_WORDS: usize = 9;
/// One sentence in this many is held out.
const HELD_OUT_ONE_IN: u64 = 50;
/// Variables a grammar may have.
const MAX_VARIABLES: usize = 16;

/// What is wrong with a text, or with a grammar.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GrammarError {
    /// The text leaves the grammar.
    #[error("the grammar does not write `{word}` after `{before}`")]
    Unexpected {
        /// What was read up to there.
        before: String,
        /// The word at fault.
        word: String,
    },
    /// The text is in the grammar as far as it goes, and stops too soon.
    #[error("the grammar does not end after `{before}`")]
    Unfinished {
        /// The whole text.
        before: String,
    },
    /// No kind of sentence is written like this.
    #[error("the grammar has no sentence `{sentence}`")]
    NotASentence {
        /// The sentence.
        sentence: String,
    },
    /// The blanks between the words are not those that the grammar writes.
    #[error("the words of `{text}` are not set apart by single blanks")]
    Blanks {
        /// The text.
        text: String,
    },
    /// A definition in the grammar's source is faulty.
    #[error("in `{definition}`: {problem}")]
    Source {
        /// Header of the definition.
        definition: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// A weighted grammar: what may be written, and how likely it is.
#[derive(Debug)]
pub struct Grammar {
    tables: Tables,
}

/// The grammar in numbers: names have become indices.
#[derive(Debug, Default)]
struct Tables {
    rules: Vec<Rule>,
    classes: Vec<Class>,
    entries: Vec<Entry>,
    /// Variables that are free again with every sentence.
    sentence_variables: Vec<usize>,
    /// The symbol that a document begins with.
    start: Vec<Symbol>,
}

#[derive(Debug)]
struct Rule {
    name: String,
    is_sentence: bool,
    probabilities: Vec<f64>,
    alternatives: Vec<Vec<Symbol>>,
}

#[derive(Debug)]
struct Class {
    probabilities: Vec<f64>,
    /// Indices into the table of entries, which all classes share so that unions cost nothing.
    entries: Vec<usize>,
}

#[derive(Debug)]
struct Entry {
    first: Vec<Symbol>,
    fields: Vec<(usize, Vec<Symbol>)>,
}

#[derive(Debug)]
enum Symbol {
    Word(String),
    Rule(usize),
    Slot { class: usize, variable: Option<usize>, field: Option<usize> },
    Article,
    Capital,
}

impl Entry {
    /// What the entry writes for a field; the reader has checked that it has it.
    fn field(&self, field: Option<usize>) -> &[Symbol] {
        let named = |wanted| self.fields.iter().find(|(name, _)| *name == wanted);
        field.and_then(named).map_or(&self.first, |(_, symbols)| symbols)
    }
}

impl Grammar {
    /// The grammar that the builtin model was trained on.
    pub fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<Grammar> = LazyLock::new(|| {
            let sources = [include_str!("source/documents.txt"), include_str!("source/tales.txt")];
            let tables = source::read(&sources);
            Grammar {
                tables: tables.expect("the sources are part of the crate, and a test reads them"),
            }
        });
        &BUILTIN
    }

    /// Document number `index` of the corpus `seed`: the same on every machine.
    pub fn document(&self, seed: u64, index: u64) -> String {
        self.draw(seed, index, |_| true)
    }

    /// The same, without the sentences that are [held out](is_held_out).
    pub fn training_document(&self, seed: u64, index: u64) -> String {
        self.draw(seed, index, |sentence| !is_held_out(sentence))
    }

    /// A reader at the start of a document.
    pub fn reader(&self) -> Reader<'_> {
        Reader::new(&self.tables, &self.tables.start)
    }

    /// A reader that has read `beginning`.
    ///
    /// # Errors
    ///
    /// [`GrammarError::Unexpected`] or [`GrammarError::Blanks`] when no document begins like this.
    pub fn reader_after(&self, beginning: &str) -> Result<Reader<'_>, GrammarError> {
        let mut reader = self.reader();
        reader.read_text(beginning)?;
        Ok(reader)
    }

    /// Natural logarithm of the probability of a whole document, its end included.
    ///
    /// # Errors
    ///
    /// [`GrammarError`] when the grammar does not write `document`.
    pub fn log_probability(&self, document: &str) -> Result<f64, GrammarError> {
        let mut reader = self.reader();
        Ok(reader.read_text(document)? + reader.end()?)
    }

    /// Which kind of sentence `sentence` is, read by itself: whatever a document before it could
    /// have settled is taken to be settled so that it fits.
    ///
    /// # Errors
    ///
    /// [`GrammarError::NotASentence`] when it is none.
    pub fn parse_sentence(&self, sentence: &str) -> Result<&str, GrammarError> {
        let is_a = |rule: &Rule, index| {
            let symbol = [Symbol::Rule(index)];
            let mut reader = Reader::new(&self.tables, &symbol);
            rule.is_sentence && reader.read_text(sentence).and_then(|_| reader.end()).is_ok()
        };
        let mut rules = self.tables.rules.iter().enumerate();
        let kind = rules.find(|(index, rule)| is_a(rule, *index));
        kind.map(|(_, rule)| rule.name.as_str())
            .ok_or_else(|| GrammarError::NotASentence { sentence: sentence.to_owned() })
    }

    /// The distinct words that the grammar may write, in lower case, without punctuation.
    pub fn vocabulary(&self) -> BTreeSet<String> {
        let texts = self.tables.rules.iter().flat_map(|rule| &rule.alternatives);
        let phrases = self.tables.entries.iter().flat_map(Entry::phrases);
        let words = texts.chain(phrases).flatten().filter_map(|symbol| match symbol {
            Symbol::Word(word) => Some(word.to_lowercase()),
            _ => None,
        });
        let articles = ["a", "an"].map(str::to_owned);
        words.chain(articles).filter(|word| word.starts_with(char::is_alphabetic)).collect()
    }

    /// Draws a document; a sentence that `keep` refuses is drawn again from where it began.
    fn draw(&self, seed: u64, index: u64, keep: impl Fn(&str) -> bool) -> String {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(index);
        let mut state = State::new(&self.tables.start);
        let mut text = String::new();
        let mut sentence_start = (state.clone(), 0);
        loop {
            match state.run(&self.tables) {
                Stop::End => return text,
                Stop::Choice(choice) => {
                    let branch = pick(choice.probabilities, &mut rng);
                    state.take(&self.tables, &choice, branch);
                }
                Stop::Word(word) => {
                    words::append(&mut text, &word);
                    if !words::ends_sentence(&word) {
                        continue;
                    }
                    if keep(text[sentence_start.1..].trim_start()) {
                        sentence_start = (state.clone(), text.len());
                    } else {
                        state = sentence_start.0.clone();
                        text.truncate(sentence_start.1);
                    }
                }
            }
        }
    }
}

impl Entry {
    fn phrases(&self) -> impl Iterator<Item = &Vec<Symbol>> {
        std::iter::once(&self.first).chain(self.fields.iter().map(|(_, phrase)| phrase))
    }
}

/// The sentences of a text that the grammar wrote; the last may be cut short.
pub fn sentences(text: &str) -> impl Iterator<Item = &str> {
    words::sentences(text)
}

/// Whether `sentence` is kept out of [`Grammar::training_document`]: one in fifty of those that
/// have at least [`HELD_OUT_WORDS`] words, by the FNV-1a hash of its words.
pub fn is_held_out(sentence: &str) -> bool {
    let words = words::split(sentence);
    let is_word = |word: &&&str| word.starts_with(char::is_alphanumeric);
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in words.join(" ").bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    // The low bits of FNV-1a are its weakest, so the high half decides.
    words.iter().filter(is_word).count() >= HELD_OUT_WORDS
        && (hash >> 32).is_multiple_of(HELD_OUT_ONE_IN)
}

/// Draws an index in proportion to its probability.
fn pick(probabilities: &[f64], rng: &mut ChaCha8Rng) -> usize {
    let mut left = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    for (index, probability) in probabilities.iter().enumerate() {
        left -= probability;
        if left < 0.0 {
            return index;
        }
    }
    probabilities.len() - 1
}

#[cfg(test)]
mod tests;
