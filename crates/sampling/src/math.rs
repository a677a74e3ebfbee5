//! The arithmetic that is the same on every CPU: an exponential, a logarithm, and exact sums of weights.

pub use crate::kernels::{Mass, exp, ln, weight};
