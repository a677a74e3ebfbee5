//! Is a GPU right, and how fast is it? Every family and type against the CPU, then large shapes.
//!
//! `scripts/gpu-check.sh` runs it as `docs/gpu.md` says. It reads nothing: configs are built in and
//! weights are drawn. With `--device cpu` the CPU is compared with itself, which shows that the
//! check runs.
//!
//! It ends with 0 if all agrees, 1 if something differs or fails, 2 for bad arguments, and 3 where
//! there is no GPU.

#[path = "gpu_check/arguments.rs"]
mod arguments;
#[path = "gpu_check/correct.rs"]
mod correct;
#[path = "gpu_check/session.rs"]
mod session;
#[path = "gpu_check/speed.rs"]
mod speed;

use std::process::ExitCode;

use candle_core::Device;

use self::arguments::{Arguments, Part};

/// What stops the check.
pub(crate) type Error = Box<dyn std::error::Error>;

const NO_GPU: u8 = 3;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(what) => {
            eprintln!("error: {what}\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    let device = match arguments.device.open() {
        Ok(device) => device,
        Err(error) => {
            eprintln!("error: --device {}: {error}", arguments.device);
            return ExitCode::from(NO_GPU);
        }
    };
    match check(&arguments, &device) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            eprintln!("error: {failed} checks failed");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what was asked for; returns how many checks failed.
fn check(arguments: &Arguments, device: &Device) -> Result<usize, Error> {
    println!("device {}", arguments.device);
    match &arguments.part {
        Part::Correct => correct::check(device),
        Part::Speed => speed::measure(arguments, device).map(|()| 0),
        Part::Steps(shape) => speed::steps(arguments, device, shape).map(|()| 0),
    }
}

#[cfg(test)]
mod tests {
    use taper_models::DecoderSpec;

    use super::*;

    #[test]
    fn the_cpu_agrees_with_itself() {
        assert_eq!(correct::check(&Device::Cpu).unwrap(), 0);
    }

    /// Two layers, of which the first has four experts and a token goes through two.
    #[test]
    fn a_step_reads_what_it_needs() {
        let arguments = "--device cpu --dtype f32 --prompt 3 --steps 2".split(' ');
        let arguments = Arguments::parse(arguments.map(str::to_owned)).unwrap();
        let config = serde_json::json!({
            "model_type": "qwen3_moe", "vocab_size": 64, "hidden_size": 16, "intermediate_size": 24,
            "moe_intermediate_size": 8, "num_experts": 4, "num_experts_per_tok": 2,
            "mlp_only_layers": [1], "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "head_dim": 4, "max_position_embeddings": 64,
        });
        let spec = DecoderSpec::from_config(&config).unwrap();
        let line = speed::shape("tiny", &spec, &arguments, &Device::Cpu, 1e9).unwrap();
        let all: usize =
            spec.tensors().iter().map(|tensor| tensor.shape.iter().product::<usize>()).sum();
        let (table, experts) = (64 * 16, 2 * 3 * 8 * 16);
        // Keys and values of a block of 64 positions, two heads of four numbers, two layers.
        let cache = 2 * 64 * 2 * 4 * 2;
        assert_eq!(line["bytes_per_token"], 4 * (all - table - experts + cache));
        let share = line["share_of_floor"].as_f64().unwrap();
        let rates = ["decode_tokens_per_s", "floor_tokens_per_s"].map(|key| line[key].as_f64());
        assert!((share - rates[0].unwrap() / rates[1].unwrap()).abs() < 1e-9 * share);
    }

    #[test]
    fn every_shape_is_one_that_can_be_built() {
        let names: Vec<_> = speed::shapes().unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["gemma-3-1b", "phi-2", "llama-3-8b", "nemotron-h-cut"]);
    }
}
