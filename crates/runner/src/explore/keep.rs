//! What was tried, as a sweep with a report.

use std::fs;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde::Deserialize;
use serde_json::{Value, json};
use taper_models::files::write_file;

use super::{Denied, Explorer};
use crate::experiment::{Plan, Records, Spec, SweepOptions, sweep};
use crate::report;

/// Runs of one report: a page waits for them.
const MOST_RUNS: usize = 1000;
/// Folders that are looked through for a free one.
const MOST_FOLDERS: u32 = 10_000;

#[derive(Debug, Deserialize)]
pub(super) struct Kept {
    /// As TOML.
    spec: String,
}

impl Explorer {
    /// Makes the runs of a spec in a new folder of the one that was named for it, and a report of them.
    pub(super) fn keep(&self, kept: &Kept) -> Result<Value, Denied> {
        let within = self.kept.as_deref().ok_or_else(|| {
            Denied::new("nothing is written: start `taper explore` with --keep DIR, and what was tried goes there")
        })?;
        let spec = Spec::parse(&kept.spec).map_err(Denied::new)?;
        let runs = spec.count();
        if runs > MOST_RUNS {
            return Err(Denied::new(format!(
                "{runs} runs; at most {MOST_RUNS} are made here: copy the spec for `taper sweep`"
            )));
        }
        let plan = Plan::new(&spec, &self.loaded, None).map_err(Denied::new)?;
        let folder = free(within)?;
        let options = SweepOptions { jobs: NonZeroUsize::MIN, resume: false };
        let never = AtomicBool::new(false);
        let swept = sweep(&plan, &folder, options, &never, |_| ControlFlow::Continue(()))
            .map_err(Denied::new)?;
        let read = Records::read(&folder).map_err(Denied::new)?;
        let page = report::page(&read).map_err(Denied::new)?;
        let path = folder.join("report.html");
        write_file(&path, |sink| sink.write_all(page.as_bytes())).map_err(Denied::new)?;
        Ok(json!({ "runs": swept.made, "report": path.display().to_string() }))
    }
}

/// A folder that is not there yet, in one that is made if it is not.
fn free(within: &Path) -> Result<PathBuf, Denied> {
    let failed = |error: std::io::Error| Denied::new(format!("{}: {error}", within.display()));
    fs::create_dir_all(within).map_err(failed)?;
    for number in 1..=MOST_FOLDERS {
        let folder = within.join(format!("tried-{number}"));
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Err(Denied::new(format!("{} holds {MOST_FOLDERS} folders already", within.display())))
}
