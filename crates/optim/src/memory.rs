//! The one place where the memory of candle tensors is read and written as
//! slices.
//!
//! candle lets a custom operation write one tensor in place. An optimizer
//! writes a parameter and its state in one pass, a training step fills
//! preallocated activations: [`with_slices`] nests one such operation in
//! another, so that several tensors can be written at once without `unsafe`.

use std::cell::RefCell;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Storage, Tensor, WithDType, bail};

use crate::number::Number;

/// The element types that train: `f32` and `f64`.
pub trait Float: Number + WithDType {
    /// The storage's elements, if they are of this type.
    fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]>;
}

impl Float for f32 {
    fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        match storage {
            CpuStorage::F32(values) => Some(values),
            _ => None,
        }
    }
}

impl Float for f64 {
    fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        match storage {
            CpuStorage::F64(values) => Some(values),
            _ => None,
        }
    }
}

/// Calls `f` with the elements of `written` and `read`, row-major, and returns
/// its answer. Nothing is copied or allocated.
///
/// No tensor of `written` may share its storage with any other given here: the
/// call would wait for itself, for ever. That the same tensor is given twice is
/// found out and is an error; that two views of one storage are cannot be. Nor
/// may two threads write what the other reads.
///
/// ```
/// use adamix_optim::with_slices;
/// use candle_core::{Device, Tensor};
/// let (a, b) = (Tensor::new(&[1f32, 2.0], &Device::Cpu)?, Tensor::new(&[10f32, 20.0], &Device::Cpu)?);
/// with_slices([&a], [&b], |[a], [b]: [&[f32]; 1]| a[1] += b[0])?;
/// assert_eq!(a.to_vec1::<f32>()?, [1.0, 12.0]);
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// # Errors
/// Where a tensor is not on the CPU, not contiguous, not of type `T`, or a
/// written one is given twice.
pub fn with_slices<T: Float, const W: usize, const R: usize, O>(
    written: [&Tensor; W],
    read: [&Tensor; R],
    f: impl FnOnce([&mut [T]; W], [&[T]; R]) -> O,
) -> Result<O> {
    for (i, tensor) in written.iter().enumerate() {
        if written[i + 1..]
            .iter()
            .chain(&read)
            .any(|other| other.id() == tensor.id())
        {
            bail!("with_slices: a tensor to be written is given twice");
        }
    }
    let guards = read.map(Tensor::storage_and_layout);
    let mut slices: [&[T]; R] = [&[]; R];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&guards) {
        let Storage::Cpu(storage) = &**storage else {
            bail!("with_slices: a tensor is not on the CPU")
        };
        let (start, end) = range(layout)?;
        *slice = &storage.as_slice::<T>()?[start..end];
    }
    let mut answer = None;
    write(
        &written,
        0,
        std::array::from_fn(|_| &mut [][..]),
        |written| {
            answer = Some(f(written, slices));
        },
    )?;
    answer.ok_or_else(|| {
        candle_core::Error::Msg("with_slices: candle did not run the operation".into())
    })
}

/// Adds the slices of `tensors[next..]` to `slices`, one nested operation
/// each, then calls `f`.
fn write<T: Float, const W: usize, F: FnOnce([&mut [T]; W])>(
    tensors: &[&Tensor; W],
    next: usize,
    slices: [&mut [T]; W],
    f: F,
) -> Result<()> {
    match tensors.get(next) {
        None => {
            f(slices);
            Ok(())
        }
        Some(tensor) => tensor.inplace_op1(&Nested {
            tensors,
            next,
            rest: RefCell::new(Some((slices, f))),
        }),
    }
}

/// The slices found so far, and what is to be called with all of them.
type Rest<'a, T, const W: usize, F> = ([&'a mut [T]; W], F);

struct Nested<'a, T, const W: usize, F> {
    tensors: &'a [&'a Tensor; W],
    next: usize,
    rest: RefCell<Option<Rest<'a, T, W, F>>>,
}

impl<T: Float, const W: usize, F: FnOnce([&mut [T]; W])> InplaceOp1 for Nested<'_, T, W, F> {
    fn name(&self) -> &'static str {
        "with_slices"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (start, end) = range(layout)?;
        let found = storage.dtype();
        let Some(values) = T::slice_mut(storage) else {
            bail!(
                "with_slices: a tensor holds {found:?}, expected {:?}",
                T::DTYPE
            )
        };
        let Some((slices, f)) = self.rest.take() else {
            bail!("with_slices: candle ran the operation twice")
        };
        let mut slices: [&mut [T]; W] = slices;
        slices[self.next] = &mut values[start..end];
        write(self.tensors, self.next + 1, slices, f)
    }
}

fn range(layout: &Layout) -> Result<(usize, usize)> {
    layout.contiguous_offsets().ok_or_else(|| {
        candle_core::Error::Msg(format!(
            "with_slices: a tensor of shape {:?} is not contiguous",
            layout.shape()
        ))
    })
}
