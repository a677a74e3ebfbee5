//! What is wrong, where, and what would be right: one line on stderr, exit code 2.

use std::fs;

use serde_json::json;

use crate::support::{Folder, Ran, generate};

fn assert_refused(ran: &Ran, line: &str, what: &str) {
    assert_eq!(ran.stderr, format!("error: {line}\n"), "{what}");
    assert_eq!(ran.code, Some(2), "{what}");
    assert_eq!(ran.stdout, "", "{what}");
}

#[test]
fn values_out_of_range_are_refused_by_flag_value_and_range() {
    let not_negative = "it must be a whole number, at least 0 (0 is off)".to_owned();
    let not_zero = "it must be a whole number, at least 1".to_owned();
    let finite = "it must be above 0 and finite (1 is off)".to_owned();
    let seconds = "it must be above 0 and finite, in seconds".to_owned();
    let list = "it must be token ids separated by commas, at least one: 1,2,3".to_owned();
    let list_or_none = "it must be token ids separated by commas, or none".to_owned();
    let not_number = "it must be a number".to_owned();
    let share = "in 0..1 (0 is off)";
    let limits = format!("it must be a whole number in {}..={}", i32::MIN, i32::MAX);
    let cases = [
        ("--temperature <T>", vec!["hot", ""], not_number.clone()),
        ("--top-p <P>", vec!["x"], not_number.clone()),
        ("--typical-p <P>", vec!["x"], not_number),
        ("--top-k <K>", vec!["1.5", "nan", "99999999999999999999"], limits),
        ("--epsilon-cutoff <P>", vec!["1", "-0.1", "nan"], format!("it must be {share}")),
        ("--eta-cutoff <P>", vec!["1", "-0.1", "nan"], format!("it must be {share}")),
        ("--top-h <H>", vec!["0", "1.5", "nan"], "it must be above 0 and at most 1".to_owned()),
        ("--repetition-penalty <R>", vec!["0", "-1", "nan", "inf", "1e-60"], finite),
        ("--no-repeat-ngram-size <N>", vec!["-1"], not_negative.clone()),
        ("--num-beams <N>", vec!["0", "x"], not_zero.clone()),
        ("--num-return-sequences <N>", vec!["0", "-1"], not_zero.clone()),
        ("--max-new-tokens <N>", vec!["0", "-5", "1e3"], not_zero.clone()),
        ("--max-length <N>", vec!["0"], not_zero),
        (
            "--threads <N>",
            vec!["0", "1025", "-1", "two", "99999999999999999999"],
            "it must be a whole number in 1..=1024".to_owned(),
        ),
        ("--max-time <SECONDS>", vec!["0", "-1", "nan", "inf"], seconds),
        ("--eos-token-id <IDS>", vec!["-1", "a", ""], list_or_none),
        ("--stop-strings <TEXT>", vec![""], "it must not be empty".to_owned()),
        ("--top-logprobs <N>", vec!["-1"], not_negative.clone()),
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
            vec!["mlx", "LLAMA.CPP", ""],
            "it must be huggingface, llama.cpp or vllm".to_owned(),
        ),
        ("--min-length <N>", vec!["-1"], not_negative.clone()),
        ("--min-new-tokens <N>", vec!["x"], not_negative),
        ("--forced-bos-token-id <ID>", vec!["-1", "1,2"], "it must be a token id".to_owned()),
        ("--suppress-tokens <IDS>", vec!["", "1;2"], list.clone()),
        ("--begin-suppress-tokens <IDS>", vec!["a"], list.clone()),
        ("--forced-eos-token-id <IDS>", vec!["none"], list.clone()),
        (
            "--bad-words-ids <IDS;IDS>",
            vec!["", "1;", "1,,2", "-1"],
            "it must be sequences of token ids, each at least one: 1,2;3".to_owned(),
        ),
        (
            "--sequence-bias <IDS:BIAS;…>",
            vec!["", "1", "1:", ":2", "1:nan", "1:inf", "1:1e60"],
            "it must be sequences of token ids, each with a finite number or -inf: 1,2:-4.5;3:1"
                .to_owned(),
        ),
        (
            "--exponential-decay-length-penalty <START,FACTOR>",
            vec!["5", "1.5,2", "5,nan", "5,inf", "x,1"],
            "it must be a number of tokens and a finite factor: 20,1.05".to_owned(),
        ),
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

/// What each engine takes differs, so the message comes from its own rules.
#[test]
fn values_out_of_an_engines_range_are_refused_by_flag_value_and_range() {
    let hot = "it must be above 0 and finite (for the most likely token, decode greedily); use \
               --temperature 0 for that";
    let share = "it must be in 0..=1";
    let cases: &[(&str, &str, &[&str], &str)] = &[
        ("huggingface", "temperature", &["-1", "NaN", "inf", "1e60"], hot),
        ("huggingface", "top-p", &["1.5", "-0.1", "nan"], share),
        ("huggingface", "min-p", &["-0.1", "1.1", "NaN"], share),
        (
            "huggingface",
            "typical-p",
            &["0", "-0.5", "1.5", "nan"],
            "it must be above 0 and at most 1",
        ),
        ("huggingface", "top-k", &["-3"], "it must be at least 0 (0 is off)"),
        ("llama.cpp", "temperature", &["nan", "inf", "1e60"], "it must be finite"),
        ("llama.cpp", "top-p", &["-0.5"], share),
        ("llama.cpp", "top-p", &["nan"], "it must be finite"),
        ("llama.cpp", "frequency-penalty", &["nan", "inf"], "it must be finite"),
        ("vllm", "temperature", &["-1", "2.5", "nan"], "it must be in 0..=2"),
        ("vllm", "top-p", &["0", "1.5", "nan"], "it must be above 0 and at most 1"),
        ("vllm", "top-k", &["-2"], "it must be at least 1, or 0 or -1 for off"),
        ("vllm", "presence-penalty", &["-2.5", "3"], "it must be in -2..=2"),
    ];
    for &(engine, name, values, range) in cases {
        let (flag, key) = (format!("--{name}"), name.replace('-', "_"));
        for value in values {
            let ran = generate(&["x", "--semantics", engine, &flag, value]);
            let number: f64 = value.parse().unwrap();
            assert_refused(&ran, &format!("{flag}: {key} is {number}; {range}"), engine);
        }
    }
}

#[test]
fn llama_cpp_and_vllm_flags_are_refused_by_value_and_range() {
    let not_negative = "it must be at least 0 and finite";
    let natural = "it must be a whole number in 0..=2147483647";
    let biases = "it must be token ids, each with a finite number or -inf: 5:1.5,7:-inf";
    let cases: &[(&str, &[&str], &str)] = &[
        ("--xtc-probability <P>", &["-0.1", "1.5", "nan"], "it must be in 0..=1 (0 is off)"),
        ("--xtc-threshold <P>", &["-0.1", "2", "nan"], "it must be in 0..=1 (above 0.5 is off)"),
        ("--min-keep <N>", &["-1"], "it must be a whole number, at least 0 (0 is off)"),
        ("--repeat-penalty <R>", &["0", "-1", "inf"], "it must be above 0 and finite (1 is off)"),
        ("--dry-base <B>", &["0.5", "nan", "inf"], "it must be at least 1 and finite"),
        ("--dry-allowed-length <N>", &["-1", "3000000000"], natural),
        ("--dry-sequence-breakers <TEXT>", &[""], "it must not be empty"),
        ("--dynatemp-range <R>", &["-1", "nan"], not_negative),
        ("--dynatemp-exponent <E>", &["-1"], not_negative),
        ("--mirostat <0|1|2>", &["3", "-1", "v2"], "it must be 0 (off), 1 or 2"),
        ("--mirostat-tau <TAU>", &["-1", "inf"], not_negative),
        ("--mirostat-eta <ETA>", &["-1", "nan"], not_negative),
        ("--adaptive-target <P>", &["1.5", "nan"], "it must be at most 1 (below 0 is off)"),
        ("--adaptive-decay <D>", &["-0.1", "1", "nan"], "it must be in 0..=0.99"),
        ("--logit-bias <ID:BIAS,…>", &["", "5", "5:", ":1", "5:nan", "5:inf", "x:1"], biases),
        ("--bad-words <TEXT>", &["", " "], "it must not be empty"),
    ];
    for (flag, values, range) in cases {
        let name = flag.split(' ').next().unwrap();
        for value in *values {
            // With `=`, since a value such as `-inf` looks like flags.
            let ran = generate(&["x", &format!("{name}={value}")]);
            assert_refused(&ran, &format!("invalid value '{value}' for '{flag}': {range}"), name);
        }
    }
    for name in ["--repeat-last-n", "--dry-penalty-last-n"] {
        let line = format!("invalid value '-1' for '{name} <N>': {natural} (0 is off)");
        assert_refused(&generate(&["x", name, "-1"]), &line, name);
    }
}

#[test]
fn a_flag_that_an_engine_does_not_have_names_the_engines_that_do() {
    let cases = [
        ("huggingface", "--xtc-probability", "0.5", "llama.cpp"),
        ("huggingface", "--samplers", "top_k", "llama.cpp"),
        ("huggingface", "--frequency-penalty", "0.5", "llama.cpp or vllm"),
        ("huggingface", "--logit-bias", "5:1", "llama.cpp or vllm"),
        ("llama.cpp", "--do-sample", "true", "huggingface"),
        ("llama.cpp", "--top-h", "0.5", "huggingface"),
        ("llama.cpp", "--bad-words", "sea", "vllm"),
        ("vllm", "--typical-p", "0.5", "huggingface or llama.cpp"),
        ("vllm", "--mirostat", "2", "llama.cpp"),
    ];
    for (engine, flag, value, others) in cases {
        let line = format!(
            "{flag}: {engine} has no such setting; leave it out, or use --semantics {others}"
        );
        assert_refused(&generate(&["x", "--semantics", engine, flag, value]), &line, flag);
    }
    let other_names = [
        ("huggingface", "--min-tokens", "3", "--min-new-tokens", "vllm"),
        ("llama.cpp", "--repetition-penalty", "1.1", "--repeat-penalty", "huggingface or vllm"),
        ("vllm", "--min-new-tokens", "3", "--min-tokens", "huggingface"),
    ];
    for (engine, flag, value, own, others) in other_names {
        let line =
            format!("{flag}: {engine} calls it {own}; use that, or use --semantics {others}");
        assert_refused(&generate(&["x", "--semantics", engine, flag, value]), &line, flag);
    }
}

#[test]
fn tokens_outside_the_vocabulary_are_refused_before_the_run() {
    let cases: &[(&str, &str, &str)] = &[
        ("huggingface", "suppress-tokens", "3,288"),
        ("huggingface", "begin-suppress-tokens", "288"),
        ("huggingface", "forced-bos-token-id", "288"),
        ("huggingface", "forced-eos-token-id", "2,288"),
        ("huggingface", "bad-words-ids", "1;2,288"),
        ("huggingface", "sequence-bias", "1,288:2"),
        ("llama.cpp", "logit-bias", "288:1"),
        ("vllm", "logit-bias", "288-1"),
        ("vllm", "stop-token-ids", "288"),
    ];
    for (engine, name, value) in cases {
        let (flag, key) = (format!("--{name}"), name.replace('-', "_"));
        let ran = generate(&["x", "--semantics", engine, &flag, value]);
        let line = format!("{flag}: {key} names token 288; the vocabulary has 288");
        assert_refused(&ran, &line, name);
    }
    let ran = generate(&["x", "--semantics", "vllm", "--allowed-token-ids", "288"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("error: --allowed-token-ids: "), "{}", ran.stderr);
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
        (&[], "the prompt is missing; give a text, - for standard input, or --prompt-ids 1,2,3"),
        (&[""], "the prompt is empty; it must have at least one token"),
        (
            &["x", "--prompt-ids", "1"],
            "the argument '[PROMPT]' cannot be used with '--prompt-ids <IDS>'",
        ),
        (
            &["x", "--do-sample=maybe"],
            "invalid value 'maybe' for '--do-sample <BOOL>': it must be true or false",
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
        (
            |folder| fs::remove_dir_all(folder.path()).unwrap(),
            "--model: DIR: no such file or folder; expected",
        ),
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
        ("penalty_alpha", json!(0.6), "that is not available yet, leave it out"),
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
    let line = format!("DIR/{file}: top_k is -1; it must be a whole number, at least 0 (0 is off)");
    assert_refused(&ran, &line, "top_k");
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
