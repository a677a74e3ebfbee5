//! Filters that take other filters and tests. What they yield is gone through once, and an error comes
//! where the item would.

use std::rc::Rc;

use super::super::call::{Args, follow};
use super::super::is;
use super::super::iterate::{Iter, Walk};
use super::super::machine::Machine;
use super::super::raise::{Outcome, raise};
use super::super::value::Value;

pub(super) fn apply(machine: &mut Machine<'_>, name: &str, value: &Value, args: Args) -> Value {
    let mut items = Vec::new();
    let end = collect(machine, name, value, args, &mut items).err();
    Value::Iter(Rc::new(Iter::new(items, end, "generator")))
}

/// What becomes of an item, if anything.
type Step<'s> = dyn FnMut(&mut Machine<'_>, Value) -> Outcome<Option<Value>> + 's;

fn collect(
    machine: &mut Machine<'_>,
    name: &str,
    value: &Value,
    args: Args,
    out: &mut Vec<Value>,
) -> Outcome<()> {
    if !machine.truthy(value)? {
        return Ok(());
    }
    let mut step: Box<Step<'_>> =
        if name == "map" { Box::new(mapping(args)?) } else { Box::new(choice(name, args)?) };
    let mut walk = Walk::of(value)?;
    while let Some(item) = walk.next()? {
        out.extend(step(machine, item)?);
    }
    Ok(())
}

fn mapping(
    mut args: Args,
) -> Outcome<impl FnMut(&mut Machine<'_>, Value) -> Outcome<Option<Value>>> {
    let mut attribute = None;
    let mut default = Value::None;
    let mut filter = None;
    let mut take = |name: &str| {
        let at = args.named.iter().position(|(of, _)| of == name)?;
        Some(args.named.remove(at).1)
    };
    if args.positional.is_empty()
        && let Some(path) = take("attribute")
    {
        default = take("default").unwrap_or(Value::None);
        attribute = Some(path);
        if let Some((name, _)) = args.named.first() {
            let what = format!("Unexpected keyword argument '{name}'");
            return Err(raise("FilterArgumentError", what));
        }
    } else if args.positional.is_empty() {
        return Err(raise("FilterArgumentError", "map requires a filter argument"));
    } else {
        filter = Some(args.positional.remove(0));
    }
    Ok(move |machine: &mut Machine<'_>, item: Value| {
        if let Some(path) = &attribute {
            return follow_or(machine, item, path, &default).map(Some);
        }
        let filter = filter.as_ref().and_then(Value::as_str).unwrap_or_default();
        super::apply(machine, filter, item, args.clone()).map(Some)
    })
}

/// Follows a path; what is not there on the way is the default, if there is one.
pub(super) fn follow_or(
    machine: &mut Machine<'_>,
    item: Value,
    path: &Value,
    default: &Value,
) -> Outcome<Value> {
    let Some(text) = path.as_str().filter(|_| !matches!(default, Value::None)) else {
        let value = follow(machine, item, path)?;
        let absent = value.is_undefined() && !matches!(default, Value::None);
        return Ok(if absent { default.clone() } else { value });
    };
    let mut value = item;
    for part in text.split('.') {
        value = super::super::access::item(machine, &value, &super::super::call::path_part(part))?;
        if value.is_undefined() {
            value = default.clone();
        }
    }
    Ok(value)
}

fn choice(
    name: &str,
    mut args: Args,
) -> Outcome<impl FnMut(&mut Machine<'_>, Value) -> Outcome<Option<Value>>> {
    let by_attribute = name.ends_with("attr");
    let kept = name.starts_with("select");
    let mut path = None;
    if by_attribute {
        if args.positional.is_empty() {
            let what = "Missing parameter for attribute name";
            return Err(raise("FilterArgumentError", what));
        }
        path = Some(args.positional.remove(0));
    }
    let test = (!args.positional.is_empty()).then(|| args.positional.remove(0));
    Ok(move |machine: &mut Machine<'_>, item: Value| {
        let value = match &path {
            Some(path) => follow(machine, item.clone(), path)?,
            None => item.clone(),
        };
        let passes = match &test {
            Some(test) => {
                let name = test.as_str().unwrap_or_default();
                if !is::NAMES.contains(&name) {
                    let what = format!("No test named '{name}'.");
                    return Err(raise("TemplateRuntimeError", what));
                }
                is::test(name, &value, args.clone())?
            }
            None => machine.truthy(&value)?,
        };
        Ok((passes == kept).then_some(item))
    })
}
