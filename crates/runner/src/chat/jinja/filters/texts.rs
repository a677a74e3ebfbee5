//! Filters that make text.

use super::super::budget;
use super::super::call::{Args, follow, int, string};
use super::super::compare::truthy;
use super::super::html::escape;
use super::super::iterate::items;
use super::super::machine::Machine;
use super::super::methods::{center_left, lines, replaced};
use super::super::raise::{Outcome, raise, type_error, unsupported};
use super::super::unicode::{self, is_space};
use super::super::value::{Text, Value};
use super::super::{percent, repr};

/// A string as it is, markup too; anything else as `str` makes it.
fn soft(value: &Value) -> Outcome<Text> {
    match value {
        Value::Str(text) => Ok(text.clone()),
        other => Ok(Text::from(repr::string(other)?)),
    }
}

pub(super) fn apply(
    machine: &mut Machine<'_>,
    name: &str,
    value: &Value,
    args: Args,
) -> Outcome<Value> {
    if matches!(name, "replace" | "join" | "indent" | "truncate" | "format" | "trim" | "center") {
        return with_arguments(machine, name, value, args);
    }
    let [] = args.places(name, 0)?;
    if name == "pprint" {
        return pprint(value);
    }
    if name == "safe" {
        return Ok(Value::Str(soft(value)?.as_markup()));
    }
    let of = soft(value)?;
    let text = of.as_str();
    let cased = |text: String| Ok(Value::text(text, of.markup));
    match name {
        "upper" => cased(text.to_uppercase()),
        "lower" => cased(text.to_lowercase()),
        "capitalize" => cased(unicode::capitalize(text)),
        "title" => Ok(Value::str(title(text))),
        "wordcount" => {
            let word = |c: char| c == '_' || unicode::is_alpha(c) || c.is_numeric();
            let words = text.split(|c| !word(c)).filter(|word| !word.is_empty());
            Ok(Value::Int(words.count() as i128))
        }
        _ => Ok(Value::Str(of)),
    }
}

fn with_arguments(
    machine: &mut Machine<'_>,
    name: &str,
    value: &Value,
    args: Args,
) -> Outcome<Value> {
    match name {
        "replace" => {
            let [old, new, count] = args.bind(name, ["old", "new", "count"], 2)?;
            let plain = |of: Option<Value>| repr::string(&of.unwrap_or(Value::None));
            let count = match count {
                None | Some(Value::None) => -1,
                Some(count) => int(Some(&count), -1)?,
            };
            let (old, new) = (plain(old)?, plain(new)?);
            Ok(Value::str(replaced(&repr::string(value)?, &old, &new, count)?))
        }
        "join" => join(machine, value, args),
        "indent" => indent(value, args),
        "truncate" => truncate(value, args),
        "format" => {
            if !args.positional.is_empty() && !args.named.is_empty() {
                let what = "can't handle positional and keyword arguments at the same time";
                return Err(raise("FilterArgumentError", what));
            }
            let values = if args.named.is_empty() {
                Value::tuple(args.positional)
            } else {
                let named = args.named.into_iter().map(|(name, of)| (Value::str(name), of));
                Value::Dict(super::super::value::Dict::new(named.collect()))
            };
            percent::format(&soft(value)?, &values)
        }
        "trim" => {
            let [chars] = args.bind(name, ["chars"], 0)?;
            let of = soft(value)?;
            let chars = match &chars {
                None | Some(Value::None) => None,
                Some(chars) => Some(string(chars, name)?),
            };
            let goes = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
            Ok(Value::text(of.as_str().trim_matches(goes).to_owned(), of.markup))
        }
        _ => {
            let [width] = args.bind(name, ["width"], 0)?;
            let width = usize::try_from(int(width.as_ref(), 80)?.max(0)).unwrap_or(usize::MAX);
            budget::fits(width)?;
            let of = soft(value)?;
            let room = width.saturating_sub(of.as_str().chars().count());
            let left = center_left(room, width);
            let padded = " ".repeat(left) + of.as_str() + &" ".repeat(room - left);
            Ok(Value::text(padded, of.markup))
        }
    }
}

/// Words begin behind white space, hyphens and brackets.
fn title(text: &str) -> String {
    let splits = |c: char| is_space(c) || "-({[<".contains(c);
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let of = |c: char| splits(c) == rest.starts_with(splits);
        let end = rest.find(|c| !of(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let mut chars = word.chars();
        out.extend(chars.next().into_iter().flat_map(char::to_uppercase));
        out.push_str(&chars.as_str().to_lowercase());
        rest = after;
    }
    out
}

fn join(machine: &mut Machine<'_>, value: &Value, args: Args) -> Outcome<Value> {
    let [separator, attribute] = args.bind("join", ["d", "attribute"], 0)?;
    let separator = separator.map_or(Ok(String::new()), |of| repr::string(&of))?;
    let mut out = String::new();
    for (at, item) in items(value)?.into_iter().enumerate() {
        if at > 0 {
            out.push_str(&separator);
        }
        let item = match &attribute {
            None | Some(Value::None) => item,
            Some(attribute) => follow(machine, item, attribute)?,
        };
        out.push_str(&repr::string(&item)?);
        budget::fits(out.len())?;
    }
    Ok(Value::str(out))
}

fn indent(value: &Value, args: Args) -> Outcome<Value> {
    let [width, first, blank] = args.bind("indent", ["width", "first", "blank"], 0)?;
    let text = match value {
        Value::Str(text) => text.clone(),
        other => {
            let newline = Value::str("\n");
            super::super::arithmetic::binary(super::super::ast::BinaryOp::Add, other, &newline)?;
            return Err(type_error("indent of what is no str"));
        }
    };
    let markup = text.markup;
    let indention = match &width {
        Some(Value::Str(of)) if markup && !of.markup => of.as_str().to_owned(),
        Some(Value::Str(of)) => of.as_str().to_owned(),
        width => {
            let width = usize::try_from(int(width.as_ref(), 4)?.max(0)).unwrap_or(usize::MAX);
            budget::fits(width)?;
            " ".repeat(width)
        }
    };
    let on = |option: Option<Value>| option.is_some_and(|option| truthy(&option));
    let (first, blank) = (on(first), on(blank));
    let whole = format!("{}\n", text.as_str());
    let lines = lines(&whole, false);
    budget::fits(indention.len().saturating_mul(lines.len()) + whole.len())?;
    let mut out = if first { indention.clone() } else { String::new() };
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            out.push('\n');
            if blank || !line.is_empty() {
                out.push_str(&indention);
            }
        }
        out.push_str(line);
    }
    // Markup that width brought along escapes plain lines, which `s` never is then.
    let by_width = matches!(&width, Some(Value::Str(of)) if of.markup) && !markup;
    if by_width {
        return Err(unsupported("indent by markup is not supported"));
    }
    Ok(Value::text(out, markup))
}

fn truncate(value: &Value, args: Args) -> Outcome<Value> {
    let names = ["length", "killwords", "end", "leeway"];
    let [length, kill, end, leeway] = args.bind("truncate", names, 0)?;
    let length = int(length.as_ref(), 255)?;
    let end = end.unwrap_or_else(|| Value::str("..."));
    let end = string(&end, "truncate")?;
    let leeway = match leeway {
        None | Some(Value::None) => 5,
        Some(leeway) => int(Some(&leeway), 5)?,
    };
    let room = length - end.chars().count() as i128;
    let failed = |what: String| Err(raise("AssertionError", what));
    if room < 0 {
        return failed(format!("expected length >= {}, got {length}", end.chars().count()));
    }
    if leeway < 0 {
        return failed(format!("expected leeway >= 0, got {leeway}"));
    }
    let Some(count) = value.len() else {
        return Err(type_error(format!("object of type '{}' has no len()", value.class())));
    };
    if count as i128 <= length.saturating_add(leeway) {
        return Ok(value.clone());
    }
    let Value::Str(text) = value else {
        return Err(unsupported("truncate of what is no str is not supported"));
    };
    let cut: String = text.as_str().chars().take(room as usize).collect();
    let kept = if kill.is_some_and(|kill| truthy(&kill)) {
        cut.as_str()
    } else {
        cut.rsplit_once(' ').map_or(cut.as_str(), |(kept, _)| kept)
    };
    let end = if text.markup { escape(end) } else { end.to_owned() };
    Ok(Value::text(kept.to_owned() + &end, text.markup))
}

/// What fits into a line is as `repr` has it, dictionaries sorted.
fn pprint(value: &Value) -> Outcome<Value> {
    let text = repr::repr(&by_key(value, 0)?)?;
    if text.chars().count() > 80 {
        return Err(unsupported("pprint of what takes several lines is not supported"));
    }
    Ok(Value::str(text))
}

fn by_key(value: &Value, depth: usize) -> Outcome<Value> {
    if depth > budget::DEEPEST {
        return Err(raise("RecursionError", "maximum recursion depth exceeded"));
    }
    let all = |items: &[Value]| {
        items.iter().map(|item| by_key(item, depth + 1)).collect::<Outcome<Vec<_>>>()
    };
    Ok(match value {
        Value::List(items) => Value::list(all(items)?),
        Value::Tuple(items) => Value::tuple(all(items)?),
        Value::Dict(dict) => {
            let mut entries = Vec::new();
            for (key, value) in &dict.entries {
                if !matches!(key, Value::Str(_)) && dict.entries.len() > 1 {
                    return Err(unsupported("pprint of keys that are no str is not supported"));
                }
                entries.push((key.clone(), by_key(value, depth + 1)?));
            }
            let entries = super::sorted(entries, |(left, _), (right, _)| {
                super::super::compare::less(left, right)
            })?;
            Value::Dict(super::super::value::Dict::new(entries))
        }
        other => other.clone(),
    })
}
