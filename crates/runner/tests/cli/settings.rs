//! Settings from a model's own file, from a spec and from flags: what is used and wrong is refused by
//! name, what is not used is kept and told.

use serde_json::{Map, Value, json};
use taper_runner::experiment::{Plan, Spec};
use taper_runner::knobs;
use taper_runner::models::{LoadOptions, LoadedModel, load};
use taper_runner::{Generation, LlamaCpp, Request, Semantics, model_config, unused_settings};

use crate::support::{Folder, Ran, generate, llama};
use crate::sweep::{run, spec};

/// Words of the language that the program is written in, and of its libraries.
const WORDS: [&str; 21] = [
    "untagged",
    "variant",
    "invalid type",
    "invalid value",
    "invalid length",
    "i64",
    "u64",
    "u32",
    "i32",
    "f64",
    "usize",
    "serde",
    "expected",
    "Option",
    "None",
    "Some(",
    "tuple",
    "newtype",
    "struct",
    "OneOrMany",
    "did not match",
];

fn assert_plain(text: &str, what: &str) {
    for word in WORDS {
        assert!(!text.contains(word), "{what}: {text}");
    }
}

fn odd_values() -> [Value; 14] {
    [
        json!(-1),
        json!(2.0),
        json!(-2.5),
        json!(1e300),
        json!(1e19),
        json!("x"),
        json!(true),
        json!([[7]]),
        json!([-1]),
        json!([1, "x"]),
        json!({ "a": [1] }),
        json!("long ".repeat(20_000)),
        json!([[[7], "x"]]),
        json!(""),
    ]
}

/// Every setting with a type, and what it must be for the others to count.
const FIELDS: [&str; 34] = [
    "do_sample",
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "epsilon_cutoff",
    "eta_cutoff",
    "top_h",
    "repetition_penalty",
    "no_repeat_ngram_size",
    "sequence_bias",
    "bad_words_ids",
    "suppress_tokens",
    "begin_suppress_tokens",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "remove_invalid_values",
    "exponential_decay_length_penalty",
    "renormalize_logits",
    "guidance_scale",
    "num_beams",
    "num_beam_groups",
    "diversity_penalty",
    "length_penalty",
    "early_stopping",
    "min_length",
    "min_new_tokens",
    "max_new_tokens",
    "max_length",
    "max_time",
    "eos_token_id",
    "stop_strings",
    "num_return_sequences",
];

fn tried(loaded: &LoadedModel, semantics: Semantics) -> Result<(), String> {
    let file = model_config(loaded).map_err(|error| error.to_string())?;
    let mut request = Request::new(vec![5, 6]);
    request.config = semantics.heed(file);
    request.semantics = semantics;
    Generation::new(loaded, request).map(drop).map_err(|error| error.to_string())
}

#[test]
fn no_value_of_a_model_s_file_is_refused_in_the_language_s_own_words() {
    let mut loaded = load(llama(), &LoadOptions::default()).unwrap();
    for key in FIELDS {
        for value in odd_values() {
            loaded.generation_config = Some(json!({ "do_sample": true, key: value }));
            for semantics in [Semantics::HuggingFace, Semantics::LlamaCpp(LlamaCpp::default())] {
                if let Err(told) = tried(&loaded, semantics) {
                    assert_plain(&told, key);
                    assert!(told.starts_with(key), "{key} = {value}: {told}");
                    let says = told.contains("must") || told.contains("the vocabulary has");
                    assert!(says, "{key} = {value}: {told}");
                    assert!(told.len() < 400, "{key}: {told}");
                }
            }
        }
    }
}

#[test]
fn what_nothing_uses_is_kept_and_told() {
    let folder = Folder::new();
    let file = "generation_config.json";
    let odd = [json!(-1), json!(2.0), json!([[7]]), json!("<pad>"), json!(true), json!(1e300)];
    for key in ["pad_token_id", "bos_token_id"] {
        for value in &odd {
            folder.set(file, key, value.clone());
            let ran = folder.run(&["x", "--max-new-tokens", "1", "--format", "json"]);
            assert_eq!(ran.code, Some(0), "{}", ran.stderr);
            let outcome: Value = serde_json::from_str(&ran.stdout).unwrap();
            assert_eq!(&outcome["config"][key], value);
            let note = format!(
                "note: DIR/{file}: {key} is {value}, which is not a token id or a list of token ids; it \
                 has no effect here\n"
            );
            assert_eq!(ran.stderr, note);
        }
        folder.set(file, key, Value::Null);
    }
}

/// Of another type, and out of the way: a flag goes before it, greedy decoding or the rules of another
/// engine do not look at it.
#[test]
fn what_something_else_goes_before_is_told_too() {
    let file = "generation_config.json";
    let short = ["x", "--max-new-tokens", "1"];
    let cases: [(&str, Value, &[&str]); 7] = [
        ("temperature", json!("hot"), &["--temperature", "0.7"]),
        ("temperature", json!("hot"), &["--do-sample", "false"]),
        ("temperature", json!("hot"), &["--semantics", "llama.cpp"]),
        ("temperature", json!("hot"), &["--semantics", "vllm", "--temperature", "1"]),
        ("eos_token_id", json!(-1), &["--eos-token-id", "none"]),
        ("early_stopping", json!("maybe"), &[]),
        ("max_length", json!(-5), &[]),
    ];
    for (key, value, flags) in cases {
        let folder = Folder::new();
        folder.set(file, key, value.clone());
        let ran = folder.run(&[&short[..], flags].concat());
        assert_eq!(ran.code, Some(0), "{key}: {}", ran.stderr);
        let note = format!("note: DIR/{file}: {key} is {value}, which is not ");
        assert!(ran.stderr.contains(&note), "{key}: {}", ran.stderr);
    }
    // For vLLM that is off.
    let folder = Folder::new();
    folder.set(file, "top_k", json!(-1));
    let vllm = ["--semantics", "vllm", "--format", "json"];
    let ran = folder.run(&[&short[..], &vllm].concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap()["config"]["top_k"], -1);
}

#[test]
fn what_is_used_and_wrong_is_named_with_its_file_and_range() {
    let id = "a token id or a list of token ids (0 to 287)";
    let cases: [(&str, Value, &[&str], &str); 8] = [
        ("eos_token_id", json!(-1), &[], id),
        ("eos_token_id", json!(2.0), &[], id),
        ("eos_token_id", json!([[7]]), &[], id),
        ("eos_token_id", json!(-1), &["--semantics", "llama.cpp"], id),
        ("eos_token_id", json!("</s>"), &["--semantics", "vllm"], id),
        ("do_sample", json!("yes"), &[], "true or false"),
        ("top_p", json!([0.9]), &["--semantics", "vllm"], "a number"),
        ("stop_strings", json!([5]), &[], "a text or a list of texts"),
    ];
    for (key, value, flags, domain) in cases {
        let folder = Folder::new();
        folder.set("generation_config.json", key, value.clone());
        let ran = folder.run(&[&["x"], flags].concat());
        let line =
            format!("error: DIR/generation_config.json: {key} is {value}; it must be {domain}\n");
        assert_eq!((ran.code, ran.stderr), (Some(2), line));
    }
    // Without that file the special tokens come from another.
    let folder = Folder::new();
    std::fs::remove_file(folder.file("generation_config.json")).unwrap();
    folder.set("config.json", "eos_token_id", json!(999));
    let ran = folder.run(&["x"]);
    let line = "error: DIR/config.json: eos_token_id is 999; it must be in 0..=287\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), line));
}

#[test]
fn a_sweep_names_the_model_s_file_and_tells_what_is_not_used() {
    let mut loaded = load(llama(), &LoadOptions::default()).unwrap();
    let plan = |loaded: &LoadedModel, base: &str| {
        let text = format!("title = 'x'\nprompts = ['a']\n[base]\nmax_new_tokens = 1\n{base}");
        let plan = Plan::new(&Spec::parse(&text).unwrap(), loaded, None);
        plan.map(|plan| plan.remarks().to_vec()).map_err(|error| error.to_string())
    };
    loaded.generation_config = Some(json!({ "eos_token_id": -1 }));
    let told = plan(&loaded, "").unwrap_err();
    let want = "setting \"base\", prompt \"a\": the model's generation_config.json: eos_token_id is -1; \
                it must be a token id or a list of token ids (0 to 287)";
    assert_eq!(told, want);
    let told = plan(&loaded, "eos_token_id = 'none'").unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("the model's own eos_token_id is -1, which is not "), "{told:?}");
}

/// A value of each knob in the words of its flag, and as its own type if that is another.
fn said() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        ("ties", "lowest-id", ""),
        ("on_error", "argmax", ""),
        ("logits_dtype", "bf16", ""),
        ("forced_prefix", "abc", ""),
        ("best_of", "2", "2"),
        ("max_new_tokens", "3", "3"),
        ("max_length", "40", "40"),
        ("eos_token_id", "none", "[]"),
        ("eos_token_id", "2,7", "[2, 7]"),
        ("stop_strings", "sea", "['sea']"),
        ("temperature", "0.7", "0.7"),
        ("top_k", "5", "5"),
        ("top_p", "0.9", "0.9"),
        ("min_p", "0.1", "0.1"),
        ("typical_p", "0.9", "0.9"),
        ("repetition_penalty", "1.2", "1.2"),
        ("frequency_penalty", "0.5", "0.5"),
        ("presence_penalty", "0.5", "0.5"),
        ("logit_bias", "5:1.5,7:-inf", ""),
        ("logit_bias", "5:1.5", "[[5, 1.5]]"),
        ("do_sample", "True", "true"),
        ("epsilon_cutoff", "0.001", "0.001"),
        ("eta_cutoff", "0.001", "0.001"),
        ("top_h", "0.5", "0.5"),
        ("no_repeat_ngram_size", "2", "2"),
        ("bad_words_ids", "1,2;3", "[[1, 2], [3]]"),
        ("sequence_bias", "1,2:-4.5;3:-inf", ""),
        ("sequence_bias", "1,2:-4.5", "[[[1, 2], -4.5]]"),
        ("suppress_tokens", "11,12", "[11, 12]"),
        ("begin_suppress_tokens", "13", "[13]"),
        ("forced_bos_token_id", "14", "14"),
        ("forced_eos_token_id", "2,7", "[2, 7]"),
        ("exponential_decay_length_penalty", "5,1.25", "[5, 1.25]"),
        ("num_beams", "2", "2"),
        ("num_beam_groups", "1", "1"),
        ("diversity_penalty", "0", "0.0"),
        ("length_penalty", "0.5", "0.5"),
        ("early_stopping", "never", "'never'"),
        ("early_stopping", "true", "true"),
        ("search", "canonical", ""),
        ("min_length", "3", "3"),
        ("min_new_tokens", "3", "3"),
        ("remove_invalid_values", "true", "true"),
        ("guidance_scale", "1.5", "1.5"),
        ("renormalize_logits", "False", "false"),
        ("samplers", "top_k;temperature", ""),
        ("top_n_sigma", "3", "3"),
        ("xtc_probability", "0.5", "0.5"),
        ("xtc_threshold", "0.2", "0.2"),
        ("min_keep", "2", "2"),
        ("repeat_last_n", "32", "32"),
        ("repeat_penalty", "1.1", "1.1"),
        ("dry_multiplier", "0.8", "0.8"),
        ("dry_base", "1.5", "1.5"),
        ("dry_allowed_length", "3", "3"),
        ("dry_penalty_last_n", "16", "16"),
        ("dry_sequence_breakers", "none", "[]"),
        ("dry_sequence_breakers", r"\n", "[\"\\n\"]"),
        ("dynatemp_range", "0.2", "0.2"),
        ("dynatemp_exponent", "2", "2"),
        ("mirostat", "2", "2"),
        ("mirostat_tau", "3", "3"),
        ("mirostat_eta", "0.2", "0.2"),
        ("adaptive_target", "0.4", "0.4"),
        ("adaptive_decay", "0.8", "0.8"),
        ("min_tokens", "1", "1"),
        ("bad_words", "sea", "['sea']"),
        ("allowed_token_ids", "3,4,5", "[3, 4, 5]"),
        ("stop_token_ids", "60", "[60]"),
    ]
}

/// The config in force, of a plan and of the program.
#[test]
fn a_knob_takes_the_words_of_its_flag() {
    let loaded = load(llama(), &LoadOptions::default()).unwrap();
    // They take a file where the flag does, or more than a word, or a key beside them.
    let apart = ["semantics", "json_schema", "regex", "grammar", "negative_prompt", "watermark"];
    let of_spec = knobs::all().filter(|knob| knob.instead.is_none());
    for knob in of_spec.filter(|knob| !apart.contains(&knob.name)) {
        assert!(said().iter().any(|(name, ..)| *name == knob.name), "{}", knob.name);
    }
    for (name, word, own) in said() {
        let engines = knobs::find(name).unwrap().engines;
        for engine in engines {
            let with = |value: &str| {
                let base = format!("semantics = '{engine}'\n{}", beside(name));
                let text =
                    format!("title = 'x'\nprompts = ['a']\n[base]\n{base}\n{name} = {value}");
                let spec = Spec::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
                let plan = Plan::new(&spec, &loaded, None);
                let plan = plan.unwrap_or_else(|error| panic!("{text}: {error}"));
                let first = plan.runs().next().unwrap();
                plan.run(first, &|| false).unwrap().unwrap().config
            };
            let by_word = with(&format!("'{word}'"));
            if !own.is_empty() {
                assert_eq!(plain(&by_word), plain(&with(own)), "{engine}: {name}");
            }
            let mut args = vec!["a".to_owned(), "--semantics".to_owned(), (*engine).to_owned()];
            for line in beside(name).lines().chain([format!("{name} = {word}").as_str()]) {
                let (name, value) = line.split_once(" = ").unwrap();
                args.push(format!("--{}={value}", name.replace('_', "-")));
            }
            args.extend(["--seed=1", "--format=json"].map(str::to_owned));
            let ran = generate(&args.iter().map(String::as_str).collect::<Vec<_>>());
            let outcome: Value = serde_json::from_str(&ran.stdout).expect(&ran.stderr);
            let by_flag = outcome["config"].as_object().unwrap();
            assert_eq!(plain(&by_word), plain(by_flag), "{engine}: {name}");
        }
    }
}

/// What the knob needs beside it.
fn beside(name: &str) -> &'static str {
    match name {
        "max_new_tokens" | "max_length" => "",
        "best_of" => "temperature = 0.9\nmax_new_tokens = 1",
        "min_new_tokens" | "min_length" | "min_tokens" => "max_new_tokens = 4",
        "search" | "num_beam_groups" | "diversity_penalty" | "length_penalty"
        | "early_stopping" => "max_new_tokens = 1\ndo_sample = false\nnum_beams = 2",
        _ => "max_new_tokens = 1",
    }
}

/// Without what one of the two says in other words that mean the same.
fn plain(config: &Map<String, Value>) -> Map<String, Value> {
    let alone = |key: &String, value: &Value| match value {
        Value::Array(list) if key.ends_with("_token_id") || key == "stop_strings" => {
            match &list[..] {
                [one] => one.clone(),
                _ => value.clone(),
            }
        }
        _ => value.clone(),
    };
    let one = |(key, value): (&String, &Value)| (key.clone(), alone(key, value));
    config.iter().map(one).collect()
}

#[test]
fn no_value_of_a_knob_is_refused_in_the_language_s_own_words() {
    for knob in knobs::all().filter(|knob| knob.instead.is_none()) {
        for engine in knob.engines {
            for value in odd_values().into_iter().chain([json!([]), json!([[]]), json!(0)]) {
                // JSON's values of these kinds are TOML's.
                let value = match &value {
                    Value::Object(_) => "{ a = [1] }".to_owned(),
                    value => value.to_string(),
                };
                let text = format!(
                    "title = 'x'\nprompts = ['a']\n[base]\nsemantics = '{engine}'\n{} = {value}",
                    knob.name
                );
                let Err(error) = Spec::parse(&text) else { continue };
                let told = error.to_string();
                assert_plain(&told, knob.name);
                assert!(told.len() < 500, "{}: {told}", knob.name);
                assert!(
                    told.contains(knob.name) || knob.name == "semantics",
                    "{}: {told}",
                    knob.name
                );
            }
        }
    }
}

#[test]
fn a_long_value_is_shown_by_its_beginning_and_nothing_acts_on_the_terminal() {
    let long = "x".repeat(100_000);
    let cases: [&[&str]; 9] = [
        &["--temperature", &long],
        &["--stop-token-ids", &long],
        &["--samplers", &long],
        &["--model", "builtin", "--dtype", &long],
        &["--format", &long],
        &["--eos-token-id", &long],
        &[&long],
        &["--draft-model", "builtin", "--semantics", &long],
        &["--ties", &long],
    ];
    for args in cases {
        let ran = generate(&[&["x"], args].concat());
        assert_eq!(ran.code, Some(2));
        assert!(ran.stderr.len() < 600, "{:?}: {}", args[0].get(..20), ran.stderr.len());
    }
    // Control characters clap leaves out itself.
    let ran = generate(&["x", "--ties", "a\u{202e}b"]);
    assert!(ran.stderr.contains("'a\\u{202e}b'"), "{}", ran.stderr);
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let text = format!(
        "title = \"\\u202Etitle\"\nprompts = [{{ name = \"\\u202Ename\", text = 'a' }}]\ntables = ['summary', \
         'prompts', 'texts', 'steps']\n[base]\nmax_new_tokens = 1\n[[settings]]\nlabel = \"\\u202Elabel\"\n\
         [[settings]]\nstop_strings = '{}'",
        "y".repeat(9_000)
    );
    let ran = run(&spec(&dir, &text), &out, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("\\u{202e}label") && ran.stdout.contains("\\u{202e}title"));
    assert!(!ran.stdout.contains('\u{202e}') && !ran.stderr.contains('\u{202e}'), "{}", ran.stdout);
    assert!(ran.stdout.lines().all(|line| line.chars().count() < 1_000));
}

#[test]
fn knobs_without_effect_are_told_by_a_sweep() {
    let dir = tempfile::tempdir().unwrap();
    let told = |name: &str, lines: &str| -> Vec<String> {
        let text = format!("title = 'x'\nprompts = ['a', 'b']\n{lines}");
        let ran: Ran = run(&spec(&dir, &text), &dir.path().join(name), &[]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let notes = ran.stderr.lines().filter_map(|line| line.strip_prefix("note: "));
        notes.map(str::to_owned).collect()
    };
    let short = "[base]\nmax_new_tokens = 1\n";
    let grid = format!("{short}[grid]\ntop_p = [0.5, 0.9]");
    assert_eq!(told("a", &grid), ["without do_sample = true there is no effect of top_p"]);
    let grid = format!("{short}[grid]\ndo_sample = [false, true]\ntop_p = [0.5, 0.9]");
    let part = "2 of 4 settings, \"do_sample=false top_p=0.5\" the first: without do_sample = true \
                there is no effect of top_p";
    assert_eq!(told("b", &grid), [part]);
    let grid = format!("{short}do_sample = true\n[grid]\ntemperature = [0.0, 0.7]");
    let cold = "setting \"temperature=0.0\": temperature 0 takes the most likely token each time; \
                transformers itself refuses it";
    assert_eq!(told("c", &grid), [cold]);
    let base = format!("{short}semantics = 'llama.cpp'\nxtc_threshold = 0.2\nmirostat_tau = 3.0");
    let idle = [
        "without xtc_probability there is no effect of xtc_threshold",
        "without mirostat there is no effect of mirostat_tau",
    ];
    assert_eq!(told("d", &base), idle);
    let base = format!(
        "{short}semantics = 'llama.cpp'\nsamplers = ['top_k', 'penalties']\nrepeat_penalty = 1.2"
    );
    let lint = "repetition_penalty comes after top_k and changes nothing about what top_k removed; \
                put it first";
    assert_eq!(told("e", &base), [lint]);
}

#[test]
fn seeds_may_repeat_and_their_runs_are_numbered() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let text = "title = 'x'\nprompts = ['a']\nseeds = [999, 7, 999, 999]\n[base]\ndo_sample = true\n\
                max_new_tokens = 4";
    let path = spec(&dir, text);
    let ran = run(&path, &out, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let read = |out: &std::path::Path| {
        let records = taper_runner::experiment::Records::read(out).unwrap().records;
        records.iter().map(|r| (r.id.seed, r.seed, r.tokens.clone())).collect::<Vec<_>>()
    };
    let all = read(&out);
    let ids: Vec<_> = all.iter().map(|run| (run.0, run.1)).collect();
    assert_eq!(ids, [(0, 999), (1, 7), (2, 999), (3, 999)]);
    assert!(all[0].2 == all[2].2 && all[2].2 == all[3].2);
    assert_ne!(all[0].2, all[1].2);
    assert!(ran.stdout.contains("| 2 of 4 "), "{}", ran.stdout);
    // A run that is missing is made again, and no other.
    let records = out.join("records.jsonl");
    let lines = std::fs::read_to_string(&records).unwrap();
    let kept: Vec<&str> =
        lines.lines().enumerate().filter(|(i, _)| *i != 2).map(|line| line.1).collect();
    std::fs::write(&records, kept.join("\n") + "\n").unwrap();
    let ran = run(&path, &out, &["--resume"]);
    assert!(ran.stderr.starts_with("1 runs made, 4 in "), "{}", ran.stderr);
    assert_eq!(read(&out), all);
}

#[test]
fn a_word_that_vllm_lets_through_is_told() {
    let run = |word: &str| {
        crate::support::taper([
            "generate",
            "The old",
            "--semantics",
            "vllm",
            "--bad-words",
            word,
            "--max-new-tokens",
            "1",
            "--seed",
            "1",
        ])
    };
    // Of the builtin model's tokens " lighthouse" is one, and "lighthouse" several.
    let ran = run("lighthouse");
    let note = "note: bad_words: \"lighthouse\" is not banned with a space before it: so it has other \
                tokens, ";
    assert!(ran.stderr.starts_with(note), "{}", ran.stderr);
    // A single letter is one token with and without it.
    let ran = run("a");
    assert!(!ran.stderr.contains("note: "), "{}", ran.stderr);
}

#[test]
fn unused_settings_are_none_in_an_ordinary_file() {
    let loaded = load(llama(), &LoadOptions::default()).unwrap();
    let config = model_config(&loaded).unwrap();
    assert!(unused_settings(&config, &Semantics::HuggingFace).is_empty());
}

/// A setting that follows from another is blamed under the name that was used.
#[test]
fn what_follows_from_a_flag_is_blamed_on_the_flag() {
    let cases: [(&[&str], &str); 6] = [
        (
            &["--num-beams", "2", "--num-beam-groups", "2", "--do-sample", "false"],
            "--num-beam-groups: diversity_penalty is 0; it must be above 0 and finite, or all groups \
             find the same",
        ),
        (
            &["--num-beams", "2", "--do-sample", "--temperature", "0", "--search", "stochastic"],
            "--search: search is stochastic; it must be huggingface or canonical at temperature 0",
        ),
        (
            &["--semantics", "vllm", "--min-tokens", "9", "--max-length", "5"],
            "--min-tokens: min_tokens is 9; it must be at most 3, which max_length 5 leaves room for",
        ),
        (
            &["--semantics", "vllm", "--allowed-token-ids", "1,288"],
            "--allowed-token-ids: allowed_token_ids names token 288; the vocabulary has 288",
        ),
        (
            &["--semantics", "llama.cpp", "--temperature", "3e38", "--dynatemp-range", "3e38"],
            "--dynatemp-range: dynatemp_range is 300000000000000000000000000000000000000; it must be \
             such that temperature + dynatemp_range is finite",
        ),
        (
            &["--best-of", "3", "--draft-model", "builtin", "--do-sample"],
            "--best-of: best_of is 3; it must be 1 with a draft model",
        ),
    ];
    for (args, line) in cases {
        let ran = generate(&[&["x"], args].concat());
        assert_eq!((ran.code, ran.stderr), (Some(2), format!("error: {line}\n")), "{args:?}");
    }
}

/// A prefix is a mask: what it bans are no ties of the cuts behind it.
#[test]
fn banned_tokens_are_no_ties_in_a_trace() {
    let args = ["x", "--forced-prefix", "abc", "--do-sample", "--top-k", "50", "--seed", "1"];
    for more in
        [&["--trace"][..], &["--trace", "--ties", "lowest-id"], &["--trace", "--ties", "error"]]
    {
        let ran = generate(&[&args[..], more, &["--max-new-tokens", "2"]].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(!ran.stdout.contains("equal scores met"), "{}", ran.stdout);
    }
}
