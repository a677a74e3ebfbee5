//! From bytes to text that can be shown: never half a character, never part of a stop string.

use alloc::string::String;
use alloc::vec::Vec;

/// The text of one sequence as it comes: bytes in, text out.
///
/// Two things are held back until what follows settles them: bytes that do not make a character yet, and
/// text that may be the beginning of a stop string. What was released is never taken back. Bytes that no
/// UTF-8 has become U+FFFD.
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let mut text = TextStream::new().stops(["END"]);
/// assert_eq!(text.push("caf".as_bytes()).text, "caf");
/// assert_eq!(text.push(&[0xc3]).text, "", "half an é");
/// assert_eq!(text.push(&[0xa9, b'E']).text, "é", "the E may be the beginning of END");
/// let last = text.push(b"ND of it");
/// assert!(last.stopped && last.text.is_empty());
/// ```
#[derive(Debug, Clone, Default)]
pub struct TextStream {
    stops: Vec<String>,
    /// The beginning of a character.
    bytes: Vec<u8>,
    /// Settled as characters, but perhaps a part of a stop string.
    held: String,
    stopped: bool,
}

/// What a token added to the text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Piece {
    /// Text that is settled now.
    pub text: String,
    /// A stop string is complete. The text ends before it, and there is no more to come.
    pub stopped: bool,
}

impl TextStream {
    /// A text that nothing stops.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with these stop strings; an empty one stops nothing.
    #[must_use]
    pub fn stops(self, stops: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let stops = stops.into_iter().map(Into::into).filter(|stop: &String| !stop.is_empty());
        Self { stops: stops.collect(), ..self }
    }

    /// Takes the bytes of a token.
    pub fn push(&mut self, bytes: &[u8]) -> Piece {
        self.bytes.extend_from_slice(bytes);
        let bytes = core::mem::take(&mut self.bytes);
        let mut rest = &bytes[..];
        loop {
            match core::str::from_utf8(rest) {
                Ok(text) => {
                    self.held.push_str(text);
                    break;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    self.held.push_str(core::str::from_utf8(valid).unwrap_or_default());
                    let Some(invalid) = error.error_len() else {
                        self.bytes = after.to_vec();
                        break;
                    };
                    self.held.push(char::REPLACEMENT_CHARACTER);
                    rest = &after[invalid..];
                }
            }
        }
        self.release()
    }

    /// Takes text that is settled as characters.
    pub fn push_str(&mut self, text: &str) -> Piece {
        self.held.push_str(text);
        self.release()
    }

    /// All that is held back: there are no more tokens.
    pub fn finish(&mut self) -> String {
        if self.stopped {
            return String::new();
        }
        if !core::mem::take(&mut self.bytes).is_empty() {
            self.held.push(char::REPLACEMENT_CHARACTER);
        }
        core::mem::take(&mut self.held)
    }

    fn release(&mut self) -> Piece {
        if self.stopped {
            return Piece { text: String::new(), stopped: true };
        }
        let earliest = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        if let Some(start) = earliest {
            self.stopped = true;
            let mut text = core::mem::take(&mut self.held);
            text.truncate(start);
            return Piece { text, stopped: true };
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        Piece { text: core::mem::replace(&mut self.held, rest), stopped: false }
    }
}

/// The length of the longest proper prefix of `stop` that `text` ends with.
fn overlap(text: &str, stop: &str) -> usize {
    let prefixes = stop.char_indices().map(|(end, _)| end).rev();
    prefixes.filter(|&end| text.ends_with(&stop[..end])).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However it is cut into pieces, the same text comes out, and nothing that is taken back.
    #[test]
    fn the_pieces_make_the_text_whatever_they_are() {
        let text = "naïve — 😀 the end. more";
        for size in 1..8 {
            for (stop, want) in [("end", "naïve — 😀 the "), ("😀", "naïve — "), ("zzz", text)]
            {
                let mut stream = TextStream::new().stops([stop, ""]);
                let mut shown = String::new();
                for piece in text.as_bytes().chunks(size) {
                    shown.push_str(&stream.push(piece).text);
                    assert!(want.starts_with(&shown), "{shown:?}");
                }
                shown.push_str(&stream.finish());
                assert_eq!(shown, want, "{size}");
            }
        }
    }

    #[test]
    fn what_is_no_character_is_replaced_as_the_standard_library_does() {
        let bytes = b"a\xffb\xf0\x9f\x98c\xe2\x82";
        for size in 1..9 {
            let mut stream = TextStream::new();
            let mut shown = String::new();
            for piece in bytes.chunks(size) {
                shown.push_str(&stream.push(piece).text);
            }
            shown.push_str(&stream.finish());
            assert_eq!(shown, String::from_utf8_lossy(bytes));
        }
    }
}
