//! Attributes, items and slices, as jinja2's immutable sandbox gives them.

use super::compare::{defined, hashable};
use super::machine::Machine;
use super::raise::{Outcome, raise, type_error, unsupported, value_error};
use super::value::{Object, Undefined, Value, View};
use super::{budget, loops, methods, repr};

/// What changes a list or a dictionary, which no template may.
const MUTATORS: [&str; 12] = [
    "append",
    "clear",
    "pop",
    "reverse",
    "insert",
    "sort",
    "extend",
    "remove",
    "popitem",
    "setdefault",
    "update",
    "add",
];

/// What an error calls a value.
fn describe(value: &Value) -> String {
    match value {
        Value::None => "None".to_owned(),
        Value::Str(text) if text.markup => "markupsafe.Markup object".to_owned(),
        Value::Object(object) => match &**object {
            Object::Namespace(_) | Object::Cycler { .. } | Object::Joiner { .. } => {
                format!("jinja2.utils.{} object", value.class())
            }
            Object::Global(_) | Object::Method(..) => format!("{} object", value.class()),
            _ => format!("jinja2.runtime.{} object", value.class()),
        },
        _ => format!("{} object", value.class()),
    }
}

fn missing(value: &Value, name: &str) -> Value {
    Value::undefined(format!("'{}' has no attribute '{name}'", describe(value)))
}

/// `value.name`: an attribute, else an item.
pub(super) fn attribute(machine: &mut Machine<'_>, value: &Value, name: &str) -> Outcome<Value> {
    defined(&[value])?;
    if let Some(found) = own_attribute(machine, value, name)? {
        return Ok(found);
    }
    let item = match value {
        Value::Dict(dict) => dict.get_str(name).cloned(),
        Value::Object(object) => block(machine, object, name),
        _ => None,
    };
    Ok(item.unwrap_or_else(|| missing(value, name)))
}

/// `value[index]`: an item, else an attribute.
pub(super) fn item(machine: &mut Machine<'_>, value: &Value, index: &Value) -> Outcome<Value> {
    defined(&[value])?;
    budget::check()?;
    let found = match value {
        Value::Dict(dict) => hashable(index).ok().and_then(|()| dict.get(index).cloned()),
        Value::Object(object) => index.as_str().and_then(|name| block(machine, object, name)),
        _ => index.as_int().and_then(|at| element(value, at)),
    };
    if let Some(found) = found {
        return Ok(found);
    }
    if let Some(name) = index.as_str() {
        let found = own_attribute(machine, value, name)?;
        return Ok(found.unwrap_or_else(|| missing(value, name)));
    }
    // Its words are seen only if it is used.
    let index = repr::repr(index).unwrap_or_default();
    Ok(Value::undefined(format!("{} has no element {index}", describe(value))))
}

fn block(machine: &Machine<'_>, object: &Object, name: &str) -> Option<Value> {
    let is_block = matches!(object, Object::Template) && machine.has_block(name);
    is_block.then(|| Value::object(Object::Block(name.to_owned())))
}

/// The item at a place, from the end if it is negative.
fn element(value: &Value, at: i128) -> Option<Value> {
    let length = match value {
        Value::Str(_) | Value::Bytes(_) | Value::List(_) | Value::Tuple(_) | Value::Range(_) => {
            value.len()? as i128
        }
        _ => return None,
    };
    let at = if at < 0 { at + length } else { at };
    if !(0..length).contains(&at) {
        return None;
    }
    match value {
        Value::Str(text) => {
            let c = text.as_str().chars().nth(at as usize)?;
            Some(Value::text(c.to_string(), text.markup))
        }
        Value::Bytes(bytes) => Some(Value::Int(i128::from(bytes[at as usize]))),
        Value::Range(range) => Some(range.get(at)),
        _ => value.as_items().map(|items| items[at as usize].clone()),
    }
}

/// An attribute of Python's own, not an item.
fn own_attribute(machine: &mut Machine<'_>, value: &Value, name: &str) -> Outcome<Option<Value>> {
    if let Value::Object(object) = value {
        if let Some(found) = of_object(machine, value, object, name)? {
            return Ok(Some(found));
        }
        return Ok(None);
    }
    if !methods::has(value, name) {
        return Ok(None);
    }
    if matches!(value, Value::List(_) | Value::Dict(_)) && MUTATORS.contains(&name) {
        let class = value.class();
        let message = format!("access to attribute '{name}' of '{class}' object is unsafe.");
        let unsafe_ = Undefined { kind: "SecurityError", message };
        return Ok(Some(Value::Undefined(unsafe_.into())));
    }
    Ok(Some(match (value, name) {
        (Value::Range(range), "start") => Value::Int(range.start),
        (Value::Range(range), "stop") => Value::Int(range.stop),
        (Value::Range(range), "step") => Value::Int(range.step),
        (Value::Tuple(items), "grouper") => items[0].clone(),
        (Value::Tuple(items), "list") => items[1].clone(),
        (Value::Int(_) | Value::Bool(_), "real" | "numerator") => {
            Value::Int(value.as_int().unwrap_or_default())
        }
        (Value::Int(_) | Value::Bool(_), "imag") => Value::Int(0),
        (Value::Int(_) | Value::Bool(_), "denominator") => Value::Int(1),
        (Value::Float(of), "real") => Value::Float(*of),
        (Value::Float(_), "imag") => Value::Float(0.0),
        _ => Value::object(Object::Method(value.clone(), name.to_owned())),
    }))
}

fn of_object(
    machine: &mut Machine<'_>,
    value: &Value,
    object: &Object,
    name: &str,
) -> Outcome<Option<Value>> {
    let method = || Value::object(Object::Method(value.clone(), name.to_owned()));
    Ok(match object {
        Object::Namespace(names) => {
            names.borrow().iter().find(|(of, _)| of == name).map(|(_, value)| value.clone())
        }
        Object::Loop(of) => match of.attribute(name, machine)? {
            Some(found) => Some(found),
            None => loops::ATTRIBUTES.contains(&name).then(method),
        },
        Object::Macro(of) => match name {
            "name" => Some(of.node.name.as_deref().map_or(Value::None, Value::str)),
            "arguments" => {
                let names = of.node.parameters.iter().map(|name| Value::str(name.as_str()));
                Some(Value::tuple(names.collect()))
            }
            "catch_kwargs" => Some(Value::Bool(of.node.uses_kwargs)),
            "catch_varargs" => Some(Value::Bool(of.node.uses_varargs)),
            "caller" => Some(Value::Bool(of.node.uses_caller)),
            "explicit_caller" => {
                Some(Value::Bool(of.node.parameters.iter().any(|name| name == "caller")))
            }
            _ => None,
        },
        Object::Cycler { items, at } => match name {
            "items" => Some(Value::tuple(items.clone())),
            "pos" => Some(Value::Int(at.get() as i128)),
            "current" => Some(items[at.get()].clone()),
            "next" | "reset" => Some(method()),
            _ => None,
        },
        Object::Joiner { separator, used } => match name {
            "sep" => Some(separator.clone()),
            "used" => Some(Value::Bool(used.get())),
            _ => None,
        },
        Object::Block(_) if name == "super" => Some(Value::undefined("there is no parent block")),
        Object::Global(of @ ("dict" | "cycler" | "joiner")) if !name.starts_with('_') => {
            return Err(unsupported(format!("{of}.{name} is not supported")));
        }
        _ => None,
    })
}

/// `value[start:stop:step]`, which Python does without jinja2.
pub(super) fn slice(value: &Value, bounds: &[Option<Value>; 3]) -> Outcome<Value> {
    defined(&[value])?;
    let length = match value {
        Value::Str(_) | Value::Bytes(_) | Value::List(_) | Value::Tuple(_) | Value::Range(_) => {
            value.len().unwrap_or_default() as i128
        }
        Value::Dict(_) => return Err(type_error("unhashable type: 'slice'")),
        _ => return Err(type_error(format!("'{}' object is not subscriptable", value.class()))),
    };
    let step = bound(bounds[2].as_ref())?.unwrap_or(1);
    if step == 0 {
        return Err(value_error("slice step cannot be zero"));
    }
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let place = |of: Option<i128>, default: i128| {
        let at = of.map(|at| if at < 0 { at.saturating_add(length) } else { at });
        at.map_or(default, |at| at.clamp(low, high))
    };
    let start = place(bound(bounds[0].as_ref())?, if step > 0 { low } else { high });
    let stop = place(bound(bounds[1].as_ref())?, if step > 0 { high } else { low });
    let step = step.clamp(-(1 << 64), 1 << 64);
    if let Value::Range(range) = value {
        let stop = range.start + stop * range.step;
        let (start, step) = (range.start + start * range.step, range.step * step);
        return Ok(Value::Range(super::value::Range { start, step, stop }));
    }
    let picked = super::value::Range { start, step, stop };
    let places = (0..picked.len()).map(|at| (picked.start + at * picked.step) as usize);
    budget::spend(length as usize >> 6)?;
    Ok(match value {
        Value::Str(text) if step == 1 => {
            let chars = text.as_str().chars().skip(start as usize);
            Value::text(chars.take(picked.len() as usize).collect(), text.markup)
        }
        Value::Str(text) => {
            let chars: Vec<char> = text.as_str().chars().collect();
            Value::text(places.map(|at| chars[at]).collect(), text.markup)
        }
        Value::Bytes(bytes) => Value::Bytes(places.map(|at| bytes[at]).collect()),
        Value::List(items) => Value::list(places.map(|at| items[at].clone()).collect()),
        Value::Tuple(items) => Value::tuple(places.map(|at| items[at].clone()).collect()),
        _ => Value::None,
    })
}

fn bound(value: Option<&Value>) -> Outcome<Option<i128>> {
    let what = "slice indices must be integers or None or have an __index__ method";
    match value {
        None | Some(Value::None) => Ok(None),
        Some(value) => value.as_int().map(Some).ok_or_else(|| type_error(what)),
    }
}

/// `ns.name = value`.
pub(super) fn set_attribute(namespace: &Value, name: &str, value: Value) -> Outcome<()> {
    if let Value::Object(object) = namespace
        && let Object::Namespace(names) = &**object
    {
        super::call::namespace_name(name)?;
        let mut names = names.borrow_mut();
        match names.iter_mut().find(|(of, _)| of == name) {
            Some((_, of)) => *of = value,
            None => names.push((name.to_owned(), value)),
        }
        return Ok(());
    }
    Err(raise("TemplateRuntimeError", "cannot assign attribute on non-namespace object"))
}

/// The names that `keys`, `values` and `items` stand for.
pub(super) fn view(name: &str) -> View {
    match name {
        "keys" => View::Keys,
        "values" => View::Values,
        _ => View::Items,
    }
}
