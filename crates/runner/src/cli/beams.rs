//! `taper generate` with several beams: what was found when the search is over.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use taper_runner::models::LoadedModel;
use taper_runner::{BeamFate, BeamTreeNode, Outcome, Search};

use super::args::{Format, GenerateArgs};
use super::dump::Look;
use super::failure::Failure;
use super::generate::{run_failure, show_json};
use super::style::Style;
use super::text::{read_prompt, sequence_head, show, shown_prompt, summary, text_of};
use super::trace::quoted;

/// How to read the tree, for whoever sees it for the first time.
const LEGEND: &str = "\
sum   ln of the probability of the text so far, after the stages; the best of these go on
fate  kept: it went on; finished: it ended and is among the best that did; outranked: others were better;
      ended_too_low: it ended below the first num_beams candidates; displaced: better ones ended later
";

pub(super) fn run(
    mut search: Search<'_>,
    args: &GenerateArgs,
    look: &Look,
    loaded: &LoadedModel,
    load_s: f64,
    cancelled: &AtomicBool,
) -> Result<(), Failure> {
    let (format, traced) = (args.output.format, args.output.trace);
    let prompt = shown_prompt(search.prompt(), args, loaded);
    if traced && format == Format::Text {
        let stages = search.pipeline().stages().len();
        let named = search.pipeline().to_string();
        // The selector has no part in a search.
        let named = named.split(" → ").take(stages);
        let all: Vec<&str> = std::iter::once("log_softmax").chain(named).collect();
        show(&format!("stages   {}\n\n", all.join(" → ")))?;
    }
    let ended = drive(&mut search, &args.model.model, cancelled);
    let mut outcome = search.into_outcome();
    outcome.timing.load_s = Some(load_s);
    if args.output.show_prompt {
        outcome.prompt = Some(read_prompt(&outcome.prompt_tokens, loaded));
    }
    let ended = ended.and_then(|()| look.at(&mut outcome, args, loaded));
    if format == Format::Json {
        show_json(&outcome)?;
        return ended;
    }
    show_text(&outcome, &prompt, loaded, traced)?;
    let _ = writeln!(std::io::stderr(), "{}", summary(&outcome));
    ended
}

fn drive(search: &mut Search<'_>, model: &str, cancelled: &AtomicBool) -> Result<(), Failure> {
    loop {
        if cancelled.load(Ordering::Relaxed) {
            return Err(Failure::Cancelled);
        }
        match search.advance() {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => return Err(run_failure(error, model)),
        }
    }
}

fn show_text(
    outcome: &Outcome,
    prompt: &str,
    loaded: &LoadedModel,
    traced: bool,
) -> Result<(), Failure> {
    let style = Style::of_stdout();
    if traced {
        show(&format!("{}\n{}\n", style.dim(LEGEND), tree(outcome.tree.as_deref(), style)))?;
    }
    let (prompt, without_text) = (style.bold(prompt), loaded.tokenizer.is_none());
    for (i, sequence) in outcome.sequences.iter().enumerate() {
        if outcome.sequences.len() > 1 || traced {
            show(&format!("{}\n", style.dim(&sequence_head(i, sequence))))?;
        }
        show(&format!("{prompt}{}\n", text_of(sequence, without_text)))?;
    }
    Ok(())
}

/// A line for each candidate, step by step.
fn tree(nodes: Option<&[BeamTreeNode]>, style: Style) -> String {
    let mut lines = String::new();
    let mut length = 0;
    for (i, node) in nodes.unwrap_or_default().iter().enumerate() {
        if node.fate == BeamFate::Impossible {
            continue;
        }
        if node.length > length {
            length = node.length;
            let head = format!("{:>5}  {:>6} {:>9}  {:<14} token", length, "after", "sum", "fate");
            lines += &(style.bold(&head) + "\n");
        }
        let parent = node.parent.map_or("prompt".to_owned(), |parent| format!("#{parent}"));
        let sum = node.sum.map_or("-".to_owned(), |sum| format!("{sum:.3}"));
        let (fate, token) = (fate_name(node.fate), quoted(&node.text, node.token));
        let score = node.score.map_or_else(String::new, |score| format!(", score {score:.4}"));
        // A write to a string does not fail.
        let _ = writeln!(
            lines,
            "{:>5}  {parent:>6} {sum:>9}  {fate:<14} {token}{score}",
            format!("#{i}")
        );
    }
    lines
}

fn fate_name(fate: BeamFate) -> String {
    let name = serde_json::to_value(fate).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}
