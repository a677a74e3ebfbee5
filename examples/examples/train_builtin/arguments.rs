//! What the command line says.

use std::path::PathBuf;

use tokenizers::Result;

const USAGE: &str = "usage: train_builtin --out DIR [--steps N] [--cycle N]";

pub(crate) struct Arguments {
    /// The folder to write to.
    pub(crate) out: PathBuf,
    /// At most this many steps in each cycle.
    pub(crate) steps: usize,
    /// The first cycle to run.
    pub(crate) cycle: usize,
}

impl Arguments {
    pub(crate) fn read() -> Result<Self> {
        let (mut out, mut steps, mut cycle) = (None, usize::MAX, 0);
        let mut arguments = std::env::args().skip(1);
        while let Some(flag) = arguments.next() {
            let mut value = || arguments.next().ok_or(USAGE);
            match flag.as_str() {
                "--out" => out = Some(PathBuf::from(value()?)),
                "--steps" => steps = value()?.parse().map_err(|_| USAGE)?,
                "--cycle" => cycle = value()?.parse().map_err(|_| USAGE)?,
                _ => return Err(USAGE.into()),
            }
        }
        Ok(Self { out: out.ok_or(USAGE)?, steps, cycle })
    }
}
