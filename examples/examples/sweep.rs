//! An experiment from Rust: a grid of settings, a record of each run, a table of what they say together.
//!
//! ```text
//! cargo run --release -p taper-examples --example sweep -- DIR
//! ```
//!
//! Run it again with the same DIR, killed before or not, and it goes on where it was.

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use taper_models::{LoadOptions, load_builtin};
use taper_runner::experiment::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("name a folder for the records")?;
    let mut spec = Spec::new("How temperature changes a tale", ["The old lighthouse"]);
    spec.runs = 10;
    spec.control = true;
    spec.base = serde_json::from_str(r#"{"do_sample": true, "max_new_tokens": 20}"#)?;
    let values = [0.3, 1.0, 1.5].map(Into::into).to_vec();
    spec.grid = vec![Axis { knob: "temperature".to_owned(), values }];

    let model = load_builtin(&LoadOptions::default())?;
    let plan = Plan::new(&spec, &model, None)?;
    let options = SweepOptions { resume: true, ..SweepOptions::default() };
    sweep(&plan, &dir, options, &AtomicBool::new(false), |_| ControlFlow::Continue(()))?;
    print!("{}", Summary::read(&dir)?.markdown(&[Table::Summary, Table::Texts]));

    // Records are values of public types: the least likely token that was drawn.
    let read = Records::read(&dir)?;
    let steps = read.records.iter().flat_map(|record| &record.steps);
    let rarest = steps.min_by(|a, b| a.logprob.partial_cmp(&b.logprob).expect("finite logits"));
    println!("\nthe least likely token drawn: {:?}", rarest.map(|step| (&step.text, step.logprob)));
    Ok(())
}
