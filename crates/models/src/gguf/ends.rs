//! The tokens that end a text, which llama.cpp knows by keys and by names.
//!
//! Source: `llama-vocab.cpp`, `llama_vocab::impl::load`.

use std::collections::{BTreeMap, BTreeSet};

use super::error::GgufError;
use super::metadata::Metadata;
use super::tokens::kind;
use super::vocabulary::TOKENS;

const MODEL: &str = "tokenizer.ggml.model";
/// A list that Ollama writes besides.
const ALL_ENDS: &str = "tokenizer.ggml.eos_token_ids";

/// Tokens of these names end a text, whatever the keys say.
const ENDS: [&str; 22] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
];

/// A token with a part to play, by its key or by a name.
struct Role {
    key: &'static str,
    /// What the key was called at first.
    old_key: Option<&'static str>,
    /// Looked for where there is no key.
    names: &'static [&'static str],
    ends: bool,
}

const fn role(key: &'static str, ends: bool, names: &'static [&'static str]) -> Role {
    Role { key, old_key: None, names, ends }
}

impl Role {
    const fn once(self, old_key: &'static str) -> Self {
        Self { old_key: Some(old_key), ..self }
    }
}

/// The end of a turn or of a message has no names here that are not among [`ENDS`].
const ROLES: [Role; 8] = [
    role("tokenizer.ggml.eot_token_id", true, &[]),
    role("tokenizer.ggml.eom_token_id", true, &[]),
    role(
        "tokenizer.ggml.fim_pad_token_id",
        true,
        &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"],
    ),
    role(
        "tokenizer.ggml.fim_rep_token_id",
        true,
        &["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"],
    ),
    role("tokenizer.ggml.fim_sep_token_id", true, &["<|file_sep|>"]),
    role(
        "tokenizer.ggml.fim_pre_token_id",
        false,
        &[
            "<|fim_prefix|>",
            "<fim-prefix>",
            "<fim_prefix>",
            "<｜fim▁begin｜>",
            "<PRE>",
            "▁<PRE>",
            "<|code_prefix|>",
            "<|prefix|>",
        ],
    )
    .once("tokenizer.ggml.prefix_token_id"),
    role(
        "tokenizer.ggml.fim_suf_token_id",
        false,
        &[
            "<|fim_suffix|>",
            "<fim-suffix>",
            "<fim_suffix>",
            "<｜fim▁hole｜>",
            "<SUF>",
            "▁<SUF>",
            "<|code_suffix|>",
            "<|suffix|>",
        ],
    )
    .once("tokenizer.ggml.suffix_token_id"),
    role(
        "tokenizer.ggml.fim_mid_token_id",
        false,
        &[
            "<|fim_middle|>",
            "<fim-middle>",
            "<fim_middle>",
            "<｜fim▁end｜>",
            "<MID>",
            "▁<MID>",
            "<|code_middle|>",
            "<|middle|>",
        ],
    )
    .once("tokenizer.ggml.middle_token_id"),
];

/// gpt-oss's, which are shown.
const SHOWN: [&str; 4] = ["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];

/// What is found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    /// The tokens that end a text: those that keys name, then the others by their ids.
    pub(super) ids: Vec<usize>,
    /// Tokens that are of another kind than the file says.
    pub(super) kinds: BTreeMap<usize, usize>,
}

/// The ends of a text for a model of `rows` tokens.
pub(super) fn find(metadata: &Metadata, rows: usize) -> Result<Ends, GgufError> {
    let texts = match metadata.optional_text(MODEL)? {
        None | Some("none" | "no_vocab") => Vec::new(),
        Some(_) => metadata.optional_texts(TOKENS)?.unwrap_or_default(),
    };
    let tokens = Tokens::of(metadata, &texts, rows);
    let (mut ends, mut named) = (Ends::default(), Vec::new());
    named.extend(tokens.end()?);
    named.extend(tokens.listed(ALL_ENDS)?);
    for Role { key, old_key, names, ends: last } in &ROLES {
        let id = if *last { tokens.id(key)? } else { metadata.optional_count(key)? };
        let old = old_key.map(|key| metadata.optional_count(key)).transpose()?.flatten();
        let id = id.or(old);
        let id = match id {
            Some(id) => Some(id),
            None => names.iter().filter_map(|name| tokens.find(name)).min().inspect(|id| {
                ends.kinds.insert(*id, kind::CONTROL);
            }),
        };
        named.extend(id.filter(|_| *last));
    }
    let by_name: BTreeSet<usize> = ENDS.iter().filter_map(|name| tokens.find(name)).collect();
    ends.kinds.extend(by_name.iter().map(|id| (*id, kind::CONTROL)));
    let shown = SHOWN.iter().filter_map(|name| tokens.find(name));
    ends.kinds.extend(shown.map(|id| (id, kind::USER_DEFINED)));
    let mut known = BTreeSet::new();
    ends.ids = named.into_iter().chain(by_name).filter(|id| known.insert(*id)).collect();
    tokens.except(&mut ends);
    Ok(ends)
}

struct Tokens<'a> {
    metadata: &'a Metadata,
    /// Those that begin as the names above do.
    named: Vec<(usize, &'a str)>,
    count: usize,
}

impl<'a> Tokens<'a> {
    fn of(metadata: &'a Metadata, texts: &[&'a str], rows: usize) -> Self {
        let all = texts.iter().copied().enumerate();
        let named = all.filter(|(_, text)| text.starts_with(['<', '[', '_', '▁'])).collect();
        Self { metadata, named, count: if texts.is_empty() { rows } else { texts.len() } }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.named.iter().rev().find(|(_, text)| *text == name).map(|(id, _)| *id)
    }

    fn is(&self, id: usize, names: &[&str]) -> bool {
        self.named.iter().any(|(other, text)| *other == id && names.contains(text))
    }

    fn id(&self, key: &str) -> Result<Option<usize>, GgufError> {
        let id = self.metadata.optional_count(key)?;
        id.map(|id| self.checked(key, id)).transpose()
    }

    fn listed(&self, key: &str) -> Result<Vec<usize>, GgufError> {
        let ids = self.metadata.optional_counts(key)?.unwrap_or_default();
        ids.into_iter().map(|id| self.checked(key, id)).collect()
    }

    fn checked(&self, key: &str, id: usize) -> Result<usize, GgufError> {
        if id < self.count {
            return Ok(id);
        }
        let expected = format!("an id below {}, the number of tokens", self.count);
        Err(GgufError::Value { key: key.to_owned(), found: id.to_string(), expected })
    }

    /// The token that ends a text, which llama.cpp assumes where the file is silent.
    fn end(&self) -> Result<Option<usize>, GgufError> {
        let said = self.id("tokenizer.ggml.eos_token_id")?;
        let assumed = match self.metadata.optional_text(MODEL)? {
            Some("llama") => 2,
            Some("gpt2") => 11,
            _ => return Ok(said),
        };
        Ok(said.or(Some(assumed).filter(|id| *id < self.count)))
    }

    /// Takes out names that end a text in one model and not in another.
    fn except(&self, ends: &mut Ends) {
        let has = |ends: &Ends, names: &[&str]| ends.ids.iter().any(|id| self.is(*id, names));
        let calls = has(ends, &["<|call|>", "<|calls|>"]);
        if calls && (has(ends, &["<|return|>"]) || has(ends, &["<|flush|>"])) {
            self.take_out(ends, "<|end|>", kind::USER_DEFINED);
        }
        if has(ends, &["<|tool_response>", "<|plamo:eos|>"]) {
            self.take_out(ends, "</s>", kind::NORMAL);
        }
    }

    fn take_out(&self, ends: &mut Ends, name: &str, kind: usize) {
        if let Some(at) = ends.ids.iter().position(|id| self.is(*id, &[name])) {
            ends.kinds.insert(ends.ids.remove(at), kind);
        }
    }
}
