//! What to check, on which device.

use taper_models::{DeviceChoice, Dtype};

pub(crate) const USAGE: &str = "\
usage: gpu_check [--part correct|speed|steps] [--device cuda|cuda:N|cpu]
                 [--shape NAME] [--dtype f32|f16|bf16] [--prompt N] [--steps N] [--peak GB/s]
  correct  every family and type against the CPU (the default)
  speed    tokens/s at all shapes, or at one, beside the floor of the memory
  steps    N steps at one shape and nothing else, for a profiler to count what they launch";

pub(crate) enum Part {
    Correct,
    Speed,
    /// At the shape of this name.
    Steps(String),
}

pub(crate) struct Arguments {
    pub(crate) part: Part,
    pub(crate) device: DeviceChoice,
    pub(crate) shape: Option<String>,
    pub(crate) dtype: Dtype,
    /// Tokens of the prompt.
    pub(crate) prompt: usize,
    /// Tokens decoded behind it.
    pub(crate) steps: usize,
    /// The memory's bandwidth in GB/s, instead of measuring it.
    pub(crate) peak: Option<f64>,
}

impl Arguments {
    pub(crate) fn parse(mut given: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut part, mut shape, mut peak) = ("correct".to_owned(), None, None);
        let (mut device, mut dtype) = (DeviceChoice::Cuda(0), Dtype::Bf16);
        let (mut prompt, mut steps) = (512, 64);
        while let Some(flag) = given.next() {
            let value = given.next().ok_or_else(|| format!("{flag} needs a value"))?;
            let count = || value.parse().ok().filter(|&n: &usize| n > 0);
            let counted = || count().ok_or_else(|| format!("{flag} {value}: it must be above 0"));
            match flag.as_str() {
                "--part" => part = value,
                "--device" => device = value.parse().map_err(|error| format!("{error}"))?,
                "--shape" => shape = Some(value),
                "--dtype" => dtype = value.parse().map_err(|error| format!("{error}"))?,
                "--prompt" => prompt = counted()?,
                "--steps" => steps = counted()?,
                "--peak" => {
                    let gigabytes = value.parse().ok().filter(|&x: &f64| x > 0.0 && x.is_finite());
                    let refused = || format!("--peak {value}: it must be GB/s, above 0");
                    peak = Some(gigabytes.ok_or_else(refused)?);
                }
                _ => return Err(format!("there is no {flag}")),
            }
        }
        let part = match (part.as_str(), &shape) {
            ("correct", _) => Part::Correct,
            ("speed", _) => Part::Speed,
            ("steps", Some(shape)) => Part::Steps(shape.clone()),
            ("steps", None) => return Err("--part steps needs a --shape".to_owned()),
            _ => return Err(format!("--part {part}: it must be correct, speed or steps")),
        };
        Ok(Self { part, device, shape, dtype, prompt, steps, peak })
    }
}
