//! `taper sweep` and `taper summarize`.

use std::fmt::Write as _;
use std::io::Write;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use taper_runner::experiment::{
    FolderError, Plan, RecordsError, Shipped, Spec, Summary, SweepError, SweepEvent, SweepOptions,
    Swept, Table, digest_of, shipped, sweep,
};
use taper_runner::models::locate;
use taper_runner::{LogitsDtype, escaped};

use super::args::ModelArgs;
use super::failure::{Failure, remark};
use super::generate::load_model;
use super::input::SPEC;
use super::interrupt::{end_at_ctrl_c, watch_for_ctrl_c};
use super::text::show;
use super::values;

/// More runs than this are perhaps a mistake.
const MANY: usize = 1_000_000;

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct SweepArgs {
    /// What to run: a TOML file, or the name of a spec that comes with the program
    #[arg(value_name = "SPEC.toml|NAME", required_unless_present = "list")]
    pub(super) spec: Option<String>,

    /// The folder for the records and the summary
    #[arg(long, value_name = "DIR", required_unless_present_any = ["list", "print"])]
    pub(super) out: Option<PathBuf>,

    /// Go on with the runs that the folder does not hold yet
    #[arg(long)]
    pub(super) resume: bool,

    /// Runs at a time, which does not change what comes out [as many as there are cores]
    #[arg(long, value_name = "N", value_parser = values::jobs)]
    pub(super) jobs: Option<NonZeroUsize>,

    /// Allow a sweep of more than a million runs
    #[arg(long)]
    pub(super) yes: bool,

    /// Round each row of logits first, to f32, f16 or bf16: a knob of the spec's base
    #[arg(long, value_name = "TYPE", value_parser = values::logits_dtype)]
    pub(super) logits_dtype: Option<LogitsDtype>,

    /// List the specs that come with the program
    #[arg(long)]
    pub(super) list: bool,

    /// Print the spec, to begin one of your own with
    #[arg(long, conflicts_with = "list")]
    pub(super) print: bool,

    #[command(flatten)]
    pub(super) model: ModelArgs,
}

pub(super) fn run(args: &SweepArgs) -> Result<(), Failure> {
    if args.list {
        return list();
    }
    let name = args.spec.as_deref().unwrap_or_default();
    let text = read(name)?;
    if args.print {
        return show(&text);
    }
    let Some(dir) = &args.out else { return Err(Failure::usage("--out DIR is missing")) };
    let mut spec =
        Spec::parse(&text).map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
    set_logits_dtype(&mut spec, args.logits_dtype)?;
    let runs = spec.count();
    if runs > MANY && !args.yes {
        let what = format!("{name}: {runs} runs are more than a million; add --yes if you mean it");
        return Err(Failure::Usage(what));
    }
    let cancelled = watch_for_ctrl_c()?;
    let loaded = load_model(&args.model, "--model", &args.model.model)?;
    let digest = model_digest(&args.model)?;
    let plan = Plan::new(&spec, &loaded, Some(digest))
        .map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
    plan.remarks().iter().for_each(|what| remark(what));
    let options = SweepOptions::default();
    let options = SweepOptions { jobs: args.jobs.unwrap_or(options.jobs), resume: args.resume };
    let swept = drive(&plan, dir, options, cancelled)?;
    if swept.missing > 0 {
        let (missing, dir) = (swept.missing, dir.display());
        let _ = writeln!(
            std::io::stderr(),
            "{missing} of {runs} runs are missing; --resume makes them in {dir}"
        );
        return Err(Failure::Cancelled);
    }
    summarize(dir, &spec.tables)?;
    let (made, failed) = (swept.made, swept.failed);
    let _ = writeln!(std::io::stderr(), "{made} runs made, {runs} in {}", dir.display());
    match swept.first_failure {
        None => Ok(()),
        Some(first) => {
            Err(Failure::Run(format!("{failed} of {made} runs failed; the first: {first}")))
        }
    }
}

/// `taper summarize`: the tables again, from what the folder holds.
pub(super) fn again(dir: &Path, tables: &[Table]) -> Result<(), Failure> {
    end_at_ctrl_c()?;
    let default = [Table::Summary, Table::Texts];
    summarize(dir, if tables.is_empty() { &default } else { tables })
}

fn summarize(dir: &Path, tables: &[Table]) -> Result<(), Failure> {
    let summary = Summary::read(dir).map_err(|error| of_records(&error))?;
    if summary.repeated.records > 0 {
        let _ = writeln!(std::io::stderr(), "note: {}", summary.repeated);
    }
    summary.write_csv(dir).map_err(|error| of_folder(&error))?;
    show(&summary.markdown(tables))
}

fn list() -> Result<(), Failure> {
    let mut text = String::new();
    for Shipped { name, text: spec, .. } in shipped() {
        let title = Spec::parse(spec).map_err(Failure::usage)?.title;
        // A write to a string does not fail.
        let _ = writeln!(text, "{name:<24} {title}");
    }
    text += "\n`taper sweep NAME --out DIR` runs one, on any --model; --print shows it.\n";
    show(&text)
}

/// The text of a spec: of the file if there is one, otherwise of one that comes with the program.
fn read(name: &str) -> Result<String, Failure> {
    let path = Path::new(name);
    let named = Shipped::find(name);
    let is_there = path.metadata().is_ok_and(|found| !found.is_dir());
    let is_file = path.extension().is_some() || path.components().count() > 1 || is_there;
    match named {
        Ok(shipped) if !is_file => Ok(shipped.text.to_owned()),
        Err(unknown) if !is_file => Err(Failure::usage(unknown)),
        _ => SPEC.read_text(path).map_err(Failure::usage),
    }
}

fn set_logits_dtype(spec: &mut Spec, dtype: Option<LogitsDtype>) -> Result<(), Failure> {
    let Some(dtype) = dtype else { return Ok(()) };
    let swept = spec.grid.iter().map(|axis| &axis.knob);
    let mut swept = swept.chain(spec.settings.iter().flat_map(|setting| setting.knobs.keys()));
    if swept.any(|knob| knob == "logits_dtype") {
        return Err(Failure::usage(
            "--logits-dtype: the spec turns this knob itself; leave it out",
        ));
    }
    spec.base.insert("logits_dtype".to_owned(), dtype.name().into());
    Ok(())
}

fn model_digest(args: &ModelArgs) -> Result<String, Failure> {
    let options = args.load_options();
    #[cfg(feature = "builtin")]
    if args.model == "builtin" {
        return Ok(taper_runner::experiment::digest_of_builtin(&options));
    }
    let told =
        |error: &dyn std::fmt::Display| Failure::Usage(format!("--model {}: {error}", args.model));
    let path = locate(&args.model, args.revision.as_deref()).map_err(|error| told(&error))?;
    digest_of(path, &options).map_err(|error| told(&error))
}

/// Makes the runs under a progress bar, which is there on a terminal only.
fn drive(
    plan: &Plan<'_>,
    dir: &Path,
    options: SweepOptions,
    cancelled: &AtomicBool,
) -> Result<Swept, Failure> {
    let all = plan.manifest().runs as u64;
    let bar = ProgressBar::with_draw_target(Some(all), ProgressDrawTarget::stderr());
    let style = "{bar:30} {pos} of {len} runs · {elapsed} · {eta} left · {wide_msg}";
    // The template is ours: without one that can be read the bar looks as indicatif has it.
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    let swept = sweep(plan, dir, options, cancelled, |event| {
        match event {
            SweepEvent::Begun { done, cut_off, begun_by, repeated, .. } => {
                note(&bar, *cut_off, |file| {
                    format!(
                        "the last line of the records was cut off; it is in {file}, and its run is made again"
                    )
                });
                note(&bar, *repeated, |file| {
                    format!(
                        "some records are of runs that are there already; they go to {file} in the end"
                    )
                });
                note(&bar, *begun_by, |version| {
                    format!(
                        "the folder was begun by version {version}, whose numbers may be others"
                    )
                });
                bar.set_position(*done as u64);
                bar.reset_eta();
            }
            SweepEvent::Ended(record) => {
                bar.set_message(
                    escaped(&format!("{}, {}", record.label, record.prompt)).into_owned(),
                );
                bar.inc(1);
            }
            _ => {}
        }
        if cancelled.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    bar.finish_and_clear();
    swept.map_err(|error| match error {
        SweepError::Folder(error) => of_folder(&error),
        error => Failure::Usage(error.to_string()),
    })
}

fn note(bar: &ProgressBar, what: Option<&str>, text: impl Fn(&str) -> String) {
    if let Some(what) = what {
        bar.suspend(|| remark(&text(what)));
    }
}

fn of_folder(error: &FolderError) -> Failure {
    match error {
        FolderError::Records(error) => of_records(error),
        FolderError::Write(error) => Failure::of_output("", error),
        error => Failure::Usage(format!("--out: {error}")),
    }
}

fn of_records(error: &RecordsError) -> Failure {
    Failure::usage(error)
}
