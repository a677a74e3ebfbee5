//! The CPU's own executor beside the tensor library's, on the same weights.

use std::collections::HashMap;

use taper_models::candle_core::{DType, Device, Tensor, safetensors};
use taper_models::{
    CpuDecoder, Decoder, DecoderSpec, LanguageModel, Outputs, Threads, Want, Work, load,
};

use crate::gguf::options;
use crate::golden::{MODELS, distance, expected, folder};

fn spec(name: &str) -> DecoderSpec {
    let config = std::fs::read_to_string(folder(name).join("config.json")).unwrap();
    DecoderSpec::from_config(&serde_json::from_str(&config).unwrap()).unwrap()
}

fn logits(model: &dyn LanguageModel, tokens: &[u32]) -> Vec<f32> {
    let (mut state, mut outputs) = (model.new_state(), Outputs::new());
    let work = [Work { row: state.new_row(), tokens, want: Want::All }];
    model.forward(&mut *state, &work, &mut outputs).unwrap();
    outputs.logits(0).to_vec()
}

#[test]
fn both_executors_agree() {
    for name in MODELS {
        let weights: HashMap<String, Tensor> =
            safetensors::load(folder(name).join("model.safetensors"), &Device::Cpu).unwrap();
        let library = Decoder::new(&spec(name), &weights, DType::F32, &Device::Cpu).unwrap();
        let own = CpuDecoder::new(&spec(name), &weights, None, Threads::default()).unwrap();
        assert!(own.capabilities().batch_invariant && !library.capabilities().batch_invariant);
        let mapped = load(folder(name), &options()).unwrap().model;
        for case in expected(name).cases {
            let copied = logits(&own, &case.prompt);
            let d = distance(&copied, &logits(&library, &case.prompt));
            assert!(d < 1e-4, "{name}: {d}");
            assert_eq!(copied, logits(&*mapped, &case.prompt), "{name}: mapped as copied");
        }
    }
}
