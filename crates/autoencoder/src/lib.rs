//! Deep autoencoders: data sets, RBM pre-training, the network and its
//! training step.
//!
//! - [`dataset`]: MNIST, CURVES and IDX folders; one file a data set.
//! - [`PreTraining`]: a stack of RBMs, trained one by one, that unrolls to an
//!   [`Autoencoder`].
//! - [`FineTuning`]: back-propagation with any optimizer of `adamix-optim`.
//! - [`pca`], [`logistic_pca`]: what simpler reconstructions reach.
//! - [`ceiling`]: what the processor reaches, to hold training against.
//! - [`random`]: the named seeded streams that every random number comes from.
//!
//! The crate reads no clock, prints nothing and holds no global state. A
//! network's parameters are candle tensors with a leading replica axis; the
//! training step is written out over them, without autograd: forward, backward
//! and update fill preallocated tensors. Every computation runs on one thread
//! and in one order, so that the same settings and seed give the same bits
//! however many runs stand side by side.
//!
//! With the feature `cuda`, a network whose parameters lie on a CUDA device is
//! trained there, all its replicas at once, by the same calls: see [`cuda`].

pub mod ceiling;
pub mod cuda;
pub mod dataset;
mod finetuning;
mod layer;
pub mod logistic_pca;
mod network;
pub mod pca;
mod pretraining;
mod product;
pub mod random;
mod rbm;
mod real;
mod tiles;

pub use finetuning::{FineTuning, fine_tuning_order};
pub use layer::Activation;
pub use network::{Autoencoder, Layer, Loss, Reduction, Workspace};
pub use pretraining::{PreTraining, PreTrainingEpoch, PreTrainingSettings};
pub use product::{kernel_name, rounding};
pub use rbm::{CdSettings, CdWorkspace, Rbm};
