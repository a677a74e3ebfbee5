//! Suite `tokenizer`: texts to ids and back, with the tokenizer beside the file.
//!
//! `text`, `ids`, `ids_with_special`; `decoded` of `ids` with special tokens kept, and
//! `decoded_skip_special` of `ids_with_special`. Without `text`, `ids` are decoded only.

use std::path::{Path, PathBuf};

use serde_json::Value;
use taper_models::load_tokenizer;
use taper_models::tokenizers::Tokenizer;

use super::case::member;

pub(super) fn run(cases: &Path, case: &Value) -> Result<(), String> {
    let missing = "no tokenizer.json beside the file or in a folder beside it";
    let folder = beside(cases).ok_or(missing)?;
    let tokenizer = load_tokenizer(folder).map_err(|error| error.to_string())?.ok_or(missing)?;
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

/// The folder of the case file if it has a `tokenizer.json`, or the first folder beside it that has
/// one.
fn beside(cases: &Path) -> Option<PathBuf> {
    let folder = cases.parent()?;
    let has_one = |folder: &Path| folder.join("tokenizer.json").is_file();
    if has_one(folder) {
        return Some(folder.to_owned());
    }
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.sort();
    folders.into_iter().find(|folder| has_one(folder))
}
