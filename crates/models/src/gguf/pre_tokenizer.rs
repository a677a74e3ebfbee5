//! How a text is cut into words ahead of the merges: what `tokenizer.ggml.pre` names.
//!
//! The expressions are those in the `tokenizer.json` of the models that the names stand for; they
//! are facts about these models.

use serde_json::{Value, json};

use super::error::GgufError;

/// A way of cutting texts, under the names that llama.cpp has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PreTokenizer {
    /// The first is the one that is written.
    names: &'static [&'static str],
    cuts: Cuts,
    /// Whether a word that is a token is not merged from its parts.
    pub(super) ignore_merges: bool,
    /// Whether a text begins with the BOS token where the file does not say.
    pub(super) add_bos: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cuts {
    /// GPT-2's, which the library has built in.
    Gpt2,
    /// Digit by digit, and then as GPT-2.
    DigitsGpt2,
    Regex(&'static str),
    /// The same on a text in normal form C.
    NfcRegex(&'static str),
}

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const ALL: [PreTokenizer; 7] = [
    PreTokenizer::new(&["gpt-2", "phi-2"], Cuts::Gpt2),
    PreTokenizer {
        ignore_merges: true,
        add_bos: true,
        ..PreTokenizer::new(&["llama-bpe", "llama3", "llama-v3"], Cuts::Regex(LLAMA3))
    },
    PreTokenizer::new(&["dbrx", "smaug-bpe"], Cuts::Regex(LLAMA3)),
    PreTokenizer::new(&["qwen2", "deepseek-r1-qwen"], Cuts::NfcRegex(QWEN2)),
    PreTokenizer::new(&["smollm"], Cuts::DigitsGpt2),
    PreTokenizer {
        ignore_merges: true,
        add_bos: true,
        ..PreTokenizer::new(&["tekken"], Cuts::Regex(TEKKEN))
    },
    PreTokenizer::new(&["gpt-4o"], Cuts::Regex(GPT4O)),
];

impl PreTokenizer {
    const fn new(names: &'static [&'static str], cuts: Cuts) -> Self {
        Self { names, cuts, ignore_merges: false, add_bos: false }
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
            known.normalizer() == tokenizer["normalizer"]
                && known.is_in(&tokenizer["pre_tokenizer"])
        };
        let mut cut_alike = ALL.iter().filter(same);
        let treats = |known: &&PreTokenizer| known.ignore_merges == ignore_merges;
        cut_alike.clone().find(treats).or_else(|| cut_alike.next()).copied()
    }

    fn is_in(&self, pre_tokenizer: &Value) -> bool {
        let own = self.pre_tokenizer();
        let parts = |value: &Value| match value["pretokenizers"].as_array() {
            Some(parts) => parts.clone(),
            None => vec![value.clone()],
        };
        let (own, others) = (parts(&own), parts(pre_tokenizer));
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
        match self.cuts {
            Cuts::NfcRegex(_) => json!({ "type": "NFC" }),
            _ => Value::Null,
        }
    }

    /// As a `tokenizer.json` has it.
    pub(super) fn pre_tokenizer(&self) -> Value {
        let bytes = |use_regex: bool| {
            json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
                    "use_regex": use_regex })
        };
        let two = |first: Value, second: Value| {
            let both = [first, second];
            json!({ "type": "Sequence", "pretokenizers": both })
        };
        match self.cuts {
            Cuts::Gpt2 => bytes(true),
            Cuts::DigitsGpt2 => {
                two(json!({ "type": "Digits", "individual_digits": true }), bytes(true))
            }
            Cuts::Regex(regex) | Cuts::NfcRegex(regex) => {
                let split = json!({ "type": "Split", "pattern": { "Regex": regex },
                                    "behavior": "Isolated", "invert": false });
                two(split, bytes(false))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_known_again_by_its_own_json() {
        for known in ALL {
            let json = json!({
                "normalizer": known.normalizer(),
                "pre_tokenizer": known.pre_tokenizer(),
                "model": { "ignore_merges": known.ignore_merges },
            });
            assert_eq!(PreTokenizer::of(&json), Some(known));
            for name in known.names {
                assert_eq!(PreTokenizer::named(name), Ok(known));
            }
        }
        let other = json!({ "pre_tokenizer": { "type": "Whitespace" } });
        assert_eq!(PreTokenizer::of(&other), None);
    }
}
