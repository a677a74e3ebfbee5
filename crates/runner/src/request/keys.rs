//! The keys of watermarks, as a person keeps them.

use taper_sampling::GenerationConfig;
use taper_sampling::watermark::WatermarkKey;

use crate::error::{RequestError, refuse};
use crate::semantics::Semantics;

/// The variable of the environment that holds the key of a watermark, or several.
pub const WATERMARK_KEY: &str = "TAPER_WATERMARK_KEY";

/// The keys in a text: whole numbers, with spaces, commas or line breaks between them. An error does not
/// quote them.
///
/// # Errors
///
/// [`RequestError::Setting`] when there is none, or one that is no number of 64 bits.
pub fn watermark_keys(text: &str) -> Result<Vec<WatermarkKey>, RequestError> {
    let words = text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty());
    let keys: Vec<_> = words.map(|word| word.parse().map(WatermarkKey::new)).collect();
    if keys.is_empty() {
        return refuse("watermark_key", "empty", "a whole number in 0..2^64, or several");
    }
    match keys.into_iter().collect() {
        Ok(keys) => Ok(keys),
        Err(_) => refuse("watermark_key", "hidden", "whole numbers in 0..2^64"),
    }
}

/// Puts keys where the settings have a place for them.
pub(crate) fn give(
    keys: &[WatermarkKey],
    config: &mut GenerationConfig,
    semantics: &mut Semantics,
) -> Result<(), RequestError> {
    if keys.is_empty() {
        return Ok(());
    }
    let refused =
        |error| RequestError::Preset(taper_sampling::presets::PresetError::Setting(error));
    if let Semantics::Vllm(settings) = semantics
        && let Some(watermark) = settings.config.watermark_config.take()
    {
        let keyed = watermark.with_keys(keys).map_err(refused)?;
        settings.config.watermark_config = Some(keyed);
        return Ok(());
    }
    if matches!(semantics, Semantics::HuggingFace)
        && let Some(watermark) = config.watermarking_config.take()
    {
        config.watermarking_config = Some(watermark.with_keys(keys).map_err(refused)?);
        return Ok(());
    }
    refuse("watermark_key", "hidden", "left out: there is no watermark under these settings")
}
