use std::collections::BTreeSet;

use serde_json::{Value, json};
use taper_sampling::GenerationConfig;
use taper_sampling::presets::VllmConfig;

use super::*;
use crate::request::{tie_policy, tie_policy_name};
use crate::semantics::{LlamaCpp, Vllm};

/// A word that a knob of each kind takes, and which is not the default.
fn word(knob: &Knob) -> &'static str {
    if knob.name == "watermark_key" {
        return "3,4";
    }
    match knob.kind {
        Kind::Bool => "true",
        Kind::Json => r#"{"context_width":2}"#,
        Kind::Number(range) if range.contains(0.25) => "0.25",
        Kind::Number(_) => "1.5",
        Kind::Whole(_) => "3",
        Kind::OneOf(choices) => choices[choices.len() - 1].name,
        Kind::Id => "7",
        Kind::Ids { .. } => "7,8",
        Kind::Sequences => "1,2;3",
        Kind::SequenceBias => "1,2:-4.5;3:-inf",
        Kind::LogitBias => "5:1.5,7:-inf",
        Kind::Decay => "20,1.05",
        Kind::Samplers => "top_k;temperature",
        Kind::Text { .. } | Kind::Texts(_) | Kind::File => "sea",
    }
}

fn keys(value: impl serde::Serialize) -> BTreeSet<String> {
    let value = serde_json::to_value(value).expect("JSON");
    value.as_object().expect("an object").keys().cloned().collect()
}

/// The names under which knobs set what an engine has.
fn names(of: impl Fn(&Knob) -> Option<&'static str>) -> BTreeSet<String> {
    all().filter_map(of).map(str::to_owned).collect()
}

#[test]
fn each_setting_of_an_engine_is_in_the_table_once() {
    let all_names: Vec<&str> = all().map(|knob| knob.name).collect();
    let each: BTreeSet<&str> = all_names.iter().copied().collect();
    assert_eq!(all_names.len(), each.len());
    // Tokens that the tokenizer adds, and the chain, which DRY's breakers and mirostat are beside.
    let llama_cpp = names(|knob| Some(knob.llama_cpp?.name));
    let mirostat = BTreeSet::from(["mirostat".to_owned()]);
    assert_eq!(&llama_cpp - &mirostat, keys(LlamaCpp::default()));
    assert_eq!(names(|knob| Some(knob.vllm?.name)), keys(Vllm::default()));
    assert!(keys(VllmConfig::default()).is_subset(&keys(Vllm::default())));
    let file = json!({
        "do_sample": true, "temperature": 1.0, "top_k": 1, "top_p": 1.0, "min_p": 0.0,
        "typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0, "top_h": 0.5,
        "repetition_penalty": 1.0, "no_repeat_ngram_size": 0, "sequence_bias": [],
        "bad_words_ids": [], "suppress_tokens": [], "begin_suppress_tokens": [],
        "forced_bos_token_id": 1, "forced_eos_token_id": 1, "remove_invalid_values": false,
        "exponential_decay_length_penalty": [1, 1.0], "renormalize_logits": false,
        "guidance_scale": 1.0, "num_beams": 1, "num_beam_groups": 1, "diversity_penalty": 0.0,
        "length_penalty": 1.0, "early_stopping": false, "min_length": 0, "min_new_tokens": 0,
        "max_new_tokens": 1, "max_length": 1, "max_time": 1.0, "eos_token_id": 1,
        "stop_strings": "x", "num_return_sequences": 1,
    });
    let typed: GenerationConfig = serde_json::from_value(file).expect("a config");
    assert!(typed.extra.is_empty(), "{:?}", typed.extra);
    assert_eq!(names(|knob| Some(knob.config?.name)), keys(typed));
}

#[test]
fn each_knob_has_an_effect_under_each_of_its_engines() {
    for knob in all().filter(|knob| knob.name != "semantics") {
        for engine in knob.engines {
            let engines = named("semantics").expect("a knob");
            let mut turned = Turned::default();
            turned.turn(engines, engines.parse(engine).expect("an engine"));
            let request = |turned: &Turned| {
                let none = GenerationConfig::default();
                let mut request = crate::Request::new(vec![1]);
                request.config = turned.config().expect(knob.name);
                request.semantics = turned.semantics(&none, &Map::new()).expect(knob.name);
                turned.apply(&mut request, None).expect(knob.name);
                request
            };
            let plain = request(&turned);
            turned.turn(knob, knob.parse(word(knob)).expect(knob.name));
            // Texts are made into tokens by a model.
            if !matches!(knob.kind, Kind::Text { .. }) {
                assert_ne!(request(&turned), plain, "{}", knob.name);
            }
        }
    }
}

#[test]
fn json_and_words_of_a_knob_are_the_same_value() {
    for knob in all() {
        let word = word(knob);
        let read = knob.parse(word);
        assert_eq!(knob.read(&json!(word)), read, "{}", knob.name);
        if let Ok(plain) = serde_json::from_str::<Value>(word) {
            assert_eq!(knob.read(&plain), read, "{}", knob.name);
        }
        assert!(knob.kind == Kind::Json || knob.read(&json!({"a": 1})).is_err(), "{}", knob.name);
        assert!(knob.kind.domain().starts_with("it must "), "{}", knob.name);
    }
}

#[test]
fn choices_are_the_names_of_what_they_stand_for() {
    let ties = named("ties").expect("a knob").kind;
    let Kind::OneOf(choices) = ties else { panic!("{ties:?}") };
    let again = |name| tie_policy(name).map(tie_policy_name);
    assert!(choices.iter().all(|choice| again(choice.name) == Some(choice.name)));
    for (name, kin) in all().filter_map(|knob| Some((knob.name, knob.kin?))) {
        assert_eq!(named(kin).and_then(|kin| kin.kin), Some(name));
    }
}

/// Defaults are written in words, which the engines' own numbers must bear out.
#[test]
fn a_default_in_the_help_is_the_engine_s() {
    let engines = [
        ("huggingface", serde_json::to_value(GenerationConfig::class_defaults())),
        ("llama.cpp", serde_json::to_value(LlamaCpp::default())),
        ("vllm", serde_json::to_value(Vllm::default())),
    ];
    for (engine, defaults) in engines {
        let defaults = defaults.expect("JSON");
        for knob in all().filter(|knob| !knob.default.is_empty()) {
            let own = knob.default.split("; ").find_map(|part| part.strip_prefix(engine));
            let said = own.and_then(|own| own.strip_prefix(": "));
            let said = said.unwrap_or(knob.default.split(';').next().unwrap_or_default());
            let name = knob.name_under(engine).unwrap_or_default();
            match (defaults.get(name), said.parse::<f64>()) {
                (Some(Value::Number(number)), Ok(said)) => {
                    assert_eq!(number.as_f64(), Some(said), "{engine}: {}", knob.name);
                }
                (Some(Value::Bool(flag)), _) => assert_eq!(flag.to_string(), said, "{name}"),
                _ => {}
            }
        }
    }
}

#[test]
fn a_range_says_what_it_holds() {
    let cases = [
        (Range::ANY, "a number", vec![f64::NAN, -1.0], vec![]),
        (Range::finite(""), "finite", vec![-1.0], vec![f64::NAN, 1e60]),
        (Range::from(1.0), "at least 1 and finite", vec![1.0], vec![0.99, f64::INFINITY]),
        (Range::above(0.0, " (x)"), "above 0 and finite (x)", vec![0.1], vec![0.0, 1e-60]),
        (Range::from(0.0).below(1.0), "in 0..1", vec![0.0], vec![1.0, 0.999_999_999_999]),
        (Range::from(0.0).up_to(0.99), "in 0..=0.99", vec![0.99], vec![0.991]),
        (Range::finite("").up_to(1.0), "at most 1", vec![1.0, -9.0], vec![1.1, f64::NAN]),
        (Range::SECONDS, "above 0 and finite, in seconds", vec![1e60], vec![0.0]),
    ];
    for (range, domain, inside, outside) in cases {
        assert!(inside.iter().all(|&number| range.contains(number)), "{domain}");
        assert!(!outside.iter().any(|&number| range.contains(number)), "{domain}");
        assert_eq!(Kind::Number(range).domain(), format!("it must be {domain}"));
    }
}
