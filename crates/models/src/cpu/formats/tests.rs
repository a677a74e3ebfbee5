//! Decoding against that of the tensor library, which was written by others.

use std::borrow::Cow;

use candle_core::Device;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};

use super::Format;
use crate::cpu::matrix::Matrix;
use crate::cpu::rows::vectors;
use crate::cpu::simd::{Unit, Vector, flat};
use crate::cpu::tests::blocks;

const LIBRARY: [(Format, GgmlDType); 10] = [
    (Format::Q4_0, GgmlDType::Q4_0),
    (Format::Q4_1, GgmlDType::Q4_1),
    (Format::Q5_0, GgmlDType::Q5_0),
    (Format::Q5_1, GgmlDType::Q5_1),
    (Format::Q8_0, GgmlDType::Q8_0),
    (Format::Q2K, GgmlDType::Q2K),
    (Format::Q3K, GgmlDType::Q3K),
    (Format::Q4K, GgmlDType::Q4K),
    (Format::Q5K, GgmlDType::Q5K),
    (Format::Q6K, GgmlDType::Q6K),
];

#[test]
fn blocks_are_decoded_as_the_library_does() {
    for (format, dtype) in LIBRARY {
        assert_eq!(Format::of(dtype), Some(format));
        assert_eq!((format.block(), format.block_bytes()), (dtype.block_size(), dtype.type_size()));
        let (outputs, inputs) = (7, 512);
        let bytes = blocks(format, outputs * inputs, 3);
        let storage = QStorage::from_data(Cow::Borrowed(&bytes), &Device::Cpu, dtype).unwrap();
        let tensor = QTensor::new(storage, (outputs, inputs)).unwrap();
        let want = tensor.dequantize(&Device::Cpu).unwrap().to_vec2::<f32>().unwrap();
        let matrix = Matrix { bytes: bytes.into(), format, outputs, inputs };
        for unit in Unit::all() {
            let mut row = vec![Vector::ZERO; vectors(inputs)];
            for (output, want) in want.iter().enumerate() {
                matrix.row(unit, output, &mut row);
                // Equal as numbers: a 0 may have another sign.
                assert_eq!(flat(&row), want, "{format:?}, {}", unit.name());
            }
        }
    }
}
