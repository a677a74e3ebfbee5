//! Every family against what Hugging Face transformers computed with the same weights.

use taper_models::spec::{DecoderSpec, MixerSpec};
use taper_models::{
    DeviceChoice, Dtype, LanguageModel, LoadOptions, Outputs, RowId, State, Want, Work, families,
    load,
};

use crate::golden::{Case, Expected, MODELS, distance, expected, folder, half_distances};

fn model(name: &str, dtype: Dtype) -> Box<dyn LanguageModel> {
    let options = LoadOptions { device: DeviceChoice::Cpu, dtype, ..LoadOptions::default() };
    load(folder(name), &options).unwrap().model
}

fn each_model(check: impl Fn(&dyn LanguageModel, &Expected, &str)) {
    for name in MODELS {
        check(&*model(name, Dtype::F32), &expected(name), name);
    }
}

/// A model, a row of one of its states, and a buffer.
struct Session<'a> {
    model: &'a dyn LanguageModel,
    state: Box<dyn State>,
    row: RowId,
    outputs: Outputs,
}

impl<'a> Session<'a> {
    fn new(model: &'a dyn LanguageModel) -> Self {
        let mut state = model.new_state();
        let row = state.new_row();
        let outputs = Outputs::new();
        Self { model, state, row, outputs }
    }

    fn append(&mut self, tokens: &[u32], want: Want) -> &[f32] {
        let work = [Work { row: self.row, tokens, want }];
        self.model.forward(&mut *self.state, &work, &mut self.outputs).unwrap();
        self.outputs.logits(0)
    }
}

fn argmax(row: &[f32]) -> usize {
    (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap()
}

fn log_probability(row: &[f32], token: usize) -> f32 {
    let total: f64 = row.iter().map(|x| f64::from(x - row[token]).exp()).sum();
    -total.ln() as f32
}

#[test]
fn every_family_has_a_golden_model() {
    let mut tested: Vec<String> =
        MODELS.iter().map(|name| model(name, Dtype::F32).family().to_owned()).collect();
    tested.dedup();
    assert_eq!(tested, families::supported());
}

/// `testdata/rope.json`, which transformers made.
#[test]
fn rotations_have_the_frequencies_of_transformers() {
    #[derive(serde::Deserialize)]
    struct Case {
        config: serde_json::Value,
        frequencies: Vec<f32>,
        amplitude: f32,
    }
    let cases = std::fs::read(folder("rope.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_slice(&cases).unwrap();
    assert_eq!(cases.len(), 13);
    for Case { config, frequencies, amplitude } in cases {
        let spec = DecoderSpec::from_config(&config).unwrap();
        let MixerSpec::Attention(attention) = &spec.layers[0].blocks[0].mixers[0] else {
            panic!("a layer begins with attention");
        };
        let rope = attention.rope.as_ref().unwrap();
        assert_eq!(rope.frequencies().len(), frequencies.len());
        for (got, want) in rope.frequencies().into_iter().zip(frequencies) {
            assert!((got / want - 1.0).abs() < 1e-6, "{got} for {want}: {config}");
        }
        assert!((rope.amplitude() / amplitude - 1.0).abs() < 1e-6, "{config}");
    }
}

#[test]
fn families_say_what_their_models_can_do() {
    for name in MODELS {
        let model = model(name, Dtype::F32);
        assert_eq!(Some(model.capabilities()), families::capabilities(model.family()), "{name}");
    }
    assert_eq!(families::capabilities("mamba"), None);
}

#[test]
fn logits_agree_at_every_position() {
    each_model(|model, expected, name| {
        for Case { prompt, logits_last, logits_all_positions_first8, .. } in &expected.cases {
            let mut session = Session::new(model);
            let logits = session.append(prompt, Want::All);
            let rows = logits.chunks_exact(model.vocab_size());
            assert_eq!(rows.len(), prompt.len());
            for (row, want) in rows.clone().zip(logits_all_positions_first8) {
                let d = distance(&row[..8], want);
                assert!(d < expected.tolerance.logits_abs, "{name}: {d}");
            }
            let d = distance(rows.last().unwrap(), logits_last);
            assert!(d < expected.tolerance.logits_abs, "{name}: {d}");
        }
    });
}

#[test]
fn greedy_decoding_agrees() {
    each_model(|model, expected, name| {
        for case in &expected.cases {
            let mut session = Session::new(model);
            let mut logits = session.append(&case.prompt, Want::Last);
            for (token, logprob) in case.greedy.iter().zip(&case.greedy_logprobs) {
                let best = argmax(logits);
                assert_eq!(best, *token as usize, "{name}");
                let d = (log_probability(logits, best) - logprob).abs();
                assert!(d < expected.tolerance.logprobs_abs, "{name}: {d}");
                logits = session.append(&[*token], Want::Last);
            }
        }
    });
}

#[test]
fn a_prompt_may_come_in_pieces() {
    each_model(|model, expected, name| {
        for case in &expected.cases {
            for size in [1, 3, 7] {
                let mut session = Session::new(model);
                for piece in case.prompt.chunks(size) {
                    session.append(piece, Want::Last);
                }
                let d = distance(session.outputs.last(0), &case.logits_last);
                assert!(d < expected.tolerance.logits_abs, "{name}, pieces of {size}: {d}");
            }
        }
    });
}

#[test]
fn rows_of_different_length_run_together() {
    each_model(|model, expected, name| {
        let mut state = model.new_state();
        let rows: Vec<RowId> = expected.cases.iter().map(|_| state.new_row()).collect();
        let work: Vec<Work<'_>> = (rows.iter().zip(&expected.cases))
            .map(|(&row, case)| Work { row, tokens: &case.prompt, want: Want::Last })
            .collect();
        let mut outputs = Outputs::new();
        model.forward(&mut *state, &work, &mut outputs).unwrap();
        for (index, case) in expected.cases.iter().enumerate() {
            let d = distance(outputs.logits(index), &case.logits_last);
            assert!(d < expected.tolerance.logits_abs, "{name}: {d}");
        }
        if let Some(padded) = &expected.batch_left_padded {
            for (index, want) in padded.case_indices.iter().zip(&padded.logits_last) {
                let d = distance(outputs.logits(*index), want);
                assert!(d < expected.tolerance.logits_abs, "{name}, padded: {d}");
            }
        }
    });
}

/// transformers' own distance from its `f32`, made by `testdata/half.py`, is what the type costs.
#[test]
fn half_precision_stays_near() {
    let own = half_distances();
    for (dtype, key) in [(Dtype::F16, "f16"), (Dtype::Bf16, "bf16")] {
        for name in MODELS {
            let model = model(name, dtype);
            for case in expected(name).cases {
                let mut session = Session::new(&*model);
                let d = distance(session.append(&case.prompt, Want::Last), &case.logits_last);
                let theirs = own[name][key];
                assert!(d < 2.0 * theirs, "{name} in {dtype}: {d}, transformers {theirs}");
            }
        }
    }
}
