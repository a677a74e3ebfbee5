//! Runs on engines: small servers in this process, that behave well or do not.

mod bad_input;
mod batch;
mod chats;
mod fake;
mod faults;
mod here;
mod kills;
mod places;
mod sweeps;
