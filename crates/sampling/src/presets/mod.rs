//! Pipelines as other engines build them: their order, their gating, their tie rules.

mod error;
#[cfg(feature = "serde")]
mod huggingface;
mod llama_cpp;
mod vllm;
mod watermarks;

pub use error::PresetError;
#[cfg(feature = "serde")]
pub use huggingface::huggingface;
pub use llama_cpp::{LlamaCppConfig, LlamaCppSampler, llama_cpp};
pub use vllm::{VllmConfig, vllm};
#[cfg(feature = "serde")]
pub use watermarks::{GreenListConfig, SynthIdConfig, WatermarkingConfig};
pub use watermarks::{VllmWatermark, VllmWatermarkAlgorithm};

use crate::ties::{ArgmaxTies, TiePolicy};

/// The policy for all stages as one for the argmax, where keeping all has no meaning.
fn argmax_ties(ties: Option<TiePolicy>) -> ArgmaxTies {
    match ties {
        None | Some(TiePolicy::KeepAll | TiePolicy::LowestId) => ArgmaxTies::LowestId,
        Some(TiePolicy::HighestId) => ArgmaxTies::HighestId,
        Some(TiePolicy::Random) => ArgmaxTies::Random,
        Some(TiePolicy::Error) => ArgmaxTies::Error,
    }
}
