//! Where a model computes, and in which type.

use std::fmt;
use std::str::FromStr;

use candle_core::{DType, Device};

use crate::error::cause;

/// Which device to load a model onto: `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DeviceChoice {
    /// The first GPU if this build and this machine have one, otherwise the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The NVIDIA GPU of that number.
    Cuda(usize),
}

/// The type that weights are held in and, on a GPU, products are computed in. Norms, rotations,
/// softmax and logits are `f32` whatever it is, and on a CPU so are all activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Dtype {
    /// On the CPU the type that each matrix is stored in, `bf16` on a GPU.
    #[default]
    Auto,
    /// 32 bits: the reference.
    F32,
    /// 16 bits, 11 of them significant.
    F16,
    /// 16 bits, 8 of them significant, with the range of `f32`.
    Bf16,
}

/// Why a device or a type cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No device is called that.
    #[error("unknown device `{0}`; expected auto, cpu, cuda or cuda:N")]
    UnknownDevice(String),
    /// No type is called that.
    #[error("unknown dtype `{0}`; expected auto, f32, f16 or bf16")]
    UnknownDtype(String),
    /// The crate was built without CUDA.
    #[error("this build has no CUDA support; build it with `--features cuda`, or use the cpu")]
    NotBuilt,
    /// There is CUDA in the build and no such GPU in the machine.
    #[error("cuda:{index} is not available: {reason}")]
    Unavailable {
        /// Number of the GPU.
        index: usize,
        /// What the driver said.
        reason: String,
    },
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::UnknownDevice(text.to_owned());
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => {
                let index = text.strip_prefix("cuda:").ok_or_else(unknown)?;
                index.parse().map(Self::Cuda).map_err(|_| unknown())
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for Dtype {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            "bf16" => Ok(Self::Bf16),
            _ => Err(DeviceError::UnknownDtype(text.to_owned())),
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

impl DeviceChoice {
    /// Opens the device, for a [`Decoder`](crate::Decoder) that is not [loaded](crate::load).
    ///
    /// # Errors
    ///
    /// [`DeviceError::NotBuilt`] and [`DeviceError::Unavailable`] for a GPU that was asked for by name.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(index) => cuda(index),
            Self::Auto => Ok(cuda(0).unwrap_or(Device::Cpu)),
        }
    }
}

impl Dtype {
    /// The type to use on `device`.
    pub fn on(self, device: &Device) -> DType {
        match self {
            Self::Auto if device.is_cuda() => DType::BF16,
            Self::Auto | Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }
}

impl Dtype {
    /// The type that was asked for, if one was.
    pub(crate) fn chosen(self) -> Option<DType> {
        match self {
            Self::Auto => None,
            Self::F32 => Some(DType::F32),
            Self::F16 => Some(DType::F16),
            Self::Bf16 => Some(DType::BF16),
        }
    }
}

fn cuda(index: usize) -> Result<Device, DeviceError> {
    if !cfg!(feature = "cuda") {
        return Err(DeviceError::NotBuilt);
    }
    Device::new_cuda(index)
        .map_err(|error| DeviceError::Unavailable { index, reason: cause(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_and_types_are_read_as_they_are_written() {
        for text in ["auto", "cpu", "cuda:0", "cuda:3"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        for text in ["auto", "f32", "f16", "bf16"] {
            assert_eq!(text.parse::<Dtype>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_devices_and_types_are_refused_by_name() {
        for text in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "CPU"] {
            let error = text.parse::<DeviceChoice>().unwrap_err();
            assert_eq!(error, DeviceError::UnknownDevice(text.to_owned()));
        }
        let error = "fp16".parse::<Dtype>().unwrap_err().to_string();
        assert_eq!(error, "unknown dtype `fp16`; expected auto, f32, f16 or bf16");
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn a_build_without_cuda_says_how_to_get_it() {
        let error = DeviceChoice::Cuda(0).open().unwrap_err();
        assert_eq!(error, DeviceError::NotBuilt);
        assert!(error.to_string().contains("--features cuda"));
        assert!(DeviceChoice::Auto.open().unwrap().is_cpu());
    }

    /// On a machine without a GPU; where there is one nothing is shown.
    #[test]
    #[cfg(feature = "cuda")]
    fn without_a_gpu_only_auto_goes_on() {
        if Device::new_cuda(0).is_err() {
            let error = DeviceChoice::Cuda(0).open().unwrap_err();
            assert!(matches!(error, DeviceError::Unavailable { index: 0, .. }), "{error}");
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
            assert!(DeviceChoice::Auto.open().unwrap().is_cpu());
        }
    }
}
