//! The stages of the example of the same name, against their formulas worked by hand.

#[path = "../../examples/custom_stages.rs"]
#[expect(dead_code, reason = "the example's main")]
mod example;

use example::{PLess, TailFree, TopA};
use taper_sampling::*;

fn kept(stage: impl Stage + 'static) -> usize {
    let logits = [0.4_f32, 0.3, 0.15, 0.1, 0.05].map(f32::ln);
    let step = Step::new(DrawKey::new(0)).ask(Ask { kept: true, ..Ask::token() });
    let pipeline = Pipeline::draw().then(stage);
    pipeline.select(&logits, &step, &mut Workspace::new(5)).unwrap().kept.unwrap()
}

#[test]
fn each_keeps_what_its_formula_says() {
    // 0.8 · 0.4² = 0.128, and Σ p² = 0.285.
    assert_eq!(kept(TopA(0.8)), 3);
    assert_eq!(kept(PLess), 2);
    // The second differences 0.05, 0.1, 0 sum to 0.15; the second one passes half of that.
    assert_eq!(kept(TailFree(0.5)), 1);
}
