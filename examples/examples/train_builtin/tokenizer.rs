//! The tokenizer: every word of the corpus is one token, and bytes and pairs take any other text.

use std::collections::BTreeSet;

use serde_json::Value;
use taper_models::builtin::grammar::Grammar;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{
    AddedToken, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, Result, Tokenizer,
};

/// Written before every document; the post-processor puts it before a prompt.
pub(crate) const BOS: &str = "<s>";
/// Written after every document.
pub(crate) const EOS: &str = "</s>";
/// Two special tokens, 256 bytes, and the pairs for words that the grammar does not have.
const PIECES: usize = 512;
/// Documents that pairs are counted on and words are taken from.
const DOCUMENTS: u64 = 30_000;

/// Trains the tokenizer on the corpus `seed`.
///
/// Byte-level BPE gives the pieces. The words are added to the vocabulary whole, and the model is
/// told to look there before it merges, as the tokenizers of Llama 3 do: a word is one token, so its
/// probability can be read off a row of logits.
pub(crate) fn train(seed: u64) -> Result<Tokenizer> {
    let special = [BOS, EOS].map(|token| AddedToken::from(token, true));
    let trainer = BpeTrainer::builder()
        .vocab_size(PIECES)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(special.to_vec())
        .build();
    let documents = || (0..DOCUMENTS).map(|n| Grammar::builtin().training_document(seed, n));
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    tokenizer.train(&mut TrainerWrapper::from(trainer), documents())?;

    let id = |token| tokenizer.token_to_id(token).ok_or(format!("no token {token}"));
    let start = TemplateProcessing::builder()
        .try_single(format!("{BOS} $A"))?
        .special_tokens(vec![(BOS, id(BOS)?), (EOS, id(EOS)?)])
        .build()?;
    tokenizer.with_post_processor(Some(start));
    with_words(&tokenizer, words(documents())?)
}

/// The words of the corpus in the spelling of the byte-level alphabet, each with its blank.
fn words(documents: impl Iterator<Item = String>) -> Result<BTreeSet<String>> {
    let cutter = ByteLevel::new(false, true, true);
    let mut words = BTreeSet::new();
    for document in documents {
        let mut text = PreTokenizedString::from(document);
        cutter.pre_tokenize(&mut text)?;
        let splits = text.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
        words.extend(splits.into_iter().map(|(word, ..)| word.to_owned()));
    }
    Ok(words)
}

/// `tokenizer` with `words` at the end of its vocabulary.
fn with_words(tokenizer: &Tokenizer, words: BTreeSet<String>) -> Result<Tokenizer> {
    let mut json = serde_json::to_value(tokenizer)?;
    json["model"]["ignore_merges"] = Value::Bool(true);
    let vocabulary = json["model"]["vocab"].as_object_mut().ok_or("the model has no vocabulary")?;
    for word in words {
        let next = vocabulary.len();
        vocabulary.entry(word).or_insert(Value::from(next));
    }
    json.to_string().parse()
}
