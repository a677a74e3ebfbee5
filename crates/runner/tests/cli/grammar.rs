//! Texts of a given form. Without the feature `llguidance` there is only the refusal to test.

use crate::support::generate;

#[cfg(not(feature = "llguidance"))]
#[test]
fn a_build_without_grammars_says_which_has_them() {
    for (flag, value) in [("--regex", "a+"), ("--json-schema", "{}"), ("--grammar", "Cargo.toml")] {
        let ran = generate(&["x", flag, value]);
        assert_eq!(ran.code, Some(2));
        let line = format!(
            "error: {flag}: this build has no grammars; build it with `--features llguidance`\n"
        );
        assert_eq!(ran.stderr, line);
    }
}

#[test]
fn there_is_one_grammar_at_most_and_its_file_must_be_there() {
    let ran = generate(&["x", "--regex", "a", "--grammar", "b"]);
    assert_eq!((ran.code, ran.stderr.lines().count()), (Some(2), 1), "{}", ran.stderr);
    for flag in ["--json-schema", "--grammar"] {
        let ran = generate(&["x", flag, "no/such/file"]);
        assert_eq!(ran.code, Some(2));
        let line = format!("error: {flag} no/such/file: no such file or folder; expected ");
        assert!(ran.stderr.starts_with(&line), "{}", ran.stderr);
    }
}

#[cfg(feature = "llguidance")]
mod with_grammars {
    use std::collections::HashSet;
    use std::fs;

    use serde_json::{Value, json};

    use crate::support::{generate, json};

    const SCHEMA: &str = r#"{"type": "object", "properties": {"name": {"type": "string", "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 120}, "tags": {"type": "array", "maxItems": 2,
        "items": {"enum": ["x", "y"]}}}, "required": ["name", "age", "tags"], "additionalProperties": false}"#;

    /// The text of a finished sequence, and its object.
    fn text(flags: &[&str]) -> (String, Value) {
        let mut outcome = json(&[&["x", "--max-new-tokens", "400"], flags].concat());
        let sequence = outcome["sequences"][0].take();
        (sequence["text"].as_str().expect("a text").to_owned(), sequence)
    }

    #[test]
    fn a_schema_makes_json_under_every_engine_s_rules() {
        for engine in ["huggingface", "llama.cpp", "vllm"] {
            for seed in ["1", "2", "3"] {
                let rules = ["--semantics", engine, "--seed", seed, "--json-schema", SCHEMA];
                let (text, sequence) = text(&[&rules[..], &["--top-k", "40"]].concat());
                assert_eq!(sequence["finish_reason"], "eos", "{text}");
                let value: Value = serde_json::from_str(&text).expect(&text);
                let age = value["age"].as_u64().expect("an age");
                let name = value["name"].as_str().expect("a name");
                assert!(age <= 120 && name.chars().count() <= 8, "{text}");
                let tags = value["tags"].as_array().expect("tags");
                assert!(tags.len() <= 2 && tags.iter().all(|tag| tag == "x" || tag == "y"));
            }
        }
    }

    #[test]
    fn a_pattern_and_a_grammar_file_hold_the_text_too() {
        let (word, sequence) = text(&["--regex", "[ab]{3}", "--do-sample", "false"]);
        assert!(word.len() == 3 && word.bytes().all(|b| b == b'a' || b == b'b'), "{word}");
        assert_eq!(sequence["finish_reason"], "eos");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("sum.lark");
        fs::write(&file, "start: NUMBER (\"+\" NUMBER)*\nNUMBER: /[0-9]{1,2}/\n").expect("written");
        let (sum, _) = text(&["--grammar", file.to_str().expect("UTF-8"), "--seed", "3"]);
        assert!(sum.split('+').all(|n| n.parse::<u8>().is_ok_and(|n| n < 100)), "{sum}");
    }

    #[test]
    fn every_beam_keeps_to_the_grammar_by_itself() {
        let beams =
            ["x", "--do-sample", "false", "--num-beams", "4", "--num-return-sequences", "4"];
        let outcome =
            json(&[&beams[..], &["--regex", "[ab]{2}c", "--max-new-tokens", "9"]].concat());
        let sequences = outcome["sequences"].as_array().expect("sequences");
        // A text can be made of several token sequences; each beam has one of its own.
        let tokens: HashSet<_> = sequences.iter().map(|s| s["tokens"].to_string()).collect();
        assert_eq!(tokens.len(), 4, "{outcome}");
        for sequence in sequences {
            let text = sequence["text"].as_str().expect("a text");
            let (letters, end) = text.split_at(2);
            assert!(letters.bytes().all(|b| b == b'a' || b == b'b') && end == "c", "{text}");
        }
    }

    #[test]
    fn the_stage_stands_where_the_engine_has_it_and_is_traced() {
        let traced =
            ["--regex", "ab", "--trace", "--temperature", "0.5", "--repetition-penalty", "1.1"];
        for (engine, order) in [
            (
                "huggingface",
                &["repetition_penalty", "grammar", "temperature", "top_k", "top_p"][..],
            ),
            ("vllm", &["grammar", "repetition_penalty", "temperature"]),
        ] {
            let rules = ["--semantics", engine, "--remove-invalid-values", "true", "--seed", "1"];
            let rules =
                if engine == "vllm" { [&rules[..2], &rules[4..]].concat() } else { rules.to_vec() };
            let (text, sequence) = text(&[&traced[..], &rules].concat());
            assert_eq!(text, "ab");
            let stages = sequence["steps"][0]["stages"].as_array().expect("stages");
            let names: Vec<_> =
                stages.iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
            let mut rest = names.iter();
            assert!(order.iter().all(|name| rest.any(|got| got == name)), "{names:?}");
            let stage =
                stages.iter().find(|stage| stage["stage"] == "grammar").expect("it is there");
            assert_eq!((&stage["before"], &stage["after"]), (&json!(288), &json!(1)));
        }
    }

    #[test]
    fn what_can_not_be_used_is_refused_in_a_line() {
        let refused = [
            (&["--regex", "a("][..], "--regex: the regular expression cannot be used: "),
            (&["--json-schema", "{"], "--json-schema: the schema is not JSON: "),
            (
                &["--json-schema", r#"{"type": 3}"#],
                "--json-schema: the JSON schema cannot be used: ",
            ),
            (
                &["--regex", "a", "--eos-token-id", "none"],
                "--regex: the vocabulary cannot be used with a grammar: it has no EOS token",
            ),
        ];
        for (flags, line) in refused {
            let ran = generate(&[&["x"], flags].concat());
            assert_eq!(ran.code, Some(2), "{flags:?}");
            assert!(ran.stderr.starts_with(&["error: ", line].concat()), "{}", ran.stderr);
            assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        }
    }

    #[test]
    fn the_settings_in_force_name_the_grammar() {
        let outcome = json(&["x", "--regex", "a{2}"]);
        assert_eq!(outcome["config"]["regex"], "a{2}");
    }
}
