//! What a model that could be loaded is asked for.

use taper_models::{DeviceChoice, Dtype, LoadOptions, LoadedModel, Outputs, Want, Work};

pub(crate) fn options(random_weights: Option<u64>) -> LoadOptions {
    LoadOptions {
        device: DeviceChoice::Cpu,
        dtype: Dtype::F32,
        random_weights,
        ..LoadOptions::default()
    }
}

/// Two tokens, and one more.
pub(crate) fn infer(loaded: &LoadedModel) {
    let mut state = loaded.model.new_state();
    let (row, mut outputs) = (state.new_row(), Outputs::new());
    let last = loaded.model.vocab_size() as u32 - 1;
    for tokens in [&[0, last][..], &[last]] {
        let work = [Work { row, tokens, want: Want::Last }];
        let _ = loaded.model.forward(&mut *state, &work, &mut outputs);
    }
}
