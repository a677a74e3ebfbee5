//! From `tokenizer.ggml.*` to a tokenizer.

use std::collections::{HashMap, HashSet};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokenizers::models::bpe::{BPE, BpeBuilder, Vocab};
use tokenizers::{
    DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, Tokenizer,
};

use super::error::GgufError;
use super::metadata::Metadata;
use super::pre_tokenizer::PreTokenizer;
use super::tokens::{Tokens, kind, one_each};

/// What stands for a space in the vocabularies of `SentencePiece`.
pub(super) const SPACE: &str = "\u{2581}";

/// The tokenizer that the file describes, for a model of `vocab_size` tokens; `None` if it has none.
pub(super) fn read(metadata: &Metadata, vocab_size: usize) -> Result<Option<Tokenizer>, GgufError> {
    let key = "tokenizer.ggml.model";
    let Some(model) = metadata.optional_text(key)? else { return Ok(None) };
    let tokens = match model {
        "no_vocab" | "none" => return Ok(None),
        "gpt2" | "llama" => Tokens::read(metadata)?,
        _ => {
            let (key, found) = (key.to_owned(), format!("`{model}`"));
            return Err(GgufError::Value { key, found, expected: "gpt2 or llama".to_owned() });
        }
    };
    let count = tokens.texts.len();
    if count != vocab_size {
        return Err(GgufError::TokenizerSize { tokenizer: count, vocab_size });
    }
    let parts =
        if model == "gpt2" { by_merges(metadata, &tokens)? } else { by_scores(metadata, &tokens)? };
    let ends = ends(metadata, &tokens, &parts.ends)?;
    parts.assemble(ends, &tokens).map(Some)
}

/// A tokenizer in parts, all but the model as a `tokenizer.json` has them.
struct Parts {
    model: BPE,
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    ends: Ends,
}

/// What is put around a text where the file does not say.
struct Ends {
    adds_bos: bool,
    /// The ids of the BOS and EOS tokens.
    ids: Option<(usize, usize)>,
}

impl Parts {
    fn assemble(self, ends: Value, tokens: &Tokens<'_>) -> Result<Tokenizer, GgufError> {
        let mut made = Tokenizer::new(self.model);
        made.with_normalizer(part::<NormalizerWrapper>(self.normalizer)?).map_err(failed)?;
        made.with_pre_tokenizer(part::<PreTokenizerWrapper>(self.pre_tokenizer)?);
        made.with_post_processor(part::<PostProcessorWrapper>(ends)?);
        made.with_decoder(part::<DecoderWrapper>(self.decoder)?);
        made.add_tokens(tokens.added()).map_err(failed)?;
        Ok(made)
    }
}

fn part<T: DeserializeOwned>(json: Value) -> Result<Option<T>, GgufError> {
    serde_json::from_value(json).map_err(failed)
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
fn failed(error: impl ToString) -> GgufError {
    GgufError::Tokenizer(error.to_string())
}

/// The part of a model that both kinds have.
fn model(tokens: &Tokens<'_>, merges: Vec<(String, String)>) -> BpeBuilder {
    let ids = tokens.texts.iter().zip(0..);
    let vocab: Vocab = ids.map(|(text, id)| (text.to_string(), id)).collect();
    BPE::builder().vocab_and_merges(vocab, merges)
}

/// Merges of bytes, as GPT-2 began them.
fn by_merges(metadata: &Metadata, tokens: &Tokens<'_>) -> Result<Parts, GgufError> {
    let pre = PreTokenizer::named(metadata.text("tokenizer.ggml.pre")?)?;
    let key = "tokenizer.ggml.merges";
    let mut merges = Vec::new();
    for merge in metadata.texts(key)? {
        merges.push(parted(merge).ok_or_else(|| GgufError::Value {
            key: key.to_owned(),
            found: format!("`{merge}` in a list"),
            expected: "two tokens with a space between them".to_owned(),
        })?);
    }
    refuse_unknown(&merges, tokens)?;
    // A key of candle's; llama.cpp goes by `pre`.
    let ignored = metadata.optional_flag("tokenizer.ggml.ignore_merges")?;
    let model = model(tokens, merges).ignore_merges(ignored.unwrap_or(pre.ignore_merges));
    Ok(Parts {
        model: model.build().map_err(failed)?,
        normalizer: pre.normalizer(),
        pre_tokenizer: pre.pre_tokenizer(),
        decoder: json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true,
                         "use_regex": true }),
        ends: Ends { adds_bos: pre.add_bos, ids: None },
    })
}

/// The two tokens of a merge. The first may begin with a space.
fn parted(merge: &str) -> Option<(String, String)> {
    let (at, _) = merge.char_indices().skip(1).find(|(_, it)| *it == ' ')?;
    Some((merge[..at].to_owned(), merge[at + 1..].to_owned()))
}

/// Refuses merges of what are no tokens, and into what is none, at which the library panics.
fn refuse_unknown(merges: &[(String, String)], tokens: &Tokens<'_>) -> Result<(), GgufError> {
    let known: HashSet<&str> = tokens.texts.iter().map(|text| &**text).collect();
    let mut joined = String::new();
    for (left, right) in merges {
        joined.clear();
        joined.push_str(left);
        joined.push_str(right);
        let parts = [&**left, right, &joined];
        if let Some(unknown) = parts.into_iter().find(|part| !known.contains(part)) {
            return Err(failed(format!("the merge `{left} {right}`: `{unknown}` is no token")));
        }
    }
    Ok(())
}

/// Tokens with scores, as `SentencePiece` has them: of all neighbours that make a token together,
/// those with the highest score are joined first.
fn by_scores(metadata: &Metadata, tokens: &Tokens<'_>) -> Result<Parts, GgufError> {
    let key = "tokenizer.ggml.scores";
    let scores = metadata.optional_reals(key)?;
    let scores = scores.ok_or_else(|| GgufError::MissingKey(key.to_owned()))?;
    one_each(key, scores.len(), tokens.texts.len())?;
    let prefix = metadata.optional_flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let texts: Vec<&str> = tokens.texts.iter().map(|text| &**text).collect();
    let merges = merges(&texts, &tokens.kinds, &scores);
    let owned = merges.into_iter().map(|(left, right)| (left.to_owned(), right.to_owned()));
    let bytes = spelt_bytes(&texts);
    let mut model = model(tokens, owned.collect()).byte_fallback(bytes > 0).fuse_unk(true);
    if let Some(id) = unknown(metadata, tokens)? {
        model = model.unk_token(texts[id].to_owned());
    } else if bytes < 256 {
        return Err(failed(format!(
            "it has {bytes} of the 256 tokens <0x00> to <0xFF> and no unknown token, so what is no \
             token is lost"
        )));
    }
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
    Ok(Parts {
        model: model.build().map_err(failed)?,
        normalizer: json!({ "type": "Sequence", "normalizers": normalizers }),
        pre_tokenizer: Value::Null,
        decoder: json!({ "type": "Sequence", "decoders": decoders }),
        ends: Ends { adds_bos: true, ids: Some((1, 2)) },
    })
}

/// How many bytes have a token that spells them, as `<0x0A>` does. It is one by its text: files
/// without kinds have them too.
fn spelt_bytes(texts: &[&str]) -> usize {
    let spelt: HashSet<String> = (0..=u8::MAX).map(|byte| format!("<0x{byte:02X}>")).collect();
    texts.iter().filter(|text| spelt.contains(**text)).count()
}

/// The token for what is no token.
fn unknown(metadata: &Metadata, tokens: &Tokens<'_>) -> Result<Option<usize>, GgufError> {
    if let Some(id) = tokens.first(kind::UNKNOWN) {
        return Ok(Some(id));
    }
    let key = "tokenizer.ggml.unknown_token_id";
    let Some(id) = metadata.optional_count(key)? else { return Ok(None) };
    within(key, id, tokens).map(Some)
}

fn within(key: &str, id: usize, tokens: &Tokens<'_>) -> Result<usize, GgufError> {
    let count = tokens.texts.len();
    if id < count {
        return Ok(id);
    }
    Err(GgufError::Value {
        key: key.to_owned(),
        found: id.to_string(),
        expected: format!("an id below {count}, the number of tokens"),
    })
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
fn ends(metadata: &Metadata, tokens: &Tokens<'_>, assumed: &Ends) -> Result<Value, GgufError> {
    let token = |name: &str, adds: bool, id: Option<usize>| {
        let key = format!("tokenizer.ggml.add_{name}_token");
        if !metadata.optional_flag(&key)?.unwrap_or(adds) {
            return Ok(None);
        }
        let key = format!("tokenizer.ggml.{name}_token_id");
        let id = match metadata.optional_count(&key)? {
            Some(id) => within(&key, id, tokens)?,
            // For merges llama.cpp assumes ids that mean nothing: a file that does not name the token
            // does not use it.
            None => match id.filter(|id| *id < tokens.texts.len()) {
                Some(id) => id,
                None => return Ok(None),
            },
        };
        Ok(Some((id, &*tokens.texts[id])))
    };
    let (bos, eos) = assumed.ids.unzip();
    let (first, last) = (token("bos", assumed.adds_bos, bos)?, token("eos", false, eos)?);
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
