//! Jinja as Python's jinja2 renders it in the set-up of transformers: an immutable sandbox with
//! `trim_blocks`, `lstrip_blocks`, loop controls and `{% generation %}`.
//!
//! Values, operators, methods, tests and filters are Python's, errors included. What Python does and
//! this does not is an error of the kind [`UNSUPPORTED`](raise::UNSUPPORTED), never another prompt.

#![expect(
    clippy::unnecessary_box_returns,
    reason = "an error is boxed wherever it is made, so that results stay small"
)]

mod access;
mod arithmetic;
mod ast;
mod budget;
mod call;
mod check;
mod compare;
mod definitions;
mod dumps;
mod execute;
mod expressions;
mod filters;
mod format_spec;
mod format_string;
mod html;
mod is;
mod iterate;
mod lexer;
mod literal;
mod loops;
mod machine;
mod methods;
mod parser;
mod percent;
mod postfix;
mod raise;
mod repr;
mod scope;
mod unicode;
mod value;

use serde_json::Value as Json;

use machine::Machine;
use parser::Tree;
pub(super) use raise::{Raise, UNSUPPORTED};
use scope::Scope;
use value::Value;

/// A template that was read. Threads may share it.
#[derive(Debug)]
pub(super) struct Template(Tree);

impl Template {
    pub(super) fn new(source: &str) -> Result<Self, Box<Raise>> {
        let tree = parser::parse(source)?;
        check::check(&tree)?;
        Ok(Self(tree))
    }

    /// What it puts out when it sees these names.
    pub(super) fn render<'n>(
        &self,
        names: impl IntoIterator<Item = (&'n str, &'n Json)>,
    ) -> Result<String, Box<Raise>> {
        budget::begin();
        let given = names.into_iter().map(|(name, json)| (name.to_owned(), Value::from_json(json)));
        let outer = Scope::new(given.collect());
        let root = Scope::inside(&outer);
        let mut out = String::new();
        Machine::new(&self.0, root.clone()).run(&self.0.body, &root, &mut out)?;
        budget::check()?;
        Ok(out)
    }
}
