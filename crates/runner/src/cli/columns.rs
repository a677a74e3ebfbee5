//! How wide the terminal is, and lines that fit into it.

use console::Term;

/// The columns of the terminal, or as many as `COLUMNS` says; without either, as in a pipe, no end of them.
pub(super) fn columns() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|text| text.trim().parse().ok());
    let term = Term::stdout();
    let seen = || term.is_term().then(|| term.size_checked()).flatten();
    let seen = || seen().map(|(_, columns)| usize::from(columns));
    said.or_else(seen).filter(|&columns| columns > 0).unwrap_or(usize::MAX)
}

/// The text in lines of at most so many columns, divided after commas where that is possible, otherwise
/// at spaces; further lines are indented.
pub(super) fn fold(text: &str, columns: usize) -> Vec<String> {
    const FURTHER: &str = "  ";
    let mut lines: Vec<String> = Vec::new();
    let mut rest = text.to_owned();
    while rest.chars().count() > columns.max(20) {
        let end = rest.char_indices().nth(columns.max(20)).map_or(rest.len(), |(at, _)| at);
        let head = &rest[..end];
        let least = FURTHER.len() + 1;
        let comma = head.rfind(", ").map(|at| at + 1).filter(|&at| at > least);
        let cut = comma.or_else(|| head.rfind(' ').filter(|&at| at > least)).unwrap_or(end);
        let next = format!("{FURTHER}{}", rest[cut..].trim_start());
        rest.truncate(cut);
        lines.push(rest.trim_end().to_owned());
        rest = next;
    }
    lines.push(rest);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_divided_after_commas() {
        let text = "first of all, a second, a third and no end";
        let lines = fold(text, 24);
        assert_eq!(lines, ["first of all, a second,", "  a third and no end"]);
        assert_eq!(fold(text, usize::MAX), [text]);
        let long = "x".repeat(50);
        assert!(fold(&long, 24).iter().all(|line| line.chars().count() <= 24));
    }
}
