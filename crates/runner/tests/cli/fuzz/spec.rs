//! An arbitrary experiment, laid out, and its first runs begun.

use std::cell::Cell;
use std::sync::OnceLock;

use taper_runner::TableModel;
use taper_runner::experiment::{Knobs, Plan, Spec};
use taper_runner::models::{LoadOptions, LoadedModel, load_builtin};

/// The tokenizer of the model that comes with the program, and a table for a model.
fn model() -> &'static LoadedModel {
    static MODEL: OnceLock<LoadedModel> = OnceLock::new();
    MODEL.get_or_init(|| {
        let mut loaded = load_builtin(&LoadOptions::default()).expect("it comes with the program");
        let size = loaded.model.vocab_size();
        let row = |last: usize| (0..size).map(|id| ((id * 7 + last) % 23) as f32).collect();
        let table = TableModel::new((0..size).map(row).collect(), 256);
        loaded.model = Box::new(table.expect("it is square"));
        loaded
    })
}

/// Never a panic: a spec or an error, a plan or an error, a record or an error. What is planned and
/// would take long is not run.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(spec) = Spec::parse(text) else { return };
    let runs = spec.count();
    let Ok(plan) = Plan::new(&spec, model(), None) else { return };
    assert_eq!(plan.manifest().runs, runs);
    let many = |knobs: &Knobs| {
        let numbers = ["best_of", "num_beams"].iter().filter_map(|name| knobs.get(*name)?.as_u64());
        numbers.max() > Some(64)
    };
    if spec.redraws > 64 || many(&spec.base) {
        return;
    }
    for id in plan.runs().take(2).filter(|id| !many(&plan.manifest().settings[id.setting].knobs)) {
        let steps = Cell::new(0);
        let stop = || steps.replace(steps.get() + 1) > 4;
        let _ = plan.run(id, &stop);
    }
}
