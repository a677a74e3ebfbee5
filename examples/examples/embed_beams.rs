//! Beam search over your own model: rows of logits in, the beams that go on out.

use taper_sampling::prelude::*;
use taper_sampling::search::{BeamRows, BeamSearch, BeamSettings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = |last: u32| [0.1, 0.6, 0.3 + last as f32]; // yours
    let mut search = BeamSearch::new(BeamSettings::new(2, 5, &[2]), 3)?;
    let mut rows = BeamRows::new(Pipeline::greedy().sequence(DrawKey::new(0)).prompt(&[0]));
    let mut workspace = Workspace::new(3);
    while !search.is_done() {
        rows.clear();
        for beam in 0..search.beams() {
            let last = rows.beams()[beam].history().tokens().last().copied();
            rows.push(beam, &model(last.unwrap_or(0)), &mut workspace)?;
        }
        rows.reorder(&search.advance(&rows)?)?; // and so the rows of your model's state
    }
    println!("{:?}", search.hypotheses()[0].tokens);
    Ok(())
}
