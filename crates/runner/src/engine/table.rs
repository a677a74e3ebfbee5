//! Which setting each engine has, under which name.

use super::dialect::Dialect;

/// What becomes of a setting at an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cell {
    /// It is always sent under this name; the second is what is sent for off, as JSON (nothing where
    /// the field is left out).
    Sent(&'static str, &'static str),
    /// It is sent, and the server must have been started with this flag.
    Flag(&'static str, &'static str, &'static str),
    /// The engine takes it without effect: refused.
    Ignored,
    /// The engine has no such setting, or answers with an error: refused.
    Lacks,
    /// The engine has a setting of that name which means something else: refused.
    Differs(&'static str),
}

/// A setting and its fate at each engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// The setting, by the name of its flag with underscores.
    pub knob: &'static str,
    /// Where rules differ in what a name means, those that are meant.
    pub under: &'static str,
    cells: [Cell; 6],
}

impl Row {
    /// Its fate at an engine.
    pub fn at(&self, dialect: Dialect) -> Cell {
        let place = Dialect::ALL.iter().position(|known| *known == dialect);
        self.cells[place.unwrap_or(0)]
    }

    /// The engines that have it.
    pub fn engines(&self) -> impl Iterator<Item = Dialect> {
        let has = |cell: &Cell| matches!(cell, Cell::Sent(..) | Cell::Flag(..));
        Dialect::ALL.into_iter().zip(self.cells).filter(move |(_, cell)| has(cell)).map(|(d, _)| d)
    }
}

use Cell::{Differs, Flag, Ignored, Lacks, Sent};

const fn row(knob: &'static str, cells: &[Cell; 6]) -> Row {
    Row { knob, under: "", cells: *cells }
}

const fn under(under: &'static str, knob: &'static str, cells: &[Cell; 6]) -> Row {
    Row { knob, under, cells: *cells }
}

/// A setting that llama.cpp alone has.
const fn llama(knob: &'static str, off: &'static str) -> Row {
    row(knob, &[Sent(knob, off), Ignored, Lacks, Lacks, Lacks, Lacks])
}

/// A setting that transformers alone has.
const fn hf(knob: &'static str) -> Row {
    row(knob, &[Ignored, Ignored, Lacks, Lacks, Sent(knob, ""), Lacks])
}

const PROMPT_TOO: Cell = Differs("it counts the prompt as well");
const NOT_PROMPT: Cell = Differs("it counts the generated text alone");
const WHOLE_TEXT: Cell = Differs("it has no window and counts the whole text");
const PENALTIES: &str = "--enable-penalties";

/// The table: one row a setting, one cell an engine, in the order of [`Dialect::ALL`]. Where an
/// engine has several fields for one thing, the cell names the main one.
const ROWS: &[Row] = &[
    row(
        "temperature",
        &[
            Sent("temperature", "1.0"),
            Sent("temperature", "1.0"),
            Sent("temperature", "1.0"),
            Sent("temperature", "1.0"),
            Sent("temperature", "1.0"),
            Sent("temperature", "1.0"),
        ],
    ),
    row(
        "top_k",
        &[
            Sent("top_k", "0"),
            Sent("top_k", "0"),
            Sent("top_k", "-1"),
            Sent("top_k", "-1"),
            Sent("top_k", "0"),
            Lacks,
        ],
    ),
    row(
        "top_p",
        &[
            Sent("top_p", "1.0"),
            Sent("top_p", "1.0"),
            Sent("top_p", "1.0"),
            Sent("top_p", "1.0"),
            Sent("top_p", "1.0"),
            Sent("top_p", "1.0"),
        ],
    ),
    row(
        "min_p",
        &[
            Sent("min_p", "0.0"),
            Sent("min_p", "0.0"),
            Sent("min_p", "0.0"),
            Ignored,
            Sent("min_p", ""),
            Lacks,
        ],
    ),
    row(
        "typical_p",
        &[Sent("typical_p", "1.0"), Ignored, Ignored, Lacks, Sent("typical_p", "1.0"), Lacks],
    ),
    hf("epsilon_cutoff"),
    hf("eta_cutoff"),
    hf("top_h"),
    row(
        "repetition_penalty",
        &[
            Sent("repeat_penalty", ""),
            Sent("repetition_penalty", "1.0"),
            NOT_PROMPT,
            Flag("repetition_penalty", "1.0", PENALTIES),
            Sent("repetition_penalty", "1.0"),
            Lacks,
        ],
    ),
    under(
        "llama.cpp",
        "repeat_penalty",
        &[Sent("repeat_penalty", "1.0"), WHOLE_TEXT, NOT_PROMPT, WHOLE_TEXT, WHOLE_TEXT, Lacks],
    ),
    llama("repeat_last_n", "64"),
    under(
        "llama.cpp",
        "frequency_penalty",
        &[Sent("frequency_penalty", "0.0"), NOT_PROMPT, NOT_PROMPT, NOT_PROMPT, Lacks, NOT_PROMPT],
    ),
    under(
        "llama.cpp",
        "presence_penalty",
        &[Sent("presence_penalty", "0.0"), NOT_PROMPT, NOT_PROMPT, NOT_PROMPT, Lacks, NOT_PROMPT],
    ),
    under(
        "vllm",
        "frequency_penalty",
        &[
            PROMPT_TOO,
            Sent("frequency_penalty", "0.0"),
            Sent("frequency_penalty", "0.0"),
            Flag("frequency_penalty", "0.0", PENALTIES),
            Lacks,
            Sent("frequency_penalty", "0.0"),
        ],
    ),
    under(
        "vllm",
        "presence_penalty",
        &[
            PROMPT_TOO,
            Sent("presence_penalty", "0.0"),
            Sent("presence_penalty", "0.0"),
            Flag("presence_penalty", "0.0", PENALTIES),
            Lacks,
            Sent("presence_penalty", "0.0"),
        ],
    ),
    llama("samplers", ""),
    llama("top_n_sigma", "-1.0"),
    llama("xtc_probability", "0.0"),
    llama("xtc_threshold", "0.1"),
    llama("min_keep", "0"),
    llama("dry_multiplier", "0.0"),
    llama("dry_base", "1.75"),
    llama("dry_allowed_length", "2"),
    llama("dry_penalty_last_n", "64"),
    llama("dry_sequence_breakers", "[\"\\n\",\":\",\"\\\"\",\"*\"]"),
    llama("dynatemp_range", "0.0"),
    llama("dynatemp_exponent", "1.0"),
    llama("mirostat", "0"),
    llama("mirostat_tau", "5.0"),
    llama("mirostat_eta", "0.1"),
    llama("adaptive_target", "-1.0"),
    llama("adaptive_decay", "0.9"),
    row(
        "logit_bias",
        &[
            Sent("logit_bias", "[]"),
            Sent("logit_bias", ""),
            Sent("logit_bias", ""),
            Ignored,
            Ignored,
            Sent("logit_bias", ""),
        ],
    ),
    row(
        "min_tokens",
        &[
            Ignored,
            Sent("min_tokens", "0"),
            Sent("min_new_tokens", "0"),
            Flag("min_tokens", "0", "--enable-min-tokens"),
            Sent("min_new_tokens", ""),
            Lacks,
        ],
    ),
    row("allowed_token_ids", &[Ignored, Sent("allowed_token_ids", ""), Lacks, Lacks, Lacks, Lacks]),
    row("bad_words", &[Ignored, Sent("bad_words", ""), Lacks, Lacks, Lacks, Lacks]),
    row(
        "stop_token_ids",
        &[
            Ignored,
            Sent("stop_token_ids", "[]"),
            Sent("stop_token_ids", "[]"),
            Sent("stop_token_ids", "[]"),
            Lacks,
            Lacks,
        ],
    ),
    row(
        "eos_token_id",
        &[
            Lacks,
            Sent("ignore_eos", "false"),
            Sent("ignore_eos", "false"),
            Sent("ignore_eos", "false"),
            Sent("eos_token_id", ""),
            Lacks,
        ],
    ),
    row(
        "stop_strings",
        &[
            Sent("stop", "[]"),
            Sent("stop", "[]"),
            Sent("stop", "[]"),
            Sent("stop", "[]"),
            Sent("stop_strings", ""),
            Sent("stop", "[]"),
        ],
    ),
    row(
        "max_new_tokens",
        &[
            Sent("n_predict", ""),
            Sent("max_tokens", ""),
            Sent("max_new_tokens", ""),
            Sent("max_tokens", ""),
            Sent("max_tokens", ""),
            Sent("max_tokens", ""),
        ],
    ),
    row(
        "seed",
        &[
            Sent("seed", ""),
            Sent("seed", ""),
            Sent("sampling_seed", ""),
            Sent("seed", ""),
            Sent("seed", ""),
            Sent("seed", ""),
        ],
    ),
    row(
        "num_return_sequences",
        &[Sent("n", ""), Sent("n", "1"), Sent("n", "1"), Ignored, Ignored, Sent("n", "1")],
    ),
    row(
        "grammar",
        &[
            Sent("grammar", "\"\""),
            Sent("structured_outputs.grammar", ""),
            Sent("ebnf", ""),
            Lacks,
            Lacks,
            Lacks,
        ],
    ),
    row(
        "json_schema",
        &[
            Sent("json_schema", ""),
            Sent("structured_outputs.json", ""),
            Sent("json_schema", ""),
            Flag("response_format", "", "--enable-structured-output"),
            Lacks,
            Sent("response_format", ""),
        ],
    ),
    row(
        "regex",
        &[Lacks, Sent("structured_outputs.regex", ""), Sent("regex", ""), Lacks, Lacks, Lacks],
    ),
    hf("no_repeat_ngram_size"),
    hf("bad_words_ids"),
    hf("sequence_bias"),
    hf("suppress_tokens"),
    hf("begin_suppress_tokens"),
    hf("forced_bos_token_id"),
    hf("forced_eos_token_id"),
    hf("exponential_decay_length_penalty"),
    hf("min_length"),
    hf("remove_invalid_values"),
    hf("renormalize_logits"),
    // Searches: what an engine has of them are not Hugging Face's rules, or not to be streamed.
    row(
        "num_beams",
        &[
            Lacks,
            Differs("its beams follow rules of its own"),
            Lacks,
            Ignored,
            Sent("num_beams", ""),
            Lacks,
        ],
    ),
    hf("length_penalty"),
    hf("early_stopping"),
    row("guidance_scale", &[Lacks, Ignored, Lacks, Lacks, Lacks, Lacks]),
    row("best_of", &[Ignored, Ignored, Lacks, Ignored, Lacks, Lacks]),
    row("forced_prefix", &[Lacks, Lacks, Lacks, Lacks, Lacks, Lacks]),
    row("ties", &[Lacks, Lacks, Lacks, Lacks, Lacks, Lacks]),
    row("logits_dtype", &[Lacks, Lacks, Lacks, Lacks, Lacks, Lacks]),
    row("watermark", &[Lacks, Lacks, Lacks, Lacks, Lacks, Lacks]),
    row("on_error", &[Lacks, Lacks, Lacks, Lacks, Lacks, Lacks]),
    row("pipeline", &[Lacks, Lacks, Lacks, Lacks, Lacks, Lacks]),
];

/// The table of settings and engines.
pub fn rows() -> &'static [Row] {
    ROWS
}

/// The row of a setting, as `rules` mean it.
pub(super) fn find(knob: &str, rules: &str) -> Option<&'static Row> {
    let named = || ROWS.iter().filter(|row| row.knob == knob);
    let other = if rules == "llama.cpp" { "llama.cpp" } else { "vllm" };
    named()
        .find(|row| row.under == other)
        .or_else(|| named().find(|row| row.under.is_empty() || row.under == "llama.cpp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_one_row_for_each_meaning() {
        let mut seen = std::collections::BTreeSet::new();
        assert!(ROWS.iter().all(|row| seen.insert((row.knob, row.under))));
        for row in ROWS {
            for dialect in Dialect::ALL {
                let (Cell::Sent(_, off) | Cell::Flag(_, off, _)) = row.at(dialect) else {
                    continue;
                };
                let json: Result<serde_json::Value, _> = serde_json::from_str(off);
                assert!(off.is_empty() || json.is_ok(), "{}: {off}", row.knob);
            }
        }
        let window = find("frequency_penalty", "llama.cpp").unwrap();
        assert!(window.engines().eq([Dialect::LlamaCpp]));
        let plain = find("frequency_penalty", "vllm").unwrap();
        assert_eq!(plain.at(Dialect::LlamaCpp), PROMPT_TOO);
    }
}
