//! Pipelines as other engines build them: their order, their gating, their tie rules.

mod huggingface;

pub use huggingface::{PresetError, huggingface};
