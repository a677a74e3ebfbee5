//! Source to tokens, by the rules of `jinja2.lexer` under `trim_blocks` and `lstrip_blocks`.

use super::literal;
use super::raise::{Outcome, syntax_error};
use super::unicode::is_space;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Data(String),
    VariableBegin,
    VariableEnd,
    BlockBegin,
    BlockEnd,
    Name(String),
    Int(i128),
    Float(f64),
    Str(String),
    Op(&'static str),
    Eof,
}

/// Longest first.
const OPERATORS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}",
    ">", "<", "=", ".", ":", "|", ",", ";",
];

struct Lexer<'s> {
    source: &'s str,
    at: usize,
    line: usize,
    /// Whether what was read last ended a line.
    line_starting: bool,
    out: Vec<(usize, Token)>,
}

/// All tokens with their lines; the last is [`Token::Eof`].
pub(super) fn tokens(source: &str) -> Outcome<Vec<(usize, Token)>> {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let source = source.strip_suffix('\n').unwrap_or(&source);
    let mut lexer = Lexer { source, at: 0, line: 1, line_starting: true, out: Vec::new() };
    while lexer.at < source.len() {
        lexer.root()?;
    }
    lexer.out.push((lexer.line, Token::Eof));
    Ok(lexer.out)
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches(is_space)
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn push(&mut self, token: Token) {
        self.out.push((self.line, token));
    }

    /// Goes on behind what was read.
    fn advance(&mut self, bytes: usize) {
        let read = &self.source[self.at..self.at + bytes];
        self.line += read.matches('\n').count();
        if bytes > 0 {
            self.line_starting = read.ends_with('\n');
        }
        self.at += bytes;
    }

    /// Text up to the next tag, and the tag.
    fn root(&mut self) -> Outcome<()> {
        let rest = self.rest();
        let begins = |(at, _): &(usize, char)| {
            let tag = &rest[*at..];
            tag.starts_with("{{") || tag.starts_with("{%") || tag.starts_with("{#")
        };
        let Some((at, _)) = rest.char_indices().filter(|(_, c)| *c == '{').find(begins) else {
            self.push(Token::Data(rest.to_owned()));
            self.advance(rest.len());
            return Ok(());
        };
        let tag = &rest[at..];
        let sign = tag[2..].chars().next().filter(|sign| "+-".contains(*sign));
        let data = self.before_tag(&rest[..at], sign, tag.starts_with("{{"));
        if !data.is_empty() {
            self.push(Token::Data(data.to_owned()));
        }
        let opening = 2 + usize::from(sign.is_some());
        if let Some(width) = raw_begin(&tag[opening..]).filter(|_| tag.starts_with("{%")) {
            self.advance(at + opening + width);
            return self.raw();
        }
        self.advance(at + opening);
        match &tag[..2] {
            "{#" => self.comment(),
            "{{" => self.inside(Token::VariableBegin, Token::VariableEnd),
            _ => self.inside(Token::BlockBegin, Token::BlockEnd),
        }
    }

    /// What remains of the text before a tag.
    fn before_tag(&self, text: &'s str, sign: Option<char>, variable: bool) -> &'s str {
        if sign == Some('-') {
            return text.trim_end_matches(is_space);
        }
        if sign == Some('+') || variable {
            return text;
        }
        let line = text.rfind('\n').map_or(0, |at| at + 1);
        let blank = !text[line..].is_empty() && text[line..].chars().all(is_space);
        if blank && (line > 0 || self.line_starting) { &text[..line] } else { text }
    }

    fn comment(&mut self) -> Outcome<()> {
        let end = self.rest().find("#}");
        let end = end.ok_or_else(|| syntax_error(self.line, "Missing end of comment tag"))?;
        let sign = self.rest()[..end].chars().next_back();
        let after = &self.rest()[end + 2..];
        self.advance(end + 2 + after_block(after, sign));
        Ok(())
    }

    fn raw(&mut self) -> Outcome<()> {
        let rest = self.rest();
        for (at, _) in rest.match_indices("{%") {
            let tag = &rest[at + 2..];
            let sign = tag.chars().next().filter(|sign| "+-".contains(*sign));
            let inner = skip_space(&tag[usize::from(sign.is_some())..]);
            let Some(inner) = inner.strip_prefix("endraw").map(skip_space) else { continue };
            let end = inner.chars().next().filter(|sign| "+-".contains(*sign));
            let Some(after) = inner[usize::from(end.is_some())..].strip_prefix("%}") else {
                continue;
            };
            let data = self.before_tag(&rest[..at], sign, false);
            if !data.is_empty() {
                self.push(Token::Data(data.to_owned()));
            }
            self.advance(rest.len() - after.len() + after_block(after, end));
            return Ok(());
        }
        Err(syntax_error(self.line, "Missing end of raw directive"))
    }

    /// The tokens of a tag.
    fn inside(&mut self, begin: Token, end: Token) -> Outcome<()> {
        let block = end == Token::BlockEnd;
        self.push(begin);
        let mut open: Vec<char> = Vec::new();
        while self.at < self.source.len() {
            let rest = self.rest();
            if open.is_empty() {
                let sign = rest.chars().next().filter(|c| *c == '-' || (block && *c == '+'));
                let closing = &rest[usize::from(sign.is_some())..];
                if let Some(after) = closing.strip_prefix(if block { "%}" } else { "}}" }) {
                    self.push(end);
                    let trimmed =
                        if block || sign == Some('-') { after_block(after, sign) } else { 0 };
                    self.advance(rest.len() - after.len() + trimmed);
                    return Ok(());
                }
            }
            self.token(&mut open)?;
        }
        Ok(())
    }

    fn token(&mut self, open: &mut Vec<char>) -> Outcome<()> {
        let rest = self.rest();
        let first = rest.chars().next().unwrap_or_default();
        if is_space(first) {
            self.advance(rest.len() - skip_space(rest).len());
            return Ok(());
        }
        let after_dot = self.source[..self.at].ends_with('.');
        if let Some((width, number)) = literal::number(rest, after_dot) {
            self.push(number?);
            self.advance(width);
        } else if first.is_alphanumeric() || first == '_' {
            let width = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            if first.is_numeric() {
                return Err(syntax_error(self.line, "Invalid character in identifier"));
            }
            self.push(Token::Name(rest[..width].to_owned()));
            self.advance(width);
        } else if let Some(width) = literal::string_width(rest) {
            let text = literal::string(&rest[1..width - 1]);
            self.push(Token::Str(text.map_err(|why| syntax_error(self.line, why))?));
            self.advance(width);
        } else if let Some(operator) = OPERATORS.iter().find(|of| rest.starts_with(**of)) {
            self.balance(operator, open)?;
            self.push(Token::Op(operator));
            self.advance(operator.len());
        } else {
            let at = self.source[..self.at].chars().count();
            return Err(syntax_error(self.line, format!("unexpected char {first:?} at {at}")));
        }
        Ok(())
    }

    fn balance(&self, operator: &str, open: &mut Vec<char>) -> Outcome<()> {
        let closing = match operator {
            "(" => ')',
            "[" => ']',
            "{" => '}',
            ")" | "]" | "}" => {
                let expected = open.pop();
                return match expected {
                    Some(expected) if operator.starts_with(expected) => Ok(()),
                    Some(expected) => {
                        let what = format!("unexpected '{operator}', expected '{expected}'");
                        Err(syntax_error(self.line, what))
                    }
                    None => Err(syntax_error(self.line, format!("unexpected '{operator}'"))),
                };
            }
            _ => return Ok(()),
        };
        open.push(closing);
        Ok(())
    }
}

/// How much of `after` the end of a block takes along: all white space behind `-`, nothing behind `+`,
/// else a line's end.
fn after_block(after: &str, sign: Option<char>) -> usize {
    match sign {
        Some('-') => after.len() - skip_space(after).len(),
        Some('+') => 0,
        _ => usize::from(after.starts_with('\n')),
    }
}

/// The width of `raw %}`, where `{%` was read.
fn raw_begin(tag: &str) -> Option<usize> {
    let inner = skip_space(skip_space(tag).strip_prefix("raw")?);
    if let Some(after) = inner.strip_prefix("-%}") {
        return Some(tag.len() - skip_space(after).len());
    }
    inner.strip_prefix("%}").map(|after| tag.len() - after.len())
}
