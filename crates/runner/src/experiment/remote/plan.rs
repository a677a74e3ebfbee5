//! A spec on engines: which runs there are, and what each engine is asked.

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::engine::{
    Call, Dialect, EngineError, Profile, Prompt as Sent, SentChat, Server, Wanted,
};
use crate::experiment::folder::FolderError;
use crate::experiment::manifest::{Manifest, ModelId, Prompt, Versions};
use crate::experiment::plan::{hex, numbered_seeds, object, run_ids, swept_knobs};
use crate::experiment::record::RunId;
use crate::experiment::settings::{Resolved, settings};
use crate::experiment::shard::Shard;
use crate::experiment::spec::{PromptText, Spec, SpecError};
use crate::experiment::{MANIFEST, RecordsError};
use crate::told::shortened;

/// An experiment on engines, ready to run.
#[derive(Debug)]
pub struct RemotePlan {
    pub(super) spec: Spec,
    pub(super) manifest: Manifest,
    pub(super) settings: Vec<Resolved>,
    /// What is known of each engine.
    pub(super) engines: Vec<Profile>,
    /// The engines themselves; none where they are asked by files.
    pub(super) servers: Vec<Server>,
    /// The prompts as engines are sent them.
    pub(super) prompts: Vec<Sent>,
    pub(super) no_steps: bool,
    remarks: Vec<String>,
}

/// Why a spec cannot be run on engines.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemotePlanError {
    /// The spec is wrong.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A setting or a prompt does not go with an engine.
    #[error("setting {label:?} on {dialect}: {source}")]
    Setting {
        /// Which setting.
        label: String,
        /// Which engine.
        dialect: &'static str,
        /// Why.
        source: EngineError,
    },
    /// An engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A prompt.
    #[error("prompt {name:?}: {what}")]
    Prompt {
        /// Which.
        name: String,
        /// Why.
        what: String,
    },
}

impl RemotePlan {
    /// Checks a spec against engines and lays out the runs.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn new(spec: &Spec, servers: Vec<Server>) -> Result<Self, RemotePlanError> {
        let engines: Vec<Profile> = servers.iter().map(|server| server.profile.clone()).collect();
        let cut = |engine: usize, asked: Asked<'_>| match asked {
            Asked::Text(text) => servers[engine].prompt(text).map(SentChat::of),
            Asked::Chat(chat) => servers[engine].chat(&chat),
        };
        let plan = Self::laid_out(spec, engines, &cut)?;
        Ok(Self { servers, ..plan })
    }

    /// The same for an engine that is asked by a file.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn of_file(spec: &Spec, engine: &Profile) -> Result<Self, RemotePlanError> {
        let cut = |_: usize, asked: Asked<'_>| match asked {
            Asked::Text(text) => engine.prompt(text).map(SentChat::of),
            Asked::Chat(chat) => Ok(SentChat::of(chat)),
        };
        Self::laid_out(spec, vec![engine.clone()], &cut)
    }

    fn laid_out(spec: &Spec, engines: Vec<Profile>, cut: Cut<'_>) -> Result<Self, RemotePlanError> {
        spec.check_size()?;
        let settings = settings(spec, None)?;
        let (named, prompts, remarks) = prompts(spec, &engines, cut)?;
        let manifest = manifest(spec, &engines, named, &settings);
        let (spec, servers, no_steps) = (spec.clone(), Vec::new(), false);
        let plan = Self { spec, manifest, settings, engines, servers, prompts, no_steps, remarks };
        plan.try_all()?;
        Ok(plan)
    }

    /// What is worth a word before the runs: chats that an engine's template makes something else of than
    /// the tokenizer's.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The same plan with the runs of one shard alone.
    #[must_use]
    pub fn with_shard(self, shard: Option<Shard>) -> Self {
        Self { manifest: self.manifest.with_shard(shard), ..self }
    }

    /// What the runs are of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The same plan with records that leave their steps out, and keep what a summary needs of them.
    #[must_use]
    pub fn without_steps(self) -> Self {
        Self { no_steps: true, ..self }
    }

    /// All runs, in canonical order; of a shard its own.
    pub fn runs(&self) -> impl Iterator<Item = RunId> {
        run_ids(&self.manifest)
    }

    /// Refuses a folder whose runs another engine or another model made.
    ///
    /// # Errors
    ///
    /// [`FolderError::Engine`].
    pub(super) fn check_folder(&self, dir: &Path) -> Result<(), FolderError> {
        let there = match Manifest::read(dir) {
            Ok(there) => there,
            Err(RecordsError::NoManifest(_)) => return Ok(()),
            Err(RecordsError::File(error)) if error.is_missing() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let other = self.manifest.engines.iter().find(|engine| !there.engines.contains(engine));
        let Some(other) = other.filter(|_| there.digest == self.manifest.digest) else {
            return Ok(());
        };
        let shown = |engine: &Value| {
            let parts =
                ["dialect", "version", "root"].map(|key| engine[key].as_str().unwrap_or("?"));
            parts.join(" ")
        };
        let theirs: Vec<String> = there.engines.iter().map(shown).collect();
        Err(FolderError::Engine {
            dir: dir.join(MANIFEST),
            theirs: theirs.join(", "),
            ours: shown(other),
        })
    }

    pub(super) fn wanted(&self, id: RunId) -> Result<Wanted, EngineError> {
        let prompt = self.manifest.prompts[id.prompt].tokens.len();
        Wanted::of(&self.settings[id.setting].request, (prompt > 0).then_some(prompt))
    }

    pub(super) fn call(&self, id: RunId, engine: usize) -> Result<(Wanted, Call), EngineError> {
        let wanted = self.wanted(id)?;
        let seed = self.manifest.seeds[id.seed];
        let profile = &self.engines[engine];
        let prompt = self.prompt(id, profile);
        // Its stream leaves out tokens where a character takes several.
        let stream = profile.url.is_some() && profile.dialect != Dialect::LlamaCpp;
        let call = profile.call(&wanted, &prompt, Some(self.spec.top_logprobs), seed, stream)?;
        Ok((wanted, call))
    }

    /// The prompt as this engine takes it.
    pub(super) fn prompt(&self, id: RunId, engine: &Profile) -> Sent {
        match (&self.prompts[id.prompt], &self.manifest.prompts[id.prompt].text) {
            (Sent::Ids(_), Some(text)) if !engine.dialect.takes_ids() => Sent::Text(text.clone()),
            (sent, _) => sent.clone(),
        }
    }

    /// Lets every setting be refused before the first run instead of at its turn.
    fn try_all(&self) -> Result<(), RemotePlanError> {
        for (setting, resolved) in self.settings.iter().enumerate() {
            let label = &resolved.setting.label;
            for prompt in 0..self.prompts.len() {
                for engine in 0..self.engines.len() {
                    self.call(RunId { prompt, setting, seed: 0 }, engine).map_err(|source| {
                        let dialect = self.engines[engine].dialect.name();
                        RemotePlanError::Setting { label: label.clone(), dialect, source }
                    })?;
                }
            }
        }
        Ok(())
    }
}

/// Prompts as the manifest has them and as they are sent, and what is to be said of them.
type Prompts = (Vec<Prompt>, Vec<Sent>, Vec<String>);

/// Makes what an engine is sent of a text.
type Cut<'c> = &'c dyn Fn(usize, Asked<'_>) -> Result<SentChat, EngineError>;

/// What an engine is to be sent.
enum Asked<'a> {
    Text(&'a str),
    Chat(Sent),
}

fn prompts(spec: &Spec, engines: &[Profile], cut: Cut<'_>) -> Result<Prompts, RemotePlanError> {
    let mut all = Prompts::default();
    for prompt in &spec.prompts {
        let (text, sent) = match &prompt.text {
            PromptText::Ids(ids) => {
                engines.iter().try_for_each(|engine| engine.check_ids(ids))?;
                (None, Sent::Ids(ids.clone()))
            }
            PromptText::Text(text) => (Some(text), same(text, engines, cut)?),
            PromptText::Chat(text) => (Some(text), chat(text, engines, cut, &mut all.2)?),
        };
        let tokens = if let Sent::Ids(ids) = &sent { ids.clone() } else { Vec::new() };
        let name = prompt.name.as_ref().or(text).cloned().unwrap_or_else(|| format!("{tokens:?}"));
        all.0.push(Prompt { name, text: text.cloned(), tokens });
        all.1.push(sent);
    }
    Ok(all)
}

/// A text as all engines are sent it: as the same tokens wherever tokens are taken.
fn same(text: &str, engines: &[Profile], cut: Cut<'_>) -> Result<Sent, RemotePlanError> {
    let mut ids: Option<(Vec<u32>, &Profile)> = None;
    for (at, engine) in engines.iter().enumerate() {
        let Sent::Ids(new) = cut(at, Asked::Text(text))?.prompt else { continue };
        match &ids {
            Some((there, first)) if *there != new => {
                let what = format!(
                    "{} makes {} tokens of it, and {} {}; give --tokenizer DIR",
                    place(first),
                    there.len(),
                    place(engine),
                    new.len()
                );
                return Err(RemotePlanError::Prompt { name: text.to_owned(), what });
            }
            Some(_) => {}
            None => ids = Some((new, engine)),
        }
    }
    Ok(ids.map_or_else(|| Sent::Text(text.to_owned()), |(ids, _)| Sent::Ids(ids)))
}

/// A chat as all engines are sent it: as tokens if those of all templates are the same.
fn chat(
    text: &str,
    engines: &[Profile],
    cut: Cut<'_>,
    remarks: &mut Vec<String>,
) -> Result<Sent, RemotePlanError> {
    let turn = json!([{ "role": "user", "content": text }]);
    let messages = Sent::chat(turn, None, None);
    let mut all = Vec::new();
    for (at, engine) in engines.iter().enumerate() {
        let sent = cut(at, Asked::Chat(messages.clone()))?;
        if let Some(why) = sent.differs {
            let (prompt, place) = (shortened(text), place(engine));
            remarks.push(format!("prompt {prompt:?} goes through the template of {place}: {why}"));
        }
        all.push(sent.prompt);
    }
    let same = all.windows(2).all(|two| two[0] == two[1]);
    Ok(all.into_iter().next().filter(|_| same).unwrap_or(messages))
}

fn place(engine: &Profile) -> String {
    let url = engine.url.as_ref().map_or_else(String::new, |url| format!(" at {url}"));
    format!("{}{url}", engine.dialect)
}

/// What a run depends on of an engine.
pub(super) fn engine_id(engine: &Profile) -> Value {
    json!({
        "dialect": engine.dialect.name(),
        "version": engine.version,
        "model": engine.model,
        "root": engine.root,
        "reproducible": engine.reproducible,
    })
}

fn manifest(
    spec: &Spec,
    engines: &[Profile],
    prompts: Vec<Prompt>,
    settings: &[Resolved],
) -> Manifest {
    let of_spec = object(spec);
    let mut of_runs = of_spec.clone();
    of_runs.retain(|key, _| !["title", "about", "tables"].contains(&key.as_str()));
    // Which engines there are is compared apart: a sweep may go on with some of them.
    let digest = hex(&Sha256::digest(json!([of_runs, "engines", prompts]).to_string()));
    let mut ids: Vec<Value> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for engine in engines {
        let id = engine_id(engine);
        if !ids.contains(&id) {
            ids.push(id);
        }
        let name = engine.model.as_deref().unwrap_or("?");
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Manifest {
        digest,
        versions: Versions::of_this_build(),
        model: ModelId { name: names.join(", "), digest: None },
        engines: ids,
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
