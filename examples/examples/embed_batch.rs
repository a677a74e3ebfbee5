//! Many sequences at once, on a thread for each workspace.

use taper_sampling::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pipeline = Pipeline::draw().then(MinP::new(0.05)?);
    let mut sequences = [0, 1].map(|row| pipeline.sequence(DrawKey::new(7).stream(row)));
    let mut workspaces = vec![Workspace::new(3), Workspace::new(3)];
    let logits = [[1.0, 2.0, 0.5], [0.3, 0.2, 0.1]]; // from your model
    let rows = logits.iter().zip(&mut sequences);
    let mut rows: Vec<_> = rows.map(|(row, one)| BatchRow::new(row, one)).collect();
    for (choice, one) in
        pipeline.select_batch(&mut rows, &mut workspaces).into_iter().zip(&mut sequences)
    {
        one.accept(choice?.token)?;
        println!("{:?}", one.history().generated());
    }
    Ok(())
}
