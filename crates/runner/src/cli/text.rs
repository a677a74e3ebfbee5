//! The text itself, as it is made, and the line of numbers after it.

use std::io::Write;
use std::path::Path;

use taper_runner::models::LoadedModel;
use taper_runner::models::files::is_stdout;
use taper_runner::{FinishReason, Generation, Outcome, SequenceOutcome, Step};

use super::args::GenerateArgs;
use super::failure::Failure;
use super::style::Style;

/// Shows the prompt and what continues it. One sequence is shown as it is made; several are shown
/// one after the other when all are there.
#[derive(Debug, Default)]
pub(super) struct Plain {
    prompt: String,
    several: bool,
    without_text: bool,
    /// Bytes of the text shown so far.
    shown: usize,
}

impl Plain {
    pub(super) fn begin(
        &mut self,
        generation: &Generation<'_>,
        prompt: String,
        loaded: &LoadedModel,
    ) -> Result<(), Failure> {
        self.several = several(generation);
        self.without_text = loaded.tokenizer.is_none();
        self.prompt = prompt;
        if !self.several {
            show(&Style::of_stdout().bold(&self.prompt))?;
        }
        Ok(())
    }

    pub(super) fn step(&mut self, step: &Step) -> Result<(), Failure> {
        if self.several {
            return Ok(());
        }
        if self.without_text {
            return show(&format!(" {}", step.token));
        }
        self.shown += step.text.len();
        show(&step.text)
    }

    pub(super) fn end(&mut self, outcome: &Outcome) -> Result<(), Failure> {
        if self.several {
            let style = Style::of_stdout();
            let prompt = style.bold(&self.prompt);
            for (i, sequence) in outcome.sequences.iter().enumerate() {
                let head = style.dim(&sequence_head(i, sequence));
                show(&format!("{head}\n{prompt}{}\n", text_of(sequence, self.without_text)))?;
            }
            return Ok(());
        }
        // What a cancelled run had held back was never part of a step.
        let rest = outcome.sequences.first().and_then(|sequence| sequence.text.get(self.shown..));
        show(&format!("{}\n", rest.unwrap_or_default()))
    }
}

pub(super) fn several(generation: &Generation<'_>) -> bool {
    let config = generation.config();
    config.best_of.or(config.generation.num_return_sequences).is_some_and(|n| n > 1)
}

pub(super) fn sequence_head(i: usize, sequence: &SequenceOutcome) -> String {
    let (tokens, reason) = (sequence.tokens.len(), sequence.finish_reason.name());
    let score = sequence.score.map_or_else(String::new, |score| format!(", score {score:.4}"));
    format!("── sequence {}: {tokens} tokens, {reason}{score} ──", i + 1)
}

/// The text; for a model without a tokenizer, the ids.
pub(super) fn text_of(sequence: &SequenceOutcome, without_text: bool) -> String {
    if !without_text {
        return sequence.text.clone();
    }
    let ids: Vec<_> = sequence.tokens.iter().map(u32::to_string).collect();
    format!(" {}", ids.join(" "))
}

/// The prompt as it stands before what continues it. An answer is not the continuation of what was asked:
/// it stands apart.
pub(super) fn shown_prompt(ids: &[u32], args: &GenerateArgs, loaded: &LoadedModel) -> String {
    if args.output.show_prompt {
        return read_prompt(ids, loaded);
    }
    let text = prompt_text(ids, args.prompt.as_deref(), loaded);
    if args.chat.chat { text.trim_end().to_owned() + "\n\n" } else { text }
}

/// The prompt as the model reads it, special tokens included.
pub(super) fn read_prompt(ids: &[u32], loaded: &LoadedModel) -> String {
    let decoded = loaded.tokenizer.as_ref().map(|tokenizer| tokenizer.decode(ids, false));
    decoded.and_then(Result::ok).unwrap_or_else(|| prompt_text(ids, None, loaded))
}

/// The prompt as it was given; as text if it was given as ids and there is a tokenizer.
pub(super) fn prompt_text(ids: &[u32], prompt: Option<&str>, loaded: &LoadedModel) -> String {
    let decoded = loaded.tokenizer.as_ref().map(|tokenizer| tokenizer.decode(ids, true));
    match (prompt, decoded) {
        (Some(text), _) => text.to_owned(),
        (None, Some(Ok(text))) => text,
        (None, _) => ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "),
    }
}

pub(super) fn show(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// A word of success on a file that was written: not into that file, if it is standard output.
pub(super) fn show_beside(file: &Path, text: &str) -> Result<(), Failure> {
    if is_stdout(file) {
        let _ = std::io::stderr().write_all(text.as_bytes());
        return Ok(());
    }
    show(text)
}

/// Token counts, how it ended, speed and memory in one line.
pub(super) fn summary(outcome: &Outcome) -> String {
    let mut parts = vec![
        format!("prompt {} tokens", outcome.usage.prompt_tokens),
        format!("generated {} tokens", outcome.usage.completion_tokens),
        format!("finished: {}", reasons(&outcome.sequences)),
    ];
    if let Some(speed) = outcome.timing.tokens_per_s {
        parts.push(format!("{speed:.1} tokens/s"));
    }
    if let Some(seconds) = outcome.timing.load_s {
        parts.push(format!("loaded in {seconds:.2} s"));
    }
    if let Some(guessing) = &outcome.speculation {
        let (right, all) = (guessing.accepted, guessing.proposed);
        parts.push(format!("{right} of {all} guesses right, {} passes", guessing.passes));
    }
    if let Some(bytes) = outcome.memory.peak_rss_bytes {
        parts.push(format!("peak memory {:.1} MB", bytes as f64 / 1e6));
    }
    if outcome.config.draws() {
        parts.push(format!("seed {}", outcome.config.seed));
    }
    parts.join(" · ")
}

/// `eos`, or for several sequences `eos ×2, length ×1`.
fn reasons(sequences: &[SequenceOutcome]) -> String {
    let mut counts: Vec<(FinishReason, usize)> = Vec::new();
    for sequence in sequences {
        match counts.iter_mut().find(|(reason, _)| *reason == sequence.finish_reason) {
            Some((_, count)) => *count += 1,
            None => counts.push((sequence.finish_reason, 1)),
        }
    }
    let one = |(reason, count): &(FinishReason, usize)| match sequences.len() {
        1 => reason.name().to_owned(),
        _ => format!("{} ×{count}", reason.name()),
    };
    counts.iter().map(one).collect::<Vec<_>>().join(", ")
}
