//! Loading a model from a Hugging Face folder.

mod checkpoint;
mod error;

use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;
use tokenizers::Tokenizer;

use self::checkpoint::Checkpoint;
pub use self::error::LoadError;
use crate::config::ConfigError;
use crate::decoder::Decoder;
use crate::device::{DeviceChoice, Dtype};
use crate::language_model::LanguageModel;
use crate::spec::DecoderSpec;
use crate::weights::TensorSource;

/// How to load a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadOptions {
    /// Where it computes.
    pub device: DeviceChoice,
    /// In which type.
    pub dtype: Dtype,
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
}

/// Loads the model in a Hugging Face folder: `config.json`, `model.safetensors` or the shards that
/// `model.safetensors.index.json` names, and, where they are there, `tokenizer.json` and
/// `generation_config.json`.
///
/// The files of weights are mapped while they are read and must not be changed meanwhile.
///
/// # Errors
///
/// When a file is missing, malformed or cut short, when the config asks for what the weights or
/// this crate do not have, and when the device cannot be had. See [`LoadError`].
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
    let decoder = decoder(&spec, &Checkpoint::open(folder)?, options)?;
    Ok(LoadedModel {
        name: folder_name(folder),
        model: Box::new(decoder),
        tokenizer: read_tokenizer(folder)?,
        config,
        generation_config: read_generation_config(folder)?,
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
    })
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

fn read_tokenizer(folder: &Path) -> Result<Option<Tokenizer>, LoadError> {
    let path = folder.join("tokenizer.json");
    let bytes = read(&path)?;
    bytes.map(|bytes| parse_tokenizer(&bytes, &path)).transpose()
}

fn parse_tokenizer(bytes: &[u8], path: &Path) -> Result<Tokenizer, LoadError> {
    Tokenizer::from_bytes(bytes)
        .map_err(|error| LoadError::Tokenizer { path: path.to_owned(), reason: error.to_string() })
}

fn read_generation_config(folder: &Path) -> Result<Option<Value>, LoadError> {
    let path = folder.join("generation_config.json");
    let parse = |bytes: Vec<u8>| serde_json::from_slice(&bytes);
    let parsed = read(&path)?.map(parse).transpose();
    parsed.map_err(|error| LoadError::GenerationConfig { path, reason: error.to_string() })
}

/// The contents of a file, or `None` if there is no such file.
fn read(path: &Path) -> Result<Option<Vec<u8>>, LoadError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LoadError::Io { path: path.to_owned(), source }),
    }
}
