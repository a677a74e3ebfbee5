//! GGUF files with other keys and tensors than the project writes.

use std::collections::BTreeMap;
use std::fs::{self, File};

use taper_models::candle_core::Device;
use taper_models::candle_core::quantized::gguf_file::{self, Content, Value};
use taper_models::candle_core::quantized::{GgmlDType, QTensor};
use taper_models::{GgufType, LoadError, LoadedModel, Outputs, Want, Work, load};
use tempfile::TempDir;

use crate::gguf::{Written, options};
use crate::golden::folder;

/// A good file, taken apart.
pub(crate) struct Parts {
    pub(crate) keys: BTreeMap<String, Value>,
    pub(crate) tensors: BTreeMap<String, QTensor>,
}

impl Parts {
    pub(crate) fn of(model: &str) -> Self {
        let written = Written::new(folder(model), GgufType::F16, Some(1));
        let mut file = File::open(written.path()).unwrap();
        let content = Content::read(&mut file).unwrap();
        let names = content.tensor_infos.keys();
        let tensors = names
            .map(|name| (name.clone(), content.tensor(&mut file, name, &Device::Cpu).unwrap()));
        Self { tensors: tensors.collect(), keys: content.metadata.into_iter().collect() }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let keys: Vec<_> = self.keys.iter().map(|(key, value)| (&key[..], value)).collect();
        let tensors: Vec<_> = self.tensors.iter().map(|(name, t)| (&name[..], t)).collect();
        gguf_file::write(&mut bytes, &keys, &tensors).unwrap();
        bytes.into_inner()
    }

    pub(crate) fn load(&self) -> LoadedModel {
        load_bytes(&self.bytes()).unwrap()
    }

    pub(crate) fn set(&mut self, key: &str, value: Value) {
        self.keys.insert(key.to_owned(), value);
    }

    pub(crate) fn shorten(&mut self, key: &str) {
        let Some(Value::Array(list)) = self.keys.get_mut(key) else { panic!("no list {key}") };
        list.pop();
    }
}

pub(crate) fn load_bytes(bytes: &[u8]) -> Result<LoadedModel, LoadError> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("good.gguf");
    fs::write(&path, bytes).unwrap();
    load(&path, &options())
}

/// Of some types candle multiplies pairs of blocks alone, and a build with its checks would end.
#[test]
fn a_row_may_be_one_block() {
    use GgmlDType::{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
    for dtype in [Q4_0, Q4_1, Q5_0, Q5_1, Q8_0] {
        let mut parts = Parts::of("gguf/spm");
        for tensor in parts.tensors.values_mut().filter(|tensor| tensor.rank() == 2) {
            let numbers = tensor.dequantize(&Device::Cpu).unwrap();
            assert_eq!(numbers.dims()[1], dtype.block_size());
            *tensor = QTensor::quantize(&numbers, dtype).unwrap();
        }
        let (loaded, mut outputs) = (parts.load(), Outputs::new());
        let mut state = loaded.model.new_state();
        let work = [Work { row: state.new_row(), tokens: &[1, 5, 9], want: Want::Last }];
        loaded.model.forward(&mut *state, &work, &mut outputs).unwrap();
        let row = outputs.last(0);
        assert!(row.iter().all(|logit| logit.is_finite()) && row[0] != row[1], "{dtype:?}");
    }
}
