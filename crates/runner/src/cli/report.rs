//! `taper report`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use taper_runner::experiment::{MANIFEST, Manifest, RECORDS, Records, Summary};
use taper_runner::models::files::{check_output, write_file};
use taper_runner::report;

use super::failure::{Failure, remark};
use super::interrupt::end_at_ctrl_c;
use super::text::show_beside;

/// Runs that a page shows one by one.
const MOST_RUNS: usize = 20_000;

/// Bytes of their records, which a page makes about half as many of.
const MOST_BYTES: usize = 128 << 20;

pub(super) fn run(dir: &Path, out: Option<PathBuf>) -> Result<(), Failure> {
    end_at_ctrl_c()?;
    refuse_newer(dir)?;
    let flag = if out.is_some() { "--out " } else { "" };
    let out = out.unwrap_or_else(|| dir.join("report.html"));
    let unwritten = |error| Failure::of_output(flag, &error);
    check_output(&out).map_err(unwritten)?;
    let read = Records::read_some(dir, MOST_RUNS, MOST_BYTES).map_err(Failure::usage)?;
    let summary = Summary::read(dir).map_err(Failure::usage)?;
    let page = report::page_of_some(&read, &summary)
        .map_err(|error| Failure::Usage(format!("{}: {error}", dir.display())))?;
    write_file(&out, |sink| sink.write_all(page.as_bytes())).map_err(unwritten)?;
    if read.repeated.records > 0 {
        let _ = writeln!(std::io::stderr(), "note: {}", read.repeated);
    }
    if read.cut_off.is_some() {
        let _ = writeln!(
            std::io::stderr(),
            "note: the last line of {RECORDS} is not whole; the page is without it"
        );
    }
    let (shown, there, all) = (read.records.len(), summary.runs(), read.manifest.runs_here());
    if shown < there {
        remark(&format!(
            "{shown} of {there} runs are shown one by one; the table of settings is of all"
        ));
    }
    let of = if there < all { format!("{there} of {all}") } else { there.to_string() };
    let runs = if all == 1 { "run" } else { "runs" };
    let megabytes = page.len() as f64 / 1e6;
    show_beside(&out, &format!("{}: {of} {runs}, {megabytes:.1} MB\n", out.display()))
}

/// A later version may have written what this one would misread, or not read at all.
fn refuse_newer(dir: &Path) -> Result<(), Failure> {
    // What is no manifest is told when all of it is read.
    let Some(versions) = Manifest::made_by(dir).map_err(Failure::usage)? else { return Ok(()) };
    let this = env!("CARGO_PKG_VERSION");
    if line(&versions.taper) > line(this) {
        return Err(Failure::Usage(format!(
            "{}: it was made by taper {}, which is newer than this taper {this}; use that one",
            dir.join(MANIFEST).display(),
            versions.taper
        )));
    }
    Ok(())
}

/// The part of a version whose change may change formats.
fn line(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}
