//! What can go wrong while a model is loaded.

use std::path::PathBuf;

use crate::config::ConfigError;
use crate::device::DeviceError;
use crate::files::FileError;
use crate::gguf::GgufError;
use crate::weights::WeightsError;

/// Why a model could not be loaded. Each displays as one line that says what, where, and what would
/// be right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Nothing is at the path.
    #[error(
        "{}: no such file or folder; expected a folder that holds config.json and \
         model.safetensors, a GGUF file, or the name of a model in Hugging Face's cache",
        .0.display()
    )]
    NotFound(PathBuf),
    /// Neither a folder nor a model in the cache of `huggingface_hub` has the name.
    #[error(
        "{model}: no such folder, and no such model in the cache {}; taper downloads nothing",
        cache.display()
    )]
    NotCached {
        /// What was asked for.
        model: String,
        /// Where it was looked for.
        cache: PathBuf,
    },
    /// The cache has the model and not this revision of it.
    #[error("{model}: the cache has no revision `{revision}`; it has {}", known.join(", "))]
    UnknownRevision {
        /// The model.
        model: String,
        /// What was asked for.
        revision: String,
        /// Branches, tags and commits that are there.
        known: Vec<String>,
    },
    /// A folder has no revisions.
    #[error(
        "{}: a revision (`{revision}`) is for a model in the cache, named like org/name",
        path.display()
    )]
    RevisionOfFolder {
        /// The folder.
        path: PathBuf,
        /// What was asked for.
        revision: String,
    },
    /// Something other than a folder is at the path.
    #[error(
        "{}: not a folder; expected one that holds config.json and model.safetensors",
        .0.display()
    )]
    NotAFolder(PathBuf),
    /// What is at the path is no model.
    #[error(
        "{}: neither a folder that holds config.json and model.safetensors nor a GGUF file",
        .0.display()
    )]
    NotAModel(PathBuf),
    /// A GGUF file cannot be used.
    #[error("{}: {source}", path.display())]
    Gguf {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: GgufError,
    },
    /// The folder has no config.
    #[error("{}: no config.json in this folder", .0.display())]
    NoConfig(PathBuf),
    /// The config does not describe a model that this crate can build.
    #[error("{}: {source}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ConfigError,
    },
    /// The folder has no weights.
    #[error(
        "{}: no weights in this folder; expected model.safetensors or model.safetensors.index.json",
        .0.display()
    )]
    NoWeights(PathBuf),
    /// A file of weights is cut short or is something else.
    #[error("{}: truncated, or not a safetensors file ({reason})", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The index of a sharded checkpoint cannot be used.
    #[error("{}: {reason}", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The weights are not those that the config describes.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The tokenizer has ids that the model has not.
    #[error(
        "{}: the tokenizer has {tokenizer} ids and the model {vocab_size}; they belong to different \
         models",
        path.display()
    )]
    TokenizerSize {
        /// The file.
        path: PathBuf,
        /// Ids of the tokenizer, those of added tokens aside.
        tokenizer: usize,
        /// Ids of the model.
        vocab_size: usize,
    },
    /// The tokenizer cannot be read.
    #[error("{}: not a tokenizer ({reason})", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting of the tokenizer is not what its key takes.
    #[error("{}: `{key}` is {found}; expected {expected}", path.display())]
    TokenizerSetting {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The value.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A file of settings is not JSON.
    #[error("{}: not valid JSON: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of text is not UTF-8.
    #[error("{}: not a text: {reason}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The threads cannot be had.
    #[error("cannot start the threads: {0}")]
    Threads(std::io::Error),
    /// A file or folder cannot be read, or is not what a model has in its place.
    #[error(transparent)]
    File(#[from] FileError),
    /// The device cannot be had.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl From<candle_core::Error> for LoadError {
    fn from(error: candle_core::Error) -> Self {
        Self::Weights(error.into())
    }
}
