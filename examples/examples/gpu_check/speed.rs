//! Tokens per second at large shapes with random weights, beside what the memory allows.

use std::collections::HashSet;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use taper_models::spec::{GateSpec, HeadSpec, MixerSpec, MlpSpec};
use taper_models::{Decoder, DecoderSpec, Want, random};

use crate::Error;
use crate::arguments::Arguments;
use crate::session::{Session, prompt};

const SHAPES: &str = include_str!("../../../scripts/gpu_shapes.json");
/// Steps ahead of the clock: the first ones load kernels and fill pools.
const WARM_UP: usize = 8;
/// Runs of which the median is taken.
const RUNS: usize = 5;

/// The shapes by name, in the order of the file.
pub(crate) fn shapes() -> Result<Vec<(String, DecoderSpec)>, Error> {
    let shapes: serde_json::Map<String, Value> = serde_json::from_str(SHAPES)?;
    let spec = |(name, config): (String, Value)| Ok((name, DecoderSpec::from_config(&config)?));
    shapes.into_iter().map(spec).collect()
}

/// Prints a line of JSON for each shape.
pub(crate) fn measure(arguments: &Arguments, device: &Device) -> Result<(), Error> {
    let bandwidth = match arguments.peak {
        Some(peak) => peak * 1e9,
        None => bandwidth(device)?,
    };
    let how = if arguments.peak.is_some() { "as stated" } else { "by copying" };
    println!("memory {:.1} GB/s {how}", bandwidth / 1e9);
    let wanted = |name: &str| arguments.shape.as_deref().is_none_or(|wanted| wanted == name);
    let shapes: Vec<_> = shapes()?.into_iter().filter(|(name, _)| wanted(name)).collect();
    if shapes.is_empty() {
        return Err("no shape has that name: see scripts/gpu_shapes.json".into());
    }
    for (name, spec) in shapes {
        println!("{}", shape(&name, &spec, arguments, device, bandwidth)?);
    }
    Ok(())
}

/// Loads a shape and measures it.
pub(crate) fn shape(
    name: &str,
    spec: &DecoderSpec,
    arguments: &Arguments,
    device: &Device,
    bandwidth: f64,
) -> Result<Value, Error> {
    let began = Instant::now();
    let model = build(spec, arguments, device)?;
    device.synchronize()?;
    let load_s = began.elapsed().as_secs_f64();
    let tokens = prompt(arguments.prompt, spec.vocab_size);
    let (mut prefill, mut decode, mut state_bytes) = (Vec::new(), Vec::new(), 0);
    for _ in 0..=RUNS {
        let mut session = Session::new(&model);
        let began = Instant::now();
        session.append(&tokens, Want::Last)?;
        prefill.push(began.elapsed().as_secs_f64());
        for _ in 0..WARM_UP {
            session.append(&[session.best()], Want::Last)?;
        }
        let began = Instant::now();
        for _ in 0..arguments.steps {
            session.append(&[session.best()], Want::Last)?;
        }
        decode.push(began.elapsed().as_secs_f64() / arguments.steps as f64);
        state_bytes = session.bytes();
    }
    // The first run has warmed up both.
    let (prefill, decode) = (median(&mut prefill[1..]), median(&mut decode[1..]));
    let weights = bytes_per_token(spec, arguments.dtype.on(device));
    let floor = (weights + state_bytes) as f64 / bandwidth;
    Ok(serde_json::json!({
        "engine": "taper", "shape": name, "dtype": arguments.dtype.to_string(), "prompt": tokens.len(),
        "steps": arguments.steps, "load_s": load_s, "prefill_tokens_per_s": tokens.len() as f64 / prefill,
        "decode_tokens_per_s": 1.0 / decode, "bytes_per_token": weights + state_bytes,
        "floor_tokens_per_s": 1.0 / floor, "share_of_floor": floor / decode,
    }))
}

fn build(spec: &DecoderSpec, arguments: &Arguments, device: &Device) -> Result<Decoder, Error> {
    let weights = random::Weights::new(spec, 7, 1.0);
    Ok(Decoder::new(spec, &weights, arguments.dtype.on(device), device)?)
}

/// A prompt and `--steps` steps, for a profiler: what two runs of different length differ by is what
/// the steps cost.
pub(crate) fn steps(arguments: &Arguments, device: &Device, name: &str) -> Result<(), Error> {
    let shapes = shapes()?;
    let found = shapes.iter().find(|(shape, _)| shape == name);
    let (_, spec) = found.ok_or("no shape has that name: see scripts/gpu_shapes.json")?;
    let model = build(spec, arguments, device)?;
    let mut session = Session::new(&model);
    session.append(&prompt(arguments.prompt, spec.vocab_size), Want::Last)?;
    for _ in 0..arguments.steps {
        session.append(&[session.best()], Want::Last)?;
    }
    println!("{} steps behind {} tokens", arguments.steps, arguments.prompt);
    Ok(())
}

/// Bytes of weights that a step of one token reads: all but the rows of a table that are not its
/// own, and the experts that are not chosen. The few numbers that are held in `f32` whatever the type
/// count as the others do.
fn bytes_per_token(spec: &DecoderSpec, dtype: DType) -> usize {
    let mut unread = HashSet::new();
    if let HeadSpec::Separate(_) = spec.head {
        unread.insert(&spec.embedding.weight);
    }
    unread.extend(&spec.embedding.positions);
    for mixer in spec.mixers() {
        if let MixerSpec::Experts(all) = mixer {
            let skipped = all.experts.iter().skip(all.router.chosen);
            unread.extend(skipped.flat_map(tensors));
        }
    }
    let tensors = spec.tensors();
    let read = tensors.iter().filter(|tensor| !unread.contains(&tensor.name));
    let numbers: usize = read.map(|tensor| tensor.shape.iter().product::<usize>()).sum();
    numbers * dtype.size_in_bytes()
}

fn tensors(expert: &MlpSpec) -> impl Iterator<Item = &String> {
    let gate = if let GateSpec::Separate(gate) = &expert.gate { Some(gate) } else { None };
    let maps = gate.into_iter().chain([&expert.up, &expert.down]);
    maps.flat_map(|map| std::iter::once(&map.weight).chain(&map.bias))
}

/// Bytes per second that a copy within the device's memory moves, each read and written.
fn bandwidth(device: &Device) -> Result<f64, Error> {
    let numbers = if device.is_cpu() { 1 << 23 } else { 1 << 28 };
    let source = Tensor::zeros(numbers, DType::F32, device)?;
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        device.synchronize()?;
        let began = Instant::now();
        let copy = source.copy()?;
        device.synchronize()?;
        best = best.min(began.elapsed().as_secs_f64());
        drop(copy);
    }
    Ok(2.0 * (numbers * size_of::<f32>()) as f64 / best)
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
