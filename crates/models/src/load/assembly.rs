//! One assembly for folders, GGUF files and the model that comes with the crate.

use std::path::Path;

use super::progress::Watched;
use super::{LoadError, LoadOptions};
use crate::cpu::CpuDecoder;
use crate::decoder::Decoder;
use crate::language_model::LanguageModel;
use crate::spec::DecoderSpec;
use crate::weights::TensorSource;

/// A model that computes.
pub(crate) struct Assembled {
    pub(crate) model: Box<dyn LanguageModel>,
    /// The names of the tensors that it took.
    pub(crate) read: Vec<String>,
    pub(crate) turned_bytes: usize,
    pub(crate) notes: Vec<String>,
}

/// Makes a model of a spec and its tensors: on a CPU on the weights where they lie, on a GPU by the
/// tensor library.
pub(crate) fn assemble(
    spec: &DecoderSpec,
    source: &dyn TensorSource,
    options: &LoadOptions,
    tell: &dyn Fn(f64),
) -> Result<Assembled, LoadError> {
    let device = options.device.open()?;
    let source = Watched::new(source, spec, tell);
    if !device.is_cpu() {
        let decoder = Decoder::new(spec, &source, options.dtype.on(&device), &device)?;
        let read = decoder.tensors().iter().map(|(name, _)| name.clone()).collect();
        return Ok(Assembled {
            model: Box::new(decoder),
            read,
            turned_bytes: 0,
            notes: Vec::new(),
        });
    }
    let decoder = CpuDecoder::new(spec, &source, options.dtype.chosen(), options.threads)?;
    let read = decoder.tensors().iter().map(|(name, _)| name.clone()).collect();
    let notes = match decoder.converted() {
        0 => Vec::new(),
        bytes => vec![format!(
            "the weights were converted to {}, which takes {} of memory; without --dtype they are \
             used as they are stored",
            options.dtype,
            size(bytes)
        )],
    };
    let turned_bytes = decoder.turned();
    Ok(Assembled { model: Box::new(decoder), read, turned_bytes, notes })
}

/// What to say of a file that could not be mapped.
pub(crate) fn not_mapped(path: &Path) -> String {
    format!("{}: its file system cannot map files, so it was read into memory", path.display())
}

fn size(bytes: usize) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
