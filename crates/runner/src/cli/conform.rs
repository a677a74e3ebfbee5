//! `taper conform`.

use std::io::Write;
use std::path::PathBuf;

use taper_runner::conform::{Conformance, conform};

use super::failure::Failure;

pub(super) fn run(paths: &[PathBuf]) -> Result<(), Failure> {
    let mut all = Conformance::default();
    let mut out = std::io::stdout().lock();
    for path in paths {
        let found = conform(path).map_err(Failure::usage)?;
        for difference in &found.failed {
            writeln!(out, "{difference}")?;
        }
        all.extend(found);
    }
    writeln!(out, "{} passed, {} failed", all.passed, all.failed.len())?;
    if all.failed.is_empty() {
        Ok(())
    } else {
        Err(Failure::Run(format!("{} cases differ from their engine", all.failed.len())))
    }
}
