//! `taper report`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use taper_runner::experiment::{MANIFEST, RECORDS, Records, Versions};
use taper_runner::report;

use super::failure::Failure;
use super::text::show;

/// As much of a manifest as tells who can read it.
#[derive(Deserialize)]
struct Made {
    versions: Versions,
}

pub(super) fn run(dir: &Path, out: Option<PathBuf>) -> Result<(), Failure> {
    let refused = |why: &str| Failure::Usage(format!("{}: {why}", dir.display()));
    match fs::metadata(dir) {
        Err(error) => return Err(refused(&error.to_string())),
        Ok(found) if !found.is_dir() => {
            return Err(refused("it is a file; name the output folder of a sweep"));
        }
        Ok(_) => refuse_newer(dir)?,
    }
    let read = Records::read(dir).map_err(Failure::usage)?;
    let page = report::page(&read).map_err(|error| refused(&error.to_string()))?;
    let out = out.unwrap_or_else(|| dir.join("report.html"));
    fs::write(&out, &page)
        .map_err(|error| Failure::Run(format!("--out {}: {error}", out.display())))?;
    if read.cut_off.is_some() {
        let _ = writeln!(
            std::io::stderr(),
            "note: the last line of {RECORDS} is not whole; the page is without it"
        );
    }
    let (there, all) = (read.records.len(), read.manifest.runs);
    let of = if there < all { format!("{there} of {all}") } else { there.to_string() };
    let runs = if all == 1 { "run" } else { "runs" };
    let megabytes = page.len() as f64 / 1e6;
    show(&format!("{}: {of} {runs}, {megabytes:.1} MB\n", out.display()))
}

/// A later version may have written what this one would misread, or not read at all.
fn refuse_newer(dir: &Path) -> Result<(), Failure> {
    let path = dir.join(MANIFEST);
    // What is no manifest is told when all of it is read.
    let made = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Made>(&bytes).ok());
    let Some(Made { versions }) = made else { return Ok(()) };
    let this = env!("CARGO_PKG_VERSION");
    if line(&versions.taper) > line(this) {
        return Err(Failure::Usage(format!(
            "{}: it was made by taper {}, which is newer than this taper {this}; use that one",
            path.display(),
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
