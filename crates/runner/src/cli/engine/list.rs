//! `taper engines`.

use std::fmt::Write as _;

use taper_runner::engine::{Cell, Dialect, rows};

use crate::cli::failure::Failure;
use crate::cli::text::show;

/// The table of settings and engines.
pub(in crate::cli) fn run() -> Result<(), Failure> {
    let mut lines: Vec<Vec<String>> = Vec::new();
    let engines = Dialect::ALL.iter().map(|dialect| dialect.name().to_owned());
    lines.push(std::iter::once("setting".to_owned()).chain(engines).collect());
    let mut notes: Vec<&str> = Vec::new();
    for row in rows() {
        let name = match row.under {
            "" => row.knob.to_owned(),
            rules => format!("{} ({rules})", row.knob),
        };
        let mut line = vec![name];
        line.extend(Dialect::ALL.iter().map(|&dialect| cell(row.at(dialect), &mut notes)));
        lines.push(line);
    }
    let widths: Vec<usize> = (0..=Dialect::ALL.len())
        .map(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let cells: Vec<String> = cells.collect();
        // A write to a string does not fail.
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text += "\nA name: always sent under it, off where the setting is off. +flag: the server must be started with it.\n";
    text += "ignored, –, differs: refused before anything is sent.\n";
    for (number, note) in notes.iter().enumerate() {
        let _ = writeln!(text, "{}) {note}", number + 1);
    }
    show(&text)
}

fn cell(cell: Cell, notes: &mut Vec<&'static str>) -> String {
    match cell {
        Cell::Sent(field, _) => field.to_owned(),
        Cell::Flag(field, _, flag) => {
            let at = note(notes, flag);
            format!("{field} +flag {at})")
        }
        Cell::Ignored => "ignored".to_owned(),
        Cell::Differs(how) => format!("differs {})", note(notes, how)),
        _ => "–".to_owned(),
    }
}

/// The number of a note, which is added if it is new.
fn note(notes: &mut Vec<&'static str>, text: &'static str) -> usize {
    let at = notes.iter().position(|known| *known == text).unwrap_or_else(|| {
        notes.push(text);
        notes.len() - 1
    });
    at + 1
}
