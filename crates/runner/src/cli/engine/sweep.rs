//! `taper sweep --engine`.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;

use taper_runner::engine::Server;
use taper_runner::experiment::{
    RemoteOptions, RemotePlan, RemotePlanError, RemoteSwept, Spec, SweepError, sweep_remote,
};

use crate::cli::args::{RemoteArgs, Sample};
use crate::cli::failure::{Failure, remark};
use crate::cli::interrupt::watch_for_ctrl_c;
use crate::cli::sweep::{Bar, SweepArgs, of_folder, summarize};

/// Makes the runs of a spec on the engines.
pub(in crate::cli) fn run(
    args: &SweepArgs,
    name: &str,
    spec: &Spec,
    dir: &Path,
) -> Result<(), Failure> {
    if args.jobs.is_some() {
        return Err(Failure::usage(
            "--jobs: runs on engines are counted by --concurrency; use that",
        ));
    }
    let model = &args.model;
    if model.model != "builtin" || model.revision.is_some() || model.random_weights.is_some() {
        return Err(Failure::usage("--model: the model is the engine's; leave it out"));
    }
    if args.remote.sample == Sample::Here {
        let what = "--sample here: `sweep` leaves sampling to engines; use `generate` for that";
        return Err(Failure::usage(what));
    }
    let cancelled = watch_for_ctrl_c()?;
    let servers = servers(&args.remote)?;
    let plan = RemotePlan::new(spec, servers).map_err(|error| of_plan(name, error))?;
    let options = RemoteOptions { concurrency: args.concurrency, resume: args.resume };
    let mut bar = Bar::new(plan.manifest().runs as u64);
    let swept = sweep_remote(&plan, dir, options, cancelled, |event| {
        bar.tell(event);
        if cancelled.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    bar.finish();
    let swept = swept.map_err(|error| match error {
        SweepError::Folder(error) => of_folder(&error),
        error => Failure::Usage(error.to_string()),
    })?;
    end(&swept, &plan, spec, dir, cancelled.load(Ordering::Relaxed))
}

fn end(
    swept: &RemoteSwept,
    plan: &RemotePlan,
    spec: &Spec,
    dir: &Path,
    cancelled: bool,
) -> Result<(), Failure> {
    let runs = plan.manifest().runs;
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

fn of_plan(name: &str, error: RemotePlanError) -> Failure {
    match error {
        RemotePlanError::Engine(error) => error.into(),
        RemotePlanError::Setting { source, .. } if !source.is_refusal() => source.into(),
        error => Failure::Usage(format!("{name}: {error}")),
    }
}
