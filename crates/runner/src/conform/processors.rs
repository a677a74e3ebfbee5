//! Suite `hf-processors`: a row through the processors that a config asks for.
//!
//! `config`, `prompt`, `generated`, `logits`; `expect.scores` with `null` where removed, or
//! `expect.support_classes` and `expect.eligible` where a boundary cuts a class of equals.

use serde_json::Value;
use taper_sampling::presets::huggingface;
use taper_sampling::{Ask, Candidates, GenerationConfig, Workspace};

use super::case::{Tolerance, member, row, sequence};

/// A score, or `None` for a token that was removed or banned.
pub(super) type Score = Option<f64>;

pub(super) fn run(case: &Value) -> Result<(), String> {
    let config: GenerationConfig = member(case, "config")?;
    let pipeline = huggingface(&config, None).map_err(|error| error.to_string())?;
    let row = row(&case["logits"])?;
    let mut workspace = Workspace::new(row.len());
    let processed = sequence(case, &pipeline)?.process(&row, Ask::token(), &mut workspace);
    check(case, &scores(&processed.map_err(|error| error.to_string())?))
}

/// The scores of all tokens.
pub(super) fn scores(candidates: &Candidates<'_>) -> Vec<Score> {
    let score = |id| candidates.get(id).filter(|&score| score > f32::NEG_INFINITY);
    (0..candidates.vocab_size() as u32).map(|id| score(id).map(f64::from)).collect()
}

/// Compares scores with what the case expects of them.
pub(super) fn check(case: &Value, got: &[Score]) -> Result<(), String> {
    let tolerance = Tolerance::of(case);
    let expect = &case["expect"];
    if expect.get("support_classes").is_some() {
        let classes: Vec<(f64, usize)> = member(expect, "support_classes")?;
        return check_classes(got, &classes, &member::<Vec<Score>>(expect, "eligible")?, tolerance);
    }
    let want: Vec<Score> = member(expect, "scores")?;
    if got.len() != want.len() {
        return Err(format!("{} scores where {} are expected", got.len(), want.len()));
    }
    let differ = |(got, want): (&Score, &Score)| !same(*got, *want, tolerance);
    match got.iter().zip(&want).position(differ) {
        None => Ok(()),
        Some(id) => {
            let count = got.iter().zip(&want).filter(|&pair| differ(pair)).count();
            let (got, want) = (show(got[id]), show(want[id]));
            let all = expect["scores"].as_array().map_or(0, Vec::len);
            Err(format!("token {id} is {got}, expected {want}; {count} of {all} differ"))
        }
    }
}

/// The kept scores must be the classes expanded, and every kept token must be eligible.
fn check_classes(
    got: &[Score],
    classes: &[(f64, usize)],
    eligible: &[Score],
    tolerance: Tolerance,
) -> Result<(), String> {
    let mut kept: Vec<f64> = got.iter().flatten().copied().collect();
    kept.sort_by(|a, b| b.total_cmp(a));
    let expanded: Vec<f64> =
        classes.iter().flat_map(|&(score, count)| std::iter::repeat_n(score, count)).collect();
    if kept.len() != expanded.len() {
        return Err(format!("{} tokens kept, expected {}", kept.len(), expanded.len()));
    }
    if let Some((got, want)) = kept.iter().zip(&expanded).find(|&(&a, &b)| !tolerance.close(a, b)) {
        return Err(format!("a kept score is {got}, expected {want}"));
    }
    let stray = |(got, may): (&Score, &Score)| got.is_some() && !same(*got, *may, tolerance);
    match got.iter().zip(eligible).position(stray) {
        None => Ok(()),
        Some(id) => Err(format!("token {id} is kept at {} and may not be", show(got[id]))),
    }
}

fn same(got: Score, want: Score, tolerance: Tolerance) -> bool {
    match (got, want) {
        (None, None) => true,
        (Some(got), Some(want)) => tolerance.close(got, want),
        _ => false,
    }
}

fn show(score: Score) -> String {
    score.map_or_else(|| "removed".to_owned(), |score| score.to_string())
}
