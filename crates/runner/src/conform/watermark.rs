//! Suites `watermark-gumbel`, `watermark-kgw` and `watermark-synthid`: marks and their detectors.
//!
//! | suite | `kind` | input | compared |
//! |---|---|---|---|
//! | `watermark-gumbel` | `sample` | `key`, `context_width`, `context` (−1 before the text), `logits` | `token`, `uniform_first` |
//! | | `detect`, `detect-dual-key` | `key`, `context_width`, `deduplicate_contexts`, `tokens`, `alpha` | `score`, `p_value`, `scored`, `watermarked` at 0.01 |
//! | `watermark-kgw` | `process` | `setting`, `input_ids`, `logits` | `green`: what was raised |
//! | | `detect` | `setting`, `vocab_size`, `ignore_repeated_ngrams`, `tokens` | `scored`, `green`, `z`, `p_value` |
//! | `watermark-synthid` | | `setting`, `prompt`, `steps`, `tokens` | `processed` of each step, `g_values` |

use serde::Deserialize;
use serde_json::Value;
use taper_sampling::watermark::{
    ContextScope, DualKeyGumbelDetector, GreenListDetector, GumbelDetection, GumbelDetector,
    NO_TOKEN, Philox, SeedingScheme, SynthIdDetector, WatermarkKey,
};
use taper_sampling::{
    Ask, DrawKey, GreenList, GumbelWatermark, Pipeline, Sequence, SynthId, Workspace,
};

use super::case::{Tolerance, member, row};

/// The p-value up to which vLLM's detector calls a text marked.
const THRESHOLD: f64 = 0.01;
/// Sums of score and noise that are nearer than this may change places where they are rounded.
const MARGIN: f64 = 1e-5;

pub(super) fn run(case: &Value) -> Result<(), String> {
    match (case["suite"].as_str(), case["kind"].as_str()) {
        (Some("watermark-gumbel"), Some("sample")) => sample(case),
        (Some("watermark-gumbel"), Some("detect")) => {
            let detector = GumbelDetector::new(member(case, "key")?, width(case)?).map_err(told)?;
            let detector = detector.deduplicated(member(case, "deduplicate_contexts")?);
            check_gumbel(case, &detector.detect(&member::<Vec<u32>>(case, "tokens")?))
        }
        (Some("watermark-gumbel"), Some("detect-dual-key")) => {
            let (key, alpha) = (member(case, "key")?, member(case, "alpha")?);
            let detector = DualKeyGumbelDetector::new(key, width(case)?, alpha).map_err(told)?;
            let detector = detector.deduplicated(member(case, "deduplicate_contexts")?);
            check_gumbel(case, &detector.detect(&member::<Vec<u32>>(case, "tokens")?))
        }
        (Some("watermark-kgw"), Some("process")) => green_list(case),
        (Some("watermark-kgw"), Some("detect")) => green_tokens(case),
        (Some("watermark-synthid"), None) => tournament(case),
        (_, kind) => Err(format!("`kind` is {kind:?}, which this suite does not have")),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn told(error: impl ToString) -> String {
    error.to_string()
}

fn width(case: &Value) -> Result<usize, String> {
    member(case, "context_width")
}

fn process(pipeline: &Pipeline, tokens: &[u32], row: &[f32]) -> Result<Vec<f32>, String> {
    let mut workspace = Workspace::new(row.len());
    let mut sequence = pipeline.sequence(DrawKey::new(0)).prompt(tokens);
    scores(&mut sequence, row, &mut workspace)
}

/// The scores that the stages leave, −∞ for what is not there.
fn scores(
    sequence: &mut Sequence,
    row: &[f32],
    workspace: &mut Workspace,
) -> Result<Vec<f32>, String> {
    let left = sequence.process(row, Ask::token(), workspace).map_err(told)?;
    let score = |id| left.get(id).unwrap_or(f32::NEG_INFINITY);
    Ok((0..row.len() as u32).map(score).collect())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: &T, want: &T) -> Result<(), String> {
    if got == want { Ok(()) } else { Err(format!("{what} is {got:?}, expected {want:?}")) }
}

fn near(case: &Value, what: &str, got: f64) -> Result<(), String> {
    let want: f64 = member(&case["expect"], what)?;
    let close = Tolerance::of(case).close(got, want);
    if close { Ok(()) } else { Err(format!("{what} is {got}, expected {want}")) }
}

fn sample(case: &Value) -> Result<(), String> {
    let key: WatermarkKey = member(case, "key")?;
    let context: Vec<i64> = member(case, "context")?;
    let token = |&id: &i64| if id == -1 { Ok(NO_TOKEN) } else { u32::try_from(id) };
    let context: Vec<u32> = context.iter().map(token).collect::<Result<_, _>>().map_err(told)?;
    same("the width of the context", &context.len(), &width(case)?)?;
    let row = row(&case["logits"])?;
    let mut noise = Philox::new(key).under(context.iter().copied());
    let first: Vec<f32> = member(case, "uniform_first")?;
    for (id, want) in (0..).zip(&first) {
        same(&format!("the number of token {id}"), &noise.uniform(id), want)?;
    }
    let mut workspace = Workspace::new(row.len());
    let mut sequence = Pipeline::draw().sequence(DrawKey::new(0));
    let mut left = sequence.process(&row, Ask::token(), &mut workspace).map_err(told)?;
    let got = left.pick_by_noise(Philox::MOST_NOISE, |id| noise.gumbel(id)).map_err(told)?;
    if member::<f64>(case, "margin")? >= MARGIN {
        same("the token", &got, &member(&case["expect"], "token")?)?;
    }
    let begun = context.iter().position(|&id| id != NO_TOKEN).unwrap_or(context.len());
    if context[begun..].contains(&NO_TOKEN) {
        // No text has such a context.
        return Ok(());
    }
    let marked = GumbelWatermark::new(key, context.len()).map_err(told)?;
    let mut sequence =
        Pipeline::selecting(marked.scope(ContextScope::None)).sequence(DrawKey::new(0));
    for &id in &context[begun..] {
        sequence.accept(id).map_err(told)?;
    }
    let selected = sequence.select(&row, &mut workspace).map_err(told)?.token;
    same("the token of the selector", &selected, &got)
}

fn check_gumbel(case: &Value, found: &GumbelDetection) -> Result<(), String> {
    let expect = &case["expect"];
    same("scored", &found.scored, &member(expect, "scored")?)?;
    near(case, "score", found.score)?;
    near(case, "p_value", found.p_value)?;
    let marked = found.scored > 0 && found.p_value <= THRESHOLD;
    same("watermarked", &marked, &member(expect, "watermarked")?)
}

/// The settings of a green list, under Hugging Face's names.
#[derive(Deserialize)]
struct Green {
    greenlist_ratio: f64,
    bias: f64,
    hashing_key: WatermarkKey,
    seeding_scheme: SeedingScheme,
    context_width: usize,
}

fn green_list(case: &Value) -> Result<(), String> {
    let setting: Green = member(case, "setting")?;
    let stage = GreenList::new(setting.hashing_key, setting.greenlist_ratio, setting.bias);
    let stage = stage.and_then(|stage| stage.context_width(setting.context_width)).map_err(told)?;
    let pipeline = Pipeline::greedy().then(stage.scheme(setting.seeding_scheme));
    let (row, tokens) = (row(&case["logits"])?, member::<Vec<u32>>(case, "input_ids")?);
    let got = process(&pipeline, &tokens, &row)?;
    let raised = |&id: &u32| got[id as usize] != row[id as usize];
    let green: Vec<u32> = (0..row.len() as u32).filter(raised).collect();
    same("what is green", &green, &member(&case["expect"], "green")?)?;
    let bias = setting.bias as f32;
    match green.iter().find(|&&id| got[id as usize] != row[id as usize] + bias) {
        None => Ok(()),
        Some(id) => Err(format!("token {id} is not raised by {bias}")),
    }
}

fn green_tokens(case: &Value) -> Result<(), String> {
    let setting: Green = member(case, "setting")?;
    let vocab_size = member(case, "vocab_size")?;
    let detector = GreenListDetector::new(setting.hashing_key, setting.greenlist_ratio, vocab_size);
    let detector = detector.and_then(|of| of.context_width(setting.context_width)).map_err(told)?;
    let detector = detector
        .scheme(setting.seeding_scheme)
        .ignore_repeated_ngrams(member(case, "ignore_repeated_ngrams")?);
    let found = detector.detect(&member::<Vec<u32>>(case, "tokens")?).map_err(told)?;
    let expect = &case["expect"];
    same("scored", &found.scored, &member(expect, "scored")?)?;
    same("green", &found.green, &member(expect, "green")?)?;
    near(case, "z", found.z)?;
    near(case, "p_value", found.p_value)
}

/// The settings of SynthID, under Hugging Face's names.
#[derive(Deserialize)]
struct Rounds {
    ngram_len: usize,
    keys: Vec<WatermarkKey>,
    sampling_table_size: usize,
    sampling_table_seed: u64,
    context_history_size: usize,
    skip_first_ngram_calls: bool,
}

fn tournament(case: &Value) -> Result<(), String> {
    let setting: Rounds = member(case, "setting")?;
    let table = (setting.sampling_table_size, setting.sampling_table_seed);
    let stage = SynthId::new(&setting.keys, setting.ngram_len)
        .and_then(|stage| stage.sampling_table(table.0, table.1))
        .map_err(told)?
        .context_history_size(setting.context_history_size)
        .skip_first_ngram_calls(setting.skip_first_ngram_calls);
    let detector = SynthIdDetector::new(&setting.keys, setting.ngram_len)
        .and_then(|detector| detector.sampling_table(table.0, table.1))
        .map_err(told)?;
    let pipeline = Pipeline::draw().then(stage);
    let prompt: Vec<u32> = member(case, "prompt")?;
    let mut sequence = pipeline.sequence(DrawKey::new(0)).prompt(&prompt);
    for (number, step) in member::<Vec<Value>>(case, "steps")?.iter().enumerate() {
        let (row, want) = (row(&step["logits"])?, row(&step["processed"])?);
        let mut workspace = Workspace::new(row.len());
        let got = scores(&mut sequence, &row, &mut workspace)?;
        same("the length of a row", &want.len(), &got.len())?;
        let slack = slack(&detector, &setting, sequence.history().generated(), &row)?;
        let tolerance = Tolerance::of(case);
        let differs = |&id: &usize| !agree(got[id], want[id], tolerance, slack[id]);
        if let Some(id) = (0..got.len()).find(differs) {
            let (got, want) = (got[id], want[id]);
            return Err(format!("step {number}: token {id} is {got}, expected {want}"));
        }
        sequence.accept(member(step, "then")?).map_err(told)?;
    }
    let got = detector.g_values(&member::<Vec<u32>>(case, "tokens")?).map_err(told)?;
    let got: Vec<Vec<u8>> =
        got.into_iter().map(|g| g.into_iter().map(u8::from).collect()).collect();
    let want: Vec<Vec<u8>> = member(case, "g_values")?;
    match got.iter().zip(&want).position(|(got, want)| got != want) {
        _ if got.len() != want.len() => same("the number of n-grams", &got.len(), &want.len()),
        None => Ok(()),
        Some(at) => Err(format!("the g-values of n-gram {at} are {:?}", got[at])),
    }
}

/// By how much the logarithm of a probability may be off because transformers computes it in single
/// precision: in each round `p` is multiplied by `1 + g − Σ p g`, and the sum is off by about 2⁻²⁰ of it,
/// which is much of what is left where the others hold nearly all of the mass.
fn slack(
    detector: &SynthIdDetector,
    setting: &Rounds,
    generated: &[u32],
    row: &[f32],
) -> Result<Vec<f64>, String> {
    const ROUNDING: f64 = 1.0 / 1_048_576.0;
    let before = setting.ngram_len - 1;
    // Where the text has not begun there are zeros.
    let mut ngram = vec![0; before.saturating_sub(generated.len())];
    ngram.extend_from_slice(&generated[generated.len().saturating_sub(before)..]);
    let mut g_values = Vec::new();
    for id in 0..row.len() as u32 {
        ngram.push(id);
        g_values.extend(detector.g_values(&ngram).map_err(told)?);
        ngram.pop();
    }
    let best = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut odds: Vec<f64> = row.iter().map(|&x| f64::from(x - best).exp()).collect();
    let mut slack = vec![0.0; row.len()];
    for round in 0..setting.keys.len() {
        let total: f64 = odds.iter().sum();
        let others = odds.iter().zip(&g_values).filter(|(_, g)| !g[round]).map(|(p, _)| p);
        let others = others.sum::<f64>() / total;
        for ((p, g), slack) in odds.iter_mut().zip(&g_values).zip(&mut slack) {
            let factor = others + f64::from(u8::from(g[round]));
            *slack += ROUNDING / factor;
            *p *= factor / total;
        }
    }
    Ok(slack)
}

/// Whether two scores are the same but for what single precision adds. What is banned here has the lowest
/// finite score there, and where rounding alone is left any score will do.
fn agree(got: f32, want: f32, tolerance: Tolerance, slack: f64) -> bool {
    let (got, want) = (f64::from(got), f64::from(want));
    let gone = got == f64::NEG_INFINITY && (want == f64::from(f32::MIN) || want == got);
    let loose = Tolerance { abs: tolerance.abs + slack, ..tolerance };
    gone || slack >= 1.0 || loose.close(got, want)
}
