//! DRY's sequence breakers: from texts to the tokens that they can be in.

use std::collections::BTreeMap;

use taper_models::tokenizers::Tokenizer;

use crate::detokenizer::token_text;
use crate::error::RequestError;

/// Bytes of a breaker that count, and tokens of its rest.
const LONGEST_TEXT: usize = 40;
const LONGEST_REST: usize = 20;

/// The token sequences that begin a breaker, as llama.cpp finds them: each token that has a breaker
/// in it, and each token that ends with the beginning of one, followed by the tokens of the rest.
///
/// Ascending, each once. Tokens that hold half a character match no breaker.
pub(super) fn by_token(
    texts: &[String],
    tokenizer: &Tokenizer,
    vocab_size: usize,
) -> Result<Vec<Vec<u32>>, RequestError> {
    let failed = |error: &dyn ToString| RequestError::Tokenizer(error.to_string());
    let texts: Vec<&str> = texts.iter().map(|text| beginning(text)).collect();
    let mut rests: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let mut sequences = Vec::new();
    for id in 0..vocab_size as u32 {
        let word = token_text(tokenizer, id).map_err(|error| failed(&error))?;
        for rest in texts.iter().flat_map(|text| rests_after(&word, text)) {
            if !rests.contains_key(rest) {
                let encoding = tokenizer.encode(rest, false).map_err(|error| failed(&error))?;
                let ids = encoding.get_ids();
                rests.insert(rest, ids[..ids.len().min(LONGEST_REST)].to_vec());
            }
            sequences.push([&[id], &rests[rest][..]].concat());
        }
    }
    sequences.sort_unstable();
    sequences.dedup();
    Ok(sequences)
}

/// As many whole characters as count.
fn beginning(text: &str) -> &str {
    let ends = text.char_indices().map(|(start, c)| start + c.len_utf8());
    &text[..ends.take_while(|&end| end <= LONGEST_TEXT).last().unwrap_or(0)]
}

/// What must follow `word` for `text` to be complete: nothing if it is in there, otherwise what is
/// left of it after each of its beginnings that `word` ends with.
fn rests_after<'t>(word: &str, text: &'t str) -> Vec<&'t str> {
    if word.contains(text) {
        return vec![""];
    }
    let splits = text.char_indices().map(|(at, _)| text.split_at(at)).skip(1);
    splits.filter(|(start, _)| word.ends_with(start)).map(|(_, rest)| rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_holds_a_text_or_begins_it() {
        assert_eq!(rests_after("a:b", ":"), [""]);
        assert_eq!(rests_after("ab", ":"), [""; 0]);
        assert_eq!(rests_after("say aa", "aab"), ["ab", "b"]);
        assert_eq!(rests_after("xaab", "aab"), [""]);
        assert_eq!(rests_after("é", "éa"), ["a"]);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(beginning("\n"), "\n");
        assert_eq!(beginning(&"é".repeat(30)), "é".repeat(20));
        assert_eq!(beginning(&format!("a{}", "é".repeat(30))).len(), 39);
    }

    #[test]
    fn the_tokens_of_a_breaker_are_found_once() {
        let tokenizer: Tokenizer = r#"{
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
            "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
            "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, ":": 2, ":a": 3, "b:": 4},
                      "merges": [": a", "b :"]}
        }"#
        .parse()
        .expect("a tokenizer");
        let found = |texts: &[&str]| {
            let texts: Vec<_> = texts.iter().map(|&text| text.to_owned()).collect();
            by_token(&texts, &tokenizer, 5).expect("it can tokenize")
        };
        assert_eq!(found(&[":", ":"]), [vec![2], vec![3], vec![4]]);
        assert_eq!(found(&["b:a"]), [vec![1, 3], vec![4, 0]]);
        assert_eq!(found(&["bb"]), [vec![1, 1]]);
    }
}
