//! Python's classes of characters, where the standard library's differ.

use std::sync::LazyLock;

use regex::Regex;

/// `str.isspace`: also the separators of ASCII.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn is_of(class: &Regex, c: char) -> bool {
    class.is_match(c.encode_utf8(&mut [0; 4]))
}

fn class(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|error| unreachable!("a pattern that is fixed: {error}"))
}

pub(super) fn is_printable(c: char) -> bool {
    static UNSEEN: LazyLock<Regex> = LazyLock::new(|| class(r"[\p{C}\p{Z}]"));
    if c.is_ascii() { (' '..='~').contains(&c) } else { !is_of(&UNSEEN, c) }
}

pub(super) fn is_alpha(c: char) -> bool {
    static LETTER: LazyLock<Regex> = LazyLock::new(|| class(r"\p{L}"));
    if c.is_ascii() { c.is_ascii_alphabetic() } else { is_of(&LETTER, c) }
}

pub(super) fn is_decimal(c: char) -> bool {
    static DECIMAL: LazyLock<Regex> = LazyLock::new(|| class(r"\p{Nd}"));
    if c.is_ascii() { c.is_ascii_digit() } else { is_of(&DECIMAL, c) }
}

/// Decimals, and digits that are written high, low or in a circle.
pub(super) fn is_digit(c: char) -> bool {
    is_decimal(c)
        || matches!(c, '²' | '³' | '¹' | '\u{1369}'..='\u{1371}' | '\u{19da}' | '⁰' | '⁴'..='⁹'
            | '₀'..='₉' | '①'..='⑨' | '⑴'..='⑼' | '⒈'..='⒐' | '\u{24ea}'
            | '\u{24f5}'..='\u{24fd}' | '\u{24ff}' | '\u{2776}'..='\u{277e}'
            | '\u{2780}'..='\u{2788}' | '\u{278a}'..='\u{2792}' | '\u{10a40}'..='\u{10a43}'
            | '\u{10e60}'..='\u{10e68}' | '\u{11052}'..='\u{1105a}' | '\u{1f100}'..='\u{1f10a}')
}

/// The value of a decimal digit of any script.
pub(super) fn digit_value(c: char) -> Option<u8> {
    if !is_decimal(c) {
        return None;
    }
    // The digits of a script are ten in a row.
    let before = (1..10).take_while(|back| char::from_u32(c as u32 - back).is_some_and(is_decimal));
    match c as u32 {
        code @ 0x1D7CE..=0x1D7FF => Some(((code - 0x1D7CE) % 10) as u8),
        _ => Some(before.count() as u8),
    }
}

fn is_cased(c: char) -> bool {
    c.is_lowercase() || c.is_uppercase() || is_title(c)
}

fn is_title(c: char) -> bool {
    static TITLE: LazyLock<Regex> = LazyLock::new(|| class(r"\p{Lt}"));
    !c.is_ascii() && is_of(&TITLE, c)
}

pub(super) fn is_upper(text: &str) -> bool {
    text.chars().any(char::is_uppercase) && !text.chars().any(|c| c.is_lowercase() || is_title(c))
}

pub(super) fn is_lower(text: &str) -> bool {
    text.chars().any(char::is_lowercase) && !text.chars().any(|c| c.is_uppercase() || is_title(c))
}

/// `str.istitle`: capitals only behind what has no case, small letters only behind what has.
pub(super) fn is_titled(text: &str) -> bool {
    let (mut cased, mut inside) = (false, false);
    for c in text.chars() {
        let (capital, small) = (c.is_uppercase() || is_title(c), c.is_lowercase());
        if (capital && inside) || (small && !inside) {
            return false;
        }
        inside = capital || small;
        cased |= inside;
    }
    cased
}

/// `str.title`.
pub(super) fn title(text: &str) -> String {
    let lower = lower_by_char(text);
    let mut inside = false;
    let mut out = String::with_capacity(text.len());
    for (c, lower) in text.chars().zip(lower) {
        if inside {
            out.push_str(&lower);
        } else {
            push_title(c, &mut out);
        }
        inside = is_cased(c);
    }
    out
}

/// `str.capitalize`.
pub(super) fn capitalize(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, (c, lower)) in text.chars().zip(lower_by_char(text)).enumerate() {
        if at == 0 {
            push_title(c, &mut out);
        } else {
            out.push_str(&lower);
        }
    }
    out
}

/// The lower case of each character; a sigma that ends a word has its own.
fn lower_by_char(text: &str) -> Vec<String> {
    let mut lowered = text.to_lowercase();
    let mut out = Vec::new();
    for c in text.chars() {
        let width = c.to_lowercase().map(char::len_utf8).sum();
        let rest = lowered.split_off(width);
        out.push(std::mem::replace(&mut lowered, rest));
    }
    out
}

pub(super) fn swapcase(text: &str) -> String {
    let lower = lower_by_char(text);
    let mut out = String::with_capacity(text.len());
    for (c, lower) in text.chars().zip(lower) {
        if c.is_uppercase() {
            out.push_str(&lower);
        } else if c.is_lowercase() {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
    }
    out
}

/// The capital that begins a word. Where it is several letters, only the first is one.
fn push_title(c: char, out: &mut String) {
    let code = c as u32;
    match code {
        0x1C4..=0x1CC => out.extend(char::from_u32(0x1C5 + (code - 0x1C4) / 3 * 3)),
        0x1F1..=0x1F3 => out.push('\u{1f2}'),
        // Georgian has capitals for whole words alone; the others are such capitals.
        0x10D0..=0x10FA | 0x10FD..=0x10FF | 0x1FBC | 0x1FCC | 0x1FFC => out.push(c),
        0x149 => out.push_str("\u{2bc}N"),
        0x1F80..=0x1FAF => out.extend(char::from_u32(code | 8)),
        0x1FB3 | 0x1FC3 | 0x1FF3 => out.extend(char::from_u32(code + 9)),
        0x1FB2 | 0x1FB4 | 0x1FB7 | 0x1FC2 | 0x1FC4 | 0x1FC7 | 0x1FF2 | 0x1FF4 | 0x1FF7 => {
            let upper: Vec<char> = c.to_uppercase().collect();
            out.extend(&upper[..upper.len() - 1]);
            out.push('\u{345}');
        }
        _ => {
            let mut upper = c.to_uppercase();
            out.extend(upper.next());
            let ligature = matches!(code, 0xDF | 0x587 | 0xFB00..=0xFB06 | 0xFB13..=0xFB17);
            for more in upper {
                if ligature {
                    out.extend(more.to_lowercase());
                } else {
                    out.push(more);
                }
            }
        }
    }
}
