//! A stage of your own, from a closure over the verbs of the candidates.

use taper_sampling::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let odd = stage_fn("odd", |candidates, _| candidates.keep_if(|id, _| id % 2 == 1));
    let mut sampler = Sampler::new(Pipeline::draw().then(odd).then(TopP::new(0.9)?), 4);
    let chosen = sampler.select(&[2.0, 7.5, 7.5, 1.0], Ask::everything())?;
    println!("{} of {:?}", chosen.token, chosen.kept_tokens());
    Ok(())
}
