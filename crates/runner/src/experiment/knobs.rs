//! The settings that an experiment can turn: the flags of `taper generate`, under the same names.

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
use crate::request::{Request, model_config, tokenize, tokenize_plain};
use crate::search::SearchMode;
use crate::semantics::{LlamaCpp, MirostatVersion, Semantics, Vllm};

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
    #[error("{name}: there is no such knob{}", .similar.map_or_else(String::new, |name| format!("; there is a similar one: '{name}'")))]
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
    let file = file.map_err(|error| KnobError::Value {
        name: error.file.to_owned(),
        value: error.key.clone(),
        domain: error.reason,
    })?;
    let file = file.unwrap_or_default();
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
        // One at a time, because serde does not say which of them it choked on.
        let alone = Value::Object([(name.clone(), value.clone())].into_iter().collect());
        let alone: GenerationConfig =
            serde_json::from_value(alone).map_err(|error| refused(name, value, &error))?;
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
    let own = |engines: &[&str]| engines.contains(&"llama.cpp");
    for (name, value) in decoding(knobs, own) {
        let key = match name {
            "dry_sequence_breakers" => {
                settings.dry_sequence_breakers = typed(name, value)?;
                continue;
            }
            "mirostat" => continue,
            "typical_p" => "typ_p",
            name => name,
        };
        settings.config = with(&settings.config, key, name, value)?;
    }
    let versions = [(0, None), (1, Some(MirostatVersion::One)), (2, Some(MirostatVersion::Two))];
    let mirostat = knobs.get("mirostat").map(|value| {
        let version = versions.iter().find(|(number, _)| value.as_u64() == Some(*number));
        version.map(|(_, version)| *version).ok_or_else(|| KnobError::Value {
            name: "mirostat".to_owned(),
            value: value.to_string(),
            domain: "it must be 0 (off), 1 or 2".to_owned(),
        })
    });
    Ok(match mirostat.transpose()?.unwrap_or(recommended.mirostat) {
        Some(version) => settings.mirostat(version),
        None => settings,
    })
}

fn vllm(knobs: &Knobs, file: &GenerationConfig) -> Result<Vllm, KnobError> {
    let mut settings = Vllm::for_model(file)?;
    for (name, value) in decoding(knobs, |engines| engines.contains(&"vllm")) {
        if name == "bad_words" {
            settings.bad_words = typed(name, value)?;
        } else {
            let config: VllmConfig = with(&settings.config, name, name, value)?;
            settings.config = config;
        }
    }
    Ok(settings)
}

/// The knobs that the engine acts on, not the runner.
fn decoding(knobs: &Knobs, has: impl Fn(&[&str]) -> bool) -> impl Iterator<Item = (&str, &Value)> {
    const BY_ALL: [&str; 4] = ["temperature", "top_k", "top_p", "min_p"];
    knobs.iter().filter_map(move |(name, value)| {
        let knob = find(name).ok()?;
        let acts = has(knob.engines) && (knob.engines.len() < 3 || BY_ALL.contains(&knob.name));
        acts.then_some((knob.name, value))
    })
}

/// A config with one setting changed.
fn with<C: serde::Serialize + serde::de::DeserializeOwned>(
    config: &C,
    key: &str,
    name: &str,
    value: &Value,
) -> Result<C, KnobError> {
    let mut settings =
        serde_json::to_value(config).map_err(|error| refused(name, value, &error))?;
    settings[key] = value.clone();
    serde_json::from_value(settings).map_err(|error| refused(name, value, &error))
}

fn typed<T: serde::de::DeserializeOwned>(name: &str, value: &Value) -> Result<T, KnobError> {
    serde_json::from_value(value.clone()).map_err(|error| refused(name, value, &error))
}

fn refused(name: &str, value: &Value, error: &serde_json::Error) -> KnobError {
    KnobError::Value { name: name.to_owned(), value: value.to_string(), domain: error.to_string() }
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
        KnobError::Value { name: name.to_owned(), value: value.to_string(), domain }
    })
}
