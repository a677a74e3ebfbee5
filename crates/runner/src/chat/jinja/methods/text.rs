//! Methods of strings, and of markup, which escapes what it is given.

use super::super::budget;
use super::super::call::{Args, int, string};
use super::super::format_string;
use super::super::html::{escape, striptags, unescape};
use super::super::iterate::items;
use super::super::machine::Machine;
use super::super::raise::{Outcome, type_error};
use super::super::unicode::{self, is_alpha, is_decimal, is_digit, is_printable, is_space};
use super::super::value::{Text, Value};
use super::{search, split};

/// What a method comes to, `None` if it is none of these.
pub(super) fn call(
    machine: &mut Machine<'_>,
    of: &Text,
    name: &str,
    args: Args,
) -> Option<Outcome<Value>> {
    Some(match name {
        "split" | "rsplit" => split::split(of, name, args),
        "splitlines" => split::splitlines(of, args),
        "partition" | "rpartition" => split::partition(of, name, args),
        "strip" | "lstrip" | "rstrip" => strip(of, name, args),
        "startswith" | "endswith" => search::affix(of, name, args),
        "find" | "rfind" | "index" | "rindex" | "count" => search::find(of, name, args),
        "replace" => replace(of, args),
        "removeprefix" | "removesuffix" => remove(of, name, args),
        "join" => join(of, args),
        "format" | "format_map" => format_string::call(machine, of, name, args),
        "center" | "ljust" | "rjust" => justify(of, name, args),
        "zfill" => zfill(of, args),
        "expandtabs" => expandtabs(of, args),
        "encode" => encode(of, args),
        _ => return without_arguments(of, name, args),
    })
}

fn without_arguments(of: &Text, name: &str, args: Args) -> Option<Outcome<Value>> {
    let text = of.as_str();
    let all = |is: &dyn Fn(char) -> bool| Value::Bool(!text.is_empty() && text.chars().all(is));
    let cased = |text: String| Value::text(text, of.markup);
    let value = match name {
        "upper" => cased(text.to_uppercase()),
        "lower" => cased(text.to_lowercase()),
        "casefold" if text.is_ascii() => cased(text.to_lowercase()),
        "title" => cased(unicode::title(text)),
        "capitalize" => cased(unicode::capitalize(text)),
        "swapcase" => cased(unicode::swapcase(text)),
        "isdecimal" => all(&is_decimal),
        "isdigit" => all(&is_digit),
        "isnumeric" if text.chars().all(|c| c.is_numeric() == is_digit(c) && !is_alpha(c)) => {
            all(&is_digit)
        }
        "isnumeric" if text.is_ascii() => all(&is_digit),
        "isalpha" => all(&is_alpha),
        "isalnum" => all(&|c| is_alpha(c) || is_digit(c) || c.is_numeric()),
        "isspace" => all(&is_space),
        "isascii" => Value::Bool(text.is_ascii()),
        "isprintable" => Value::Bool(text.chars().all(is_printable)),
        "isupper" => Value::Bool(unicode::is_upper(text)),
        "islower" => Value::Bool(unicode::is_lower(text)),
        "istitle" => Value::Bool(unicode::is_titled(text)),
        "isidentifier" if text.is_ascii() => {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let first = text.chars().next().is_some_and(|c| !c.is_ascii_digit());
            Value::Bool(first && text.chars().all(word))
        }
        "striptags" if of.markup => return Some(striptags(text).map(Value::str)),
        "unescape" if of.markup => return Some(unescape(text).map(Value::str)),
        _ => return None,
    };
    Some(args.places::<0>(name, 0).map(|_| value))
}

/// A string as markup takes it.
fn part(of: &Text, value: &Value, method: &str) -> Outcome<String> {
    let text = string(value, method)?;
    let is_markup = matches!(value, Value::Str(text) if text.markup);
    Ok(if of.markup && !is_markup { escape(text) } else { text.to_owned() })
}

fn strip(of: &Text, name: &str, args: Args) -> Outcome<Value> {
    let [chars] = args.places(name, 0)?;
    let chars = match chars {
        None | Some(Value::None) => None,
        Some(chars) => Some(string(&chars, name)?.to_owned()),
    };
    let goes = |c: char| chars.as_deref().map_or_else(|| is_space(c), |chars| chars.contains(c));
    let text = match name {
        "lstrip" => of.as_str().trim_start_matches(goes),
        "rstrip" => of.as_str().trim_end_matches(goes),
        _ => of.as_str().trim_matches(goes),
    };
    Ok(Value::text(text.to_owned(), of.markup))
}

fn replace(of: &Text, args: Args) -> Outcome<Value> {
    let [old, new, count] = args.bind("replace", ["old", "new", "count"], 2)?;
    let (old, new) = (old.unwrap_or(Value::None), new.unwrap_or(Value::None));
    let old = string(&old, "replace")?;
    let new = part(of, &new, "replace")?;
    let text = replaced(of.as_str(), old, &new, int(count.as_ref(), -1)?)?;
    Ok(Value::text(text, of.markup))
}

/// `text` with the first `count` of `old` replaced; with all if it is negative.
pub(in super::super) fn replaced(text: &str, old: &str, new: &str, count: i128) -> Outcome<String> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let found = text.matches(old).count().min(count);
    budget::fits(text.len().saturating_add(found.saturating_mul(new.len())))?;
    budget::spend(text.len() >> 10)?;
    Ok(text.replacen(old, new, count))
}

fn remove(of: &Text, name: &str, args: Args) -> Outcome<Value> {
    let [affix] = args.places(name, 1)?;
    let affix = affix.unwrap_or(Value::None);
    let (text, affix) = (of.as_str(), string(&affix, name)?);
    let rest = match name {
        "removeprefix" => text.strip_prefix(affix),
        _ => text.strip_suffix(affix),
    };
    Ok(Value::text(rest.unwrap_or(text).to_owned(), of.markup))
}

fn join(of: &Text, args: Args) -> Outcome<Value> {
    let [whole] = args.places("join", 1)?;
    let whole = items(&whole.unwrap_or(Value::None)).map_err(|error| match error.kind {
        "TypeError" => type_error("can only join an iterable"),
        _ => error,
    })?;
    let mut out = String::new();
    for (at, item) in whole.iter().enumerate() {
        if at > 0 {
            out.push_str(of.as_str());
        }
        if of.markup && item.as_str().is_none() {
            out.push_str(&escape(&super::super::repr::string(item)?));
            continue;
        }
        let wrong = || {
            let class = item.class();
            type_error(format!("sequence item {at}: expected str instance, {class} found"))
        };
        out.push_str(&part(of, item, "join").map_err(|_| wrong())?);
        budget::fits(out.len())?;
    }
    Ok(Value::text(out, of.markup))
}

fn fill(args: Args, name: &str) -> Outcome<(usize, String)> {
    let [width, fill] = args.places(name, 1)?;
    let width = usize::try_from(int(width.as_ref(), 0)?.max(0)).unwrap_or(usize::MAX);
    budget::fits(width)?;
    let fill = fill.map_or(Ok(" ".to_owned()), |fill| string(&fill, name).map(str::to_owned))?;
    if fill.chars().count() != 1 {
        return Err(type_error("The fill character must be exactly one character long"));
    }
    Ok((width, fill))
}

fn justify(of: &Text, name: &str, args: Args) -> Outcome<Value> {
    let (width, fill) = fill(args, name)?;
    let text = of.as_str();
    let room = width.saturating_sub(text.chars().count());
    let left = match name {
        "ljust" => 0,
        "rjust" => room,
        _ => center_left(room, width),
    };
    let padded = fill.repeat(left) + text + &fill.repeat(room - left);
    Ok(Value::text(padded, of.markup))
}

/// Where Python puts the odd one.
pub(in super::super) fn center_left(room: usize, width: usize) -> usize {
    room / 2 + (room & width & 1)
}

fn zfill(of: &Text, args: Args) -> Outcome<Value> {
    let [width] = args.places("zfill", 1)?;
    let width = usize::try_from(int(width.as_ref(), 0)?.max(0)).unwrap_or(usize::MAX);
    budget::fits(width)?;
    let text = of.as_str();
    let zeros = "0".repeat(width.saturating_sub(text.chars().count()));
    let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
    Ok(Value::text(format!("{sign}{zeros}{digits}"), of.markup))
}

fn expandtabs(of: &Text, args: Args) -> Outcome<Value> {
    let [size] = args.bind("expandtabs", ["tabsize"], 0)?;
    let size = usize::try_from(int(size.as_ref(), 8)?.max(0)).unwrap_or(usize::MAX);
    let tabs = of.as_str().matches('\t').count();
    budget::fits(of.as_str().len().saturating_add(tabs.saturating_mul(size)))?;
    let (mut out, mut column) = (String::new(), 0);
    for c in of.as_str().chars() {
        match c {
            '\t' if size > 0 => {
                let width = size - column % size;
                out.push_str(&" ".repeat(width));
                column += width;
            }
            '\t' => {}
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            c => {
                out.push(c);
                column += 1;
            }
        }
    }
    Ok(Value::text(out, of.markup))
}

fn encode(of: &Text, args: Args) -> Outcome<Value> {
    let [encoding, errors] = args.bind("encode", ["encoding", "errors"], 0)?;
    super::utf8(encoding.as_ref(), errors.as_ref())?;
    Ok(Value::Bytes(of.as_str().as_bytes().into()))
}
