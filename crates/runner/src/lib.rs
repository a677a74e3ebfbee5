#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod chat;
mod clock;
pub mod conform;
mod detokenizer;
mod dump;
mod error;
pub mod experiment;
pub mod explore;
mod generation;
mod grammar;
mod inspect;
pub mod knobs;
mod logits_dtype;
mod outcome;
pub mod report;
mod request;
mod score;
mod search;
mod semantics;
mod table_model;
mod told;

pub use chat::{Chat, ChatError, ChatTemplate};
pub use detokenizer::{Detokenizer, Piece, token_text};
pub use dump::{Dump, DumpError};
pub use error::{RequestError, RunError};
pub use generation::{Draft, Generation, Source, SpeculationReport, Step};
pub use grammar::TextGrammar;
pub use inspect::{BoundaryToken, Place, StageView, StepView, TokenPath, TokenShare, ViewAsk};
pub use logits_dtype::LogitsDtype;
pub use outcome::{
    EffectiveConfig, FinishReason, MemoryUse, OnError, Outcome, Redraw, SequenceOutcome,
    StageReport, StepReport, Timing, TopToken, Usage, pipeline_as_data, tie_policy_name,
};
pub use request::{
    DEFAULT_MAX_NEW_TOKENS, ModelConfigError, Request, draw_seed, file_of, model_config, tokenize,
    tokenize_plain, unused_settings,
};
pub use score::{
    Expectation, Score, ScoreOptions, ScoreTiming, ScoreTotals, ScoredText, Scorer, TokenScore,
    score_prompt,
};
pub use search::{BeamFate, BeamTreeNode, Search, SearchMode};
pub use semantics::{Idle, LlamaCpp, MirostatVersion, OwnPipeline, Recommended, Semantics, Vllm};
pub use table_model::{TableError, TableModel};
pub use taper_models as models;
pub use taper_sampling as sampling;
pub use told::{escaped, shortened};
