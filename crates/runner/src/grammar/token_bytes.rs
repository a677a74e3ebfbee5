//! The bytes that each token stands for within a text, which a grammar works on.

use serde_json::Value;
use taper_models::tokenizers::Tokenizer;
use taper_sampling::GrammarVocabulary;

/// How a tokenizer makes text of the names of its tokens.
#[derive(Debug, Default)]
struct Spelling {
    /// Each character of a name is one byte.
    byte_level: bool,
    /// A name such as `<0xE2>` is that byte.
    byte_fallback: bool,
    /// What stands for a space in a name.
    space: Option<String>,
}

/// The vocabulary of a model of `vocab_size` tokens; ids that the tokenizer does not know have no
/// bytes, and so never come.
pub(super) fn vocabulary(
    tokenizer: &Tokenizer,
    vocab_size: usize,
    eos: &[u32],
) -> Result<GrammarVocabulary, String> {
    let spelling = Spelling::of(tokenizer)?;
    let name = |id| tokenizer.id_to_token(id).unwrap_or_default();
    let tokens: Vec<_> = (0..vocab_size as u32).map(|id| spelling.bytes(&name(id))).collect();
    let added = tokenizer.get_added_tokens_decoder();
    let special = added.iter().filter(|(id, token)| token.special && (**id as usize) < vocab_size);
    let special: Vec<u32> = special.map(|(id, _)| *id).collect();
    GrammarVocabulary::new(&tokens, &special, eos).map_err(|error| error.to_string())
}

impl Spelling {
    fn of(tokenizer: &Tokenizer) -> Result<Self, String> {
        let decoder = serde_json::to_value(tokenizer.get_decoder()).unwrap_or_default();
        let mut spelling = Self::default();
        let parts = decoder["decoders"].as_array().cloned();
        for part in parts.unwrap_or_else(|| vec![decoder]) {
            spelling.add(&part)?;
        }
        if spelling.byte_level || spelling.byte_fallback || spelling.space.is_some() {
            return Ok(spelling);
        }
        Err(unknown("nothing that says how a space is written"))
    }

    fn add(&mut self, part: &Value) -> Result<(), String> {
        match part["type"].as_str() {
            Some("ByteLevel") => self.byte_level = true,
            Some("ByteFallback") => self.byte_fallback = true,
            Some("Metaspace") => self.space = part["replacement"].as_str().map(str::to_owned),
            Some("Replace") if part["content"] == " " => {
                self.space = part["pattern"]["String"].as_str().map(str::to_owned);
            }
            // These look at whole texts: a space at the start, tokens to be joined.
            Some("Strip" | "Fuse") => {}
            other => return Err(unknown(other.unwrap_or("none"))),
        }
        Ok(())
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        let byte = name.strip_prefix("<0x").and_then(|hex| hex.strip_suffix('>'));
        let byte = byte.filter(|hex| self.byte_fallback && hex.len() == 2);
        if let Some(byte) = byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            return vec![byte];
        }
        if self.byte_level {
            // A name with a character that is no byte, as an added token may have, is itself.
            let bytes: Option<Vec<u8>> = name.chars().map(byte_of).collect();
            return bytes.unwrap_or_else(|| name.as_bytes().to_vec());
        }
        match &self.space {
            Some(space) => name.replace(space, " ").into_bytes(),
            None => name.as_bytes().to_vec(),
        }
    }
}

/// GPT-2's alphabet: printable characters of Latin-1 are themselves, the other 68 bytes follow each
/// other from U+0100 on.
fn byte_of(character: char) -> Option<u8> {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    match u32::from(character) {
        code @ 0..=0xFF => Some(code as u8).filter(printable),
        code => {
            let others = (0..=255_u8).filter(|byte| !printable(byte));
            others.zip(0x100_u32..).find(|&(_, other)| other == code).map(|(byte, _)| byte)
        }
    }
}

fn unknown(decoder: &str) -> String {
    format!(
        "the bytes of the tokens are not known: the tokenizer's decoder is {decoder}; it must be ByteLevel, \
         ByteFallback or Metaspace"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token_text;

    fn tokenizer(vocab: &str, decoder: &str) -> Tokenizer {
        let json = format!(
            r#"{{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
                "pre_tokenizer": null, "post_processor": null, "decoder": {decoder},
                "model": {{"type": "BPE", "vocab": {vocab}, "merges": [], "unk_token": null}}}}"#
        );
        json.parse().expect("a tokenizer")
    }

    /// Against the tokenizer's own decoder, for every token that is whole characters.
    fn assert_decodes(tokenizer: &Tokenizer, at_least: usize) {
        let spelling = Spelling::of(tokenizer).expect("a known decoder");
        let mut compared = 0;
        for id in 0..tokenizer.get_vocab_size(true) as u32 {
            let name = tokenizer.id_to_token(id).expect("a name");
            if let Ok(text) = String::from_utf8(spelling.bytes(&name)) {
                assert_eq!(text, token_text(tokenizer, id).expect("a text"), "{id}: {name}");
                compared += 1;
            }
        }
        assert!(compared >= at_least, "{compared} tokens are whole characters");
    }

    #[test]
    fn tokens_have_the_bytes_that_the_tokenizer_writes() {
        let llama = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/testdata/llama/tokenizer.json");
        assert_decodes(&Tokenizer::from_file(llama).expect("a tokenizer"), 150);
        let llama_2 = r#"{"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
            {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}"#;
        let vocab = r#"{"▁the": 0, "a": 1, "<0x41>": 2, "<0xE2>": 3, "é▁▁": 4}"#;
        let fallback = tokenizer(vocab, llama_2);
        assert_decodes(&fallback, 4);
        assert_eq!(Spelling::of(&fallback).expect("known").bytes("<0xE2>"), [0xE2]);
    }

    #[test]
    fn every_byte_has_a_character() {
        let characters = (0..=0x17F).filter_map(char::from_u32);
        let mut bytes: Vec<u8> = characters.filter_map(byte_of).collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
    }

    #[test]
    fn an_unknown_decoder_is_refused_by_name() {
        let pieces = tokenizer(
            r#"{"a": 0}"#,
            r###"{"type": "WordPiece", "prefix": "##", "cleanup": true}"###,
        );
        let error = vocabulary(&pieces, 1, &[0]).expect_err("not known");
        assert!(error.contains("decoder is WordPiece; it must be ByteLevel"), "{error}");
        let without = tokenizer(r#"{"a": 0}"#, "null");
        assert!(vocabulary(&without, 1, &[0]).is_err());
    }
}
