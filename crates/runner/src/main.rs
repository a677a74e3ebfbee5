//! The program `taper`: runs a model under the decoding settings of your choice and says why each
//! token came out.

#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
