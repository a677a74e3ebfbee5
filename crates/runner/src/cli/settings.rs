//! From flags to settings: which flags were given, whether the engine knows them, and what they say.

use std::path::Path;

use clap::ArgMatches;
use clap::parser::ValueSource;
use serde_json::{Map, Value};
use taper_runner::knobs::{Knob, KnobError, KnobValue, Turned};
use taper_runner::models::LoadedModel;
use taper_runner::sampling::GenerationConfig;
use taper_runner::{Request, Semantics};

use super::args::GenerateArgs;
use super::failure::Failure;
use super::generate::blame;
use super::input::{GRAMMAR, SCHEMA, WATERMARK_KEY, read_for};

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
}

impl Flags {
    pub(super) fn of(command: &clap::Command, matches: &ArgMatches) -> Self {
        let given = command
            .get_arguments()
            .filter(|arg| {
                matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
            })
            .filter_map(|arg| {
                let others = arg.get_all_aliases().unwrap_or_default();
                let others = others.into_iter().map(str::to_owned).collect();
                Some(Flag { name: arg.get_long()?.to_owned(), others })
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

    /// What is wrong with a knob, in the words of flags; `loaded` if the model is to blame for it.
    pub(super) fn blame(
        &self,
        error: KnobError,
        args: &GenerateArgs,
        loaded: Option<&LoadedModel>,
    ) -> Failure {
        let flag = |name: &str| format!("--{}", name.replace('_', "-"));
        Failure::Usage(match error {
            KnobError::Request(error) => return blame(&error, args, self, loaded),
            KnobError::Foreign { knob, engine } => {
                let others = knob.engines.join(" or ");
                let instead = match knob.kin_under(engine) {
                    Some(kin) => format!("calls it {}; use that", kin.flag()),
                    None => "has no such setting; leave it out".to_owned(),
                };
                format!("{}: {engine} {instead}, or use --semantics {others}", knob.flag())
            }
            KnobError::Text { name, source } => format!("{}: {source}", flag(name)),
            KnobError::Value { name, .. } => format!("{}: {error}", flag(name)),
            error => error.to_string(),
        })
    }
}

impl GenerateArgs {
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
    ) -> Result<Semantics, KnobError> {
        match &self.rules.pipeline {
            Some(pipeline) => Ok(pipeline.clone().into()),
            None => self.knobs.turned.semantics(file, sampling),
        }
    }

    /// Sets what the runner itself acts on; reads the files that were named.
    pub(super) fn apply(
        &self,
        request: &mut Request,
        flags: &Flags,
        loaded: Option<&LoadedModel>,
    ) -> Result<(), Failure> {
        let applied = read_files(&self.knobs.turned)?.apply(request, loaded);
        applied.map_err(|error| flags.blame(error, self, loaded))
    }
}

/// The knobs, with the texts of files where flags name those.
pub(super) fn read_files(named: &Turned) -> Result<Turned, Failure> {
    let mut turned = named.clone();
    for (knob, value) in named.iter() {
        if let Some(text) = file_of(knob, value)? {
            turned.turn(knob, KnobValue::Text(text));
        }
    }
    Ok(turned)
}

/// The text of a file that a knob was turned to.
fn file_of(knob: &Knob, value: &KnobValue) -> Result<Option<String>, Failure> {
    let KnobValue::Text(path) = value else { return Ok(None) };
    let kind = match knob.name {
        "json_schema" if !path.trim_start().starts_with('{') => SCHEMA,
        "grammar" => GRAMMAR,
        "watermark_key" => WATERMARK_KEY,
        _ => return Ok(None),
    };
    read_for(&knob.flag(), Path::new(path), kind).map(Some)
}
