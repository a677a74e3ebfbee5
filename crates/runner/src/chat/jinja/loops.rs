//! `loop`: where a `for` is.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::ast::For;
use super::call::Args;
use super::compare::{equal, truthy};
use super::execute::assign;
use super::iterate::Walk;
use super::machine::Machine;
use super::raise::{Outcome, type_error, unsupported};
use super::scope::Scope;
use super::value::Value;

#[derive(Debug)]
pub(super) struct Loop {
    pub(super) node: Arc<For>,
    pub(super) scope: Rc<Scope>,
    iterable: Value,
    walk: RefCell<Walk>,
    /// What was read ahead.
    ahead: RefCell<Option<Value>>,
    pub(super) depth: i128,
    index: Cell<i128>,
    length: Cell<Option<i128>>,
    items: RefCell<[Option<Value>; 2]>,
    changed: RefCell<Option<Value>>,
    /// Whether what is left to walk over has passed the loop's own test.
    tested: Cell<bool>,
}

/// What a template may ask of a loop.
pub(super) const ATTRIBUTES: [&str; 13] = [
    "index",
    "index0",
    "revindex",
    "revindex0",
    "first",
    "last",
    "length",
    "previtem",
    "nextitem",
    "depth",
    "depth0",
    "cycle",
    "changed",
];

impl Loop {
    pub(super) fn new(
        node: &Arc<For>,
        scope: &Rc<Scope>,
        iterable: Value,
        depth: i128,
    ) -> Outcome<Self> {
        Ok(Self {
            node: node.clone(),
            scope: scope.clone(),
            walk: RefCell::new(Walk::of(&iterable)?),
            iterable,
            ahead: RefCell::default(),
            depth,
            index: Cell::new(-1),
            length: Cell::new(None),
            items: RefCell::default(),
            changed: RefCell::default(),
            tested: Cell::new(node.test.is_none()),
        })
    }

    /// The next item that the loop's own test lets through.
    fn pull(&self, machine: &mut Machine<'_>) -> Outcome<Option<Value>> {
        loop {
            let Ok(mut walk) = self.walk.try_borrow_mut() else {
                return Err(unsupported("a loop that asks for its own next item is not supported"));
            };
            let item = walk.next()?;
            drop(walk);
            let test = self.node.test.as_ref().filter(|_| !self.tested.get());
            let (Some(item), Some(test)) = (&item, test) else { return Ok(item) };
            let scope = Scope::inside(&self.scope);
            assign(&self.node.target, item, &scope)?;
            if truthy(&machine.eval(test, &scope)?) {
                return Ok(Some(item.clone()));
            }
        }
    }

    pub(super) fn next(&self, machine: &mut Machine<'_>) -> Outcome<Option<Value>> {
        let ahead = self.ahead.borrow_mut().take();
        let item = match ahead {
            Some(item) => Some(item),
            None => self.pull(machine)?,
        };
        if let Some(item) = &item {
            self.index.set(self.index.get() + 1);
            let mut items = self.items.borrow_mut();
            let current = items[1].replace(item.clone());
            items[0] = current;
        }
        Ok(item)
    }

    fn peek(&self, machine: &mut Machine<'_>) -> Outcome<Option<Value>> {
        let ahead = self.ahead.borrow().clone();
        if ahead.is_some() {
            return Ok(ahead);
        }
        let item = self.pull(machine)?;
        self.ahead.borrow_mut().clone_from(&item);
        Ok(item)
    }

    pub(super) fn length(&self, machine: &mut Machine<'_>) -> Outcome<i128> {
        if let Some(length) = self.length.get() {
            return Ok(length);
        }
        let known = if self.node.test.is_none() { self.iterable.len() } else { None };
        let length = if let Some(length) = known {
            length as i128
        } else {
            let mut rest = Vec::new();
            while let Some(item) = self.pull(machine)? {
                rest.push(item);
            }
            let ahead = self.ahead.borrow().is_some();
            let length = rest.len() as i128 + self.index.get() + 1 + i128::from(ahead);
            *self.walk.borrow_mut() = Walk::List(rest.into_iter());
            self.tested.set(true);
            length
        };
        self.length.set(Some(length));
        Ok(length)
    }

    pub(super) fn attribute(
        &self,
        name: &str,
        machine: &mut Machine<'_>,
    ) -> Outcome<Option<Value>> {
        let index = self.index.get();
        Ok(Some(match name {
            "index0" => Value::Int(index),
            "index" => Value::Int(index + 1),
            "length" => Value::Int(self.length(machine)?),
            "revindex" => Value::Int(self.length(machine)? - index),
            "revindex0" => Value::Int(self.length(machine)? - index - 1),
            "first" => Value::Bool(index == 0),
            "last" => Value::Bool(self.peek(machine)?.is_none()),
            "depth0" => Value::Int(self.depth),
            "depth" => Value::Int(self.depth + 1),
            "previtem" if index == 0 => Value::undefined("there is no previous item"),
            "previtem" => self.items.borrow()[0].clone().unwrap_or(Value::None),
            "nextitem" => {
                let next = self.peek(machine)?;
                next.unwrap_or_else(|| Value::undefined("there is no next item"))
            }
            _ => return Ok(None),
        }))
    }

    pub(super) fn call(&self, name: &str, args: Args) -> Outcome<Value> {
        args.no_keywords(name)?;
        let values = args.positional;
        if name == "cycle" {
            if values.is_empty() {
                return Err(type_error("no items for cycling given"));
            }
            let at = self.index.get().rem_euclid(values.len() as i128);
            return Ok(values[at as usize].clone());
        }
        let now = Value::tuple(values);
        let before = self.changed.borrow_mut().replace(now.clone());
        Ok(Value::Bool(!before.is_some_and(|before| equal(&before, &now))))
    }

    pub(super) fn describe(&self, machine: &mut Machine<'_>) -> Outcome<String> {
        Ok(format!("<LoopContext {}/{}>", self.index.get() + 1, self.length(machine)?))
    }
}
