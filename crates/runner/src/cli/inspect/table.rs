//! A step as a table: a line for each token, a column for each stage.

use std::fmt::Write as _;
use std::ops::Range;

use taper_runner::{
    BoundaryToken, LayerView, Redraw, StageView, StepReport, StepView, TokenPath, TokenShare,
};

use crate::cli::columns::fold;
use crate::cli::style::Style;
use crate::cli::trace::{percent, quoted};

/// Columns of the names of lines.
const NAMES: usize = 28;

/// Bytes of the text so far that are shown.
const TAIL: usize = 60;

/// Removed tokens that are named.
const NAMED: usize = 3;

/// Best tokens that are named of a layer.
const LAYER_NAMED: usize = 4;

/// Columns of a bar.
const BAR: usize = 10;

/// What is the same for all steps.
#[derive(Debug)]
pub(super) struct Table {
    /// The stages with their settings, the selector last.
    pub(super) stages: Vec<String>,
    /// Tokens that were asked for.
    pub(super) asked: Vec<u32>,
    /// Columns that there are.
    pub(super) columns: usize,
    pub(super) style: Style,
}

/// A token's path, if it has one, its name, and its cells.
type Line<'p> = (Option<&'p TokenPath>, (String, Vec<String>));

impl Table {
    pub(super) fn show(
        &self,
        n: usize,
        before: &str,
        report: Option<&StepReport>,
        view: Option<&StepView>,
    ) -> String {
        let chosen = report.map(|report| quoted(&report.text, report.token)).unwrap_or_default();
        let title = format!("step {n}: after {:?} comes {chosen}", tail(before));
        let mut text = self.style.bold(&title) + "\n";
        if let Some(reason) = report.and_then(|report| report.passed_over.as_ref()) {
            // A write to a string does not fail.
            let _ = writeln!(text, "argmax of the row, because {reason}");
        }
        let Some(view) = view else { return text };
        let row_entropy = report.and_then(|report| report.entropy);
        text += &self.grid(view, row_entropy);
        for (i, stage) in view.stages.iter().enumerate() {
            let name = self.stages.get(i).map_or(stage.stage.as_str(), String::as_str);
            for line in remarks(name, stage) {
                text += &self.folded(&line);
            }
        }
        for path in view.tokens.iter().filter(|path| self.asked.contains(&path.token)) {
            text += &self.folded(&fate(path));
        }
        if let Some(drawn) = report.and_then(|report| report.drawn.as_ref()) {
            let kl = drawn
                .kl
                .map_or("none: the model rules out a token that is left".to_owned(), |kl| {
                    format!("{kl:.3} nats")
                });
            text += &self
                .folded(&format!("divergence of what was chosen from, from the model's: {kl}"));
        }
        if let Some(redraws) = report.and_then(|report| report.redraws.as_ref()) {
            let all: usize = redraws.iter().map(|redraw| redraw.count).sum();
            let one = |redraw: &Redraw| {
                format!("{} {}", quoted(&redraw.text, redraw.token), redraw.count)
            };
            let named: Vec<String> = redraws.iter().map(one).collect();
            text += &self.folded(&format!("drawn {all} times: {}", named.join(", ")));
        }
        text
    }

    fn folded(&self, line: &str) -> String {
        fold(line, self.columns).into_iter().map(|line| line + "\n").collect()
    }

    /// A line for each layer, with the rank of the token that was chosen in the end.
    pub(super) fn layers(&self, layers: &[LayerView]) -> String {
        let mut text = self.style.bold("layer  entropy  rank of the chosen  best tokens") + "\n";
        for (i, layer) in layers.iter().enumerate() {
            let name = match i {
                0 => "embed".to_owned(),
                _ if i + 1 == layers.len() => "model".to_owned(),
                _ => layer.layer.to_string(),
            };
            let entropy = layer.entropy.map_or("-".to_owned(), |entropy| format!("{entropy:.3}"));
            let rank = layer.asked.first().and_then(|asked| asked.1);
            let rank = rank.map_or("-".to_owned(), |rank| rank.to_string());
            let one = |token: &TokenShare| {
                format!("{} {}", quoted(&token.text, token.token), share(token.probability))
            };
            let best: Vec<String> = layer.top.iter().take(LAYER_NAMED).map(one).collect();
            text +=
                &self.folded(&format!("{name:>5}  {entropy:>7}  {rank:>18}  {}", best.join(", ")));
        }
        text
    }

    /// The heads of the columns, the numbers of each stage, and a line for each token.
    fn grid(&self, view: &StepView, row_entropy: Option<f64>) -> String {
        let heads = view.stages.iter().map(|stage| stage.stage.clone());
        let counts: Vec<String> = view.stages.iter().map(count).collect();
        let first = view.stages.first();
        let all = first.map_or(String::new(), |stage| stage.before.to_string());
        let entropy = first.map_or(row_entropy, |stage| stage.entropy_before);
        let mut rows: Vec<(String, Vec<String>)> = vec![
            (String::new(), [vec!["model".to_owned()], heads.collect()].concat()),
            ("candidates".to_owned(), [vec![all], counts].concat()),
            ("mass removed".to_owned(), masses(view)),
            ("entropy (nats)".to_owned(), entropies(view, entropy)),
        ];
        let marks = view.tokens.iter().map(|path| (Some(path), line(path)));
        rows.retain(|(name, cells)| name.is_empty() || cells.iter().any(|cell| !cell.is_empty()));
        let rows: Vec<_> = rows.into_iter().map(|row| (None, row)).chain(marks).collect();
        let widths = widths(rows.iter().map(|(_, (_, cells))| cells));
        let most = rows.iter().filter_map(|(path, _)| (*path).and_then(left)).fold(0.0, f64::max);
        let mut text = String::new();
        // Columns that have no room stand below, the names of the lines once more.
        let mut from = 0;
        while from < widths.len() {
            let mut to = from;
            let mut width = NAMES;
            while to < widths.len() && (to == from || width + 2 + widths[to] <= self.columns) {
                width += 2 + widths[to];
                to += 1;
            }
            let bars = to == widths.len() && width + 2 + BAR <= self.columns;
            text += &self.block(&rows, &widths, from..to, bars.then_some(most));
            from = to;
        }
        text
    }

    /// Some of the columns, and bars of what was left beside the last.
    fn block(
        &self,
        rows: &[Line<'_>],
        widths: &[usize],
        columns: Range<usize>,
        most: Option<f64>,
    ) -> String {
        let mut text = String::new();
        for (path, (name, cells)) in rows {
            let mut out = format!("{name:<NAMES$}");
            for at in columns.clone() {
                let (cell, width) = (cells.get(at).map_or("", String::as_str), widths[at]);
                let _ = write!(out, "  {cell:>width$}");
            }
            if let Some((most, share)) = most.zip((*path).and_then(left)) {
                let _ = write!(out, "  {}", bar(share / most));
            }
            let chosen = path.is_some_and(|path| path.chosen);
            let gone = path.is_some_and(|path| path.removed_by.is_some());
            let out = out.trim_end();
            text += &match (chosen, gone) {
                (true, _) => self.style.bold(&format!("{out}  <- chosen")),
                (_, true) => self.style.dim(out),
                _ => out.to_owned(),
            };
            text.push('\n');
        }
        text
    }
}

/// The probability that a token had in the end; `None` of one that was removed.
fn left(path: &TokenPath) -> Option<f64> {
    path.places.last().copied().flatten().and_then(|place| place.probability)
}

/// A bar as long as a share of 1, in eighths of a column.
fn bar(share: f64) -> String {
    let eighths = (share * (8 * BAR) as f64).round() as usize;
    let part = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    "█".repeat(eighths / 8) + part
}

/// The end of a text, from a whole character on.
fn tail(text: &str) -> String {
    if text.len() <= TAIL {
        return text.to_owned();
    }
    let from = (text.len() - TAIL..text.len()).find(|&at| text.is_char_boundary(at));
    format!("…{}", &text[from.unwrap_or(text.len())..])
}

/// `1664 -> 50`, or `1664` where nothing was removed.
fn count(stage: &StageView) -> String {
    if stage.before == stage.after {
        return stage.after.to_string();
    }
    format!("{}→{}", stage.before, stage.after)
}

fn masses(view: &StepView) -> Vec<String> {
    let mass = |stage: &StageView| match stage.removed_mass {
        Some(mass) if stage.before != stage.after => percent(mass),
        _ => String::new(),
    };
    std::iter::once(String::new()).chain(view.stages.iter().map(mass)).collect()
}

fn entropies(view: &StepView, first: Option<f64>) -> Vec<String> {
    let shown =
        |entropy: Option<f64>| entropy.map_or_else(String::new, |nats| format!("{nats:.3}"));
    let after = view.stages.iter().map(|stage| shown(stage.entropy_after));
    std::iter::once(shown(first)).chain(after).collect()
}

/// Rank and text of a token, and its probability at each stage up to the one that removed it.
fn line(path: &TokenPath) -> (String, Vec<String>) {
    let first = path.places.first().copied().flatten();
    let rank = first.map_or_else(|| "-".to_owned(), |place| place.rank.to_string());
    let name = format!("{rank:>6}  {}", quoted(&path.text, path.token));
    let mut here = true;
    let cell = |place: &Option<taper_runner::Place>| {
        let was = std::mem::replace(&mut here, place.is_some());
        match place {
            Some(place) => share(place.probability),
            None if was => "cut".to_owned(),
            None => String::new(),
        }
    };
    (name, path.places.iter().map(cell).collect())
}

fn widths<'r>(rows: impl Iterator<Item = &'r Vec<String>>) -> Vec<usize> {
    let mut widths = Vec::new();
    for cells in rows {
        widths.resize(widths.len().max(cells.len()), 0);
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = cell.chars().count().max(*width);
        }
    }
    widths
}

/// The tokens that the stage removed first, and the ties at its boundary.
fn remarks(name: &str, stage: &StageView) -> Vec<String> {
    let mut lines = Vec::new();
    let named_share = |token: &TokenShare| {
        format!("{} {}", quoted(&token.text, token.token), share(token.probability))
    };
    let named = &stage.removed[..stage.removed.len().min(NAMED)];
    if !named.is_empty() {
        let who = named.iter().map(named_share).collect::<Vec<_>>().join(", ");
        let gone = stage.before.saturating_sub(stage.after);
        let more = if gone > named.len() { ", …" } else { "" };
        lines.push(format!("{name} removed {gone}, first of all {who}{more}"));
    }
    if stage.ties > 0 {
        lines.push(tie(name, stage));
    }
    lines
}

/// `top_k 1 kept 2, by a tie: 2 equal scores met at its boundary, kept " Bo", " Al"`.
fn tie(name: &str, stage: &StageView) -> String {
    let named = |kept: bool| {
        let these = stage.boundary.iter().filter(|token| token.kept == kept);
        let these: Vec<String> =
            these.map(|token: &BoundaryToken| quoted(&token.text, token.token)).collect();
        let what = if kept { "kept" } else { "cut" };
        (!these.is_empty()).then(|| format!(", {what} {}", these.join(", ")))
    };
    let (kept, cut) = (named(true).unwrap_or_default(), named(false).unwrap_or_default());
    let more = if stage.boundary.len() < stage.ties { ", …" } else { "" };
    let more = if stage.boundary.is_empty() { "" } else { more };
    let (after, ties) = (stage.after, stage.ties);
    format!(
        "{name} kept {after}, by a tie: {ties} equal scores met at its boundary{kept}{cut}{more}"
    )
}

/// A probability, a small one with two digits of its own.
fn share(probability: Option<f64>) -> String {
    match probability {
        None => "-".to_owned(),
        Some(share) if (1e-9..0.0005).contains(&share) => {
            let hundredths = share * 100.0;
            let decimals = 1 - hundredths.log10().floor() as i32;
            format!("{hundredths:.*} %", decimals.max(0) as usize)
        }
        Some(share) => percent(share),
    }
}

/// What became of a token that was asked for.
fn fate(path: &TokenPath) -> String {
    let name = quoted(&path.text, path.token);
    let name = if name.contains('#') { name } else { format!("{name} #{}", path.token) };
    let Some(first) = path.places.first().copied().flatten() else {
        return format!("{name}: at -inf in the model's row");
    };
    let own = share(first.probability);
    let model = format!("{name}: rank {} of the model's, {own}", first.rank);
    let left = path.places.iter().flatten().last().copied().unwrap_or(first);
    let share = share(left.probability);
    match &path.removed_by {
        Some(stage) => {
            format!("{model}; removed by {stage}, where it had rank {}, {share}", left.rank)
        }
        None if path.chosen => format!("{model}; chosen, at {share}"),
        None => format!("{model}; left, at rank {}, {share}", left.rank),
    }
}
