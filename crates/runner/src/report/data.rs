//! What the page's script is given. Steps are lists rather than objects, and texts of tokens are
//! named by number, because a page holds a hundred thousand steps.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::rows::{Measure, Row, between, measures, rows};
use crate::experiment::{Manifest, Prompt, Record, Records, StepRecord, Summary, metrics};
use crate::outcome::BeamTreeNode;

/// The texts of tokens, each once.
#[derive(Debug, Default)]
pub(super) struct Texts {
    known: HashMap<(u32, String), usize>,
    list: Vec<(u32, String)>,
}

impl Texts {
    fn number(&mut self, token: u32, text: &str) -> usize {
        let Self { known, list } = self;
        *known.entry((token, text.to_owned())).or_insert_with(|| {
            list.push((token, text.to_owned()));
            list.len() - 1
        })
    }
}

/// Everything but the steps.
#[derive(Debug, Serialize)]
pub(super) struct Overview<'r> {
    title: &'r str,
    about: Option<&'r str>,
    facts: Vec<(&'static str, String)>,
    /// What tells this experiment from others, for who looks for it.
    origin: Vec<(&'static str, String)>,
    /// The settings that all runs share, as the spec has them.
    base: Option<&'r Value>,
    prompts: Vec<PromptData<'r>>,
    settings: &'r [crate::experiment::Setting],
    seeds: Vec<String>,
    swept: &'r [String],
    measures: Vec<Measure>,
    runs: Vec<Run<'r>>,
    rows: Vec<Row>,
    /// Mean Jaccard similarity of the texts of two settings.
    between: Vec<(usize, usize, f64)>,
    /// The settings in effect, each once, the seed left out.
    configs: Vec<Map<String, Value>>,
    texts: &'r [(u32, String)],
}

#[derive(Debug, Serialize)]
struct PromptData<'r> {
    name: &'r str,
    text: Option<&'r str>,
    /// Of a prompt that is no plain text to continue: a chat's, or one given as tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<&'r [u32]>,
    tokens: usize,
}

/// A run without its steps.
#[derive(Debug, Serialize)]
struct Run<'r> {
    prompt: usize,
    setting: usize,
    seed: usize,
    text: &'r str,
    finish: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    config: usize,
    /// The seed in effect, as text.
    drawn_with: String,
    /// In the order of the measures.
    values: Vec<Option<f64>>,
}

/// The steps of a run: a script element of its own, which is read when the run is looked at.
#[derive(Debug, Serialize)]
pub(super) struct Written<'r> {
    stages: Vec<&'r str>,
    /// Whether the pipeline is a selector alone.
    bare: bool,
    steps: Vec<StepData<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tree: Vec<Node<'r>>,
}

/// Text, logprob, probability, rank, kept, entropy, alternatives, stages (before, after, mass, ties),
/// redraws (text, count), error passed over, entropy and divergence of what it was chosen from.
#[derive(Debug, Serialize)]
struct StepData<'r>(
    usize,
    Option<f64>,
    Option<f64>,
    Option<usize>,
    Option<usize>,
    Option<f64>,
    Vec<Listed>,
    Vec<(usize, usize, Option<f64>, usize)>,
    Vec<(usize, usize)>,
    Option<&'r str>,
    Option<f64>,
    Option<f64>,
);

/// An alternative: text, logprob, the stage that removed it or −1, probability after the stages.
type Listed = (usize, Option<f64>, i64, Option<f64>);

/// Parent or −1, length, text, sum, fate, score, finish reason.
#[derive(Debug, Serialize)]
struct Node<'r>(
    i64,
    usize,
    usize,
    Option<f64>,
    &'r crate::outcome::BeamFate,
    Option<f64>,
    Option<&'static str>,
);

impl<'r> Overview<'r> {
    pub(super) fn of(read: &'r Records, summary: &Summary, texts: &'r Texts) -> Self {
        let manifest = &read.manifest;
        let mut configs = Vec::new();
        let runs: Vec<Run<'r>> =
            read.records.iter().map(|record| Run::of(record, &mut configs)).collect();
        let prompts = manifest.prompts.iter().map(|prompt| PromptData {
            name: &prompt.name,
            text: prompt.text.as_deref(),
            ids: (!plain(manifest, prompt)).then_some(&prompt.tokens[..]),
            tokens: prompt.tokens.len(),
        });
        Self {
            title: &manifest.title,
            about: manifest.about.as_deref(),
            facts: facts(manifest, read, summary),
            origin: origin(manifest),
            base: manifest.spec.get("base"),
            prompts: prompts.collect(),
            settings: &manifest.settings,
            // As text: a script's numbers do not hold 64 bits.
            seeds: numbered(&manifest.seeds),
            swept: &manifest.swept,
            measures: measures(),
            rows: rows(summary),
            between: between(summary),
            runs,
            configs,
            texts: &texts.list,
        }
    }
}

impl<'r> Run<'r> {
    fn of(record: &'r Record, configs: &mut Vec<Map<String, Value>>) -> Self {
        let mut config = record.config.clone();
        config.shift_remove("seed");
        let at = configs.iter().position(|known| *known == config).unwrap_or_else(|| {
            configs.push(config);
            configs.len() - 1
        });
        Self {
            prompt: record.id.prompt,
            setting: record.id.setting,
            seed: record.id.seed,
            text: &record.text,
            finish: record.finish_reason.name(),
            error: record.error.as_deref(),
            score: record.score,
            config: at,
            drawn_with: record.seed.to_string(),
            values: metrics(record).into_iter().map(|value| value.map(short)).collect(),
        }
    }
}

/// Whether the spec has a prompt as a text to continue.
fn plain(manifest: &Manifest, prompt: &Prompt) -> bool {
    let prompts = manifest.spec.get("prompts").and_then(Value::as_array);
    let text = |of: &Value| of.get("text").and_then(Value::as_str).map(str::to_owned);
    prompts.into_iter().flatten().any(|of| text(of).is_some() && text(of) == prompt.text)
}

/// What the page says of the experiment as a whole.
fn facts(manifest: &Manifest, read: &Records, summary: &Summary) -> Vec<(&'static str, String)> {
    let mut facts = vec![("model", manifest.model.name.clone())];
    let (there, all) = (summary.runs(), manifest.runs_here());
    let more = if there < all { "; the sweep is not finished" } else { "" };
    facts.push(("runs", format!("{there} of {all}{more}")));
    let shown = read.records.len();
    if shown < there {
        let what = "texts, steps and plots of runs are of them; the table of settings is of all";
        facts.push(("runs on this page", format!("the first {shown}, by seed; {what}")));
    }
    facts.extend(manifest.shard.map(|shard| ("shard", shard.to_string())));
    let (prompts, settings) = (manifest.prompts.len(), manifest.settings.len());
    facts.push((
        "made of",
        format!("{prompts} prompts × {settings} settings × {} seeds", manifest.seeds.len()),
    ));
    if read.repeated.records > 0 {
        facts.push(("records left out", read.repeated.to_string()));
    }
    let failed = summary.failed();
    if failed > 0 {
        facts.push(("failed runs", failed.to_string()));
    }
    facts.push(("knobs changed", manifest.swept.join(", ")));
    facts
}

/// Where the runs come from.
fn origin(manifest: &Manifest) -> Vec<(&'static str, String)> {
    let mut origin = vec![
        ("taper", manifest.versions.taper.clone()),
        ("made on", manifest.versions.platform.clone()),
        ("digest of the experiment", manifest.digest.clone()),
    ];
    origin.extend(manifest.model.digest.clone().map(|digest| ("digest of the model", digest)));
    origin
}

/// The steps of a run for the page.
pub(super) fn steps_of<'r>(record: &'r Record, texts: &mut Texts) -> Written<'r> {
    let staged = record.steps.iter().find(|step| !step.stages.is_empty());
    let stages: Vec<&str> =
        staged.iter().flat_map(|step| &step.stages).map(|stage| stage.stage.as_str()).collect();
    let steps = record.steps.iter().map(|step| step_data(step, &stages, texts));
    let steps = steps.collect();
    let tree = record.tree.iter().flatten().map(|node| node_data(node, texts));
    let bare = record.pipeline.as_array().is_some_and(|stages| stages.len() == 1);
    Written { steps, tree: tree.collect(), stages, bare }
}

fn step_data<'r>(step: &'r StepRecord, stages: &[&str], texts: &mut Texts) -> StepData<'r> {
    let place = |name: &String| stages.iter().position(|stage| stage == name);
    let mut top: Vec<Listed> = Vec::new();
    for best in &step.top {
        let removed = best.removed_by.as_ref().and_then(place).map_or(-1, |at| at as i64);
        let text = texts.number(best.token, &best.text);
        top.push((text, Some(short(best.logprob)), removed, best.probability.map(short)));
    }
    // What was likely to be drawn without being among the model's best.
    for drawn in step.drawn.iter().flat_map(|drawn| &drawn.top) {
        let text = texts.number(drawn.token, &drawn.text);
        if top.iter().all(|(known, ..)| *known != text) {
            top.push((text, drawn.logprob.map(short), -1, Some(short(drawn.probability))));
        }
    }
    let redraws = step.redraws.iter();
    let redraws = redraws.map(|drawn| (texts.number(drawn.token, &drawn.text), drawn.count));
    let redraws = redraws.collect();
    let stages = step.stages.iter();
    StepData(
        texts.number(step.token, &step.text),
        step.logprob.map(short),
        step.probability.map(short),
        step.rank,
        step.kept,
        step.entropy.map(short),
        top,
        stages.map(|s| (s.before, s.after, s.removed_mass.map(short), s.ties)).collect(),
        redraws,
        step.passed_over.as_deref(),
        step.drawn.as_ref().and_then(|drawn| drawn.entropy).map(short),
        step.drawn.as_ref().and_then(|drawn| drawn.kl).map(short),
    )
}

fn node_data<'r>(node: &'r BeamTreeNode, texts: &mut Texts) -> Node<'r> {
    Node(
        node.parent.map_or(-1, |parent| parent as i64),
        node.length,
        texts.number(node.token, &node.text),
        node.sum.map(short),
        &node.fate,
        node.score.map(short),
        node.finish_reason.map(crate::outcome::FinishReason::name),
    )
}

/// As many digits as a page can show; whole numbers are counts, all digits of which count.
pub(super) fn short(value: f64) -> f64 {
    if value.fract() == 0.0 {
        // No entropy is -0.
        return value + 0.0;
    }
    // What this writes can be read.
    format!("{value:.6e}").parse().unwrap_or(value)
}

/// The seeds, those that are there several times with the number of the run.
fn numbered(seeds: &[u64]) -> Vec<String> {
    let mut seen: HashMap<u64, usize> = HashMap::new();
    let mut counts: HashMap<u64, usize> = HashMap::new();
    for &seed in seeds {
        *counts.entry(seed).or_default() += 1;
    }
    let one = |&seed: &u64| {
        let run = seen.entry(seed).or_default();
        *run += 1;
        if counts[&seed] == 1 { seed.to_string() } else { format!("{seed}, run {run}") }
    };
    seeds.iter().map(one).collect()
}
