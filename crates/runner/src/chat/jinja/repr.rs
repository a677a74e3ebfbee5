//! `str` and `repr`.

use std::fmt::Write as _;

use super::budget::{self, DEEPEST};
use super::raise::{Outcome, raise, unsupported};
use super::unicode::is_printable;
use super::value::{Object, Value, View};

/// A float as Python writes it: the shortest digits, and an exponent of two digits at least.
pub(super) fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let size = number.abs();
    if size == 0.0 || (1e-4..1e16).contains(&size) {
        return format!("{number:?}");
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let sign = if exponent.starts_with('-') { '-' } else { '+' };
    format!("{digits}e{sign}{:0>2}", exponent.trim_start_matches('-'))
}

/// A character as the shortest escape that holds it.
pub(super) fn push_escape(c: char, out: &mut String) {
    // A write to a string does not fail.
    let _ = match c as u32 {
        code @ 0..0x100 => write!(out, "\\x{code:02x}"),
        code @ 0x100..0x1_0000 => write!(out, "\\u{code:04x}"),
        code => write!(out, "\\U{code:08x}"),
    };
}

/// A string in quotes, with escapes for what cannot be seen.
pub(super) fn quoted(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if is_printable(c) => out.push(c),
            c => push_escape(c, out),
        }
    }
    out.push(quote);
}

fn bytes(of: &[u8], out: &mut String) {
    let quote = if of.contains(&b'\'') && !of.contains(&b'"') { '"' } else { '\'' };
    out.extend(['b', quote]);
    for byte in of {
        match *byte {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            byte if byte as char == quote => out.extend(['\\', quote]),
            byte @ b' '..=b'~' => out.push(byte as char),
            byte => push_escape(char::from(byte), out),
        }
    }
    out.push(quote);
}

/// What `str` makes of a value.
pub(super) fn string(value: &Value) -> Outcome<String> {
    match value {
        Value::Str(text) => Ok(text.as_str().to_owned()),
        Value::Undefined(_) => Ok(String::new()),
        _ => repr(value),
    }
}

pub(super) fn repr(value: &Value) -> Outcome<String> {
    let mut out = String::new();
    write(value, &mut out, 0)?;
    Ok(out)
}

fn address(what: &str) -> Outcome<()> {
    Err(unsupported(format!(
        "to print {what}, which Python shows with its address, is not supported"
    )))
}

fn write(value: &Value, out: &mut String, depth: usize) -> Outcome<()> {
    budget::check()?;
    budget::fits(out.len())?;
    if depth > DEEPEST {
        return Err(raise("RecursionError", "maximum recursion depth exceeded"));
    }
    match value {
        Value::Undefined(_) => out.push_str("Undefined"),
        Value::None => out.push_str("None"),
        Value::Bool(of) => out.push_str(if *of { "True" } else { "False" }),
        Value::Int(of) => out.push_str(&of.to_string()),
        Value::Float(of) => out.push_str(&float(*of)),
        Value::Str(text) if text.markup => {
            out.push_str("Markup(");
            quoted(text.as_str(), out);
            out.push(')');
        }
        Value::Str(text) => {
            budget::spend(text.as_str().len() >> 6)?;
            quoted(text.as_str(), out);
        }
        Value::Bytes(of) => bytes(of, out),
        Value::List(items) => sequence(items, ["[", "]"], out, depth)?,
        Value::Tuple(items) => {
            let close = if items.len() == 1 { ",)" } else { ")" };
            sequence(items, ["(", close], out, depth)?;
        }
        Value::Dict(dict) => entries(&dict.entries, out, depth)?,
        Value::Range(range) => {
            let step = if range.step == 1 { String::new() } else { format!(", {}", range.step) };
            *out +=
                &["range(", &range.start.to_string(), ", ", &range.stop.to_string(), &step, ")"]
                    .concat();
        }
        Value::View(view, dict) => {
            let items: Vec<Value> = dict
                .entries
                .iter()
                .map(|(key, value)| match view {
                    View::Keys => key.clone(),
                    View::Values => value.clone(),
                    View::Items => Value::tuple(vec![key.clone(), value.clone()]),
                })
                .collect();
            out.push_str(value.class());
            sequence(&items, ["([", "])"], out, depth)?;
        }
        Value::Iter(_) => address("a generator")?,
        Value::Object(of) => object(of, out, depth)?,
    }
    Ok(())
}

fn object(of: &Object, out: &mut String, depth: usize) -> Outcome<()> {
    match of {
        Object::Namespace(names) => {
            let pair = |(name, value): &(String, Value)| (Value::str(name.as_str()), value.clone());
            let pairs: Vec<_> = names.borrow().iter().map(pair).collect();
            out.push_str("<Namespace ");
            entries(&pairs, out, depth)?;
            out.push('>');
        }
        Object::Macro(of) => {
            out.push_str("<Macro ");
            match &of.node.name {
                Some(name) => quoted(name, out),
                None => out.push_str("anonymous"),
            }
            out.push('>');
        }
        Object::Global("cycler") => out.push_str("<class 'jinja2.utils.Cycler'>"),
        Object::Global("joiner") => out.push_str("<class 'jinja2.utils.Joiner'>"),
        Object::Global(name) => address(&format!("the function {name}"))?,
        Object::Template => out.push_str("<TemplateReference None>"),
        Object::Method(_, name) => address(&format!("the method {name}"))?,
        // What shows how far it is takes the loop itself.
        Object::Loop(_) => {
            return Err(unsupported("to print a loop inside a value is not supported"));
        }
        Object::Cycler { .. } | Object::Joiner { .. } | Object::Block(_) => address("an object")?,
    }
    Ok(())
}

fn sequence(items: &[Value], ends: [&str; 2], out: &mut String, depth: usize) -> Outcome<()> {
    out.push_str(ends[0]);
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        write(item, out, depth + 1)?;
    }
    out.push_str(ends[1]);
    Ok(())
}

fn entries(pairs: &[(Value, Value)], out: &mut String, depth: usize) -> Outcome<()> {
    out.push('{');
    for (at, (key, value)) in pairs.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        write(key, out, depth + 1)?;
        out.push_str(": ");
        write(value, out, depth + 1)?;
    }
    out.push('}');
    Ok(())
}
