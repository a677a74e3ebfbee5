//! The summary as Markdown tables.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::bootstrap::Estimate;
use super::facts::{Facts, STEPS_SHOWN};
use super::jaccard::Spread;
use super::steps::steps;
use super::{Row, Summary};
use crate::experiment::spec::Table;
use crate::told::escaped;

/// Different texts shown of each prompt and setting.
const TEXTS_SHOWN: usize = 3;

/// Letters shown of a text.
const LETTERS_SHOWN: usize = 100;

/// What a row is shown with.
const COLUMNS: [&str; 17] = [
    "setting",
    "runs",
    "unique",
    "Jaccard within",
    "between",
    "kept",
    "entropy",
    "drawn entropy",
    "KL",
    "NLL",
    "distinct-1/2/3",
    "repeated",
    "ties",
    "tokens",
    "ended by",
    "tokens/s",
    "sampler",
];

impl Summary {
    /// The tables, one after the other, each under a heading.
    pub fn markdown(&self, tables: &[Table]) -> String {
        self.tables(tables, false)
    }

    /// As [`markdown`](Self::markdown), with all texts that are different, to their end.
    pub fn markdown_in_full(&self, tables: &[Table]) -> String {
        self.tables(tables, true)
    }

    fn tables(&self, tables: &[Table], full: bool) -> String {
        let mut text = format!("# {}\n", escaped(&self.manifest.title));
        if let Some(about) = &self.manifest.about {
            // A write to a string does not fail.
            let lines: Vec<_> = about.trim().lines().map(escaped).collect();
            let _ = write!(text, "\n{}\n", lines.join("\n"));
        }
        if self.repeated.records > 0 {
            let _ = write!(text, "\n{}.\n", self.repeated);
        }
        for table in tables {
            let (heading, table) = match table {
                Table::Summary => ("Summary", self.rows_table(false)),
                Table::Prompts => ("Prompts", self.rows_table(true)),
                Table::Jaccard => ("Words in common", self.jaccard_table()),
                Table::Paired => ("Settings compared run by run", self.paired_table()),
                Table::Kept => ("Tokens kept at each step", self.kept_table()),
                Table::Texts => ("Texts", self.texts_table(full)),
                Table::Steps => ("Steps", steps(&self.firsts)),
            };
            let _ = write!(text, "\n## {heading}\n\n{table}");
        }
        text
    }

    /// A line for each setting over all prompts, or for each prompt and setting.
    fn rows_table(&self, of_prompts: bool) -> String {
        let mut head = vec!["prompt"; usize::from(of_prompts)];
        head.extend(COLUMNS);
        let mut lines = Lines::new(&head);
        // A single prompt has no rows of its own: all prompts are that one.
        let single = self.manifest.prompts.len() == 1;
        for row in &self.rows {
            let name = self.manifest.prompts.get(row.prompt.unwrap_or(0));
            let mut line = vec![shorten(name.map_or("", |prompt| &prompt.name))];
            line.truncate(usize::from(of_prompts));
            line.extend(self.row_line(row));
            if row.prompt.is_some() == (of_prompts && !single) {
                lines.push(line);
            }
        }
        let mut text = lines.markdown();
        text += "\nJaccard: words in both texts over words in either, without case and punctuation; least–mean–most. Intervals: 95 %, by bootstrap, from 8 runs on. kept: the mean over \
                 the steps, and least–most. entropy and NLL (nats per token): of the model's own \
                 distribution. drawn entropy and KL (nats): of the distribution that tokens were chosen from, and \
                 its divergence from the model's. ties: steps at which equal scores met a boundary. repeated: 4-grams that occurred before.\n";
        if self.rows.iter().any(|row| row.sampled) {
            text += "\n≈: so many runs that different outputs beyond 4096 are estimated (±1.6 %), intervals are the normal \
                     distribution's, and of each prompt and setting the first runs alone are compared as texts.\n";
        }
        text
    }

    fn row_line(&self, row: &Row) -> Vec<String> {
        let [length, kept, entropy, nll, ..] = row.metrics;
        let distinct = row.metrics[4..7].iter().map(|share| mean(*share, 2));
        let reasons: Vec<String> =
            row.finish_reasons.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
        let range = row.kept.map_or_else(String::new, |(least, most)| format!(" ({least}–{most})"));
        let percent = |share: f64| format!("{:.0} %", 100.0 * share);
        vec![
            shorten(&self.manifest.settings[row.setting].label),
            row.runs.to_string(),
            unique(row),
            spread(row.jaccard_within),
            spread(row.jaccard_between),
            mean(kept, 1) + &range,
            with_interval(entropy, 2),
            with_interval(row.metric("drawn_entropy"), 2),
            with_interval(row.metric("drawn_kl"), 2),
            with_interval(nll, 2),
            distinct.collect::<Vec<_>>().join("/"),
            mean(row.metrics[7], 2),
            mean(row.metric("ties"), 1),
            mean(length, 1),
            reasons.join(", "),
            row.tokens_per_s.map_or_else(dash, |speed| format!("{speed:.0}")),
            row.sampler_share.map_or_else(dash, percent),
        ]
    }

    fn jaccard_table(&self) -> String {
        let mut lines = Lines::new(&["a setting", "another", "least–mean–most"]);
        let label = |setting: usize| shorten(&self.manifest.settings[setting].label);
        for pair in &self.between {
            let (a, b) = pair.settings;
            lines.push(vec![label(a), label(b), spread(Some(pair.jaccard))]);
        }
        lines.markdown()
    }

    /// The first run of each prompt and setting.
    fn kept_table(&self) -> String {
        let mut lines = Lines::new(&["prompt", "setting", "tokens kept at the first 20 steps"]);
        for (prompt, setting, runs) in self.cells() {
            let Some(first) = runs.first() else { continue };
            let one = |kept: &Option<usize>| kept.map_or_else(dash, |kept| kept.to_string());
            let kept: Vec<String> = first.kept.iter().take(STEPS_SHOWN).map(one).collect();
            lines.push(vec![prompt, setting, kept.join(" ")]);
        }
        lines.markdown()
    }

    fn texts_table(&self, full: bool) -> String {
        let mut lines = Lines::new(&["prompt", "setting", "×", "text"]);
        for (prompt, setting, runs) in self.cells() {
            let mut texts: BTreeMap<&[u32], (usize, usize, &Facts)> = BTreeMap::new();
            for (order, facts) in runs.iter().enumerate() {
                texts.entry(facts.tokens.as_slice()).or_insert((0, order, facts)).0 += 1;
            }
            let mut texts: Vec<_> = texts.into_values().collect();
            texts.sort_by_key(|&(count, order, _)| (std::cmp::Reverse(count), order));
            let shown = if full { texts.len() } else { TEXTS_SHOWN };
            let more = texts.len().saturating_sub(shown);
            for (count, _, facts) in texts.into_iter().take(shown) {
                let text = if full { facts.text.clone() } else { shorten(&facts.text) };
                lines.push(vec![prompt.clone(), setting.clone(), count.to_string(), text]);
            }
            if more > 0 {
                lines.push(vec![prompt, setting, String::new(), format!("({more} more)")]);
            }
        }
        let mut text = lines.markdown();
        if self.rows.iter().any(|row| row.sampled) {
            text += "\nOf the first runs of each prompt and setting.\n";
        }
        text
    }

    /// The names of prompt and setting, and the runs.
    fn cells(&self) -> impl Iterator<Item = (String, String, &Vec<Facts>)> {
        self.cells.iter().filter_map(|((prompt, setting), runs)| {
            let prompt = shorten(&self.manifest.prompts.get(*prompt)?.name);
            Some((prompt, shorten(&self.manifest.settings.get(*setting)?.label), runs))
        })
    }
}

/// A Markdown table whose columns are aligned, for it is read in terminals too.
pub(super) struct Lines {
    cells: Vec<Vec<String>>,
}

impl Lines {
    pub(super) fn new(head: &[&str]) -> Self {
        Self { cells: vec![head.iter().map(|&name| name.to_owned()).collect()] }
    }

    pub(super) fn push(&mut self, line: impl IntoIterator<Item = String>) {
        self.cells.push(line.into_iter().map(|cell| escape(&cell)).collect());
    }

    pub(super) fn markdown(&self) -> String {
        let columns = self.cells[0].len();
        let width = |column: usize| {
            self.cells.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (i, line) in self.cells.iter().enumerate() {
            for (cell, width) in line.iter().zip(&widths) {
                let _ = write!(text, "| {cell:<width$} ");
            }
            text += "|\n";
            if i == 0 {
                for width in &widths {
                    let _ = write!(text, "|{:-<1$}", "", width + 2);
                }
                text += "|\n";
            }
        }
        text
    }
}

/// A text in one line that breaks no table.
fn escape(cell: &str) -> String {
    let plain = cell.replace('\\', "\\\\").replace('|', "\\|").replace('\n', "⏎");
    escaped(&plain).into_owned()
}

pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(LETTERS_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

pub(super) fn dash() -> String {
    "–".to_owned()
}

fn mean(estimate: Option<Estimate>, digits: usize) -> String {
    estimate.map_or_else(dash, |estimate| format!("{:.digits$}", estimate.mean))
}

pub(super) fn with_interval(estimate: Option<Estimate>, digits: usize) -> String {
    let interval = estimate.and_then(|estimate| estimate.interval);
    let interval = interval.map(|(low, high)| format!(" [{low:.digits$}, {high:.digits$}]"));
    mean(estimate, digits) + &interval.unwrap_or_default()
}

/// `3 of 5`; over several prompts what each has on average, and all together.
fn unique(row: &Row) -> String {
    let about = if row.sampled { "≈ " } else { "" };
    if row.prompts == 1 {
        return format!("{about}{} of {}", row.unique, row.runs);
    }
    let prompts = row.prompts as f64;
    let (each, runs) = (row.unique as f64 / prompts, row.runs as f64 / prompts);
    let short = |x: f64| if x.fract() == 0.0 { format!("{x:.0}") } else { format!("{x:.1}") };
    format!("{about}{} of {} a prompt, {} in all", short(each), short(runs), row.unique_overall)
}

fn spread(spread: Option<Spread>) -> String {
    spread.map_or_else(dash, |Spread { min, mean, max }| format!("{min:.2}–{mean:.2}–{max:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_breaks_a_table() {
        let mut lines = Lines::new(&["a", "text"]);
        lines.push(vec!["x|y".to_owned(), "one\ntwo\u{7}".to_owned()]);
        lines.push(vec!["\u{202e}".to_owned(), String::new()]);
        let want = "| a        | text         |\n|----------|--------------|\n\
                    | x\\|y     | one⏎two\\u{7} |\n| \\u{202e} |              |\n";
        assert_eq!(lines.markdown(), want);
    }
}
