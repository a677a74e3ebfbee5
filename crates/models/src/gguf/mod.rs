//! Models in one file, as llama.cpp has them.
//!
//! A GGUF file says in its metadata what a folder says in `config.json` and `tokenizer.json`. Both
//! are put together from it and read by the families as they are, so that the model is the same
//! [`CpuDecoder`](crate::CpuDecoder), or [`Decoder`](crate::Decoder), whose matrices stay in the blocks of few bits that the file has.

mod architecture;
mod config;
mod ends;
mod error;
mod export;
mod header;
mod keys;
mod metadata;
mod pre_tokenizer;
mod refused;
mod sampling;
#[cfg(test)]
mod table_of_keys;
mod tensors;
mod tokenizer;
mod tokens;
mod vocabulary;

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use candle_core::{DType, Device};
use serde_json::{Map, Value, json};

use self::architecture::Architecture;
pub use self::error::GgufError;
#[cfg(feature = "builtin")]
pub use self::export::export_builtin_gguf;
pub use self::export::{ExportError, Exported, GgufType, export_gguf};
use self::header::{Failed, Header, MAGIC};
use self::metadata::Metadata;
use self::tensors::Tensors;
use crate::files::{FileError, FileKind};
use crate::load::{Assembled, LoadError, LoadOptions, LoadedModel, assemble, not_mapped};
use crate::random;
use crate::spec::{DecoderSpec, MixerSpec, RopeSpec};
use crate::weights::{Bytes, TensorSource, refuse_unread};

/// A tensor of llama 3's files: by what each frequency of the rotation is divided.
const ROPE_FACTORS: &str = "rope_freqs.weight";

/// The architectures of GGUF files that can be loaded and written.
pub fn gguf_architectures() -> Vec<&'static str> {
    Architecture::supported()
}

/// Loads the model in a GGUF file; `tell` is told what share of it has been read.
pub(crate) fn load_file(
    path: &Path,
    options: &LoadOptions,
    tell: &dyn Fn(f64),
) -> Result<LoadedModel, LoadError> {
    let (file, header) = open(path)?;
    let wrong = |source| LoadError::Gguf { path: path.to_owned(), source };
    let name = header.metadata.text("general.architecture").map_err(wrong)?;
    let architecture = Architecture::named(name).map_err(wrong)?;
    let config = config::config(&header, architecture).map_err(wrong)?;
    let spec = DecoderSpec::from_config(&config);
    let mut spec = spec.map_err(|error| match config::in_terms_of_keys(error, architecture) {
        Ok(error) => wrong(error),
        Err(source) => LoadError::Config { path: path.to_owned(), source },
    })?;
    architecture.rename(&mut spec);
    let Header { metadata, tensors } = header;
    let tokenizer_config = tokenizer_config(&metadata).map_err(wrong)?;
    let sampling = sampling::recommended(&metadata, spec.vocab_size).map_err(wrong)?;
    let gain = config::rotation_gain(&metadata, architecture).map_err(wrong)?;
    rotations(&mut spec).for_each(|rope| rope.gain = gain);
    let bytes = Bytes::of_file(&file).map_err(|source| FileError::of_system(path, source))?;
    let notes = if bytes.is_borrowed() { Vec::new() } else { vec![not_mapped(path)] };
    let vocab_size = spec.vocab_size;
    let (tokenizer, assembled) = thread::scope(|scope| {
        // It takes the metadata along, whose many texts are then not held any longer than it needs them.
        let tokenizer = scope.spawn(move || tokenizer::read(&metadata, vocab_size));
        let mut tensors = Tensors::new(bytes, tensors);
        let assembled = model(&mut spec, architecture, &mut tensors, path, options, tell);
        (tokenizer.join(), assembled)
    });
    let tokenizer = tokenizer.unwrap_or_else(|panic| resume_unwind(panic)).map_err(wrong)?;
    let mut assembled = assembled?;
    assembled.notes.extend(notes);
    Ok(LoadedModel {
        name: path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        model: assembled.model,
        turned_bytes: assembled.turned_bytes,
        notes: assembled.notes,
        tokenizer,
        config,
        generation_config: None,
        tokenizer_config: Some(tokenizer_config),
        chat_template: None,
        sampling,
    })
}

/// Makes the model of the tensors of a file, or of weights that are drawn.
fn model(
    spec: &mut DecoderSpec,
    architecture: Architecture,
    tensors: &mut Tensors,
    path: &Path,
    options: &LoadOptions,
    tell: &dyn Fn(f64),
) -> Result<Assembled, LoadError> {
    if let Some(seed) = options.random_weights {
        return assemble(spec, &random::Weights::new(spec, seed, 1.0), options, tell);
    }
    prepare(spec, architecture, tensors, path)?;
    let assembled = assemble(spec, tensors, options, tell)?;
    refuse_unread(spec, assembled.read.iter(), tensors.names())?;
    Ok(assembled)
}

/// Opens a file and reads its header.
fn open(path: &Path) -> Result<(File, Header), LoadError> {
    let io = |source| LoadError::File(FileError::of_system(path, source));
    let mut file = FileKind::WEIGHTS.open(path)?;
    let length = file.metadata().map_err(io)?.len();
    let mut magic = [0; MAGIC.len()];
    match file.read_exact(&mut magic) {
        Ok(()) if magic == MAGIC => {}
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => return Err(io(error)),
        _ => return Err(LoadError::NotAModel(path.to_owned())),
    }
    let header =
        Header::read(BufReader::new(&mut file), length).map_err(|failed| match failed {
            Failed::Format(source) => LoadError::Gguf { path: path.to_owned(), source },
            Failed::Io(source) => io(source),
        })?;
    Ok((file, header))
}

/// Checks the tensors by the header, ahead of reading any of them, which may take long; takes over
/// what the file does otherwise than the family.
fn prepare(
    spec: &mut DecoderSpec,
    architecture: Architecture,
    tensors: &mut Tensors,
    path: &Path,
) -> Result<(), LoadError> {
    for tensor in spec.tensors() {
        tensors.check(&tensor)?;
    }
    let factors = match architecture {
        Architecture::Llama => tensors.tensor(ROPE_FACTORS, &Device::Cpu)?,
        _ => None,
    };
    if let Some(factors) = factors {
        let factors = factors.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?;
        scale_rotations(spec, &factors)
            .map_err(|source| LoadError::Gguf { path: path.to_owned(), source })?;
    }
    if architecture.rotates_neighbours() {
        tensors.part_neighbours(spec);
    }
    Ok(())
}

fn rotations(spec: &mut DecoderSpec) -> impl Iterator<Item = &mut RopeSpec> {
    let blocks = spec.layers.iter_mut().flat_map(|layer| &mut layer.blocks);
    blocks.flat_map(|block| &mut block.mixers).filter_map(|mixer| match mixer {
        MixerSpec::Attention(attention) => attention.rope.as_mut(),
        _ => None,
    })
}

/// Takes over the factors of the rotation that the file has.
fn scale_rotations(spec: &mut DecoderSpec, factors: &[f32]) -> Result<(), GgufError> {
    let wrong = |reason: String| GgufError::Tensor { name: ROPE_FACTORS.to_owned(), reason };
    if let Some(found) = factors.iter().find(|factor| !(factor.is_finite() && **factor > 0.0)) {
        return Err(wrong(format!("it holds {found}; a factor is a finite number above 0")));
    }
    for rope in rotations(spec) {
        if factors.len() != rope.dim / 2 {
            let (found, right) = (factors.len(), rope.dim / 2);
            return Err(wrong(format!("it has {found} factors; expected {right}")));
        }
        rope.slow(factors);
    }
    spec.naming.ignored.push(ROPE_FACTORS.to_owned());
    Ok(())
}

/// What a folder has in `tokenizer_config.json`: special tokens by name and the chat template.
fn tokenizer_config(metadata: &Metadata) -> Result<Value, GgufError> {
    let tokens = metadata.optional_texts(vocabulary::TOKENS)?.unwrap_or_default();
    let mut config = Map::new();
    for (key, name) in vocabulary::SPECIAL {
        let id = metadata.optional_count(key)?;
        if let Some(token) = id.and_then(|id| tokens.get(id)) {
            config.insert(name.to_owned(), json!(token));
        }
    }
    if let Some(template) = metadata.optional_text(vocabulary::CHAT_TEMPLATE)? {
        config.insert("chat_template".to_owned(), json!(template));
    }
    Ok(Value::Object(config))
}
