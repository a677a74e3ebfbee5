//! An experiment as one HTML file that needs nothing else: no network, no server.
//!
//! The numbers are made here, and the page's own script draws them. They reach it as JSON in elements
//! that no browser runs, with every character escaped that could end such an element; everything
//! that a model or a person wrote is put into the page as text, never as markup. A content security
//! policy allows the page's own script and style by their hashes and nothing else, so that what slips
//! through cannot run either.

mod data;
mod rows;

use minijinja::value::Value;
use minijinja::{Environment, context};
use sha2::{Digest, Sha256};

use self::data::{Overview, steps_of};
use crate::experiment::{Records, Summary};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = concat!(
    "'use strict';\n(() => {\n",
    include_str!("js/base.js"),
    include_str!("js/words.js"),
    include_str!("js/variety.js"),
    include_str!("js/plots.js"),
    include_str!("js/outputs.js"),
    include_str!("js/strip.js"),
    include_str!("js/survivors.js"),
    include_str!("js/tree.js"),
    include_str!("js/share.js"),
    include_str!("js/run.js"),
    include_str!("js/compare.js"),
    include_str!("js/main.js"),
    "})();\n"
);

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The experiment has no runs yet.
    #[error("there are no runs to report; let the sweep make some first")]
    NoRuns,
    /// A run names a prompt, a setting or a seed that the manifest does not have.
    #[error(
        "run {run} is of prompt {prompt}, setting {setting}, seed {seed}, and the manifest has {prompts} \
         prompts, {settings} settings, {seeds} seeds; the files are not of one sweep"
    )]
    Stray {
        /// Which run, in canonical order from 1.
        run: usize,
        /// Its prompt, from 0.
        prompt: usize,
        /// Its setting, from 0.
        setting: usize,
        /// Its seed, from 0.
        seed: usize,
        /// How many prompts there are.
        prompts: usize,
        /// How many settings.
        settings: usize,
        /// How many seeds.
        seeds: usize,
    },
    /// The page could not be put together.
    #[error("the page cannot be put together: {0}")]
    Page(String),
}

/// The report on an experiment as an HTML page, the same for the same records.
///
/// # Errors
///
/// When there are no runs, and when one is none of the manifest's.
///
/// ```no_run
/// use taper_runner::experiment::Records;
/// use taper_runner::report;
///
/// let read = Records::read("results")?;
/// std::fs::write("report.html", report::page(&read)?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn page(read: &Records) -> Result<String, ReportError> {
    page_of_some(read, &Summary::of(read.manifest.clone(), read.records.iter().cloned()))
}

/// The same of more runs than a page can show: `read` has those that are shown one by one, and `summary`
/// the numbers of all.
///
/// # Errors
///
/// As [`page`].
pub fn page_of_some(read: &Records, summary: &Summary) -> Result<String, ReportError> {
    check(read)?;
    let mut texts = data::Texts::default();
    let steps: Vec<String> = read
        .records
        .iter()
        .map(|record| json(&steps_of(record, &mut texts)))
        .collect::<Result<_, _>>()?;
    let overview = json(&Overview::of(read, summary, &texts))?;
    let failed = |error: minijinja::Error| ReportError::Page(format!("{error:#}"));
    let mut environment = Environment::new();
    // The name ends in .html: what is put in is escaped.
    environment.add_template("page.html", PAGE).map_err(failed)?;
    let page = environment.get_template("page.html").map_err(failed)?;
    page.render(context! {
        title => read.manifest.title.as_str(),
        policy => policy(),
        style => Value::from_safe_string(STYLE.to_owned()),
        script => Value::from_safe_string(SCRIPT.to_owned()),
        overview => Value::from_safe_string(overview),
        steps => steps.into_iter().map(Value::from_safe_string).collect::<Vec<_>>(),
    })
    // A template's last line end is left out.
    .map(|page| page + "\n")
    .map_err(failed)
}

fn check(read: &Records) -> Result<(), ReportError> {
    let manifest = &read.manifest;
    if read.records.is_empty() {
        return Err(ReportError::NoRuns);
    }
    let (prompts, settings, seeds) =
        (manifest.prompts.len(), manifest.settings.len(), manifest.seeds.len());
    for (i, record) in read.records.iter().enumerate() {
        let (prompt, setting, seed) = (record.id.prompt, record.id.setting, record.id.seed);
        if prompt >= prompts || setting >= settings || seed >= seeds {
            let run = i + 1;
            let stray = ReportError::Stray { run, prompt, setting, seed, prompts, settings, seeds };
            return Err(stray);
        }
    }
    Ok(())
}

/// JSON that can stand in a `<script>` element: what could end the element, or begin a comment in
/// it, is written as an escape, and so are the two line ends that are none in JSON.
fn json(value: &impl serde::Serialize) -> Result<String, ReportError> {
    let json =
        serde_json::to_string(value).map_err(|error| ReportError::Page(error.to_string()))?;
    // Outside of strings JSON has none of these characters.
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            '\u{2028}' => safe.push_str("\\u2028"),
            '\u{2029}' => safe.push_str("\\u2029"),
            c => safe.push(c),
        }
    }
    Ok(safe)
}

/// Nothing may be loaded from anywhere, and only the page's own script and style count.
fn policy() -> String {
    let hash = |text: &str| base64::encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
}

#[cfg(test)]
mod tests;
