//! Flags of what looks at a model and generates nothing.

use clap::{ArgAction, Args};

use super::{Format, ModelArgs};
use crate::cli::values::{self, Ids};

#[derive(Debug, Args)]
pub(in crate::cli) struct ScoreArgs {
    /// The file with the text, taken as it is to its last byte; `-` for standard input
    pub(in crate::cli) file: Option<String>,

    /// The text itself, instead of a file
    #[arg(long, value_name = "TEXT", value_parser = values::stop_string, conflicts_with = "file")]
    pub(in crate::cli) text: Option<String>,

    /// The text as token ids instead
    #[arg(
        long, value_name = "IDS", value_parser = values::ids, conflicts_with_all = ["file", "text"]
    )]
    pub(in crate::cli) prompt_ids: Option<Ids>,

    /// Tokens that the model sees at once [the model's context]
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(in crate::cli) window: Option<usize>,

    /// By how many tokens the window moves on over a longer text. Each token is scored once, behind as
    /// many others as the window is longer than this, or more [half the window]
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(in crate::cli) stride: Option<usize>,

    /// List the model's N best tokens at each place, and behind the text
    #[arg(long, value_name = "N", value_parser = values::switchable_count, default_value_t = 0)]
    pub(in crate::cli) top_logprobs: usize,

    /// List these tokens at each place, and behind the text
    #[arg(long, value_name = "IDS", value_parser = values::ids)]
    pub(in crate::cli) logprob_ids: Option<Ids>,

    #[command(flatten)]
    pub(in crate::cli) dump: DumpArgs,

    /// A table, or one JSON object
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(in crate::cli) format: Format,

    #[command(flatten)]
    pub(in crate::cli) model: ModelArgs,

    #[cfg(feature = "engines")]
    #[command(flatten)]
    pub(in crate::cli) remote: super::RemoteArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DumpArgs {
    /// Write the hidden states of the text, its attention weights (heads × tokens × tokens a layer)
    /// or both to a file, from one more pass over it
    #[arg(
        long,
        action = ArgAction::Set,
        num_args = 2,
        value_names = ["hidden,attention", "FILE.safetensors"]
    )]
    pub(in crate::cli) dump: Option<Vec<String>>,
}
