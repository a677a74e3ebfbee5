//! What the benches have in common: inputs, floors, goals, and the table that is made of their times.

mod floors;
mod goals;
mod inputs;
pub mod rounds;
pub mod table;

pub use floors::{
    log_softmax_pass, max_pass, sum_exp_pass, sum_exp_pass_by_operation, vector_unit,
};
pub use goals::{GOALS, Goal, PEER_GOALS, PeerGoal};
pub use inputs::{Input, SIZES, inputs, rotations, text, worst_inputs};
