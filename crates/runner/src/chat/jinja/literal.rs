//! Numbers and strings as Python reads them.

use super::lexer::Token;
use super::raise::{Outcome, unsupported};
use super::repr::push_escape;

/// The width of a number that `text` begins with, and the number. After a dot there is no float.
pub(super) fn number(text: &str, after_dot: bool) -> Option<(usize, Outcome<Token>)> {
    if let Some(width) = float_width(text).filter(|_| !after_dot) {
        let value = text[..width].replace('_', "").parse().map(Token::Float);
        return Some((width, value.map_err(|_| unsupported("a number that is no number"))));
    }
    let (width, digits, radix) = integer(text)?;
    let value = i128::from_str_radix(&digits, radix).map(Token::Int);
    Some((width, value.map_err(|_| too_long())))
}

pub(super) fn too_long() -> Box<super::raise::Raise> {
    unsupported("an integer of more than 128 bits is not supported")
}

/// Digits with single underscores between them.
fn digits(text: &str, is_digit: fn(u8) -> bool) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let next = if at > 0 && bytes[at] == b'_' { at + 1 } else { at };
        if !bytes.get(next).copied().is_some_and(is_digit) {
            break;
        }
        at = next + 1;
    }
    at
}

fn float_width(text: &str) -> Option<usize> {
    let decimal = |text: &str| digits(text, |byte| byte.is_ascii_digit());
    let whole = decimal(text);
    if whole == 0 {
        return None;
    }
    let mut width = whole;
    if text[width..].starts_with('.') {
        let fraction = decimal(&text[width + 1..]);
        width += if fraction > 0 { 1 + fraction } else { 0 };
    }
    if text[width..].starts_with(['e', 'E']) {
        let sign = usize::from(text[width + 1..].starts_with(['+', '-']));
        let exponent = decimal(&text[width + 1 + sign..]);
        width += if exponent > 0 { 1 + sign + exponent } else { 0 };
    }
    (width > whole).then_some(width)
}

fn integer(text: &str) -> Option<(usize, String, u32)> {
    let prefixed = text.get(..2).map(str::to_ascii_lowercase);
    let radix = match prefixed.as_deref() {
        Some("0b") => 2,
        Some("0o") => 8,
        Some("0x") => 16,
        _ => 10,
    };
    let is_digit: fn(u8) -> bool = match radix {
        2 => |byte| matches!(byte, b'0' | b'1'),
        8 => |byte| matches!(byte, b'0'..=b'7'),
        _ => |byte| byte.is_ascii_hexdigit(),
    };
    if radix != 10 {
        let body = text[2..].strip_prefix('_').unwrap_or(&text[2..]);
        let width = digits(body, is_digit);
        if width > 0 {
            let before = text.len() - body.len();
            return Some((before + width, body[..width].replace('_', ""), radix));
        }
    }
    let zeros = text.starts_with('0');
    let width =
        digits(text, if zeros { |byte| byte == b'0' } else { |byte| byte.is_ascii_digit() });
    (width > 0).then(|| (width, text[..width].replace('_', ""), 10))
}

/// The width of a string literal with its quotes.
pub(super) fn string_width(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Some(at + 1);
        }
        if c == '\\' {
            chars.next()?;
        }
    }
    None
}

/// A string from what stands between the quotes. As in jinja2, what is not ASCII becomes an escape
/// first, so that a backslash before it stays and shows the escape's letters.
pub(super) fn string(body: &str) -> Result<String, String> {
    let mut ascii = String::with_capacity(body.len());
    for c in body.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            push_escape(c, &mut ascii);
        }
    }
    decode(&ascii)
}

fn decode(ascii: &str) -> Result<String, String> {
    let mut out = String::with_capacity(ascii.len());
    let mut high: Option<u32> = None;
    let mut rest = ascii;
    while let Some(c) = rest.chars().next() {
        rest = &rest[1..];
        let code = if c == '\\' { escape(&mut rest, &mut out)? } else { Some(c as u32) };
        let Some(code) = code else { continue };
        match (high.take(), code) {
            (None, 0xD800..0xDC00) => high = Some(code),
            (Some(high), 0xDC00..0xE000) => {
                let code = 0x1_0000 + ((high - 0xD800) << 10) + (code - 0xDC00);
                out.extend(char::from_u32(code));
            }
            (Some(_), _) | (None, 0xDC00..0xE000) => {
                return Err("a surrogate that is alone cannot be written".to_owned());
            }
            (None, code) => out.extend(char::from_u32(code)),
        }
    }
    match high {
        Some(_) => Err("a surrogate that is alone cannot be written".to_owned()),
        None => Ok(out),
    }
}

/// What is behind a backslash: a character's code, or text that was put out.
fn escape(rest: &mut &str, out: &mut String) -> Result<Option<u32>, String> {
    let Some(c) = rest.chars().next() else { return Err("\\ at end of string".to_owned()) };
    let octal = rest.bytes().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    if octal > 0 {
        let code = u32::from_str_radix(&rest[..octal], 8).map_err(|error| error.to_string())?;
        *rest = &rest[octal..];
        return Ok(Some(code));
    }
    *rest = &rest[1..];
    let plain = |c: char| Ok(Some(c as u32));
    match c {
        '\n' => Ok(None),
        '\\' | '\'' | '"' => plain(c),
        'a' => plain('\u{7}'),
        'b' => plain('\u{8}'),
        'f' => plain('\u{c}'),
        'n' => plain('\n'),
        'r' => plain('\r'),
        't' => plain('\t'),
        'v' => plain('\u{b}'),
        'x' | 'u' | 'U' => {
            let (width, name) = match c {
                'x' => (2, "\\xXX"),
                'u' => (4, "\\uXXXX"),
                _ => (8, "\\UXXXXXXXX"),
            };
            let digits = rest.get(..width).filter(|of| of.bytes().all(|b| b.is_ascii_hexdigit()));
            let digits = digits.ok_or_else(|| format!("truncated {name} escape"))?;
            *rest = &rest[width..];
            let code = u32::from_str_radix(digits, 16).map_err(|error| error.to_string())?;
            if code > 0x10_FFFF {
                return Err("illegal Unicode character".to_owned());
            }
            Ok(Some(code))
        }
        'N' => Err("\\N{…}, a character by its name, is not supported".to_owned()),
        other => {
            out.push('\\');
            plain(other)
        }
    }
}
