#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod chat;
pub mod conform;
mod detect;
mod detokenizer;
mod drawn;
mod dump;
#[cfg(feature = "engines")]
pub mod engine;
mod error;
pub mod experiment;
pub mod explore;
mod grammar;
mod inspect;
pub mod knobs;
mod layers;
mod logits_dtype;
mod outcome;
mod paths;
pub mod report;
mod request;
mod run;
mod semantics;
mod source;
mod table_model;
mod told;

pub use chat::{Chat, ChatError, ChatTemplate};
pub use detect::{DetectError, Detected, Detector};
pub use detokenizer::{Detokenizer, Piece, token_text};
pub use drawn::{Drawn, DrawnToken, KeptSet, KeptSets};
pub use dump::{Dump, DumpError};
pub use error::{RequestError, RunError};
pub use grammar::TextGrammar;
pub use inspect::{BoundaryToken, Place, StageView, StepView, TokenPath, TokenShare, ViewAsk};
pub use knobs::{Idle, ModelConfigError, file_of, model_config, unused_settings};
pub use layers::{LayerView, LayersError, layers};
pub use logits_dtype::LogitsDtype;
pub use outcome::{
    BeamFate, BeamTreeNode, EffectiveConfig, Expectation, FinishReason, MemoryUse, Moved,
    MovedToken, Outcome, Redraw, Score, ScoreTiming, ScoreTotals, SequenceOutcome,
    SpeculationReport, StageReport, StepReport, Timing, TokenScore, TopToken, Usage,
    pipeline_as_data,
};
pub use request::{
    DEFAULT_MAX_NEW_TOKENS, OnError, Request, SearchMode, WATERMARK_KEY, draw_seed,
    tie_policy_name, tokenize, tokenize_plain, watermark_keys,
};
pub use run::{Draft, Generation, ScoreOptions, ScoredText, Scorer, Search, Step, score_prompt};
pub use semantics::{LlamaCpp, MirostatVersion, OwnPipeline, Recommended, Semantics, Vllm};
pub use source::Source;
pub use table_model::{TableError, TableModel};
pub use taper_models as models;
pub use taper_sampling as sampling;
pub use told::{escaped, shortened};
