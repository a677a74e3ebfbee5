//! HTML: markupsafe's escapes, and jinja2's filters for pages.

use std::fmt::Write as _;

use super::call::Args;
use super::raise::{Outcome, unsupported, value_error};
use super::repr;
use super::unicode::is_space;
use super::value::Value;

pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            c => out.push(c),
        }
    }
    out
}

/// A value as markup; what is markup stays.
pub(super) fn escaped(value: &Value) -> Outcome<Value> {
    Ok(match value {
        Value::Str(text) if text.markup => value.clone(),
        other => Value::text(escape(&repr::string(other)?), true),
    })
}

pub(super) fn xmlattr(value: &Value, args: Args) -> Outcome<Value> {
    let [autospace] = args.bind("xmlattr", ["autospace"], 0)?;
    let entries = match value {
        Value::Dict(dict) => &dict.entries,
        other => {
            super::compare::defined(&[other])?;
            let class = other.class();
            let what = format!("'{class}' object has no attribute 'items'");
            return Err(super::raise::raise("AttributeError", what));
        }
    };
    let mut parts = Vec::new();
    for (key, value) in entries {
        if matches!(value, Value::None | Value::Undefined(_)) {
            continue;
        }
        let name = super::call::string(key, "xmlattr")?;
        if name.contains([' ', '\t', '\n', '\r', '\u{b}', '\u{c}', '/', '>', '=']) {
            let what = format!("Invalid character in attribute name: {}", repr::repr(key)?);
            return Err(value_error(what));
        }
        let (name, value) = (escaped(key)?, escaped(value)?);
        let (name, value) = (repr::string(&name)?, repr::string(&value)?);
        parts.push(format!("{name}=\"{value}\""));
    }
    let joined = parts.join(" ");
    let space = autospace.is_none_or(|of| super::compare::truthy(&of)) && !joined.is_empty();
    Ok(Value::str(if space { format!(" {joined}") } else { joined }))
}

/// Text without tags and comments, its white space folded.
pub(super) fn striptags(text: &str) -> Outcome<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("<!--") {
        let Some(end) = rest[start..].find("-->") else { break };
        out.push_str(&rest[..start]);
        rest = &rest[start + end + 3..];
    }
    out.push_str(rest);
    let (text, mut out) = (out, String::new());
    let mut rest = text.as_str();
    while let Some(start) = rest.find('<') {
        let Some(end) = rest[start..].find('>') else { break };
        out.push_str(&rest[..start]);
        rest = &rest[start + end + 1..];
    }
    out.push_str(rest);
    let words: Vec<&str> = out.split(is_space).filter(|word| !word.is_empty()).collect();
    unescape(&words.join(" "))
}

/// The escapes that [`escape`] writes. HTML has two thousand more.
pub(super) fn unescape(text: &str) -> Outcome<String> {
    const NAMED: [(&str, &str); 7] = [
        ("amp;", "&"),
        ("lt;", "<"),
        ("gt;", ">"),
        ("quot;", "\""),
        ("#39;", "'"),
        ("#34;", "\""),
        ("nbsp;", "\u{a0}"),
    ];
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if let Some((name, c)) = NAMED.iter().find(|(name, _)| part.starts_with(name)) {
            out.push_str(c);
            out.push_str(&part[name.len()..]);
        } else if part.is_empty() || part.starts_with(is_space) {
            out.push('&');
            out.push_str(part);
        } else {
            return Err(unsupported(
                "to read an entity of HTML other than &amp; &lt; &gt; &quot; is not supported",
            ));
        }
    }
    Ok(out)
}

/// Links are not made; text without any stays as it is.
pub(super) fn urlize(value: &Value) -> Outcome<Value> {
    let text = super::call::string(value, "urlize")?;
    if text.split(is_space).any(may_link) {
        return Err(unsupported("urlize of a text with a link is not supported"));
    }
    let markup = escaped(value)?;
    Ok(Value::str(repr::string(&markup)?))
}

/// Whether jinja2 might see a link in a word.
fn may_link(word: &str) -> bool {
    let word = word.to_lowercase();
    let known = ["www.", "@", "mailto:", "xn--", "["].iter().any(|part| word.contains(part));
    let ends = [".com", ".net", ".int", ".edu", ".gov", ".org", ".info", ".mil"];
    let hosts = |rest: &str| {
        let host = rest.split(['/', '?', '#', ':']).next().unwrap_or_default();
        let last = host.rsplit('.').next().unwrap_or_default();
        last.chars().count() > 1 || last.chars().all(|c| c.is_ascii_digit())
    };
    known
        || ends.iter().any(|end| word.contains(end))
        || word.split_once("://").is_some_and(|(_, rest)| hosts(rest))
}

/// Percent-encoded UTF-8; a slash stays where it is no part of a query.
fn quote(text: &str, query: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => {
                out.push(byte as char);
            }
            b'/' if !query => out.push('/'),
            b' ' if query => out.push('+'),
            _ => {
                // A write to a string does not fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

pub(super) fn urlencode(value: &Value) -> Outcome<Value> {
    let quoted =
        |value: &Value, query| -> Outcome<String> { Ok(quote(&repr::string(value)?, query)) };
    let pairs = match value {
        Value::Dict(dict) => dict.entries.clone(),
        Value::Bytes(_) => return Err(unsupported("urlencode of bytes is not supported")),
        Value::Str(_) => return Ok(Value::str(quoted(value, false)?)),
        other => match super::iterate::items(other) {
            Err(error) if error.kind == "TypeError" => {
                return Ok(Value::str(quoted(other, false)?));
            }
            Err(error) => return Err(error),
            Ok(items) => {
                let pair = |item: &Value| {
                    let [key, value]: [Value; 2] = super::iterate::unpack(item, 2)?
                        .try_into()
                        .unwrap_or([Value::None, Value::None]);
                    Ok((key, value))
                };
                items.iter().map(pair).collect::<Outcome<Vec<_>>>()?
            }
        },
    };
    let parts = pairs
        .iter()
        .map(|(key, value)| Ok(format!("{}={}", quoted(key, true)?, quoted(value, true)?)));
    Ok(Value::str(parts.collect::<Outcome<Vec<String>>>()?.join("&")))
}
