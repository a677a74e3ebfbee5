//! The tests of jinja2, behind `is`.

use super::arithmetic::binary;
use super::ast::{BinaryOp, CompareOp};
use super::call::{Args, is_callable};
use super::compare::{compare, contains, equal, hashable, same};
use super::raise::{Outcome, raise};
use super::value::{Object, Value};
use super::{filters, repr, unicode};

pub(super) const NAMES: [&str; 39] = [
    "odd",
    "even",
    "divisibleby",
    "defined",
    "undefined",
    "filter",
    "test",
    "none",
    "boolean",
    "false",
    "true",
    "integer",
    "float",
    "lower",
    "upper",
    "string",
    "mapping",
    "number",
    "sequence",
    "iterable",
    "callable",
    "sameas",
    "escaped",
    "in",
    "==",
    "eq",
    "equalto",
    "!=",
    "ne",
    ">",
    "gt",
    "greaterthan",
    "ge",
    ">=",
    "<",
    "lt",
    "lessthan",
    "<=",
    "le",
];

pub(super) fn test(name: &str, value: &Value, args: Args) -> Outcome<bool> {
    let operator = match name {
        "==" | "eq" | "equalto" => Some(CompareOp::Eq),
        "!=" | "ne" => Some(CompareOp::Ne),
        ">" | "gt" | "greaterthan" => Some(CompareOp::Gt),
        ">=" | "ge" => Some(CompareOp::Ge),
        "<" | "lt" | "lessthan" => Some(CompareOp::Lt),
        "<=" | "le" => Some(CompareOp::Le),
        _ => None,
    };
    if let Some(operator) = operator {
        let [other] = args.places(name, 1)?;
        return compare(operator, value, &other.unwrap_or(Value::None));
    }
    match name {
        "divisibleby" => {
            let [number] = args.bind(name, ["num"], 1)?;
            modulo(value, &number.unwrap_or(Value::None), 0)
        }
        "in" => {
            let [whole] = args.bind(name, ["seq"], 1)?;
            contains(&whole.unwrap_or(Value::None), value)
        }
        "sameas" => {
            let [other] = args.bind(name, ["other"], 1)?;
            same(value, &other.unwrap_or(Value::None))
        }
        _ => {
            let [] = args.bind(name, [], 0)?;
            alone(name, value)
        }
    }
}

fn modulo(value: &Value, by: &Value, wanted: i128) -> Outcome<bool> {
    Ok(equal(&binary(BinaryOp::Mod, value, by)?, &Value::Int(wanted)))
}

fn alone(name: &str, value: &Value) -> Outcome<bool> {
    Ok(match name {
        "odd" => modulo(value, &Value::Int(2), 1)?,
        "even" => modulo(value, &Value::Int(2), 0)?,
        "defined" => !value.is_undefined(),
        "undefined" => value.is_undefined(),
        "filter" | "test" => {
            hashable(value)?;
            let names = if name == "test" { &NAMES[..] } else { &filters::NAMES[..] };
            value.as_str().is_some_and(|name| names.contains(&name))
        }
        "none" => matches!(value, Value::None),
        "boolean" => matches!(value, Value::Bool(_)),
        "false" => matches!(value, Value::Bool(false)),
        "true" => matches!(value, Value::Bool(true)),
        "integer" => matches!(value, Value::Int(_)),
        "float" => matches!(value, Value::Float(_)),
        "lower" => unicode::is_lower(&repr::string(value)?),
        "upper" => unicode::is_upper(&repr::string(value)?),
        "string" => matches!(value, Value::Str(_)),
        "mapping" => matches!(value, Value::Dict(_)),
        "number" => matches!(value, Value::Bool(_) | Value::Int(_) | Value::Float(_)),
        "sequence" => matches!(
            value,
            Value::Undefined(_)
                | Value::Str(_)
                | Value::Bytes(_)
                | Value::List(_)
                | Value::Tuple(_)
                | Value::Dict(_)
                | Value::Range(_)
        ),
        "iterable" => match value {
            Value::Object(object) => matches!(**object, Object::Loop(_)),
            Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => false,
            _ => true,
        },
        "callable" => is_callable(value),
        "escaped" => matches!(value, Value::Str(text) if text.markup),
        _ => return Err(raise("TemplateRuntimeError", format!("No test named '{name}' found."))),
    })
}
