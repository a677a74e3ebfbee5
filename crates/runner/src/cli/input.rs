//! Texts from files and from standard input.

use std::io::Read;

use super::failure::Failure;

/// The text of a file, or for `-` that of standard input.
pub(super) fn read(file: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = match file {
        "-" => std::io::stdin().lock().read_to_end(&mut bytes).map(drop),
        _ => std::fs::read(file).map(|read| bytes = read),
    };
    let name = if file == "-" { "standard input" } else { file };
    read.map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::Usage(format!("{name}: it must be UTF-8, and is not from byte {at} on"))
    })
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
