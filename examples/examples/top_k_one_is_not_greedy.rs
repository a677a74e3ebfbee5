//! The anomaly this project started from: under Hugging Face's rule `top_k = 1` is not greedy.
//!
//! Models compute logits in bf16, which has eight bits of precision, so two different logits
//! often round to the same one. Hugging Face's top-k keeps every token that ties with the k-th, a
//! draw between them follows, and the text depends on the seed although `top_k` is 1.
//!
//! ```text
//! cargo run --release -p taper-examples --example top_k_one_is_not_greedy
//! ```

use half::bf16;
use taper_sampling::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Two logits that differ in f32 and not in bf16.
    let exact = [2.5_f32, 17.52, 17.55, 9.0];
    let logits = exact.map(|x| bf16::from_f32(x).to_f32());
    println!("logits in f32  {exact:?}");
    println!("logits in bf16 {logits:?}\n");

    let mut workspace = Workspace::new(logits.len());
    let greedy = Pipeline::greedy();
    let greedy = greedy.select(&logits, &Step::new(DrawKey::new(0)), &mut workspace)?.token;
    println!("greedy                      token {greedy}");

    for (name, ties) in [("keep-all", TiePolicy::KeepAll), ("lowest-id", TiePolicy::LowestId)] {
        let pipeline = Pipeline::draw().then(TopK::new(1)?.ties(ties));
        for seed in [111, 222, 333] {
            let step = Step::new(DrawKey::new(seed)).ask(Ask::everything());
            let chosen = pipeline.select(&logits, &step, &mut workspace)?;
            let stage = &chosen.trace.expect("asked for").stages()[0];
            println!(
                "top_k=1 {name:<10} seed {seed} token {}   {} {} → {}, {} tied at the boundary",
                chosen.token, stage.stage, stage.before, stage.after, stage.ties,
            );
        }
    }
    println!(
        "\nkeep-all is Hugging Face's rule; lowest-id leaves the greedy choice, whatever the seed."
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_all_depends_on_the_seed_and_lowest_id_does_not() {
        let chosen = |ties, seed| {
            let pipeline = Pipeline::draw().then(TopK::new(1).unwrap().ties(ties));
            let step = Step::new(DrawKey::new(seed));
            pipeline.select(&[2.5, 17.5, 17.5, 9.0], &step, &mut Workspace::new(4)).unwrap().token
        };
        assert_ne!(chosen(TiePolicy::KeepAll, 111), chosen(TiePolicy::KeepAll, 222));
        assert!((0..100).all(|seed| chosen(TiePolicy::LowestId, seed) == 1));
    }
}
