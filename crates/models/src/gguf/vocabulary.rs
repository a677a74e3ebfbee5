//! From a `tokenizer.json` to `tokenizer.ggml.*`, as llama.cpp's converter writes them.

use std::collections::{BTreeMap, HashMap, HashSet};

use candle_core::quantized::gguf_file::Value as Entry;
use serde_json::Value;
use tokenizers::{AddedToken, Tokenizer};

use super::pre_tokenizer::PreTokenizer;
use super::tokenizer::{SPACE, merges};
use super::tokens::{Names, kind};

pub(super) const TOKENS: &str = "tokenizer.ggml.tokens";
pub(super) const CHAT_TEMPLATE: &str = "tokenizer.chat_template";

/// The keys of special tokens, with their names in `tokenizer_config.json`.
pub(super) const SPECIAL: [(&str, &str); 4] = [
    ("tokenizer.ggml.bos_token_id", "bos_token"),
    ("tokenizer.ggml.eos_token_id", "eos_token"),
    ("tokenizer.ggml.unknown_token_id", "unk_token"),
    ("tokenizer.ggml.padding_token_id", "pad_token"),
];

/// What a tokenizer becomes.
pub(super) struct Vocabulary {
    pub(super) entries: Vec<(String, Entry)>,
    /// What llama.cpp will make of it otherwise than the tokenizer does.
    pub(super) notes: Vec<String>,
}

/// Every token with what it is.
struct Tokens {
    texts: Vec<String>,
    kinds: Vec<usize>,
}

/// The keys for the tokenizer of a model of `vocab_size` tokens; the reason if it is of a kind that
/// GGUF has no keys for.
pub(super) fn vocabulary(
    tokenizer: &Tokenizer,
    vocab_size: usize,
    model_name: &str,
) -> Result<Vocabulary, String> {
    // As the library writes it, which is always in the same form.
    let json = tokenizer.to_string(false).map_err(|error| error.to_string())?;
    let json: Value = serde_json::from_str(&json).map_err(|error| error.to_string())?;
    let model = &json["model"];
    if model["type"] != "BPE" {
        return Err(format!("its model is {}; expected \"BPE\"", model["type"]));
    }
    for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
        if model[key].as_str().is_some_and(|mark| !mark.is_empty()) {
            return Err(format!("its {key} is {}, for which GGUF has no key", model[key]));
        }
    }
    let mut tokens = tokens(&json, tokenizer, vocab_size);
    let listed = listed_merges(model)?;
    let mut notes = Vec::new();
    let pre = PreTokenizer::of(&json);
    let mut entries = match pre {
        Some(pre) => by_merges(pre, model, &listed, &mut notes),
        None => by_scores(&json, &mut tokens, &listed, &mut notes)?,
    };
    let names = Names::new(model_name, pre.map_or("default", |pre| pre.name()));
    notes.extend(matched_otherwise(tokenizer, &names));
    entries.extend(ends(tokenizer)?);
    let texts = tokens.texts.into_iter().map(Entry::String);
    let kinds = tokens.kinds.into_iter().map(|kind| Entry::I32(kind as i32));
    entries.push(entry(TOKENS, Entry::Array(texts.collect())));
    entries.push(entry("tokenizer.ggml.token_type", Entry::Array(kinds.collect())));
    Ok(Vocabulary { entries, notes })
}

fn entry(key: &str, value: Entry) -> (String, Entry) {
    (key.to_owned(), value)
}

fn text(key: &str, value: &str) -> (String, Entry) {
    entry(key, Entry::String(value.to_owned()))
}

/// As many tokens as the model has, the absent ones filled up as the converter does.
fn tokens(json: &Value, tokenizer: &Tokenizer, vocab_size: usize) -> Tokens {
    let added: HashMap<u64, bool> = json["added_tokens"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|token| Some((token["id"].as_u64()?, token["special"] == true)))
        .collect();
    let unknown = json["model"]["unk_token"].as_str();
    let (mut texts, mut kinds) = (Vec::new(), Vec::new());
    for id in 0..vocab_size {
        let (text, kind) = match (tokenizer.id_to_token(id as u32), added.get(&(id as u64))) {
            (None, _) => (format!("[PAD{id}]"), kind::UNUSED),
            (Some(text), _) if Some(&*text) == unknown => (text, kind::UNKNOWN),
            (Some(text), Some(true)) => (text, kind::CONTROL),
            (Some(text), Some(false)) => (text, kind::USER_DEFINED),
            (Some(text), None) => (text, kind::NORMAL),
        };
        texts.push(text);
        kinds.push(kind);
    }
    Tokens { texts, kinds }
}

fn listed_merges(model: &Value) -> Result<Vec<(&str, &str)>, String> {
    let merges = model["merges"].as_array().into_iter().flatten();
    let pairs = merges.map(|merge| Some((merge[0].as_str()?, merge[1].as_str()?)));
    pairs.collect::<Option<_>>().ok_or_else(|| "a merge is no pair of tokens".to_owned())
}

/// Merges of bytes.
fn by_merges(
    pre: PreTokenizer,
    model: &Value,
    listed: &[(&str, &str)],
    notes: &mut Vec<String>,
) -> Vec<(String, Entry)> {
    let merges = listed.iter().map(|(left, right)| Entry::String(format!("{left} {right}")));
    let mut entries = vec![
        text("tokenizer.ggml.model", "gpt2"),
        text("tokenizer.ggml.pre", pre.name()),
        entry("tokenizer.ggml.merges", Entry::Array(merges.collect())),
    ];
    let ignored = model["ignore_merges"] == true;
    if ignored != pre.ignore_merges {
        entries.push(entry("tokenizer.ggml.ignore_merges", Entry::Bool(ignored)));
        let merges = if ignored { "whole words" } else { "merged words" };
        notes.push(format!(
            "the tokenizer prefers {merges}, which llama.cpp's `{}` does not: it may cut texts \
             otherwise",
            pre.name()
        ));
    }
    entries
}

/// What can be said of an added token that is looked for otherwise than llama.cpp will.
const DIFFERENCES: [&str; 6] = [
    "takes the white space before it away (`lstrip`)",
    "takes the white space after it away (`rstrip`)",
    "leaves the white space before it, which by the model's name llama.cpp takes away",
    "leaves the white space after it, which by the model's name llama.cpp takes away",
    "is found as a whole word alone (`single_word`)",
    "is looked for in the normalised text (`normalized`)",
];

/// Which of the [`DIFFERENCES`] hold of a token.
fn differences(token: &AddedToken, names: &Names<'_>, normalizes: bool) -> [bool; 6] {
    let (before, after) = names.strips(&token.content);
    [
        token.lstrip && !before,
        token.rstrip && !after,
        !token.lstrip && before,
        !token.rstrip && after,
        token.single_word,
        token.normalized && normalizes,
    ]
}

/// Says which added tokens llama.cpp will look for otherwise: GGUF has no keys for that.
fn matched_otherwise(tokenizer: &Tokenizer, names: &Names<'_>) -> Vec<String> {
    let added: BTreeMap<_, _> = tokenizer.get_added_tokens_decoder().into_iter().collect();
    let normalizes = tokenizer.get_normalizer().is_some();
    let mut notes = Vec::new();
    for (number, what) in DIFFERENCES.iter().enumerate() {
        let differs = |token: &&AddedToken| differences(token, names, normalizes)[number];
        let mut tokens = added.values().filter(differs);
        let Some(first) = tokens.next() else { continue };
        let more = match tokens.count() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        notes.push(format!(
            "the token {:?}{more}: {what}; GGUF has no key for it, so texts may be cut otherwise",
            first.content
        ));
    }
    notes
}

/// The scores of `SentencePiece`, which are no more in a `tokenizer.json`: the order of its merges
/// serves as well.
fn by_scores(
    json: &Value,
    tokens: &mut Tokens,
    listed: &[(&str, &str)],
    notes: &mut Vec<String>,
) -> Result<Vec<(String, Entry)>, String> {
    let prefix = space_prefix(json).ok_or_else(|| {
        let (normalizer, pre) = (&json["normalizer"], &json["pre_tokenizer"]);
        format!("its normalizer {normalizer} and pre-tokenizer {pre} have no name in GGUF")
    })?;
    if prefix && json["pre_tokenizer"]["type"] == "Metaspace" {
        let what = "a text that begins with a space, or goes on behind a special token, gets one more \
                    space than by the tokenizer";
        notes.push(what.to_owned());
    }
    let mut ranks = HashMap::new();
    for (rank, (left, right)) in listed.iter().enumerate() {
        ranks.entry(format!("{left}{right}")).or_insert(rank);
    }
    for (token, kind) in tokens.texts.iter_mut().zip(&mut tokens.kinds) {
        match *kind {
            kind::NORMAL if is_byte(token) => *kind = kind::BYTE,
            // They are looked for in the text as it was.
            kind::USER_DEFINED => *token = token.replace(SPACE, " "),
            _ => {}
        }
    }
    let rank = |token: &String| ranks.get(token).map_or(listed.len(), |rank| *rank);
    let scores: Vec<f64> = tokens.texts.iter().map(|token| -(rank(token) as f64)).collect();
    let texts: Vec<&str> = tokens.texts.iter().map(String::as_str).collect();
    let made: HashSet<_> = merges(&texts, &tokens.kinds, &scores).into_iter().collect();
    if made != listed.iter().copied().collect() {
        let what = "the merges are not those of a SentencePiece model: by their scores alone texts \
                    may be cut otherwise";
        notes.push(what.to_owned());
    }
    let scores = scores.into_iter().map(|score| Entry::F32(score as f32));
    Ok(vec![
        text("tokenizer.ggml.model", "llama"),
        text("tokenizer.ggml.pre", "default"),
        entry("tokenizer.ggml.scores", Entry::Array(scores.collect())),
        entry("tokenizer.ggml.add_space_prefix", Entry::Bool(prefix)),
    ])
}

/// Whether a space is put ahead of a text, where spaces become [`SPACE`] and nothing else is done;
/// `None` where something else is done.
fn space_prefix(json: &Value) -> Option<bool> {
    let (normalizer, pre) = (&json["normalizer"], &json["pre_tokenizer"]);
    if pre["type"] == "Metaspace" && normalizer.is_null() && pre["replacement"] == SPACE {
        return Some(pre["prepend_scheme"] != "never");
    }
    // Gemma's cuts at spaces, of which none is left by then.
    let cuts_nothing = pre.is_null() || (pre["type"] == "Split" && pre["pattern"]["String"] == " ");
    let replaces = |value: &Value| {
        value["type"] == "Replace" && value["pattern"]["String"] == " " && value["content"] == SPACE
    };
    let prepends = |value: &Value| value["type"] == "Prepend" && value["prepend"] == SPACE;
    let steps = normalizer["normalizers"].as_array();
    let steps: Vec<&Value> = steps.map_or(vec![normalizer], |steps| steps.iter().collect());
    match steps[..] {
        [one] if cuts_nothing && replaces(one) => Some(false),
        [first, second] if cuts_nothing && prepends(first) && replaces(second) => Some(true),
        _ => None,
    }
}

/// Whether a token stands for one byte, as `<0x0A>` does.
fn is_byte(token: &str) -> bool {
    let digits = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|digits| digits.len() == 2 && u8::from_str_radix(digits, 16).is_ok())
}

/// What is put around a text, which is found by putting it around one.
fn ends(tokenizer: &Tokenizer) -> Result<Vec<(String, Entry)>, String> {
    let ids = |special: bool| {
        let encoded = tokenizer.encode("a", special).map_err(|error| error.to_string());
        encoded.map(|encoded| encoded.get_ids().to_vec())
    };
    let (bare, around) = (ids(false)?, ids(true)?);
    let start = around.windows(bare.len().max(1)).position(|window| window == bare);
    let start = start.ok_or("it changes a text beyond putting tokens around it")?;
    let end = around.len() - start - bare.len();
    if start > 1 || end > 1 {
        return Err(format!("it puts {start} tokens ahead of a text and {end} behind it"));
    }
    let flag = |key: &str, count: usize| entry(key, Entry::Bool(count == 1));
    let mut entries = vec![
        flag("tokenizer.ggml.add_bos_token", start),
        flag("tokenizer.ggml.add_eos_token", end),
    ];
    if start == 1 {
        entries.push(entry("tokenizer.ggml.bos_token_id", Entry::U32(around[0])));
    }
    if end == 1 {
        let last = around[around.len() - 1];
        entries.push(entry("tokenizer.ggml.eos_token_id", Entry::U32(last)));
    }
    Ok(entries)
}
