//! The flags.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use taper_runner::models::{DeviceChoice, Dtype};
use taper_runner::sampling::{GenerationConfig, OneOrMany, TiePolicy};

use super::values::{self, Ids};
use taper_runner::Semantics;

/// Run a language model under the decoding settings of your choice, and see why each token came
/// out.
#[derive(Debug, Parser)]
#[command(name = "taper", version, arg_required_else_help = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Continue a prompt
    #[command(allow_negative_numbers = true)]
    Generate(Box<GenerateArgs>),
    /// Run cases that other engines made, and say where this build differs
    Conform {
        /// Case files (JSON Lines), and model folders with an expected.json
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// List the model families that can be loaded, and what each can do
    Models,
}

#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    /// The text to continue
    pub(super) prompt: Option<String>,

    /// The prompt as token ids instead
    #[arg(long, value_name = "IDS", value_parser = values::ids, conflicts_with = "prompt")]
    pub(super) prompt_ids: Option<Ids>,

    #[command(flatten)]
    pub(super) model: ModelArgs,

    #[command(flatten)]
    pub(super) decoding: DecodingArgs,

    #[command(flatten)]
    pub(super) engine: EngineArgs,

    #[command(flatten)]
    pub(super) stopping: StoppingArgs,

    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub(super) struct ModelArgs {
    /// A Hugging Face folder, or `builtin`: the small model that comes with the program
    #[arg(long, value_name = "DIR|builtin", default_value = "builtin")]
    pub(super) model: String,

    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = values::device)]
    pub(super) device: DeviceChoice,

    /// In which type: auto, f32, f16 or bf16
    #[arg(long, value_name = "TYPE", default_value = "auto", value_parser = values::dtype)]
    pub(super) dtype: Dtype,
}

/// Hugging Face's names. A flag goes before the model's `generation_config.json`, and that before
/// Hugging Face's defaults, which are given in brackets.
#[derive(Debug, Args)]
#[command(next_help_heading = "Decoding")]
pub(super) struct DecodingArgs {
    /// Draw tokens; otherwise take the most likely one each time [false]
    #[arg(long, value_name = "BOOL")]
    do_sample: Option<bool>,

    /// Divides the logits: below 1 sharper, above 1 flatter [1]
    #[arg(long, value_name = "T", value_parser = values::temperature)]
    temperature: Option<f64>,

    /// Keep the K best tokens, 0 for all [50]
    #[arg(long, value_name = "K", value_parser = values::switchable_count)]
    top_k: Option<usize>,

    /// Keep the best tokens that hold the share P of the probability, 1 for all [1]
    #[arg(long, value_name = "P", value_parser = values::top_p)]
    top_p: Option<f64>,

    /// Keep tokens at least P times as likely as the best, 0 for all [0]
    #[arg(long, value_name = "P", value_parser = values::min_p)]
    min_p: Option<f64>,

    /// Make tokens that occurred less likely: above 1 [1]
    #[arg(long, value_name = "R", value_parser = values::repetition_penalty)]
    repetition_penalty: Option<f64>,

    /// Let no N tokens in a row occur twice, 0 for no such rule [0]
    #[arg(long, value_name = "N", value_parser = values::switchable_count)]
    no_repeat_ngram_size: Option<usize>,

    /// How many sequences to draw [1]
    #[arg(long, value_name = "N", value_parser = values::count)]
    num_return_sequences: Option<usize>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Rules and randomness")]
pub(super) struct EngineArgs {
    /// Whose order of stages, gating and tie rules: huggingface
    #[arg(long, value_name = "ENGINE", default_value = "huggingface", value_parser = values::semantics)]
    pub(super) semantics: Semantics,

    /// Who stays where equal scores meet a cut, instead of the engine's own rule: keep-all,
    /// lowest-id, highest-id, random or error
    #[arg(long, value_name = "POLICY", value_parser = values::ties)]
    pub(super) ties: Option<TiePolicy>,

    /// Names the randomness: the same seed gives the same tokens. Drawn and reported if not given
    #[arg(long, value_name = "N", value_parser = values::seed)]
    pub(super) seed: Option<u64>,

    /// What to do when no token can be chosen, as when a logit is NaN: end with the error, or take
    /// the best finite logit
    #[arg(long, value_name = "ACTION", value_enum, default_value_t = OnErrorArg::Refuse)]
    pub(super) on_error: OnErrorArg,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Stopping")]
pub(super) struct StoppingArgs {
    /// Most tokens to generate [128, unless the model says otherwise]
    #[arg(long, value_name = "N", value_parser = values::count)]
    max_new_tokens: Option<usize>,

    /// Most tokens, prompt included
    #[arg(long, value_name = "N", value_parser = values::count)]
    max_length: Option<usize>,

    /// Stop after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds)]
    max_time: Option<f64>,

    /// Tokens that end the text, instead of the model's own; `none` to go on regardless
    #[arg(long, value_name = "IDS", value_parser = values::eos_ids)]
    eos_token_id: Option<Ids>,

    /// A text to stop before; may be given several times
    #[arg(long, value_name = "TEXT", value_parser = values::stop_string)]
    stop_strings: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// Show for each token how it came out: log-probability, rank, what each stage left
    #[arg(long)]
    pub(super) trace: bool,

    /// List the model's N best tokens at each step [5 with --trace, else 0]
    #[arg(long, value_name = "N", value_parser = values::switchable_count)]
    pub(super) top_logprobs: Option<usize>,

    /// Text as it is made, or one JSON object at the end
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OnErrorArg {
    Refuse,
    Argmax,
}

impl GenerateArgs {
    /// What the flags say, and nothing else.
    pub(super) fn config(&self) -> GenerationConfig {
        let (decoding, stopping) = (&self.decoding, &self.stopping);
        let stops = &stopping.stop_strings;
        GenerationConfig {
            do_sample: decoding.do_sample,
            temperature: decoding.temperature,
            top_k: decoding.top_k,
            top_p: decoding.top_p,
            min_p: decoding.min_p,
            repetition_penalty: decoding.repetition_penalty,
            no_repeat_ngram_size: decoding.no_repeat_ngram_size,
            num_return_sequences: decoding.num_return_sequences,
            max_new_tokens: stopping.max_new_tokens,
            max_length: stopping.max_length,
            max_time: stopping.max_time,
            eos_token_id: stopping.eos_token_id.clone().map(|ids| OneOrMany::from(ids.0)),
            stop_strings: (!stops.is_empty()).then(|| OneOrMany::from(stops.clone())),
            ..GenerationConfig::default()
        }
    }
}
