//! The same bits whatever the shape.

mod kernels;
mod models;

use super::Format;

/// Random blocks of so many numbers, with scales that are numbers of an ordinary size.
pub(super) fn blocks(format: Format, numbers: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    let mut bytes: Vec<u8> = (0..format.bytes(numbers)).map(|_| next() as u8).collect();
    let (width, scales): (usize, &[usize]) = match format {
        Format::F32 => (4, &[]),
        Format::F16 | Format::Bf16 => (2, &[]),
        Format::Q4_0 | Format::Q5_0 | Format::Q8_0 => (format.block_bytes(), &[0]),
        Format::Q4_1 | Format::Q5_1 | Format::Q4K | Format::Q5K => (format.block_bytes(), &[0, 2]),
        Format::Q2K => (format.block_bytes(), &[80, 82]),
        Format::Q3K => (format.block_bytes(), &[108]),
        Format::Q6K => (format.block_bytes(), &[208]),
    };
    for block in bytes.chunks_exact_mut(width) {
        let number = (next() as f32 / u32::MAX as f32 - 0.25) * 0.1;
        match format {
            Format::F32 => block.copy_from_slice(&number.to_le_bytes()),
            Format::Bf16 => block.copy_from_slice(&half::bf16::from_f32(number).to_le_bytes()),
            Format::F16 => block.copy_from_slice(&half::f16::from_f32(number).to_le_bytes()),
            _ => {
                for at in scales {
                    let scale = half::f16::from_f32(number).to_le_bytes();
                    block[*at..at + 2].copy_from_slice(&scale);
                }
            }
        }
    }
    bytes
}
