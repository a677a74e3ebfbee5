//! Between text and the words of the grammar.
//!
//! A word is a run of letters, a run of punctuation, or a line break. The spaces between words
//! follow from the words, so nothing is lost in either direction, and the pieces are the very ones
//! into which the tokenizer's pre-tokenizer cuts.

/// The opening quotation mark; a closing one always follows a full stop or a comma.
const OPENING: &str = "\"";
/// The end of a line of verse or of a list.
pub(super) const LINE_BREAK: &str = "\n";

/// The words of `text`, without the spaces between them.
pub(super) fn split(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = match Kind::of(first) {
            Kind::Space | Kind::LineBreak => first.len_utf8(),
            kind => rest.find(|c| Kind::of(c) != kind).unwrap_or(rest.len()),
        };
        let (word, tail) = rest.split_at(end);
        if word != " " {
            words.push(word);
        }
        rest = tail;
    }
    words
}

/// Writes `word` after what `text` holds, with a space between them where one belongs.
pub(super) fn append(text: &mut String, word: &str) {
    let spaced = word == OPENING || word.starts_with(char::is_alphanumeric);
    let at_start = text.is_empty() || text.ends_with(LINE_BREAK) || opens_quotation(text);
    if spaced && !at_start {
        text.push(' ');
    }
    text.push_str(word);
}

/// Whether `word` ends a sentence.
pub(super) fn ends_sentence(word: &str) -> bool {
    word.starts_with(['.', '!', '?'])
}

/// Whether `text` ends with an opening quotation mark.
fn opens_quotation(text: &str) -> bool {
    let before = text.strip_suffix(OPENING);
    before.is_some_and(|text| text.is_empty() || text.ends_with([' ', '\n']))
}

/// The sentences of `text`, the last of which may be cut short, without the blanks around them.
pub(super) fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let is_end = |c: char| matches!(c, '.' | '!' | '?' | '"');
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let end = rest.match_indices(['.', '!', '?']).next();
        let cut = end.map_or(rest.len(), |(at, _)| {
            let tail = &rest[at..];
            at + tail.find(|c| !is_end(c)).unwrap_or(tail.len())
        });
        let (sentence, tail) = rest.split_at(cut);
        rest = tail;
        (!sentence.is_empty()).then_some(sentence)
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Word,
    Space,
    LineBreak,
    Punctuation,
}

impl Kind {
    fn of(c: char) -> Self {
        match c {
            ' ' => Self::Space,
            '\n' => Self::LineBreak,
            c if c.is_alphanumeric() => Self::Word,
            _ => Self::Punctuation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_follow_from_the_words() {
        let texts = [
            "The owl said, \"Give me tea.\" It shone.",
            "\"I lost it,\" said the owl.\nThe end.",
            "a random Roman general: Julius Caesar.",
        ];
        for text in texts {
            let mut again = String::new();
            for word in split(text) {
                append(&mut again, word);
            }
            assert_eq!(again, text);
        }
    }

    #[test]
    fn sentences_keep_their_quotation_marks() {
        let text = "The owl said, \"Give me tea.\" It shone,\nsoftly.\nThe old";
        let expected = ["The owl said, \"Give me tea.\"", "It shone,\nsoftly.", "The old"];
        assert_eq!(sentences(text).collect::<Vec<_>>(), expected);
    }
}
