//! A check of the merges in a `tokenizer.json`, on which the library panics.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

#[derive(Deserialize)]
struct File {
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    vocab: Vocabulary,
    merges: Merges,
    continuing_subword_prefix: Option<String>,
}

/// Bytes of the longest token.
struct Vocabulary(usize);

/// Bytes of the longest merge, and of the shortest second part.
struct Merges {
    longest: usize,
    shortest_part: usize,
}

/// Bytes of a text.
struct Length(usize);

/// Bytes of the two parts of a merge.
struct Merge(usize, usize);

/// Why the library would panic on this `tokenizer.json`: it joins the parts of a merge where there is
/// room for the longest token alone. Whatever else is wrong it says itself.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let Ok(File { model }) = serde_json::from_slice(bytes) else { return Ok(()) };
    let (prefix, Merges { longest, shortest_part }) =
        (model.continuing_subword_prefix.unwrap_or_default(), model.merges);
    if !prefix.is_ascii() || shortest_part < prefix.len() {
        return Err("a merge lacks the prefix of what continues a word".to_owned());
    }
    if longest > model.vocab.0 + prefix.len() {
        return Err("a merge makes a longer token than any that there is".to_owned());
    }
    Ok(())
}

impl<'de> Deserialize<'de> for Vocabulary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self(0))
    }
}

impl<'de> Visitor<'de> for Vocabulary {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tokens with their ids")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some((Length(length), IgnoredAny)) = map.next_entry()? {
            self.0 = self.0.max(length);
        }
        Ok(self)
    }
}

impl<'de> Deserialize<'de> for Merges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Self { longest: 0, shortest_part: usize::MAX })
    }
}

impl<'de> Visitor<'de> for Merges {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of merges")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Self, A::Error> {
        while let Some(Merge(left, right)) = list.next_element()? {
            self.longest = self.longest.max(left + right);
            self.shortest_part = self.shortest_part.min(right);
        }
        Ok(self)
    }
}

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self(0, 0))
    }
}

/// Two texts, or one with a space between the parts as older files have it.
impl<'de> Visitor<'de> for Merge {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pair of tokens")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self, E> {
        let (left, right) = text.split_once(' ').unwrap_or((text, ""));
        Ok(Self(left.len(), right.len()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        let mut part =
            || list.next_element::<Length>()?.ok_or_else(|| A::Error::invalid_length(1, &self));
        let (left, right) = (part()?, part()?);
        Ok(Self(left.0, right.0))
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Self(0))
    }
}

impl Visitor<'_> for Length {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self, E> {
        Ok(Self(text.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    fn file(merges: &str, more: &str) -> String {
        format!(
            r#"{{"model": {{"type": "BPE", "vocab": {{"a": 0, "b": 1, "ab": 2, "\u00e9": 3}},
                 "merges": {merges} {more}}}}}"#
        )
    }

    /// What is refused here makes the library panic: told by the same file without a merge.
    #[test]
    fn merges_that_have_no_room_are_found() {
        for (merges, more, right) in [
            (r#"[["a", "b"]]"#, "", true),
            (r#"["a b"]"#, "", true),
            (r#"[["a", "no"]]"#, "", false),
            (r#"[["ab", "b"]]"#, "", false),
            (r#"["ab ab"]"#, "", false),
            (r#"[["a", "b"]]"#, r#", "continuing_subword_prefix": "é""#, false),
            (r#"[["a", "b"]]"#, r#", "continuing_subword_prefix": "@@""#, false),
            (r#"[["a", "@@b"]]"#, r#", "continuing_subword_prefix": "@@""#, true),
            // The library says what is wrong with these.
            (r#"[["a"]]"#, "", true),
            ("17", "", true),
        ] {
            let file = file(merges, more);
            assert_eq!(check(file.as_bytes()).is_ok(), right, "{file}");
        }
    }
}
