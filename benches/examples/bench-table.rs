//! Writes the table of ratios to `docs/benchmarks.md` (`docs/benchmarks-avx2.md` in a build that goes no further
//! than AVX2), or the rows for the scripts in `peers/`.
//!
//! ```text
//! cargo run -p taper-benches --example bench-table            # the table, printed too
//! cargo run -p taper-benches --example bench-table -- rows    # target/peers/INPUT_SIZE.f32
//! ```

use std::io;
use std::path::Path;

use taper_benches::{SIZES, inputs, table};

/// The page, its title, and what comes before the commands on it.
const PAGE: (&str, &str, &str) = if cfg!(taper_at_most_avx2) {
    (
        "benchmarks-avx2.md",
        "# Benchmarks, with AVX2",
        "export RUSTFLAGS=\"--cfg taper_at_most_avx2\" CARGO_TARGET_DIR=$PWD/target/avx2\n",
    )
} else {
    ("benchmarks.md", "# Benchmarks", "")
};

const HEAD: &str = "rm -rf ${CARGO_TARGET_DIR:-target}/{criterion,rounds} && cargo bench -p taper-benches --bench sampler
cargo run -p taper-benches --example bench-table -- rows && benches/peers/run
cargo run -p taper-benches --example bench-table
```

The machine is shared, and whole seconds of it pass at half the speed. So contenders take turns, of a tenth of a millisecond or a
call; a ratio is taken within each round of turns, and the median of those is here. A time is that of criterion's fastest sample.
llama.cpp and transformers, which are other programs, were timed on the same rows and are compared by the fastest samples, which
may be off by a fifth. One row is
decoded over and over and stays in the cache, except where said. Inputs: `flat` is a
standard normal, `peaked` has 200 spikes like a trained model's row, `ties` is `flat` rounded to bf16. What is timed is
`benches/benches/sampler`, how it works is [speed.md](speed.md).
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).is_some_and(|command| command == "rows") {
        return Ok(write_rows()?);
    }
    let table = table::table(&table::default_times())?;
    let (page, title, before) = PAGE;
    let text = format!("{title}\n\nMade by\n\n```sh\n{before}{HEAD}\n{}\n\n{table}", machine());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    std::fs::write(folder.join(page), text)?;
    println!("{table}");
    Ok(())
}

/// The CPU, and the vector unit that both the passes and the floors were compiled for.
fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find(|line| line.starts_with("model name"));
    let name = model.and_then(|line| line.split(": ").nth(1)).unwrap_or(std::env::consts::ARCH);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{name}, {cores} cores, an ordinary build that found {}.", taper_benches::vector_unit())
}

/// Each row as little-endian `f32`.
fn write_rows() -> io::Result<()> {
    let folder = table::target().join("peers");
    std::fs::create_dir_all(&folder)?;
    for (vocab_size, size) in SIZES {
        for input in inputs(vocab_size) {
            let bytes: Vec<u8> = input.row.iter().flat_map(|x| x.to_le_bytes()).collect();
            std::fs::write(folder.join(format!("{}_{size}.f32", input.name)), bytes)?;
        }
    }
    Ok(())
}
