//! Going through values.

use std::cell::RefCell;
use std::rc::Rc;

use super::budget;
use super::raise::{Outcome, Raise, type_error};
use super::value::{Dict, Items, Range, Text, Value, View};

/// What can be gone through once: items, and the error that Python meets behind them.
#[derive(Debug)]
pub(super) struct Iter {
    state: RefCell<(std::vec::IntoIter<Value>, Option<Box<Raise>>)>,
    pub(super) class: &'static str,
}

impl Iter {
    pub(super) fn new(items: Vec<Value>, end: Option<Box<Raise>>, class: &'static str) -> Self {
        Self { state: RefCell::new((items.into_iter(), end)), class }
    }

    fn next(&self) -> Outcome<Option<Value>> {
        let (items, end) = &mut *self.state.borrow_mut();
        match items.next() {
            Some(item) => Ok(Some(item)),
            None => end.take().map_or(Ok(None), Err),
        }
    }
}

/// A walk over a value.
#[derive(Debug)]
pub(super) enum Walk {
    Items(Rc<Items>, usize),
    Chars(Text, usize),
    Bytes(Rc<[u8]>, usize),
    Range(Range, i128),
    View(View, Rc<Dict>, usize),
    Iter(Rc<Iter>),
    List(std::vec::IntoIter<Value>),
}

impl Walk {
    /// What Python's `iter` makes of a value.
    pub(super) fn of(value: &Value) -> Outcome<Self> {
        Ok(match value {
            Value::Undefined(_) => Self::List(Vec::new().into_iter()),
            Value::Str(text) => Self::Chars(text.plain(), 0),
            Value::Bytes(bytes) => Self::Bytes(bytes.clone(), 0),
            Value::List(items) | Value::Tuple(items) => Self::Items(items.clone(), 0),
            Value::Dict(dict) => Self::View(View::Keys, dict.clone(), 0),
            Value::View(view, dict) => Self::View(*view, dict.clone(), 0),
            Value::Range(range) => Self::Range(*range, 0),
            Value::Iter(iter) => Self::Iter(iter.clone()),
            _ => return Err(type_error(format!("'{}' object is not iterable", value.class()))),
        })
    }

    pub(super) fn next(&mut self) -> Outcome<Option<Value>> {
        budget::check()?;
        Ok(match self {
            Self::Items(items, at) => {
                *at += 1;
                items.get(*at - 1).cloned()
            }
            Self::Chars(text, at) => {
                let next = text.as_str()[*at..].chars().next();
                *at += next.map_or(0, char::len_utf8);
                next.map(Value::str)
            }
            Self::Bytes(bytes, at) => {
                *at += 1;
                bytes.get(*at - 1).map(|byte| Value::Int(i128::from(*byte)))
            }
            Self::Range(range, at) => {
                *at += 1;
                (*at <= range.len()).then(|| range.get(*at - 1))
            }
            Self::View(view, dict, at) => {
                *at += 1;
                dict.entries.get(*at - 1).map(|(key, value)| match view {
                    View::Keys => key.clone(),
                    View::Values => value.clone(),
                    View::Items => Value::tuple(vec![key.clone(), value.clone()]),
                })
            }
            Self::Iter(iter) => return iter.next(),
            Self::List(items) => items.next(),
        })
    }

    pub(super) fn rest(&mut self) -> Outcome<Vec<Value>> {
        let mut items = Vec::new();
        while let Some(item) = self.next()? {
            items.push(item);
        }
        Ok(items)
    }
}

/// All items of a value.
pub(super) fn items(value: &Value) -> Outcome<Vec<Value>> {
    Walk::of(value)?.rest()
}

/// Unpacks a value into `count` parts.
pub(super) fn unpack(value: &Value, count: usize) -> Outcome<Vec<Value>> {
    let unpacked = Walk::of(value).map_err(|error| match value {
        Value::Undefined(_) => error,
        _ => type_error(format!("cannot unpack non-iterable {} object", value.class())),
    })?;
    let items = { unpacked }.rest()?;
    if items.len() == count {
        return Ok(items);
    }
    let what = if items.len() < count {
        format!("not enough values to unpack (expected {count}, got {})", items.len())
    } else {
        format!("too many values to unpack (expected {count})")
    };
    Err(super::raise::value_error(what))
}
