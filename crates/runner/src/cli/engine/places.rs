//! `taper sweep` of a spec that says where its settings run.

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};

use taper_runner::experiment::{
    JoinedError, JoinedFolder, Manifest, PartOfSpec, Plan, RemoteOptions, RemotePlan, Spec,
    SweepOptions,
};
use taper_runner::models::LoadedModel;

use super::sweep::{drive as drive_there, of_plan};
use crate::cli::args::{ModelArgs, RemoteArgs};
use crate::cli::failure::{Failure, remark};
use crate::cli::generate::load_model;
use crate::cli::interrupt::watch_for_ctrl_c;
use crate::cli::sweep::{SweepArgs, drive, model_digest, of_folder, share, summarize};

/// A place, ready to run.
enum Ready<'m> {
    /// With how many runs at a time.
    Here(Box<Plan<'m>>, NonZeroUsize),
    There(Box<RemotePlan>),
}

impl Ready<'_> {
    fn manifest(&self) -> &Manifest {
        match self {
            Self::Here(plan, _) => plan.manifest(),
            Self::There(plan) => plan.manifest(),
        }
    }
}

/// A model that is here.
struct Own {
    loaded: LoadedModel,
    jobs: NonZeroUsize,
    digest: String,
}

/// What places came to.
#[derive(Default)]
struct Came {
    failed: usize,
    first: Option<String>,
}

/// Makes the runs of each place in turn, and joins them.
pub(in crate::cli) fn run(args: &SweepArgs, name: &str, spec: &Spec) -> Result<(), Failure> {
    check(args)?;
    let Some(dir) = &args.out else { return Err(Failure::usage("--out DIR is missing")) };
    let cancelled = watch_for_ctrl_c()?;
    let parts = spec.by_place().map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
    // All places are looked at before the first run is made.
    let models = parts.iter().map(|part| model(args, part)).collect::<Result<Vec<_>, _>>()?;
    let mut ready = Vec::new();
    for (part, model) in parts.iter().zip(&models) {
        ready.push(match model {
            Some(own) => here(args, name, part, own)?,
            None => there(args, name, part)?,
        });
    }
    let manifests: Vec<&Manifest> = ready.iter().map(Ready::manifest).collect();
    let folder = JoinedFolder::open(dir, spec, &parts, &manifests, args.resume);
    let folder = folder.map_err(|error| match error {
        JoinedError::Folder(error) => of_folder(&error),
        error => Failure::Usage(format!("{name}: {error}")),
    })?;
    let mut came = Came::default();
    for (index, (part, ready)) in parts.iter().zip(&ready).enumerate() {
        remark(&format!("place {} of {}: {}", index + 1, parts.len(), part.place.name()));
        come(args, &folder, index, ready, cancelled, &mut came)?;
        if cancelled.load(Ordering::Relaxed) {
            break;
        }
    }
    let there = folder.join().map_err(|error| of_folder(&error))?;
    end(&came, there, folder.manifest().runs, cancelled, || summarize(dir, &spec.tables, false))
}

fn check(args: &SweepArgs) -> Result<(), Failure> {
    let refused = |flag: &str| {
        let what = "the spec says where its settings run; leave it out";
        Err(Failure::Usage(format!("{flag}: {what}")))
    };
    if args.remote.is_given() {
        return refused("--engine");
    }
    if args.emit_batch.is_some() {
        return refused("--emit-batch");
    }
    if args.ingest.is_some() {
        return refused("--ingest");
    }
    if args.shard.is_some() {
        let what = "a sweep over several engines or models is not divided; leave it out";
        return Err(Failure::Usage(format!("--shard: {what}")));
    }
    Ok(())
}

/// The model of a place that is here.
fn model(args: &SweepArgs, part: &PartOfSpec) -> Result<Option<Own>, Failure> {
    if part.place.engine.is_some() {
        return Ok(None);
    }
    let mut own: ModelArgs = args.model.clone();
    if let Some(model) = &part.place.model {
        own.model.clone_from(model);
    }
    let loaded = load_model(&own, "--model", &own.model)?;
    let digest = model_digest(&own)?;
    let (loaded, jobs) = share(loaded, args.jobs);
    Ok(Some(Own { loaded, jobs, digest }))
}

fn here<'m>(
    args: &SweepArgs,
    name: &str,
    part: &PartOfSpec,
    own: &'m Own,
) -> Result<Ready<'m>, Failure> {
    let plan = Plan::new(&part.spec, &own.loaded, Some(own.digest.clone()));
    let plan = plan.map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
    plan.remarks().iter().for_each(|what| remark(what));
    let plan = if args.no_steps { plan.without_steps() } else { plan };
    Ok(Ready::Here(Box::new(plan), own.jobs))
}

fn there(args: &SweepArgs, name: &str, part: &PartOfSpec) -> Result<Ready<'static>, Failure> {
    let place = &part.place;
    let remote = RemoteArgs {
        engine_model: place.model.clone(),
        tokenizer: place.tokenizer.clone(),
        ..args.remote.clone()
    };
    let connect = remote.connect(place.engine.as_deref().unwrap_or_default())?;
    let server = RemoteArgs::server(connect, remote.own_tokenizer()?)?;
    let plan = RemotePlan::new(&part.spec, vec![server]).map_err(|error| of_plan(name, error))?;
    plan.remarks().iter().for_each(|what| remark(what));
    let plan = if args.no_steps { plan.without_steps() } else { plan };
    Ok(Ready::There(Box::new(plan)))
}

fn come(
    args: &SweepArgs,
    folder: &JoinedFolder,
    index: usize,
    ready: &Ready<'_>,
    cancelled: &AtomicBool,
    came: &mut Came,
) -> Result<(), Failure> {
    let (dir, resume) = (folder.part(index), folder.has_begun(index));
    let (failed, first) = match ready {
        Ready::Here(plan, jobs) => {
            let swept = drive(plan, &dir, SweepOptions { jobs: *jobs, resume }, cancelled)?;
            (swept.failed, swept.first_failure)
        }
        Ready::There(plan) => {
            let options = RemoteOptions { concurrency: args.concurrency, resume };
            let swept = drive_there(plan, &dir, options, cancelled)?;
            (swept.failed, swept.first_failure)
        }
    };
    came.failed += failed;
    came.first = came.first.take().or(first);
    Ok(())
}

fn end(
    came: &Came,
    there: usize,
    all: usize,
    cancelled: &AtomicBool,
    show: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    if there < all {
        let what = format!("{} of {all} runs are missing; --resume makes them", all - there);
        if cancelled.load(Ordering::Relaxed) {
            let _ = writeln!(std::io::stderr(), "{what}");
            return Err(Failure::Cancelled);
        }
        return Err(Failure::Run(what));
    }
    show()?;
    let _ = writeln!(std::io::stderr(), "{there} runs");
    match &came.first {
        None => Ok(()),
        Some(first) => {
            Err(Failure::Run(format!("{} runs failed; the first: {first}", came.failed)))
        }
    }
}
