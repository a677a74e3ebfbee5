//! Ties that changed what could be chosen, told without being asked for.

use std::io::Write as _;

use taper_runner::sampling::{Pipeline, Stage, TiePolicy};
use taper_runner::{Step, tie_policy_name};

/// Steps whose ties are told one by one.
const TOLD: usize = 3;

/// Collects the ties of a run.
#[derive(Debug, Default)]
pub(super) struct Ties {
    /// For each sequence the steps so far.
    made: Vec<usize>,
    lines: Vec<String>,
    steps: usize,
}

impl Ties {
    pub(super) fn step(&mut self, pipeline: &Pipeline, step: &Step) {
        self.made.resize(self.made.len().max(step.sequence + 1), 0);
        self.made[step.sequence] += 1;
        let Some(stages) = step.report.as_ref().and_then(|report| report.stages.as_ref()) else {
            return;
        };
        let named = pipeline.to_string();
        let names = named.split(" → ");
        let tied = stages.iter().zip(names).zip(0..).filter(|((stage, _), _)| stage.ties > 0);
        let tied: Vec<_> = tied.collect();
        self.steps += usize::from(!tied.is_empty());
        for ((stage, name), at) in tied.into_iter().filter(|_| self.steps <= TOLD) {
            let n = self.made[step.sequence];
            let count = if stage.ties == 2 { "two".to_owned() } else { stage.ties.to_string() };
            let rule =
                pipeline.stages().get(at).map_or("the selector's own", |stage| rule(&**stage));
            let told = match rule {
                "keep-all" => {
                    "kept by the tie rule keep-all; greedy takes the lowest id".to_owned()
                }
                rule => format!("divided by the tie rule {rule}"),
            };
            self.lines.push(format!("at step {n} {count} tokens tied at {name}, {told}"));
        }
    }

    /// On standard error, when the text is there.
    pub(super) fn tell(&self) {
        let mut stderr = std::io::stderr();
        for line in &self.lines {
            let _ = writeln!(stderr, "note: {line}");
        }
        if let more @ 1.. = self.steps.saturating_sub(TOLD) {
            let _ =
                writeln!(stderr, "note: tokens tied at {more} further steps; --trace shows them");
        }
    }
}

/// The name of a stage's tie rule; of one that has none to choose, the usual.
fn rule(stage: &dyn Stage) -> &'static str {
    let all = [
        TiePolicy::KeepAll,
        TiePolicy::LowestId,
        TiePolicy::HighestId,
        TiePolicy::Random,
        TiePolicy::Error,
    ];
    let said = stage.settings().and_then(|settings| settings.get("ties").cloned());
    let named = all.into_iter().find(|&policy| said == Some(policy.into()));
    tie_policy_name(named.unwrap_or_default())
}
