//! Loading a model from a Hugging Face folder; the other form, a GGUF file, is in [`crate::gguf`].

mod added_tokens;
mod assembly;
mod checkpoint;
mod error;
mod experts;
mod hub;
mod merges;
mod progress;
mod tokenizer;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::Tokenizer;

pub(crate) use self::assembly::{Assembled, assemble, not_mapped};
use self::checkpoint::Checkpoint;
pub use self::error::LoadError;
pub use self::hub::locate;
use self::tokenizer::Tokenization;
pub use self::tokenizer::load_tokenizer;
use crate::config::ConfigError;
use crate::device::{DeviceChoice, Dtype};
use crate::files::{FileError, FileKind};
use crate::gguf;
use crate::language_model::LanguageModel;
use crate::random;
use crate::spec::DecoderSpec;
use crate::threads::Threads;
use crate::weights::{TensorSource, refuse_unread};

/// How to load a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadOptions {
    /// Where it computes.
    pub device: DeviceChoice,
    /// In which type.
    pub dtype: Dtype,
    /// Weights drawn by this seed in place of those in the folder, which then needs a config alone.
    /// They say nothing sensible, as fast as trained ones.
    pub random_weights: Option<u64>,
    /// On how many threads a CPU computes. It changes no number.
    pub threads: Threads,
    /// Leaves the dropout that a `tokenizer.json` may ask for as it is: a text is then cut otherwise
    /// each time, and a seed does not repeat a run. Off, a [note](LoadedModel::notes) says so.
    pub bpe_dropout: bool,
}

/// A model with what came along in its folder.
#[derive(Debug)]
#[non_exhaustive]
pub struct LoadedModel {
    /// What to call it: the name of the folder, or of the file.
    pub name: String,
    /// The model.
    pub model: Box<dyn LanguageModel>,
    /// `tokenizer.json`, or the tokenizer in a GGUF file.
    pub tokenizer: Option<Tokenizer>,
    /// `config.json` as it is, or what a GGUF file has in its place: transformers looks here for what
    /// `generation_config.json` lacks.
    pub config: Value,
    /// `generation_config.json` as it is.
    pub generation_config: Option<Value>,
    /// `tokenizer_config.json`, with what older folders have in `special_tokens_map.json` in its
    /// place, or what a GGUF file has: the special tokens by name, perhaps a chat template.
    pub tokenizer_config: Option<Value>,
    /// `chat_template.jinja`, which is for the template that is in no other file.
    pub chat_template: Option<String>,
    /// Bytes of matrices that lie inputs first, and were copied to turn them over.
    pub turned_bytes: usize,
    /// What is not done as the files say, and what it costs: a sentence each.
    pub notes: Vec<String>,
    /// What a GGUF file recommends for sampling, by its keys (`general.sampling.temp`): llama.cpp
    /// starts from it. A folder has nothing of the kind.
    pub sampling: Map<String, Value>,
}

impl LoadedModel {
    /// A model that comes from no file, with nothing beside it: without a tokenizer and without settings.
    pub fn of(name: impl Into<String>, model: Box<dyn LanguageModel>) -> Self {
        Self {
            name: name.into(),
            model,
            tokenizer: None,
            config: Value::Null,
            turned_bytes: 0,
            generation_config: None,
            tokenizer_config: None,
            chat_template: None,
            notes: Vec::new(),
            sampling: Map::new(),
        }
    }
}

/// Loads the model in a Hugging Face folder (`config.json`, `model.safetensors` or the shards that
/// `model.safetensors.index.json` names, and, where they are there, the tokenizer, the generation
/// config and the chat template), or in a GGUF file, which has all of it in one.
///
/// On a CPU the files of weights are mapped and computed on where they lie: they must not be changed
/// as long as the model is there. The matrices of a GGUF file stay in the blocks of few bits that it
/// has; [`LoadOptions::dtype`] is the type of everything else.
///
/// # Errors
///
/// When a file is missing, malformed or cut short, when the config asks for what the weights or
/// this crate do not have or the other way round, and when the device cannot be had. See
/// [`LoadError`].
pub fn load(path: impl AsRef<Path>, options: &LoadOptions) -> Result<LoadedModel, LoadError> {
    load_with_progress(path, options, &|_| ())
}

/// As [`load`], telling meanwhile what share of the weights has been read, from 0 to 1.
///
/// # Errors
///
/// As [`load`].
pub fn load_with_progress(
    path: impl AsRef<Path>,
    options: &LoadOptions,
    tell: &dyn Fn(f64),
) -> Result<LoadedModel, LoadError> {
    let path = path.as_ref();
    if path.is_file() {
        return gguf::load_file(path, options, tell);
    }
    Parts::of_folder(path, options)?.load(options, tell)
}

/// Loads the model that comes with the crate.
///
/// # Errors
///
/// When the device cannot be had.
#[cfg(feature = "builtin")]
pub fn load_builtin(options: &LoadOptions) -> Result<LoadedModel, LoadError> {
    Parts::of_builtin()?.load(options, &|_| ())
}

/// A model in the parts that it comes in.
pub(crate) struct Parts<'a> {
    pub(crate) name: String,
    pub(crate) config: Value,
    pub(crate) spec: DecoderSpec,
    pub(crate) weights: Box<dyn TensorSource + 'a>,
    /// The tensors of a file, all of which the spec must have a place for.
    names: Vec<String>,
    pub(crate) tokenizer: Option<Tokenizer>,
    pub(crate) generation_config: Option<Value>,
    pub(crate) tokenizer_config: Option<Value>,
    chat_template: Option<String>,
    pub(crate) notes: Vec<String>,
}

impl Parts<'static> {
    /// The parts in a folder; a seed draws the weights in place of those that are there.
    pub(crate) fn of_folder(folder: &Path, options: &LoadOptions) -> Result<Self, LoadError> {
        match fs::metadata(folder) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(LoadError::NotAFolder(folder.to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(LoadError::NotFound(folder.to_owned()));
            }
            Err(source) => {
                return Err(FileError::of_system(folder, source).into());
            }
        }
        let config_path = folder.join("config.json");
        let config = FileKind::SETTINGS.read_if_there(&config_path)?;
        let config = config.ok_or_else(|| LoadError::NoConfig(folder.to_owned()))?;
        let (config, spec) = parse_config(&config, &config_path)?;
        let tokenization = Tokenization::of_folder(folder, options.bpe_dropout)?;
        check_size(tokenization.tokenizer.as_ref(), folder, spec.vocab_size)?;
        let mut notes = tokenization.notes;
        let (weights, names): (Box<dyn TensorSource>, _) =
            if let Some(seed) = options.random_weights {
                (Box::new(random::Weights::new(&spec, seed, 1.0)), Vec::new())
            } else {
                let checkpoint = Checkpoint::open(folder)?;
                notes.extend(checkpoint.read().iter().map(|path| not_mapped(path)));
                let names = checkpoint.names().cloned().collect();
                (Box::new(checkpoint), names)
            };
        Ok(Self {
            name: folder_name(folder),
            config,
            spec,
            weights,
            names,
            tokenizer: tokenization.tokenizer,
            generation_config: read_json(&folder.join("generation_config.json"))?,
            tokenizer_config: tokenization.config,
            chat_template: read_text(&folder.join("chat_template.jinja"))?,
            notes,
        })
    }

    /// The parts of the model that comes with the crate.
    #[cfg(feature = "builtin")]
    pub(crate) fn of_builtin() -> Result<Self, LoadError> {
        let name = "builtin";
        let (config, weights, tokenizer) = crate::builtin::files();
        let (config, spec) = parse_config(config.as_bytes(), Path::new(name))?;
        Ok(Self {
            name: name.to_owned(),
            config,
            spec,
            weights: Box::new(Checkpoint::in_memory(weights, Path::new(name))?),
            names: Vec::new(),
            tokenizer: Some(tokenizer::parse(tokenizer, Path::new(name))?),
            generation_config: None,
            tokenizer_config: None,
            chat_template: None,
            notes: Vec::new(),
        })
    }
}

impl Parts<'_> {
    fn load(self, options: &LoadOptions, tell: &dyn Fn(f64)) -> Result<LoadedModel, LoadError> {
        let assembled = assemble(&self.spec, &*self.weights, options, tell)?;
        self.refuse_unread(assembled.read.iter())?;
        Ok(LoadedModel {
            name: self.name,
            model: assembled.model,
            tokenizer: self.tokenizer,
            config: self.config,
            generation_config: self.generation_config,
            tokenizer_config: self.tokenizer_config,
            chat_template: self.chat_template,
            turned_bytes: assembled.turned_bytes,
            notes: assembled.notes.into_iter().chain(self.notes).collect(),
            sampling: Map::new(),
        })
    }

    /// Refuses weights that hold more than what was `read`.
    pub(crate) fn refuse_unread<'a>(
        &'a self,
        read: impl Iterator<Item = &'a String>,
    ) -> Result<(), LoadError> {
        refuse_unread(&self.spec, read, self.names.iter()).map_err(LoadError::from)
    }

    /// The chat template: in a file of its own, or else in `tokenizer_config.json`, where of several
    /// the default one is meant.
    pub(crate) fn template(&self) -> Option<&str> {
        let own = self.chat_template.as_deref();
        own.or_else(|| {
            let template = &self.tokenizer_config.as_ref()?["chat_template"];
            let named = |list: &&Value| list["name"] == "default";
            let default = || template.as_array()?.iter().find(named)?["template"].as_str();
            template.as_str().or_else(default)
        })
    }
}

/// The name of the folder, also where the path ends in `.` or `..`.
fn folder_name(folder: &Path) -> String {
    let absolute = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = absolute.file_name().unwrap_or(absolute.as_os_str());
    name.to_string_lossy().into_owned()
}

fn parse_config(bytes: &[u8], path: &Path) -> Result<(Value, DecoderSpec), LoadError> {
    let wrong = |source| LoadError::Config { path: path.to_owned(), source };
    let config: Value = serde_json::from_slice(bytes)
        .map_err(|error| wrong(ConfigError::Syntax(error.to_string())))?;
    let spec = DecoderSpec::from_config(&config).map_err(wrong)?;
    Ok((config, spec))
}

/// Refuses a tokenizer of another model. A vocabulary is often rounded up. It is smaller only by added
/// tokens, as gemma3's text model's is by the token that stands for an image: those are refused when
/// they are used.
fn check_size(
    tokenizer: Option<&Tokenizer>,
    folder: &Path,
    vocab_size: usize,
) -> Result<(), LoadError> {
    let size = tokenizer.map_or(0, |tokenizer| tokenizer.get_vocab_size(false));
    if size <= vocab_size {
        return Ok(());
    }
    let path = folder.join("tokenizer.json");
    Err(LoadError::TokenizerSize { path, tokenizer: size, vocab_size })
}

fn read_json(path: &Path) -> Result<Option<Value>, LoadError> {
    let parse = |bytes: Vec<u8>| serde_json::from_slice(&bytes);
    let parsed = FileKind::SETTINGS.read_if_there(path)?.map(parse).transpose();
    parsed.map_err(|error| LoadError::Json { path: path.to_owned(), reason: error.to_string() })
}

fn read_text(path: &Path) -> Result<Option<String>, LoadError> {
    let text = FileKind::TEMPLATE.read_if_there(path)?.map(String::from_utf8).transpose();
    text.map_err(|error| LoadError::Text { path: path.to_owned(), reason: error.to_string() })
}
