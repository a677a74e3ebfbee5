//! Methods of strings that take them apart.

use super::super::call::{Args, int, string};
use super::super::compare::truthy;
use super::super::raise::{Outcome, value_error};
use super::super::unicode::is_space;
use super::super::value::{Text, Value};

fn parts(of: &Text, parts: Vec<&str>) -> Vec<Value> {
    parts.into_iter().map(|part| Value::text(part.to_owned(), of.markup)).collect()
}

/// Without a separator, at white space, of which none is left over; with one, at each.
pub(super) fn split(of: &Text, name: &str, args: Args) -> Outcome<Value> {
    let [separator, most] = args.bind(name, ["sep", "maxsplit"], 0)?;
    let most = usize::try_from(int(most.as_ref(), -1)?).unwrap_or(usize::MAX);
    let (text, from_end) = (of.as_str(), name == "rsplit");
    let separator = match separator {
        None | Some(Value::None) => {
            return Ok(Value::list(parts(of, at_spaces(text, from_end, most))));
        }
        Some(separator) => string(&separator, name)?.to_owned(),
    };
    if separator.is_empty() {
        return Err(value_error("empty separator"));
    }
    let pieces = most.saturating_add(1);
    let mut found: Vec<&str> = if from_end {
        text.rsplitn(pieces, &separator).collect()
    } else {
        text.splitn(pieces, &separator).collect()
    };
    if from_end {
        found.reverse();
    }
    Ok(Value::list(parts(of, found)))
}

fn at_spaces(text: &str, from_end: bool, most: usize) -> Vec<&str> {
    let trim = |text| -> &str {
        if from_end {
            str::trim_end_matches(text, is_space)
        } else {
            str::trim_start_matches(text, is_space)
        }
    };
    let (mut parts, mut rest) = (Vec::new(), trim(text));
    while !rest.is_empty() {
        let space = if from_end { rest.rfind(is_space) } else { rest.find(is_space) };
        if parts.len() == most {
            parts.push(rest);
            break;
        }
        let Some(at) = space else {
            parts.push(rest);
            break;
        };
        let width = rest[at..].chars().next().map_or(0, char::len_utf8);
        let (before, after) = (&rest[..at], &rest[at + width..]);
        parts.push(if from_end { after } else { before });
        rest = trim(if from_end { before } else { after });
    }
    if from_end {
        parts.reverse();
    }
    parts
}

pub(super) fn splitlines(of: &Text, args: Args) -> Outcome<Value> {
    let [keep] = args.bind("splitlines", ["keepends"], 0)?;
    let keep = keep.is_some_and(|keep| truthy(&keep));
    Ok(Value::list(parts(of, lines(of.as_str(), keep))))
}

/// Lines by all that Python ends one with.
pub(in super::super) fn lines(text: &str, keep: bool) -> Vec<&str> {
    let ends = |c: char| matches!(c, '\n'..='\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let Some(at) = rest.find(ends) else {
            out.push(rest);
            break;
        };
        let pair = rest[at..].starts_with("\r\n");
        let width = if pair { 2 } else { rest[at..].chars().next().map_or(0, char::len_utf8) };
        out.push(&rest[..if keep { at + width } else { at }]);
        rest = &rest[at + width..];
    }
    out
}

pub(super) fn partition(of: &Text, name: &str, args: Args) -> Outcome<Value> {
    let [separator] = args.places(name, 1)?;
    let separator = separator.unwrap_or(Value::None);
    let (text, separator) = (of.as_str(), string(&separator, name)?);
    if separator.is_empty() {
        return Err(value_error("empty separator"));
    }
    let last = name == "rpartition";
    let cut = if last { text.rsplit_once(separator) } else { text.split_once(separator) };
    Ok(Value::tuple(parts(
        of,
        match cut {
            Some((before, after)) => vec![before, separator, after],
            None if last => vec!["", "", text],
            None => vec![text, "", ""],
        },
    )))
}
