//! What is wrong, where, and what would be right: one line on stderr, exit code 2.

use std::fs;

use serde_json::json;

use crate::support::{Folder, Ran, generate};

fn assert_refused(ran: &Ran, line: &str, what: &str) {
    assert_eq!(ran.stderr, format!("error: {line}\n"), "{what}");
    assert_eq!(ran.code, Some(2), "{what}");
    assert_eq!(ran.stdout, "", "{what}");
}

const TEMPERATURE: &str =
    "it must be above 0 and finite (for the most likely token each time, use --do-sample false)";

#[test]
fn values_out_of_range_are_refused_by_flag_value_and_range() {
    let in_share = |off| format!("it must be in 0..=1 ({off} is off)");
    let not_negative = "it must be a whole number, at least 0 (0 is off)".to_owned();
    let not_zero = "it must be a whole number, at least 1".to_owned();
    let finite = "it must be above 0 and finite (1 is off)".to_owned();
    let seconds = "it must be above 0 and finite, in seconds".to_owned();
    let list = "it must be token ids separated by commas, at least one: 1,2,3".to_owned();
    let list_or_none = "it must be token ids separated by commas, or none".to_owned();
    let cases = [
        (
            "--temperature <T>",
            vec!["-1", "0", "-0", "NaN", "inf", "1e-60", "1e60", "hot", ""],
            TEMPERATURE.to_owned(),
        ),
        ("--top-k <K>", vec!["-3", "1.5", "nan", "99999999999999999999"], not_negative.clone()),
        ("--top-p <P>", vec!["1.5", "-0.1", "nan"], in_share(1)),
        ("--min-p <P>", vec!["-0.1", "1.1", "NaN"], in_share(0)),
        ("--repetition-penalty <R>", vec!["0", "-1", "nan", "inf", "1e-60"], finite),
        ("--no-repeat-ngram-size <N>", vec!["-1"], not_negative.clone()),
        ("--num-return-sequences <N>", vec!["0", "-1"], not_zero.clone()),
        ("--max-new-tokens <N>", vec!["0", "-5", "1e3"], not_zero.clone()),
        ("--max-length <N>", vec!["0"], not_zero),
        ("--max-time <SECONDS>", vec!["0", "-1", "nan", "inf"], seconds),
        ("--eos-token-id <IDS>", vec!["-1", "a", ""], list_or_none),
        ("--stop-strings <TEXT>", vec![""], "it must not be empty".to_owned()),
        ("--top-logprobs <N>", vec!["-1"], not_negative),
        (
            "--seed <N>",
            vec!["-1", "x"],
            "it must be a whole number in 0..=18446744073709551615".to_owned(),
        ),
        (
            "--ties <POLICY>",
            vec!["first"],
            "it must be keep-all, lowest-id, highest-id, random or error".to_owned(),
        ),
        (
            "--semantics <ENGINE>",
            vec!["llama.cpp", "vllm"],
            "not available yet in this build; it must be huggingface".to_owned(),
        ),
        ("--semantics <ENGINE>", vec!["mlx"], "it must be huggingface".to_owned()),
    ];
    for (flag, values, range) in cases {
        let name = flag.split(' ').next().unwrap();
        for value in values {
            let ran = generate(&["x", name, value]);
            assert_refused(&ran, &format!("invalid value '{value}' for '{flag}': {range}"), name);
        }
    }
    for value in ["", "1,,2", "1,-2", "one"] {
        let line = format!("invalid value '{value}' for '--prompt-ids <IDS>': {list}");
        assert_refused(&generate(&["--prompt-ids", value]), &line, value);
    }
}

#[test]
fn sampling_at_temperature_zero_says_how_to_decode_greedily() {
    let ran = generate(&["x", "--do-sample", "true", "--temperature", "0"]);
    let line = format!("invalid value '0' for '--temperature <T>': {TEMPERATURE}");
    assert_refused(&ran, &line, "do_sample");
    assert!(ran.stderr.contains("use --do-sample false"));
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let cases: &[(&[&str], &str)] = &[
        (
            &["x", "--top-kk", "3"],
            "unexpected argument '--top-kk'; there is a similar one: '--top-k'; --help lists the \
             flags",
        ),
        (&["x", "--quantum"], "unexpected argument '--quantum'; --help lists the flags"),
        (&["x", "y"], "unexpected argument 'y'; --help lists the flags"),
        (
            &["x", "--top-logprobs", "3"],
            "--top-logprobs: only --trace and --format json show it; add one of them",
        ),
        (&[], "the prompt is missing; give a text, or --prompt-ids 1,2,3"),
        (&[""], "the prompt is empty; it must have at least one token"),
        (
            &["x", "--prompt-ids", "1"],
            "the argument '[PROMPT]' cannot be used with '--prompt-ids <IDS>'",
        ),
        (
            &["x", "--do-sample", "maybe"],
            "invalid value 'maybe' for '--do-sample <BOOL>' [possible values: true, false]",
        ),
        (
            &["x", "--format", "xml"],
            "invalid value 'xml' for '--format <FORMAT>' [possible values: text, json]",
        ),
        (
            &["x", "--device", "tpu"],
            "invalid value 'tpu' for '--device <DEVICE>': unknown device `tpu`; expected auto, cpu, \
             cuda or cuda:N",
        ),
        (
            &["x", "--temperature"],
            "a value is required for '--temperature <T>' but none was supplied",
        ),
        (
            &["x", "--num-return-sequences", "2", "--do-sample", "false"],
            "--num-return-sequences: num_return_sequences is 2; it must be 1 unless do_sample is \
             true",
        ),
        (
            &["--prompt-ids", "5,288"],
            "--prompt-ids: prompt id 288 is out of range: the vocabulary has the ids 0 to 287",
        ),
        (
            &["x", "--eos-token-id", "2,999"],
            "--eos-token-id: eos_token_id is 999; it must be in 0..=287",
        ),
        (
            &["--prompt-ids", "5,6,7", "--max-length", "3"],
            "--max-length: max_length is 3; it must be more than the 3 tokens of the prompt",
        ),
    ];
    for (args, line) in cases {
        assert_refused(&generate(args), line, &args.join(" "));
    }
}

#[test]
fn a_prompt_longer_than_the_context_is_refused() {
    let ids = vec!["9"; 513].join(",");
    let line = "--prompt-ids: the prompt has 513 tokens; the model holds at most 512";
    assert_refused(&generate(&["--prompt-ids", &ids]), line, "513 ids");
    let text = "~".repeat(600);
    let ran = generate(&[text.as_str()]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.starts_with("error: the prompt has "), "{}", ran.stderr);
}

#[test]
fn folders_that_are_no_models_are_refused() {
    type Spoil = fn(&Folder);
    let cases: [(Spoil, &str); 6] = [
        (|folder| fs::remove_dir_all(folder.path()).unwrap(), "--model: DIR: no such folder"),
        (
            |folder| fs::remove_file(folder.file("config.json")).unwrap(),
            "--model: DIR: no config.json in this folder",
        ),
        (
            |folder| folder.set("config.json", "model_type", json!("mamba3")),
            "--model: DIR/config.json: model_type `mamba3` is not supported",
        ),
        (
            |folder| {
                let path = folder.file("model.safetensors");
                let bytes = fs::read(&path).unwrap();
                fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
            },
            "--model: DIR/model.safetensors: truncated, or not a safetensors file",
        ),
        (
            |folder| folder.set("config.json", "intermediate_size", json!(81)),
            "--model DIR: tensor `model.layers.0.mlp.",
        ),
        (
            |folder| fs::write(folder.file("tokenizer.json"), "{}").unwrap(),
            "--model: DIR/tokenizer.json: not a tokenizer",
        ),
    ];
    for (spoil, start) in cases {
        let folder = Folder::new();
        spoil(&folder);
        let ran = folder.run(&["x"]);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.starts_with(&format!("error: {start}")), "{start}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
}

#[test]
fn a_wrong_shape_names_the_tensor_and_both_shapes() {
    let folder = Folder::new();
    folder.set("config.json", "intermediate_size", json!(81));
    let ran = folder.run(&["x"]);
    assert!(ran.stderr.contains("[80, 48]") && ran.stderr.contains("[81, 48]"), "{}", ran.stderr);
}

#[test]
fn an_unsupported_family_is_told_what_is_supported() {
    let folder = Folder::new();
    folder.set("config.json", "model_type", json!("mamba3"));
    let ran = folder.run(&["x"]);
    for family in taper_runner::models::families::supported() {
        assert!(ran.stderr.contains(family), "{family}: {}", ran.stderr);
    }
}

#[test]
fn the_models_own_settings_are_checked_and_named_by_file() {
    let file = "generation_config.json";
    let cases = [
        ("num_beams", json!(4), "that is not available yet, leave it out"),
        ("typical_p", json!(0.9), "that is not available yet, leave it out"),
        ("top_p", json!(1.5), "it must be in 0..=1"),
    ];
    for (key, value, rest) in cases {
        let folder = Folder::new();
        folder.set(file, key, value.clone());
        let line = format!("DIR/{file}: {key} is {value}; {rest}");
        assert_refused(&folder.run(&["x"]), &line, key);
    }
    let folder = Folder::new();
    folder.set(file, "top_k", json!(-1));
    let ran = folder.run(&["x"]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.starts_with("error: DIR: generation_config.json: top_k: "),
        "{}",
        ran.stderr
    );
    folder.set(file, "top_k", json!(5));
    folder.set(file, "num_beams", json!(1));
    assert_eq!(folder.run(&["x", "--max-new-tokens", "1"]).code, Some(0));
}

#[test]
fn text_without_a_tokenizer_is_refused_and_ids_are_not() {
    let folder = Folder::new();
    fs::remove_file(folder.file("tokenizer.json")).unwrap();
    let line = "the model has no tokenizer.json; give the prompt as token ids";
    assert_refused(&folder.run(&["x"]), line, "text");
    let ran = folder.run(&["--prompt-ids", "5", "--max-new-tokens", "2", "--do-sample", "false"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stdout.split_whitespace().count(), 3, "{}", ran.stdout);
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_gpu_is_refused_by_a_build_without_it() {
    let ran = generate(&["x", "--device", "cuda:1"]);
    let line = "--device cuda:1: this build has no CUDA support; build it with `--features cuda`, \
                or use the cpu";
    assert_refused(&ran, line, "cuda");
}
