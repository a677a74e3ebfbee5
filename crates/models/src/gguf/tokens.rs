//! The tokens of a file with what they are, by its keys and by llama.cpp's rules over names.

use std::borrow::Cow;
use std::collections::HashSet;

use tokenizers::AddedToken;

use super::ends;
use super::error::GgufError;
use super::metadata::Metadata;

/// What a token is, by its number in `tokenizer.ggml.token_type`.
pub(super) mod kind {
    pub(in crate::gguf) const NORMAL: usize = 1;
    pub(in crate::gguf) const UNKNOWN: usize = 2;
    pub(in crate::gguf) const CONTROL: usize = 3;
    pub(in crate::gguf) const USER_DEFINED: usize = 4;
    pub(in crate::gguf) const UNUSED: usize = 5;
    pub(in crate::gguf) const BYTE: usize = 6;
}

/// The tokens with what they are.
pub(super) struct Tokens<'a> {
    pub(super) texts: Vec<Cow<'a, str>>,
    /// By the file, and by names of which llama.cpp knows better.
    pub(super) kinds: Vec<usize>,
    names: Names<'a>,
}

/// The names by which llama.cpp knows what GGUF has no keys for.
pub(super) struct Names<'a> {
    /// `general.name` in lower case.
    model: String,
    pre_tokenizer: &'a str,
}

impl<'a> Tokens<'a> {
    pub(super) fn read(metadata: &'a Metadata) -> Result<Self, GgufError> {
        let texts = metadata.texts("tokenizer.ggml.tokens")?;
        let named = |(id, text): (usize, &'a str)| match text {
            "" => Cow::Owned(format!("[EMPTY_{id}]")),
            text => Cow::Borrowed(text),
        };
        let texts: Vec<_> = texts.into_iter().enumerate().map(named).collect();
        let mut known = HashSet::new();
        if let Some(twice) = texts.iter().find(|text| !known.insert(&***text)) {
            return Err(GgufError::Twice(format!("token {twice}")));
        }
        let key = "tokenizer.ggml.token_type";
        let kinds = metadata.optional_counts(key)?;
        let mut kinds = kinds.unwrap_or_else(|| vec![kind::NORMAL; texts.len()]);
        one_each(key, kinds.len(), texts.len())?;
        for (id, kind) in ends::find(metadata, texts.len())?.kinds {
            kinds[id] = kind;
        }
        let name = metadata.optional_text("general.name")?.unwrap_or_default();
        let pre = metadata.optional_text("tokenizer.ggml.pre")?.unwrap_or_default();
        Ok(Self { texts, kinds, names: Names::new(name, pre) })
    }

    /// The first token of a kind.
    pub(super) fn first(&self, kind: usize) -> Option<usize> {
        self.kinds.iter().position(|own| *own == kind)
    }

    /// Those that are looked for before everything else, in the order of their ids.
    pub(super) fn added(&self) -> Vec<AddedToken> {
        let tokens = self.texts.iter().zip(&self.kinds);
        tokens.filter_map(|(text, kind)| self.as_added(text, *kind)).collect()
    }

    fn as_added(&self, text: &str, kind: usize) -> Option<AddedToken> {
        let special = match kind {
            kind::CONTROL | kind::UNKNOWN => true,
            kind::USER_DEFINED => false,
            _ => return None,
        };
        let (lstrip, rstrip) = self.names.strips(text);
        Some(AddedToken::from(text, special).normalized(false).lstrip(lstrip).rstrip(rstrip))
    }
}

impl<'a> Names<'a> {
    /// By `general.name` and `tokenizer.ggml.pre`.
    pub(super) fn new(model: &str, pre_tokenizer: &'a str) -> Self {
        Self { model: model.to_ascii_lowercase(), pre_tokenizer }
    }

    /// Whether a token that is looked for takes along the white space before it, and after it. GGUF
    /// has no keys for that.
    pub(super) fn strips(&self, text: &str) -> (bool, bool) {
        let has = |name: &str, parts: &[&str]| parts.iter().any(|part| name.contains(part));
        if has(self.pre_tokenizer, &["jina-v2-de", "jina-v2-es", "jina-v2-code", "mmbert"]) {
            (text == "<mask>", false)
        } else if has(&self.model, &["phi-3", "phi3"]) {
            (false, !["<unk>", "<s>", "<|endoftext|>"].contains(&text))
        } else {
            (text == "[MASK]" && self.model.contains("modern-bert"), false)
        }
    }
}

/// Refuses a list that has not as many values as there are tokens.
pub(super) fn one_each(key: &str, found: usize, tokens: usize) -> Result<(), GgufError> {
    if found == tokens {
        return Ok(());
    }
    let found = format!("a list of {found} values");
    Err(GgufError::Value {
        key: key.to_owned(),
        found,
        expected: format!("one for each of the {tokens} tokens"),
    })
}
