//! Methods of strings that look for a part.

use super::super::call::{Args, int, string};
use super::super::raise::{Outcome, type_error, value_error};
use super::super::value::{Text, Value};

/// The part between two places, which count characters; `None` if it begins behind the end.
fn between<'t>(
    text: &'t str,
    start: Option<&Value>,
    stop: Option<&Value>,
) -> Outcome<Option<(usize, &'t str)>> {
    let length = text.chars().count() as i128;
    let place = |of: Option<&Value>, default: i128| -> Outcome<i128> {
        let at = match of {
            None | Some(Value::None) => default,
            Some(of) => int(Some(of), default).map_err(|_| {
                let what = "slice indices must be integers or None or have an __index__ method";
                type_error(what)
            })?,
        };
        Ok(if at < 0 { at.saturating_add(length).max(0) } else { at })
    };
    let (start, stop) = (place(start, 0)?, place(stop, length)?.min(length));
    if start > stop {
        return Ok(None);
    }
    let byte = |at: i128| text.char_indices().nth(at as usize).map_or(text.len(), |(at, _)| at);
    Ok(Some((start as usize, &text[byte(start)..byte(stop)])))
}

pub(super) fn affix(of: &Text, name: &str, args: Args) -> Outcome<Value> {
    let [affixes, start, stop] = args.places(name, 1)?;
    let affixes = affixes.unwrap_or(Value::None);
    let within = between(of.as_str(), start.as_ref(), stop.as_ref())?;
    let has = |affix: &str| {
        within.is_some_and(|(_, text)| match name {
            "startswith" => text.starts_with(affix),
            _ => text.ends_with(affix),
        })
    };
    let wrong = |value: &Value, or: &str| {
        let class = value.class();
        type_error(format!("{name} first arg must be str{or}, not {class}"))
    };
    match &affixes {
        Value::Str(affix) => Ok(Value::Bool(has(affix.as_str()))),
        Value::Tuple(affixes) => {
            for affix in affixes.iter() {
                if has(affix.as_str().ok_or_else(|| wrong(affix, ""))?) {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
        other => Err(wrong(other, " or a tuple of str")),
    }
}

pub(super) fn find(of: &Text, name: &str, args: Args) -> Outcome<Value> {
    let [part, start, stop] = args.places(name, 1)?;
    let part = part.unwrap_or(Value::None);
    let part = string(&part, name)?;
    let within = between(of.as_str(), start.as_ref(), stop.as_ref())?;
    if name == "count" {
        return Ok(Value::Int(within.map_or(0, |(_, text)| text.matches(part).count()) as i128));
    }
    let found = within.and_then(|(start, text)| {
        let at = if name.starts_with('r') { text.rfind(part) } else { text.find(part) };
        at.map(|at| start + text[..at].chars().count())
    });
    match found {
        Some(at) => Ok(Value::Int(at as i128)),
        None if name.ends_with("index") => Err(value_error("substring not found")),
        None => Ok(Value::Int(-1)),
    }
}
