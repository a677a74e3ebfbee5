//! `taper export-gguf`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use taper_runner::models::{ExportError, Exported, GgufType, LoadError, export_gguf, locate};

use super::failure::Failure;
use super::interrupt::end_at_ctrl_c;
use super::text::show_beside;
use super::values;

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// A Hugging Face folder, the name of a model that is in Hugging Face's cache, or `builtin`
    #[arg(value_name = "DIR|org/name|builtin")]
    model: String,

    /// The file to write
    #[arg(value_name = "OUT.gguf")]
    out: PathBuf,

    /// How matrices are stored: f32, f16, or blocks of `q8_0`, `q6_k` or `q4_k`
    #[arg(long, value_name = "TYPE", default_value = "q8_0", value_parser = dtype)]
    dtype: GgufType,

    /// Which branch, tag or commit of a model in the cache [main]
    #[arg(long, value_name = "REV")]
    revision: Option<String>,

    /// Draw the weights instead of reading them, for which a folder needs a config.json alone
    #[arg(long, value_name = "SEED", value_parser = values::seed)]
    random_weights: Option<u64>,
}

fn dtype(text: &str) -> Result<GgufType, ExportError> {
    text.parse()
}

pub(super) fn run(args: &ExportArgs) -> Result<(), Failure> {
    let own = args.model == "builtin";
    let of_others = [
        ("--revision", args.revision.is_some()),
        ("--random-weights", args.random_weights.is_some()),
    ];
    if let Some((flag, _)) = of_others.iter().find(|(_, given)| own && *given) {
        return Err(Failure::Usage(format!("{flag}: the builtin model has none; name another")));
    }
    end_at_ctrl_c()?;
    let exported = if own { builtin(args)? } else { folder(args) };
    let exported = exported.map_err(|error| blame(&error, args))?;
    for note in &exported.notes {
        let _ = writeln!(std::io::stderr(), "note: {note}");
    }
    let types = exported.types.iter().map(|(name, count)| format!("{count} in {name}"));
    let types = types.collect::<Vec<_>>().join(", ");
    let (out, megabytes) = (args.out.display(), exported.bytes as f64 / 1e6);
    let said = format!("{out}: {}, {megabytes:.1} MB; tensors: {types}\n", exported.architecture);
    show_beside(&args.out, &said)
}

fn folder(args: &ExportArgs) -> Result<Exported, ExportError> {
    let folder = locate(&args.model, args.revision.as_deref())?;
    export_gguf(folder, &args.out, args.dtype, args.random_weights)
}

#[cfg(feature = "builtin")]
#[expect(clippy::unnecessary_wraps, reason = "a build without the model has none to give")]
fn builtin(args: &ExportArgs) -> Result<Result<Exported, ExportError>, Failure> {
    Ok(taper_runner::models::export_builtin_gguf(&args.out, args.dtype))
}

#[cfg(not(feature = "builtin"))]
fn builtin(_: &ExportArgs) -> Result<Result<Exported, ExportError>, Failure> {
    let what = "this build has no builtin model; give a folder, or build with `--features builtin`";
    Err(Failure::usage(what))
}

/// The message with the model in it, if it is not there already.
fn blame(error: &ExportError, args: &ExportArgs) -> Failure {
    let what = error.to_string();
    let names_tensor = matches!(error, ExportError::Load(LoadError::Weights(_)));
    match error {
        ExportError::Write(error) => Failure::of_output("", error),
        _ if names_tensor => Failure::Usage(format!("{}: {what}", args.model)),
        _ => Failure::Usage(what),
    }
}
