//! The flags.

mod decoding;
mod observing;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use taper_runner::LogitsDtype;
use taper_runner::experiment::Table;
use taper_runner::models::{DeviceChoice, Dtype};
use taper_runner::sampling::TiePolicy;

pub(super) use self::decoding::{
    DecodingArgs, GrammarArgs, HuggingFaceArgs, LlamaCppArgs, SomeArgs, UNDER, VllmArgs,
};
pub(super) use self::observing::{DumpArgs, ScoreArgs};
use super::export::ExportArgs;
use super::sweep::SweepArgs;
use super::values::{self, Ids};

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
    /// Say how likely a text is under a model: token by token, and its perplexity
    Score(Box<ScoreArgs>),
    /// Run prompts × settings × seeds, record each run, and sum them up
    Sweep(Box<SweepArgs>),
    /// Sum up what a sweep recorded, finished or not, and write its summary.csv again
    Summarize {
        /// The sweep's folder
        dir: PathBuf,
        /// What to show: summary, prompts, jaccard, kept, texts, steps [summary,texts]
        #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = values::table)]
        tables: Vec<Table>,
    },
    /// Run cases that other engines made, and say where this build differs
    Conform {
        /// Case files (JSON Lines), and model folders with an expected.json
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Write a model as a GGUF file, in the types that llama.cpp has
    ExportGguf(ExportArgs),
    /// List the model families that can be loaded, and what each can do; or load a model and say what
    /// it is
    Models(ModelsArgs),
}

#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    /// The text to continue
    pub(super) prompt: Option<String>,

    /// The prompt as token ids instead
    #[arg(long, value_name = "IDS", value_parser = values::ids, conflicts_with = "prompt")]
    pub(super) prompt_ids: Option<Ids>,

    /// A text that what is generated has to begin with
    #[arg(long, value_name = "TEXT", value_parser = values::word)]
    pub(super) forced_prefix: Option<String>,

    #[command(flatten)]
    pub(super) chat: ChatArgs,

    #[command(flatten)]
    pub(super) model: ModelArgs,

    #[command(flatten)]
    pub(super) engine: EngineArgs,

    #[command(flatten)]
    pub(super) decoding: DecodingArgs,

    #[command(flatten)]
    pub(super) some: SomeArgs,

    #[command(flatten)]
    pub(super) hugging_face: HuggingFaceArgs,

    #[command(flatten)]
    pub(super) llama_cpp: LlamaCppArgs,

    #[command(flatten)]
    pub(super) vllm: VllmArgs,

    #[command(flatten)]
    pub(super) grammar: GrammarArgs,

    #[command(flatten)]
    pub(super) speculation: SpeculationArgs,

    #[command(flatten)]
    pub(super) stopping: StoppingArgs,

    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(super) struct ModelsArgs {
    /// What to load: a Hugging Face folder, a GGUF file, a name in Hugging Face's cache, or `builtin`
    #[arg(value_name = "DIR|FILE.gguf|org/name|builtin")]
    pub(super) model: Option<String>,

    /// Where to: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = values::device)]
    pub(super) device: DeviceChoice,

    /// In which type: auto, f32, f16 or bf16
    #[arg(long, value_name = "TYPE", default_value = "auto", value_parser = values::dtype)]
    pub(super) dtype: Dtype,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Chat")]
pub(super) struct ChatArgs {
    /// Take the prompt as what a user says, through the model's own chat template
    #[arg(long, conflicts_with = "prompt_ids")]
    pub(super) chat: bool,

    /// What the system says first
    #[arg(long, value_name = "TEXT", requires = "chat")]
    pub(super) system: Option<String>,

    /// The turns so far, ahead of the prompt if there is one: a JSON list of objects with a role and
    /// a content
    #[arg(long, value_name = "FILE.json", requires = "chat")]
    pub(super) messages: Option<PathBuf>,

    /// Tell the template whether the model is to think first
    #[arg(long, value_name = "BOOL", requires = "chat")]
    pub(super) enable_thinking: Option<bool>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub(super) struct ModelArgs {
    /// A Hugging Face folder, a GGUF file, the name of a model that is in Hugging Face's cache, or
    /// `builtin`: the small model that comes with the program
    #[arg(long, value_name = "DIR|FILE.gguf|org/name|builtin", default_value = "builtin")]
    pub(super) model: String,

    /// Which branch, tag or commit of a model in the cache [main]
    #[arg(long, value_name = "REV")]
    pub(super) revision: Option<String>,

    /// Draw the weights instead of reading them, for which a folder needs a config.json alone
    #[arg(long, value_name = "SEED", value_parser = values::seed)]
    pub(super) random_weights: Option<u64>,

    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = values::device)]
    pub(super) device: DeviceChoice,

    /// In which type: auto, f32, f16 or bf16
    #[arg(long, value_name = "TYPE", default_value = "auto", value_parser = values::dtype)]
    pub(super) dtype: Dtype,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Rules and randomness")]
pub(super) struct EngineArgs {
    /// Whose settings, defaults, order of stages and tie rules: huggingface, llama.cpp or
    /// vllm
    #[arg(long, value_name = "ENGINE", default_value = "huggingface", value_parser = values::semantics)]
    pub(super) semantics: Engine,

    /// Who stays where equal scores meet a cut, instead of the engine's own rule: keep-all,
    /// lowest-id, highest-id, random or error
    #[arg(long, value_name = "POLICY", value_parser = values::ties)]
    pub(super) ties: Option<TiePolicy>,

    /// Round each row of logits first, to f32 (not at all), f16 or bf16, as a model that computes in
    /// that type has them [f32]
    #[arg(long, value_name = "TYPE", value_parser = values::logits_dtype)]
    pub(super) logits_dtype: Option<LogitsDtype>,

    /// Names the randomness: the same seed gives the same tokens. Drawn and reported if not given
    #[arg(long, value_name = "N", value_parser = values::seed)]
    pub(super) seed: Option<u64>,

    /// What to do when no token can be chosen, as when a logit is NaN: end with the error, or take
    /// the best finite logit
    #[arg(long, value_name = "ACTION", value_enum, default_value_t = OnErrorArg::Refuse)]
    pub(super) on_error: OnErrorArg,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Guessing ahead, which changes the speed and not the distribution")]
pub(super) struct SpeculationArgs {
    /// Guess N tokens at once: what followed the last tokens where they stood before
    #[arg(long, value_name = "N", value_parser = values::count, conflicts_with = "draft_model")]
    pub(super) prompt_lookup_num_tokens: Option<usize>,

    /// Look for so many last tokens, fewer if they are not found [2]
    #[arg(long, value_name = "N", value_parser = values::count, requires = "prompt_lookup_num_tokens")]
    pub(super) max_matching_ngram_size: Option<usize>,

    /// Guess by a smaller model with the same tokens
    #[arg(long, value_name = "DIR|builtin")]
    pub(super) draft_model: Option<String>,

    /// Tokens that it guesses at once [5]
    #[arg(long, value_name = "N", value_parser = values::count, requires = "draft_model")]
    pub(super) num_assistant_tokens: Option<usize>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "How much")]
pub(super) struct StoppingArgs {
    /// How many sequences to draw [1]
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(super) num_return_sequences: Option<usize>,

    /// Draw N sequences and show the best: those with the highest mean log-probability under the
    /// model itself
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(super) best_of: Option<usize>,

    /// Most tokens to generate [128, unless the model says otherwise]
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(super) max_new_tokens: Option<usize>,

    /// Most tokens, prompt included
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(super) max_length: Option<usize>,

    /// Stop after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds)]
    pub(super) max_time: Option<f64>,

    /// Tokens that end the text, instead of the model's own; `none` to go on regardless
    #[arg(long, value_name = "IDS", value_parser = values::eos_ids)]
    pub(super) eos_token_id: Option<Ids>,

    /// A text to stop before; may be given several times
    #[arg(long, value_name = "TEXT", value_parser = values::stop_string)]
    pub(super) stop_strings: Vec<String>,
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

    /// Say of each token of the prompt how likely it was, from one more pass over it
    #[arg(long)]
    pub(super) prompt_logprobs: bool,

    #[command(flatten)]
    pub(super) dump: DumpArgs,

    /// Text as it is made, or one JSON object at the end
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

/// An engine whose rules there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    HuggingFace,
    LlamaCpp,
    Vllm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OnErrorArg {
    Refuse,
    Argmax,
}
