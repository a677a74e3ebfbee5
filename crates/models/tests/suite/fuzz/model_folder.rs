//! A folder of arbitrary files, loaded and run.

use std::fs;

use taper_models::{DecoderSpec, load};
use tempfile::TempDir;

use super::infer::{infer, options};

/// Random weights are as large as the config asks for: no more numbers are drawn here. The crate
/// itself must refuse a config that asks for more than the second.
const DRAWN: u128 = 1 << 17;
const MOST: u128 = 1 << 44;

/// Never a panic: a model or an error, logits or an error. A zero byte parts the config from the
/// weights; another one in the weights parts a header, whose length is put ahead of it, from the
/// numbers.
pub(crate) fn run(data: &[u8]) {
    let (config, weights) = cut(data);
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("config.json"), config).expect("a file in it");
    if let Some(weights) = weights {
        fs::write(folder.path().join("model.safetensors"), file(weights)).expect("a file in it");
    }
    if let Ok(loaded) = load(&folder, &options(None)) {
        infer(&loaded);
    }
    let size = size(config);
    assert!(size <= MOST, "a model of {size} numbers");
    if size <= DRAWN
        && let Ok(loaded) = load(&folder, &options(Some(1)))
    {
        infer(&loaded);
    }
}

fn cut(data: &[u8]) -> (&[u8], Option<&[u8]>) {
    let end = data.iter().position(|byte| *byte == 0);
    end.map_or((data, None), |end| (&data[..end], Some(&data[end + 1..])))
}

/// A file of weights.
fn file(weights: &[u8]) -> Vec<u8> {
    match cut(weights) {
        (header, Some(numbers)) if header.starts_with(b"{") => {
            [&(header.len() as u64).to_le_bytes(), header, numbers].concat()
        }
        _ => weights.to_vec(),
    }
}

/// How many numbers the weights are; 0 if the config is refused.
fn size(config: &[u8]) -> u128 {
    let config = serde_json::from_slice(config).ok();
    let spec = config.and_then(|config| DecoderSpec::from_config(&config).ok());
    let tensors = spec.iter().flat_map(DecoderSpec::tensors);
    tensors.map(|tensor| tensor.shape.iter().map(|size| *size as u128).product::<u128>()).sum()
}
