//! A folder of weights in, logits out.
//!
//! [`load`] reads a Hugging Face folder or a GGUF file into a [`LanguageModel`]. The model computes; what it
//! remembers is a [`State`], a set of rows that can be forked, cut back, reordered and dropped, and
//! that share what they have in common. This crate knows nothing of sampling: what comes out is a
//! row of `f32` per position that was asked for.
//!
//! ```no_run
//! use taper_models::{LoadOptions, Outputs, Want, Work, load};
//!
//! let loaded = load("path/to/model", &LoadOptions::default())?;
//! let mut state = loaded.model.new_state();
//! let row = state.new_row();
//! let mut outputs = Outputs::new();
//! let work = [Work { row, tokens: &[1, 15043, 3186], want: Want::Last }];
//! loaded.model.forward(&mut *state, &work, &mut outputs)?;
//! assert_eq!(outputs.last(0).len(), loaded.model.vocab_size());
//!
//! let branch = state.fork(row)?; // both continue from here, each on its own
//! # let _ = branch;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The parts
//!
//! - [`DecoderSpec`] says what a model is made of; [`families`] reads one from a `config.json`.
//! - [`CpuDecoder`] is a spec with its weights on a CPU: it computes on them where they lie in the file, and
//!   gives the same bits whatever else is in a call.
//! - [`Decoder`] is the same by the tensor library. It decodes, also on a GPU, as a [`LanguageModel`], and it
//!   trains: its [differentiable mode](Decoder::forward_train) starts from [`random`] weights.
//! - [`Together`] is a model that several threads drive, and that computes in one call what they ask for.
//! - [`export_gguf`] writes a model as a file that llama.cpp reads, in the types that it has.
//! - [`LanguageModel`] is object safe and open: implement it to drive another engine.
//! - [`files`] reads and writes files: up to a size, and whole or not at all.
//! - An [`Observer`] is shown hidden states and attention weights, if one is given to a call.
//!
//! # Features
//!
//! - `builtin` (default): a small model that comes with the crate, and the grammar it was trained on.
//! - `cuda`: NVIDIA GPUs, through candle.

#![cfg_attr(docsrs, feature(doc_cfg))]

/// The example of the page that the crate is published with.
#[cfg(all(doctest, feature = "builtin"))]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(feature = "builtin")]
pub mod builtin;
mod cache;
mod config;
mod cpu;
mod decoder;
mod device;
mod error;
pub mod families;
pub mod files;
mod gguf;
mod language_model;
mod load;
mod observe;
mod passes;
pub mod random;
pub mod spec;
mod threads;
mod together;
mod watch;
mod weights;

pub use candle_core;
pub use config::ConfigError;
pub use cpu::CpuDecoder;
pub use decoder::Decoder;
pub use device::{DeviceChoice, DeviceError, Dtype};
pub use error::{ModelError, StateError};
#[cfg(feature = "builtin")]
pub use gguf::export_builtin_gguf;
pub use gguf::{ExportError, Exported, GgufError, GgufType, export_gguf, gguf_architectures};
pub use language_model::{Capabilities, LanguageModel, Outputs, RowId, State, Want, Work};
#[cfg(feature = "builtin")]
pub use load::load_builtin;
pub use load::{
    LoadError, LoadOptions, LoadedModel, load, load_tokenizer, load_with_progress, locate,
};
pub use observe::{AttentionWeights, HiddenStates, Observable, Observe, Observer};
pub use spec::DecoderSpec;
pub use threads::{Threads, ThreadsError};
pub use together::Together;
pub use tokenizers;
pub use weights::{Stored, TensorSource, WeightsError};
