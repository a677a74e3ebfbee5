//! The language in which the grammar is written, and its reader.
//!
//! A file is a sequence of definitions: a header at the start of a line, then indented lines.
//!
//! - `rule NAME` and `sentence NAME`: each indented line is one alternative, alike in weight unless
//!   it begins with a weight such as `3x`. A `sentence` is a rule that writes exactly one sentence,
//!   upon which its `%variables` are free again.
//! - `class NAME [flat] [: FIELD…]`: a list of entries. Without fields every word is an entry, with
//!   fields every line is one. `_` stands for a space, and `WORD*5` weighs 5. Unweighted entries
//!   are alike in weight if the class is `flat`; else the n-th weighs `1/sqrt(n)`.
//! - `union NAME CLASS…`: the classes together, every entry alike in weight.
//!
//! In an alternative `/` breaks the line, and braces stand for what is filled in:
//!
//! - `{name}` is a rule, or an entry of a class, drawn afresh; `{a}` is "a" or "an", whichever the
//!   next word asks for; a `^` at the start writes the next word with a capital.
//! - `{$name}` is a variable: an entry of the class `name`, drawn at its first mention and kept to
//!   the end of the document. `{%name}` is kept to the end of the sentence. `{$name:class}` draws
//!   from another class.
//! - `.field` at the end picks a field; the first is the default.

use std::collections::HashMap;
use std::iter::once;

use super::words::LINE_BREAK;
use super::{Class, Entry, GrammarError, MAX_VARIABLES, Rule, Symbol, Tables, words};

/// Reads the grammar written in `sources`; the rule called `document` is where it begins.
pub(super) fn read(sources: &[&str]) -> Result<Tables, GrammarError> {
    let mut definitions = Vec::new();
    for source in sources {
        definitions.extend(Definition::list(source)?);
    }
    let mut reader = Reader::new(&definitions)?;
    for definition in &definitions {
        reader.define(definition).map_err(|problem| GrammarError::Source {
            definition: definition.header.to_owned(),
            problem,
        })?;
    }
    reader.finish()
}

/// A header and the lines under it, blanks and comments left out.
struct Definition<'s> {
    header: &'s str,
    keyword: &'s str,
    name: &'s str,
    lines: Vec<&'s str>,
}

impl<'s> Definition<'s> {
    fn list(source: &'s str) -> Result<Vec<Self>, GrammarError> {
        let mut list: Vec<Self> = Vec::new();
        let is_text = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
        for line in source.lines().filter(is_text) {
            if !line.starts_with(' ') {
                let mut parts = line.split_whitespace();
                list.push(Self {
                    header: line,
                    keyword: parts.next().unwrap_or_default(),
                    name: parts.next().unwrap_or_default(),
                    lines: Vec::new(),
                });
            } else if let Some(definition) = list.last_mut() {
                definition.lines.push(line.trim());
            } else {
                return Err(GrammarError::Source {
                    definition: line.to_owned(),
                    problem: "is indented, but no header stands above it".to_owned(),
                });
            }
        }
        Ok(list)
    }
}

/// What a name stands for.
#[derive(Clone, Copy)]
enum Name {
    Rule(usize),
    Class(usize),
}

struct Reader<'s> {
    names: HashMap<&'s str, Name>,
    fields: HashMap<&'s str, usize>,
    variables: HashMap<&'s str, usize>,
    tables: Tables,
}

impl<'s> Reader<'s> {
    /// Gives every definition and every field its number, so that texts may refer ahead.
    fn new(definitions: &[Definition<'s>]) -> Result<Self, GrammarError> {
        let mut reader = Self {
            names: HashMap::new(),
            fields: HashMap::new(),
            variables: HashMap::new(),
            tables: Tables::default(),
        };
        let (mut rules, mut classes) = (0.., 0..);
        for definition in definitions {
            let counter = match definition.keyword {
                "rule" | "sentence" => rules.next().map(Name::Rule),
                _ => classes.next().map(Name::Class),
            };
            if let Some(name) = counter
                && reader.names.insert(definition.name, name).is_some()
            {
                return Err(GrammarError::Source {
                    definition: definition.header.to_owned(),
                    problem: "is defined twice".to_owned(),
                });
            }
            for field in column_names(definition.header) {
                let next = reader.fields.len();
                reader.fields.entry(field).or_insert(next);
            }
        }
        Ok(reader)
    }

    fn define(&mut self, definition: &Definition<'s>) -> Result<(), String> {
        match definition.keyword {
            "rule" | "sentence" => {
                let rule = self.rule(definition)?;
                self.tables.rules.push(rule);
            }
            "class" => {
                let class = self.class(definition)?;
                self.tables.classes.push(class);
            }
            "union" => {
                let class = self.union(definition.header)?;
                self.tables.classes.push(class);
            }
            other => return Err(format!("`{other}` is none of rule, sentence, class, union")),
        }
        Ok(())
    }

    fn rule(&mut self, definition: &Definition<'s>) -> Result<Rule, String> {
        let mut weights = Vec::new();
        let mut alternatives = Vec::new();
        for line in &definition.lines {
            let weighted = line.split_once("x ").and_then(|(weight, text)| {
                let weight: f64 = weight.parse().ok()?;
                Some((weight, text))
            });
            let (weight, text) = weighted.unwrap_or((1.0, line));
            weights.push(weight);
            alternatives.push(self.symbols(text)?);
        }
        Ok(Rule {
            name: definition.name.to_owned(),
            is_sentence: definition.keyword == "sentence",
            probabilities: normalised(&weights)?,
            alternatives,
        })
    }

    fn class(&mut self, definition: &Definition<'s>) -> Result<Class, String> {
        let columns = column_names(definition.header).count();
        let flat = definition.header.split_whitespace().nth(2) == Some("flat");
        let (mut weights, mut entries) = (Vec::new(), Vec::new());
        let rows = definition.lines.iter().flat_map(|line| {
            let cells: Vec<&str> = line.split_whitespace().collect();
            cells.chunks(columns.max(1)).map(<[_]>::to_vec).collect::<Vec<_>>()
        });
        for (rank, mut row) in rows.enumerate() {
            let mut weight = if flat { 1.0 } else { 1.0 / (rank as f64 + 1.0).sqrt() };
            if let Some((word, given)) = row[0].split_once('*') {
                weight = given.parse().map_err(|_| format!("`{given}` is no weight"))?;
                row[0] = word;
            }
            if row.len() < columns {
                return Err(format!("the entry {row:?} has not {columns} fields"));
            }
            weights.push(weight);
            entries.push(self.entry(definition.header, &row));
        }
        Ok(Class { probabilities: normalised(&weights)?, entries })
    }

    /// Puts an entry into the table and returns its number.
    fn entry(&mut self, header: &'s str, cells: &[&str]) -> usize {
        let phrase = |cell: &&str| -> Vec<Symbol> {
            cell.split('_').map(|word| Symbol::Word(word.to_owned())).collect()
        };
        let named = column_names(header).zip(cells);
        self.tables.entries.push(Entry {
            first: phrase(&cells[0]),
            fields: named.map(|(name, cell)| (self.fields[name], phrase(cell))).collect(),
        });
        self.tables.entries.len() - 1
    }

    fn union(&self, header: &str) -> Result<Class, String> {
        let mut entries = Vec::new();
        for name in header.split_whitespace().skip(2) {
            let class = self.class_index(name)?;
            let class = self.tables.classes.get(class);
            let class = class.ok_or_else(|| format!("`{name}` must be defined above"))?;
            entries.extend(&class.entries);
        }
        Ok(Class { probabilities: normalised(&vec![1.0; entries.len()])?, entries })
    }

    /// One alternative: words, and what stands in braces.
    fn symbols(&mut self, text: &'s str) -> Result<Vec<Symbol>, String> {
        let mut symbols = Vec::new();
        let mut rest = text;
        while let Some((literal, tail)) = rest.split_once('{') {
            let (slot, tail) = tail.split_once('}').ok_or("a brace is not closed")?;
            symbols.extend(literal_words(literal));
            let plain = slot.strip_prefix('^');
            symbols.extend(plain.map(|_| Symbol::Capital));
            symbols.push(self.slot(plain.unwrap_or(slot))?);
            rest = tail;
        }
        symbols.extend(literal_words(rest));
        Ok(symbols)
    }

    fn slot(&mut self, slot: &'s str) -> Result<Symbol, String> {
        if slot == "a" {
            return Ok(Symbol::Article);
        }
        let (name, field) = match slot.split_once('.') {
            Some((name, field)) => (name, Some(field)),
            None => (slot, None),
        };
        let field = field
            .map(|field| {
                self.fields.get(field).copied().ok_or_else(|| format!("no field `{field}`"))
            })
            .transpose()?;
        let Some(variable) = name.strip_prefix(['$', '%']) else {
            return match self.names.get(name) {
                Some(Name::Rule(rule)) => Ok(Symbol::Rule(*rule)),
                _ => Ok(Symbol::Slot { class: self.class_index(name)?, variable: None, field }),
            };
        };
        let (variable, class) = variable.split_once(':').unwrap_or((variable, variable));
        let class = self.class_index(class)?;
        let next = self.variables.len();
        let index = *self.variables.entry(variable).or_insert(next);
        if name.starts_with('%') && !self.tables.sentence_variables.contains(&index) {
            self.tables.sentence_variables.push(index);
        }
        Ok(Symbol::Slot { class, variable: Some(index), field })
    }

    fn class_index(&self, name: &str) -> Result<usize, String> {
        match self.names.get(name) {
            Some(Name::Class(class)) => Ok(*class),
            _ => Err(format!("`{name}` is not defined as a class or a rule")),
        }
    }

    fn finish(mut self) -> Result<Tables, GrammarError> {
        let problem = match self.names.get("document") {
            Some(Name::Rule(start)) if self.variables.len() <= MAX_VARIABLES => {
                self.tables.start = once(Symbol::Rule(*start)).collect();
                return Ok(self.tables);
            }
            Some(Name::Rule(_)) => format!("there are more than {MAX_VARIABLES} variables"),
            _ => "there is no such rule to begin with".to_owned(),
        };
        Err(GrammarError::Source { definition: "rule document".to_owned(), problem })
    }
}

/// The fields that a header names after its colon.
fn column_names(header: &str) -> impl Iterator<Item = &str> {
    let (_, names) = header.split_once(':').unwrap_or((header, ""));
    names.split_whitespace()
}

fn literal_words(text: &str) -> impl Iterator<Item = Symbol> {
    let word = |word| if word == "/" { LINE_BREAK } else { word };
    words::split(text).into_iter().map(move |text| Symbol::Word(word(text).to_owned()))
}

fn normalised(weights: &[f64]) -> Result<Vec<f64>, String> {
    let total: f64 = weights.iter().sum();
    if !(total > 0.0) {
        return Err("has nothing to choose from".to_owned());
    }
    Ok(weights.iter().map(|weight| weight / total).collect())
}
