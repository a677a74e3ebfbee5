//! The tests of the whole crate from outside, as one binary: every other one would cost seconds of
//! linking, and the crate's generic code once more.

mod behaviour;
mod cuts;
mod distribution;
mod fuzz_regressions;
mod golden_engines;
mod golden_processors;
mod pipeline_code;
mod properties;
mod refusals_cuts;
mod refusals_edits;
mod selectors;
mod support;
mod testkit;
mod traces;
mod value_stability;
mod watermarks;
