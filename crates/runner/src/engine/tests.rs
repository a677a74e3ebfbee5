//! Answers that real engines gave, and requests that they take.

use serde_json::{Value, json};
use taper_sampling::{GenerationConfig, OneOrMany};

use super::answer::{Answer, Collector};
use super::call::{Around, Call, Prompt};
use super::dialect::Dialect;
use super::error::EngineError;
use super::events::Events;
use super::http::message;
use super::shapes::{Asked, Shape};
use super::table::{Cell, rows};
use super::translate::translate;
use super::wanted::{Wanted, own_semantics};
use crate::outcome::FinishReason;
use crate::request::Request;
use crate::semantics::{LlamaCpp, Semantics, Vllm};

/// The exchange of a name.
fn sample(engine: &str, name: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/engines");
    let text = std::fs::read_to_string(format!("{folder}/{engine}.jsonl")).unwrap();
    let mut all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.find(|one| one["name"] == name).unwrap_or_else(|| panic!("{engine}: {name}"))
}

fn shape(path: &str) -> Shape {
    match path {
        "/completion" => Shape::Native,
        "/v1/completions" => Shape::Legacy,
        "/v1/chat/completions" => Shape::Chat,
        "/generate" => Shape::SgLang,
        other => panic!("{other}"),
    }
}

/// What is made of the answer in a sample.
fn read(engine: &str, name: &str) -> Result<Answer, String> {
    let sample = sample(engine, name);
    let body = &sample["request"]["body"];
    let params = if engine == "sglang" { &body["sampling_params"] } else { body };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut stops: Vec<String> =
        list(&params["stop"]).iter().map(|stop| stop.as_str().unwrap().to_owned()).collect();
    if name == "gc_stopstr" {
        stops = vec![" year".to_owned()];
    }
    let ids = list(&params["stop_token_ids"]);
    let asked = Asked {
        stops,
        stop_tokens: ids.iter().map(|id| id.as_u64().unwrap() as u32).collect(),
        eos: Vec::new(),
        keeps_stops: ["max", "transformers"].contains(&engine),
        names_stops: ["llama.cpp", "vllm", "sglang"].contains(&engine),
    };
    let n = params["n"].as_u64().unwrap_or(1) as usize;
    let mut collector = Collector::new(n, true);
    let shape = shape(sample["request"]["path"].as_str().unwrap());
    let mut take = |value: Value| -> Result<(), String> {
        collector.take(shape.read(value, &asked)?).map(drop)
    };
    match sample["response"]["body_lines"].as_array() {
        None => take(sample["response"]["body"].clone())?,
        Some(lines) => {
            let lines: Vec<&str> = lines.iter().map(|line| line.as_str().unwrap()).collect();
            let text = lines.join("\n");
            let mut events = Events::new(text.as_bytes(), 1 << 20);
            while let Some(data) = events.next().map_err(|error| format!("{error:?}"))? {
                if data != b"[DONE]" {
                    take(serde_json::from_slice(data).unwrap())?;
                }
            }
        }
    }
    collector.check()?;
    Ok(collector.into_answer())
}

/// Engine, sample, how the text begins, tokens, log-probabilities, reason.
type Case<'c> = (&'c str, &'c str, &'c str, Option<usize>, usize, FinishReason);

#[test]
fn texts_tokens_and_reasons_are_those_that_the_engines_gave() {
    use FinishReason::{ContextFull, Eos, Length, Stop, StopString, StopToken};
    let greedy = " had been shut since the year of the great storm. Inside lived a quiet baker named \
                  Ada, who was never bored. She loved the rain and the swallows,";
    let until = " had been shut since the";
    let lebanon = " capital of Lebanon is Beirut.";
    let cases: &[Case<'_>] = &[
        ("llama.cpp", "greedy32_ids", greedy, Some(32), 32, Length),
        ("llama.cpp", "stream_completion", " was a quiet", Some(3), 3, Length),
        ("llama.cpp", "stop_in_stream", " had been", Some(3), 0, StopString),
        ("llama.cpp", "eos_natural", lebanon, Some(21), 0, Eos),
        ("llama.cpp", "context_full", greedy, None, 0, ContextFull),
        ("llama.cpp", "native_n2", " stood", Some(1), 0, Length),
        ("llama.cpp", "native_n2_stream", " stood on", Some(2), 0, Length),
        ("llama.cpp", "v1_chat", "a random Roman general", Some(4), 4, Length),
        ("llama.cpp", "stream_v1_chat", "a random Roman", Some(3), 3, Length),
        ("vllm", "greedy_ids", greedy, Some(32), 0, Length),
        ("vllm", "stream", " had been shut", Some(3), 3, Length),
        ("vllm", "field_return_as_ids", " rested", Some(1), 1, Length),
        ("vllm", "field_stop", until, Some(6), 0, StopString),
        ("vllm", "field_stop_token_ids", until, Some(6), 0, StopToken),
        ("vllm", "field_n_2", " rested on a steep", Some(4), 0, Length),
        ("vllm", "chat", " had been shut since", Some(4), 4, Length),
        ("vllm", "stream_chat", " had been shut", Some(3), 3, Length),
        ("sglang", "gen_ids", " had been shut since the year of the", Some(8), 0, Length),
        ("sglang", "gen_stream", " had been shut", Some(3), 0, Length),
        ("sglang", "gen_stop", until, Some(6), 0, StopString),
        ("sglang", "gen_stop_ids", until, Some(6), 0, StopToken),
        ("sglang", "gen_n_2", " slept between the grey", Some(4), 0, Length),
        ("sglang", "gen_prompt_logprob", " had", Some(1), 1, Length),
        ("sglang", "chat", " had been shut", None, 3, Length),
        ("max", "stream_ids", " had been shut", Some(3), 0, Length),
        ("max", "lp_5_", " towered", Some(1), 1, Length),
        ("max", "stop_ret", " had been shut since the ", Some(6), 0, StopString),
        ("max", "eos_ret", lebanon, Some(21), 0, Eos),
        ("max", "chat", " had been shut since", None, 0, Length),
        ("max", "chat_ret_ids", " had been", Some(2), 0, Length),
        ("transformers", "plain", " had been shut since", None, 0, Length),
        ("transformers", "stream", " had been shut", None, 0, Length),
        ("transformers", "gc_stopstr", until, None, 0, StopString),
        ("transformers", "chat", " had been shut since", None, 0, Length),
        ("transformers", "stream_chat", " had been shut", None, 0, Length),
    ];
    for &(engine, name, text, tokens, logprobs, finish) in cases {
        let answer = read(engine, name).unwrap_or_else(|error| panic!("{engine}, {name}: {error}"));
        let first = &answer.choices[0];
        assert!(first.text.starts_with(text), "{engine}, {name}: {:?}", first.text);
        assert_eq!(first.tokens.as_ref().map(Vec::len), tokens, "{engine}, {name}");
        assert_eq!(first.logprobs.len(), logprobs, "{engine}, {name}");
        assert_eq!(first.finish, Some(finish), "{engine}, {name}");
        assert_ne!(first.finish, Some(Stop), "{engine}, {name}");
    }
    // Where a stop string stays in the text it is cut off here.
    assert_eq!(read("max", "stop_ret").unwrap().choices[0].text, " had been shut since the ");
    let answer = read("llama.cpp", "native_n2_stream").unwrap();
    assert_eq!(answer.choices[1].tokens.as_ref().unwrap()[0], 468);
}

#[test]
fn what_is_said_of_probabilities_is_kept_with_its_tokens() {
    let answer = read("vllm", "field_return_as_ids").unwrap();
    let said = &answer.choices[0].logprobs[0];
    assert_eq!(said.token, Some(1639));
    assert_eq!(said.logprob, Some(-2.684_517_621_994_018_6));
    assert_eq!((said.top[0].token, said.top[1].token), (Some(468), Some(1639)));
    // MAX names tokens by their texts alone.
    let answer = read("max", "lp_5_").unwrap();
    let said = &answer.choices[0].logprobs[0];
    assert_eq!((said.token, said.top[0].token), (None, None));
    assert_eq!(said.top[0].text.as_deref(), Some(" had"));
    let answer = read("sglang", "gen_prompt_logprob").unwrap();
    let said = &answer.choices[0].logprobs[0];
    assert_eq!((said.token, said.top.len()), (Some(468), 2));
}

#[test]
fn what_an_engine_says_is_wrong_is_told() {
    for (engine, name, word) in [
        ("llama.cpp", "err_oov_token", "Prompt contains invalid tokens"),
        ("llama.cpp", "err_toolong", "exceeds the available context size"),
        ("vllm", "err_badmodel", "The model `no-such` does not exist"),
        ("vllm", "maxlp_default_21", "greater than max allowed: 20"),
        ("sglang", "gen_unknown", "unknown field `not_a_field`"),
        ("max", "field_unknown", "Extra inputs are not permitted"),
        ("transformers", "err_badmodel", "requested 'no-such'"),
        ("transformers", "field_unknown", "Unexpected fields"),
    ] {
        let body = sample(engine, name)["response"]["body"].to_string();
        let said = message(body.as_bytes());
        assert!(said.contains(word), "{engine}, {name}: {said}");
    }
    let error = read("transformers", "gc_beams_stream").unwrap_err();
    assert!(error.contains("cannot be used with beam search"), "{error}");
}

/// A run under an engine's own rules.
fn request(semantics: Semantics) -> Request {
    let mut request = Request::new(vec![0, 280]);
    request.semantics = semantics;
    request.config.max_new_tokens = Some(8);
    request
}

fn drawn(dialect: Dialect) -> Wanted {
    let mut request = request(own_semantics(dialect));
    if dialect == Dialect::Transformers {
        request.config.do_sample = Some(true);
    }
    Wanted::of(&request, None).unwrap()
}

fn body(dialect: Dialect, wanted: &Wanted) -> Result<Value, EngineError> {
    let special = (vec![1], Some(0));
    let around = Around { model: Some("m"), top: Some(2), seed: 7, special, stream: true };
    let prompt = if dialect.takes_ids() {
        Prompt::Ids(vec![0, 280])
    } else {
        Prompt::Text("The".to_owned())
    };
    Call::new(dialect, wanted, &prompt, &around).map(|call| call.body)
}

#[test]
fn every_field_that_an_engine_has_is_sent() {
    for dialect in Dialect::ALL {
        let body = body(dialect, &drawn(dialect)).unwrap();
        let config: Value = match body["generation_config"].as_str() {
            Some(text) => serde_json::from_str(text).unwrap(),
            None => Value::Null,
        };
        for row in rows() {
            let (Cell::Sent(field, off) | Cell::Flag(field, off, _)) = row.at(dialect) else {
                continue;
            };
            // They have a place of their own.
            if off.is_empty() || row.knob == "num_return_sequences" || row.knob == "stop_strings" {
                continue;
            }
            let places = [&body[field], &body["sampling_params"][field], &config[field]];
            assert!(places.iter().any(|value| !value.is_null()), "{dialect}: {field} in {body}");
        }
    }
    let body = body(Dialect::LlamaCpp, &drawn(Dialect::LlamaCpp)).unwrap();
    assert_eq!((&body["cache_prompt"], &body["seed"]), (&json!(false), &json!(7)));
    assert_eq!((&body["temperature"], &body["top_k"]), (&json!(0.8), &json!(40)));
}

/// Two engines name the fields that they take when they are sent another.
#[test]
fn no_field_is_sent_that_an_engine_does_not_have() {
    let said = sample("sglang", "gen_unknown")["response"]["body"]["error"].to_string();
    let known: Vec<&str> = said.split('`').skip(3).step_by(2).collect();
    assert!(known.len() > 20, "{known:?}");
    let body = body(Dialect::SgLang, &drawn(Dialect::SgLang)).unwrap();
    for field in body["sampling_params"].as_object().unwrap().keys() {
        assert!(known.contains(&field.as_str()), "{field}");
    }
}

#[test]
fn rules_of_others_are_translated_or_refused() {
    // Hugging Face's order of stages, at an engine that lets one choose it.
    let mut request = request(Semantics::HuggingFace);
    request.config = GenerationConfig {
        do_sample: Some(true),
        temperature: Some(0.7),
        top_p: Some(0.9),
        top_k: Some(0),
        repetition_penalty: Some(1.2),
        ..request.config
    };
    let wanted = Wanted::of(&request, None).unwrap();
    let fields = translate(&wanted, Dialect::LlamaCpp).unwrap();
    let order = ["penalties", "temperature", "top_k", "top_p", "min_p", "typ_p"];
    assert_eq!(fields["samplers"], json!(order));
    assert_eq!((&fields["top_k"], &fields["min_p"]), (&json!(0), &json!(0.0)));
    assert_eq!(fields["repeat_penalty"], json!(1.2));
    assert!(fields["repeat_last_n"].as_u64() > Some(100_000));
    let error = translate(&wanted, Dialect::SgLang).unwrap_err().to_string();
    let want = "repetition_penalty is 1.2; sglang means something else by it (it counts the generated \
                text alone); leave it out, or use llama.cpp or vllm or max or transformers";
    assert_eq!(error, want);

    // llama.cpp cuts before the temperature, the others after it.
    let wanted =
        Wanted::of(&self::request(Semantics::LlamaCpp(LlamaCpp::default())), None).unwrap();
    assert!(translate(&wanted, Dialect::LlamaCpp).is_ok());
    let error = translate(&wanted, Dialect::Vllm).unwrap_err().to_string();
    assert!(error.starts_with("top_p comes before the temperature under llama.cpp"), "{error}");
}

#[test]
fn what_an_engine_ignores_clamps_or_lacks_is_refused() {
    let llama = |edit: &dyn Fn(&mut LlamaCpp)| {
        let mut settings = LlamaCpp::default();
        edit(&mut settings);
        Wanted::of(&request(Semantics::LlamaCpp(settings)), None).unwrap()
    };
    let vllm = |edit: &dyn Fn(&mut Vllm)| {
        let mut settings = Vllm::default();
        edit(&mut settings);
        Wanted::of(&request(Semantics::Vllm(settings)), None).unwrap()
    };
    let cases = [
        (llama(&|s| s.config.xtc_probability = 0.5), Dialect::Vllm, "vllm ignores it"),
        (llama(&|s| s.config.top_n_sigma = 1.0), Dialect::Max, "use llama.cpp"),
        (vllm(&|s| s.config.min_p = 0.1), Dialect::Max, "max ignores it"),
        (vllm(&|s| s.config.logit_bias = vec![(3, 1.0)]), Dialect::Max, "max ignores it"),
        (vllm(&|s| s.config.logit_bias = vec![(3, 200.0)]), Dialect::Vllm, "clamps biases to ±100"),
        (vllm(&|s| s.config.temperature = 0.005), Dialect::Vllm, "raises it to 0.01"),
        (vllm(&|s| s.config.top_k = 5), Dialect::OpenAi, "openai has no such setting"),
        (
            vllm(&|s| s.config.frequency_penalty = 0.5),
            Dialect::LlamaCpp,
            "counts the prompt as well",
        ),
        (vllm(&|s| s.config.min_tokens = 3), Dialect::LlamaCpp, "llama.cpp ignores it"),
        (vllm(&|s| s.config.stop_token_ids = vec![5]), Dialect::LlamaCpp, "llama.cpp ignores it"),
    ];
    for (wanted, dialect, word) in cases {
        let error = translate(&wanted, dialect).unwrap_err();
        assert!(error.is_refusal() && error.to_string().contains(word), "{error}");
    }
    let mut many = request(Semantics::Vllm(Vllm::default()));
    let stops = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
    many.config.stop_strings = Some(OneOrMany::Many(stops));
    let error =
        translate(&Wanted::of(&many, None).unwrap(), Dialect::Vllm).unwrap_err().to_string();
    assert!(error.contains("at most 4"), "{error}");
}

#[test]
fn transformers_is_told_to_draw_and_where_a_text_ends() {
    let body = body(Dialect::Transformers, &drawn(Dialect::Transformers)).unwrap();
    let config: Value = serde_json::from_str(body["generation_config"].as_str().unwrap()).unwrap();
    assert_eq!((&config["do_sample"], &config["eos_token_id"]), (&json!(true), &json!([1])));
    // The fields that it does not know outside are a 422.
    let outside: Vec<&String> = body.as_object().unwrap().keys().collect();
    let known = ["prompt", "model", "max_tokens", "seed", "stream", "generation_config"];
    assert!(outside.iter().all(|field| known.contains(&field.as_str())), "{outside:?}");
    let around = Around { stream: true, ..Around::default() };
    let wanted = drawn(Dialect::Transformers);
    let prompt = Prompt::Text("The".to_owned());
    let error = Call::new(Dialect::Transformers, &wanted, &prompt, &around).unwrap_err();
    assert!(error.is_refusal() && error.to_string().contains("--tokenizer DIR"), "{error}");
}
