//! What tells a model from another of the same name.

use std::fs;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};
use taper_models::LoadOptions;
use taper_models::files::{FileError, FileKind};

use super::plan::hex;

const KIND: FileKind = FileKind::regular("a regular file of a model", 1 << 40);

/// The files of a folder that have a part in what a model says.
const FILES: [&str; 7] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
];

/// SHA-256, in hex, of a model's files and of how they were loaded: what the weights are converted to
/// changes what they say. Reads all of the weights, which takes as long as reading does.
///
/// # Errors
///
/// When a file cannot be read; the error names it.
pub fn digest_of(path: impl AsRef<Path>, options: &LoadOptions) -> Result<String, FileError> {
    let path = path.as_ref();
    let told = |error| FileError::of_system(path, error);
    let mut paths = Vec::new();
    if path.is_dir() {
        for entry in fs::read_dir(path).map_err(told)? {
            let path = entry.map_err(told)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let of_weights = name.ends_with(".safetensors") || name.ends_with(".index.json");
            if FILES.contains(&&*name) || (of_weights && options.random_weights.is_none()) {
                paths.push(path);
            }
        }
    } else {
        paths.push(path.to_owned());
    }
    paths.sort();
    let mut digest = begin(options);
    for path in paths {
        add(&mut digest, &path)?;
    }
    Ok(hex(&digest.finalize()))
}

/// The same of the model that comes with the program.
#[cfg(feature = "builtin")]
pub fn digest_of_builtin(options: &LoadOptions) -> String {
    let (config, weights, tokenizer) = taper_models::builtin::files();
    let digest = begin(options).chain_update(config).chain_update(weights);
    hex(&digest.chain_update(tokenizer).finalize())
}

fn begin(options: &LoadOptions) -> Sha256 {
    // The number of threads changes nothing that comes out.
    let LoadOptions { device, dtype, random_weights, bpe_dropout, threads: _ } = options;
    let dropout = if *bpe_dropout { " bpe_dropout" } else { "" };
    Sha256::new().chain_update(format!("{device} {dtype} {random_weights:?}{dropout}\n"))
}

/// Name and length tell where one file ends and the next begins.
fn add(digest: &mut Sha256, path: &Path) -> Result<(), FileError> {
    let mut file = KIND.open(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut read = || {
        digest.update(format!("{name} {}\n", file.metadata()?.len()));
        io::copy(&mut file, digest)
    };
    read().map(drop).map_err(|error| FileError::of_system(path, error))
}
