//! `--sample here`: an engine's model in the place of a loaded one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use taper_runner::engine::{EngineModel, rows_needed};
use taper_runner::models::LoadedModel;
use taper_runner::pipeline_as_data;
use taper_runner::sampling::Pipeline;

use super::request;
use crate::cli::args::RemoteArgs;
use crate::cli::failure::Failure;
use crate::cli::settings::Flags;

/// An engine whose rows this side samples from.
pub(in crate::cli) struct Here {
    /// What is known of it.
    pub(in crate::cli) facts: Value,
    few: Arc<AtomicUsize>,
}

impl Here {
    /// Refuses stages that need logits. For a run that shows its text alone, `plain`, no more is asked
    /// for than the pipeline can tell apart.
    pub(in crate::cli) fn settle(&self, pipeline: &Pipeline, plain: bool) -> Result<(), Failure> {
        EngineModel::check(pipeline)?;
        let few = rows_needed(&pipeline_as_data(pipeline)).filter(|_| plain);
        self.few.store(few.unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }
}

/// The engine's model, and the engine.
pub(in crate::cli) fn load(
    remote: &RemoteArgs,
    flags: &Flags,
    has_text: bool,
) -> Result<(LoadedModel, Here), Failure> {
    request::check(flags, true)?;
    if !flags.named(|name| name == "logits-dtype").is_empty() {
        return Err(Failure::usage(NO_LOGITS));
    }
    connected(remote, has_text)
}

/// Why rows are not rounded.
pub(super) const NO_LOGITS: &str =
    "--logits-dtype: an engine gives log-probabilities, not logits; leave it out";

/// The same without regard to other flags.
pub(super) fn connected(
    remote: &RemoteArgs,
    has_text: bool,
) -> Result<(LoadedModel, Here), Failure> {
    let connect = remote.one()?;
    let own = remote.own_tokenizer()?;
    if own.is_none() && has_text {
        let what = "--sample here makes tokens on this side; give --tokenizer DIR, or --prompt-ids";
        return Err(Failure::usage(what));
    }
    let server = RemoteArgs::server(connect, own.clone())?;
    let facts = json!({
        "url": server.address().to_string(),
        "dialect": server.profile.dialect.name(),
        "version": server.profile.version,
        "model": server.profile.model,
        "root": server.profile.root,
        "reproducible": server.profile.reproducible,
        "logprobs": "raw",
        "sample": "here",
    });
    let name =
        server.profile.model.clone().unwrap_or_else(|| server.profile.dialect.name().to_owned());
    let model = EngineModel::new(server)?;
    let few = model.few();
    let mut loaded = LoadedModel::of(name, Box::new(model));
    if let Some(own) = own {
        let (eos, bos) = own.special();
        loaded.config = json!({ "eos_token_id": eos, "bos_token_id": bos });
        loaded.tokenizer = Some(own.inner().clone());
    }
    Ok((loaded, Here { facts, few }))
}
