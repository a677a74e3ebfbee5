//! `str.format`, whose fields go through the sandbox.

use super::access;
use super::budget;
use super::call::Args;
use super::call::path_part;
use super::format_spec;
use super::html::{escape, escaped};
use super::machine::Machine;
use super::raise::{Outcome, raise, type_error, unsupported, value_error};
use super::repr;
use super::value::{Text, Value};

struct Formatter<'a> {
    positional: &'a [Value],
    named: &'a [(String, Value)],
    /// The next field without a name; `None` once a field was numbered.
    next: Option<usize>,
    numbered: bool,
    markup: bool,
}

pub(super) fn call(
    machine: &mut Machine<'_>,
    of: &Text,
    name: &str,
    mut args: Args,
) -> Outcome<Value> {
    if name == "format_map" {
        if !args.named.is_empty() {
            return Err(type_error("format_map() takes no keyword arguments"));
        }
        let [mapping] = args.places(name, 1)?;
        args = Args::default();
        let Some(Value::Dict(mapping)) = mapping else {
            return Err(unsupported("format_map of what is no dict is not supported"));
        };
        for (key, value) in &mapping.entries {
            if let Some(key) = key.as_str() {
                args.named.push((key.to_owned(), value.clone()));
            }
        }
    }
    let mut formatter = Formatter {
        positional: &args.positional,
        named: &args.named,
        next: Some(0),
        numbered: false,
        markup: of.markup,
    };
    let out = formatter.run(machine, of.as_str(), 2)?;
    Ok(Value::text(out, of.markup))
}

impl Formatter<'_> {
    fn run(&mut self, machine: &mut Machine<'_>, text: &str, depth: usize) -> Outcome<String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            out.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                out.push_str(brace);
                rest = after;
                continue;
            }
            if brace == "}" {
                return Err(value_error("Single '}' encountered in format string"));
            }
            if rest.is_empty() {
                return Err(value_error("Single '{' encountered in format string"));
            }
            let end =
                field_end(rest).ok_or_else(|| value_error("expected '}' before end of string"))?;
            if depth == 0 {
                return Err(value_error("Max string recursion exceeded"));
            }
            out.push_str(&self.field(machine, &rest[..end], depth)?);
            budget::fits(out.len())?;
            rest = &rest[end + 1..];
        }
        Ok(out + rest)
    }

    fn field(&mut self, machine: &mut Machine<'_>, text: &str, depth: usize) -> Outcome<String> {
        let mut inside = false;
        let cut = text.find(|c: char| {
            inside = if inside { c != ']' } else { c == '[' };
            !inside && matches!(c, '!' | ':')
        });
        let (name, after) = text.split_at(cut.unwrap_or(text.len()));
        let (conversion, spec) = match after.strip_prefix('!') {
            Some(after) => {
                let (conversion, rest) =
                    after.split_at(after.chars().next().map_or(0, char::len_utf8));
                match (conversion, rest.strip_prefix(':')) {
                    ("", _) => {
                        return Err(value_error(
                            "end of string while looking for conversion specifier",
                        ));
                    }
                    (_, None) if !rest.is_empty() => {
                        return Err(value_error("expected ':' after conversion specifier"));
                    }
                    (conversion, spec) => (conversion, spec.unwrap_or("")),
                }
            }
            None => ("", after.strip_prefix(':').unwrap_or("")),
        };
        let value = self.value(machine, name)?;
        let value = match conversion {
            "" => value,
            "s" => Value::str(repr::string(&value)?),
            "r" => Value::str(repr::repr(&value)?),
            "a" => Value::str(format_spec::ascii(&repr::repr(&value)?)),
            other => return Err(value_error(format!("Unknown conversion specifier {other}"))),
        };
        let spec = self.run(machine, spec, depth - 1)?;
        if !self.markup {
            return format_spec::format(&value, &spec);
        }
        match &value {
            Value::Str(text) if text.markup && !spec.is_empty() => {
                Err(value_error("Unsupported format specification for Markup."))
            }
            Value::Str(text) if text.markup => repr::string(&escaped(&value)?),
            _ => Ok(escape(&format_spec::format(&value, &spec)?)),
        }
    }

    fn value(&mut self, machine: &mut Machine<'_>, name: &str) -> Outcome<Value> {
        let end = name.find(['.', '[']).unwrap_or(name.len());
        let (first, mut rest) = name.split_at(end);
        let index = match first {
            "" => {
                if self.numbered {
                    return Err(mixed());
                }
                let at = self.next.unwrap_or(0);
                self.next = Some(at + 1);
                Some(at)
            }
            _ if first.bytes().all(|byte| byte.is_ascii_digit()) => {
                if self.next.is_some_and(|next| next > 0) {
                    return Err(mixed());
                }
                self.numbered = true;
                Some(first.parse().unwrap_or(usize::MAX))
            }
            _ => None,
        };
        let found = if let Some(at) = index {
            let out = "Replacement index out of range for positional args tuple";
            self.positional.get(at).cloned().ok_or_else(|| raise("IndexError", out))
        } else {
            let named = self.named.iter().find(|(of, _)| of == first);
            named
                .map(|(_, value)| value.clone())
                .ok_or_else(|| raise("KeyError", format!("'{first}'")))
        };
        let mut value = found?;
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                if end == 0 {
                    return Err(value_error("Empty attribute in format string"));
                }
                value = access::attribute(machine, &value, &after[..end])?;
                rest = &after[end..];
            } else {
                let after = rest.strip_prefix('[').unwrap_or(rest);
                let end =
                    after.find(']').ok_or_else(|| value_error("Missing ']' in format string"))?;
                value = access::item(machine, &value, &path_part(&after[..end]))?;
                rest = &after[end + 1..];
                if !rest.is_empty() && !rest.starts_with(['.', '[']) {
                    let what = "Only '.' or '[' may follow ']' in format field specifier";
                    return Err(value_error(what));
                }
            }
        }
        Ok(value)
    }
}

/// Python refuses this too, but for some fields in some of its versions.
fn mixed() -> Box<super::raise::Raise> {
    unsupported("numbered fields beside fields without a number are not supported")
}

/// Where the brace that opened before `text` is closed.
fn field_end(text: &str) -> Option<usize> {
    let mut depth = 1;
    let mut inside = false;
    let closes = |(_, c): &(usize, char)| {
        match c {
            '[' if depth == 1 => inside = true,
            ']' => inside = false,
            '{' if !inside => depth += 1,
            '}' if !inside => depth -= 1,
            _ => {}
        }
        depth == 0
    };
    text.char_indices().find(closes).map(|(at, _)| at)
}
