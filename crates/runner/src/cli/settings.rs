//! From flags to settings: which engine knows which flag, and what the flags given say.

use clap::ArgMatches;
use clap::parser::ValueSource;
use serde_json::{Map, Value};
use taper_runner::models::LoadedModel;
use taper_runner::sampling::{GenerationConfig, OneOrMany};
use taper_runner::{LlamaCpp, Recommended, RequestError, Semantics, TextGrammar, Vllm, tokenize};

use super::args::{Engine, GenerateArgs, GrammarArgs, LlamaCppArgs, SomeArgs, UNDER};
use super::failure::Failure;
use super::input::{GRAMMAR, SCHEMA, read_for};

/// The flags that were given.
#[derive(Debug, Default)]
pub(super) struct Flags {
    given: Vec<Flag>,
}

#[derive(Debug)]
struct Flag {
    /// Without the dashes before it.
    name: String,
    /// Other names that it goes by.
    others: Vec<String>,
    /// The heading that it has in the help.
    heading: String,
}

impl Flags {
    pub(super) fn of(command: &clap::Command, matches: &ArgMatches) -> Self {
        let given = command
            .get_arguments()
            .filter(|arg| {
                matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
            })
            .filter_map(|arg| {
                let heading = arg.get_help_heading().unwrap_or_default().to_owned();
                let others = arg.get_all_aliases().unwrap_or_default();
                let others = others.into_iter().map(str::to_owned).collect();
                Some(Flag { name: arg.get_long()?.to_owned(), others, heading })
            });
        Self { given: given.collect() }
    }

    /// Whether the flag for a setting was given, by the setting's name in a config.
    pub(super) fn for_setting(&self, key: &str) -> Option<String> {
        let name = key.replace('_', "-");
        let given =
            self.given.iter().find(|flag| flag.name == name || flag.others.contains(&name))?;
        Some(format!("--{}", given.name))
    }

    /// Refuses flags that the engine does not have.
    pub(super) fn check(&self, engine: Engine) -> Result<(), Failure> {
        for flag in &self.given {
            let Some(engines) = flag.heading.strip_prefix(UNDER) else { continue };
            if engines.split(", ").all(|name| name != engine.name()) {
                let (name, engine) = (&flag.name, engine.name());
                let others = engines.replace(", ", " or ");
                return Err(Failure::Usage(format!(
                    "--{name}: {engine} has no such setting; leave it out, or use --semantics {others}"
                )));
            }
        }
        Ok(())
    }

    /// The flags that have no effect beside the settings in force, and why.
    pub(super) fn idle(&self, semantics: &Semantics, config: &GenerationConfig) -> Vec<String> {
        let keys: Vec<String> = self.given.iter().map(|flag| flag.name.replace('-', "_")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let told = semantics.idle(config, &keys).into_iter().map(|idle| {
            let flags: Vec<String> =
                idle.names.iter().map(|name| format!("--{}", name.replace('_', "-"))).collect();
            format!("{} there is no effect of {}", idle.why_by_flag, flags.join(", "))
        });
        told.collect()
    }

    /// The flags among those given.
    pub(super) fn named(&self, picks: impl Fn(&str) -> bool) -> Vec<String> {
        let picked = self.given.iter().filter(|flag| picks(&flag.name));
        picked.map(|flag| format!("--{}", flag.name)).collect()
    }
}

impl Engine {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::HuggingFace => "huggingface",
            Self::LlamaCpp => "llama.cpp",
            Self::Vllm => "vllm",
        }
    }
}

impl GenerateArgs {
    /// What the flags say of when to stop, and under Hugging Face's rules of how to decode.
    pub(super) fn config(&self) -> Result<GenerationConfig, Failure> {
        let stopping = &self.stopping;
        let stops = &stopping.stop_strings;
        let shared = GenerationConfig {
            num_return_sequences: stopping.num_return_sequences,
            max_new_tokens: stopping.max_new_tokens,
            max_length: stopping.max_length,
            max_time: stopping.max_time,
            eos_token_id: stopping.eos_token_id.clone().map(|ids| OneOrMany::from(ids.0)),
            stop_strings: (!stops.is_empty()).then(|| OneOrMany::from(stops.clone())),
            ..GenerationConfig::default()
        };
        match self.engine.semantics {
            Engine::HuggingFace => self.hugging_face(shared),
            Engine::LlamaCpp | Engine::Vllm => Ok(shared),
        }
    }

    fn hugging_face(&self, shared: GenerationConfig) -> Result<GenerationConfig, Failure> {
        let (all, own) = (&self.decoding, self.hugging_face.clone());
        let top_k = all.top_k.map(|k| {
            let refused = || format!("--top-k: top_k is {k}; it must be at least 0 (0 is off)");
            usize::try_from(k).map_err(|_| Failure::Usage(refused()))
        });
        Ok(GenerationConfig {
            temperature: all.temperature,
            top_k: top_k.transpose()?,
            top_p: all.top_p,
            min_p: all.min_p,
            typical_p: self.some.typical_p,
            repetition_penalty: self.some.repetition_penalty,
            do_sample: own.do_sample,
            epsilon_cutoff: own.epsilon_cutoff,
            eta_cutoff: own.eta_cutoff,
            top_h: own.top_h,
            no_repeat_ngram_size: own.no_repeat_ngram_size,
            bad_words_ids: own.bad_words_ids.map(|words| words.0),
            sequence_bias: own.sequence_bias.map(|biases| biases.0),
            suppress_tokens: own.suppress_tokens.map(|ids| ids.0),
            begin_suppress_tokens: own.begin_suppress_tokens.map(|ids| ids.0),
            forced_bos_token_id: own.forced_bos_token_id,
            forced_eos_token_id: own.forced_eos_token_id.map(|ids| OneOrMany::from(ids.0)),
            exponential_decay_length_penalty: own
                .exponential_decay_length_penalty
                .map(|decay| (decay.0, decay.1)),
            num_beams: own.num_beams,
            num_beam_groups: own.num_beam_groups,
            diversity_penalty: own.diversity_penalty,
            length_penalty: own.length_penalty,
            early_stopping: own.early_stopping,
            min_length: own.min_length,
            min_new_tokens: own.min_new_tokens,
            remove_invalid_values: own.remove_invalid_values,
            renormalize_logits: own.renormalize_logits,
            guidance_scale: own.guidance_scale,
            ..shared
        })
    }

    /// What guidance leads away from, as tokens.
    pub(super) fn negative_prompt(
        &self,
        loaded: &LoadedModel,
    ) -> Result<Option<Vec<u32>>, Failure> {
        let (ids, text) =
            (&self.hugging_face.negative_prompt_ids, &self.hugging_face.negative_prompt);
        if let Some(ids) = ids {
            return Ok(Some(ids.0.clone()));
        }
        let refused = |error| Failure::Usage(format!("--negative-prompt: {error}"));
        let tokens = text.as_ref().map(|text| tokenize(loaded.tokenizer.as_ref(), text));
        tokens.transpose().map_err(refused)
    }

    /// Whose rules, with the settings that they alone know; `file` is the model's own config, and
    /// `sampling` what its GGUF file recommends.
    ///
    /// # Errors
    ///
    /// When a setting of the file is not what the engine can read.
    pub(super) fn semantics(
        &self,
        file: &GenerationConfig,
        sampling: &Map<String, Value>,
    ) -> Result<Semantics, RequestError> {
        if let Some(pipeline) = &self.engine.pipeline {
            return Ok(pipeline.clone().into());
        }
        Ok(match self.engine.semantics {
            Engine::HuggingFace => Semantics::HuggingFace,
            Engine::LlamaCpp => Semantics::LlamaCpp(self.llama_cpp(sampling)?),
            Engine::Vllm => Semantics::Vllm(self.vllm(file)?),
        })
    }

    /// Whether a flag sets what a GGUF file may recommend, by its name in the config.
    fn sets(&self, name: &str) -> bool {
        let (all, own) = (&self.decoding, &self.llama_cpp);
        match name {
            "temperature" => all.temperature.is_some(),
            "top_k" => all.top_k.is_some(),
            "top_p" => all.top_p.is_some(),
            "min_p" => all.min_p.is_some(),
            "samplers" => own.samplers.is_some(),
            "xtc_probability" => own.xtc_probability.is_some(),
            "xtc_threshold" => own.xtc_threshold.is_some(),
            "repeat_last_n" => own.repeat_last_n.is_some(),
            "repeat_penalty" => own.repeat_penalty.is_some(),
            "mirostat" => own.mirostat.is_some(),
            "mirostat_tau" => own.mirostat_tau.is_some(),
            "mirostat_eta" => own.mirostat_eta.is_some(),
            _ => false,
        }
    }

    fn llama_cpp(&self, sampling: &Map<String, Value>) -> Result<LlamaCpp, RequestError> {
        let (all, some, own) = (&self.decoding, &self.some, self.llama_cpp.clone());
        let Recommended { mut settings, mirostat, .. } =
            LlamaCpp::for_model(sampling, |name| self.sets(name))?;
        let config = &mut settings.config;
        set(&mut config.temperature, all.temperature);
        set(&mut config.top_k, all.top_k);
        set(&mut config.top_p, all.top_p);
        set(&mut config.min_p, all.min_p);
        set(&mut config.typ_p, some.typical_p);
        set(&mut config.samplers, own.samplers.map(|chain| chain.0));
        set(&mut config.top_n_sigma, own.top_n_sigma);
        set(&mut config.xtc_probability, own.xtc_probability);
        set(&mut config.xtc_threshold, own.xtc_threshold);
        set(&mut config.min_keep, own.min_keep);
        set(&mut config.repeat_last_n, own.repeat_last_n);
        set(&mut config.repeat_penalty, own.repeat_penalty);
        set(&mut config.frequency_penalty, some.frequency_penalty);
        set(&mut config.presence_penalty, some.presence_penalty);
        set(&mut config.dry_multiplier, own.dry_multiplier);
        set(&mut config.dry_base, own.dry_base);
        set(&mut config.dry_allowed_length, own.dry_allowed_length);
        set(&mut config.dry_penalty_last_n, own.dry_penalty_last_n);
        set(&mut config.dynatemp_range, own.dynatemp_range);
        set(&mut config.dynatemp_exponent, own.dynatemp_exponent);
        set(&mut config.mirostat_tau, own.mirostat_tau);
        set(&mut config.mirostat_eta, own.mirostat_eta);
        set(&mut config.adaptive_target, own.adaptive_target);
        set(&mut config.adaptive_decay, own.adaptive_decay);
        config.logit_bias.splice(..0, some.biases());
        set(&mut settings.dry_sequence_breakers, self.llama_cpp.breakers());
        let mirostat = own.mirostat.map_or(mirostat, |mirostat| mirostat.0);
        Ok(match mirostat {
            Some(version) => settings.mirostat(version),
            None => settings,
        })
    }

    fn vllm(&self, file: &GenerationConfig) -> Result<Vllm, RequestError> {
        let (all, some, own) = (&self.decoding, &self.some, self.vllm.clone());
        let mut settings = Vllm { bad_words: own.bad_words, ..Vllm::for_model(file)? };
        let config = &mut settings.config;
        set(&mut config.temperature, all.temperature);
        set(&mut config.top_k, all.top_k.map(i64::from));
        set(&mut config.top_p, all.top_p);
        set(&mut config.min_p, all.min_p);
        set(&mut config.repetition_penalty, some.repetition_penalty);
        set(&mut config.frequency_penalty, some.frequency_penalty);
        set(&mut config.presence_penalty, some.presence_penalty);
        set(&mut config.min_tokens, own.min_tokens);
        set(&mut config.stop_token_ids, own.stop_token_ids.map(|ids| ids.0));
        config.allowed_token_ids = own.allowed_token_ids.map(|ids| ids.0);
        config.logit_bias = some.biases();
        Ok(settings)
    }
}

impl GrammarArgs {
    /// What the text is held to; reads the files that were named.
    pub(super) fn read(&self) -> Result<Option<TextGrammar>, Failure> {
        let file = |flag, path: &str, kind| read_for(flag, path.as_ref(), kind);
        Ok(if let Some(schema) = &self.json_schema {
            let inline = schema.trim_start().starts_with('{');
            let schema =
                if inline { schema.clone() } else { file("--json-schema", schema, SCHEMA)? };
            Some(TextGrammar::JsonSchema(schema))
        } else if let Some(path) = &self.grammar {
            Some(TextGrammar::Lark(file("--grammar", path, GRAMMAR)?))
        } else {
            self.regex.clone().map(TextGrammar::Regex)
        })
    }
}

impl SomeArgs {
    fn biases(&self) -> Vec<(u32, f64)> {
        self.logit_bias.iter().flat_map(|biases| biases.0.iter().copied()).collect()
    }
}

impl LlamaCppArgs {
    /// `none` takes back what came before it.
    fn breakers(&self) -> Option<Vec<String>> {
        let texts = &self.dry_sequence_breakers;
        let after = texts.iter().rposition(|text| text == "none").map_or(0, |at| at + 1);
        (!texts.is_empty()).then(|| texts[after..].to_vec())
    }
}

fn set<T>(field: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *field = value;
    }
}
