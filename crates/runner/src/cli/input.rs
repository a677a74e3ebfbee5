//! Texts from files and from standard input.

use std::path::Path;

use taper_runner::models::files::FileKind;

use super::failure::Failure;

/// What is scored or continued.
const TEXT: FileKind = FileKind::input("a text in UTF-8, or - for standard input", 256);
/// `--messages`, `--tools` and `--documents`.
pub(super) const OBJECTS: FileKind = FileKind::input("a JSON list of objects", 64);
/// `--json-schema`.
pub(super) const SCHEMA: FileKind = FileKind::input("a JSON schema", 64);
/// `--grammar`.
pub(super) const GRAMMAR: FileKind = FileKind::input("a grammar in Lark's form", 64);
/// `--watermark-key`.
pub(super) const WATERMARK_KEY: FileKind = FileKind::input("the key of a watermark", 1);
/// `--pipeline`.
pub(super) const PIPELINE: FileKind = FileKind::input("a pipeline in JSON", 64);
/// What `sweep` runs.
pub(super) const SPEC: FileKind = FileKind::input("a spec in TOML, or the name of one", 64);

/// The text of a file, or for `-` that of standard input.
pub(super) fn read(file: &str) -> Result<String, Failure> {
    let text = if file == "-" { TEXT.read_stdin() } else { TEXT.read_text(Path::new(file)) };
    text.map_err(Failure::usage)
}

/// The text of a file that a flag names.
pub(super) fn read_for(flag: &str, path: &Path, kind: FileKind) -> Result<String, Failure> {
    kind.read_text(path).map_err(|error| Failure::Usage(format!("{flag} {error}")))
}

/// Puts the text of standard input in the place of a prompt that is `-`. The line break at its end goes,
/// if there is one: it is the shell's or the editor's, and would be part of the text to continue.
pub(super) fn read_prompt(prompt: &mut Option<String>) -> Result<(), Failure> {
    if prompt.as_deref() == Some("-") {
        let text = read("-")?;
        let line = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        *prompt = Some(line.unwrap_or(&text).to_owned());
    }
    Ok(())
}
