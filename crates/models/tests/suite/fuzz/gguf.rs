//! A GGUF file of arbitrary bytes, loaded and run.

use taper_models::load;
use tempfile::TempDir;

use super::infer::{infer, options};

/// Never a panic: a model or an error, logits or an error.
pub(crate) fn run(data: &[u8]) {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, data).expect("a file in it");
    if let Ok(loaded) = load(&path, &options(None)) {
        infer(&loaded);
    }
}
