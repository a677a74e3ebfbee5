//! Watermarks from the program: made, found, refused; and keys that no output has.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Folder, Ran, command, generate, json, taper, tokens};

const SECRET: &str = "731958246017";

/// A file with keys.
fn key_file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

fn ids(tokens: &[u64]) -> String {
    tokens.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn detect(args: &[&str]) -> Ran {
    taper([&["detect"], args].concat())
}

fn refused(ran: &Ran, line: &str) {
    assert_eq!(ran.stderr, format!("error: {line}\n"));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
}

/// What makes a mark, and what finds it: the semantics, the config, the scheme and its settings, the keys.
const SCHEMES: [(&str, &str, &str, &str, &str); 4] = [
    ("vllm", r#"{"context_width": 3}"#, "gumbel", r#"{"context_width": 3}"#, SECRET),
    (
        "vllm",
        r#"{"algorithm": "dual_key_gumbel", "alpha": 0.2}"#,
        "dual-key-gumbel",
        r#"{"alpha": 0.2}"#,
        SECRET,
    ),
    (
        "huggingface",
        r#"{"greenlist_ratio": 0.5, "bias": 5}"#,
        "green-list",
        r#"{"greenlist_ratio": 0.5}"#,
        SECRET,
    ),
    (
        "huggingface",
        r#"{"ngram_len": 4}"#,
        "synth-id",
        r#"{"ngram_len": 4}"#,
        "731958246017, 5\n6 7 8 9 10 11 12",
    ),
];

fn marked(semantics: &str, config: &str, key: &str, more: &[&str]) -> Ran {
    let args = [
        "--prompt-ids",
        "1,5,9",
        "--semantics",
        semantics,
        "--watermark",
        config,
        "--watermark-key",
        key,
        "--max-new-tokens",
        "120",
        "--eos-token-id",
        "none",
        "--seed",
        "3",
        "--temperature",
        "1",
    ];
    let drawn: &[&str] = if semantics == "vllm" { &[] } else { &["--do-sample", "true"] };
    generate(&[&args, drawn, more].concat())
}

#[test]
fn each_scheme_is_made_and_found_and_its_key_is_not_told() {
    for (semantics, config, scheme, settings, keys) in SCHEMES {
        let (_folder, key) = key_file(keys);
        let ran = marked(semantics, config, &key, &["--format", "json", "--trace"]);
        assert_eq!(ran.code, Some(0), "{scheme}: {}", ran.stderr);
        assert!(!ran.stdout.contains(SECRET) && !ran.stderr.contains(SECRET), "{scheme}");
        let outcome: Value = serde_json::from_str(&ran.stdout).unwrap();
        let text = ids(&tokens(&outcome));
        let find = |key: &str| {
            let settings = ["--scheme", scheme, "--watermark", settings, "--vocab-size", "288"];
            let more = ["--watermark-key", key, "--ids", &text, "--format", "json"];
            let ran = detect(&[&settings[..], &more].concat());
            assert_eq!(ran.code, Some(0), "{scheme}: {}", ran.stderr);
            assert!(!ran.stdout.contains(SECRET));
            serde_json::from_str::<Value>(&ran.stdout).unwrap()
        };
        let found = find(&key);
        assert_eq!((&found["scheme"], &found["tokens"]), (&json!(scheme), &json!(120)));
        assert!(found["exact_p_value"].as_f64().unwrap() < 1e-4, "{found}");
        let (_folder, other) = key_file(&keys.replace(SECRET, "77"));
        if scheme != "synth-id" {
            // Of nine keys eight are right.
            assert!(find(&other)["exact_p_value"].as_f64().unwrap() > 1e-4);
        }
    }
}

#[test]
fn a_key_may_come_from_the_environment() {
    let run = |key: &str| {
        let mut command = command(["detect", "--scheme", "gumbel", "--ids", "4,2,7,7,1"]);
        let output = command.env("TAPER_WATERMARK_KEY", key).output().unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    };
    let (_folder, key) = key_file("42\n");
    let of_file = detect(&["--scheme", "gumbel", "--ids", "4,2,7,7,1", "--watermark-key", &key]);
    assert_eq!(run("42"), of_file.stdout);
    assert!(of_file.stdout.starts_with("gumbel: 5 tokens, 5 scored\n"), "{}", of_file.stdout);
    assert_eq!(
        run("731958246017731958246017"),
        "error: TAPER_WATERMARK_KEY: watermark_key is hidden; it must be whole numbers in 0..2^64\n"
    );
}

#[test]
fn the_config_of_a_model_is_read_and_its_key_is_not_told() {
    let folder = Folder::new();
    let path = folder.path().join("generation_config.json");
    let with = |config: Value| {
        let text = json!({ "watermarking_config": config, "max_new_tokens": 8 });
        fs::write(&path, text.to_string()).unwrap();
        let model = folder.path().to_str().unwrap();
        taper(["generate", "--model", model, "--prompt-ids", "5,6", "--format", "json"])
    };
    let secret: u64 = SECRET.parse().unwrap();
    let ran = with(json!({ "hashing_key": secret, "bias": 3.5 }));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!ran.stdout.contains(SECRET));
    let outcome: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(outcome["config"]["watermarking_config"]["bias"], json!(3.5));
    for wrong in [json!([secret]), json!({ "hashing_key": SECRET }), json!({ "keys": secret })] {
        let ran = with(wrong.clone());
        assert_eq!(ran.code, Some(2), "{wrong}: {}", ran.stdout);
        assert!(!ran.stderr.contains(SECRET), "{}", ran.stderr);
        assert!(ran.stderr.contains("watermarking_config is hidden; it must be an object"));
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let (_folder, key) = key_file("42");
    let cases = [
        (
            "vllm",
            r#"{"context_width": 0}"#,
            "--watermark: watermark_config[context_width] is 0; it must be at least 1",
        ),
        (
            "huggingface",
            r#"{"greenlist_ratio": 1}"#,
            "--watermark: watermarking_config[greenlist_ratio] is 1; it must be above 0 and below 1",
        ),
        (
            "huggingface",
            r#"{"ngram_len": 1}"#,
            "--watermark: watermarking_config[ngram_len] is 1; it must be at least 2 (a token and one \
             before it)",
        ),
        (
            "vllm",
            r#"{"algorithm": "dual_key_gumbel", "alpha": -1}"#,
            "--watermark: watermark_config[alpha] is -1; it must be in 0..=1",
        ),
        (
            "vllm",
            r#"{"key": 731958246017}"#,
            "--watermark: watermark is hidden; it must be without `key`: give it by --watermark-key or \
             TAPER_WATERMARK_KEY",
        ),
    ];
    let of_what = "--watermark: watermark is hidden; it must be an object of algorithm";
    for config in [r#"{"context_width": "4"}"#, r#"{"kontext": 4}"#, r#"{"alpha": [], "key_": 1}"#]
    {
        let ran = marked("vllm", config, &key, &[]);
        assert!(ran.stderr.contains(of_what), "{config}: {}", ran.stderr);
        assert_eq!(ran.code, Some(2));
    }
    for (semantics, config, line) in cases {
        refused(&marked(semantics, config, &key, &[]), line);
    }
    let (_folder, large) = key_file("9223372036854775808");
    refused(
        &marked("huggingface", "{}", &large, &[]),
        "--watermark: watermarking_config[hashing_key] is hidden; it must be in 0..2^63",
    );
    let (_folder, two) = key_file("1 2");
    refused(
        &marked("vllm", "{}", &two, &[]),
        "--watermark-key: watermark_key is hidden, and 2 of them; it must be one key for this scheme",
    );
    let ids = ["--prompt-ids", "1,5,9"];
    refused(
        &generate(&[&ids[..], &["--semantics", "vllm", "--watermark", "{}"]].concat()),
        "--watermark: watermark_key is missing; it must be given: a whole number in 0..2^64",
    );
    refused(
        &generate(&[&ids[..], &["--watermark-key", &key]].concat()),
        "--watermark-key: watermark_key is hidden; it must be left out: there is no watermark under \
         these settings",
    );
}

#[test]
fn marks_that_beams_and_guesses_would_spoil_are_refused() {
    let (_folder, keys) = key_file("42 43");
    let (_folder_of_one, key) = key_file("42");
    let beams = ["--num-beams", "2"];
    refused(
        &marked("huggingface", r#"{"ngram_len": 3}"#, &keys, &beams),
        "--watermark: watermark is synth_id; it must be left out with num_beams above 1",
    );
    refused(
        &marked("vllm", "{}", &key, &["--prompt-lookup-num-tokens", "3"]),
        "--watermark: watermark is gumbel_watermark; it must be left out with \
         prompt_lookup_num_tokens",
    );
    // transformers defines a green list for both.
    let ran = marked("huggingface", "{}", &key, &beams);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn a_text_that_cannot_be_scored_is_refused() {
    let (_folder, key) = key_file("42");
    let green = |ids: &str, more: &[&str]| {
        let args = ["--scheme", "green-list", "--watermark-key", &key, "--ids", ids];
        detect(&[&args[..], more].concat())
    };
    refused(
        &green("3", &["--vocab-size", "10"]),
        "the text has 1 tokens; at least 2 are needed to score one",
    );
    refused(
        &green("3,10", &["--vocab-size", "10"]),
        "the text has token 10; the vocabulary has 10",
    );
    refused(
        &green("3,4", &["--vocab-size", "10", "--watermark", r#"{"hashing_key": 3}"#]),
        "--watermark: it must be the scheme's settings in JSON: a key belongs in the file of \
         --watermark-key",
    );
    refused(
        &detect(&["--scheme", "synth-id", "--ids", "1,2,3"]),
        "--watermark-key: watermark_key is missing; it must be given: a whole number in 0..2^64; give \
         a file, or TAPER_WATERMARK_KEY in the environment",
    );
    refused(
        &detect(&["--scheme", "gumbel"]),
        "the text is missing; give a file, - for standard input, --text TEXT, or --ids 1,2,3",
    );
}

#[test]
fn a_sweep_marks_by_the_key_of_the_environment_and_does_not_keep_it() {
    let folder = tempfile::tempdir().unwrap();
    let (spec, out) = (folder.path().join("spec.toml"), folder.path().join("out"));
    let run = |watermark: &str| {
        let text = format!(
            "title = 'x'\nprompts = ['a']\n[base]\nsemantics = 'vllm'\nmax_new_tokens = 20\n\
             [[settings]]\n[[settings]]\nwatermark = {watermark}"
        );
        fs::write(&spec, text).unwrap();
        let args = ["sweep", spec.to_str().unwrap(), "--out", out.to_str().unwrap()];
        command(args).env("TAPER_WATERMARK_KEY", SECRET).output().unwrap()
    };
    let refused = run(&format!("{{ key = {SECRET} }}"));
    assert_eq!(refused.status.code(), Some(2));
    assert!(!String::from_utf8(refused.stderr).unwrap().contains(SECRET) && !out.exists());
    let ran = run("{ context_width = 2 }");
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    let mut files = 0;
    for entry in fs::read_dir(&out).unwrap() {
        let text = fs::read(entry.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains(SECRET));
        files += 1;
    }
    assert!(files > 2);
    let records = fs::read_to_string(out.join("records.jsonl")).unwrap();
    assert!(records.contains("gumbel_watermark"), "{records}");
}

#[test]
fn the_outcome_of_a_run_without_a_mark_says_nothing_of_one() {
    let outcome = json(&["--prompt-ids", "1,5,9", "--max-new-tokens", "2"]);
    assert!(outcome["config"].get("watermarking_config").is_none());
}
