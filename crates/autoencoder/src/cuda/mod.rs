//! Training on an NVIDIA GPU: what `layer` and
//! `product` do on slices, done on tensors of a CUDA device,
//! for all replicas at once. Matrix products are cuBLAS's, in f32 without TF32;
//! the rest are the kernels of `kernels.cu`.
//!
//! Nothing here waits for the device, except where numbers come back.
//!
//! A step is not captured as a CUDA graph. Its launches are some fifty, and asked for
//! ahead of the device; whether a graph would save time, as it may with few runs in
//! lockstep, no GPU has been at hand to measure.

#[cfg(feature = "cuda")]
mod device;

#[cfg(feature = "cuda")]
pub use device::MODULE;
#[cfg(feature = "cuda")]
pub(crate) use device::{
    DeviceFeatures, Feed, SquaredErrors, backward, cd_update, forward, medians,
    reconstruction_errors, seeds,
};

/// The kernels of a training step, in CUDA C. There without the feature `cuda`
/// too, to be compiled and tested where there is no GPU.
pub fn source() -> String {
    include_str!("kernels.cu").to_owned()
}
