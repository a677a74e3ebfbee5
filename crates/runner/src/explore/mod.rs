//! A page on this machine where one plays with a step.
//!
//! ```text
//! browser ── GET /TOKEN/ ─► page.html, its scripts and styles
//!    │
//!    └── POST /TOKEN/api/look {tokens, knobs, …} ─► Place ─► rows.get(tokens)   the model's thread, once a text
//!                                                     └───► sampler beside it   every move of a slider
//! ```
//!
//! One thread owns the model; a slider never waits for it, because the row of logits is kept and only the sampler
//! runs again. The page keeps the tree of texts; the server keeps rows and states up to a number of bytes, and
//! computes what it dropped from the tokens again. Nothing is written but where `--keep` says, when the page is told to.
//!
//! # Who may ask
//!
//! Every path begins with a token that the address has and no other page knows. `Host` must be this machine's (a
//! name that a stranger's server resolves to it is refused), and `Origin`, if there is one, this page's. Bodies are
//! bounded. The page may load nothing from elsewhere, and shows text of models as text alone.

mod api;
mod assets;
mod keep;
mod look;
mod place;
mod rows;
mod server;

use std::collections::hash_map::RandomState;
use std::fmt::{self, Display};
use std::hash::BuildHasher;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use taper_models::LoadedModel;
use taper_sampling::Workspace;

use self::rows::Rows;
pub use self::server::{ExploreError, ExploreServer, Listen};
use crate::error::RequestError;
use crate::knobs::Knobs;
use crate::run::check_prompt;

/// What a page explores: a model, and the settings that it starts with.
#[derive(Debug)]
pub struct Explorer {
    loaded: Arc<LoadedModel>,
    /// What `--model` was, for commands to copy.
    argument: String,
    knobs: Knobs,
    /// For settings without a seed.
    seed: u64,
    prompt: Vec<u32>,
    rows: Rows,
    workspaces: Mutex<Vec<Workspace>>,
    /// Where what was tried goes as a sweep.
    kept: Option<PathBuf>,
}

impl Explorer {
    /// Starts from a prompt, which may be empty, and from settings that the model's own fill up. `argument` is what the
    /// model is called on a command line; `bytes` bounds the rows of logits and the states that are kept.
    ///
    /// # Errors
    ///
    /// When the prompt is longer than the model's context, or has a token that there is not.
    pub fn new(
        loaded: LoadedModel,
        argument: &str,
        prompt: Vec<u32>,
        knobs: Knobs,
        seed: u64,
        bytes: usize,
    ) -> Result<Self, RequestError> {
        if !prompt.is_empty() {
            check_prompt(&prompt, &*loaded.model)?;
        }
        let loaded = Arc::new(loaded);
        let rows = Rows::of(Arc::clone(&loaded), bytes);
        let argument = argument.to_owned();
        let workspaces = Mutex::default();
        Ok(Self { loaded, argument, knobs, seed, prompt, rows, workspaces, kept: None })
    }

    /// Lets a page keep what was tried: as sweeps with reports, each in a new folder of this one.
    #[must_use]
    pub fn keeping(self, dir: Option<PathBuf>) -> Self {
        Self { kept: dir, ..self }
    }

    /// Lends a workspace.
    fn with_workspace<R>(&self, f: impl FnOnce(&mut Workspace) -> R) -> R {
        let free = || self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        let lent = free().pop();
        let mut workspace = lent.unwrap_or_else(|| Workspace::new(self.loaded.model.vocab_size()));
        let outcome = f(&mut workspace);
        free().push(workspace);
        outcome
    }
}

/// Why a question has no answer, in words for a person.
#[derive(Debug, Clone, PartialEq)]
struct Denied(String);

impl Denied {
    fn new(why: impl Display) -> Self {
        Self(why.to_string())
    }
}

impl Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 128 bits that cannot be guessed, in hexadecimal digits. The standard library keys its hash maps from the
/// operating system's randomness; a hash under such keys shows nothing of them.
fn secret() -> String {
    let keyed = RandomState::new();
    format!("{:016x}{:016x}", keyed.hash_one(0), keyed.hash_one(1))
}
