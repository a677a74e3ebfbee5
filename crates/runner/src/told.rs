//! Texts of users and models as part of a line on the terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Letters shown of a value.
const SHOWN: usize = 80;

/// The text without what would act on the terminal instead of being shown: control characters, and
/// those that change the direction or the order of what stands beside them or have no width. They
/// are written as `\u{202e}`, line breaks and tabs as `\n` and `\t`.
///
/// ```
/// assert_eq!(taper_runner::escaped("a\u{202e}b\n"), "a\\u{202e}b\\n");
/// ```
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' | '\t' | '\r' => shown.extend(c.escape_default()),
            c if acts(c) => {
                // A write to a string does not fail.
                let _ = write!(shown, "\\u{{{:x}}}", c as u32);
            }
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// The beginning of a long text, and how long it is.
///
/// ```
/// let long = "x".repeat(100_000);
/// assert_eq!(taper_runner::shortened(&long).chars().count(), 80 + "… (100000 characters)".len() - 2);
/// ```
pub fn shortened(text: &str) -> Cow<'_, str> {
    // What is a little longer is shown faster than told of.
    if text.len() <= SHOWN || text.chars().nth(SHOWN + 20).is_none() {
        return Cow::Borrowed(text);
    }
    let head: String = text.chars().take(SHOWN).collect();
    Cow::Owned(format!("{head}… ({} characters)", text.chars().count()))
}

/// Whether a character acts on the terminal, or on how others are shown.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_written_out_and_what_is_shown_is_left() {
        let cases = [
            ("plain ö 日本 👩\u{200d}🚀", "plain ö 日本 👩\u{200d}🚀"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("a\tb\r\n", "a\\tb\\r\\n"),
            ("\u{202e}abc\u{2066}\u{2069}", "\\u{202e}abc\\u{2066}\\u{2069}"),
            ("\u{200f}\u{feff}\u{9b}\u{7f}", "\\u{200f}\\u{feff}\\u{9b}\\u{7f}"),
            ("\u{e0041}\u{2028}", "\\u{e0041}\\u{2028}"),
        ];
        for (text, want) in cases {
            assert_eq!(escaped(text), want);
        }
    }

    #[test]
    fn a_long_text_is_told_by_its_beginning() {
        assert_eq!(shortened(&"ö".repeat(100)), "ö".repeat(100));
        let want = format!("{}… (101 characters)", "ö".repeat(80));
        assert_eq!(shortened(&"ö".repeat(101)), want);
    }
}
