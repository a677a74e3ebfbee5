//! The forward pass on the CPU, beside the reading of memory that bounds it.
//!
//! ```text
//! cargo bench -p taper-benches --bench forward                         # Gemma-3-270M in all types
//! cargo bench -p taper-benches --bench forward -- gemma-1b q4_k        # another shape, one type
//! TAPER_REAL_GGUF=FILE cargo bench -p taper-benches --bench forward    # a real file
//! ```
//!
//! Words choose among `gemma-270m`, `gemma-1b`, `phi-2` and `f32`, `f16`, `bf16`, `q8_0`, `q4_k`. The files
//! are made once, of random weights, in `target/forward`. What is timed takes turns with the reading of a
//! large array by as many threads, and each share of the floor is of one round: bytes of weights that a token
//! reads, over the bandwidth. A step of several rows reads the weights once. That the logits of a step are
//! those of the whole text, bit for bit, is asserted before anything is timed. `--test` runs a tiny model once.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use taper_benches::rounds::{Contender, in_turn, ratio};
use taper_benches::table::target;
use taper_models::{
    Dtype, GgufType, LanguageModel, LoadOptions, Outputs, RowId, State, Threads, Want, Work,
    export_gguf, load,
};

/// A type, the file that it is read from, and what it is converted to.
const TYPES: [(&str, &str, Dtype); 5] = [
    ("f32", "f32", Dtype::Auto),
    ("f16", "f16", Dtype::Auto),
    ("bf16", "f32", Dtype::Bf16),
    ("q8_0", "q8_0", Dtype::Auto),
    ("q4_k", "q4_k", Dtype::Auto),
];

/// Tokens before the steps that are timed.
const HELD: usize = 64;

/// Bytes that each thread reads for the floor: more than a cache holds.
const READ: usize = 1 << 27;

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| words.iter().any(|other| other == word);
    let time = Duration::from_secs(if has("--test") { 0 } else { 10 });
    println!("| model | type | | tokens/s | GB/s of weights | share of the floor |");
    println!("|---|---|---|---:|---:|---:|");
    if let Some(file) = std::env::var_os("TAPER_REAL_GGUF").map(PathBuf::from) {
        let bytes = std::fs::metadata(&file)?.len();
        return bench("real", "as it is", &file, Dtype::Auto, bytes as f64, time);
    }
    let chosen = |word: &str, of: &[&str]| has(word) || !of.iter().any(|other| has(other));
    let types = TYPES.map(|(name, ..)| name);
    for (shape, config) in shapes() {
        let wanted = if has("--test") { shape == "tiny" } else { has(shape) };
        let by_default =
            shape == "gemma-270m" && !["gemma-1b", "phi-2", "--test"].map(has).contains(&true);
        for (name, stored, dtype) in TYPES {
            if (wanted || by_default) && chosen(name, &types) {
                let file = file(shape, &config, stored)?;
                bench(shape, name, &file, dtype, weights(&config, name, &file)?, time)?;
            }
        }
    }
    Ok(())
}

fn shapes() -> [(&'static str, Value); 4] {
    let gemma = |hidden: u32, inner: u32, layers: u32, vocab: u32| {
        json!({
            "model_type": "gemma3_text", "vocab_size": vocab, "hidden_size": hidden,
            "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": 4,
            "num_key_value_heads": 1, "head_dim": 256, "query_pre_attn_scalar": 256,
            "max_position_embeddings": 2048, "sliding_window": 512, "sliding_window_pattern": 6,
        })
    };
    let phi = json!({
        "model_type": "phi", "vocab_size": 51200, "hidden_size": 2560, "intermediate_size": 10240,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32,
        "partial_rotary_factor": 0.4, "max_position_embeddings": 2048, "tie_word_embeddings": false,
    });
    [
        ("tiny", gemma(256, 512, 2, 512)),
        ("gemma-270m", gemma(640, 2048, 18, 262_144)),
        ("gemma-1b", gemma(1152, 6912, 26, 262_144)),
        ("phi-2", phi),
    ]
}

/// A file of random weights, made if it is not there.
fn file(shape: &str, config: &Value, stored: &str) -> Result<PathBuf, Error> {
    let folder = target().join("forward").join(shape);
    let file = folder.join(format!("{stored}.gguf"));
    if !file.exists() {
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("config.json"), config.to_string())?;
        export_gguf(&folder, &file, stored.parse::<GgufType>()?, Some(1))?;
    }
    Ok(file)
}

/// Bytes of weights that a token reads: of a table apart from the head it reads a row.
fn weights(config: &Value, name: &str, file: &Path) -> Result<f64, Error> {
    let all = std::fs::metadata(file)?.len() as f64;
    let (all, per_number) = match name {
        "f32" => (all, 4.0),
        "bf16" => (all / 2.0, 2.0),
        "f16" => (all, 2.0),
        "q8_0" => (all, 34.0 / 32.0),
        _ => (all, 144.0 / 256.0),
    };
    let number = |key: &str| config[key].as_f64().unwrap_or(0.0);
    let apart = config["tie_word_embeddings"] == false;
    let table = if apart { number("vocab_size") * number("hidden_size") * per_number } else { 0.0 };
    Ok(all - table)
}

fn tokens(count: usize) -> Vec<u32> {
    (0..count).map(|i| (2 + i * i * 31 % 250) as u32).collect()
}

/// Rows of a state that all hold the same tokens.
struct Rows<'m> {
    model: &'m dyn LanguageModel,
    state: Box<dyn State>,
    rows: Vec<RowId>,
    held: usize,
    outputs: Outputs,
}

impl<'m> Rows<'m> {
    /// Each read for itself, or forks of one.
    fn new(
        model: &'m dyn LanguageModel,
        count: usize,
        held: usize,
        forked: bool,
    ) -> Result<Self, Error> {
        let (mut state, mut outputs) = (model.new_state(), Outputs::new());
        let mut rows = vec![state.new_row()];
        if !forked {
            rows.extend((1..count).map(|_| state.new_row()));
        }
        let text = tokens(held);
        let work: Vec<_> =
            rows.iter().map(|&row| Work { row, tokens: &text, want: Want::Last }).collect();
        if held > 0 {
            model.forward(&mut *state, &work, &mut outputs)?;
        }
        while rows.len() < count {
            rows.push(state.fork(rows[0])?);
        }
        Ok(Self { model, state, rows, held, outputs })
    }

    /// Appends to every row, and takes it back.
    fn pass(&mut self, text: &[u32]) {
        let work: Vec<_> =
            self.rows.iter().map(|&row| Work { row, tokens: text, want: Want::Last }).collect();
        self.model.forward(&mut *self.state, &work, &mut self.outputs).expect("a pass");
        for &row in &self.rows {
            self.state.truncate(row, self.held).expect("a way back");
        }
        black_box(self.outputs.last(0));
    }
}

/// A step of rows in company gives the bits of the whole text alone.
fn check(model: &dyn LanguageModel) -> Result<(), Error> {
    let text = tokens(HELD + 1);
    let mut whole = Rows::new(model, 1, 0, false)?;
    whole.pass(&text);
    let mut steps = Rows::new(model, 3, HELD, true)?;
    steps.pass(&text[HELD..]);
    for row in 0..3 {
        assert_eq!(steps.outputs.last(row), whole.outputs.last(0), "the bits of row {row}");
    }
    Ok(())
}

fn bench(
    shape: &str,
    dtype_name: &str,
    file: &Path,
    dtype: Dtype,
    weights: f64,
    time: Duration,
) -> Result<(), Error> {
    let loaded = load(file, &LoadOptions { dtype, ..LoadOptions::default() })?;
    let model = &*loaded.model;
    check(model)?;
    let (short, long, step) = (tokens(32), tokens(512), tokens(1));
    let threads = Threads::default().count();
    let array = vec![1_u64; threads * READ / 8];
    let rows = |count, held, forked| Rows::new(model, count, held, forked);
    let (mut empty, mut also_empty) = (rows(1, 0, false)?, rows(1, 0, false)?);
    let (mut one, mut four, mut sixteen) =
        (rows(1, HELD, false)?, rows(4, HELD, false)?, rows(16, HELD, false)?);
    let mut forks = rows(8, 512, true)?;
    let mut contenders: Vec<Contender<'_>> = vec![
        ("read", Box::new(|| read(&array, threads))),
        ("prompt of 32", Box::new(|| empty.pass(&short))),
        ("prompt of 512", Box::new(|| also_empty.pass(&long))),
        ("1 row", Box::new(|| one.pass(&step))),
        ("4 rows", Box::new(|| four.pass(&step))),
        ("16 rows", Box::new(|| sixteen.pass(&step))),
        ("8 forks of 512", Box::new(|| forks.pass(&step))),
    ];
    let rounds = in_turn(&mut contenders, time);
    let per_call = [
        ("prompt of 32", 32),
        ("prompt of 512", 512),
        ("1 row", 1),
        ("4 rows", 4),
        ("16 rows", 16),
        ("8 forks of 512", 8),
    ];
    for (name, tokens) in per_call {
        let mut times = rounds[name].clone();
        times.sort_by(f64::total_cmp);
        let seconds = times[times.len() / 2] / 1e9;
        let read = (threads * READ) as f64;
        let share = ratio(&rounds, "read", None, name).unwrap_or(0.0) * weights / read;
        let (speed, bandwidth) = (f64::from(tokens) / seconds, weights / seconds / 1e9);
        println!("| {shape} | {dtype_name} | {name} | {speed:.1} | {bandwidth:.1} | {share:.2} |");
    }
    Ok(())
}

/// Reads an array, a part by each thread.
fn read(array: &[u64], threads: usize) {
    thread::scope(|scope| {
        for part in array.chunks(array.len().div_ceil(threads)) {
            scope.spawn(move || black_box(part.iter().fold(0_u64, |sum, x| sum.wrapping_add(*x))));
        }
    });
}
