//! Text as it can be shown, from tokens as they come.

use proptest::prelude::*;
use taper_runner::models::tokenizers::Tokenizer;
use taper_runner::{Detokenizer, token_text};

use crate::support::llama;

fn byte_level() -> Tokenizer {
    Tokenizer::from_file(llama().join("tokenizer.json")).unwrap()
}

/// Words that mark their leading space, and bytes that stand for themselves: what llama 2 has.
fn metaspace() -> Tokenizer {
    let json = r#"{
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}
        ]},
        "model": {"type": "WordLevel", "unk_token": "<unk>", "vocab": {
            "<unk>": 0, "▁old": 1, "▁sea": 2, "s": 3, "<0xC3>": 4, "<0xA9>": 5
        }}
    }"#;
    json.parse().unwrap()
}

fn stops(stops: &[&str]) -> Vec<String> {
    stops.iter().map(|&stop| stop.to_owned()).collect()
}

/// The pieces, then what is left at the end.
fn pieces(detokenizer: &mut Detokenizer<'_>, tokens: &[u32]) -> Vec<String> {
    let push = |&token: &u32| detokenizer.push(token).unwrap().text;
    let mut pieces: Vec<_> = tokens.iter().map(push).collect();
    pieces.push(detokenizer.finish().unwrap());
    pieces
}

fn encode(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode(text, false).unwrap().get_ids().to_vec()
}

#[test]
fn a_character_waits_for_its_last_byte() {
    let tokenizer = byte_level();
    let text = "é🙂z";
    let tokens = encode(&tokenizer, text);
    assert_eq!(tokens.len(), 7, "one token for each byte");
    let got = pieces(&mut Detokenizer::new(&tokenizer, &[], &[]), &tokens);
    assert_eq!(got, ["", "é", "", "", "", "🙂", "z", ""]);
}

#[test]
fn half_a_character_at_the_end_is_shown_as_such() {
    let tokenizer = byte_level();
    let tokens = encode(&tokenizer, "a🙂");
    let got = pieces(&mut Detokenizer::new(&tokenizer, &[], &[]), &tokens[..3]);
    assert_eq!(got, ["a", "", "", "\u{FFFD}"]);
}

#[test]
fn what_may_become_a_stop_string_waits() {
    let tokenizer = byte_level();
    let letter = |c: &str| encode(&tokenizer, c)[0];
    let text: Vec<u32> = ["x", "y", "x", "y", "z"].iter().map(|c| letter(c)).collect();
    let mut detokenizer = Detokenizer::new(&tokenizer, &[], &stops(&["xyz", "yq"]));
    let mut got = Vec::new();
    for &token in &text {
        let piece = detokenizer.push(token).unwrap();
        got.push((piece.text, piece.stopped));
    }
    let expected = [("", false), ("", false), ("xy", false), ("", false), ("", true)];
    assert_eq!(got, expected.map(|(text, stopped)| (text.to_owned(), stopped)));
    // Without the last letter the text is let go when there is no more to come.
    let mut detokenizer = Detokenizer::new(&tokenizer, &[], &stops(&["xyz"]));
    assert_eq!(pieces(&mut detokenizer, &text[..4]).concat(), "xyxy");
}

#[test]
fn the_text_ends_before_the_earliest_stop_string() {
    let tokenizer = byte_level();
    let tokens = encode(&tokenizer, "ab🙂cd");
    let mut detokenizer = Detokenizer::new(&tokenizer, &[], &stops(&["d", "🙂c"]));
    let mut text = String::new();
    for &token in &tokens {
        let piece = detokenizer.push(token).unwrap();
        text += &piece.text;
        if piece.stopped {
            assert_eq!(text, "ab");
            return;
        }
    }
    panic!("a stop string was passed over: {text:?}");
}

#[test]
fn a_leading_space_is_kept_within_a_text_and_in_the_text_of_a_token() {
    let tokenizer = metaspace();
    let got = pieces(&mut Detokenizer::new(&tokenizer, &[1], &[]), &[2, 3, 4, 5, 1]);
    assert_eq!(got, [" sea", "s", "", "é", " old", ""]);
    assert_eq!(token_text(&tokenizer, 2).unwrap(), " sea");
    assert_eq!(token_text(&tokenizer, 3).unwrap(), "s");
    assert_eq!(token_text(&byte_level(), 2).unwrap(), "<eos>");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_add_up_to_the_whole(tokens in proptest::collection::vec(0_u32..288, 0..40)) {
        let tokenizer = byte_level();
        let prompt = encode(&tokenizer, "The old");
        let got = pieces(&mut Detokenizer::new(&tokenizer, &prompt, &[]), &tokens).concat();
        let all = [prompt, tokens].concat();
        let whole = tokenizer.decode(&all, true).unwrap();
        prop_assert_eq!(format!("The old{got}"), whole);
    }
}
