//! A spec on engines: which runs there are, and what each engine is asked.

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::engine::{Call, Dialect, EngineError, Prompt as Sent, Server, Wanted};
use crate::experiment::folder::FolderError;
use crate::experiment::manifest::{Manifest, ModelId, Prompt, Versions};
use crate::experiment::plan::{hex, numbered_seeds, object, run_ids, swept_knobs};
use crate::experiment::record::RunId;
use crate::experiment::settings::{Resolved, settings};
use crate::experiment::spec::{PromptText, Spec, SpecError};
use crate::experiment::{MANIFEST, RecordsError};

/// An experiment on engines, ready to run.
#[derive(Debug)]
pub struct RemotePlan {
    pub(super) spec: Spec,
    pub(super) manifest: Manifest,
    pub(super) settings: Vec<Resolved>,
    pub(super) engines: Vec<Server>,
    /// The prompts as engines are sent them.
    pub(super) prompts: Vec<Sent>,
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
    pub fn new(spec: &Spec, engines: Vec<Server>) -> Result<Self, RemotePlanError> {
        spec.check_size()?;
        let settings = settings(spec, None)?;
        let (named, prompts) = prompts(spec, &engines)?;
        let manifest = manifest(spec, &engines, named, &settings);
        let plan = Self { spec: spec.clone(), manifest, settings, engines, prompts };
        plan.try_all()?;
        Ok(plan)
    }

    /// What the runs are of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// All runs, in canonical order.
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
        let server = &self.engines[engine];
        let prompt = self.prompt(id, server);
        // Its stream leaves out tokens where a character takes several.
        let stream = server.dialect != Dialect::LlamaCpp;
        let call = server.call(&wanted, &prompt, Some(self.spec.top_logprobs), seed, stream)?;
        Ok((wanted, call))
    }

    /// The prompt as this engine takes it.
    pub(super) fn prompt(&self, id: RunId, server: &Server) -> Sent {
        match (&self.prompts[id.prompt], &self.manifest.prompts[id.prompt].text) {
            (Sent::Ids(_), Some(text)) if !server.dialect.takes_ids() => Sent::Text(text.clone()),
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

type Prompts = (Vec<Prompt>, Vec<Sent>);

fn prompts(spec: &Spec, engines: &[Server]) -> Result<Prompts, RemotePlanError> {
    let mut all = Prompts::default();
    for prompt in &spec.prompts {
        let (text, sent) = match &prompt.text {
            PromptText::Ids(ids) => {
                engines.iter().try_for_each(|engine| engine.check_ids(ids))?;
                (None, Sent::Ids(ids.clone()))
            }
            PromptText::Text(text) => (Some(text), same(text, engines)?),
            PromptText::Chat(text) => {
                let turn = json!([{ "role": "user", "content": text }]);
                (Some(text), Sent::chat(turn, None, None))
            }
        };
        let tokens = if let Sent::Ids(ids) = &sent { ids.clone() } else { Vec::new() };
        let name = prompt.name.as_ref().or(text).cloned().unwrap_or_else(|| format!("{tokens:?}"));
        all.0.push(Prompt { name, text: text.cloned(), tokens });
        all.1.push(sent);
    }
    Ok(all)
}

/// A text as all engines are sent it: as the same tokens wherever tokens are taken.
fn same(text: &str, engines: &[Server]) -> Result<Sent, RemotePlanError> {
    let mut ids: Option<(Vec<u32>, &Server)> = None;
    for engine in engines {
        let Sent::Ids(new) = engine.prompt(text)? else { continue };
        match &ids {
            Some((there, first)) if *there != new => {
                let what = format!(
                    "{} at {} makes {} tokens of it, and {} at {} {}; give --tokenizer DIR",
                    first.dialect,
                    first.address(),
                    there.len(),
                    engine.dialect,
                    engine.address(),
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

/// What a run depends on of an engine.
fn engine_id(server: &Server) -> Value {
    json!({
        "dialect": server.dialect.name(),
        "version": server.version,
        "model": server.model,
        "root": server.root,
        "reproducible": server.reproducible,
    })
}

fn manifest(
    spec: &Spec,
    engines: &[Server],
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
