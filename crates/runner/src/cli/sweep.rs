//! `taper sweep` and `taper summarize`.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use taper_runner::experiment::{
    FolderError, Plan, RecordsError, Shard, Shipped, Spec, Summary, SweepError, SweepEvent,
    SweepOptions, Swept, Table, digest_of, shipped, sweep, write_exports,
};
use taper_runner::models::{LoadedModel, locate};
use taper_runner::{LogitsDtype, escaped};

use super::args::ModelArgs;
#[cfg(feature = "engines")]
use super::args::{ELSEWHERE, RemoteArgs};
use super::failure::{Failure, remark};
use super::generate::load_model;
use super::input::SPEC;
use super::interrupt::{end_at_ctrl_c, watch_for_ctrl_c};
use super::text::show;
use super::values;

/// Runs at a time, where they are rows of one call.
const TOGETHER: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// Keys, values and states of all runs at a time.
const MOST_BYTES: usize = 2 << 30;

/// More runs than this are perhaps a mistake.
const MANY: usize = 1_000_000;

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct SweepArgs {
    /// What to run: a TOML file, or the name of a spec that comes with the program
    #[arg(value_name = "SPEC.toml|NAME", required_unless_present = "list")]
    pub(super) spec: Option<String>,

    /// The folder for the records and the summary
    #[cfg_attr(feature = "engines", arg(required_unless_present_any = ["list", "print", "emit_batch"]))]
    #[cfg_attr(not(feature = "engines"), arg(required_unless_present_any = ["list", "print"]))]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,

    /// Go on with the runs that the folder does not hold yet
    #[arg(long)]
    pub(super) resume: bool,

    /// Runs at a time, which does not change what comes out [16 as rows of one call on a CPU, while their
    /// states fit into 2 GiB; on a GPU as many as there are cores]
    #[arg(long, value_name = "N", value_parser = values::jobs)]
    pub(super) jobs: Option<NonZeroUsize>,

    /// Make a part of the runs, the I-th of N, as on one of N machines; `taper merge` joins the folders
    #[arg(long, value_name = "I/N", value_parser = values::shard)]
    pub(super) shard: Option<Shard>,

    /// Leave the steps out of the records, which keep what the summary needs of them: a tenth of the bytes
    /// or less
    #[arg(long)]
    pub(super) no_steps: bool,

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

    #[cfg(feature = "engines")]
    #[command(flatten)]
    pub(super) remote: RemoteArgs,

    /// Requests in flight at each engine [as many as it says it makes at a time, or 4]
    #[cfg(feature = "engines")]
    #[arg(long, value_name = "N", value_parser = values::jobs, requires = "engine")]
    pub(super) concurrency: Option<NonZeroUsize>,

    /// Write the runs as requests in OpenAI's batch format instead of making them, those that --out
    /// holds left out; needs --dialect and --engine-model
    #[cfg(feature = "engines")]
    #[arg(long, value_name = "FILE.jsonl", group = "elsewhere", help_heading = ELSEWHERE)]
    pub(super) emit_batch: Option<PathBuf>,

    /// Read the answers to such requests, in any order, into --out
    #[cfg(feature = "engines")]
    #[arg(long, value_name = "FILE.jsonl", group = "elsewhere", help_heading = ELSEWHERE)]
    pub(super) ingest: Option<PathBuf>,
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
    let mut spec =
        Spec::parse(&text).map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
    set_logits_dtype(&mut spec, args.logits_dtype)?;
    let runs = spec.count();
    if runs > MANY && !args.yes {
        let what = format!("{name}: {runs} runs are more than a million; add --yes if you mean it");
        return Err(Failure::Usage(what));
    }
    #[cfg(feature = "engines")]
    if spec.names_places() {
        return super::engine::sweep_places(args, name, &spec);
    }
    #[cfg(not(feature = "engines"))]
    if spec.names_places() {
        let what = "engine, model and tokenizer are knobs of builds with the feature `engines`";
        return Err(Failure::Usage(format!("{name}: {what}")));
    }
    #[cfg(feature = "engines")]
    if let Some(file) = &args.emit_batch {
        return super::engine::emit_batch(args, name, &spec, file);
    }
    let Some(dir) = &args.out else { return Err(Failure::usage("--out DIR is missing")) };
    #[cfg(feature = "engines")]
    if let Some(file) = &args.ingest {
        return super::engine::ingest_batch(args, name, &spec, file, dir);
    }
    #[cfg(feature = "engines")]
    if args.remote.is_given() {
        return super::engine::sweep(args, name, &spec, dir);
    }
    let cancelled = watch_for_ctrl_c()?;
    let loaded = load_model(&args.model, "--model", &args.model.model)?;
    let digest = model_digest(&args.model)?;
    let (loaded, jobs) = share(loaded, args.jobs);
    let plan = Plan::new(&spec, &loaded, Some(digest))
        .map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
    make(args, plan, SweepOptions { jobs, resume: args.resume }, dir, &spec, cancelled)
}

/// Makes the runs of a plan, and shows what they come to.
pub(super) fn make(
    args: &SweepArgs,
    plan: Plan<'_>,
    options: SweepOptions,
    dir: &Path,
    spec: &Spec,
    cancelled: &AtomicBool,
) -> Result<(), Failure> {
    let plan = plan.with_shard(args.shard);
    let plan = if args.no_steps { plan.without_steps() } else { plan };
    let runs = plan.manifest().runs_here();
    plan.remarks().iter().for_each(|what| remark(what));
    let swept = drive(&plan, dir, options, cancelled)?;
    if swept.missing > 0 {
        let (missing, dir) = (swept.missing, dir.display());
        let _ = writeln!(
            std::io::stderr(),
            "{missing} of {runs} runs are missing; --resume makes them in {dir}"
        );
        return Err(Failure::Cancelled);
    }
    summarize(dir, &spec.tables, false)?;
    let (made, failed) = (swept.made, swept.failed);
    let _ = writeln!(std::io::stderr(), "{made} runs made, {runs} in {}", dir.display());
    match swept.first_failure {
        None => Ok(()),
        Some(first) => {
            Err(Failure::Run(format!("{failed} of {made} runs failed; the first: {first}")))
        }
    }
}

/// Makes runs at the same time rows of one call, where company changes no bit, and says how many runs
/// there are to be.
pub(super) fn share(
    loaded: LoadedModel,
    jobs: Option<NonZeroUsize>,
) -> (LoadedModel, NonZeroUsize) {
    if !loaded.model.capabilities().batch_invariant {
        return (loaded, jobs.unwrap_or(SweepOptions::default().jobs));
    }
    let jobs = jobs.unwrap_or(TOGETHER);
    if jobs == NonZeroUsize::MIN { (loaded, jobs) } else { (loaded.together(MOST_BYTES), jobs) }
}

/// `taper summarize`: the tables again, from what the folder holds.
pub(super) fn again(dir: &Path, tables: &[Table], full: bool) -> Result<(), Failure> {
    end_at_ctrl_c()?;
    let default = [Table::Summary, Table::Texts];
    summarize(dir, if tables.is_empty() { &default } else { tables }, full)
}

pub(super) fn summarize(dir: &Path, tables: &[Table], full: bool) -> Result<(), Failure> {
    let summary = Summary::read(dir).map_err(|error| of_records(&error))?;
    if summary.repeated.records > 0 {
        let _ = writeln!(std::io::stderr(), "note: {}", summary.repeated);
    }
    summary.write_csv(dir).map_err(|error| of_folder(&error))?;
    write_exports(dir).map_err(|error| of_folder(&error))?;
    show(&if full { summary.markdown_in_full(tables) } else { summary.markdown(tables) })
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

pub(super) fn model_digest(args: &ModelArgs) -> Result<String, Failure> {
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

/// Progress where there is no terminal: a line now and then.
struct Plain {
    begun: Instant,
    told: Instant,
    begun_with: usize,
    done: usize,
    all: usize,
}

/// Time between two lines of progress.
const NOW_AND_THEN: Duration = Duration::from_secs(10);

impl Plain {
    fn new(done: usize, all: usize) -> Self {
        let now = Instant::now();
        Self { begun: now, told: now, begun_with: done, done, all }
    }

    fn ended(&mut self) {
        self.done += 1;
        if self.told.elapsed() < NOW_AND_THEN || self.done == self.all {
            return;
        }
        self.told = Instant::now();
        let took = self.begun.elapsed().as_secs_f64();
        let (made, left) = (self.done - self.begun_with, self.all - self.done);
        let left = took / made as f64 * left as f64;
        let (done, all) = (self.done, self.all);
        let _ =
            writeln!(std::io::stderr(), "{done} of {all} runs · {took:.0} s · {left:.0} s left");
    }
}

/// Makes the runs under a progress bar where there is a terminal, otherwise with a line now and then.
pub(super) fn drive(
    plan: &Plan<'_>,
    dir: &Path,
    options: SweepOptions,
    cancelled: &AtomicBool,
) -> Result<Swept, Failure> {
    let mut bar = Bar::new(plan.manifest().runs_here() as u64);
    let swept = sweep(plan, dir, options, cancelled, |event| {
        bar.tell(event);
        if cancelled.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    bar.finish();
    swept.map_err(|error| match error {
        SweepError::Folder(error) => of_folder(&error),
        error => Failure::Usage(error.to_string()),
    })
}

/// A progress bar where there is a terminal, otherwise a line now and then; and remarks beside it.
pub(super) struct Bar {
    bar: ProgressBar,
    plain: Option<Plain>,
}

impl Bar {
    pub(super) fn new(all: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(all), ProgressDrawTarget::stderr());
        let style = "{bar:30} {pos} of {len} runs · {elapsed} · {eta} left · {wide_msg}";
        // The template is ours: without one that can be read the bar looks as indicatif has it.
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self { bar, plain: None }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    pub(super) fn tell(&mut self, event: &SweepEvent<'_>) {
        let Self { bar, plain } = self;
        match event {
            SweepEvent::Begun { done, all, cut_off, begun_by, repeated, .. } => {
                note(bar, *cut_off, |file| {
                    format!(
                        "the last line of the records was cut off; it is in {file}, and its run is made again"
                    )
                });
                note(bar, *repeated, |file| {
                    format!(
                        "some records are of runs that are there already; they go to {file} in the end"
                    )
                });
                note(bar, *begun_by, |version| {
                    format!(
                        "the folder was begun by version {version}, whose numbers may be others"
                    )
                });
                *plain = (!std::io::stderr().is_terminal()).then(|| Plain::new(*done, *all));
                bar.set_position(*done as u64);
                bar.reset_eta();
            }
            SweepEvent::Ended(record) => {
                if let Some(plain) = plain {
                    plain.ended();
                }
                bar.set_message(
                    escaped(&format!("{}, {}", record.label, record.prompt)).into_owned(),
                );
                bar.inc(1);
            }
            SweepEvent::Lost { why, .. } => {
                bar.suspend(|| remark(&format!("{why}; the engine is dropped")));
            }
            _ => {}
        }
    }
}

fn note(bar: &ProgressBar, what: Option<&str>, text: impl Fn(&str) -> String) {
    if let Some(what) = what {
        bar.suspend(|| remark(&text(what)));
    }
}

pub(super) fn of_folder(error: &FolderError) -> Failure {
    match error {
        FolderError::Records(error) => of_records(error),
        FolderError::Write(error) => Failure::of_output("", error),
        error => Failure::Usage(format!("--out: {error}")),
    }
}

fn of_records(error: &RecordsError) -> Failure {
    Failure::usage(error)
}
