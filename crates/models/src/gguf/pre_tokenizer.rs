//! How a text is cut into words before the merges: what `tokenizer.ggml.pre` names.

mod known;

use serde_json::{Value, json};

use self::known::ALL;
use super::error::GgufError;

/// A way of cutting texts, under the names that llama.cpp has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PreTokenizer {
    /// The first is the one that is written.
    names: &'static [&'static str],
    /// Whether a text is put in normal form C first.
    nfc: bool,
    /// One after the other, each within the pieces of the one before.
    cuts: &'static [Cut],
    /// Whether a word that is a token is not merged from its parts.
    pub(super) ignore_merges: bool,
    /// Whether a text begins with the BOS token where the file does not say.
    pub(super) add_bos: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// GPT-2's, which the library has built in; it comes last.
    Gpt2,
    /// Each digit is a piece.
    Digits,
    /// Each match is a piece, and what is between two.
    Regex(&'static str),
}

impl Cut {
    /// As a `tokenizer.json` has it.
    fn to_json(self) -> Value {
        match self {
            Self::Gpt2 => bytes(true),
            Self::Digits => json!({ "type": "Digits", "individual_digits": true }),
            Self::Regex(regex) => json!({ "type": "Split", "pattern": { "Regex": regex },
                                          "behavior": "Isolated", "invert": false }),
        }
    }
}

/// The bytes of a text as characters, cut by GPT-2's rule or not.
fn bytes(use_regex: bool) -> Value {
    json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
            "use_regex": use_regex })
}

impl PreTokenizer {
    const fn new(names: &'static [&'static str], cuts: &'static [Cut]) -> Self {
        Self { names, nfc: false, cuts, ignore_merges: false, add_bos: false }
    }

    const fn nfc(self) -> Self {
        Self { nfc: true, ..self }
    }

    const fn whole_words(self) -> Self {
        Self { ignore_merges: true, ..self }
    }

    const fn with_bos(self) -> Self {
        Self { add_bos: true, ..self }
    }

    /// The value of `tokenizer.ggml.pre`.
    pub(super) fn name(&self) -> &'static str {
        self.names[0]
    }

    pub(super) fn named(name: &str) -> Result<Self, GgufError> {
        let known = ALL.into_iter().find(|known| known.names.contains(&name));
        known.ok_or_else(|| GgufError::PreTokenizer {
            found: name.to_owned(),
            supported: ALL.iter().flat_map(|known| known.names).copied().collect(),
        })
    }

    /// The one that a `tokenizer.json` has, of several the one that treats merges alike.
    pub(super) fn of(tokenizer: &Value) -> Option<Self> {
        let ignore_merges = tokenizer["model"]["ignore_merges"] == true;
        let same = |known: &&PreTokenizer| {
            known.normalises_as(&tokenizer["normalizer"])
                && known.is_in(&tokenizer["pre_tokenizer"])
        };
        let mut cut_alike = ALL.iter().filter(same);
        let treats = |known: &&PreTokenizer| known.ignore_merges == ignore_merges;
        cut_alike.clone().find(treats).or_else(|| cut_alike.next()).copied()
    }

    fn normalises_as(&self, normalizer: &Value) -> bool {
        let none = normalizer["normalizers"].as_array().is_some_and(Vec::is_empty);
        let normalizer = if none { &Value::Null } else { normalizer };
        self.normalizer() == *normalizer
    }

    fn is_in(&self, pre_tokenizer: &Value) -> bool {
        let own = self.parts();
        let others = match pre_tokenizer["pretokenizers"].as_array() {
            Some(parts) => parts.clone(),
            None => vec![pre_tokenizer.clone()],
        };
        // What a part says besides does not matter to where it cuts, if it is absent here.
        let agrees = |own: &Value, other: &Value| {
            let entries = own.as_object().into_iter().flatten();
            entries
                .filter(|(key, _)| *key != "trim_offsets")
                .all(|(key, value)| other[key] == *value)
        };
        own.len() == others.len() && own.iter().zip(&others).all(|(own, other)| agrees(own, other))
    }

    /// As a `tokenizer.json` has it.
    pub(super) fn normalizer(&self) -> Value {
        if self.nfc { json!({ "type": "NFC" }) } else { Value::Null }
    }

    /// As a `tokenizer.json` has it.
    pub(super) fn pre_tokenizer(&self) -> Value {
        match <[Value; 1]>::try_from(self.parts()) {
            Ok([only]) => only,
            Err(parts) => json!({ "type": "Sequence", "pretokenizers": parts }),
        }
    }

    fn parts(&self) -> Vec<Value> {
        let mut parts: Vec<Value> = self.cuts.iter().map(|cut| cut.to_json()).collect();
        if self.cuts.last() != Some(&Cut::Gpt2) {
            parts.push(bytes(false));
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_is_known_again_by_its_own_json() {
        for known in ALL {
            let json = json!({
                "normalizer": known.normalizer(),
                "pre_tokenizer": known.pre_tokenizer(),
                "model": { "ignore_merges": known.ignore_merges },
            });
            let found = PreTokenizer::of(&json).unwrap();
            let alike = |it: &PreTokenizer| (it.nfc, it.cuts, it.ignore_merges);
            assert_eq!(alike(&found), alike(&known));
            for name in known.names {
                assert_eq!(PreTokenizer::named(name), Ok(known));
            }
        }
        let other = json!({ "pre_tokenizer": { "type": "Whitespace" } });
        assert_eq!(PreTokenizer::of(&other), None);
        // As DeepSeek's files have it.
        let empty = json!({ "type": "Sequence", "normalizers": [] });
        let deepseek = PreTokenizer::named("deepseek-llm").unwrap();
        let json = json!({ "normalizer": empty, "pre_tokenizer": deepseek.pre_tokenizer() });
        assert_eq!(PreTokenizer::of(&json), Some(deepseek));
    }

    #[test]
    fn no_name_stands_for_two() {
        let mut names = HashSet::new();
        assert!(ALL.iter().flat_map(|known| known.names).all(|name| names.insert(name)));
    }
}
