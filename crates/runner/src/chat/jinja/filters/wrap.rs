//! `wordwrap`, as Python's `textwrap` does it with words that have no hyphen.

use super::super::budget;
use super::super::call::{Args, int, string};
use super::super::compare::truthy;
use super::super::methods::lines;
use super::super::raise::{Outcome, unsupported, value_error};
use super::super::unicode::is_space;
use super::super::value::Value;

pub(super) fn wordwrap(value: &Value, args: Args) -> Outcome<Value> {
    let names = ["width", "break_long_words", "wrapstring", "break_on_hyphens"];
    let [width, break_long, wrapstring, hyphens] = args.bind("wordwrap", names, 0)?;
    let width = int(width.as_ref(), 79)?;
    let on = |option: Option<Value>| option.is_none_or(|option| truthy(&option));
    let (break_long, hyphens) = (on(break_long), on(hyphens));
    let end = match &wrapstring {
        None | Some(Value::None) => "\n",
        Some(text) => string(text, "wordwrap")?,
    };
    let mut out = Vec::new();
    for line in lines(string(value, "wordwrap")?, false) {
        out.push(wrapped(line, width, break_long, hyphens)?.join(end));
    }
    let text = out.join(end);
    budget::fits(text.len())?;
    Ok(Value::str(text))
}

fn wrapped(line: &str, width: i128, break_long: bool, hyphens: bool) -> Outcome<Vec<String>> {
    let Some(width) = usize::try_from(width).ok().filter(|width| *width > 0) else {
        return Err(value_error(format!("invalid width {width} (must be > 0)")));
    };
    if line.chars().count() > width && hyphens && line.contains('-') {
        return Err(unsupported("wordwrap of a word with a hyphen is not supported"));
    }
    let mut chunks = chunks(line);
    chunks.reverse();
    let mut out: Vec<String> = Vec::new();
    while !chunks.is_empty() {
        let (mut row, mut length): (Vec<String>, usize) = (Vec::new(), 0);
        let blank = |chunk: &String| chunk.chars().all(is_space);
        if !out.is_empty() && chunks.last().is_some_and(blank) {
            chunks.pop();
        }
        while let Some(chunk) = chunks.last() {
            let size = chunk.chars().count();
            if length + size > width {
                break;
            }
            length += size;
            row.extend(chunks.pop());
        }
        if let Some(chunk) = chunks.last().filter(|chunk| chunk.chars().count() > width).cloned() {
            let room = if break_long { width - length } else { 0 };
            if break_long {
                let cut = |(at, _)| at;
                let at = chunk.char_indices().nth(room).map_or(chunk.len(), cut);
                row.push(chunk[..at].to_owned());
                chunks.pop();
                chunks.push(chunk[at..].to_owned());
            } else if row.is_empty() {
                row.extend(chunks.pop());
            }
        }
        if row.last().is_some_and(blank) {
            row.pop();
        }
        if !row.is_empty() {
            out.push(row.concat());
        }
    }
    Ok(out)
}

/// Words and the white space between them.
fn chunks(line: &str) -> Vec<String> {
    let space = |c: char| "\t\n\u{b}\u{c}\r ".contains(c);
    let mut out: Vec<String> = Vec::new();
    for c in line.chars() {
        match out.last_mut() {
            Some(last) if last.starts_with(space) == space(c) => last.push(c),
            _ => out.push(c.to_string()),
        }
    }
    out
}
