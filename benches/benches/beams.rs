//! What a step of a beam search costs, against the width and against the length.
//!
//! - `beams_select/WIDTH`: the state machine alone at 128 256 tokens, processed rows in, reorder out.
//!   `floor_max` is a bare maximum over the same rows.
//! - `beams_reorder/WIDTHxLENGTH`: the state of a model follows the search; half of the beams fork.
//! - `beams_step/WIDTHxLENGTH`: the same with the pass of a small random model that comes after it.
//!
//! Forks share their blocks, so a reorder must not cost more at a greater length, and a state of 16
//! beams must hold little more than one row: that is asserted before anything is timed.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use taper_benches::{inputs, max_pass};
use taper_models::candle_core::{DType, Device};
use taper_models::{
    Decoder, DecoderSpec, LanguageModel, Outputs, RowId, State, Want, Work, random,
};
use taper_sampling::Workspace;
use taper_sampling::search::{BeamSearch, BeamSettings, log_softmax};

const VOCAB: usize = 128_256;
const WIDTHS: [usize; 3] = [1, 4, 16];
const LENGTHS: [usize; 3] = [128, 512, 2048];

fn select(c: &mut Criterion) {
    let row = &inputs(VOCAB)[1].row;
    let mut log_probs = Vec::new();
    log_softmax(row, &mut Workspace::new(VOCAB), &mut log_probs).expect("a row");
    let mut group = c.benchmark_group("beams_select");
    for width in WIDTHS {
        let rows = log_probs.repeat(width);
        let fresh = || {
            let mut search =
                BeamSearch::new(BeamSettings::new(width, 64, &[0]), VOCAB).expect("good settings");
            // From here on there are as many beams as there is room for.
            search.advance(&log_probs).expect("a step");
            search
        };
        let next = fresh().advance(&rows).expect("a step");
        assert_eq!(next.tokens.len(), width);
        group.bench_function(BenchmarkId::new("taper", width), |b| {
            b.iter_batched_ref(
                fresh,
                |search| search.advance(black_box(&rows)),
                criterion::BatchSize::SmallInput,
            );
        });
        group.bench_function(BenchmarkId::new("floor_max", width), |b| {
            b.iter(|| max_pass(black_box(&rows)));
        });
    }
    group.finish();
}

/// A llama of 8 layers with an attention worth its name and hardly a vocabulary.
fn model() -> Decoder {
    let config = serde_json::json!({
        "model_type": "llama", "vocab_size": 64, "hidden_size": 128, "intermediate_size": 256,
        "num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 4,
        "max_position_embeddings": 4096,
    });
    let spec = DecoderSpec::from_config(&config).expect("a good config");
    let weights = random::init(&spec, 3, 1.0).expect("weights");
    Decoder::new(&spec, &weights, DType::F32, &Device::Cpu).expect("a model")
}

/// Beams at one length, in a state that they share.
struct Beams<'m> {
    model: &'m Decoder,
    state: Box<dyn State>,
    rows: Vec<RowId>,
    length: usize,
    outputs: Outputs,
}

impl<'m> Beams<'m> {
    fn new(model: &'m Decoder, width: usize, length: usize) -> Self {
        let (mut state, mut outputs) = (model.new_state(), Outputs::new());
        let tokens: Vec<u32> = (0..length as u32).map(|i| i % 64).collect();
        let row = state.new_row();
        let work = [Work { row, tokens: &tokens, want: Want::Last }];
        model.forward(&mut *state, &work, &mut outputs).expect("a pass");
        let alone = state.bytes();
        let rows = state.reorder(&vec![row; width]).expect("a reorder");
        let mut beams = Self { model, state, rows, length, outputs };
        beams.pass();
        let together = beams.state.bytes();
        beams.back();
        // Each beam has a last block of its own, of 64 positions.
        let bound = alone + width * alone.div_ceil(length / 64);
        assert!(together <= bound, "{width} beams hold {together} bytes, one {alone}");
        beams
    }

    /// Half of the beams go on twice, the others end.
    fn reorder(&mut self) {
        let parents: Vec<RowId> = (0..self.rows.len()).map(|i| self.rows[i / 2]).collect();
        self.rows = self.state.reorder(&parents).expect("a reorder");
    }

    fn pass(&mut self) {
        let tokens = [1];
        let work: Vec<Work<'_>> =
            self.rows.iter().map(|&row| Work { row, tokens: &tokens, want: Want::Last }).collect();
        self.model.forward(&mut *self.state, &work, &mut self.outputs).expect("a pass");
    }

    /// To the length that is being measured.
    fn back(&mut self) {
        for &row in &self.rows {
            self.state.truncate(row, self.length).expect("a truncation");
        }
    }
}

fn step(c: &mut Criterion) {
    let model = model();
    for length in LENGTHS {
        for width in WIDTHS {
            let name = format!("{width}x{length}");
            let mut beams = Beams::new(&model, width, length);
            c.benchmark_group("beams_reorder").bench_function(&name, |b| {
                b.iter(|| beams.reorder());
            });
            let mut group = c.benchmark_group("beams_step");
            group.bench_function(&name, |b| {
                b.iter(|| {
                    beams.reorder();
                    beams.pass();
                    beams.back();
                });
            });
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(std::time::Duration::from_millis(200))
        .measurement_time(std::time::Duration::from_secs(1)).sample_size(10);
    targets = select, step
}
criterion_main!(benches);
