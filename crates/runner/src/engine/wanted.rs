//! The settings of a run that have a part in it, by name.

use serde_json::{Map, Value, json};
use taper_sampling::GenerationConfig;
use taper_sampling::presets::LlamaCppSampler;

use super::dialect::Dialect;
use super::error::EngineError;
use crate::error::RequestError;
use crate::grammar::TextGrammar;
use crate::knobs;
use crate::logits_dtype::LogitsDtype;
use crate::request::{DEFAULT_MAX_NEW_TOKENS, OnError, Request, tie_policy_name};
use crate::semantics::{LlamaCpp, Semantics, Vllm, at_zero};

/// What a run asks for, on any engine.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Wanted {
    /// Whose rules give the settings their meaning.
    pub rules: &'static str,
    /// The settings that are not off.
    pub knobs: Map<String, Value>,
    /// The stages in order, by llama.cpp's names.
    pub order: Vec<&'static str>,
    /// Whether the most likely token is taken each time.
    pub greedy: bool,
    /// Most tokens to generate.
    pub max_new_tokens: usize,
    /// Sequences.
    pub sequences: usize,
    /// Texts that end a sequence.
    pub stops: Vec<String>,
    /// Tokens that end a sequence besides the model's own.
    pub stop_tokens: Vec<u32>,
    /// Tokens that end a sequence in place of the model's own.
    pub eos: Option<Vec<u32>>,
    /// Seconds after which the connection is closed.
    pub max_time: Option<f64>,
    /// The settings, complete, as records have them.
    pub config: GenerationConfig,
    /// The rules with the settings that they alone know.
    pub semantics: Semantics,
}

/// The rules of an engine itself, with the defaults that a person who runs it knows.
pub fn own_semantics(dialect: Dialect) -> Semantics {
    match dialect {
        Dialect::LlamaCpp => Semantics::LlamaCpp(LlamaCpp::default()),
        Dialect::Transformers => Semantics::HuggingFace,
        _ => Semantics::Vllm(Vllm::default()),
    }
}

impl Wanted {
    /// What a request asks for. Its prompt is not looked at but for its length, where that is known.
    ///
    /// # Errors
    ///
    /// When a setting is out of its range.
    pub fn of(request: &Request, prompt: Option<usize>) -> Result<Self, EngineError> {
        let refuse = |error: RequestError| EngineError::Refused(error.to_string());
        request.semantics.validate(&request.config).map_err(refuse)?;
        let config = at_zero(request.config.clone(), &request.semantics);
        let config = request.semantics.with_defaults(config).map_err(refuse)?;
        let max_new_tokens = limit(&config, prompt)?;
        let draws = request.semantics.draws(&config);
        let (mut knobs, order) = match &request.semantics {
            Semantics::HuggingFace => hugging_face(&config, draws),
            Semantics::LlamaCpp(own) => llama_cpp(own),
            Semantics::Vllm(own) => vllm(own),
            Semantics::Own(_) => (named("pipeline", json!("a pipeline of your own")), Vec::new()),
        };
        runners(request, &mut knobs);
        let cold = knobs.get("temperature").and_then(Value::as_f64) == Some(0.0);
        let greedy = !draws || cold;
        let sequences = config.num_return_sequences.unwrap_or(1);
        if greedy && sequences > 1 {
            let why = "it must be 1 unless tokens are drawn: all sequences would be the same";
            return refused("num_return_sequences", sequences, why);
        }
        if sequences == 0 {
            return refused("num_return_sequences", 0, "it must be at least 1");
        }
        let stop_tokens = request.semantics.stop_tokens().to_vec();
        let eos = request.config.eos_token_id.as_ref().map(|ids| ids.as_slice().to_vec());
        if config.stops().iter().any(String::is_empty) {
            return refused("stop_strings", "\"\"", "it must be a text that is not empty");
        }
        Ok(Self {
            rules: request.semantics.name(),
            knobs,
            order,
            greedy,
            max_new_tokens,
            sequences,
            stops: config.stops().to_vec(),
            stop_tokens,
            eos,
            max_time: config.max_time,
            config: GenerationConfig { max_new_tokens: Some(max_new_tokens), ..config },
            semantics: request.semantics.clone(),
        })
    }

    pub(super) fn number(&self, knob: &str) -> Option<f64> {
        self.knobs.get(knob).and_then(Value::as_f64)
    }
}

fn refused<T>(key: &str, value: impl std::fmt::Display, why: &str) -> Result<T, EngineError> {
    Err(EngineError::Refused(format!("{key} is {value}; {why}")))
}

fn limit(config: &GenerationConfig, prompt: Option<usize>) -> Result<usize, EngineError> {
    match (config.max_new_tokens, config.max_length, prompt) {
        (Some(0), ..) => refused("max_new_tokens", 0, "it must be at least 1"),
        (Some(limit), ..) => Ok(limit),
        (None, None, _) => Ok(DEFAULT_MAX_NEW_TOKENS),
        (None, Some(limit), Some(prompt)) if limit > prompt => Ok(limit - prompt),
        (None, Some(limit), Some(prompt)) => refused(
            "max_length",
            limit,
            &format!("it must be more than the {prompt} tokens of the prompt"),
        ),
        (None, Some(limit), None) => refused(
            "max_length",
            limit,
            "how long the prompt is this engine does not tell; use max_new_tokens",
        ),
    }
}

fn named(name: &str, value: Value) -> Map<String, Value> {
    [(name.to_owned(), value)].into_iter().collect()
}

fn object(value: &impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// The value with which a setting has no effect.
fn is_off(name: &str, value: &Value) -> bool {
    let number = value.as_f64();
    let empty = value.as_array().is_some_and(Vec::is_empty);
    match name {
        "temperature" | "top_p" | "typical_p" | "repetition_penalty" | "repeat_penalty"
        | "top_h" | "guidance_scale" | "num_beams" | "length_penalty" => number == Some(1.0),
        "top_k" => number.is_some_and(|k| k <= 0.0),
        "top_n_sigma" => number.is_some_and(|n| n <= 0.0),
        "adaptive_target" => number.is_some_and(|target| target < 0.0),
        "min_p"
        | "epsilon_cutoff"
        | "eta_cutoff"
        | "no_repeat_ngram_size"
        | "min_length"
        | "min_new_tokens"
        | "min_tokens"
        | "frequency_penalty"
        | "presence_penalty"
        | "xtc_probability"
        | "min_keep"
        | "dry_multiplier"
        | "dynatemp_range"
        | "mirostat" => number == Some(0.0),
        "early_stopping" | "remove_invalid_values" | "renormalize_logits" => {
            *value == Value::Bool(false)
        }
        _ => empty || value.is_null(),
    }
}

/// Settings that say when to stop, how often to begin, or what is no setting of a server.
const NOT_DECODING: [&str; 9] = [
    "bos_token_id",
    "do_sample",
    "eos_token_id",
    "max_length",
    "max_new_tokens",
    "max_time",
    "num_return_sequences",
    "pad_token_id",
    "stop_strings",
];

type Active = (Map<String, Value>, Vec<&'static str>);

fn hugging_face(config: &GenerationConfig, draws: bool) -> Active {
    let known = GenerationConfig { extra: std::collections::BTreeMap::new(), ..config.clone() };
    let mut knobs = object(&known);
    let beams = config.num_beams.is_some_and(|beams| beams > 1);
    knobs.retain(|name, value| {
        let heard = draws || !knobs::warpers().any(|warper| warper == name);
        let of_beams = ["length_penalty", "early_stopping", "num_beam_groups", "diversity_penalty"];
        let heard = heard && (beams || !of_beams.contains(&name.as_str()));
        heard && !NOT_DECODING.contains(&name.as_str()) && !is_off(name, value)
    });
    if !draws {
        knobs.insert("temperature".to_owned(), json!(0.0));
    }
    if let Some(least) = knobs.remove("min_new_tokens") {
        knobs.insert("min_tokens".to_owned(), least);
    }
    // A number of their own that transformers counts in single precision.
    (knobs, vec!["penalties", "temperature", "top_k", "top_p", "min_p", "typ_p"])
}

fn vllm(own: &Vllm) -> Active {
    let mut knobs = object(own);
    knobs.retain(|name, value| name != "stop_token_ids" && !is_off(name, value));
    if let Some(Value::Array(pairs)) = knobs.get_mut("logit_bias")
        && pairs.is_empty()
    {
        knobs.remove("logit_bias");
    }
    (knobs, vec!["penalties", "temperature", "min_p", "top_k", "top_p"])
}

fn llama_cpp(own: &LlamaCpp) -> Active {
    let mut knobs = object(own);
    let chain = &own.config.samplers;
    let has = |sampler| chain.contains(&sampler);
    let of = |name: &str| match name {
        "top_k" => has(LlamaCppSampler::TopK),
        "top_p" => has(LlamaCppSampler::TopP),
        "min_p" => has(LlamaCppSampler::MinP),
        "typ_p" => has(LlamaCppSampler::TypP),
        "top_n_sigma" => has(LlamaCppSampler::TopNSigma),
        "temperature" | "dynatemp_range" => has(LlamaCppSampler::Temperature),
        "xtc_probability" => has(LlamaCppSampler::Xtc) && own.config.xtc_threshold <= 0.5,
        "dry_multiplier" => has(LlamaCppSampler::Dry) && own.config.dry_penalty_last_n != 0,
        "repeat_penalty" | "frequency_penalty" | "presence_penalty" => {
            has(LlamaCppSampler::Penalties) && own.config.repeat_last_n != 0
        }
        "adaptive_target" => has(LlamaCppSampler::AdaptiveP),
        "samplers" => false,
        _ => true,
    };
    knobs.retain(|name, value| {
        of(name) && !is_off(if name == "typ_p" { "typical_p" } else { name }, value)
    });
    // What comes with another setting, and does nothing alone.
    for (helper, with) in [
        ("xtc_threshold", &["xtc_probability"][..]),
        ("dry_base", &["dry_multiplier"]),
        ("dry_allowed_length", &["dry_multiplier"]),
        ("dry_penalty_last_n", &["dry_multiplier"]),
        ("dry_sequence_breakers", &["dry_multiplier"]),
        ("dynatemp_exponent", &["dynatemp_range"]),
        ("repeat_last_n", &["repeat_penalty", "frequency_penalty", "presence_penalty"]),
        ("min_keep", &["typ_p", "top_p", "min_p", "xtc_probability"]),
        ("adaptive_decay", &["adaptive_target"]),
    ] {
        if with.iter().all(|knob| !knobs.contains_key(*knob)) {
            knobs.remove(helper);
        }
    }
    let mirostat = match chain.last() {
        Some(LlamaCppSampler::Mirostat) => Some(1),
        Some(LlamaCppSampler::MirostatV2) => Some(2),
        _ => None,
    };
    match mirostat {
        Some(version) => drop(knobs.insert("mirostat".to_owned(), json!(version))),
        None => knobs.retain(|name, _| !name.starts_with("mirostat")),
    }
    if let Some(p) = knobs.remove("typ_p") {
        knobs.insert("typical_p".to_owned(), p);
    }
    let names = chain.iter().filter_map(|sampler| name_of(*sampler));
    (knobs, names.collect())
}

/// What the server calls a link of its chain; nothing for what is no link there.
fn name_of(sampler: LlamaCppSampler) -> Option<&'static str> {
    Some(match sampler {
        LlamaCppSampler::Penalties => "penalties",
        LlamaCppSampler::Dry => "dry",
        LlamaCppSampler::TopNSigma => "top_n_sigma",
        LlamaCppSampler::TopK => "top_k",
        LlamaCppSampler::TypP => "typ_p",
        LlamaCppSampler::TopP => "top_p",
        LlamaCppSampler::MinP => "min_p",
        LlamaCppSampler::Xtc => "xtc",
        LlamaCppSampler::Temperature => "temperature",
        LlamaCppSampler::AdaptiveP => "adaptive_p",
        LlamaCppSampler::LogitBias | LlamaCppSampler::Mirostat | LlamaCppSampler::MirostatV2 => {
            return None;
        }
    })
}

/// What the runner itself would act on.
fn runners(request: &Request, knobs: &mut Map<String, Value>) {
    let watermark = ["watermarking_config", "watermark_config"].map(|name| knobs.remove(name));
    let mut set = |name: &str, value: Value| drop(knobs.insert(name.to_owned(), value));
    match &request.grammar {
        Some(TextGrammar::JsonSchema(schema)) => {
            let schema = serde_json::from_str(schema).unwrap_or(Value::String(schema.clone()));
            set("json_schema", schema);
        }
        Some(TextGrammar::Regex(regex)) => set("regex", json!(regex)),
        Some(TextGrammar::Lark(grammar)) => set("grammar", json!(grammar)),
        None => {}
    }
    if let Some(settings) = watermark.into_iter().flatten().next() {
        set("watermark", settings);
    }
    if let Some(ties) = request.ties {
        set("ties", json!(tie_policy_name(ties)));
    }
    if request.on_error == OnError::Argmax {
        set("on_error", json!("argmax"));
    }
    if request.logits_dtype != LogitsDtype::default() {
        set("logits_dtype", json!(request.logits_dtype.name()));
    }
    if !request.forced_prefix.is_empty() {
        set("forced_prefix", json!(request.forced_prefix));
    }
    if let Some(n) = request.best_of {
        set("best_of", json!(n));
    }
    if let Some(ids) = &request.config.eos_token_id {
        set("eos_token_id", json!(ids));
    }
}
