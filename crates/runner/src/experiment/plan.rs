//! A spec on a model: which runs there are, and each of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use taper_models::LoadedModel;
use taper_sampling::{Ask, DrawKey, Draws, GenerationConfig, OneOrMany, Pipeline, Purpose};

use super::manifest::{Manifest, ModelId, Prompt, Setting, Versions};
use super::record::{Record, RunId, StepRecord};
use super::score::score;
use super::settings::{Resolved, settings};
use super::shard::Shard;
use super::spec::{PromptText, Spec, SpecError};
use crate::chat::{Chat, ChatError, ChatTemplate};
use crate::drawn::KeptSets;
use crate::error::RequestError;
use crate::knobs::{file_of, model_config, unused_settings};
use crate::logits_dtype::LogitsDtype;
use crate::outcome::{EffectiveConfig, FinishReason, Outcome, SequenceOutcome};
use crate::request::{Request, tokenize};
use crate::run::{Generation, Search};
use crate::source::Source;
use crate::told::shortened;

/// What further seeds are derived from a seed for.
const FURTHER_RUNS: Purpose = Purpose::Custom(0x7377_6565);

/// Pairs of prompts and settings that are tried before the first run; of more, so many that each
/// prompt and each setting has one.
const TRIED: usize = 4096;

/// An experiment on a model, ready to run.
#[derive(Debug)]
pub struct Plan<'m> {
    loaded: &'m LoadedModel,
    spec: Spec,
    manifest: Manifest,
    settings: Vec<Resolved>,
    /// For each prompt, the token besides the model's own that ends a turn of a chat.
    ends_of_turn: Vec<Option<u32>>,
    remarks: Vec<String>,
    no_steps: bool,
    /// The engine that computes the model's rows, if it is one.
    engine: Option<Value>,
}

/// Why a spec cannot be run on a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The spec is wrong by itself, or with this model.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A prompt cannot be made tokens of.
    #[error("prompt {:?}: {source}", shortened(name))]
    Prompt {
        /// Which.
        name: String,
        /// Why.
        source: RequestError,
    },
    /// A prompt does not go through the chat template.
    #[error("prompt {:?}: {source}", shortened(name))]
    Chat {
        /// Which.
        name: String,
        /// Why.
        source: ChatError,
    },
    /// A setting does not go with a prompt on this model.
    #[error(
        "setting {:?}, prompt {:?}: {}{source}",
        shortened(label),
        shortened(prompt),
        .file.map_or_else(String::new, |file| format!("the model's {file}: "))
    )]
    Setting {
        /// Which setting.
        label: String,
        /// Which prompt.
        prompt: String,
        /// The model's own file that is to blame, if it is not the spec.
        file: Option<&'static str>,
        /// Why.
        source: Box<RequestError>,
    },
}

impl<'m> Plan<'m> {
    /// Checks a spec against a model and lays out the runs. `digest` tells the model's weights from
    /// others of the same name: see [`digest_of`](super::digest_of).
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn new(
        spec: &Spec,
        loaded: &'m LoadedModel,
        digest: Option<String>,
    ) -> Result<Self, PlanError> {
        spec.check_size()?;
        let settings = settings(spec, Some(loaded))?;
        let (prompts, ends_of_turn) = prompts(spec, loaded)?;
        let model = ModelId { name: loaded.name.clone(), digest };
        let manifest = manifest(spec, model, prompts, &settings);
        let spec = spec.clone();
        let mut plan = Self {
            loaded,
            spec,
            manifest,
            settings,
            ends_of_turn,
            remarks: Vec::new(),
            no_steps: false,
            engine: None,
        };
        plan.remarks = plan.try_all()?;
        Ok(plan)
    }

    /// What the runs are of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What is unlikely to be meant: knobs without effect, pipelines that cannot mean what they say,
    /// settings of the model that are not what they must be.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The same plan with the runs of one shard alone.
    #[must_use]
    pub fn with_shard(self, shard: Option<Shard>) -> Self {
        Self { manifest: self.manifest.with_shard(shard), ..self }
    }

    /// The same plan with records that leave their steps out, and keep what a summary needs of them.
    #[must_use]
    pub fn without_steps(self) -> Self {
        Self { no_steps: true, ..self }
    }

    /// The same plan on a model whose rows an engine computes; `facts` are what is known of it.
    #[must_use]
    pub fn on_engine(mut self, facts: Value) -> Self {
        let mut id = facts.clone();
        if let Some(id) = id.as_object_mut() {
            // At another address it is the same.
            id.shift_remove("url");
        }
        self.manifest.engines = vec![id];
        self.engine = Some(facts);
        self
    }

    /// Each setting's label, its pipeline, and the type that rows are rounded to before it.
    ///
    /// # Errors
    ///
    /// When a setting does not go with the first prompt.
    pub fn pipelines(
        &self,
    ) -> impl Iterator<Item = Result<(&str, Pipeline, LogitsDtype), RequestError>> {
        self.settings.iter().enumerate().map(|(setting, resolved)| {
            let request = self.request(RunId { prompt: 0, setting, seed: 0 });
            let (label, dtype) = (resolved.setting.label.as_str(), request.logits_dtype);
            let pipeline = if searches(&request) {
                Search::new(self.loaded, request)?.pipeline().clone()
            } else {
                Generation::new(self.loaded, request)?.pipeline().clone()
            };
            Ok((label, pipeline, dtype))
        })
    }

    /// All runs, in canonical order; of a shard its own.
    pub fn runs(&self) -> impl Iterator<Item = RunId> {
        run_ids(&self.manifest)
    }

    /// Makes a run; `None` if `stop` said so between two tokens.
    ///
    /// A model or a sampler that fails is no error here: the record says so.
    ///
    /// # Errors
    ///
    /// When the setting does not go with the prompt.
    ///
    /// # Panics
    ///
    /// When `id` is none of [`runs`](Self::runs).
    pub fn run(&self, id: RunId, stop: &dyn Fn() -> bool) -> Result<Option<Record>, RequestError> {
        let request = self.request(id);
        let made = if searches(&request) {
            self.search(request, stop)?
        } else {
            self.generate(request, stop)?
        };
        Ok(made.map(|(outcome, error)| self.record(id, outcome, error)))
    }

    fn record(&self, id: RunId, mut outcome: Outcome, mut error: Option<String>) -> Record {
        // A run is one sequence, or none if a search failed at its first step.
        let none = || SequenceOutcome {
            tokens: Vec::new(),
            text: String::new(),
            finish_reason: FinishReason::Error,
            score: None,
            inclusion_probability: None,
            steps: None,
        };
        let sequence = std::mem::take(&mut outcome.sequences).into_iter().next();
        let sequence = sequence.unwrap_or_else(none);
        let kept_sets = sequence
            .steps
            .as_ref()
            .filter(|_| self.spec.kept_ids)
            .map(|steps| KeptSets::of(steps.iter().map(|step| step.kept_set.as_ref())));
        let steps = sequence.steps.map(|steps| steps.into_iter().map(StepRecord::from).collect());
        let steps = steps.unwrap_or_else(|| {
            let (prompt, dtype) = (&outcome.prompt_tokens, outcome.config.logits_dtype);
            let top = self.spec.top_logprobs;
            let scored = score(self.loaded, prompt, &sequence.tokens, dtype, top);
            scored.unwrap_or_else(|failed| {
                error.get_or_insert(failed.to_string());
                Vec::new()
            })
        });
        let setting = &self.settings[id.setting].setting;
        let record = Record {
            id,
            label: setting.label.clone(),
            knobs: setting.knobs.clone(),
            control: setting.control,
            prompt: self.manifest.prompts[id.prompt].name.clone(),
            prompt_tokens: outcome.prompt_tokens,
            seed: outcome.config.seed,
            model: self.manifest.model.clone(),
            engine: self.engine.clone(),
            versions: self.manifest.versions.clone(),
            config: object(&outcome.config),
            pipeline: outcome.pipeline,
            tokens: sequence.tokens,
            text: sequence.text,
            finish_reason: sequence.finish_reason,
            error,
            score: sequence.score,
            steps,
            steps_left_out: None,
            kept_sets,
            tree: outcome.tree,
            timing: outcome.timing,
        };
        if self.no_steps { record.without_steps() } else { record }
    }

    fn generate(&self, request: Request, stop: &dyn Fn() -> bool) -> Made {
        let mut generation = Generation::new(self.loaded, request)?;
        let mut error = None;
        for step in &mut generation {
            error = step.err().map(|failed| failed.to_string());
            if stop() {
                return Ok(None);
            }
        }
        Ok(Some((generation.into_outcome(), error)))
    }

    fn search(&self, request: Request, stop: &dyn Fn() -> bool) -> Made {
        let mut search = Search::new(self.loaded, request)?;
        let error = loop {
            match search.advance() {
                Ok(true) if stop() => return Ok(None),
                Ok(true) => {}
                Ok(false) => break None,
                Err(failed) => break Some(failed.to_string()),
            }
        };
        Ok(Some((search.into_outcome(), error)))
    }

    fn request(&self, id: RunId) -> Request {
        let mut request = self.settings[id.setting].request.clone();
        request.prompt.clone_from(&self.manifest.prompts[id.prompt].tokens);
        request.seed = Some(self.manifest.seeds[id.seed]);
        request.ask = Ask {
            top_logprobs: self.spec.top_logprobs,
            trace: self.spec.trace,
            kept_tokens: self.spec.kept_ids,
            ..Ask::everything()
        };
        request.redraws = self.spec.redraws;
        if let Some(token) = self.ends_of_turn[id.prompt] {
            let mut ids = request.config.eos_ids().to_vec();
            if !ids.contains(&token) {
                ids.push(token);
            }
            let eos_token_id = Some(OneOrMany::Many(ids));
            request.config = GenerationConfig { eos_token_id, ..request.config };
        }
        request
    }

    /// Lets each setting be refused before the first run instead of at its turn, and collects what
    /// there is to remark on.
    fn try_all(&self) -> Result<Vec<String>, PlanError> {
        let (prompts, settings) = (self.manifest.prompts.len(), self.settings.len());
        let all = prompts.saturating_mul(settings);
        let few = all <= TRIED;
        let mut remarks = Remarks::of(settings);
        for pair in 0..if few { all } else { prompts.max(settings) } {
            let setting = if few { pair / prompts } else { pair % settings };
            let prompt = pair % prompts;
            let request = self.request(RunId { prompt, setting, seed: 0 });
            let told = if searches(&request) {
                Search::new(self.loaded, request).map(|search| self.about(setting, search.config()))
            } else {
                Generation::new(self.loaded, request).map(|generation| {
                    let lints = generation.pipeline().lints();
                    let mut told = self.about(setting, generation.config());
                    told.extend(lints.iter().map(ToString::to_string));
                    told
                })
            };
            let told = told.map_err(|source| self.blamed(setting, prompt, source))?;
            remarks.add(setting, &self.settings[setting].setting, told);
        }
        Ok(remarks.told().collect())
    }

    /// What there is to say on a setting, its pipeline aside.
    fn about(&self, setting: usize, config: &EffectiveConfig) -> Vec<String> {
        let Setting { knobs, control, .. } = &self.settings[setting].setting;
        let knobs = self.spec.base.keys().filter(|_| !control).chain(knobs.keys());
        let mut given: Vec<&str> = knobs.map(String::as_str).collect();
        given.sort_unstable();
        given.dedup();
        let (semantics, generation) = (&config.semantics, &config.generation);
        let cold = semantics.is_cold(generation).then(|| {
            "temperature 0 takes the most likely token each time; transformers itself refuses it"
                .to_owned()
        });
        let idle = semantics.idle(generation, &given).into_iter();
        let idle = idle
            .map(|idle| format!("{} there is no effect of {}", idle.why, idle.names.join(", ")));
        let source = Source::from(self.loaded);
        let own = model_config(self.loaded).unwrap_or_default();
        let unused = unused_settings(&own, semantics).into_iter();
        let unused = unused.map(|what| format!("the model's own {what}"));
        cold.into_iter().chain(idle).chain(semantics.remarks(&source)).chain(unused).collect()
    }

    fn blamed(&self, setting: usize, prompt: usize, source: RequestError) -> PlanError {
        let Setting { label, knobs, .. } = &self.settings[setting].setting;
        let of_spec = |key: &&str| knobs.contains_key(*key) || self.spec.base.contains_key(*key);
        let key = source.key().filter(|key| !of_spec(key));
        PlanError::Setting {
            file: key.and_then(|key| file_of(self.loaded, key)),
            label: label.clone(),
            prompt: self.manifest.prompts[prompt].name.clone(),
            source: Box::new(source),
        }
    }
}

/// Remarks, each with the settings that it is on.
struct Remarks {
    settings: usize,
    /// In the order in which they came.
    all: Vec<(String, String, BTreeSet<usize>)>,
}

impl Remarks {
    fn of(settings: usize) -> Self {
        Self { settings, all: Vec::new() }
    }

    fn add(&mut self, index: usize, setting: &Setting, told: Vec<String>) {
        for what in told {
            let known = self.all.iter().position(|(known, ..)| *known == what);
            let place = known.unwrap_or_else(|| {
                let first = shortened(&setting.label).into_owned();
                self.all.push((what, first, BTreeSet::new()));
                self.all.len() - 1
            });
            self.all[place].2.insert(index);
        }
    }

    fn told(self) -> impl Iterator<Item = String> {
        let all = self.settings;
        self.all.into_iter().map(move |(what, first, settings)| match settings.len() {
            n if n == all => what,
            1 => format!("setting {first:?}: {what}"),
            n => format!("{n} of {all} settings, {first:?} the first: {what}"),
        })
    }
}

fn searches(request: &Request) -> bool {
    request.config.num_beams.is_some_and(|beams| beams > 1)
}

/// What a run came to, with the failure that ended it; `None` if it was stopped.
type Made = Result<Option<(Outcome, Option<String>)>, RequestError>;

/// The runs of a manifest, those of its shard alone, in canonical order.
pub(super) fn run_ids(manifest: &Manifest) -> impl Iterator<Item = RunId> {
    let (prompts, seeds) = (0..manifest.prompts.len(), manifest.seeds.len());
    let all = prompts.flat_map(move |prompt| {
        manifest.settings.iter().enumerate().flat_map(move |(setting, resolved)| {
            let seeds = if resolved.control { 1 } else { seeds };
            (0..seeds).map(move |seed| RunId { prompt, setting, seed })
        })
    });
    let shard = manifest.shard.unwrap_or(Shard::WHOLE);
    all.enumerate().filter(move |&(run, _)| shard.has(run)).map(|(_, id)| id)
}

/// The knobs that settings differ in.
pub(super) fn swept_knobs(settings: &[Resolved]) -> Vec<String> {
    let mut swept: Vec<String> = Vec::new();
    for resolved in settings.iter().filter(|resolved| !resolved.setting.control) {
        let new = resolved.setting.knobs.keys().filter(|name| !swept.contains(name));
        let new: Vec<String> = new.cloned().collect();
        swept.extend(new);
    }
    swept
}

/// The seeds of a spec, with those that further runs are derived from it.
pub(super) fn numbered_seeds(spec: &Spec) -> Vec<u64> {
    let seeds = spec.seeds.iter().flat_map(|seed| {
        let further = (1..spec.runs as u64).map(move |run| {
            let draws = Draws::new(DrawKey::new(seed).stream(run));
            // As many bits as any JSON reader takes for a whole number.
            draws.bits(FURTHER_RUNS, 0) >> 11
        });
        std::iter::once(seed).chain(further)
    });
    seeds.collect()
}

fn manifest(spec: &Spec, model: ModelId, prompts: Vec<Prompt>, settings: &[Resolved]) -> Manifest {
    let of_spec = object(spec);
    // What the runs depend on: how they are called and shown may change.
    let mut of_runs = of_spec.clone();
    of_runs.retain(|key, _| !["title", "about", "tables"].contains(&key.as_str()));
    let text = serde_json::json!([of_runs, model, prompts]).to_string();
    Manifest {
        digest: hex(&Sha256::digest(text)),
        versions: Versions::of_this_build(),
        model,
        engines: Vec::new(),
        title: spec.title.clone(),
        about: spec.about.clone(),
        spec: of_spec,
        prompts,
        settings: settings.iter().map(|resolved| resolved.setting.clone()).collect(),
        swept: swept_knobs(settings),
        seeds: numbered_seeds(spec),
        runs: spec.count(),
        shard: None,
    }
}

type Prompts = (Vec<Prompt>, Vec<Option<u32>>);

fn prompts(spec: &Spec, loaded: &LoadedModel) -> Result<Prompts, PlanError> {
    let tokenizer = loaded.tokenizer.as_ref();
    let mut all = Prompts::default();
    for prompt in &spec.prompts {
        let mut end_of_turn = None;
        let (text, tokens) = match &prompt.text {
            PromptText::Ids(ids) => (None, Ok(ids.clone())),
            PromptText::Text(text) => (Some(text), tokenize(tokenizer, text)),
            PromptText::Chat(text) => {
                let name = || prompt.name.as_ref().unwrap_or(text).clone();
                let told = |source| PlanError::Chat { name: name(), source };
                let template = ChatTemplate::of(loaded).map_err(told)?;
                let turn = serde_json::json!([{ "role": "user", "content": text }]);
                let rendered = template.render(&Chat::new(turn)).map_err(told)?;
                end_of_turn = tokenizer.and_then(|tokenizer| template.end_of_turn(tokenizer));
                // The template has put the special tokens where they belong.
                (Some(text), crate::request::tokenize_plain(tokenizer, &rendered))
            }
        };
        let name = prompt.name.as_ref().or(text).cloned();
        let name = name.unwrap_or_else(|| format!("{:?}", tokens.as_deref().unwrap_or_default()));
        let tokens = tokens.map_err(|source| PlanError::Prompt { name: name.clone(), source })?;
        all.0.push(Prompt { name, text: text.cloned(), tokens });
        all.1.push(end_of_turn);
    }
    Ok(all)
}

/// What serde makes an object of.
pub(super) fn object(value: &impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A write to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
