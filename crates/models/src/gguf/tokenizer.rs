//! From `tokenizer.ggml.*` to a tokenizer.
//!
//! The tokenizer is put together as the `tokenizer.json` that the library reads.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;

use super::error::GgufError;
use super::metadata::Metadata;
use super::pre_tokenizer::PreTokenizer;

/// What a token is, by its number in `tokenizer.ggml.token_type`.
pub(super) mod kind {
    pub(in crate::gguf) const NORMAL: usize = 1;
    pub(in crate::gguf) const UNKNOWN: usize = 2;
    pub(in crate::gguf) const CONTROL: usize = 3;
    pub(in crate::gguf) const USER_DEFINED: usize = 4;
    pub(in crate::gguf) const UNUSED: usize = 5;
    pub(in crate::gguf) const BYTE: usize = 6;
}

/// What stands for a space in the vocabularies of `SentencePiece`.
pub(super) const SPACE: &str = "\u{2581}";

/// The tokens with what they are.
struct Vocabulary<'a> {
    tokens: Vec<&'a str>,
    kinds: Vec<usize>,
}

impl<'a> Vocabulary<'a> {
    fn read(metadata: &'a Metadata) -> Result<Self, GgufError> {
        let tokens = metadata.texts("tokenizer.ggml.tokens")?;
        let mut known = HashSet::new();
        if let Some(twice) = tokens.iter().find(|token| !known.insert(**token)) {
            return Err(GgufError::Twice(format!("token {twice}")));
        }
        let key = "tokenizer.ggml.token_type";
        let kinds = metadata.optional_counts(key)?;
        let kinds = kinds.unwrap_or_else(|| vec![kind::NORMAL; tokens.len()]);
        one_each(key, kinds.len(), tokens.len())?;
        Ok(Self { tokens, kinds })
    }

    fn by_text(&self) -> Map<String, Value> {
        let ids = self.tokens.iter().enumerate();
        ids.map(|(id, token)| ((*token).to_owned(), json!(id))).collect()
    }

    /// Those that are looked for ahead of everything else.
    fn added(&self) -> Vec<Value> {
        let tokens = self.tokens.iter().zip(&self.kinds).enumerate();
        let added = tokens.filter_map(|(id, (token, kind))| {
            let special = match *kind {
                kind::CONTROL | kind::UNKNOWN => true,
                kind::USER_DEFINED => false,
                _ => return None,
            };
            Some(json!({ "id": id, "content": token, "special": special, "normalized": false,
                         "single_word": false, "lstrip": false, "rstrip": false }))
        });
        added.collect()
    }
}

/// The tokenizer that the file describes, for a model of `vocab_size` tokens; `None` if it has none.
pub(super) fn read(metadata: &Metadata, vocab_size: usize) -> Result<Option<Tokenizer>, GgufError> {
    let key = "tokenizer.ggml.model";
    let Some(model) = metadata.optional_text(key)? else { return Ok(None) };
    let vocabulary = match model {
        "no_vocab" | "none" => return Ok(None),
        "gpt2" | "llama" => Vocabulary::read(metadata)?,
        _ => {
            let (key, found) = (key.to_owned(), format!("`{model}`"));
            return Err(GgufError::Value { key, found, expected: "gpt2 or llama".to_owned() });
        }
    };
    let tokens = vocabulary.tokens.len();
    if tokens != vocab_size {
        return Err(GgufError::TokenizerSize { tokenizer: tokens, vocab_size });
    }
    let (mut json, adds_bos) = if model == "gpt2" {
        by_merges(metadata, &vocabulary)?
    } else {
        by_scores(metadata, &vocabulary)?
    };
    json["version"] = json!("1.0");
    json["added_tokens"] = Value::Array(vocabulary.added());
    json["post_processor"] = ends(metadata, &vocabulary, adds_bos)?;
    let made = Tokenizer::from_bytes(json.to_string());
    made.map(Some).map_err(|error| GgufError::Tokenizer(error.to_string()))
}

/// Merges of bytes, as GPT-2 began them.
fn by_merges(metadata: &Metadata, vocabulary: &Vocabulary<'_>) -> Result<(Value, bool), GgufError> {
    let pre = PreTokenizer::named(metadata.text("tokenizer.ggml.pre")?)?;
    let merges = metadata.texts("tokenizer.ggml.merges")?;
    // A key of candle's; llama.cpp goes by `pre`.
    let ignored = metadata.optional_flag("tokenizer.ggml.ignore_merges")?;
    let json = json!({
        "normalizer": pre.normalizer(),
        "pre_tokenizer": pre.pre_tokenizer(),
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true,
                     "use_regex": true },
        "model": {
            "type": "BPE",
            "vocab": vocabulary.by_text(),
            "merges": merges,
            "ignore_merges": ignored.unwrap_or(pre.ignore_merges),
        },
    });
    Ok((json, pre.add_bos))
}

/// Tokens with scores, as `SentencePiece` has them: of all neighbours that make a token together,
/// those with the highest score are joined first.
fn by_scores(metadata: &Metadata, vocabulary: &Vocabulary<'_>) -> Result<(Value, bool), GgufError> {
    let key = "tokenizer.ggml.scores";
    let scores = metadata.optional_reals(key)?;
    let scores = scores.ok_or_else(|| GgufError::MissingKey(key.to_owned()))?;
    one_each(key, scores.len(), vocabulary.tokens.len())?;
    let prefix = metadata.optional_flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let unknown = vocabulary.kinds.iter().position(|kind| *kind == kind::UNKNOWN);
    let spaces = json!({ "type": "Replace", "pattern": { "String": " " }, "content": SPACE });
    let mut decoders = vec![
        json!({ "type": "Replace", "pattern": { "String": SPACE }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    let mut normalizers = vec![spaces];
    if prefix {
        normalizers.insert(0, json!({ "type": "Prepend", "prepend": SPACE }));
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    let json = json!({
        "normalizer": { "type": "Sequence", "normalizers": normalizers },
        "pre_tokenizer": null,
        "decoder": { "type": "Sequence", "decoders": decoders },
        "model": {
            "type": "BPE",
            "vocab": vocabulary.by_text(),
            "merges": merges(&vocabulary.tokens, &vocabulary.kinds, &scores),
            "unk_token": unknown.map(|id| vocabulary.tokens[id]),
            "byte_fallback": vocabulary.kinds.contains(&kind::BYTE),
            "fuse_unk": true,
        },
    });
    Ok((json, true))
}

/// Every way in which two tokens make a third, in the order of the third's scores: the merges that
/// Hugging Face gives a tokenizer that it makes from a model of `SentencePiece`.
pub(super) fn merges<'a>(
    tokens: &[&'a str],
    kinds: &[usize],
    scores: &[f64],
) -> Vec<(&'a str, &'a str)> {
    let whole = |id: &usize| matches!(kinds[*id], kind::NORMAL | kind::USER_DEFINED | kind::UNUSED);
    let ids: HashMap<&str, usize> =
        (0..tokens.len()).filter(whole).map(|id| (tokens[id], id)).collect();
    let mut found = Vec::new();
    for id in (0..tokens.len()).filter(whole) {
        let token = tokens[id];
        let cuts = token.char_indices().skip(1).map(|(at, _)| token.split_at(at));
        let cuts = cuts.filter_map(|cut| Some((cut, (ids.get(cut.0)?, ids.get(cut.1)?))));
        let mut cuts: Vec<_> = cuts.collect();
        cuts.sort_by_key(|(_, parts)| *parts);
        found.extend(cuts.into_iter().map(|(cut, _)| (scores[id], cut)));
    }
    let lengths = |(left, right): (&str, &str)| (left.chars().count(), right.chars().count());
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| lengths(b.1).cmp(&lengths(a.1))));
    found.into_iter().map(|(_, cut)| cut).collect()
}

/// What is put around a text.
fn ends(
    metadata: &Metadata,
    vocabulary: &Vocabulary<'_>,
    adds_bos: bool,
) -> Result<Value, GgufError> {
    let token = |name: &str, default: bool| {
        let adds = metadata.optional_flag(&format!("tokenizer.ggml.add_{name}_token"))?;
        if !adds.unwrap_or(default) {
            return Ok(None);
        }
        let key = format!("tokenizer.ggml.{name}_token_id");
        let Some(id) = metadata.optional_count(&key)? else {
            // llama.cpp assumes ids here; a file that does not name the token does not use it.
            return Ok(None);
        };
        let text = vocabulary.tokens.get(id).ok_or_else(|| GgufError::Value {
            key,
            found: id.to_string(),
            expected: format!("an id below {}, the number of tokens", vocabulary.tokens.len()),
        })?;
        Ok(Some((id, *text)))
    };
    let (first, last) = (token("bos", adds_bos)?, token("eos", false)?);
    let special =
        |(_, text): (usize, &str)| json!({ "SpecialToken": { "id": text, "type_id": 0 } });
    let text = |id: &str| json!({ "Sequence": { "id": id, "type_id": 0 } });
    let around = |texts: Vec<Value>| -> Vec<Value> {
        let first = first.map(special).into_iter();
        first.chain(texts).chain(last.map(special)).collect()
    };
    let named: Map<String, Value> = (first.into_iter().chain(last))
        .map(|(id, text)| (text.to_owned(), json!({ "id": text, "ids": [id], "tokens": [text] })))
        .collect();
    Ok(json!({
        "type": "TemplateProcessing",
        "single": around(vec![text("A")]),
        "pair": around(vec![text("A"), text("B")]),
        "special_tokens": named,
    }))
}

fn one_each(key: &str, found: usize, tokens: usize) -> Result<(), GgufError> {
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
