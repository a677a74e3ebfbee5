//! `taper sweep --emit-batch` and `--ingest`.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::Ordering;

use taper_runner::engine::{Dialect, Profile};
use taper_runner::experiment::{
    BatchError, Emitted, Ingested, RemotePlan, Spec, emit_batch, ingest_batch,
};

use super::sweep::{check, of_plan};
use crate::cli::args::RemoteArgs;
use crate::cli::failure::{Failure, remark};
use crate::cli::interrupt::{end_at_ctrl_c, watch_for_ctrl_c};
use crate::cli::sweep::{Bar, SweepArgs, of_folder, summarize};

/// Requests and bytes that OpenAI takes in a file.
const OPENAI_TAKES: (usize, u64) = (50_000, 200_000_000);

/// Writes the requests of a sweep into a file.
pub(in crate::cli) fn emit(
    args: &SweepArgs,
    name: &str,
    spec: &Spec,
    file: &Path,
) -> Result<(), Failure> {
    end_at_ctrl_c()?;
    let plan = plan(args, name, spec)?;
    let emitted = emit_batch(&plan, file, args.out.as_deref()).map_err(|e| of_batch(&e))?;
    let Emitted { requests, bytes, url, .. } = emitted;
    let dialect = args.remote.dialect.0.map_or("", Dialect::name);
    if dialect == "vllm" && url != Some("/v1/chat/completions") {
        remark(
            "`vllm run-batch` takes chats alone, at /v1/chat/completions; these requests are for a \
             server or a gateway",
        );
    }
    if dialect == "openai" && (requests > OPENAI_TAKES.0 || bytes > OPENAI_TAKES.1) {
        remark(
            "OpenAI takes at most 50000 requests and 200 MB in a file; --shard I/N makes several",
        );
    }
    let shown = file.display();
    let _ =
        writeln!(std::io::stderr(), "{requests} requests in {shown}; --ingest reads the answers");
    Ok(())
}

/// Reads the answers to such requests from a file.
pub(in crate::cli) fn ingest(
    args: &SweepArgs,
    name: &str,
    spec: &Spec,
    file: &Path,
    dir: &Path,
) -> Result<(), Failure> {
    let cancelled = watch_for_ctrl_c()?;
    let plan = plan(args, name, spec)?;
    let mut bar = Bar::new(plan.manifest().runs_here() as u64);
    let ingested = ingest_batch(&plan, file, dir, args.resume, |event| {
        bar.tell(event);
        if cancelled.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    bar.finish();
    let ingested = ingested.map_err(|error| of_batch(&error))?;
    tell(&ingested);
    let Ingested { made, missing, failed, .. } = ingested;
    let (runs, shown) = (plan.manifest().runs_here(), dir.display());
    if missing > 0 {
        let first = ingested.first_missing.unwrap_or_default();
        let what = format!(
            "{made} runs added; {missing} of {runs} are missing, the first {first}; --emit-batch FILE \
             --out {shown} asks for them again"
        );
        if cancelled.load(Ordering::Relaxed) {
            let _ = writeln!(std::io::stderr(), "{what}");
            return Err(Failure::Cancelled);
        }
        return Err(Failure::Run(what));
    }
    summarize(dir, &spec.tables, false)?;
    let _ = writeln!(std::io::stderr(), "{made} runs added, {runs} in {shown}");
    match ingested.first_failure {
        None => Ok(()),
        Some(first) => {
            Err(Failure::Run(format!("{failed} of {made} runs failed; the first: {first}")))
        }
    }
}

/// What is said of answers that did not become runs.
fn tell(ingested: &Ingested) {
    let Ingested { useless, repeated, foreign, .. } = ingested;
    if let Some(first) = &ingested.first_useless {
        remark(&format!("no use in {useless} of the answers; the first, {first}"));
    }
    if *repeated > 0 {
        remark(&format!("left out of the answers: {repeated} of runs that are there already"));
    }
    if *foreign > 0 {
        remark(&format!("left out of the answers: {foreign} to requests of another sweep"));
    }
}

fn plan(args: &SweepArgs, name: &str, spec: &Spec) -> Result<RemotePlan, Failure> {
    check(args)?;
    let RemoteArgs { dialect, engine_model, .. } = &args.remote;
    let Some(dialect) = dialect.0 else {
        return Err(Failure::usage(
            "--dialect: no server can be asked; name the engine: vllm, openai, sglang, max, \
             transformers or llama.cpp",
        ));
    };
    let Some(model) = engine_model.clone() else {
        return Err(Failure::usage("--engine-model NAME is missing: requests name their model"));
    };
    let engine = Profile::of_file(dialect, model, args.remote.own_tokenizer()?);
    let plan = RemotePlan::of_file(spec, &engine).map_err(|error| of_plan(name, error))?;
    let plan = plan.with_shard(args.shard);
    Ok(if args.no_steps { plan.without_steps() } else { plan })
}

fn of_batch(error: &BatchError) -> Failure {
    match error {
        BatchError::Folder(error) => of_folder(error),
        error => Failure::usage(error),
    }
}
