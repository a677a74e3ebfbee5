//! `tokenizer.json`, with what the files beside it change.

use std::path::Path;

use serde_json::Value;
use tokenizers::{ModelWrapper, Tokenizer};

use super::added_tokens::Changes;
use super::{LoadError, merges};
use crate::files::FileKind;

/// The tokenizer in a folder.
pub(crate) struct Tokenization {
    pub(crate) tokenizer: Option<Tokenizer>,
    /// `tokenizer_config.json`, and `special_tokens_map.json` where it counts.
    pub(crate) config: Option<Value>,
    /// What is not done as the files say.
    pub(crate) notes: Vec<String>,
}

impl Tokenization {
    /// Reads the files in a folder. `dropout` leaves that of BPE as it is.
    pub(crate) fn of_folder(folder: &Path, dropout: bool) -> Result<Self, LoadError> {
        let changes = Changes::of_folder(folder)?;
        let path = folder.join("tokenizer.json");
        let mut notes = Vec::new();
        let tokenizer = match FileKind::TOKENIZER.read_if_there(&path)? {
            Some(bytes) => {
                let mut tokenizer = parse(&bytes, &path)?;
                changes.apply(&mut tokenizer, &path)?;
                if !dropout {
                    notes.extend(without_dropout(&mut tokenizer));
                }
                Some(tokenizer)
            }
            None => None,
        };
        Ok(Self { tokenizer, config: changes.into_config(), notes })
    }
}

/// Reads the tokenizer in a Hugging Face folder as [`load`](fn@crate::load) does: `tokenizer.json`
/// without the truncation and padding that it may ask for, and without dropout, with the added tokens
/// that `tokenizer_config.json`, or in older folders `special_tokens_map.json` and
/// `added_tokens.json`, change. `None` if there is none.
///
/// # Errors
///
/// When a file is malformed.
pub fn load_tokenizer(folder: impl AsRef<Path>) -> Result<Option<Tokenizer>, LoadError> {
    Tokenization::of_folder(folder.as_ref(), false).map(|read| read.tokenizer)
}

/// A tokenizer that takes a text as it is: what a `tokenizer.json` says of truncation and padding is
/// for batches.
pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Tokenizer, LoadError> {
    let wrong = |reason: String| LoadError::Tokenizer { path: path.to_owned(), reason };
    merges::check(bytes).map_err(wrong)?;
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|error| wrong(error.to_string()))?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|error| wrong(error.to_string()))?;
    Ok(tokenizer)
}

/// Switches off what leaves merges out at random; says so.
fn without_dropout(tokenizer: &mut Tokenizer) -> Option<String> {
    let ModelWrapper::BPE(model) = tokenizer.get_model() else { return None };
    let dropout = model.dropout.filter(|dropout| *dropout > 0.0)?;
    let mut model = model.clone();
    model.dropout = None;
    tokenizer.with_model(model);
    Some(format!(
        "tokenizer.json has a dropout of {dropout}, by which a text is cut at random: it is off"
    ))
}
