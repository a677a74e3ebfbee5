//! Filters that go through what they are given.

use std::rc::Rc;

use super::super::arithmetic::binary;
use super::super::ast::BinaryOp;
use super::super::budget;
use super::super::call::{Args, follow, int, string};
use super::super::compare::{equal, hashable, less, truthy};
use super::super::iterate::{Iter, Walk, items};
use super::super::machine::Machine;
use super::super::raise::{Outcome, raise, type_error};
use super::super::value::{Object, Value};
use super::select::follow_or;
use super::sorted;

pub(super) fn apply(
    machine: &mut Machine<'_>,
    name: &str,
    value: Value,
    args: Args,
) -> Outcome<Value> {
    match name {
        "default" | "d" => {
            let [default, boolean] = args.bind(name, ["default_value", "boolean"], 0)?;
            let default = default.unwrap_or_else(|| Value::str(""));
            let by_truth = boolean.is_some_and(|of| truthy(&of)) && !machine.truthy(&value)?;
            Ok(if value.is_undefined() || by_truth { default } else { value })
        }
        "length" | "count" => {
            let [] = args.places(name, 0)?;
            if let Value::Object(object) = &value
                && let Object::Loop(of) = &**object
            {
                return of.length(machine).map(Value::Int);
            }
            let length = value.len().ok_or_else(|| {
                type_error(format!("object of type '{}' has no len()", value.class()))
            })?;
            Ok(Value::Int(length as i128))
        }
        "list" => {
            let [] = args.places(name, 0)?;
            items(&value).map(Value::list)
        }
        "first" | "last" | "reverse" | "items" => {
            let [] = args.places(name, 0)?;
            end(name, &value)
        }
        "attr" => {
            let [attribute] = args.bind(name, ["name"], 1)?;
            let attribute = attribute.unwrap_or(Value::None);
            let attribute = string(&attribute, name)?;
            // Items do not count here.
            let is_item =
                matches!(&value, Value::Dict(_)) && !super::super::methods::has(&value, attribute);
            if is_item {
                let what = format!("'dict object' has no attribute '{attribute}'");
                return Ok(Value::undefined(what));
            }
            super::super::access::attribute(machine, &value, attribute)
        }
        "sort" | "min" | "max" | "unique" | "groupby" | "dictsort" => {
            by_order(machine, name, &value, args)
        }
        "sum" => sum(machine, &value, args),
        "batch" => {
            let [count, fill] = args.bind(name, ["linecount", "fill_with"], 1)?;
            Ok(lazily(batch(&value, &count.unwrap_or(Value::None), fill.as_ref())))
        }
        _ => {
            let [count, fill] = args.bind("slice", ["slices", "fill_with"], 1)?;
            let fill = fill.filter(|fill| !matches!(fill, Value::None));
            Ok(lazily(int(count.as_ref(), 0).and_then(|count| slice(&value, count, fill.as_ref()))))
        }
    }
}

fn end(name: &str, value: &Value) -> Outcome<Value> {
    match (name, value) {
        ("first", _) => {
            let first = Walk::of(value)?.next()?;
            Ok(first.unwrap_or_else(|| Value::undefined("No first item, sequence was empty.")))
        }
        ("items", Value::Undefined(_)) => Ok(Value::iter(Vec::new())),
        ("items", Value::Dict(dict)) => {
            let pair =
                |(key, value): &(Value, Value)| Value::tuple(vec![key.clone(), value.clone()]);
            Ok(Value::iter(dict.entries.iter().map(pair).collect()))
        }
        ("items", _) => {
            let error = type_error("Can only get item pairs from a mapping.");
            Ok(Value::Iter(Rc::new(Iter::new(Vec::new(), Some(error), "generator"))))
        }
        ("reverse", Value::Str(text)) => {
            Ok(Value::text(text.as_str().chars().rev().collect(), text.markup))
        }
        ("last", Value::Undefined(_)) => {
            // `reversed` asks for an item of it by way of its length, which is none.
            Ok(Value::undefined("No last item, sequence was empty."))
        }
        ("last", Value::Iter(_)) => {
            Err(type_error(format!("'{}' object is not reversible", value.class())))
        }
        _ => {
            let mut all = items(value).map_err(|error| match (name, error.kind) {
                ("last", "TypeError") => {
                    type_error(format!("'{}' object is not reversible", value.class()))
                }
                ("reverse", "TypeError") => {
                    raise("FilterArgumentError", "argument must be iterable")
                }
                _ => error,
            })?;
            if name == "last" {
                let last = all.pop();
                return Ok(
                    last.unwrap_or_else(|| Value::undefined("No last item, sequence was empty."))
                );
            }
            all.reverse();
            if matches!(value, Value::Iter(_)) {
                return Ok(Value::list(all));
            }
            Ok(Value::Iter(Rc::new(Iter::new(all, None, "reversed"))))
        }
    }
}

/// Without case, unless it counts.
fn folded(value: Value, case_sensitive: bool) -> Value {
    match &value {
        Value::Str(text) if !case_sensitive => Value::str(text.as_str().to_lowercase()),
        _ => value,
    }
}

fn by_order(machine: &mut Machine<'_>, name: &str, value: &Value, args: Args) -> Outcome<Value> {
    let on = |option: Option<Value>| option.is_some_and(|option| truthy(&option));
    match name {
        "dictsort" => {
            let [case, by, reverse] = args.bind(name, ["case_sensitive", "by", "reverse"], 0)?;
            dictsort(value, on(case), by.as_ref(), on(reverse))
        }
        "sort" => {
            let [reverse, case, attribute] =
                args.bind(name, ["reverse", "case_sensitive", "attribute"], 0)?;
            sort(machine, value, on(reverse), on(case), attribute.as_ref())
        }
        "groupby" => {
            let [attribute, default, case] =
                args.bind(name, ["attribute", "default", "case_sensitive"], 1)?;
            let path = attribute.unwrap_or(Value::None);
            groupby(machine, value, &path, &default.unwrap_or(Value::None), on(case))
        }
        _ => {
            let [case, attribute] = args.bind(name, ["case_sensitive", "attribute"], 0)?;
            let (case, path) = (on(case), attribute.unwrap_or(Value::None));
            if name == "unique" {
                let mut kept = Vec::new();
                let end = unique(machine, value, case, &path, &mut kept).err();
                return Ok(Value::Iter(Rc::new(Iter::new(kept, end, "generator"))));
            }
            extreme(machine, name, value, case, &path)
        }
    }
}

fn dictsort(value: &Value, case: bool, by: Option<&Value>, reverse: bool) -> Outcome<Value> {
    let by_value = match by.map(|by| by.as_str().unwrap_or_default()) {
        None | Some("key") => false,
        Some("value") => true,
        Some(_) => {
            let what = "You can only sort by either \"key\" or \"value\"";
            return Err(raise("FilterArgumentError", what));
        }
    };
    let Value::Dict(dict) = value else {
        super::super::compare::defined(&[value])?;
        let what = format!("'{}' object has no attribute 'items'", value.class());
        return Err(raise("AttributeError", what));
    };
    let keyed = dict.entries.iter().map(|(key, value)| {
        let by = folded(if by_value { value.clone() } else { key.clone() }, case);
        (by, Value::tuple(vec![key.clone(), value.clone()]))
    });
    ordered(keyed.collect(), reverse).map(Value::list)
}

/// By keys that were worked out before; equal ones keep their order, reversed or not.
fn ordered(keyed: Vec<(Value, Value)>, reverse: bool) -> Outcome<Vec<Value>> {
    let order = |left: &(Value, Value), right: &(Value, Value)| {
        if reverse { less(&right.0, &left.0) } else { less(&left.0, &right.0) }
    };
    Ok(sorted(keyed, order)?.into_iter().map(|(_, item)| item).collect())
}

fn sort(
    machine: &mut Machine<'_>,
    value: &Value,
    reverse: bool,
    case: bool,
    attribute: Option<&Value>,
) -> Outcome<Value> {
    let paths: Vec<Value> = match attribute {
        Some(Value::Str(text)) => text.as_str().split(',').map(Value::str).collect(),
        other => vec![other.cloned().unwrap_or(Value::None)],
    };
    let mut keyed = Vec::new();
    for item in items(value)? {
        let mut key = Vec::new();
        for path in &paths {
            key.push(folded(follow(machine, item.clone(), path)?, case));
        }
        keyed.push((Value::list(key), item));
    }
    ordered(keyed, reverse).map(Value::list)
}

fn groupby(
    machine: &mut Machine<'_>,
    value: &Value,
    path: &Value,
    default: &Value,
    case: bool,
) -> Outcome<Value> {
    let mut keyed = Vec::new();
    for item in items(value)? {
        let key = follow_or(machine, item.clone(), path, default)?;
        keyed.push((folded(key.clone(), case), Value::tuple(vec![key, item])));
    }
    let mut groups: Vec<(Value, Value, Vec<Value>)> = Vec::new();
    for (folded, pair) in sorted(keyed, |left, right| less(&left.0, &right.0))? {
        let (key, item) = match &pair {
            Value::Tuple(pair) => (pair[0].clone(), pair[1].clone()),
            _ => continue,
        };
        match groups.last_mut().filter(|(of, ..)| equal(of, &folded)) {
            Some((_, _, items)) => items.push(item),
            None => groups.push((folded, key, vec![item])),
        }
    }
    Ok(Value::list(groups.into_iter().map(|(_, key, items)| Value::group(key, items)).collect()))
}

fn unique(
    machine: &mut Machine<'_>,
    value: &Value,
    case: bool,
    path: &Value,
    kept: &mut Vec<Value>,
) -> Outcome<()> {
    let mut seen: Vec<Value> = Vec::new();
    let mut walk = Walk::of(value)?;
    while let Some(item) = walk.next()? {
        let key = folded(follow(machine, item.clone(), path)?, case);
        hashable(&key)?;
        budget::spend(seen.len() / 4)?;
        if !seen.iter().any(|of| equal(of, &key)) {
            seen.push(key);
            kept.push(item);
        }
    }
    Ok(())
}

fn extreme(
    machine: &mut Machine<'_>,
    name: &str,
    value: &Value,
    case: bool,
    path: &Value,
) -> Outcome<Value> {
    let mut best: Option<(Value, Value)> = None;
    for item in items(value)? {
        let key = folded(follow(machine, item.clone(), path)?, case);
        let better = match &best {
            None => true,
            Some((of, _)) if name == "min" => less(&key, of)?,
            Some((of, _)) => less(of, &key)?,
        };
        if better {
            best = Some((key, item));
        }
    }
    let empty = || Value::undefined("No aggregated item, sequence was empty.");
    Ok(best.map_or_else(empty, |(_, item)| item))
}

fn sum(machine: &mut Machine<'_>, value: &Value, args: Args) -> Outcome<Value> {
    let [attribute, start] = args.bind("sum", ["attribute", "start"], 0)?;
    let mut total = start.unwrap_or(Value::Int(0));
    if total.as_str().is_some() {
        return Err(type_error("sum() can't sum strings [use ''.join(seq) instead]"));
    }
    let path = attribute.unwrap_or(Value::None);
    for item in items(value)? {
        let item = follow(machine, item, &path)?;
        total = binary(BinaryOp::Add, &total, &item)?;
    }
    Ok(total)
}

/// Rows, or the error that comes when they are asked for.
fn lazily(rows: Outcome<Vec<Vec<Value>>>) -> Value {
    let (rows, end) = match rows {
        Ok(rows) => (rows, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let rows = rows.into_iter().map(Value::list).collect();
    Value::Iter(Rc::new(Iter::new(rows, end, "generator")))
}

fn batch(value: &Value, count: &Value, fill: Option<&Value>) -> Outcome<Vec<Vec<Value>>> {
    let mut rows: Vec<Vec<Value>> = Vec::new();
    let all = items(value)?;
    let length = |row: &[Value]| equal(&Value::Int(row.len() as i128), count);
    for item in all {
        match rows.last_mut().filter(|row| !length(row)) {
            Some(row) => row.push(item),
            None => rows.push(vec![item]),
        }
    }
    if let Some(fill) = fill.filter(|fill| !matches!(fill, Value::None))
        && let Some(row) = rows.last_mut()
    {
        let width = usize::try_from(int(Some(count), 0)?.max(0)).unwrap_or(usize::MAX);
        if row.len() < width {
            budget::fits(width.saturating_mul(size_of::<Value>()))?;
            row.resize(width, fill.clone());
        }
    }
    Ok(rows)
}

fn slice(value: &Value, count: i128, fill: Option<&Value>) -> Outcome<Vec<Vec<Value>>> {
    let all = items(value)?;
    if count == 0 {
        return Err(raise("ZeroDivisionError", "integer division or modulo by zero"));
    }
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
    budget::fits(count.saturating_mul(64))?;
    let each = all.len().checked_div(count).unwrap_or(0);
    let extra = all.len().checked_rem(count).unwrap_or(0);
    let mut rows = Vec::new();
    let mut rest = all.into_iter();
    for row in 0..count {
        let mut part: Vec<Value> = rest.by_ref().take(each + usize::from(row < extra)).collect();
        if row >= extra {
            part.extend(fill.cloned());
        }
        rows.push(part);
    }
    Ok(rows)
}
