//! `taper sweep --engine`.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use taper_runner::LogitsDtype;
use taper_runner::engine::{EngineModel, Server};
use taper_runner::experiment::{
    Plan, PromptText, RemoteOptions, RemotePlan, RemotePlanError, RemoteSwept, Spec, SweepError,
    SweepOptions, sweep_remote,
};

use super::here::{NO_LOGITS, connected};
use crate::cli::args::{RemoteArgs, Sample};
use crate::cli::failure::{Failure, remark};
use crate::cli::interrupt::watch_for_ctrl_c;
use crate::cli::sweep::{Bar, SweepArgs, make, of_folder, summarize};

/// Makes the runs of a spec on the engines.
pub(in crate::cli) fn run(
    args: &SweepArgs,
    name: &str,
    spec: &Spec,
    dir: &Path,
) -> Result<(), Failure> {
    check(args)?;
    if args.remote.sample == Sample::Here {
        return sample_here(args, name, spec, dir);
    }
    let cancelled = watch_for_ctrl_c()?;
    let servers = servers(&args.remote)?;
    let plan = RemotePlan::new(spec, servers).map_err(|error| of_plan(name, error))?;
    plan.remarks().iter().for_each(|what| remark(what));
    let plan = plan.with_shard(args.shard);
    let plan = if args.no_steps { plan.without_steps() } else { plan };
    let options = RemoteOptions { concurrency: args.concurrency, resume: args.resume };
    let swept = drive(&plan, dir, options, cancelled)?;
    end(&swept, &plan, spec, dir, cancelled.load(Ordering::Relaxed))
}

/// Makes the runs under a progress bar.
pub(super) fn drive(
    plan: &RemotePlan,
    dir: &Path,
    options: RemoteOptions,
    cancelled: &AtomicBool,
) -> Result<RemoteSwept, Failure> {
    let mut bar = Bar::new(plan.manifest().runs_here() as u64);
    let swept = sweep_remote(plan, dir, options, cancelled, |event| {
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

/// Makes the runs here, on rows of an engine.
fn sample_here(args: &SweepArgs, name: &str, spec: &Spec, dir: &Path) -> Result<(), Failure> {
    let has_text = spec.prompts.iter().any(|prompt| !matches!(prompt.text, PromptText::Ids(_)));
    let cancelled = watch_for_ctrl_c()?;
    let (loaded, here) = connected(&args.remote, has_text)?;
    let identity = ["dialect", "version", "model", "root"].map(|key| here.facts[key].to_string());
    let plan = Plan::new(spec, &loaded, Some(identity.join(" ")))
        .map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
    for setting in plan.pipelines() {
        let (label, pipeline, dtype) = setting.map_err(Failure::usage)?;
        if dtype != LogitsDtype::default() {
            return Err(Failure::usage(NO_LOGITS));
        }
        EngineModel::check(&pipeline)
            .map_err(|error| Failure::Usage(format!("{name}: setting {label:?}: {error}")))?;
    }
    let jobs = args.concurrency.unwrap_or(SweepOptions::default().jobs);
    make(
        args,
        plan.on_engine(here.facts),
        SweepOptions { jobs, resume: args.resume },
        dir,
        spec,
        cancelled,
    )
}

/// Refuses flags of runs that are made here.
pub(super) fn check(args: &SweepArgs) -> Result<(), Failure> {
    if args.jobs.is_some() {
        return Err(Failure::usage(
            "--jobs: runs on engines are counted by --concurrency; use that",
        ));
    }
    let model = &args.model;
    if model.model != "builtin" || model.revision.is_some() || model.random_weights.is_some() {
        return Err(Failure::usage("--model: the model is the engine's; leave it out"));
    }
    Ok(())
}

fn end(
    swept: &RemoteSwept,
    plan: &RemotePlan,
    spec: &Spec,
    dir: &Path,
    cancelled: bool,
) -> Result<(), Failure> {
    let runs = plan.manifest().runs_here();
    let (made, missing, failed) = (swept.made, swept.missing, swept.failed);
    if missing > 0 {
        let shown = dir.display();
        let what = format!("{missing} of {runs} runs are missing; --resume makes them in {shown}");
        if cancelled {
            let _ = writeln!(std::io::stderr(), "{what}");
            return Err(Failure::Cancelled);
        }
        return Err(Failure::Run(format!("no engine is left; {what}")));
    }
    summarize(dir, &spec.tables, false)?;
    let _ = writeln!(std::io::stderr(), "{made} runs made, {runs} in {}", dir.display());
    match &swept.first_failure {
        None => Ok(()),
        Some(first) => {
            Err(Failure::Run(format!("{failed} of {made} runs failed; the first: {first}")))
        }
    }
}

/// Finds all engines. One that does not answer is dropped if another does.
fn servers(args: &RemoteArgs) -> Result<Vec<Server>, Failure> {
    let connects: Vec<_> =
        args.engine.iter().map(|url| args.connect(url)).collect::<Result<_, _>>()?;
    let own = args.own_tokenizer()?;
    let found: Vec<Result<Server, Failure>> = thread::scope(|scope| {
        let find = |connect| {
            let own = own.clone();
            scope.spawn(move || RemoteArgs::server(connect, own))
        };
        let all: Vec<_> = connects.into_iter().map(find).collect();
        let joined = all.into_iter().map(|one| {
            one.join().unwrap_or_else(|_| Err(Failure::Run("a thread failed".to_owned())))
        });
        joined.collect()
    });
    let (mut servers, mut lost) = (Vec::new(), Vec::new());
    for one in found {
        match one {
            Ok(server) => servers.push(server),
            // Another model or a refused key is no accident.
            Err(Failure::Run(what)) if what.contains("connection refused") => lost.push(what),
            Err(other) => return Err(other),
        }
    }
    if servers.is_empty() {
        return Err(Failure::Run(lost.into_iter().next().unwrap_or_default()));
    }
    for what in &lost {
        remark(&format!("{what}; its runs go to the others"));
    }
    Ok(servers)
}

pub(super) fn of_plan(name: &str, error: RemotePlanError) -> Failure {
    match error {
        RemotePlanError::Engine(error) => error.into(),
        RemotePlanError::Setting { source, .. } if !source.is_refusal() => source.into(),
        error => Failure::Usage(format!("{name}: {error}")),
    }
}
