//! The values of knobs: of the type that the setting has, or in the words of its flag.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Number, Value};
use taper_sampling::presets::LlamaCppSampler;

use crate::words;

/// The value of a knob as the setting's own type has it, whether it was given so or in the words of
/// the flag.
///
/// # Errors
///
/// What it must be.
pub(super) fn read(name: &str, value: &Value) -> Result<Value, String> {
    match name {
        "do_sample" | "remove_invalid_values" | "renormalize_logits" => {
            scalar(value, words::boolean)
        }
        "early_stopping" => scalar(value, words::early_stopping),
        "top_k" => scalar(value, words::integer),
        "epsilon_cutoff" => scalar(value, words::epsilon_cutoff),
        "eta_cutoff" => scalar(value, words::eta_cutoff),
        "top_h" => scalar(value, words::top_h),
        "repetition_penalty" | "repeat_penalty" => scalar(value, words::repetition_penalty),
        "guidance_scale" => scalar(value, words::guidance_scale),
        "length_penalty" => scalar(value, words::finite),
        "xtc_probability" => scalar(value, words::xtc_probability),
        "xtc_threshold" => scalar(value, words::xtc_threshold),
        "dry_base" => scalar(value, words::dry_base),
        "diversity_penalty" | "dynatemp_range" | "dynatemp_exponent" | "mirostat_tau"
        | "mirostat_eta" => scalar(value, words::not_negative),
        "adaptive_target" => scalar(value, words::adaptive_target),
        "adaptive_decay" => scalar(value, words::adaptive_decay),
        "temperature" | "top_p" | "min_p" | "typical_p" | "frequency_penalty"
        | "presence_penalty" | "top_n_sigma" | "dry_multiplier" => scalar(value, words::number),
        "max_new_tokens" | "max_length" | "best_of" | "num_beams" | "num_beam_groups" => {
            scalar(value, words::count)
        }
        "no_repeat_ngram_size" | "min_length" | "min_new_tokens" | "min_tokens" | "min_keep" => {
            scalar(value, words::switchable_count)
        }
        "repeat_last_n" | "dry_penalty_last_n" => scalar(value, words::switchable_i32),
        "dry_allowed_length" => scalar(value, words::natural_i32),
        "forced_bos_token_id" => scalar(value, words::id),
        "mirostat" => mirostat(value),
        _ => list(name, value),
    }
}

fn list(name: &str, value: &Value) -> Result<Value, String> {
    match name {
        "eos_token_id" => of_list::<_, Vec<u32>>(value, words::eos_ids, "[1, 2]"),
        "suppress_tokens"
        | "begin_suppress_tokens"
        | "forced_eos_token_id"
        | "stop_token_ids"
        | "allowed_token_ids" => of_list::<_, Vec<u32>>(value, words::ids, "[1, 2, 3]"),
        "bad_words_ids" => {
            let read = of_list::<_, Vec<Vec<u32>>>(value, words::sequences, "[[1, 2], [3]]");
            let empty = value.as_array().is_some_and(|all| all.iter().any(is_empty));
            if empty { Err(domain(words::sequences)) } else { read }
        }
        "sequence_bias" => {
            of_list::<_, Vec<(Vec<u32>, f64)>>(value, words::sequence_bias, "[[[1, 2], -4.5]]")
        }
        "exponential_decay_length_penalty" => {
            of_list::<_, (usize, f64)>(value, words::decay, "[20, 1.05]")
        }
        "logit_bias" => of_list::<_, Vec<(u32, f64)>>(value, words::logit_bias, "[[5, 1.5]]"),
        "samplers" => {
            let like = "[\"top_k\", \"temperature\"]";
            of_list::<_, Vec<LlamaCppSampler>>(value, words::samplers, like)
        }
        "stop_strings" => match value {
            // Alone it is shown alone.
            Value::String(_) => texts(value, words::stop_string).map(|_| value.clone()),
            value => texts(value, words::stop_string),
        },
        "bad_words" => texts(value, words::word),
        "dry_sequence_breakers" if value == "none" => Ok(Value::Array(Vec::new())),
        "dry_sequence_breakers" => texts(value, words::breaker),
        "forced_prefix" | "negative_prompt" | "json_schema" | "regex" | "grammar" => {
            let of_text = value.is_string().then(|| value.clone());
            of_text.ok_or_else(|| "it must be a text".to_owned())
        }
        // A name among several, which is looked up where it is used.
        _ => Ok(value.clone()),
    }
}

fn is_empty(list: &Value) -> bool {
    list.as_array().is_some_and(Vec::is_empty)
}

/// As it is where its word can be read; of a text, what is read.
fn scalar<T: Serialize>(
    value: &Value,
    read: fn(&str) -> Result<T, String>,
) -> Result<Value, String> {
    match value {
        Value::String(text) => match to_value(&read(text)?) {
            Value::Null => Err("it must be finite".to_owned()),
            value => Ok(value),
        },
        Value::Bool(_) | Value::Number(_) => read(&value.to_string()).map(|_| value.clone()),
        _ => Err(domain(read)),
    }
}

fn mirostat(value: &Value) -> Result<Value, String> {
    let text = value.as_str().map_or_else(|| value.to_string(), |text| text.trim().to_owned());
    words::mirostat(&text)?;
    Ok(text.parse().map_or(Value::Null, |number: u64| Value::Number(Number::from(number))))
}

/// A list of type `L`, or a text or a number that can be read as one.
fn of_list<T: Serialize, L: DeserializeOwned>(
    value: &Value,
    read: fn(&str) -> Result<T, String>,
    like: &str,
) -> Result<Value, String> {
    let known = match value {
        Value::String(text) => read(text).map(|list| to_value(&list)),
        Value::Number(number) => read(&number.to_string()).map(|list| to_value(&list)),
        value => match serde_json::from_value::<L>(value.clone()) {
            Ok(_) => Ok(value.clone()),
            Err(_) => Err(domain(read)),
        },
    };
    known.map_err(|domain| format!("{domain}, or a list: {like}"))
}

/// A text in the words of the flag, or a list of texts as they are.
fn texts(value: &Value, read: fn(&str) -> Result<String, String>) -> Result<Value, String> {
    let refused = || "it must be a text that is not empty, or a list of such texts".to_owned();
    match value {
        Value::String(text) => {
            let text = read(text).map_err(|_| refused())?;
            Ok(Value::Array(vec![Value::String(text)]))
        }
        Value::Array(all) => {
            let is_text = |one: &Value| one.as_str().is_some_and(|text| !text.is_empty());
            all.iter().all(is_text).then(|| value.clone()).ok_or_else(refused)
        }
        _ => Err(refused()),
    }
}

/// What a reader says that something must be: no setting is read from nothing.
fn domain<T>(read: fn(&str) -> Result<T, String>) -> String {
    read("").err().unwrap_or_default()
}

fn to_value(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
