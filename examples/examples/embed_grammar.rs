//! A grammar: every token keeps the text one that can still become `yes!` or `no!`.

use taper_sampling::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bytes: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).chain([b"<eos>".to_vec()]).collect();
    let vocabulary = GrammarVocabulary::new(&bytes, &[], &[256])?; // of your tokenizer
    let grammar = Constraint::new(Grammar::regex("(yes|no)!", &vocabulary)?);
    let mut sampler = Sampler::new(Pipeline::draw().then(grammar), 257);
    while sampler.next(&[0.0; 257])? != 256 {
        sampler.prepare(); // while your model computes
    }
    println!("{:?}", sampler.history().generated());
    Ok(())
}
