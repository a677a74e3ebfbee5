//! The settings that an experiment can turn: the flags of `taper generate`, under the same names.

mod read;
mod table;

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use taper_models::LoadedModel;
use taper_sampling::presets::VllmConfig;
use taper_sampling::{GenerationConfig, TiePolicy};

use self::table::{ALL, ELSEWHERE};
pub use self::table::{Knob, knobs};
use crate::error::RequestError;
use crate::grammar::TextGrammar;
use crate::logits_dtype::LogitsDtype;
use crate::outcome::{OnError, tie_policy_name};
use crate::request::{ModelConfigError, Request, domain, model_config, tokenize, tokenize_plain};
use crate::search::SearchMode;
use crate::semantics::{LlamaCpp, MirostatVersion, Semantics, Vllm};
use crate::told::shortened;
use crate::words;

/// Settings with their values.
pub type Knobs = Map<String, Value>;

/// Settings that are the same under all rules: when to stop.
const SHARED: [&str; 4] = ["max_new_tokens", "max_length", "eos_token_id", "stop_strings"];

/// Settings that the control shares with the others.
pub(super) const OF_CONTROL: [&str; 9] = [
    "max_new_tokens",
    "max_length",
    "eos_token_id",
    "stop_strings",
    "logits_dtype",
    "forced_prefix",
    "json_schema",
    "regex",
    "grammar",
];

/// Why a knob can not be turned so.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KnobError {
    /// There is no such knob.
    #[error("{}: there is no such knob{}", shortened(name), .similar.map_or_else(String::new, |name| format!("; there is a similar one: '{name}'")))]
    Unknown {
        /// What was written.
        name: String,
        /// The knob that was perhaps meant.
        similar: Option<&'static str>,
    },
    /// It is a flag of `taper generate` and no knob.
    #[error("{name}: {instead}")]
    Elsewhere {
        /// Its name.
        name: &'static str,
        /// What there is instead.
        instead: &'static str,
    },
    /// The engine whose rules are asked for has no such setting.
    #[error("{name}: {engine} has no such setting; leave it out, or use semantics = {}", .engines.join(" or "))]
    Foreign {
        /// The knob.
        name: &'static str,
        /// The engine.
        engine: &'static str,
        /// Those that have it.
        engines: &'static [&'static str],
    },
    /// The value has the wrong type, or is none of those that there are.
    #[error("{name} is {value}; {domain}")]
    Value {
        /// The knob.
        name: String,
        /// Its value.
        value: String,
        /// What it must be.
        domain: String,
    },
    /// The model's own settings cannot be read.
    #[error("the model's {0}")]
    Model(#[from] ModelConfigError),
    /// The value is out of its range, or does not go with another.
    #[error(transparent)]
    Request(#[from] RequestError),
}

/// Which of `names` a misspelt one was perhaps meant to be.
pub(super) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let plain = name.replace('-', "_").to_lowercase();
    let scored = names.map(|known| (strsim::jaro_winkler(&plain, known), known));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness > 0.8).map(|(_, known)| known)
}

/// The knob of a name.
pub(super) fn find(name: &str) -> Result<Knob, KnobError> {
    if let Some(knob) = knobs().find(|knob| knob.name == name) {
        return Ok(knob);
    }
    if let Some(&(name, instead)) = ELSEWHERE.iter().find(|(other, _)| *other == name) {
        return Err(KnobError::Elsewhere { name, instead });
    }
    let similar = nearest(name, knobs().map(|knob| knob.name));
    Err(KnobError::Unknown { name: name.to_owned(), similar })
}

/// A request without a prompt and a seed, as knobs say it. What the model says counts where they say
/// nothing; without a model that is nothing.
pub(super) fn request(knobs: &Knobs, loaded: Option<&LoadedModel>) -> Result<Request, KnobError> {
    let file = loaded.map(model_config).transpose();
    let file = file?;
    let mut file = file.unwrap_or_default();
    // What is turned here goes before it, whatever it is there.
    file.extra.retain(|name, _| !knobs.contains_key(name));
    let engine = match knobs.get("semantics") {
        None => ALL[0],
        Some(value) => choice("semantics", value, ALL.iter().map(|&name| (name, name)))?,
    };
    for name in knobs.keys() {
        let knob = find(name)?;
        if !knob.engines.contains(&engine) {
            let Knob { name, engines } = knob;
            return Err(KnobError::Foreign { name, engine, engines });
        }
    }
    let mut request = Request::new(Vec::new());
    request.semantics = match engine {
        "llama.cpp" => Semantics::LlamaCpp(llama_cpp(knobs, loaded)?),
        "vllm" => Semantics::Vllm(vllm(knobs, &file)?),
        _ => Semantics::HuggingFace,
    };
    let user = generation_config(knobs, engine == ALL[0])?;
    request.semantics.validate(&user)?;
    request.config = user.or(request.semantics.heed(file));
    own(&mut request, knobs, loaded)?;
    Ok(request)
}

/// What the runner itself acts on.
fn own(
    request: &mut Request,
    knobs: &Knobs,
    loaded: Option<&LoadedModel>,
) -> Result<(), KnobError> {
    for (name, value) in knobs {
        match name.as_str() {
            "ties" => {
                use TiePolicy::{Error, HighestId, KeepAll, LowestId, Random};
                let all = [KeepAll, LowestId, HighestId, Random, Error];
                let named = all.into_iter().map(|policy| (tie_policy_name(policy), policy));
                request.ties = Some(choice(name, value, named)?);
            }
            "on_error" => {
                let all = [("refuse", OnError::Refuse), ("argmax", OnError::Argmax)];
                request.on_error = choice(name, value, all.into_iter())?;
            }
            "logits_dtype" => {
                let all = [LogitsDtype::F32, LogitsDtype::F16, LogitsDtype::Bf16];
                let named = all.into_iter().map(|dtype| (dtype.name(), dtype));
                request.logits_dtype = choice(name, value, named)?;
            }
            "search" => {
                let all = [SearchMode::HuggingFace, SearchMode::Canonical, SearchMode::Stochastic];
                request.search = choice(name, value, all.into_iter().map(|m| (m.name(), m)))?;
            }
            "best_of" => request.best_of = Some(typed(name, value)?),
            "json_schema" => request.grammar = Some(TextGrammar::JsonSchema(typed(name, value)?)),
            "regex" => request.grammar = Some(TextGrammar::Regex(typed(name, value)?)),
            "grammar" => request.grammar = Some(TextGrammar::Lark(typed(name, value)?)),
            "forced_prefix" => {
                let text: String = typed(name, value)?;
                if let Some(loaded) = loaded {
                    request.forced_prefix = tokenize_plain(loaded.tokenizer.as_ref(), &text)?;
                }
            }
            "negative_prompt" => {
                let text: String = typed(name, value)?;
                if let Some(loaded) = loaded {
                    request.negative_prompt = Some(tokenize(loaded.tokenizer.as_ref(), &text)?);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn generation_config(knobs: &Knobs, hugging_face: bool) -> Result<GenerationConfig, KnobError> {
    let mut config = GenerationConfig::default();
    for (name, value) in knobs {
        let shared = SHARED.contains(&name.as_str());
        if !shared && !hugging_face {
            continue;
        }
        if let ("sequence_bias", Some(text)) = (name.as_str(), value.as_str()) {
            // JSON has no −∞.
            let biases = words::sequence_bias(text);
            let biases = biases.map_err(|domain| refused(name, value, domain))?;
            config.sequence_bias = Some(biases.0);
            continue;
        }
        // One at a time, to tell which of them is to blame.
        let alone = crate::request::alone(name, &read(name, value)?);
        let must = || format!("it must be {}", domain(name, None));
        let alone = alone.ok_or_else(|| refused(name, value, must()))?;
        // What it has no field for is the runner's.
        config = config.or(GenerationConfig { extra: BTreeMap::new(), ..alone });
    }
    Ok(config)
}

fn llama_cpp(knobs: &Knobs, loaded: Option<&LoadedModel>) -> Result<LlamaCpp, KnobError> {
    let none = Map::new();
    let sampling = loaded.map_or(&none, |loaded| &loaded.sampling);
    let recommended = LlamaCpp::for_model(sampling, |name| knobs.contains_key(name))?;
    let mut settings = recommended.settings;
    let mut biases = Vec::new();
    let own = |engines: &[&str]| engines.contains(&"llama.cpp");
    for (name, value) in decoding(knobs, own) {
        let key = match name {
            "dry_sequence_breakers" => {
                settings.dry_sequence_breakers = typed(name, value)?;
                continue;
            }
            "mirostat" => continue,
            "logit_bias" => {
                biases = logit_bias(value)?;
                continue;
            }
            "typical_p" => "typ_p",
            name => name,
        };
        settings.config = with(&settings.config, key, name, value)?;
    }
    settings.config.logit_bias.extend(biases);
    let mirostat = knobs.get("mirostat").map(|value| read("mirostat", value)).transpose()?;
    let version = match mirostat.and_then(|value| value.as_u64()) {
        Some(1) => Some(MirostatVersion::One),
        Some(2) => Some(MirostatVersion::Two),
        Some(_) => None,
        None => recommended.mirostat,
    };
    Ok(match version {
        Some(version) => settings.mirostat(version),
        None => settings,
    })
}

fn vllm(knobs: &Knobs, file: &GenerationConfig) -> Result<Vllm, KnobError> {
    let mut settings = Vllm::for_model(file)?;
    let mut biases = Vec::new();
    for (name, value) in decoding(knobs, |engines| engines.contains(&"vllm")) {
        match name {
            "bad_words" => settings.bad_words = typed(name, value)?,
            "logit_bias" => biases = logit_bias(value)?,
            name => {
                let config: VllmConfig = with(&settings.config, name, name, value)?;
                settings.config = config;
            }
        }
    }
    settings.config.logit_bias = biases;
    Ok(settings)
}

/// JSON has no −∞, and the words of the flag have.
fn logit_bias(value: &Value) -> Result<Vec<(u32, f64)>, KnobError> {
    match value.as_str().map(words::logit_bias) {
        Some(biases) => Ok(biases.map_err(|domain| refused("logit_bias", value, domain))?.0),
        None => typed("logit_bias", value),
    }
}

/// Whether a setting says how to decode, and not when to stop or what to report.
pub(crate) fn is_decoding(name: &str) -> bool {
    find(name).is_ok_and(acts)
}

fn acts(knob: Knob) -> bool {
    const BY_ALL: [&str; 4] = ["temperature", "top_k", "top_p", "min_p"];
    knob.engines.len() < 3 || BY_ALL.contains(&knob.name)
}

/// The knobs that the engine acts on, not the runner.
fn decoding(knobs: &Knobs, has: impl Fn(&[&str]) -> bool) -> impl Iterator<Item = (&str, &Value)> {
    knobs.iter().filter_map(move |(name, value)| {
        let knob = find(name).ok()?;
        (has(knob.engines) && acts(knob)).then_some((knob.name, value))
    })
}

/// A config with one setting changed.
fn with<C: serde::Serialize + serde::de::DeserializeOwned>(
    config: &C,
    key: &str,
    name: &str,
    value: &Value,
) -> Result<C, KnobError> {
    let told = |_| refused(name, value, format!("it must be {}", domain(name, None)));
    let mut settings = serde_json::to_value(config).map_err(told)?;
    settings[key] = read(name, value)?;
    serde_json::from_value(settings).map_err(told)
}

fn typed<T: serde::de::DeserializeOwned>(name: &str, value: &Value) -> Result<T, KnobError> {
    let told = |_| refused(name, value, format!("it must be {}", domain(name, None)));
    serde_json::from_value(read(name, value)?).map_err(told)
}

fn read(name: &str, value: &Value) -> Result<Value, KnobError> {
    read::read(name, value).map_err(|domain| refused(name, value, domain))
}

fn refused(name: &str, value: &Value, domain: String) -> KnobError {
    let value = shortened(&value.to_string()).into_owned();
    KnobError::Value { name: name.to_owned(), value, domain }
}

fn choice<'n, T: Copy>(
    name: &str,
    value: &Value,
    all: impl Iterator<Item = (&'n str, T)> + Clone,
) -> Result<T, KnobError> {
    let chosen = all.clone().find(|(known, _)| value.as_str() == Some(known));
    chosen.map(|(_, choice)| choice).ok_or_else(|| {
        let names: Vec<&str> = all.map(|(known, _)| known).collect();
        let domain = format!("it must be one of {}", names.join(", "));
        refused(name, value, domain)
    })
}
