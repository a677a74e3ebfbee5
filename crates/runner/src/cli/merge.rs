//! `taper merge`.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use taper_runner::experiment::{Manifest, MergeError, Table, merge};

use super::failure::{Failure, remark};
use super::interrupt::end_at_ctrl_c;
use super::sweep::summarize;

#[derive(Debug, Args)]
pub(super) struct MergeArgs {
    /// The folders of all shards, in any order
    #[arg(value_name = "DIR", required = true)]
    dirs: Vec<PathBuf>,

    /// The folder for all runs together, a new one
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Join what there is: shards and runs may be missing, which `sweep --resume` then makes
    #[arg(long)]
    partial: bool,
}

pub(super) fn run(args: &MergeArgs) -> Result<(), Failure> {
    end_at_ctrl_c()?;
    let merged = merge(&args.dirs, &args.out, args.partial).map_err(|error| match error {
        MergeError::File(error) => Failure::of_output("", &error),
        error => Failure::usage(error),
    })?;
    let (runs, all, out) = (merged.runs, merged.manifest.runs, args.out.display());
    if merged.cut_off > 0 {
        remark("a last line that was cut off is left out");
    }
    if merged.repeated > 0 {
        let repeated = merged.repeated;
        remark(&format!("{repeated} records of runs that are there already are left out"));
    }
    if !merged.versions.is_empty() {
        let versions = merged.versions.join(" and ");
        remark(&format!("the shards were made by versions {versions}, whose numbers may differ"));
    }
    summarize(&args.out, &tables(&merged.manifest), false)?;
    let _ = writeln!(std::io::stderr(), "{runs} runs of {} folders in {out}", args.dirs.len());
    if runs < all {
        let missing = all - runs;
        remark(&format!("{missing} of {all} runs are missing; sweep --resume makes them in {out}"));
    }
    Ok(())
}

/// What the spec says to show.
fn tables(manifest: &Manifest) -> Vec<Table> {
    let named = manifest.spec.get("tables").and_then(|tables| tables.as_array());
    named.into_iter().flatten().filter_map(|name| Table::named(name.as_str()?)).collect()
}
