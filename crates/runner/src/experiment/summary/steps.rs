//! Runs token by token: what was chosen, what else there was, what other draws would have chosen.

use std::fmt::Write as _;

use super::markdown::{Lines, dash, shorten};
use crate::experiment::record::{Alternative, Record, StepRecord};
use crate::told::escaped;

/// Tokens of a redrawn step that are shown.
const REDRAWN_SHOWN: usize = 5;

/// A table for each record.
pub(super) fn steps(records: &[Record]) -> String {
    let mut text = String::new();
    for record in records {
        // A write to a string does not fail.
        let (label, prompt) = (shorten(&record.label), shorten(&record.prompt));
        let _ = writeln!(text, "{}, {prompt:?}, seed {}:\n", escaped(&label), record.seed);
        text += &table(&record.steps);
        text.push('\n');
    }
    text
}

fn table(steps: &[StepRecord]) -> String {
    let redrawn = steps.iter().any(|step| !step.redraws.is_empty());
    let mut head = vec!["token", "the model's", "rank", "chosen with", "kept", "the model's best"];
    if redrawn {
        head.push("drawn again");
    }
    let mut lines = Lines::new(&head);
    for step in steps {
        let mut line = vec![
            format!("{:?}", step.text),
            percent(step.logprob.map(f64::exp)),
            step.rank.map_or_else(dash, |rank| rank.to_string()),
            percent(step.probability),
            step.kept.map_or_else(dash, |kept| kept.to_string()),
            best(step),
        ];
        if redrawn {
            let shown = step.redraws.iter().take(REDRAWN_SHOWN);
            let shown = shown.map(|redraw| format!("{:?} {}", redraw.text, redraw.count));
            line.push(shown.collect::<Vec<_>>().join(", "));
        }
        lines.push(line);
    }
    lines.markdown()
}

fn best(step: &StepRecord) -> String {
    let one = |top: &Alternative| format!("{:?} {}", top.text, percent(Some(top.logprob.exp())));
    step.top.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn percent(probability: Option<f64>) -> String {
    probability.map_or_else(dash, |probability| format!("{:.1} %", 100.0 * probability))
}
