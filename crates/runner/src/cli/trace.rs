//! `--trace`: a table of the tokens, and of what each stage left to choose from.

use std::collections::HashSet;
use std::fmt::Write as _;

use taper_runner::models::LoadedModel;
use taper_runner::sampling::{Pipeline, Selector};
use taper_runner::{
    DrawnToken, Generation, LogitsDtype, Moved, MovedToken, Outcome, StageReport, Step, StepReport,
    TopToken, escaped,
};

use super::columns::{columns, fold};
use super::failure::Failure;
use super::style::Style;
use super::text::{sequence_head, several, show, text_of};

/// How to read the table, for whoever sees it for the first time.
const LEGEND: &str = "\
logprob  ln of the probability that the model itself gave the token
rank     its place among the model's own candidates
final    its probability after the stages, when it was chosen
stages   tokens that could still be chosen, before → after, and the probability that was cut away
";

/// Columns of the table that stand before the stages.
const BEFORE_STAGES: usize = 49;

/// The indentation of what hangs below a row.
const INDENT: &str = "      ";

/// Shows a row for each token. One sequence is shown as it is made; several are shown one after
/// the other when all are there.
#[derive(Debug, Default)]
pub(super) struct Traced {
    several: bool,
    without_text: bool,
    prompt: String,
    table: Option<Table>,
    rows: usize,
}

impl Traced {
    pub(super) fn begin(
        &mut self,
        generation: &Generation<'_>,
        prompt: String,
        loaded: &LoadedModel,
    ) -> Result<(), Failure> {
        self.several = several(generation);
        self.without_text = loaded.tokenizer.is_none();
        self.prompt = prompt;
        let style = Style::of_stdout();
        let table = Table::new(generation.pipeline(), loaded.model.vocab_size(), style);
        let head = head(generation, &self.prompt, loaded);
        show(&format!("{head}\n{}\n", style.dim(LEGEND)))?;
        if !self.several {
            show(&table.header())?;
        }
        self.table = Some(table);
        Ok(())
    }

    pub(super) fn step(&mut self, step: &Step) -> Result<(), Failure> {
        if let (false, Some(table), Some(report)) = (self.several, &self.table, &step.report) {
            self.rows += 1;
            show(&table.row(self.rows, report))?;
        }
        Ok(())
    }

    pub(super) fn end(&mut self, outcome: &Outcome) -> Result<(), Failure> {
        let style = Style::of_stdout();
        for (i, sequence) in outcome.sequences.iter().enumerate() {
            if let (true, Some(table)) = (self.several, &self.table) {
                let rows = sequence.steps.iter().flatten().zip(1..);
                let rows: String = rows.map(|(report, n)| table.row(n, report)).collect();
                show(&format!("{}\n{}{rows}", sequence_head(i, sequence), table.header()))?;
            }
            let text = text_of(sequence, self.without_text);
            show(&format!("\n{}{text}\n\n", style.bold(&self.prompt)))?;
        }
        Ok(())
    }
}

/// What is run: model, prompt, rules, stages, seed.
pub(super) fn head(generation: &Generation<'_>, prompt: &str, loaded: &LoadedModel) -> String {
    let config = generation.config();
    let pipeline = generation.pipeline();
    let mut head = format!("model    {}\n", escaped(&loaded.name));
    // A write to a string does not fail.
    let _ = writeln!(head, "prompt   {prompt:?}, {} tokens", generation.prompt().len());
    let _ = writeln!(head, "rules    {}", config.semantics.name());
    let _ = writeln!(head, "stages   {pipeline}");
    if config.logits_dtype != LogitsDtype::F32 {
        let _ = writeln!(head, "logits   rounded to {} first", config.logits_dtype.name());
    }
    if config.draws() {
        let _ = writeln!(head, "seed     {}", config.seed);
    }
    head
}

/// The layout: a column for each stage, as wide as the vocabulary asks for.
#[derive(Debug)]
struct Table {
    stages: Vec<(String, usize)>,
    /// Columns that there are.
    columns: usize,
    style: Style,
}

impl Table {
    fn new(pipeline: &Pipeline, vocab_size: usize, style: Style) -> Self {
        let widest = 2 * vocab_size.to_string().len() + "→ -99.9 %".chars().count();
        let width = |name: &str| name.chars().count().max(widest);
        let cuts = Some(pipeline.selector()).filter(|selector| selector.truncates());
        let stages = pipeline.stages().iter().map(|stage| stage.name());
        let names = stages.chain(cuts.map(Selector::name));
        let stages = names.map(|name| (name.to_owned(), width(name))).collect();
        Self { stages, columns: columns(), style }
    }

    /// Whether the stages have no room beside the numbers, and go below them.
    fn folds(&self) -> bool {
        let stages: usize = self.stages.iter().map(|(_, width)| 3 + width).sum();
        BEFORE_STAGES + stages > self.columns
    }

    fn header(&self) -> String {
        let mut line =
            format!("{:>4}  {:<16} {:>9} {:>6} {:>9}", "step", "token", "logprob", "rank", "final");
        for (name, width) in self.stages.iter().filter(|_| !self.folds()) {
            let _ = write!(line, "   {name:<width$}");
        }
        self.style.bold(line.trim_end()) + "\n"
    }

    fn row(&self, n: usize, report: &StepReport) -> String {
        let token = quoted(&report.text, report.token);
        let logprob = report.logprob.map_or("-".to_owned(), |value| format!("{value:.3}"));
        let rank = report.rank.map_or("-".to_owned(), |value| value.to_string());
        let share = report.probability.map_or("-".to_owned(), percent);
        let mut line = format!("{n:>4}  {token:<16} {logprob:>9} {rank:>6} {share:>9}");
        let mut hanging = below(report);
        if self.folds() {
            let stages = report.stages.iter().flatten();
            let stages = stages.map(|stage| format!("{} {}", stage.stage, cell(stage)));
            hanging.insert(0, stages.collect::<Vec<_>>().join(", "));
        } else {
            for ((_, width), stage) in self.stages.iter().zip(report.stages.iter().flatten()) {
                let _ = write!(line, "   {:<width$}", cell(stage));
            }
        }
        let mut lines = line.trim_end().to_owned() + "\n";
        for below in hanging {
            for folded in fold(&below, self.columns.saturating_sub(INDENT.len())) {
                lines += &(self.style.dim(&format!("{INDENT}{folded}")) + "\n");
            }
        }
        lines
    }
}

/// What hangs below a row: the model's own best tokens, ties that a cut met, an error passed over.
fn below(report: &StepReport) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(top) = report.top.as_ref().filter(|top| !top.is_empty()) {
        lines.push(format!("model's best: {}", alternatives(top)));
    }
    if let Some(drawn) = report.drawn.as_ref().filter(|drawn| !drawn.top.is_empty()) {
        let one = |token: &DrawnToken| {
            format!("{} {}", quoted(&token.text, token.token), percent(token.probability))
        };
        let all: Vec<String> = drawn.top.iter().map(one).collect();
        lines.push(format!("chosen from: {}", all.join(", ")));
    }
    for stage in report.stages.iter().flatten() {
        lines.extend(stage.moved.as_ref().map(|moved| shifted(&stage.stage, moved)));
    }
    lines.extend(paths(report));
    for stage in report.stages.iter().flatten().filter(|stage| stage.ties > 0) {
        lines.push(format!("{}: {} equal scores met at its boundary", stage.stage, stage.ties));
    }
    if let Some(reason) = &report.passed_over {
        lines.push(format!("argmax of the row, because {reason}"));
    }
    lines
}

/// `" sea" 41.2 %, " lake" 9.9 % | cut by top_p: " pond" 0.4 %`.
fn alternatives(top: &[TopToken]) -> String {
    let mut line = String::new();
    let groups = top.chunk_by(|a, b| a.removed_by == b.removed_by);
    for (i, group) in groups.enumerate() {
        if i > 0 {
            line += " | ";
        }
        if let Some(stage) = &group[0].removed_by {
            let _ = write!(line, "cut by {stage}: ");
        }
        let one = |token: &TopToken| {
            format!("{} {}", quoted(&token.text, token.token), percent(token.logprob.exp()))
        };
        line += &group.iter().map(one).collect::<Vec<_>>().join(", ");
    }
    line
}

/// `repetition_penalty moved 3: " the" -1.20, " a" -0.40`.
fn shifted(stage: &str, moved: &Moved) -> String {
    let one = |token: &MovedToken| format!("{} {:+.2}", quoted(&token.text, token.token), token.by);
    let named: Vec<String> = moved.tokens.iter().map(one).collect();
    let more = if moved.count > named.len() { ", …" } else { "" };
    format!("{stage} moved {}: {}{more}", moved.count, named.join(", "))
}

/// The way of each listed token whose rank a stage changed before it was removed or chosen from.
fn paths(report: &StepReport) -> Vec<String> {
    let stages: Vec<&str> =
        report.stages.iter().flatten().map(|stage| stage.stage.as_str()).collect();
    let own = (report.token, report.text.as_str(), &report.ranks, None);
    let listed = report.top.iter().flatten();
    let listed =
        listed.map(|top| (top.token, top.text.as_str(), &top.ranks, top.removed_by.as_deref()));
    let mut seen = HashSet::new();
    let all = [own].into_iter().chain(listed).filter(|path| seen.insert(path.0));
    let told = all.filter_map(|(token, text, ranks, removed_by)| {
        path(&stages, ranks, removed_by).map(|path| format!("{} {path}", quoted(text, token)))
    });
    told.collect()
}

/// `rank 2 → 54 after repetition_penalty → removed by top_k`; `None` where no stage changed the rank.
fn path(stages: &[&str], ranks: &[Option<usize>], removed_by: Option<&str>) -> Option<String> {
    let mut last = (*ranks.first()?)?;
    let mut way = format!("rank {last}");
    let mut changed = false;
    for (rank, stage) in ranks[1..].iter().zip(stages) {
        if let Some(rank) = rank.filter(|&rank| rank != last) {
            // A write to a string does not fail.
            let _ = write!(way, " → {rank} after {stage}");
            (last, changed) = (rank, true);
        }
    }
    if let Some(stage) = removed_by {
        let _ = write!(way, " → removed by {stage}");
    }
    changed.then_some(way)
}

/// The text so that spaces and line breaks can be seen; the id where it says too little.
pub(super) fn quoted(text: &str, token: u32) -> String {
    if text.is_empty() {
        format!("#{token}")
    } else if text.contains(char::REPLACEMENT_CHARACTER) {
        format!("{text:?}#{token}")
    } else {
        format!("{text:?}")
    }
}

/// `1664→50 -12.3 %`, or `1664` where nothing was removed.
fn cell(stage: &StageReport) -> String {
    if stage.before == stage.after {
        return stage.before.to_string();
    }
    let share = stage.removed_mass.map_or("-".to_owned(), |mass| format!("-{:.1} %", mass * 100.0));
    format!("{}→{} {share}", stage.before, stage.after)
}

pub(super) fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.0005 {
        return "<0.1 %".to_owned();
    }
    format!("{:.1} %", share * 100.0)
}
