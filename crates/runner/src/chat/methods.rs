//! The methods of Python's strings, dictionaries and lists that templates call. Those that change
//! what they are called on are not among them: transformers refuses these too.

use minijinja::value::{ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

pub(super) fn call(
    _: &mut State<'_, '_>,
    of: &Value,
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    match of.kind() {
        ValueKind::String => of_string(of.as_str().unwrap_or_default(), name, args),
        ValueKind::Map => of_map(of, name, args),
        ValueKind::Seq => of_list(of, name, args),
        _ => Err(ErrorKind::UnknownMethod.into()),
    }
}

fn of_string(text: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    match name {
        "strip" | "lstrip" | "rstrip" => strip(text, name, args),
        "split" | "rsplit" => split(text, name == "rsplit", args),
        "replace" => {
            let (old, new, count): (&str, &str, Option<usize>) = from_args(args)?;
            Ok(text.replacen(old, new, count.unwrap_or(usize::MAX)).into())
        }
        "startswith" | "endswith" => {
            let (affixes,): (&Value,) = from_args(args)?;
            let has = |affix: &str| match name {
                "startswith" => text.starts_with(affix),
                _ => text.ends_with(affix),
            };
            let any = match affixes.as_str() {
                Some(affix) => has(affix),
                None => affixes.try_iter()?.any(|affix| affix.as_str().is_some_and(has)),
            };
            Ok(any.into())
        }
        "removeprefix" | "removesuffix" => {
            let (affix,): (&str,) = from_args(args)?;
            let rest = match name {
                "removeprefix" => text.strip_prefix(affix),
                _ => text.strip_suffix(affix),
            };
            Ok(rest.unwrap_or(text).into())
        }
        "partition" | "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            let last = name == "rpartition";
            let cut = if last { text.rsplit_once(separator) } else { text.split_once(separator) };
            Ok(list(match cut {
                Some((before, after)) => vec![before, separator, after],
                None if last => vec!["", "", text],
                None => vec![text, "", ""],
            }))
        }
        "join" => {
            let (items,): (&Value,) = from_args(args)?;
            let items: Vec<String> = items.try_iter()?.map(|item| item.to_string()).collect();
            Ok(items.join(text).into())
        }
        "find" | "rfind" | "count" => {
            let (part,): (&str,) = from_args(args)?;
            // Positions are those of characters.
            let place = |at: Option<usize>| at.map_or(-1, |at| text[..at].chars().count() as i64);
            Ok(Value::from(match name {
                "find" => place(text.find(part)),
                "rfind" => place(text.rfind(part)),
                _ => text.matches(part).count() as i64,
            }))
        }
        _ => without_arguments(text, name, args),
    }
}

fn without_arguments(text: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    let all = |is: fn(char) -> bool| Value::from(!text.is_empty() && text.chars().all(is));
    let value = match name {
        "upper" => text.to_uppercase().into(),
        "lower" => text.to_lowercase().into(),
        "title" => title(text).into(),
        "capitalize" => {
            let mut chars = text.chars();
            let first: String =
                chars.next().map(char::to_uppercase).into_iter().flatten().collect();
            (first + &chars.as_str().to_lowercase()).into()
        }
        "splitlines" => text.lines().map(Value::from).collect(),
        "isdigit" | "isnumeric" | "isdecimal" => all(char::is_numeric),
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isspace" => all(char::is_whitespace),
        "isupper" => Value::from(text != text.to_lowercase() && text == text.to_uppercase()),
        "islower" => Value::from(text != text.to_uppercase() && text == text.to_lowercase()),
        _ => return Err(ErrorKind::UnknownMethod.into()),
    };
    let () = from_args(args)?;
    Ok(value)
}

/// Every letter that follows no letter in upper case, the others in lower case.
fn title(text: &str) -> String {
    let mut inside = false;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphabetic();
    }
    out
}

fn strip(text: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    let (chars,): (Option<&str>,) = from_args(args)?;
    let goes = |c: char| chars.map_or(c.is_whitespace(), |chars| chars.contains(c));
    Ok(Value::from(match name {
        "lstrip" => text.trim_start_matches(goes),
        "rstrip" => text.trim_end_matches(goes),
        _ => text.trim_matches(goes),
    }))
}

/// Without a separator, at white space, of which none is left over; with one, at each.
fn split(text: &str, from_end: bool, args: &[Value]) -> Result<Value, Error> {
    let (separator, most): (Option<&str>, Option<i64>) = from_args(args)?;
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let pieces = most.saturating_add(1);
    let mut parts: Vec<&str> = match separator {
        Some("") => {
            return Err(Error::new(ErrorKind::InvalidOperation, "split: the separator is empty"));
        }
        Some(separator) if from_end => text.rsplitn(pieces, separator).collect(),
        Some(separator) => text.splitn(pieces, separator).collect(),
        None => return Ok(split_at_spaces(text, from_end, most)),
    };
    if from_end {
        parts.reverse();
    }
    Ok(list(parts))
}

fn split_at_spaces(text: &str, from_end: bool, most: usize) -> Value {
    let (mut parts, mut rest) = (Vec::new(), text.trim());
    while !rest.is_empty() {
        let space =
            if from_end { rest.rfind(char::is_whitespace) } else { rest.find(char::is_whitespace) };
        let Some(at) = space.filter(|_| parts.len() < most) else {
            parts.push(rest);
            break;
        };
        let width = rest[at..].chars().next().map_or(0, char::len_utf8);
        let (before, after) = (&rest[..at], &rest[at + width..]);
        if from_end {
            parts.push(after);
            rest = before.trim_end();
        } else {
            parts.push(before);
            rest = after.trim_start();
        }
    }
    if from_end {
        parts.reverse();
    }
    list(parts)
}

fn list(parts: Vec<&str>) -> Value {
    parts.into_iter().map(Value::from).collect()
}

fn of_map(map: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    match name {
        "get" => {
            let (key, default): (&Value, Option<Value>) = from_args(args)?;
            let found = map.get_item(key)?;
            let absent = default.unwrap_or(Value::from(()));
            Ok(if found.is_undefined() { absent } else { found })
        }
        "keys" | "values" | "items" => {
            let () = from_args(args)?;
            let entry = |key: Value| -> Result<Value, Error> {
                Ok(match name {
                    "keys" => key,
                    "values" => map.get_item(&key)?,
                    _ => Value::from(vec![key.clone(), map.get_item(&key)?]),
                })
            };
            map.try_iter()?.map(entry).collect::<Result<Vec<_>, _>>().map(Value::from)
        }
        _ => Err(ErrorKind::UnknownMethod.into()),
    }
}

fn of_list(list: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    let wanted = |args| from_args::<(&Value,)>(args).map(|(wanted,)| wanted);
    match name {
        "index" => {
            let wanted = wanted(args)?;
            let at = list.try_iter()?.position(|item| item == *wanted);
            let absent = || Error::new(ErrorKind::InvalidOperation, "index: not in the list");
            at.map(Value::from).ok_or_else(absent)
        }
        "count" => {
            let wanted = wanted(args)?;
            Ok(Value::from(list.try_iter()?.filter(|item| item == wanted).count()))
        }
        _ => Err(ErrorKind::UnknownMethod.into()),
    }
}
