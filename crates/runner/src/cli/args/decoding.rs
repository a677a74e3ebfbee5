//! The flags that say how to decode, under the engines' own names.
//!
//! A heading that begins with [`UNDER`] lists the engines that know the flags below it; the check
//! that a flag belongs to the chosen engine reads it there. Without that beginning all know them.

use clap::Args;
use taper_runner::SearchMode;
use taper_runner::sampling::search::EarlyStopping;

use crate::cli::values::{
    self, Chain, Decay, Ids, LogitBiases, Mirostat, SequenceBiases, Sequences,
};

/// What a heading begins with that lists engines.
pub(in crate::cli) const UNDER: &str = "Decoding under ";

/// A flag goes before the model's `generation_config.json` where the engine reads that, and that
/// before the engine's defaults, which are given in brackets.
#[derive(Debug, Args)]
#[command(next_help_heading = "Decoding")]
pub(in crate::cli) struct DecodingArgs {
    /// Divides the logits: below 1 sharper, above 1 flatter [1; llama.cpp: 0.8]; 0
    /// for the best token each time
    #[arg(long, alias = "temp", value_name = "T", value_parser = values::number)]
    pub(in crate::cli) temperature: Option<f64>,

    /// Keep the K best tokens, 0 for all [50; llama.cpp: 40; vllm: 0]
    #[arg(long, value_name = "K", value_parser = values::integer)]
    pub(in crate::cli) top_k: Option<i32>,

    /// Keep the best tokens that hold the share P of the probability, 1 for all [1; llama.cpp: 0.95]
    #[arg(long, value_name = "P", value_parser = values::number)]
    pub(in crate::cli) top_p: Option<f64>,

    /// Keep tokens at least P times as likely as the best, 0 for all [0; llama.cpp: 0.05]
    #[arg(long, value_name = "P", value_parser = values::number)]
    pub(in crate::cli) min_p: Option<f64>,
}

/// Flags that some of the engines know.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct SomeArgs {
    /// Keep the tokens nearest to the expected surprise that hold the share P, 1 for all [1]
    #[arg(long, help_heading = "Decoding under huggingface, llama.cpp", aliases = ["typ-p", "typical"], value_name = "P", value_parser = values::number)]
    pub(in crate::cli) typical_p: Option<f64>,

    /// Make tokens that occurred less likely: above 1 [1]
    #[arg(long, help_heading = "Decoding under huggingface, vllm", value_name = "R", value_parser = values::repetition_penalty)]
    pub(in crate::cli) repetition_penalty: Option<f64>,

    /// Taken off a token's score each time it occurred [0]
    #[arg(long, help_heading = "Decoding under llama.cpp, vllm", value_name = "F", value_parser = values::number)]
    pub(in crate::cli) frequency_penalty: Option<f64>,

    /// Taken off a token's score if it occurred [0]
    #[arg(long, help_heading = "Decoding under llama.cpp, vllm", value_name = "F", value_parser = values::number)]
    pub(in crate::cli) presence_penalty: Option<f64>,

    /// What to add to the logits of tokens: 5:1.5,7:-inf
    #[arg(long, help_heading = "Decoding under llama.cpp, vllm", value_name = "ID:BIAS,…", value_parser = values::logit_bias)]
    pub(in crate::cli) logit_bias: Vec<LogitBiases>,
}

/// At most one of them.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Form of the text (a build with --features llguidance)")]
#[group(multiple = false)]
pub(in crate::cli) struct GrammarArgs {
    /// JSON that this schema allows; a file, or the schema itself if it begins with {
    #[arg(long, value_name = "FILE|JSON")]
    pub(in crate::cli) json_schema: Option<String>,

    /// What this regular expression matches as a whole
    #[arg(long, value_name = "RE")]
    pub(in crate::cli) regex: Option<String>,

    /// What this grammar derives, in llguidance's variant of Lark's notation
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) grammar: Option<String>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Decoding under huggingface")]
pub(in crate::cli) struct HuggingFaceArgs {
    /// Draw tokens; otherwise take the most likely one each time [false; alone: true]
    #[arg(long, value_name = "BOOL", value_parser = values::boolean)]
    pub(in crate::cli) do_sample: Option<bool>,

    /// Keep tokens at least this likely, 0 for all [0]
    #[arg(long, value_name = "P", value_parser = values::epsilon_cutoff)]
    pub(in crate::cli) epsilon_cutoff: Option<f64>,

    /// Keep tokens at least this likely, less where many are possible; 0 for all [0]
    #[arg(long, value_name = "P", value_parser = values::eta_cutoff)]
    pub(in crate::cli) eta_cutoff: Option<f64>,

    /// Keep the best tokens that hold the share H of the entropy
    #[arg(long, value_name = "H", value_parser = values::top_h)]
    pub(in crate::cli) top_h: Option<f64>,

    /// Let no N tokens in a row occur twice, 0 for no such rule [0]
    #[arg(long, value_name = "N", value_parser = values::switchable_count)]
    pub(in crate::cli) no_repeat_ngram_size: Option<usize>,

    /// Sequences of tokens that must not appear: 1,2;3
    #[arg(long, value_name = "IDS;IDS", value_parser = values::sequences)]
    pub(in crate::cli) bad_words_ids: Option<Sequences>,

    /// What to add to the score of a sequence's last token: 1,2:-4.5;3:1
    #[arg(long, value_name = "IDS:BIAS;…", value_parser = values::sequence_bias)]
    pub(in crate::cli) sequence_bias: Option<SequenceBiases>,

    /// Tokens that must not appear
    #[arg(long, value_name = "IDS", value_parser = values::ids)]
    pub(in crate::cli) suppress_tokens: Option<Ids>,

    /// Tokens that must not be the first
    #[arg(long, value_name = "IDS", value_parser = values::ids)]
    pub(in crate::cli) begin_suppress_tokens: Option<Ids>,

    /// The token that follows a prompt of one token
    #[arg(long, value_name = "ID", value_parser = values::id)]
    pub(in crate::cli) forced_bos_token_id: Option<u32>,

    /// Tokens of which one must be the last if the length limit is reached
    #[arg(long, value_name = "IDS", value_parser = values::ids)]
    pub(in crate::cli) forced_eos_token_id: Option<Ids>,

    /// Make the end likelier by a factor for each token after the START-th: 20,1.05
    #[arg(long, value_name = "START,FACTOR", value_parser = values::decay)]
    pub(in crate::cli) exponential_decay_length_penalty: Option<Decay>,

    /// Search with N beams, which are the N best beginnings at each step [1, no search]
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(in crate::cli) num_beams: Option<usize>,

    /// Divide the beams into groups, which pay for tokens that earlier groups took [1]
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub(in crate::cli) num_beam_groups: Option<usize>,

    /// What they pay for each beam that took the token [0]
    #[arg(long, value_name = "F", value_parser = values::not_negative)]
    pub(in crate::cli) diversity_penalty: Option<f64>,

    /// Divide a beam's log-probability by its length to this power: above 0 favours long texts,
    /// below 0 short ones [1]
    #[arg(long, value_name = "X", value_parser = values::finite)]
    pub(in crate::cli) length_penalty: Option<f64>,

    /// Stop a search when N texts are complete (true), when it looks as if nothing better will come
    /// (false), or when nothing better can come (never) [false]
    #[arg(long, value_name = "true|false|never", value_parser = values::early_stopping)]
    pub(in crate::cli) early_stopping: Option<EarlyStopping>,

    /// How beams search: as huggingface does, canonical (without its heuristics) or stochastic (texts
    /// drawn without replacement) [huggingface]
    #[arg(long, value_name = "MODE", value_parser = values::search)]
    pub(in crate::cli) search: Option<SearchMode>,

    /// Do not end before so many tokens, prompt included [0]
    #[arg(long, value_name = "N", value_parser = values::switchable_count)]
    pub(in crate::cli) min_length: Option<usize>,

    /// Do not end before so many new tokens; goes before --min-length
    #[arg(long, value_name = "N", value_parser = values::switchable_count)]
    pub(in crate::cli) min_new_tokens: Option<usize>,

    /// Mend NaN and infinities among the scores instead of failing [false]
    #[arg(long, value_name = "BOOL", value_parser = values::boolean)]
    pub(in crate::cli) remove_invalid_values: Option<bool>,

    /// Move away from what the model would say to the negative prompt: 1 not at all, more further [1]
    #[arg(long, value_name = "G", value_parser = values::guidance_scale)]
    pub(in crate::cli) guidance_scale: Option<f64>,

    /// What to move away from [the last token of the prompt]
    #[arg(long, value_name = "TEXT", value_parser = values::stop_string)]
    pub(in crate::cli) negative_prompt: Option<String>,

    /// The negative prompt as token ids instead
    #[arg(long, value_name = "IDS", value_parser = values::ids, conflicts_with = "negative_prompt")]
    pub(in crate::cli) negative_prompt_ids: Option<Ids>,

    /// Turn the scores into log-probabilities at the end [false]
    #[arg(long, value_name = "BOOL", value_parser = values::boolean)]
    pub(in crate::cli) renormalize_logits: Option<bool>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Decoding under llama.cpp")]
pub(in crate::cli) struct LlamaCppArgs {
    /// The stages in order; with `adaptive_p` among them, that draws
    /// [`penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature`]
    #[arg(long, value_name = "NAME;NAME", value_parser = values::samplers)]
    pub(in crate::cli) samplers: Option<Chain>,

    /// Keep scores at most N standard deviations below the best, 0 and below for all [-1]
    #[arg(long, alias = "top-nsigma", value_name = "N", value_parser = values::number)]
    pub(in crate::cli) top_n_sigma: Option<f64>,

    /// How often to remove the likeliest tokens but one, 0 for never [0]
    #[arg(long, value_name = "P", value_parser = values::xtc_probability)]
    pub(in crate::cli) xtc_probability: Option<f64>,

    /// How likely a token must be for that, above 0.5 for none [0.1]
    #[arg(long, value_name = "P", value_parser = values::xtc_threshold)]
    pub(in crate::cli) xtc_threshold: Option<f64>,

    /// Fewest tokens that typical-p, top-p, min-p and XTC leave [0]
    #[arg(long, value_name = "N", value_parser = values::switchable_count)]
    pub(in crate::cli) min_keep: Option<usize>,

    /// How many tokens back the three penalties look, 0 to turn them off [64]
    #[arg(long, value_name = "N", value_parser = values::switchable_i32)]
    pub(in crate::cli) repeat_last_n: Option<i32>,

    /// Make tokens that occurred less likely: above 1 [1]
    #[arg(long, value_name = "R", value_parser = values::repetition_penalty)]
    pub(in crate::cli) repeat_penalty: Option<f64>,

    /// How hard to penalise tokens that prolong a repetition, 0 for not at all [0]
    #[arg(long, value_name = "M", value_parser = values::number)]
    pub(in crate::cli) dry_multiplier: Option<f64>,

    /// How the penalty grows with the repetition [1.75]
    #[arg(long, value_name = "B", value_parser = values::dry_base)]
    pub(in crate::cli) dry_base: Option<f64>,

    /// Repetitions up to this length are free [2]
    #[arg(long, value_name = "N", value_parser = values::natural_i32)]
    pub(in crate::cli) dry_allowed_length: Option<i32>,

    /// How many tokens back to look for repetitions, 0 to turn DRY off [64]
    #[arg(long, value_name = "N", value_parser = values::switchable_i32)]
    pub(in crate::cli) dry_penalty_last_n: Option<i32>,

    /// A text that no repetition reaches across; may be given several times, `none` for no such
    /// text [\n : " *]
    #[arg(long, alias = "dry-sequence-breaker", value_name = "TEXT", value_parser = values::breaker)]
    pub(in crate::cli) dry_sequence_breakers: Vec<String>,

    /// Let the temperature follow the entropy, this far to both sides, 0 for a fixed one [0]
    #[arg(long, value_name = "R", value_parser = values::not_negative)]
    pub(in crate::cli) dynatemp_range: Option<f64>,

    /// How the temperature rises with the entropy [1]
    #[arg(long, alias = "dynatemp-exp", value_name = "E", value_parser = values::not_negative)]
    pub(in crate::cli) dynatemp_exponent: Option<f64>,

    /// Draw by mirostat, version 1 or 2, in place of all stages but logit bias and temperature; 0
    /// for not [0]
    #[arg(long, value_name = "0|1|2", value_parser = values::mirostat)]
    pub(in crate::cli) mirostat: Option<Mirostat>,

    /// The surprise in bits that mirostat aims at [5]
    #[arg(long, alias = "mirostat-ent", value_name = "TAU", value_parser = values::not_negative)]
    pub(in crate::cli) mirostat_tau: Option<f64>,

    /// How fast mirostat follows it [0.1]
    #[arg(long, alias = "mirostat-lr", value_name = "ETA", value_parser = values::not_negative)]
    pub(in crate::cli) mirostat_eta: Option<f64>,

    /// The probability that `adaptive_p` aims at, below 0 for a plain draw [-1]
    #[arg(long, value_name = "P", value_parser = values::adaptive_target)]
    pub(in crate::cli) adaptive_target: Option<f64>,

    /// How much of its past `adaptive_p` keeps from token to token [0.9]
    #[arg(long, value_name = "D", value_parser = values::adaptive_decay)]
    pub(in crate::cli) adaptive_decay: Option<f64>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Decoding under vllm")]
pub(in crate::cli) struct VllmArgs {
    /// Do not end before so many new tokens [0]
    #[arg(long, value_name = "N", value_parser = values::switchable_count)]
    pub(in crate::cli) min_tokens: Option<usize>,

    /// A text that must not appear; may be given several times
    #[arg(long, value_name = "TEXT", value_parser = values::word)]
    pub(in crate::cli) bad_words: Vec<String>,

    /// The only tokens that may appear
    #[arg(long, value_name = "IDS", value_parser = values::ids)]
    pub(in crate::cli) allowed_token_ids: Option<Ids>,

    /// Tokens that end the text besides the model's own
    #[arg(long, value_name = "IDS", value_parser = values::ids)]
    pub(in crate::cli) stop_token_ids: Option<Ids>,
}
