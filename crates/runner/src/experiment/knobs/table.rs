//! Which knobs there are, and whose.

/// A setting that an experiment can turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Knob {
    /// Its name; with dashes for underscores that of the flag.
    pub name: &'static str,
    /// The engines that have it, as [`Semantics::name`](crate::Semantics::name) calls them.
    pub engines: &'static [&'static str],
}

pub(super) const ALL: &[&str] = &["huggingface", "llama.cpp", "vllm"];
const HF: &[&str] = &["huggingface"];
const LLAMA: &[&str] = &["llama.cpp"];
const VLLM: &[&str] = &["vllm"];
const HF_LLAMA: &[&str] = &["huggingface", "llama.cpp"];
const HF_VLLM: &[&str] = &["huggingface", "vllm"];
const LLAMA_VLLM: &[&str] = &["llama.cpp", "vllm"];

const OF_ENGINES: [(&[&str], &[&str]); 7] = [
    (
        ALL,
        &[
            "semantics",
            "ties",
            "on_error",
            "logits_dtype",
            "forced_prefix",
            "best_of",
            "max_new_tokens",
            "max_length",
            "eos_token_id",
            "stop_strings",
            "json_schema",
            "regex",
            "grammar",
            "temperature",
            "top_k",
            "top_p",
            "min_p",
        ],
    ),
    (HF_LLAMA, &["typical_p"]),
    (HF_VLLM, &["repetition_penalty"]),
    (LLAMA_VLLM, &["frequency_penalty", "presence_penalty", "logit_bias"]),
    (
        HF,
        &[
            "do_sample",
            "epsilon_cutoff",
            "eta_cutoff",
            "top_h",
            "no_repeat_ngram_size",
            "bad_words_ids",
            "sequence_bias",
            "suppress_tokens",
            "begin_suppress_tokens",
            "forced_bos_token_id",
            "forced_eos_token_id",
            "exponential_decay_length_penalty",
            "num_beams",
            "num_beam_groups",
            "diversity_penalty",
            "length_penalty",
            "early_stopping",
            "search",
            "min_length",
            "min_new_tokens",
            "remove_invalid_values",
            "guidance_scale",
            "negative_prompt",
            "renormalize_logits",
        ],
    ),
    (
        LLAMA,
        &[
            "samplers",
            "top_n_sigma",
            "xtc_probability",
            "xtc_threshold",
            "min_keep",
            "repeat_last_n",
            "repeat_penalty",
            "dry_multiplier",
            "dry_base",
            "dry_allowed_length",
            "dry_penalty_last_n",
            "dry_sequence_breakers",
            "dynatemp_range",
            "dynatemp_exponent",
            "mirostat",
            "mirostat_tau",
            "mirostat_eta",
            "adaptive_target",
            "adaptive_decay",
        ],
    ),
    (VLLM, &["min_tokens", "bad_words", "allowed_token_ids", "stop_token_ids"]),
];

/// Flags of `taper generate` that are no knobs, and what there is instead.
pub(super) const ELSEWHERE: [(&str, &str); 5] = [
    ("seed", "`seeds` lists them"),
    ("num_return_sequences", "a run is one sequence; `runs` says how many there are"),
    ("max_time", "a run must not depend on the clock"),
    ("top_logprobs", "it is no knob; write it at the top of the spec"),
    ("trace", "it is no knob; write it at the top of the spec"),
];

/// All knobs.
pub fn knobs() -> impl Iterator<Item = Knob> {
    let of_engines = |&(engines, names): &(&'static [&'static str], &'static [&'static str])| {
        names.iter().map(move |&name| Knob { name, engines })
    };
    OF_ENGINES.iter().flat_map(of_engines)
}
