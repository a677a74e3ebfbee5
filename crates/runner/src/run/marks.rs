//! Where a watermark cannot be made.

use taper_sampling::Pipeline;

use crate::error::{RequestError, refuse};

/// Marks that their engines do not define where tokens are not drawn one after the other: SynthID counts
/// the calls of one text, and vLLM leaves beams unmarked and marks drafts by another key.
const ONE_AFTER_THE_OTHER: [&str; 3] = ["synth_id", "gumbel_watermark", "dual_key_gumbel"];

/// Refuses a watermark that is not defined `with` something.
pub(in crate::run) fn refuse_marks(pipeline: &Pipeline, with: &str) -> Result<(), RequestError> {
    let stages = pipeline.stages().iter().map(|stage| stage.name());
    let mut names = stages.chain([pipeline.selector().name()]);
    match names.find(|name| ONE_AFTER_THE_OTHER.contains(name)) {
        None => Ok(()),
        Some(name) => refuse("watermark", name, format!("left out with {with}")),
    }
}
