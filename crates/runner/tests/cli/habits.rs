//! What people write who come from other programs is understood.

use serde_json::{Value, json};

use crate::support::{Folder, Ran, generate, json, taper, tokens};

const SHORT: [&str; 2] = ["--max-new-tokens", "8"];

fn config(args: &[&str]) -> Value {
    json(&[args, &["--seed", "3"], &SHORT].concat())["config"].clone()
}

#[test]
fn true_and_false_are_read_as_python_writes_them() {
    for (word, want) in [("True", true), ("False", false), ("TRUE", true), ("false", false)] {
        for flag in ["--do-sample", "--renormalize-logits", "--remove-invalid-values"] {
            let key = flag.trim_start_matches('-').replace('-', "_");
            assert_eq!(config(&["x", flag, word])[&key], want, "{flag} {word}");
            assert_eq!(config(&["x", &format!("{flag}={word}")])[&key], want, "{flag}={word}");
            assert_eq!(config(&[flag, word, "x"])[&key], want, "{flag} {word} x");
        }
    }
    for (word, want) in [("True", json!(true)), ("never", json!("never")), ("False", json!(false))]
    {
        let beams = ["x", "--num-beams", "2", "--do-sample", "False", "--early-stopping", word];
        assert_eq!(config(&beams)["early_stopping"], want);
    }
}

#[test]
fn a_switch_may_stand_alone_and_takes_no_prompt_for_its_value() {
    for args in [
        &["--do-sample", "x"][..],
        &["x", "--do-sample"],
        &["--do-sample", "--top-k", "5", "x"],
        &["--do_sample", "x"],
    ] {
        let outcome = json(&[args, &["--seed", "3"], &SHORT].concat());
        assert_eq!(outcome["config"]["do_sample"], true, "{args:?}");
        assert_eq!(
            outcome["prompt_tokens"],
            json(&["x", "--max-new-tokens", "1"])["prompt_tokens"]
        );
    }
    let behind = generate(&["--do-sample", "--max-new-tokens", "1", "--", "true"]);
    assert!(behind.code == Some(0) && behind.stderr.contains("seed "), "{}", behind.stderr);
    // What is no word of the flag's is a prompt, or one too many.
    let ran = generate(&["x", "--do-sample", "maybe"]);
    assert_eq!(ran.stderr, "error: unexpected argument 'maybe'; --help lists the flags\n");
}

#[test]
fn a_switch_takes_a_word_for_true_or_false() {
    let traced = |ran: &Ran| ran.stdout.contains("stages ");
    for (flag, want) in [
        (&["--trace"][..], true),
        (&["--trace=True"], true),
        (&["--trace", "true"], true),
        (&["--trace=false"], false),
        (&["--trace", "False"], false),
    ] {
        let ran = generate(&[flag, &["x", "--max-new-tokens", "1"]].concat());
        assert_eq!((ran.code, traced(&ran)), (Some(0), want), "{flag:?}: {}", ran.stderr);
    }
    assert_eq!(generate(&["x", "--trace=perhaps"]).code, Some(2));
}

#[test]
fn flags_may_have_underscores() {
    let plain = config(&["x", "--do-sample", "--top-k", "5", "--repetition-penalty", "1.2"]);
    for args in [
        &["x", "--do_sample", "True", "--top_k", "5", "--repetition_penalty", "1.2"][..],
        &["x", "--do_sample=True", "--top_k=5", "--repetition_penalty=1.2"],
    ] {
        assert_eq!(config(args), plain, "{args:?}");
    }
    let ran =
        generate(&["x", "--max_new_tokens", "2", "--num_beams", "2", "--no_repeat_ngram_size=2"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    // In every subcommand, and an alias as well; the message has what was written.
    let scored = taper(["score", "--prompt_ids", "5,6,7", "--top_logprobs", "1"]);
    assert_eq!(scored.code, Some(0), "{}", scored.stderr);
    let ran = taper(["inspect", "x", "--top_k", "5", "--max_new_tokens=3"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let chain =
        ["x", "--semantics", "llama.cpp", "--dry_sequence_breaker", "none", "--dry_multiplier=1"];
    assert_eq!(generate(&[&chain[..], &SHORT].concat()).code, Some(0));
    let ran = generate(&["x", "--no_such_flag"]);
    assert!(ran.stderr.contains("unexpected argument '--no_such_flag'"), "{}", ran.stderr);
    // Behind -- everything is a prompt.
    assert_eq!(generate(&[&SHORT[..], &["--", "--top_k"]].concat()).code, Some(0));
}

const COLD: &str = "note: temperature 0 takes the most likely token each time, as do_sample false \
                    does; transformers itself refuses it\n";

#[test]
fn temperature_zero_is_greedy_under_hugging_face_s_rules_too() {
    let greedy = tokens(&json(&[&["x", "--do-sample", "false"][..], &SHORT].concat()));
    for zero in ["0", "0.0", "-0", "1e-60"] {
        for more in [&[][..], &["--do-sample"], &["--do-sample", "false"]] {
            let args = [&["x", "--temperature", zero], more, &SHORT[..]].concat();
            let ran = generate(&args);
            assert!(ran.stderr.starts_with(COLD), "{args:?}: {}", ran.stderr);
            assert_eq!(tokens(&json(&args)), greedy, "{args:?}");
        }
    }
    let warped = ["x", "--temperature=0", "--do-sample", "--top-k", "3", "--top-p", "0.5"];
    let ran = generate(&[&warped[..], &SHORT].concat());
    let idle = "note: at temperature 0 there is no effect of --top-k, --top-p\n";
    assert!(ran.stderr.starts_with(&[COLD, idle].concat()), "{}", ran.stderr);
    let ran = generate(&["x", "--temperature", "0", "--num-return-sequences", "2"]);
    let line = "error: --num-return-sequences: num_return_sequences is 2; it must be 1 at temperature \
                0, at which all sequences are the same\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), line));
    let beams = ["x", "--temperature", "0", "--do-sample", "--num-beams", "2"];
    let ran = generate(&[&beams[..], &SHORT].concat());
    assert!(ran.code == Some(0) && ran.stderr.starts_with(COLD), "{}", ran.stderr);
    // Out of its range it still is refused.
    assert_eq!(generate(&["x", "--temperature", "-1"]).code, Some(2));
}

#[test]
fn temperature_zero_in_the_model_s_own_file_is_understood() {
    let folder = Folder::new();
    folder.set("generation_config.json", "temperature", json!(0.0));
    let greedy = folder.run(&[&["x", "--do-sample", "false"][..], &SHORT].concat());
    let ran = folder.run(&[&["x"], &SHORT[..]].concat());
    assert_eq!((ran.code, &ran.stdout), (Some(0), &greedy.stdout));
    assert!(ran.stderr.starts_with(COLD), "{}", ran.stderr);
}

/// Promise 1 is of any temperature.
#[test]
fn the_coldest_temperatures_are_greedy() {
    let greedy = tokens(&json(&[&["x", "--do-sample", "false"][..], &SHORT].concat()));
    for rules in [&["--do-sample"][..], &["--semantics", "llama.cpp"]] {
        for t in ["1e-45", "1e-40", "1e-38", "1e-30", "1e-60"] {
            let args = [&["x", "--temperature", t, "--seed", "5"], rules, &SHORT[..]].concat();
            assert_eq!(tokens(&json(&args)), greedy, "{args:?}");
        }
    }
}
