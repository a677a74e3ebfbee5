//! Random numbers of your own: the stages cut, and you say where in what is left the token lies.

use taper_sampling::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pipeline = Pipeline::draw().then(TopK::new(3)?);
    let (mut sequence, mut workspace) = (pipeline.sequence(DrawKey::new(0)), Workspace::new(4));
    for u in [0.1, 0.5, 0.9] {
        let mut left = sequence.process(&[2.0, 7.5, 7.5, 1.0], Ask::token(), &mut workspace)?;
        let token = left.pick(u)?;
        sequence.accept(token)?;
    }
    println!("{:?}", sequence.history().generated());
    Ok(())
}
