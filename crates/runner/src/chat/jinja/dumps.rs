//! `tojson` as Python's `json.dumps`, with the options that transformers passes on.

use std::fmt::Write as _;

use super::budget::{self, DEEPEST};
use super::call::{Args, string};
use super::compare::{less, truthy};
use super::filters::sorted;
use super::raise::{Outcome, raise, type_error};
use super::repr;
use super::value::Value;

/// How to write.
struct Style {
    ascii: bool,
    sorted: bool,
    indent: Option<String>,
    item: String,
    key: String,
}

pub(super) fn dumps(value: &Value, args: Args) -> Outcome<Value> {
    let names = ["ensure_ascii", "indent", "separators", "sort_keys"];
    let [ascii, indent, separators, sort] = args.bind("tojson", names, 0)?;
    let indent = match indent {
        None | Some(Value::None) => None,
        Some(Value::Str(text)) => Some(text.as_str().to_owned()),
        Some(width) => {
            let width = super::call::int(Some(&width), 0)?.max(0);
            let width = usize::try_from(width).unwrap_or(usize::MAX);
            budget::fits(width)?;
            Some(" ".repeat(width))
        }
    };
    let [item, key] = match separators {
        None | Some(Value::None) => {
            [if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()]
        }
        Some(pair) => {
            let pair = super::iterate::unpack(&pair, 2)?;
            [string(&pair[0], "separators")?.to_owned(), string(&pair[1], "separators")?.to_owned()]
        }
    };
    let on = |option: Option<Value>| option.is_some_and(|option| truthy(&option));
    let style = Style { ascii: on(ascii), sorted: on(sort), indent, item, key };
    let mut out = String::new();
    style.write(&mut out, value, 0)?;
    Ok(Value::str(out))
}

impl Style {
    fn write(&self, out: &mut String, value: &Value, depth: usize) -> Outcome<()> {
        budget::check()?;
        budget::fits(out.len())?;
        if depth > DEEPEST {
            return Err(raise("RecursionError", "maximum recursion depth exceeded"));
        }
        match value {
            Value::None => out.push_str("null"),
            Value::Bool(of) => out.push_str(if *of { "true" } else { "false" }),
            Value::Int(of) => out.push_str(&of.to_string()),
            Value::Float(of) => out.push_str(&float(*of)),
            Value::Str(text) => {
                budget::spend(text.as_str().len() >> 6)?;
                self.write_string(out, text.as_str());
            }
            Value::Dict(dict) => {
                let mut entries = dict.entries.clone();
                if self.sorted {
                    entries = sorted(entries, |(left, _), (right, _)| less(left, right))?;
                }
                self.write_all(out, ['{', '}'], depth, &entries, |out, (key, value)| {
                    self.write_string(out, &name(key)?);
                    out.push_str(&self.key);
                    self.write(out, value, depth + 1)
                })?;
            }
            Value::List(items) | Value::Tuple(items) => {
                let write = |out: &mut String, item: &Value| self.write(out, item, depth + 1);
                self.write_all(out, ['[', ']'], depth, items, write)?;
            }
            other => {
                let what = format!("Object of type {} is not JSON serializable", other.class());
                return Err(type_error(what));
            }
        }
        Ok(())
    }

    fn write_all<T>(
        &self,
        out: &mut String,
        [open, close]: [char; 2],
        depth: usize,
        items: &[T],
        mut write: impl FnMut(&mut String, &T) -> Outcome<()>,
    ) -> Outcome<()> {
        out.push(open);
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                out.push_str(&self.item);
            }
            self.break_line(out, depth + 1)?;
            write(out, item)?;
        }
        if !items.is_empty() {
            self.break_line(out, depth)?;
        }
        out.push(close);
        Ok(())
    }

    fn break_line(&self, out: &mut String, depth: usize) -> Outcome<()> {
        if let Some(indent) = &self.indent {
            budget::fits(out.len() + indent.len() * depth)?;
            out.push('\n');
            out.push_str(&indent.repeat(depth));
        }
        Ok(())
    }

    fn write_string(&self, out: &mut String, text: &str) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' || (self.ascii && c > '~') => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        // A write to a string does not fail.
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

fn float(of: f64) -> String {
    match of {
        of if of.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        of => repr::float(of),
    }
}

/// A key as the string that it becomes.
fn name(key: &Value) -> Outcome<String> {
    match key {
        Value::Str(text) => Ok(text.as_str().to_owned()),
        Value::None => Ok("null".to_owned()),
        Value::Bool(of) => Ok(of.to_string()),
        Value::Int(of) => Ok(of.to_string()),
        Value::Float(of) => Ok(float(*of)),
        other => {
            let class = other.class();
            Err(type_error(format!("keys must be str, int, float, bool or None, not {class}")))
        }
    }
}
