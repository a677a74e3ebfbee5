//! Python's values, as far as templates meet them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde_json::Value as Json;

use super::ast::Macro;
use super::budget::Held;
use super::iterate::Iter;
use super::loops::Loop;
use super::scope::Scope;

#[derive(Debug, Clone)]
pub(super) enum Value {
    Undefined(Rc<Undefined>),
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Text),
    Bytes(Rc<[u8]>),
    List(Rc<Items>),
    Tuple(Rc<Items>),
    Dict(Rc<Dict>),
    Range(Range),
    /// `keys()`, `values()` or `items()` of a dictionary.
    View(View, Rc<Dict>),
    /// What can be gone through once.
    Iter(Rc<Iter>),
    Object(Rc<Object>),
}

/// Why a value is not there, and the class of the error when it is used.
#[derive(Debug)]
pub(super) struct Undefined {
    pub(super) kind: &'static str,
    pub(super) message: String,
}

/// A string, or markup, which escapes what it is joined with.
#[derive(Debug, Clone)]
pub(super) struct Text {
    inner: Rc<(String, Held)>,
    pub(super) markup: bool,
}

impl Text {
    pub(super) fn as_str(&self) -> &str {
        &self.inner.0
    }

    /// Whether two are one object.
    pub(super) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.inner, &other.inner)
    }

    pub(super) fn plain(&self) -> Self {
        Self { inner: self.inner.clone(), markup: false }
    }

    pub(super) fn as_markup(&self) -> Self {
        Self { inner: self.inner.clone(), markup: true }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        let held = Held::new(text.len() + 32);
        Self { inner: Rc::new((text, held)), markup: false }
    }
}

#[derive(Debug)]
pub(super) struct Items {
    all: Vec<Value>,
    /// Whether it is what `groupby` yields, which has names for its two items.
    pub(super) group: bool,
    _held: Held,
}

impl std::ops::Deref for Items {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.all
    }
}

impl Items {
    fn new(items: Vec<Value>, group: bool) -> Rc<Self> {
        let held = Held::new(items.len() * size_of::<Value>() + 32);
        Rc::new(Self { all: items, group, _held: held })
    }
}

/// A dictionary in the order of insertion.
#[derive(Debug)]
pub(super) struct Dict {
    pub(super) entries: Vec<(Value, Value)>,
    _held: Held,
}

impl Dict {
    /// Of entries whose keys differ.
    pub(super) fn new(entries: Vec<(Value, Value)>) -> Rc<Self> {
        let held = Held::new(entries.len() * size_of::<(Value, Value)>() + 32);
        Rc::new(Self { entries, _held: held })
    }

    pub(super) fn get(&self, key: &Value) -> Option<&Value> {
        super::budget::take(self.entries.len() / 16);
        let found = self.entries.iter().find(|(of, _)| super::compare::equal(of, key));
        found.map(|(_, value)| value)
    }

    pub(super) fn get_str(&self, key: &str) -> Option<&Value> {
        super::budget::take(self.entries.len() / 16);
        let is = |of: &Value| matches!(of, Value::Str(text) if text.as_str() == key);
        self.entries.iter().find(|(of, _)| is(of)).map(|(_, value)| value)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Keys,
    Values,
    Items,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) start: i128,
    pub(super) step: i128,
    pub(super) stop: i128,
}

impl Range {
    pub(super) fn len(self) -> i128 {
        let (low, high, step) = if self.step > 0 {
            (self.start, self.stop, self.step)
        } else {
            (self.stop, self.start, -self.step)
        };
        if low >= high { 0 } else { (high - low - 1) / step + 1 }
    }

    pub(super) fn get(self, at: i128) -> Value {
        Value::Int(self.start + at * self.step)
    }
}

#[derive(Debug)]
pub(super) enum Object {
    Namespace(RefCell<Vec<(String, Value)>>),
    Macro(MacroValue),
    Loop(Box<Loop>),
    Cycler {
        items: Vec<Value>,
        at: Cell<usize>,
    },
    Joiner {
        separator: Value,
        used: Cell<bool>,
    },
    /// A function or class that every template sees.
    Global(&'static str),
    /// A method with what it is called on.
    Method(Value, String),
    /// `self`, and a block of it.
    Template,
    Block(String),
}

/// A macro with the names that it sees.
#[derive(Debug)]
pub(super) struct MacroValue {
    pub(super) node: std::sync::Arc<Macro>,
    pub(super) scope: Rc<Scope>,
}

impl Value {
    pub(super) fn str(text: impl Into<String>) -> Self {
        Self::Str(Text::from(text.into()))
    }

    pub(super) fn text(text: String, markup: bool) -> Self {
        Self::Str(Text { markup, ..Text::from(text) })
    }

    pub(super) fn list(items: Vec<Self>) -> Self {
        Self::List(Items::new(items, false))
    }

    pub(super) fn tuple(items: Vec<Self>) -> Self {
        Self::Tuple(Items::new(items, false))
    }

    pub(super) fn group(key: Self, items: Vec<Self>) -> Self {
        Self::Tuple(Items::new(vec![key, Self::list(items)], true))
    }

    pub(super) fn object(object: Object) -> Self {
        Self::Object(Rc::new(object))
    }

    pub(super) fn undefined(message: impl Into<String>) -> Self {
        Self::Undefined(Rc::new(Undefined { kind: "UndefinedError", message: message.into() }))
    }

    pub(super) fn iter(items: Vec<Self>) -> Self {
        Self::Iter(Rc::new(Iter::new(items, None, "generator")))
    }

    pub(super) fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined(_))
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// Booleans are integers.
    pub(super) fn as_int(&self) -> Option<i128> {
        match self {
            Self::Bool(of) => Some(i128::from(*of)),
            Self::Int(of) => Some(*of),
            _ => None,
        }
    }

    /// Of the items of a list or tuple.
    pub(super) fn as_items(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) | Self::Tuple(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn from_json(json: &Json) -> Self {
        match json {
            Json::Null => Self::None,
            Json::Bool(of) => Self::Bool(*of),
            Json::Number(number) => {
                let whole = number.as_i64().map(i128::from).or(number.as_u64().map(i128::from));
                whole.map_or_else(|| Self::Float(number.as_f64().unwrap_or(f64::NAN)), Self::Int)
            }
            Json::String(text) => Self::str(text.as_str()),
            Json::Array(items) => Self::list(items.iter().map(Self::from_json).collect()),
            Json::Object(entries) => {
                let entry = |(key, value): (&String, &Json)| {
                    (Self::str(key.as_str()), Self::from_json(value))
                };
                Self::Dict(Dict::new(entries.iter().map(entry).collect()))
            }
        }
    }

    /// The name of its class.
    pub(super) fn class(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "Undefined",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(text) => {
                if text.markup {
                    "Markup"
                } else {
                    "str"
                }
            }
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Tuple(items) => {
                if items.group {
                    "_GroupTuple"
                } else {
                    "tuple"
                }
            }
            Self::Dict(_) => "dict",
            Self::Range(_) => "range",
            Self::View(View::Keys, _) => "dict_keys",
            Self::View(View::Values, _) => "dict_values",
            Self::View(View::Items, _) => "dict_items",
            Self::Iter(iter) => iter.class,
            Self::Object(object) => match &**object {
                Object::Namespace(_) => "Namespace",
                Object::Macro(_) => "Macro",
                Object::Loop(_) => "LoopContext",
                Object::Cycler { .. } => "Cycler",
                Object::Joiner { .. } => "Joiner",
                Object::Global("dict" | "cycler" | "joiner" | "namespace") => "type",
                Object::Global(_) => "function",
                Object::Method(..) => "builtin_function_or_method",
                Object::Template => "TemplateReference",
                Object::Block(_) => "BlockReference",
            },
        }
    }

    /// How many items it has, where Python tells.
    pub(super) fn len(&self) -> Option<usize> {
        Some(match self {
            Self::Undefined(_) => 0,
            Self::Str(text) => text.as_str().chars().count(),
            Self::Bytes(bytes) => bytes.len(),
            Self::List(items) | Self::Tuple(items) => items.len(),
            Self::Dict(dict) | Self::View(_, dict) => dict.entries.len(),
            Self::Range(range) => range.len() as usize,
            _ => return None,
        })
    }
}
