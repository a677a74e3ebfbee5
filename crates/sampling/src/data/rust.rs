//! A pipeline as the Rust that makes it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use super::{PipelineError, Setting, Settings};
use crate::pipeline::Pipeline;

/// How each stage and selector is made: `{key}` stands for an argument; options follow as methods.
const TEMPLATES: &[(&str, &str)] = &[
    ("adaptive_p", "AdaptiveP::new({target}, {decay})?"),
    ("allowed_tokens", "AllowedTokens::new(&{ids}, {vocab_size})?"),
    ("argmax_only", "ArgmaxOnly { ties: {ties} }"),
    ("bad_words", "BadWords::new({words})?"),
    ("begin_suppress_tokens", "BeginSuppressTokens::new(&{ids})"),
    ("classifier_free_guidance", "ClassifierFreeGuidance::new({scale})?"),
    ("draw", "Draw"),
    ("dry", "Dry::new({multiplier}, {base}, {allowed})?"),
    ("dynamic_temperature", "DynamicTemperature::new({low}, {high}, {exponent})?"),
    ("epsilon_cutoff", "EpsilonCutoff::new({epsilon})?"),
    ("eta_cutoff", "EtaCutoff::new({epsilon})?"),
    ("exponential_decay_length_penalty", "ExponentialDecay::new({start}, {factor}, &{eos})?"),
    ("forced_bos", "ForcedBos::new({id})"),
    ("forced_eos", "ForcedEos::new(&{ids}, {limit})?"),
    ("frequency_penalty", "OccurrencePenalty::new({frequency}, 0.0)?"),
    ("frequency_presence_penalty", "OccurrencePenalty::new({frequency}, {presence})?"),
    ("greedy", "Greedy { ties: {ties} }"),
    ("gumbel", "Gumbel"),
    ("logit_bias", "LogitBias::new({biases})?"),
    ("min_length", "MinLength::new({min_length}, &{eos})?"),
    ("min_new_tokens", "MinNewTokens::new({min_new_tokens}, &{eos})?"),
    ("min_p", "MinP::new({min_p})?"),
    ("mirostat", "Mirostat::new({tau}, {eta})?"),
    ("mirostat_v2", "MirostatV2::new({tau}, {eta})?"),
    ("no_repeat_ngram", "NoRepeatNgram::new({size})?"),
    ("presence_penalty", "OccurrencePenalty::new(0.0, {presence})?"),
    ("remove_invalid_values", "RemoveInvalidValues"),
    ("renormalize_logits", "Renormalize"),
    ("repetition_penalty", "RepetitionPenalty::new({penalty})?"),
    ("sequence_bias", "SequenceBias::new({biases})?"),
    ("suppress_tokens", "SuppressTokens::new(&{ids})"),
    ("temperature", "Temperature::new({temperature})?"),
    ("top_h", "TopH::new({top_h})?"),
    ("top_k", "TopK::new({k})?"),
    ("top_n_sigma", "TopNSigma::new({n})?"),
    ("top_p", "TopP::new({p})?"),
    ("typical_p", "Typical::new({p})?"),
    ("xtc", "Xtc::new({probability}, {threshold})?"),
];

/// Stages and selectors whose tie policy is that of an argmax.
const OF_ARGMAX: [&str; 3] = ["argmax_only", "dynamic_temperature", "greedy"];

impl Pipeline {
    /// The Rust that makes this pipeline: a function, with the `use` that it needs.
    ///
    /// # Errors
    ///
    /// [`PipelineError::NotData`] for a stage of another crate, a closure, a grammar.
    pub fn to_rust(&self) -> Result<String, PipelineError> {
        let (stages, selector) = self.described()?;
        let mut code = format!(
            "use taper_sampling::prelude::*;\n\n\
             pub fn pipeline() -> Result<Pipeline, SettingError> {{\n    \
             Ok(Pipeline::selecting({})",
            expression(&selector)?
        );
        // A write to a string does not fail.
        for stage in &stages {
            let _ = write!(code, "\n        .then({})", expression(stage)?);
        }
        code += ")\n}\n";
        Ok(code)
    }
}

fn expression(settings: &Settings) -> Result<String, PipelineError> {
    let name = settings.name();
    let not_data = || PipelineError::NotData { stage: name.to_string() };
    let template = TEMPLATES.iter().find(|(own, _)| *own == name).ok_or_else(not_data)?.1;
    let mut code = template.to_string();
    for (key, value) in settings.iter() {
        let place = format!("{{{key}}}");
        let value = literal(name, key, value);
        if code.contains(&place) {
            code = code.replace(&place, &value);
        } else if !settings.is_usual(key) {
            let lent = if ["except", "exempt"].contains(&key) { "&" } else { "" };
            let checked = if key == "breakers" { "?" } else { "" };
            let _ = write!(code, ".{key}({lent}{value}){checked}");
        }
    }
    Ok(code)
}

/// A value as the argument `key` of `stage` is written.
fn literal(stage: &str, key: &str, value: &Setting) -> String {
    match value {
        Setting::Flag(flag) => flag.to_string(),
        Setting::Count(count) => count.to_string(),
        Setting::Number(number) if *number == f64::INFINITY => "f64::INFINITY".to_string(),
        Setting::Number(number) if *number == f64::NEG_INFINITY => "f64::NEG_INFINITY".to_string(),
        Setting::Number(number) => format!("{number:?}"),
        Setting::Word(word) => {
            let policy = match key {
                "rule" => "MassRule",
                _ if OF_ARGMAX.contains(&stage) => "ArgmaxTies",
                _ => "TiePolicy",
            };
            format!("{policy}::{}", camel(word))
        }
        Setting::List(items) => {
            let items: Vec<String> = items.iter().map(|item| item_literal(key, item)).collect();
            format!("[{}]", items.join(", "))
        }
        Setting::Map(entries) if key == "limit" => {
            let one = entries
                .iter()
                .map(|(kind, tokens)| format!("LengthLimit::{}({tokens})", camel(kind)));
            one.collect()
        }
        Setting::Map(_) => window(value),
    }
}

/// An entry of a list: a token, a sequence of tokens, or either with its bias.
fn item_literal(key: &str, item: &Setting) -> String {
    match item {
        Setting::List(pair) if key == "biases" => {
            let [of, bias] = &pair[..] else { return String::new() };
            format!("({}, {})", item_literal("", of), literal("", "", bias))
        }
        Setting::List(_) => format!("vec!{}", literal("", "", item)),
        _ => literal("", key, item),
    }
}

fn window(value: &Setting) -> String {
    let Setting::Map(entries) = value else { return String::new() };
    let of = |key: &str| entries.iter().find(|(own, _)| own == key).map(|(_, value)| value);
    let prompt = of("prompt").map_or_else(String::new, ToString::to_string);
    let last = of("last").map_or("None".to_string(), |last| format!("Some({last})"));
    format!("Window {{ prompt: {prompt}, last: {last} }}")
}

fn camel(word: &str) -> String {
    let capital = |part: &str| {
        let (first, rest) = part.split_at(part.len().min(1));
        first.to_uppercase() + rest
    };
    word.split('_').map(capital).collect()
}
