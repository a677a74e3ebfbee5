//! Suite `tokenizer`: texts to ids and back, with the tokenizer beside the file.
//!
//! `text`, `ids`, `ids_with_special`; `decoded` of `ids` with special tokens kept, and
//! `decoded_skip_special` of `ids_with_special`. Without `text`, `ids` are decoded only.

use std::path::{Path, PathBuf};

use serde_json::Value;
use taper_models::files::FileKind;
use taper_models::tokenizers::Tokenizer;

use super::case::member;

const TOKENIZER: FileKind = FileKind::regular("a regular file with a tokenizer", 512);

pub(super) fn run(cases: &Path, case: &Value) -> Result<(), String> {
    let path = beside(cases).ok_or("no tokenizer.json beside the file or in a folder beside it")?;
    let bytes = TOKENIZER.read(&path).map_err(|error| error.to_string())?;
    let tokenizer = Tokenizer::from_bytes(bytes).map_err(|error| error.to_string())?;
    let ids: Vec<u32> = member(case, "ids")?;
    if let Some(text) = case["text"].as_str() {
        expect_encoded(&tokenizer, text, false, &ids)?;
        let with_special: Vec<u32> = member(case, "ids_with_special")?;
        expect_encoded(&tokenizer, text, true, &with_special)?;
        let want: String = member(case, "decoded_skip_special")?;
        expect_decoded(&tokenizer, &with_special, true, &want)?;
    }
    expect_decoded(&tokenizer, &ids, false, &member::<String>(case, "decoded")?)
}

fn expect_encoded(
    tokenizer: &Tokenizer,
    text: &str,
    special: bool,
    want: &[u32],
) -> Result<(), String> {
    let got = tokenizer.encode(text, special).map_err(|error| error.to_string())?;
    if got.get_ids() == want {
        return Ok(());
    }
    Err(format!("{text:?} is {:?}, expected {want:?}", got.get_ids()))
}

fn expect_decoded(
    tokenizer: &Tokenizer,
    ids: &[u32],
    skip: bool,
    want: &str,
) -> Result<(), String> {
    let got = tokenizer.decode(ids, skip).map_err(|error| error.to_string())?;
    if got == want { Ok(()) } else { Err(format!("{ids:?} is {got:?}, expected {want:?}")) }
}

/// The `tokenizer.json` in the folder of the case file, or in the first folder beside it that has
/// one.
fn beside(cases: &Path) -> Option<PathBuf> {
    let folder = cases.parent()?;
    let own = folder.join("tokenizer.json");
    if own.is_file() {
        return Some(own);
    }
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.sort();
    folders.into_iter().map(|folder| folder.join("tokenizer.json")).find(|file| file.is_file())
}
