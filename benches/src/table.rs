//! The table of ratios, from the rounds in `target/rounds`, the times that criterion leaves in
//! `target/criterion`, and those that the scripts in `peers/` leave in `target/peers`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{GOALS, Goal, PEER_GOALS, SIZES, rounds};

/// The size at which the goals are.
const MIDDLE: &str = "128k";
const INPUTS: [&str; 3] = ["flat", "peaked", "ties"];
/// The contenders that are not ours, and their names in the table.
const PEERS: [(&str, &str); 6] = [
    ("candle", "candle-transformers"),
    ("token_sampling", "token-sampling"),
    ("llm_samplers", "llm-samplers"),
    ("llama_cpp", "llama.cpp"),
    ("huggingface", "transformers"),
    ("reference", "our reference"),
];

/// Times in nanoseconds.
#[derive(Debug, Default)]
pub struct Times {
    /// By `group/contender/input/size`: a call in the fastest of criterion's samples. On a machine that is
    /// shared, or whose clock changes, medians compare the neighbours.
    best: BTreeMap<String, f64>,
    /// Where the rounds are.
    rounds: PathBuf,
    /// What the scripts say they timed.
    versions: Vec<String>,
}

/// Where cargo and criterion leave what they make.
pub fn target() -> PathBuf {
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(here, PathBuf::from)
}

/// Where the benches leave their rounds.
pub fn rounds_folder() -> PathBuf {
    target().join("rounds")
}

/// The race of ours with the peers that run in the same program.
pub fn peers_race(group: &str) -> String {
    format!("{group}_peers")
}

/// The times of the last run that was not saved under a name, which criterion calls `base`.
pub fn default_times() -> Times {
    let mut times = Times { rounds: rounds_folder(), ..Times::default() };
    // Benches that were not run are missing in the table; so are peers.
    let _ = times.read_criterion(&target().join("criterion"), 4);
    let _ = times.read_scripts(&target().join("peers"));
    times
}

impl Times {
    fn read_criterion(&mut self, folder: &Path, depth: usize) -> io::Result<()> {
        if folder.file_name().is_some_and(|name| name == "base") {
            let bench = json(&folder.join("benchmark.json"))?;
            let sample = json(&folder.join("sample.json"))?;
            let id = ["group_id", "function_id", "value_str"].map(|key| bench[key].as_str());
            let list = |key: &str| sample[key].as_array().into_iter().flatten();
            let each = list("times").zip(list("iters"));
            let each = each.filter_map(|(time, calls)| Some(time.as_f64()? / calls.as_f64()?));
            if let ([Some(group), Some(contender), Some(input)], Some(best)) =
                (id, each.min_by(f64::total_cmp))
            {
                self.best.insert(format!("{group}/{contender}/{input}"), best);
            }
        } else if depth > 0 {
            for entry in std::fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    self.read_criterion(&path, depth - 1)?;
                }
            }
        }
        Ok(())
    }

    fn read_scripts(&mut self, folder: &Path) -> io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let script = json(&path)?;
            self.versions.extend(script["version"].as_str().map(str::to_string));
            for (bench, time) in script["nanoseconds"].as_object().into_iter().flatten() {
                self.best.extend(time.as_f64().map(|time| (bench.clone(), time)));
            }
        }
        self.versions.sort();
        Ok(())
    }

    fn at(&self, group: &str, contender: &str, input: &str, size: &str) -> Option<f64> {
        self.best.get(&format!("{group}/{contender}/{input}/{size}")).copied()
    }

    fn ours(&self, group: &str, input: &str) -> Option<f64> {
        self.at(group, "taper", input, MIDDLE)
    }

    /// The median over the rounds of a race of `(of − less) / over`, at the middle size.
    fn ratio(
        &self,
        race: &str,
        of: &str,
        less: Option<&str>,
        over: &str,
        input: &str,
    ) -> Option<f64> {
        let rounds = rounds::read(&self.rounds, race, &format!("{input}/{MIDDLE}"))?;
        rounds::ratio(&rounds, of, less, over)
    }

    fn ratio_to_floor(&self, group: &str, floor: &str, input: &str) -> Option<f64> {
        self.ratio(group, "taper", None, floor, input)
    }
}

fn json(path: &Path) -> io::Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

/// The ratio that a goal is about.
fn measured(times: &Times, goal: &Goal, input: &str) -> Option<f64> {
    Some(times.ratio(goal.group, "taper", goal.less, goal.over, input)? / goal.times)
}

/// The table in Markdown.
///
/// # Errors
///
/// When there are no times at all.
pub fn table(times: &Times) -> Result<String, &'static str> {
    if times.best.is_empty() {
        return Err("nothing was timed: cargo bench -p taper-benches --bench sampler");
    }
    let parts = [floors(times), peers(times), slope(times), cold(times), worst(times)];
    Ok(parts.concat())
}

fn floors(times: &Times) -> String {
    let mut text = String::from(
        "## Ours against the floors, 128 256 tokens\n\n\
         | group | input | ours | ÷ max pass | ÷ sum-of-exp pass | counts for the goal | goal | |\n\
         |---|---|---:|---:|---:|---:|---|---|\n",
    );
    let goal_of = |group: &str| GOALS.iter().find(|goal| goal.group == group);
    let groups = GOALS.iter().map(|goal| goal.group).chain(["llama_cpp_default", "dry"]);
    for (group, input) in groups.flat_map(|group| INPUTS.map(|input| (group, input))) {
        let Some(ours) = times.ours(group, input) else { continue };
        let floor = |name| times.ratio_to_floor(group, name, input);
        let goal = goal_of(group);
        let ratio = goal.and_then(|goal| measured(times, goal, input));
        let verdict = match (goal, ratio) {
            (Some(goal), Some(ratio)) if ratio <= goal.at_most => "met",
            (Some(_), Some(_)) => "**missed**",
            _ => "",
        };
        let _ = writeln!(
            text,
            "| {group} | {input} | {} | {} | {} | {} | {} | {verdict} |",
            microseconds(Some(ours)),
            number(floor("floor_max")),
            number(floor("floor_sum_exp")),
            number(ratio),
            goal.map_or("none", |goal| goal.words),
        );
    }
    let plain = |input| times.ratio("floors", "floor_sum_exp", None, "floor_by_operation", input);
    if let [Some(flat), Some(peaked), Some(ties)] = INPUTS.map(plain) {
        let _ = writeln!(
            text,
            "\nThe sum-of-exp pass is a plain loop over lanes. With its exponentials written an operation at a time, \
             over 64 lanes,\nit is {flat:.2} times as fast on `flat`, {peaked:.2} on `peaked` and {ties:.2} on `ties`."
        );
    }
    text + "\n"
}

fn peers(times: &Times) -> String {
    let names: Vec<&str> = PEERS.iter().map(|peer| peer.1).collect();
    let mut text = format!(
        "## How many times as long a peer takes, 128 256 tokens\n\n\
         In parentheses the goal, where it was missed.\n\n| group | input | {} |\n|---|---|{}\n",
        names.join(" | "),
        "---:|".repeat(names.len())
    );
    let groups = GOALS.iter().map(|goal| goal.group).chain(["llama_cpp_default", "dry"]);
    for (group, input) in groups.flat_map(|group| INPUTS.map(|input| (group, input))) {
        let Some(ours) = times.ours(group, input) else { continue };
        let ratios = PEERS.map(|(peer, _)| {
            let together = times.ratio(&peers_race(group), peer, None, "taper", input);
            let ratio = together.or_else(|| Some(times.at(group, peer, input, MIDDLE)? / ours))?;
            let is = |goal: &&crate::PeerGoal| {
                goal.group == group
                    && goal.peer == peer
                    && goal.input.is_none_or(|only| only == input)
            };
            let missed = PEER_GOALS.iter().find(is).filter(|goal| ratio < goal.at_least);
            let note = missed.map(|goal| format!(" (**{}**)", goal.at_least));
            Some(format!("{}{}", number(Some(ratio)), note.unwrap_or_default()))
        });
        if ratios.iter().any(Option::is_some) {
            let cells = ratios.map(Option::unwrap_or_default);
            let _ = writeln!(text, "| {group} | {input} | {} |", cells.join(" | "));
        }
    }
    for version in &times.versions {
        let _ = writeln!(text, "\n{version}");
    }
    text + "\n"
}

fn slope(times: &Times) -> String {
    let mut text = String::from(
        "## The slope in the size of the vocabulary\n\n\
         Nanoseconds a thousand tokens, on `flat` and `peaked`.\n\n\
         | group | input | 32 000 | 128 256 | 262 144 |\n|---|---|---:|---:|---:|\n",
    );
    let groups = GOALS.iter().map(|goal| goal.group).chain(["llama_cpp_default", "dry"]);
    for (group, input) in groups.flat_map(|group| ["flat", "peaked"].map(|input| (group, input))) {
        let each = SIZES.map(|(tokens, size)| {
            let time = times.at(group, "taper", input, size)?;
            Some(time / (tokens as f64 / 1000.0))
        });
        if each.iter().all(Option::is_some) {
            let cells = each.map(|each| format!("{:.0}", each.unwrap_or_default()));
            let _ = writeln!(text, "| {group} | {input} | {} |", cells.join(" | "));
        }
    }
    text + "\n"
}

fn cold(times: &Times) -> String {
    let mut text = String::from(
        "## Rows out of the cache, 128 256 tokens\n\n\
         64 rows of 0.5 MB one after the other, the floors too.\n\n\
         | group | input | cold | ÷ max pass, cold | ÷ sum-of-exp pass, cold | ÷ warm |\n\
         |---|---|---:|---:|---:|---:|\n",
    );
    for goal in GOALS {
        let group = format!("cold_{}", goal.group);
        for input in INPUTS {
            let Some(ours) = times.ours(&group, input) else { continue };
            let floor = |name| times.ratio_to_floor(&group, name, input);
            let _ = writeln!(
                text,
                "| {} | {input} | {} | {} | {} | {} |",
                goal.group,
                microseconds(Some(ours)),
                number(floor("floor_max")),
                number(floor("floor_sum_exp")),
                number(times.ours(goal.group, input).map(|warm| ours / warm)),
            );
        }
    }
    text + "\n"
}

fn worst(times: &Times) -> String {
    const BAD: [&str; 7] =
        ["sorted_up", "sorted_down", "all_equal", "one_block", "narrow", "outlier", "unsampled"];
    let mut text = format!(
        "## Bad inputs, 128 256 tokens\n\n\
         Each as a multiple of `flat`; the goal is 6 at most.\n\n| group | flat | {} |\n|---|---:|{}\n",
        BAD.join(" | "),
        "---:|".repeat(BAD.len())
    );
    for goal in GOALS {
        let group = format!("worst_{}", goal.group);
        let Some(flat) = times.ours(&group, "flat") else { continue };
        let cells = BAD.map(|input| {
            let ratio = times.ours(&group, input).map(|time| time / flat);
            let missed = if ratio.is_some_and(|ratio| ratio > 6.0) { " (**6**)" } else { "" };
            number(ratio) + missed
        });
        let (flat, cells) = (microseconds(Some(flat)), cells.join(" | "));
        let _ = writeln!(text, "| {} | {flat} | {cells} |", goal.group);
    }
    text
}

fn number(ratio: Option<f64>) -> String {
    match ratio {
        None => String::new(),
        Some(ratio) if ratio.abs() < 10.0 => format!("{ratio:.2}"),
        Some(ratio) => format!("{ratio:.0}"),
    }
}

fn microseconds(time: Option<f64>) -> String {
    time.map_or_else(String::new, |time| format!("{} µs", number(Some(time / 1000.0))))
}
