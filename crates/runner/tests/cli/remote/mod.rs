//! Runs on engines: small servers in this process, that behave well or do not.

mod bad_input;
mod fake;
mod faults;
mod sweeps;
