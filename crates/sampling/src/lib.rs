//! Turns a row of logits into a token, and says why.
//!
//! A language model ends in a row of numbers, one per token of its vocabulary. What is made of the
//! row, that is which tokens are considered, at what odds, and which one comes out, is *decoding*, and
//! engines that give its knobs the same names give them different meanings. This crate is the step
//! from the row to the token as a library of its own: slices in, a token and its reasons out. It
//! knows no model, no tokenizer, no clock and no file, and it has no global state.
//!
//! ```
//! use taper_sampling::prelude::*;
//!
//! let pipeline = Pipeline::draw().then(Temperature::new(0.8)?).then(TopK::new(50)?).then(TopP::new(0.9)?);
//! let mut sampler = Sampler::new(pipeline, 4).seed(7).prompt(&[2, 0]);
//! for _ in 0..3 {
//!     let logits = [2.0, 7.5, 7.5, 1.0]; // from your model
//!     println!("{}", sampler.next(&logits)?);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! And with reasons:
//!
//! ```
//! use taper_sampling::prelude::*;
//!
//! let mut sampler = Sampler::new(Pipeline::draw().then(TopK::new(2)?), 4);
//! let chosen = sampler.select(&[2.0, 7.5, 7.5, 1.0], Ask::everything())?;
//! for stage in chosen.trace.unwrap().stages() {
//!     println!("{} left {} of {}", stage.stage, stage.after, stage.before);
//! }
//! let token = chosen.token;
//! sampler.accept(token)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The [`guide`] has a loop with all that belongs to it, what ties and order change, what makes a run
//! reproducible, and how to hand over the logits of other crates.
//!
//! # The parts
//!
//! | part | what it is |
//! |---|---|
//! | [`Sampler`] | one sequence with all it needs: logits in, token out |
//! | [`Sequence`] | the same in parts: many sequences over one [`Pipeline`], in any [`Workspace`] |
//! | [`Pipeline`] | stages in order and a selector; shared by any number of sequences; data, with [`Registry`] |
//! | [`Stage`] | one step: an edit of scores or a cut; yours are as good as ours |
//! | [`Candidates`] | the tokens that can still be chosen: the verbs that stages are written in |
//! | [`Logits`] | what a step starts from: a row in `f32`, `f16` or `bf16`, or a list of tokens |
//! | [`Lint`] | what is wrong with a pipeline that cannot mean what it says |
//! | [`Ask`], [`Given`] | what to report of a step, and what comes with it besides the logits |
//! | [`Selection`], [`Choice`] | the token, and what was asked for; the second borrows nothing |
//! | [`Trace`] | per stage: survivors, mass removed, entropy, ties |
//! | [`Draws`] | randomness as a function of seed, stream, step and purpose |
//! | [`TextStream`] | bytes in, text out: stop strings and half characters held back |
//! | [`search`] | beams: Hugging Face's, canonical, sampled, diverse, stochastic |
//! | [`Guess`] | speculative decoding: a draft's token, taken or replaced without a change of distribution |
//! | [`mod@reference`] | every rule once more, naive and sorted |
//!
//! [`stages`], [`selectors`] and [`presets`] hold what a pipeline is made of; [`prelude`] has the names that
//! a page of code needs.
//!
//! # The stages
//!
//! - Reshaping: [`Temperature`], [`DynamicTemperature`], [`Renormalize`].
//! - Cuts: [`TopK`], [`TopP`], [`MinP`], [`Typical`], [`EpsilonCutoff`], [`EtaCutoff`], [`TopH`],
//!   [`TopNSigma`], [`Xtc`], [`ArgmaxOnly`].
//! - Penalties: [`RepetitionPenalty`], [`OccurrencePenalty`] (frequency and presence), [`Dry`].
//! - Bans and biases: [`NoRepeatNgram`], [`BadWords`], [`SequenceBias`], [`LogitBias`],
//!   [`SuppressTokens`], [`BeginSuppressTokens`], [`AllowedTokens`], and [`Constraint`], the seam for
//!   grammars (`Grammar`, with the feature `llguidance`, is one).
//! - Lengths: [`MinLength`], [`MinNewTokens`], [`ForcedBos`], [`ForcedEos`], [`ExponentialDecay`].
//! - Others: [`RemoveInvalidValues`], [`ClassifierFreeGuidance`].
//! - Watermarks: [`GreenList`], [`SynthId`], and the selectors [`GumbelWatermark`] and [`DualKeyGumbel`];
//!   their detectors are in [`watermark`].
//! - Selectors: [`Greedy`], [`Draw`], [`Gumbel`], [`Mirostat`], [`MirostatV2`], [`AdaptiveP`].
//!
//! [`presets`] puts them in the order of Hugging Face transformers, llama.cpp or vLLM.
//!
//! # Promises
//!
//! 1. `top_k = 1` under [`TiePolicy::LowestId`] leaves exactly the greedy choice, at any temperature.
//! 2. A removed or banned token is never selected, and the kept set is never empty.
//! 3. NaN and +∞ never become a token, and neither does a row of nothing but −∞: each is a typed
//!    error that names the token and the stage.
//! 4. The same logits and key give the same token on every CPU: exact integer sums, and an
//!    exponential and a logarithm of plain arithmetic.
//! 5. A draw depends on its own seed, stream and step, and on nothing else.
//! 6. Once a workspace is built, a step allocates nothing.
//! 7. A change of any number that a fixed seed yields is called *value-breaking* in the changelog.
//!
//! # Features
//!
//! - `std` (default): detects the CPU's vector unit through the standard library. Without it the
//!   crate needs `alloc` alone.
//! - `serde`: pipelines as JSON; `GenerationConfig`, the settings of a run under Hugging Face's names, and
//!   the preset built from it.
//! - `half`: rows in `f16` and `bf16`, of the crate of that name.
//! - `testkit`: the properties of a right sampler, to run on one of your own.
//! - `llguidance`: `Grammar`, which makes a [`Constraint`] of a JSON schema, a regular expression or a
//!   Lark grammar. It needs `std`, and 40 more crates, that take several times as long to build
//!   as this one.
#![forbid(unsafe_code)]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

/// The example of the page that the crate is published with.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod candidates;
mod data;
mod error;
#[cfg(feature = "serde")]
mod generation_config;
#[cfg(feature = "llguidance")]
mod grammar;
pub mod guide;
mod kernels;
mod logits;
pub mod math;
mod pipeline;
pub mod prelude;
pub mod presets;
pub mod reference;
pub mod search;
pub mod selectors;
mod sequence;
mod stage;
pub mod stages;
#[cfg(feature = "testkit")]
pub mod testkit;
mod ties;
pub mod watermark;

pub use candidates::{Candidates, Edge, MassRule, Normaliser};
pub use data::{
    Arguments, FromSetting, PipelineError, Registry, Setting, SettingError, Settings, UnknownWord,
};
pub use error::StageError;
#[cfg(feature = "serde")]
pub use generation_config::{GenerationConfig, OneOrMany};
#[cfg(feature = "llguidance")]
pub use grammar::{Grammar, GrammarError, GrammarVocabulary};
pub use logits::Logits;
pub use math::*;
pub use pipeline::{
    Ask, BatchRow, Choice, Given, Guess, Lint, Pipeline, SelectError, Selection, StageTrace, Step,
    Trace, Workspace,
};
pub use selectors::*;
pub use sequence::{
    Accepted, Count, DrawKey, Draws, History, Logged, Memory, Piece, Purpose, Sampler, Sequence,
    SequenceError, Series, StageMemory, TextStream, Window,
};
pub use stage::{Role, Stage, StageFn, StepContext, stage_fn};
pub use stages::*;
pub use ties::{ArgmaxTies, TiePolicy};
