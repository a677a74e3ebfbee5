//! Calls: their arguments, and what can be called.

use std::cell::{Cell, RefCell};

use super::budget;
use super::iterate::{items, unpack};
use super::machine::Machine;
use super::raise::{Outcome, raise, type_error, unsupported};
use super::value::{Dict, Object, Range, Value};
use super::{compare, methods};
use crate::chat::clock;

/// What a call was given.
#[derive(Debug, Default, Clone)]
pub(super) struct Args {
    pub(super) positional: Vec<Value>,
    pub(super) named: Vec<(String, Value)>,
}

impl Args {
    pub(super) fn no_keywords(&self, of: &str) -> Outcome<()> {
        if self.named.is_empty() {
            return Ok(());
        }
        Err(type_error(format!("{of}() takes no keyword arguments")))
    }

    /// By place or by name; the first `required` must be there.
    pub(super) fn bind<const N: usize>(
        self,
        of: &str,
        names: [&str; N],
        required: usize,
    ) -> Outcome<[Option<Value>; N]> {
        let given = self.positional.len();
        if given > N {
            let what = format!("{of}() takes at most {N} arguments ({given} given)");
            return Err(type_error(what));
        }
        let mut bound = [const { None }; N];
        for (place, value) in bound.iter_mut().zip(self.positional) {
            *place = Some(value);
        }
        for (name, value) in self.named {
            let at = names.iter().position(|of| *of == name);
            let Some(place) = at.map(|at| &mut bound[at]) else {
                let what = format!("{of}() got an unexpected keyword argument '{name}'");
                return Err(type_error(what));
            };
            if place.replace(value).is_some() {
                return Err(type_error(format!(
                    "{of}() got multiple values for argument '{name}'"
                )));
            }
        }
        if let Some(at) = bound[..required].iter().position(Option::is_none) {
            let what = format!("{of}() missing a required argument: '{}'", names[at]);
            return Err(type_error(what));
        }
        Ok(bound)
    }

    /// By place alone.
    pub(super) fn places<const N: usize>(
        self,
        of: &str,
        required: usize,
    ) -> Outcome<[Option<Value>; N]> {
        self.no_keywords(of)?;
        self.bind(of, [""; N], required)
    }
}

/// An integer that was given, or `default`.
pub(super) fn int(value: Option<&Value>, default: i128) -> Outcome<i128> {
    let Some(value) = value else { return Ok(default) };
    compare::defined(&[value])?;
    value.as_int().ok_or_else(|| {
        type_error(format!("'{}' object cannot be interpreted as an integer", value.class()))
    })
}

/// A string that must be one.
pub(super) fn string<'v>(value: &'v Value, of: &str) -> Outcome<&'v str> {
    value.as_str().ok_or_else(|| type_error(format!("{of}: expected a str, not {}", value.class())))
}

/// Names that every template sees.
pub(super) const GLOBALS: [&str; 8] =
    ["range", "dict", "lipsum", "cycler", "joiner", "namespace", "raise_exception", "strftime_now"];

pub(super) fn call(machine: &mut Machine<'_>, callee: &Value, args: Args) -> Outcome<Value> {
    budget::check()?;
    let Value::Object(object) = callee else {
        compare::defined(&[callee])?;
        return Err(type_error(format!("'{}' object is not callable", callee.class())));
    };
    match &**object {
        Object::Macro(of) => machine.call_macro(of, args),
        Object::Method(of, name) => method(machine, of, name, args),
        Object::Global(name) => global(name, args),
        Object::Loop(of) => {
            let [iterable] = args.bind("loop", ["iterable"], 1)?;
            if !of.node.recursive {
                return Err(type_error(
                    "The loop must have the 'recursive' marker to be called recursively.",
                ));
            }
            let (node, scope, depth) = (of.node.clone(), of.scope.clone(), of.depth + 1);
            machine.recursive_loop(&node, &scope, &iterable.unwrap_or(Value::None), depth)
        }
        Object::Joiner { separator, used } => {
            let [] = args.bind("joiner", [], 0)?;
            Ok(if used.replace(true) { separator.clone() } else { Value::str("") })
        }
        Object::Block(name) => {
            let [] = args.bind("block", [], 0)?;
            machine.block(name)
        }
        _ => Err(type_error(format!("'{}' object is not callable", callee.class()))),
    }
}

fn method(machine: &mut Machine<'_>, of: &Value, name: &str, args: Args) -> Outcome<Value> {
    if let Value::Object(object) = of {
        return match &**object {
            Object::Loop(of) => of.call(name, args),
            Object::Cycler { items, at } => {
                let [] = args.bind(name, [], 0)?;
                let now = items[at.get()].clone();
                at.set(if name == "reset" { 0 } else { (at.get() + 1) % items.len() });
                Ok(if name == "reset" { Value::None } else { now })
            }
            _ => Err(unsupported(format!("the method {name} is not supported"))),
        };
    }
    methods::call(machine, of, name, args)
}

fn global(name: &str, args: Args) -> Outcome<Value> {
    match name {
        "range" => range(args),
        "dict" => Ok(Value::Dict(Dict::new(pairs(args)?))),
        "namespace" => {
            let mut names: Vec<(String, Value)> = Vec::new();
            for (key, value) in pairs(args)? {
                let Some(name) = key.as_str() else {
                    return Err(unsupported(
                        "a namespace of names that are no str is not supported",
                    ));
                };
                names.push((name.to_owned(), value));
            }
            names.iter().try_for_each(|(name, _)| namespace_name(name))?;
            Ok(Value::object(Object::Namespace(RefCell::new(names))))
        }
        "cycler" => {
            args.no_keywords(name)?;
            if args.positional.is_empty() {
                return Err(raise("RuntimeError", "at least one item has to be provided"));
            }
            Ok(Value::object(Object::Cycler { items: args.positional, at: Cell::new(0) }))
        }
        "joiner" => {
            let [separator] = args.bind(name, ["sep"], 0)?;
            let separator = separator.unwrap_or_else(|| Value::str(", "));
            Ok(Value::object(Object::Joiner { separator, used: Cell::new(false) }))
        }
        "raise_exception" => {
            let [message] = args.bind(name, ["message"], 1)?;
            let message = message.as_ref().map(super::repr::string).transpose()?;
            Err(raise("TemplateError", message.unwrap_or_default()))
        }
        "strftime_now" => {
            let [format] = args.bind(name, ["format"], 1)?;
            let format = format.unwrap_or(Value::None);
            clock::format_now(string(&format, name)?).map(Value::str).map_err(unsupported)
        }
        _ => Err(unsupported(format!("{name}, which is random, is not supported"))),
    }
}

/// As transformers refuses it.
pub(super) fn namespace_name(name: &str) -> Outcome<()> {
    if !name.starts_with('_') {
        return Ok(());
    }
    let what = "Chat templates cannot store underscore-prefixed attributes on a namespace";
    Err(raise("SecurityError", format!("{what}, but got '{name}'")))
}

/// Ranges are as long as jinja2's sandbox lets them be.
fn range(args: Args) -> Outcome<Value> {
    let [start, stop, step] = args.places("range", 1)?;
    let (start, stop) = match &stop {
        Some(stop) => (int(start.as_ref(), 0)?, int(Some(stop), 0)?),
        None => (0, int(start.as_ref(), 0)?),
    };
    let step = int(step.as_ref(), 1)?;
    if step == 0 {
        return Err(super::raise::value_error("range() arg 3 must not be zero"));
    }
    let near = |of: i128| of.unsigned_abs() <= 1 << 64;
    if !near(start) || !near(stop) || !near(step) || (Range { start, step, stop }).len() > 100_000 {
        let what = "Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).";
        return Err(raise("OverflowError", what));
    }
    Ok(Value::Range(Range { start, step, stop }))
}

/// The entries that `dict` makes of its arguments.
fn pairs(args: Args) -> Outcome<Vec<(Value, Value)>> {
    let named = args.named;
    let [from] = Args { positional: args.positional, named: Vec::new() }.bind("dict", [""], 0)?;
    let mut entries = Vec::new();
    super::compare::defined(&from.iter().collect::<Vec<_>>())?;
    match from {
        None => {}
        Some(Value::Dict(dict)) => entries.extend(dict.entries.iter().cloned()),
        Some(other) => {
            for pair in items(&other)? {
                let mut pair = unpack(&pair, 2)?.into_iter();
                if let (Some(key), Some(value)) = (pair.next(), pair.next()) {
                    insert(&mut entries, key, value)?;
                }
            }
        }
    }
    for (name, value) in named {
        insert(&mut entries, Value::str(name), value)?;
    }
    Ok(entries)
}

/// An entry; that of an equal key is replaced, and keeps its key.
pub(super) fn insert(entries: &mut Vec<(Value, Value)>, key: Value, value: Value) -> Outcome<()> {
    compare::hashable(&key)?;
    budget::spend(entries.len() / 16)?;
    match entries.iter_mut().find(|(of, _)| compare::equal(of, &key)) {
        Some((_, of)) => *of = value,
        None => entries.push((key, value)),
    }
    Ok(())
}

/// Follows an attribute path of a filter: names and numbers between dots.
pub(super) fn follow(machine: &mut Machine<'_>, value: Value, path: &Value) -> Outcome<Value> {
    let Some(text) = path.as_str() else {
        return match path {
            Value::None => Ok(value),
            _ => super::access::item(machine, &value, path),
        };
    };
    let mut value = value;
    for part in text.split('.') {
        value = super::access::item(machine, &value, &path_part(part))?;
    }
    Ok(value)
}

pub(super) fn path_part(part: &str) -> Value {
    let digits = !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    let number = part.parse().ok().filter(|_| digits).map(Value::Int);
    number.unwrap_or_else(|| Value::str(part))
}

/// Whether Python can call it.
pub(super) fn is_callable(value: &Value) -> bool {
    match value {
        Value::Undefined(_) => true,
        Value::Object(object) => {
            !matches!(&**object, Object::Namespace(_) | Object::Cycler { .. } | Object::Template)
        }
        _ => false,
    }
}
