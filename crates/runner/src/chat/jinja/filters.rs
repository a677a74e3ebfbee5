//! The filters of jinja2, by name.

pub(super) mod numbers;
mod select;
mod sequences;
mod texts;
mod wrap;

use std::cmp::Ordering;

use super::budget;
use super::call::Args;
use super::machine::Machine;
use super::raise::{Outcome, raise, unsupported};
use super::value::Value;
use super::{dumps, html};

pub(super) const NAMES: [&str; 54] = [
    "abs",
    "attr",
    "batch",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "filesizeformat",
    "first",
    "float",
    "forceescape",
    "format",
    "groupby",
    "indent",
    "int",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "items",
    "map",
    "min",
    "max",
    "pprint",
    "random",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "striptags",
    "sum",
    "title",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "urlize",
    "wordcount",
    "wordwrap",
    "xmlattr",
    "tojson",
];

pub(super) fn apply(
    machine: &mut Machine<'_>,
    name: &str,
    value: Value,
    args: Args,
) -> Outcome<Value> {
    budget::check()?;
    match name {
        "capitalize" | "center" | "format" | "indent" | "join" | "lower" | "replace" | "string"
        | "title" | "trim" | "truncate" | "upper" | "wordcount" | "safe" | "pprint" => {
            texts::apply(machine, name, &value, args)
        }
        "wordwrap" => wrap::wordwrap(&value, args),
        "e" | "escape" => {
            let [] = args.places(name, 0)?;
            html::escaped(&value)
        }
        "forceescape" => {
            let [] = args.places(name, 0)?;
            Ok(Value::text(html::escape(&super::repr::string(&value)?), true))
        }
        "striptags" => {
            let [] = args.places(name, 0)?;
            html::striptags(&super::repr::string(&value)?).map(Value::str)
        }
        "urlencode" => {
            let [] = args.places(name, 0)?;
            html::urlencode(&value)
        }
        "urlize" => html::urlize(&value),
        "xmlattr" => html::xmlattr(&value, args),
        "tojson" => dumps::dumps(&value, args),
        "abs" | "float" | "int" | "round" | "filesizeformat" => numbers::apply(name, &value, args),
        "map" | "select" | "reject" | "selectattr" | "rejectattr" => {
            Ok(select::apply(machine, name, &value, args))
        }
        "random" => Err(unsupported("random is not supported")),
        _ if NAMES.contains(&name) => sequences::apply(machine, name, value, args),
        _ => Err(raise("TemplateRuntimeError", format!("No filter named '{name}' found."))),
    }
}

/// A stable sort by an order that may fail.
pub(super) fn sorted<T>(
    items: Vec<T>,
    mut less: impl FnMut(&T, &T) -> Outcome<bool>,
) -> Outcome<Vec<T>> {
    let mut failed = None;
    let mut items = items;
    let mut sort = |left: &T, right: &T| {
        if failed.is_some() {
            return Ordering::Equal;
        }
        match (less(left, right), less(right, left)) {
            (Ok(true), _) => Ordering::Less,
            (Ok(false), Ok(true)) => Ordering::Greater,
            (Ok(false), Ok(false)) => Ordering::Equal,
            (Err(error), _) | (_, Err(error)) => {
                failed = Some(error);
                Ordering::Equal
            }
        }
    };
    insert_sorted(&mut items, &mut sort);
    failed.map_or(Ok(items), Err)
}

/// Insertion by halves: any order ends, and equal items keep theirs.
fn insert_sorted<T>(items: &mut Vec<T>, order: &mut impl FnMut(&T, &T) -> Ordering) {
    let mut sorted: Vec<T> = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        let at = sorted.partition_point(|of| order(of, &item) != Ordering::Greater);
        sorted.insert(at, item);
    }
    *items = sorted;
}
