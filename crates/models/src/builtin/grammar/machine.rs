//! The grammar as a machine that writes one word at a time.
//!
//! A [`State`] is a stack of what is still to be written, with the variables drawn so far. It runs
//! by itself up to the next [`Choice`]; whoever drives it then picks one branch (to draw a text) or
//! follows them all (to know what may come next, and how likely it is).

use std::borrow::Cow;

use super::{Class, MAX_VARIABLES, Symbol, Tables};

/// What is still to be written, the innermost text last, and what has been settled.
#[derive(Debug, Clone)]
pub(super) struct State<'g> {
    stack: Vec<&'g [Symbol]>,
    /// The entry each variable was bound to.
    bound: [Option<usize>; MAX_VARIABLES],
    /// The next word begins with a capital.
    capital: bool,
    /// "a" or "an" is due before the next word.
    article: bool,
    /// A word that waits behind its article.
    queued: Option<&'g str>,
}

/// Where a state stopped.
pub(super) enum Stop<'g> {
    Word(Cow<'g, str>),
    Choice(Choice<'g>),
    End,
}

/// Several ways to go on.
pub(super) struct Choice<'g> {
    /// How likely each is; they sum to one.
    pub(super) probabilities: &'g [f64],
    branches: Branches<'g>,
}

enum Branches<'g> {
    Alternatives(&'g [Vec<Symbol>]),
    Entries { class: &'g Class, variable: Option<usize>, field: Option<usize> },
}

impl<'g> State<'g> {
    /// About to write `symbols`, with nothing settled.
    pub(super) fn new(symbols: &'g [Symbol]) -> Self {
        Self {
            stack: vec![symbols],
            bound: [None; MAX_VARIABLES],
            capital: false,
            article: false,
            queued: None,
        }
    }

    /// Runs up to the next word, the next choice, or the end.
    pub(super) fn run(&mut self, tables: &'g Tables) -> Stop<'g> {
        if let Some(word) = self.queued.take() {
            return Stop::Word(Cow::Borrowed(word));
        }
        while let Some(top) = self.stack.pop() {
            let Some((symbol, rest)) = top.split_first() else {
                continue;
            };
            if !rest.is_empty() {
                self.stack.push(rest);
            }
            match symbol {
                Symbol::Word(word) => return Stop::Word(self.spelled(word)),
                Symbol::Capital => self.capital = true,
                Symbol::Article => self.article = true,
                Symbol::Rule(index) => {
                    let rule = &tables.rules[*index];
                    if rule.is_sentence {
                        for variable in &tables.sentence_variables {
                            self.bound[*variable] = None;
                        }
                    }
                    return Stop::Choice(Choice {
                        probabilities: &rule.probabilities,
                        branches: Branches::Alternatives(&rule.alternatives),
                    });
                }
                Symbol::Slot { class, variable, field } => {
                    if let Some(entry) = variable.and_then(|variable| self.bound[variable]) {
                        self.stack.push(tables.entries[entry].field(*field));
                        continue;
                    }
                    let class = &tables.classes[*class];
                    return Stop::Choice(Choice {
                        probabilities: &class.probabilities,
                        branches: Branches::Entries { class, variable: *variable, field: *field },
                    });
                }
            }
        }
        Stop::End
    }

    /// Takes one branch of the choice at which this state stopped.
    pub(super) fn take(&mut self, tables: &'g Tables, choice: &Choice<'g>, branch: usize) {
        let symbols = match choice.branches {
            Branches::Alternatives(alternatives) => &alternatives[branch],
            Branches::Entries { class, variable, field } => {
                let entry = class.entries[branch];
                if let Some(variable) = variable {
                    self.bound[variable] = Some(entry);
                }
                tables.entries[entry].field(field)
            }
        };
        self.stack.push(symbols);
    }

    /// The word as it is written here; if an article is due, the article, and the word waits.
    fn spelled(&mut self, word: &'g str) -> Cow<'g, str> {
        let mut written = word;
        if std::mem::take(&mut self.article) {
            self.queued = Some(word);
            written = if asks_for_an(word) { "an" } else { "a" };
        }
        if !std::mem::take(&mut self.capital) {
            return Cow::Borrowed(written);
        }
        let mut letters = written.chars();
        let first = letters.next().into_iter().flat_map(char::to_uppercase);
        Cow::Owned(first.chain(letters).collect())
    }
}

/// One way to write the next word.
#[derive(Debug)]
pub(super) struct Emission<'g> {
    /// `None` at the end of the document.
    pub(super) word: Option<Cow<'g, str>>,
    pub(super) probability: f64,
    /// What follows the word.
    pub(super) state: State<'g>,
}

/// Follows every branch from `state` to its next word.
pub(super) fn expand<'g>(
    tables: &'g Tables,
    mut state: State<'g>,
    probability: f64,
    emissions: &mut Vec<Emission<'g>>,
) {
    let word = match state.run(tables) {
        Stop::Choice(choice) => {
            for (branch, share) in choice.probabilities.iter().enumerate() {
                let mut state = state.clone();
                state.take(tables, &choice, branch);
                expand(tables, state, probability * share, emissions);
            }
            return;
        }
        Stop::Word(word) => Some(word),
        Stop::End => None,
    };
    emissions.push(Emission { word, probability, state });
}

/// Whether `word` is spoken with a vowel at its start.
fn asks_for_an(word: &str) -> bool {
    word.starts_with(['a', 'e', 'i', 'o', 'u']) || word == "honest"
}
