//! The table of ratios, from the times that criterion leaves in `target/criterion` and those that the
//! scripts in `peers/` leave in `target/peers`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{GOALS, Goal, PEER_GOALS, SIZES};

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
    /// By run, and by `group/contender/input/size`: a call in the fastest of criterion's samples. On a
    /// machine that is shared, or whose clock changes, medians compare the neighbours.
    runs: BTreeMap<String, BTreeMap<String, f64>>,
    /// The same of all runs.
    best: BTreeMap<String, f64>,
    /// What the scripts say they timed.
    versions: Vec<String>,
}

/// Where cargo and criterion leave what they make.
pub fn target() -> PathBuf {
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(here, PathBuf::from)
}

/// The times of the last run that was not saved under a name, which criterion calls `base`, and of those that
/// were saved under names like `run2`.
pub fn default_times() -> Times {
    let mut times = Times::default();
    // Benches that were not run are missing in the table; so are peers.
    let _ = times.read_criterion(&target().join("criterion"), 4);
    let _ = times.read_scripts(&target().join("peers"));
    times
}

impl Times {
    fn read_criterion(&mut self, folder: &Path, depth: usize) -> io::Result<()> {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name == "base" || name.starts_with("run") {
            let bench = json(&folder.join("benchmark.json"))?;
            let sample = json(&folder.join("sample.json"))?;
            let id = ["group_id", "function_id", "value_str"].map(|key| bench[key].as_str());
            let list = |key: &str| sample[key].as_array().into_iter().flatten();
            let each = list("times").zip(list("iters"));
            let each = each.filter_map(|(time, calls)| Some(time.as_f64()? / calls.as_f64()?));
            if let ([Some(group), Some(contender), Some(input)], Some(best)) =
                (id, each.min_by(f64::total_cmp))
            {
                let bench = format!("{group}/{contender}/{input}");
                self.runs.entry(name.to_string()).or_default().insert(bench.clone(), best);
                let so_far = self.best.entry(bench).or_insert(best);
                *so_far = so_far.min(best);
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

    /// The median over the runs of `(ours − less) / over`, at the middle size: whatever slows a run slows
    /// both.
    fn ratio(&self, group: &str, less: Option<&str>, over: &str, input: &str) -> Option<f64> {
        let of = |times: &BTreeMap<String, f64>| {
            let at = |contender: &str| {
                times.get(&format!("{group}/{contender}/{input}/{MIDDLE}")).copied()
            };
            let less = match less {
                Some(less) => at(less)?,
                None => 0.0,
            };
            Some((at("taper")? - less) / at(over)?)
        };
        let mut ratios: Vec<f64> = self.runs.values().filter_map(of).collect();
        ratios.sort_by(f64::total_cmp);
        let middle = ratios.len() / 2;
        let upper = *ratios.get(middle)?;
        Some(if ratios.len() % 2 == 1 { upper } else { f64::midpoint(ratios[middle - 1], upper) })
    }
}

fn json(path: &Path) -> io::Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

/// The ratio that a goal is about.
fn measured(times: &Times, goal: &Goal, input: &str) -> Option<f64> {
    Some(times.ratio(goal.group, goal.less, goal.over, input)? / goal.times)
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
        let floor = |name| times.ratio(group, None, name, input);
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
            let ratio = times.at(group, peer, input, MIDDLE)? / ours;
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
            let floor = |name| times.ratio(&group, None, name, input);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The second run is four times as slow, and the fastest of ours is not in the run of the fastest floor.
    #[test]
    fn a_ratio_is_taken_within_a_run_and_the_median_of_the_runs() {
        let mut times = Times::default();
        for (run, ours, bare, floor) in
            [("base", 10.0, 5.0, 5.0), ("run2", 40.0, 4.0, 10.0), ("run3", 12.0, 8.0, 4.0)]
        {
            let times = times.runs.entry(run.to_string()).or_default();
            for (contender, time) in [("taper", ours), ("bare", bare), ("floor", floor)] {
                times.insert(format!("group/{contender}/flat/{MIDDLE}"), time);
            }
        }
        assert_eq!(times.ratio("group", None, "floor", "flat"), Some(3.0));
        assert_eq!(times.ratio("group", Some("bare"), "floor", "flat"), Some(1.0));
        assert_eq!(times.ratio("group", None, "other", "flat"), None);
        times.runs.remove("base");
        assert_eq!(times.ratio("group", None, "floor", "flat"), Some(3.5));
    }
}
