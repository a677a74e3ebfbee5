//! Names and what they stand for, from the innermost scope outwards.

use std::cell::RefCell;
use std::rc::Rc;

use super::value::Value;

#[derive(Debug, Default)]
pub(super) struct Scope {
    names: RefCell<Vec<(String, Value)>>,
    outer: Option<Rc<Scope>>,
}

impl Scope {
    pub(super) fn new(names: Vec<(String, Value)>) -> Rc<Self> {
        Rc::new(Self { names: RefCell::new(names), outer: None })
    }

    pub(super) fn inside(outer: &Rc<Self>) -> Rc<Self> {
        Rc::new(Self { names: RefCell::default(), outer: Some(outer.clone()) })
    }

    pub(super) fn set(&self, name: &str, value: Value) {
        let mut names = self.names.borrow_mut();
        if let Some((_, of)) = names.iter_mut().find(|(of, _)| of == name) {
            *of = value;
            return;
        }
        names.push((name.to_owned(), value));
    }

    pub(super) fn get(&self, name: &str) -> Option<Value> {
        let mut scope = self;
        loop {
            if let Some((_, value)) = scope.names.borrow().iter().find(|(of, _)| of == name) {
                return Some(value.clone());
            }
            scope = scope.outer.as_deref()?;
        }
    }
}
