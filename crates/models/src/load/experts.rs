//! Experts that are stored as one tensor, under the names that they have one by one.
//!
//! transformers 5 holds all experts of a layer in tensors of three dimensions. It saves them one by
//! one, as they always were, unless it is told not to.

use std::ops::Range;

/// A part of a stored tensor that passes for a tensor of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Its shape.
    pub(super) shape: [usize; 2],
    /// Which of the stored numbers, in order, are its own.
    pub(super) numbers: Range<usize>,
}

/// More are not taken apart; no model has so many.
const MOST_EXPERTS: usize = 4096;

/// The parts of a stored tensor, by the names that they pass for; none if it is no such tensor.
pub(super) fn parts(name: &str, shape: &[usize]) -> Vec<(String, Part)> {
    let (Some((prefix, kind)), &[experts, rows, width]) = (name.rsplit_once(".experts."), shape)
    else {
        return Vec::new();
    };
    // The first half of `gate_up_proj` is the gate's.
    let names: &[&str] = match kind {
        "gate_up_proj" => &["gate_proj", "up_proj"],
        "up_proj" => &["up_proj"],
        "down_proj" => &["down_proj"],
        _ => return Vec::new(),
    };
    if experts > MOST_EXPERTS || !rows.is_multiple_of(names.len()) {
        return Vec::new();
    }
    let shape = [rows / names.len(), width];
    let size = shape[0] * width;
    let slots = (0..experts).flat_map(|expert| names.iter().map(move |name| (expert, name)));
    let parts = slots.enumerate().map(|(slot, (expert, part))| {
        let numbers = slot * size..(slot + 1) * size;
        let passes_for = format!("{prefix}.experts.{expert}.{part}.weight");
        (passes_for, Part { shape, numbers })
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gate_and_up_are_the_halves_of_each_expert() {
        let found = parts("layers.0.mlp.experts.gate_up_proj", &[2, 6, 4]);
        let names: Vec<&str> = found.iter().map(|(name, _)| &name[..]).collect();
        assert_eq!(
            names,
            [
                "layers.0.mlp.experts.0.gate_proj.weight",
                "layers.0.mlp.experts.0.up_proj.weight",
                "layers.0.mlp.experts.1.gate_proj.weight",
                "layers.0.mlp.experts.1.up_proj.weight",
            ]
        );
        let (_, last) = &found[3];
        assert_eq!((last.shape, last.numbers.clone()), ([3, 4], 36..48));
    }

    #[test]
    fn other_tensors_have_no_parts() {
        for (name, shape) in [
            ("layers.0.mlp.experts.0.up_proj.weight", &[6, 4][..]),
            ("layers.0.mlp.experts.up_proj", &[6, 4]),
            ("layers.0.mlp.experts.gate_up_proj", &[2, 5, 4]),
            ("layers.0.mlp.experts.up_proj", &[1 << 40, 1, 1]),
            ("layers.0.mlp.gate_up_proj", &[2, 6, 4]),
        ] {
            assert_eq!(parts(name, shape), [], "{name}");
        }
    }
}
