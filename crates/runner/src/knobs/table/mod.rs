//! The table: one line for each knob. A new one takes its line here, beside its stage and its preset.

mod huggingface;
mod llama_cpp;
mod runner;
mod several;
mod vllm;
mod watermarks;

use serde::de::DeserializeOwned;

use super::knob::Knob;
use super::value::{KnobValue, Mismatch};

/// In the order of `--help`.
pub(super) const TABLES: [&[Knob]; 7] = [
    runner::RULES,
    several::KNOBS,
    huggingface::KNOBS,
    llama_cpp::KNOBS,
    vllm::KNOBS,
    watermarks::KNOBS,
    runner::FORM_AND_LENGTH,
];

fn put<T: DeserializeOwned>(field: &mut T, value: &KnobValue) -> Result<(), Mismatch> {
    *field = value.to()?;
    Ok(())
}

/// A field of Hugging Face's config.
macro_rules! of_hf {
    ($field:ident) => {
        Setter {
            name: stringify!($field),
            put: |config, value| super::put(&mut config.$field, value),
        }
    };
}

/// A field of llama.cpp's config.
macro_rules! of_llama {
    ($field:ident) => {
        Setter {
            name: stringify!($field),
            put: |found, value| super::put(&mut found.settings.config.$field, value),
        }
    };
}

/// A field of vLLM's config.
macro_rules! of_vllm {
    ($field:ident) => {
        Setter {
            name: stringify!($field),
            put: |settings, value| super::put(&mut settings.config.$field, value),
        }
    };
}

use {of_hf, of_llama, of_vllm};
