//! Hugging Face's beam search stops too soon here; the canonical rule, with the same beams, does not.
//!
//! With a positive length penalty a longer text can have the better score. The default stopping test
//! asks whether the best unfinished text, *scored at its present length*, beats the worst finished
//! one. After four of the tokens here the text ends at once. One leads to a long text that is certain
//! and worth more per token, which cannot be seen after two tokens yet.
//!
//! ```text
//! cargo run --release -p taper-examples --example beams_miss_the_optimum
//! ```

use taper_runner::sampling::search::EarlyStopping;
use taper_runner::{Outcome, Request, Search, SearchMode, Source, TableModel};

const ENDS: [u32; 2] = [7, 8];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{:<12} {:<7} {:>5}  {:>8}  tokens", "search", "stops", "beams", "score");
    for beams in [4, 8] {
        for (mode, early) in [
            (SearchMode::HuggingFace, EarlyStopping::Heuristic),
            (SearchMode::HuggingFace, EarlyStopping::WhenFull),
            (SearchMode::HuggingFace, EarlyStopping::Never),
            (SearchMode::Canonical, EarlyStopping::Heuristic),
        ] {
            let best = &search(mode, early, beams)?.sequences[0];
            let (name, score) = (mode.name(), best.score.unwrap_or(f64::NAN));
            let stops = match early {
                _ if mode == SearchMode::Canonical => "bound",
                EarlyStopping::Heuristic => "false",
                EarlyStopping::WhenFull => "true",
                EarlyStopping::Never => "never",
            };
            println!("{name:<12} {stops:<7} {beams:>5}  {score:>8.4}  {:?}", best.tokens);
        }
    }
    Ok(())
}

fn search(
    mode: SearchMode,
    early: EarlyStopping,
    beams: usize,
) -> Result<Outcome, Box<dyn std::error::Error>> {
    let ends = [0.005, 0.005, 0.005, 0.005, 0.005, 0.0025, 0.0025, 0.485, 0.485];
    let start = [0.0, 0.19, 0.19, 0.19, 0.19, 0.21, 0.0, 0.015, 0.015];
    let fork = [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.3, 0.05, 0.05];
    let long = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.9999, 0.00005, 0.00005];
    let rows = [start, ends, ends, ends, ends, fork, long, ends, ends];
    let model = TableModel::new(rows.map(|row| row.map(f32::ln).to_vec()).to_vec(), 64)?;
    let mut request = Request::new(vec![0]);
    request.config.num_beams = Some(beams);
    request.config.early_stopping = Some(early);
    request.config.max_new_tokens = Some(10);
    request.config.eos_token_id = Some(ENDS.to_vec().into());
    request.search = mode;
    let mut search =
        Search::new(Source { name: "table", model: &model, tokenizer: None }, request)?;
    while search.advance()? {}
    Ok(search.into_outcome())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heuristic_ends_at_once_and_the_bound_does_not() {
        let tokens =
            |mode, early, beams| search(mode, early, beams).unwrap().sequences.remove(0).tokens;
        assert_eq!(tokens(SearchMode::HuggingFace, EarlyStopping::Heuristic, 4).len(), 2);
        let long = [5, 6, 6, 6, 6, 6, 6, 6, 6, 6];
        assert_eq!(tokens(SearchMode::Canonical, EarlyStopping::Heuristic, 4), long);
    }
}
