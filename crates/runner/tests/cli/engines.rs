//! Each engine's settings under its own names: what is in force, and in which order.

use serde_json::{Value, json};
use taper_runner::sampling::GenerationConfig;
use taper_runner::{Generation, LlamaCpp, Request, RequestError, Semantics, Source, TableModel};

use crate::support::{Folder, generate, json, tokens};

const LLAMA_CPP: [&str; 3] = ["x", "--semantics", "llama.cpp"];
const VLLM: [&str; 3] = ["x", "--semantics", "vllm"];
const GREEDY: [&str; 5] = ["x", "--do-sample", "false", "--eos-token-id", "none"];

fn with(first: &[&str], rest: &[&str]) -> Value {
    json(&[first, rest].concat())
}

/// The stages that a step went through, in order, and the config in force.
fn stages(first: &[&str], rest: &[&str]) -> (String, Value) {
    let outcome =
        with(first, &[rest, &["--trace", "--max-new-tokens", "1", "--seed", "1"]].concat());
    let stages = outcome["sequences"][0]["steps"][0]["stages"].as_array().unwrap();
    let names: Vec<_> = stages.iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    (names.join(" "), outcome["config"].clone())
}

fn assert_has(config: &Value, expected: &Value) {
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&config[key], value, "{key}");
    }
}

#[test]
fn every_setting_of_hugging_face_has_a_flag_and_its_place() {
    let flags = [
        "--do-sample=true",
        "--temperature=0.7",
        "--top-h=0.9",
        "--top-k=40",
        "--top-p=0.95",
        "--min-p=0.01",
        "--typical-p=0.9",
        "--epsilon-cutoff=0.0001",
        "--eta-cutoff=0.0002",
        "--repetition-penalty=1.1",
        "--no-repeat-ngram-size=3",
        "--bad-words-ids=5,6;9",
        "--sequence-bias=4,8:-2.5;3:1",
        "--suppress-tokens=11,12",
        "--begin-suppress-tokens=13",
        "--forced-bos-token-id=14",
        "--forced-eos-token-id=2,7",
        "--exponential-decay-length-penalty=4,1.5",
        "--min-length=9",
        "--min-new-tokens=1",
        "--remove-invalid-values=true",
        "--renormalize-logits=true",
        "--num-return-sequences=1",
    ];
    let (order, config) = stages(&["x"], &flags);
    let edits = "sequence_bias repetition_penalty no_repeat_ngram bad_words min_new_tokens \
                 forced_bos forced_eos remove_invalid_values exponential_decay_length_penalty \
                 suppress_tokens begin_suppress_tokens";
    let warpers = "temperature top_h top_k top_p min_p typical_p epsilon_cutoff eta_cutoff";
    assert_eq!(order, format!("{edits} {warpers} renormalize_logits"));
    let expected = json!({
        "semantics": "huggingface", "do_sample": true, "temperature": 0.7, "top_h": 0.9,
        "top_k": 40, "top_p": 0.95, "min_p": 0.01, "typical_p": 0.9, "epsilon_cutoff": 0.0001,
        "eta_cutoff": 0.0002, "repetition_penalty": 1.1, "no_repeat_ngram_size": 3,
        "bad_words_ids": [[5, 6], [9]], "sequence_bias": [[[4, 8], -2.5], [[3], 1.0]],
        "suppress_tokens": [11, 12], "begin_suppress_tokens": [13], "forced_bos_token_id": 14,
        "forced_eos_token_id": [2, 7], "exponential_decay_length_penalty": [4, 1.5],
        "min_new_tokens": 1, "remove_invalid_values": true, "renormalize_logits": true,
    });
    assert_has(&config, &expected);
}

#[test]
fn a_decay_of_the_length_needs_an_eos_token_from_anywhere() {
    let decay = ["x", "--exponential-decay-length-penalty", "2,1.5", "--max-new-tokens", "3"];
    assert_eq!(generate(&decay).code, Some(0), "the model's file names some");
    let ran = generate(&[&decay[..], &["--eos-token-id", "none"]].concat());
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("is without EOS tokens"), "{}", ran.stderr);
}

#[test]
fn bans_and_forced_tokens_act() {
    let plain = tokens(&with(&GREEDY, &["--max-new-tokens", "4"]));
    let first = plain[0].to_string();
    for flag in ["--suppress-tokens", "--begin-suppress-tokens", "--bad-words-ids"] {
        let other = tokens(&with(&GREEDY, &["--max-new-tokens", "1", flag, &first]));
        assert_ne!(other[0], plain[0], "{flag}");
    }
    let raised = with(&GREEDY, &["--max-new-tokens", "1", "--sequence-bias", "42:1000"]);
    assert_eq!(tokens(&raised), [42]);
    let forced = with(&GREEDY, &["--max-new-tokens", "4", "--forced-eos-token-id", "9"]);
    assert_eq!(tokens(&forced)[..3], plain[..3]);
    assert_eq!(tokens(&forced)[3], 9);
    // The first token would end the text at once.
    let ends = ["x", "--do-sample", "false", "--eos-token-id", &first, "--max-new-tokens", "20"];
    assert_eq!(tokens(&json(&ends)).len(), 1);
    assert!(tokens(&with(&ends, &["--min-new-tokens", "3"])).len() >= 3);
    assert!(tokens(&with(&ends, &["--min-length", "5"])).len() >= 3);
}

#[test]
fn llama_cpp_starts_from_its_own_defaults() {
    // The model's file says temperature 0.6 and top_p 0.9, which llama.cpp does not read.
    let (order, config) = stages(&LLAMA_CPP, &[]);
    assert_eq!(order, "top_k top_p min_p temperature");
    let expected = json!({
        "semantics": "llama.cpp", "temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05,
        "typ_p": 1.0, "top_n_sigma": -1.0, "repeat_last_n": 64, "repeat_penalty": 1.0,
        "dry_multiplier": 0.0, "dry_base": 1.75, "xtc_probability": 0.0, "mirostat_tau": 5.0,
        "dry_sequence_breakers": ["\n", ":", "\"", "*"], "eos_token_id": [2, 7],
        "max_new_tokens": 1, "do_sample": null, "typical_p": null,
        "samplers": ["logit_bias", "penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p",
                     "min_p", "xtc", "temperature"],
    });
    assert_has(&config, &expected);
}

#[test]
fn every_setting_of_llama_cpp_has_a_flag_and_its_place() {
    let flags = [
        "--temp=0.9",
        "--dynatemp-range=0.2",
        "--dynatemp-exp=2",
        "--top-k=30",
        "--top-p=0.9",
        "--min-p=0.02",
        "--typ-p=0.8",
        "--top-nsigma=3",
        "--xtc-probability=0.5",
        "--xtc-threshold=0.2",
        "--min-keep=2",
        "--repeat-last-n=32",
        "--repeat-penalty=1.1",
        "--frequency-penalty=0.2",
        "--presence-penalty=0.3",
        "--dry-multiplier=0.8",
        "--dry-base=1.5",
        "--dry-allowed-length=3",
        "--dry-penalty-last-n=16",
        r"--dry-sequence-breaker=\n",
        "--dry-sequence-breakers=. ",
        "--mirostat-ent=4",
        "--mirostat-lr=0.2",
        "--adaptive-target=0.4",
        "--adaptive-decay=0.8",
        "--logit-bias=5:1.5,7:-2",
        "--logit-bias=8+3",
    ];
    let (order, config) = stages(&LLAMA_CPP, &flags);
    let penalties = "logit_bias repetition_penalty frequency_presence_penalty dry";
    let rest = "top_n_sigma top_k typical_p top_p min_p xtc dynamic_temperature";
    assert_eq!(order, format!("{penalties} {rest}"));
    let expected = json!({
        "temperature": 0.9, "dynatemp_range": 0.2, "dynatemp_exponent": 2.0, "top_k": 30,
        "top_p": 0.9, "min_p": 0.02, "typ_p": 0.8, "top_n_sigma": 3.0, "xtc_probability": 0.5,
        "xtc_threshold": 0.2, "min_keep": 2, "repeat_last_n": 32, "repeat_penalty": 1.1,
        "frequency_penalty": 0.2, "presence_penalty": 0.3, "dry_multiplier": 0.8, "dry_base": 1.5,
        "dry_allowed_length": 3, "dry_penalty_last_n": 16, "dry_sequence_breakers": ["\n", ". "],
        "mirostat_tau": 4.0, "mirostat_eta": 0.2, "adaptive_target": 0.4, "adaptive_decay": 0.8,
        "logit_bias": [[5, 1.5], [7, -2.0], [8, 3.0]],
    });
    assert_has(&config, &expected);
}

#[test]
fn the_chain_is_the_user_s() {
    let chain = |samplers: &str| stages(&LLAMA_CPP, &["--samplers", samplers]).0;
    assert_eq!(chain("temperature;top-k"), "temperature top_k");
    assert_eq!(chain("nucleus;topk;temp"), "top_p top_k temperature");
    let ran = generate(&[&LLAMA_CPP[..], &["--samplers", "top_k;beams"]].concat());
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("it must be names separated by semicolons"), "{}", ran.stderr);
    let adaptive = ["--samplers", "adaptive_p;top_k", "--adaptive-target", "0.3"];
    let ran =
        generate(&[&LLAMA_CPP[..], &adaptive, &["--trace", "--max-new-tokens", "1"]].concat());
    assert!(ran.stdout.contains("stages   top_k 40 → adaptive_p 0.3 0.9\n"), "{}", ran.stdout);
}

#[test]
fn mirostat_takes_the_place_of_the_cuts_and_remembers() {
    for (version, name) in [("1", "mirostat"), ("2", "mirostat_v2")] {
        let (order, config) = stages(&LLAMA_CPP, &["--mirostat", version, "--mirostat-tau", "3"]);
        assert_eq!(order, format!("temperature {name}"));
        assert_eq!(config["samplers"], json!(["logit_bias", "temperature", name]));
        assert_eq!(config["mirostat_tau"], 3.0);
    }
    // Its temperature is a plain one.
    let (order, config) = stages(&LLAMA_CPP, &["--mirostat", "2", "--dynatemp-range", "0.5"]);
    assert_eq!(
        (order.as_str(), &config["dynatemp_range"]),
        ("temperature mirostat_v2", &json!(0.0))
    );
    // With a learning rate of 0 nothing is remembered, so that the first token is the same and a
    // later one need not be.
    let run = |eta: &str| {
        let flags =
            ["--mirostat", "2", "--mirostat-tau", "2", "--mirostat-eta", eta, "--seed", "3"];
        let long = ["--max-new-tokens", "30", "--eos-token-id", "none"];
        with(&LLAMA_CPP, &[&flags[..], &long].concat())["sequences"][0]["steps"].clone()
    };
    let kept = |steps: &Value| {
        let steps = steps.as_array().unwrap();
        steps.iter().map(|step| step["kept"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let (learns, forgets) = (run("0.5"), run("0"));
    assert_eq!(kept(&learns)[0], kept(&forgets)[0]);
    assert_ne!(kept(&learns), kept(&forgets));
    assert_eq!(learns, run("0.5"));
}

#[test]
fn the_trace_shows_mirostat_s_own_cut() {
    let flags = ["--mirostat", "2", "--mirostat-tau", "1", "--trace", "--max-new-tokens", "1"];
    let ran = generate(&[&LLAMA_CPP[..], &flags, &["--top-k", "9", "--seed", "1"]].concat());
    let line = |start: &str| ran.stdout.lines().find(|line| line.starts_with(start)).unwrap();
    assert_eq!(line("rules"), "rules    llama.cpp");
    assert_eq!(line("stages   t"), "stages   temperature 0.8 → mirostat_v2 1.0 0.1");
    let columns: Vec<_> = line("step").split_whitespace().collect();
    assert_eq!(columns[5..], ["temperature", "mirostat_v2"]);
    assert!(line("   1").contains("288→"), "{}", line("   1"));
    assert!(ran.stdout.contains("cut by mirostat_v2: "), "{}", ran.stdout);
    let note = "note: with --mirostat there is no effect of --top-k\n";
    assert!(ran.stderr.starts_with(note), "{}", ran.stderr);
}

#[test]
fn temperature_zero_is_greedy_where_the_engine_says_so() {
    let long = ["--max-new-tokens", "12"];
    let greedy = tokens(&with(&GREEDY, &long));
    let zero = [&long[..], &["--temperature", "0", "--eos-token-id", "none"]].concat();
    assert_eq!(tokens(&with(&LLAMA_CPP, &zero)), greedy);
    assert_eq!(tokens(&with(&VLLM, &zero)), greedy);
    let ran = generate(&[&VLLM[..], &zero, &["--top-k", "3", "--min-p", "0.1"]].concat());
    let note = "note: at temperature 0 there is no effect of --top-k, --min-p\n";
    assert!(ran.stderr.starts_with(note), "{}", ran.stderr);
    let several = [&VLLM[..], &zero, &["--num-return-sequences", "2"]].concat();
    assert_eq!(generate(&several).code, Some(2));
}

#[test]
fn breakers_ask_for_a_tokenizer() {
    let folder = Folder::new();
    std::fs::remove_file(folder.file("tokenizer.json")).unwrap();
    let dry = ["--prompt-ids", "5,6", "--semantics", "llama.cpp", "--dry-multiplier", "1"];
    let short = ["--max-new-tokens", "1"];
    let ran = folder.run(&[&dry[..], &short].concat());
    let line = r#"error: --semantics llama.cpp: dry_sequence_breakers is ["\n", ":", "\"", "*"]; it must be none: the model has no tokenizer.json"#;
    assert_eq!((ran.code, ran.stderr.trim_end()), (Some(2), line));
    let ran = folder.run(&[&dry[..], &short, &["--dry-sequence-breakers", "none"]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let words = ["--prompt-ids", "5", "--semantics", "vllm", "--bad-words", "sea"];
    let line = "error: --bad-words: bad_words is [\"sea\"]; it must be left out: the model has no tokenizer.json";
    assert_eq!(folder.run(&words).stderr.trim_end(), line);
}

#[test]
fn vllm_reads_the_model_s_own_settings_and_has_min_p_first() {
    let (order, config) = stages(&VLLM, &["--min-p", "0.01", "--top-k", "20"]);
    assert_eq!(order, "temperature min_p top_k top_p");
    let expected = json!({
        "semantics": "vllm", "temperature": 0.6, "top_p": 0.9, "top_k": 20, "min_p": 0.01,
        "repetition_penalty": 1.0, "allowed_token_ids": null, "bad_words": [],
    });
    assert_has(&config, &expected);
    let (_, config) = stages(&VLLM, &["--temperature", "1", "--top-k=-1"]);
    assert_has(&config, &json!({"temperature": 1.0, "top_k": -1}));
    let folder = Folder::new();
    folder.set("generation_config.json", "temperature", json!(3.0));
    let ran = folder.run(&VLLM);
    let line = "error: DIR/generation_config.json: temperature is 3; it must be in 0..=2\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), line));
}

#[test]
fn every_setting_of_vllm_has_a_flag_and_its_place() {
    let flags = [
        "--repetition-penalty=1.1",
        "--frequency-penalty=0.5",
        "--presence-penalty=-0.5",
        "--logit-bias=3:500",
        "--min-tokens=1",
        "--bad-words=sea",
        "--allowed-token-ids=3,4,5,6,50,60,70",
        "--stop-token-ids=60",
    ];
    let (order, config) = stages(&VLLM, &flags);
    let edits = "allowed_tokens bad_words min_new_tokens logit_bias repetition_penalty \
                 frequency_penalty presence_penalty";
    assert_eq!(order, format!("{edits} temperature top_p"));
    let expected = json!({
        "repetition_penalty": 1.1, "frequency_penalty": 0.5, "presence_penalty": -0.5,
        "logit_bias": [[3, 500.0]], "min_tokens": 1, "bad_words": ["sea"],
        "allowed_token_ids": [3, 4, 5, 6, 50, 60, 70], "stop_token_ids": [60],
    });
    assert_has(&config, &expected);
}

/// `vllm/config/model.py`, `get_diff_sampling_param`, reads two penalties that transformers has no name for.
#[test]
fn vllm_reads_its_penalties_from_the_models_file() {
    let folder = Folder::new();
    folder.set("generation_config.json", "presence_penalty", json!(0.5));
    folder.set("generation_config.json", "frequency_penalty", json!(-1));
    let ran = folder.run(&[&VLLM[..], &["--format", "json", "--max-new-tokens", "1"]].concat());
    let outcome: Value = serde_json::from_str(&ran.stdout).expect(&ran.stderr);
    assert_has(
        &outcome["config"],
        &json!({"presence_penalty": 0.5, "frequency_penalty": -1.0, "temperature": 0.6}),
    );
    for (value, rest) in
        [(json!("a"), "\"a\"; it must be a number"), (json!(3), "3; it must be in -2..=2")]
    {
        folder.set("generation_config.json", "presence_penalty", value);
        let line = format!("error: DIR/generation_config.json: presence_penalty is {rest}\n");
        assert_eq!(folder.run(&VLLM).stderr, line);
    }
}

#[test]
fn more_min_tokens_than_there_may_be_are_refused() {
    let ran = generate(&[&VLLM[..], &["--min-tokens", "9", "--max-new-tokens", "8"]].concat());
    let line =
        "error: --min-tokens: min_tokens is 9; it must be at most max_new_tokens, which is 8\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), line));
}

#[test]
fn a_stop_token_ends_the_text_and_has_none() {
    let zero = ["--temperature", "0", "--eos-token-id", "none", "--max-new-tokens", "12"];
    let plain = with(&VLLM, &zero);
    let all = tokens(&plain);
    let first = all.iter().position(|token| *token == all[4]).unwrap();
    let stop = all[4].to_string();
    let stopped = with(&VLLM, &[&zero[..], &["--stop-token-ids", &stop]].concat());
    let sequence = &stopped["sequences"][0];
    assert_eq!(sequence["finish_reason"], "stop_token");
    assert_eq!(tokens(&stopped), all[..=first]);
    let before = with(&VLLM, &[&zero[..4], &["--max-new-tokens", &first.to_string()]].concat());
    assert_eq!(sequence["text"], before["sequences"][0]["text"]);
    assert_ne!(sequence["text"], plain["sequences"][0]["text"]);
    let later =
        with(&VLLM, &[&zero[..], &["--stop-token-ids", &stop, "--min-tokens", "9"]].concat());
    assert!(tokens(&later).len() >= 9);
}

#[test]
fn min_tokens_holds_back_the_model_s_own_end_too() {
    let zero = ["--temperature", "0", "--max-new-tokens", "12"];
    let plain = tokens(&with(&VLLM, &[&zero[..], &["--eos-token-id", "none"]].concat()));
    let first = plain[0].to_string();
    let ends = [&zero[..], &["--eos-token-id", &first]].concat();
    assert_eq!(tokens(&with(&VLLM, &ends)).len(), 1);
    assert!(tokens(&with(&VLLM, &[&ends[..], &["--min-tokens", "3"]].concat())).len() >= 3);
}

#[test]
fn a_bad_word_does_not_appear() {
    let zero = ["--temperature", "0", "--eos-token-id", "none", "--max-new-tokens", "40"];
    let outcome = with(&VLLM, &zero);
    let mut steps = outcome["sequences"][0]["steps"].as_array().unwrap().iter();
    // A single character, which is a token of its own.
    let is_word = |text: &str| text.len() == 1 && text.is_ascii() && text != " ";
    let step = steps.find(|step| is_word(step["text"].as_str().unwrap())).unwrap();
    let word = step["text"].as_str().unwrap();
    let without = with(&VLLM, &[&zero[..], &["--bad-words", word]].concat());
    assert!(!tokens(&without).contains(&step["token"].as_u64().unwrap()), "{word:?}");
}

#[test]
fn a_request_says_how_to_decode_in_one_place() {
    let model = TableModel::new(vec![vec![0.0, 1.0], vec![1.0, 0.0]], 8).unwrap();
    let source = Source { name: "table", model: &model, tokenizer: None };
    let mut request = Request::new(vec![0]);
    request.semantics = Semantics::LlamaCpp(LlamaCpp::default());
    request.config = GenerationConfig { max_new_tokens: Some(2), ..GenerationConfig::default() };
    assert!(Generation::new(source, request.clone()).is_ok());
    request.config.top_k = Some(3);
    let error = Generation::new(source, request).unwrap_err();
    assert!(matches!(error, RequestError::Foreign { engine: "llama.cpp", .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "top_k is a setting of huggingface and not of llama.cpp; leave it out"
    );
}
