//! Inputs that once broke the fuzz target, replayed on stable, and some random ones beside them.

#[path = "fuzz/pipeline.rs"]
mod pipeline;

use std::path::Path;
use taper_sampling::{DrawKey, Draws, Purpose};

#[test]
fn regressions_stay_fixed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/regressions/pipeline");
    // A packaged crate has no fuzz folder; in the repository it must be there.
    let Ok(files) = std::fs::read_dir(&folder) else { return };
    for file in files {
        pipeline::run(&std::fs::read(file.unwrap().path()).unwrap());
    }
}

#[test]
fn random_bytes_break_nothing() {
    let mut series = Draws::new(DrawKey::new(1)).series(Purpose::Custom(0));
    let mut next = 0;
    let mut byte = || {
        next += 1;
        series.bits(next) as u8
    };
    for _ in 0..20_000 {
        let len = usize::from(byte()) * 2;
        let data: Vec<u8> = (0..len).map(|_| byte()).collect();
        pipeline::run(&data);
    }
}
