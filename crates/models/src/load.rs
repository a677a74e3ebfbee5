//! Loading a model from a Hugging Face folder.

mod checkpoint;
mod error;
mod hub;

use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;
use tokenizers::Tokenizer;

use self::checkpoint::Checkpoint;
pub use self::error::LoadError;
pub use self::hub::locate;
use crate::config::ConfigError;
use crate::decoder::Decoder;
use crate::device::{DeviceChoice, Dtype};
use crate::language_model::LanguageModel;
use crate::random;
use crate::spec::DecoderSpec;
use crate::weights::{TensorSource, unread};

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
}

/// A model with what came along in its folder.
#[derive(Debug)]
#[non_exhaustive]
pub struct LoadedModel {
    /// What to call it: the name of the folder.
    pub name: String,
    /// The model.
    pub model: Box<dyn LanguageModel>,
    /// `tokenizer.json`.
    pub tokenizer: Option<Tokenizer>,
    /// `config.json` as it is: transformers looks here for what `generation_config.json` lacks.
    pub config: Value,
    /// `generation_config.json` as it is.
    pub generation_config: Option<Value>,
    /// `tokenizer_config.json` as it is: the special tokens by name, perhaps a chat template.
    pub tokenizer_config: Option<Value>,
    /// `chat_template.jinja`, which is for the template that is in no other file.
    pub chat_template: Option<String>,
}

/// Loads the model in a Hugging Face folder: `config.json`, `model.safetensors` or the shards that
/// `model.safetensors.index.json` names, and, where they are there, the tokenizer, the
/// generation config and the chat template.
///
/// The files of weights are mapped while they are read and must not be changed meanwhile.
///
/// # Errors
///
/// When a file is missing, malformed or cut short, when the config asks for what the weights or
/// this crate do not have or the other way round, and when the device cannot be had. See
/// [`LoadError`].
pub fn load(path: impl AsRef<Path>, options: &LoadOptions) -> Result<LoadedModel, LoadError> {
    let folder = path.as_ref();
    match std::fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(LoadError::NotAFolder(folder.to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(LoadError::NotFound(folder.to_owned()));
        }
        Err(source) => {
            let path = folder.to_owned();
            return Err(LoadError::Io { path, source });
        }
    }
    let config_path = folder.join("config.json");
    let config = read(&config_path)?.ok_or_else(|| LoadError::NoConfig(folder.to_owned()))?;
    let (config, spec) = parse_config(&config, &config_path)?;
    let tokenizer = read_tokenizer(folder, spec.vocab_size)?;
    let decoder = match options.random_weights {
        Some(seed) => decoder(&spec, &random::Weights::new(&spec, seed, 1.0), options)?,
        None => read_decoder(&spec, folder, options)?,
    };
    Ok(LoadedModel {
        name: folder_name(folder),
        model: Box::new(decoder),
        tokenizer,
        config,
        generation_config: read_json(&folder.join("generation_config.json"))?,
        tokenizer_config: read_json(&folder.join("tokenizer_config.json"))?,
        chat_template: read_text(&folder.join("chat_template.jinja"))?,
    })
}

/// Loads the model that comes with the crate.
///
/// # Errors
///
/// When the device cannot be had.
#[cfg(feature = "builtin")]
pub fn load_builtin(options: &LoadOptions) -> Result<LoadedModel, LoadError> {
    let name = "builtin";
    let (config, weights, tokenizer) = crate::builtin::files();
    let (config, spec) = parse_config(config.as_bytes(), Path::new(name))?;
    let weights = checkpoint::InMemory::parse(weights, Path::new(name))?;
    Ok(LoadedModel {
        name: name.to_owned(),
        model: Box::new(decoder(&spec, &weights, options)?),
        tokenizer: Some(parse_tokenizer(tokenizer, Path::new(name))?),
        config,
        generation_config: None,
        tokenizer_config: None,
        chat_template: None,
    })
}

/// The decoder with the weights of a folder, all of which it must have a place for: a bias that the
/// config does not mention would otherwise be missing in silence.
fn read_decoder(
    spec: &DecoderSpec,
    folder: &Path,
    options: &LoadOptions,
) -> Result<Decoder, LoadError> {
    let checkpoint = Checkpoint::open(folder)?;
    let decoder = decoder(spec, &checkpoint, options)?;
    let unread = unread(spec, decoder.tensors(), checkpoint.names());
    match unread.first() {
        None => Ok(decoder),
        Some(first) => {
            Err(LoadError::ExtraTensors { first: (*first).clone(), count: unread.len() })
        }
    }
}

fn decoder(
    spec: &DecoderSpec,
    source: &dyn TensorSource,
    options: &LoadOptions,
) -> Result<Decoder, LoadError> {
    let device = options.device.open()?;
    Decoder::new(spec, source, options.dtype.on(&device), &device)
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

fn read_tokenizer(folder: &Path, vocab_size: usize) -> Result<Option<Tokenizer>, LoadError> {
    let path = folder.join("tokenizer.json");
    let Some(bytes) = read(&path)? else {
        return Ok(None);
    };
    let tokenizer = parse_tokenizer(&bytes, &path)?;
    // A vocabulary is often rounded up. It is smaller only by added tokens, as gemma3's text model's
    // is by the token that stands for an image: those are refused when they are used.
    let size = tokenizer.get_vocab_size(false);
    if size > vocab_size {
        return Err(LoadError::TokenizerSize { path, tokenizer: size, vocab_size });
    }
    Ok(Some(tokenizer))
}

fn parse_tokenizer(bytes: &[u8], path: &Path) -> Result<Tokenizer, LoadError> {
    Tokenizer::from_bytes(bytes)
        .map_err(|error| LoadError::Tokenizer { path: path.to_owned(), reason: error.to_string() })
}

fn read_json(path: &Path) -> Result<Option<Value>, LoadError> {
    let parse = |bytes: Vec<u8>| serde_json::from_slice(&bytes);
    let parsed = read(path)?.map(parse).transpose();
    parsed.map_err(|error| LoadError::Json { path: path.to_owned(), reason: error.to_string() })
}

fn read_text(path: &Path) -> Result<Option<String>, LoadError> {
    let text = read(path)?.map(String::from_utf8).transpose();
    text.map_err(|error| LoadError::Text { path: path.to_owned(), reason: error.to_string() })
}

/// The contents of a file, or `None` if there is no such file.
fn read(path: &Path) -> Result<Option<Vec<u8>>, LoadError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LoadError::Io { path: path.to_owned(), source }),
    }
}
