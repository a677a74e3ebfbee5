//! `steps.csv` and `pairs.csv`: the records token by token, and run against run, as other programs read them.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::Path;

use taper_models::files::{FileError, write_file};

use super::facts::Words;
use super::jaccard::similarity;
use crate::experiment::folder::FolderError;
use crate::experiment::manifest::Manifest;
use crate::experiment::record::Record;
use crate::experiment::records::{PAIRS, RECORDS, STEPS, Seen, each_line};

/// Runs of a prompt and a setting that are compared pair by pair; of more, the first.
const COMPARED: usize = 50;

/// Runs that are compared, all prompts and settings together: where there are many of those, each has
/// fewer.
const HELD: usize = 1 << 14;

/// Settings of which each two are compared; of more, each with the first alone.
const SETTINGS: usize = 40;

const STEP_COLUMNS: [&str; 16] = [
    "prompt",
    "setting",
    "control",
    "run",
    "seed",
    "step",
    "token",
    "text",
    "logprob",
    "rank",
    "probability",
    "kept",
    "entropy",
    "drawn_entropy",
    "drawn_kl",
    "ties",
];

const PAIR_COLUMNS: [&str; 18] = [
    "prompt",
    "kind",
    "setting_a",
    "run_a",
    "seed_a",
    "setting_b",
    "run_b",
    "seed_b",
    "same",
    "jaccard_words",
    "jaccard_tokens",
    "first_difference",
    "token_a",
    "text_a",
    "kept_a",
    "token_b",
    "text_b",
    "kept_b",
];

/// Writes both files into a sweep's folder, from the records there.
///
/// `pairs.csv` has each two runs of one prompt and setting (`within`), the first 50 of them (fewer where
/// there are more than 327 prompts and settings together), and for each
/// two settings the runs of the same seed (`between`). Jaccard is what two texts have in common over what
/// either has: of words without case and punctuation, and of tokens, each counted once.
///
/// # Errors
///
/// When the records cannot be read, or a file cannot be written.
pub fn write_exports(dir: impl AsRef<Path>) -> Result<(), FolderError> {
    let dir = dir.as_ref();
    write_table(&dir.join(STEPS), |table| {
        table.write_record(STEP_COLUMNS)?;
        each(dir, |record| step_lines(&record, table))
    })?;
    let manifest = Manifest::read(dir)?;
    let cells = manifest.prompts.len().saturating_mul(manifest.settings.len());
    let mut runs = Runs { most: COMPARED.min(HELD / cells.max(1)).max(2), ..Runs::default() };
    each(dir, |record| {
        runs.add(record);
        Ok(())
    })
    .map_err(|error| FileError::of_system(&dir.join(RECORDS), error))?;
    write_table(&dir.join(PAIRS), |table| runs.lines(table))
}

type Table<'s> = csv::Writer<&'s mut dyn Write>;

fn write_table(
    path: &Path,
    lines: impl Fn(&mut Table<'_>) -> io::Result<()>,
) -> Result<(), FolderError> {
    write_file(path, |sink| {
        let sink: &mut dyn Write = sink;
        let mut table = csv::Writer::from_writer(sink);
        lines(&mut table)?;
        table.flush()
    })?;
    Ok(())
}

/// Each run once, as the summary has it.
fn each(dir: &Path, mut take: impl FnMut(Record) -> io::Result<()>) -> io::Result<()> {
    let manifest = Manifest::read(dir).map_err(io::Error::other)?;
    let (mut seen, mut failed) = (Seen::of(&manifest), None);
    each_line(&dir.join(RECORDS), |line| {
        let record: Record = serde_json::from_str(line)?;
        if failed.is_none() && seen.is_new(&record) {
            failed = take(record).err();
        }
        Ok(())
    })
    .map_err(io::Error::other)?;
    failed.map_or(Ok(()), Err)
}

fn number(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn step_lines(record: &Record, table: &mut Table<'_>) -> io::Result<()> {
    for (step, at) in record.steps.iter().zip(1..) {
        let drawn = step.drawn.as_ref();
        let ties = step.stages.iter().map(|stage| stage.ties).sum::<usize>();
        table.write_record([
            record.prompt.clone(),
            record.label.clone(),
            record.control.to_string(),
            record.id.seed.to_string(),
            record.seed.to_string(),
            at.to_string(),
            step.token.to_string(),
            step.text.clone(),
            number(step.logprob),
            number(step.rank),
            number(step.probability),
            number(step.kept),
            number(step.entropy),
            number(drawn.and_then(|drawn| drawn.entropy)),
            number(drawn.and_then(|drawn| drawn.kl)),
            number((!step.stages.is_empty()).then_some(ties)),
        ])?;
    }
    Ok(())
}

/// What is compared of a run.
struct Run {
    label: String,
    control: bool,
    number: usize,
    seed: u64,
    tokens: Vec<u32>,
    /// Ascending, each once.
    sorted: Vec<u32>,
    words: Vec<u32>,
    kept: Vec<Option<usize>>,
}

/// The first runs of each prompt and setting.
#[derive(Default)]
struct Runs {
    /// How many of each are compared.
    most: usize,
    words: Words,
    texts: HashMap<u32, String>,
    prompts: BTreeMap<usize, (String, BTreeMap<usize, Vec<Run>>)>,
}

impl Runs {
    fn add(&mut self, record: Record) {
        let (_, settings) = self
            .prompts
            .entry(record.id.prompt)
            .or_insert_with(|| (record.prompt.clone(), BTreeMap::new()));
        let runs = settings.entry(record.id.setting).or_default();
        if runs.len() >= self.most {
            return;
        }
        let words = self.words.of(&record);
        for step in &record.steps {
            self.texts.entry(step.token).or_insert_with(|| step.text.clone());
        }
        let mut sorted = record.tokens.clone();
        sorted.sort_unstable();
        sorted.dedup();
        runs.push(Run {
            label: record.label,
            control: record.control,
            number: record.id.seed,
            seed: record.seed,
            tokens: record.tokens,
            sorted,
            words,
            kept: record.steps.iter().map(|step| step.kept).collect(),
        });
    }

    fn lines(&self, table: &mut Table<'_>) -> io::Result<()> {
        table.write_record(PAIR_COLUMNS)?;
        for (prompt, settings) in self.prompts.values() {
            let settings: Vec<&Vec<Run>> = settings.values().collect();
            let firsts = if settings.len() > SETTINGS { 1 } else { settings.len() };
            for (i, runs) in settings.iter().enumerate() {
                for (j, a) in runs.iter().enumerate() {
                    for b in &runs[j + 1..] {
                        self.line(prompt, "within", (a, b), table)?;
                    }
                }
                let others = settings[i + 1..].iter().filter(|_| i < firsts);
                for (a, b) in others.flat_map(|other| paired(runs, other)) {
                    self.line(prompt, "between", (a, b), table)?;
                }
            }
        }
        Ok(())
    }

    fn line(
        &self,
        prompt: &str,
        kind: &str,
        (a, b): (&Run, &Run),
        table: &mut Table<'_>,
    ) -> io::Result<()> {
        let apart = first_difference(&a.tokens, &b.tokens);
        let token = |run: &Run| apart.and_then(|at| run.tokens.get(at).copied());
        let text = |run: &Run| token(run).and_then(|token| self.texts.get(&token).cloned());
        let kept = |run: &Run| apart.and_then(|at| run.kept.get(at).copied().flatten());
        table.write_record([
            prompt.to_owned(),
            kind.to_owned(),
            a.label.clone(),
            a.number.to_string(),
            a.seed.to_string(),
            b.label.clone(),
            b.number.to_string(),
            b.seed.to_string(),
            apart.is_none().to_string(),
            similarity(&a.words, &b.words).to_string(),
            similarity(&a.sorted, &b.sorted).to_string(),
            number(apart.map(|at| at + 1)),
            number(token(a)),
            number(text(a)),
            number(kept(a)),
            number(token(b)),
            number(text(b)),
            number(kept(b)),
        ])?;
        Ok(())
    }
}

/// The runs of the same seed; a control has one, which goes with all.
fn paired<'r>(a: &'r [Run], b: &'r [Run]) -> Vec<(&'r Run, &'r Run)> {
    let all = a.iter().flat_map(|one| b.iter().map(move |two| (one, two)));
    all.filter(|(one, two)| one.number == two.number || one.control || two.control).collect()
}

/// The first step, from 0, at which two texts differ; where one begins with the other, that after it ends.
fn first_difference(a: &[u32], b: &[u32]) -> Option<usize> {
    let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    (common < a.len() || common < b.len()).then_some(common)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_differ_where_one_ends() {
        assert_eq!(first_difference(&[1, 2], &[1, 2]), None);
        assert_eq!(first_difference(&[1, 2], &[1, 3]), Some(1));
        assert_eq!(first_difference(&[1, 2], &[1, 2, 3]), Some(2));
        assert_eq!(first_difference(&[], &[3]), Some(0));
    }
}
