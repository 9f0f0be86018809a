use std::ffi::c_int;

use adamix_optim::cuda::{Argument, Module, address, host_copy, launch};
use candle_core::cuda_backend::cudarc::cublas::{result, sys};
use candle_core::{CudaDevice, DType, Device, Error, Result, Tensor, bail};

use crate::dataset::Images;
use crate::layer::Activation;
use crate::network::{Autoencoder, Loss, Workspace};
use crate::random::Purpose;
use crate::rbm::{CdSettings, CdWorkspace, Rbm};

/// The kernels of a training step.
pub const MODULE: Module = Module {
    name: "adamix-autoencoder",
    source: super::source,
};

const THREADS: u32 = 256;

/// Sums that a row's squared error is kept in.
const LANES: usize = 16;

/// Numbers that a replica's sizes are counted in: see `count_sizes`.
const COUNTS: usize = 257;

fn cuda(tensor: &Tensor) -> Result<CudaDevice> {
    match tensor.device() {
        Device::Cuda(device) => Ok(device.clone()),
        _ => bail!("a tensor is not on the CUDA device"),
    }
}

fn pointer(tensor: &Tensor) -> Result<Argument> {
    Ok(Argument::Long(address(tensor)?))
}

fn long(number: usize) -> Argument {
    Argument::Long(number as u64)
}

fn unsigned(number: usize) -> Argument {
    Argument::Unsigned(number as u32)
}

/// Starts a kernel with a thread for each of `numbers` of each replica.
///
/// # Safety
/// As [`launch`].
unsafe fn start(
    device: &CudaDevice,
    kernel: &str,
    numbers: usize,
    replicas: usize,
    arguments: &[Argument],
) -> Result<()> {
    let blocks = (numbers.div_ceil(THREADS as usize) as u32, replicas as u32);
    // SAFETY: the caller's.
    unsafe { launch(device, MODULE, kernel, blocks, THREADS, arguments) }
}

/// A matrix of each replica, or its transpose.
#[derive(Clone, Copy)]
struct Factor<'a> {
    /// `[replicas, rows, columns]`
    tensor: &'a Tensor,
    transposed: bool,
}

fn plain(tensor: &Tensor) -> Factor<'_> {
    Factor {
        tensor,
        transposed: false,
    }
}

fn transposed(tensor: &Tensor) -> Factor<'_> {
    Factor {
        tensor,
        transposed: true,
    }
}

impl Factor<'_> {
    /// Rows and columns as they are multiplied.
    fn shape(&self) -> Result<(usize, usize)> {
        let (_, rows, columns) = self.tensor.dims3()?;
        Ok(if self.transposed {
            (columns, rows)
        } else {
            (rows, columns)
        })
    }

    fn operation(&self) -> sys::cublasOperation_t {
        if self.transposed {
            sys::cublasOperation_t::CUBLAS_OP_T
        } else {
            sys::cublasOperation_t::CUBLAS_OP_N
        }
    }
}

/// `out = keep * out + factor * a b`, each replica for itself.
///
/// cuBLAS reads matrices column by column; row-major ones are to it their
/// transposes, so it is asked for `out' = b' a'`.
fn product(out: &Tensor, keep: f32, factor: f32, a: Factor<'_>, b: Factor<'_>) -> Result<()> {
    let device = cuda(out)?;
    let (replicas, rows, columns) = out.dims3()?;
    let ((m, inner), (same, n)) = (a.shape()?, b.shape()?);
    let sizes = [a.tensor.dims()[0], b.tensor.dims()[0]];
    if (m, n) != (rows, columns) || inner != same || sizes != [replicas; 2] {
        bail!(
            "a product of {:?} and {:?} into {:?}",
            a.tensor.shape(),
            b.tensor.shape(),
            out.shape()
        );
    }
    let width = |factor: &Factor<'_>| factor.tensor.dims()[2];
    let each = |tensor: &Tensor| (tensor.elem_count() / replicas) as i64;
    let blas = device.cublas_handle();
    // SAFETY: the three tensors are contiguous (`address` checks it), on this
    // device, and of the shapes just compared; `keep` and `factor` are read
    // before the call returns, which is cuBLAS's default.
    unsafe {
        result::sgemm_strided_batched(
            *blas.handle(),
            b.operation(),
            a.operation(),
            columns as c_int,
            rows as c_int,
            inner as c_int,
            &factor,
            address(b.tensor)? as *const f32,
            width(&b) as c_int,
            each(b.tensor),
            address(a.tensor)? as *const f32,
            width(&a) as c_int,
            each(a.tensor),
            &keep,
            address(out)? as *mut f32,
            columns as c_int,
            each(out),
            replicas as c_int,
        )
    }
    .map_err(|error| Error::Msg(format!("cuBLAS: {error:?}")))
}

/// Images on the device, and the orders in which each replica visits them.
#[derive(Debug)]
pub(crate) struct Feed {
    /// Pixels of all images, u8.
    pixels: Tensor,
    /// Images; numbers in an order.
    count: usize,
    orders: Orders,
}

/// The orders of an epoch on the device.
#[derive(Debug)]
pub(crate) struct Orders {
    /// Every different order, one after another, u32.
    orders: Tensor,
    /// Which of them each replica follows, u32.
    of_replica: Tensor,
}

impl Orders {
    /// One order a replica; those that are equal are kept once.
    fn new(orders: &[&[u32]], device: &Device) -> Result<Self> {
        let mut kept: Vec<&[u32]> = Vec::new();
        let mut of_replica = Vec::with_capacity(orders.len());
        for order in orders {
            let place = kept
                .iter()
                .position(|other| other == order)
                .unwrap_or_else(|| {
                    kept.push(order);
                    kept.len() - 1
                });
            of_replica.push(place as u32);
        }
        let all: Vec<u32> = kept.concat();
        let (numbers, replicas) = (all.len(), of_replica.len());
        Ok(Self {
            orders: Tensor::from_vec(all, numbers, device)?,
            of_replica: Tensor::from_vec(of_replica, replicas, device)?,
        })
    }
}

impl Feed {
    /// These images, in their own order.
    pub(crate) fn new(images: &Images, replicas: usize, device: &Device) -> Result<Self> {
        let count = images.count();
        let own: Vec<u32> = (0..count as u32).collect();
        Ok(Self {
            pixels: Tensor::from_slice(&images.pixels, images.pixels.len(), device)?,
            count,
            orders: Orders::new(&vec![&own[..]; replicas], device)?,
        })
    }

    /// Gives each replica an order; all are equally long.
    pub(crate) fn set_orders(&mut self, orders: &[&[u32]]) -> Result<()> {
        let device = self.pixels.device().clone();
        self.count = orders.first().map_or(0, |order| order.len());
        self.orders = Orders::new(orders, &device)?;
        Ok(())
    }

    /// Fills the first `rows` rows of each replica's part of `x`, `[replicas,
    /// batch, pixels]`, with the images from place `first` of its order on.
    pub(crate) fn load(&self, x: &Tensor, first: usize, rows: usize) -> Result<()> {
        let (replicas, batch, width) = x.dims3()?;
        if rows > batch
            || first + rows > self.count
            || self.orders.of_replica.elem_count() != replicas
        {
            bail!(
                "{rows} images from place {first} of {} for {:?}",
                self.count,
                x.shape()
            );
        }
        // SAFETY: the kernel takes these; places are inside the orders (just
        // compared), and the orders' numbers are below the number of images:
        // they are permutations of 0 to that, or were checked by the caller.
        unsafe {
            start(
                &cuda(x)?,
                "load_pixels",
                rows * width,
                replicas,
                &[
                    pointer(&self.pixels)?,
                    pointer(&self.orders.orders)?,
                    pointer(&self.orders.of_replica)?,
                    long(self.count),
                    long(first),
                    unsigned(rows),
                    unsigned(batch),
                    unsigned(width),
                    pointer(x)?,
                ],
            )
        }
    }
}

/// What an RBM of a stack trains on, on the device.
#[derive(Debug)]
pub(crate) enum DeviceFeatures {
    Images(Feed),
    /// `[replicas, images, units]`
    Probabilities {
        numbers: Tensor,
        orders: Orders,
    },
}

impl DeviceFeatures {
    pub(crate) fn new(images: &Images, replicas: usize, device: &Device) -> Result<Self> {
        Ok(Self::Images(Feed::new(images, replicas, device)?))
    }

    pub(crate) fn set_orders(&mut self, orders: &[&[u32]]) -> Result<()> {
        match self {
            Self::Images(feed) => feed.set_orders(orders),
            Self::Probabilities {
                numbers,
                orders: of,
            } => {
                *of = Orders::new(orders, numbers.device())?;
                Ok(())
            }
        }
    }

    /// As [`Feed::load`].
    pub(crate) fn load(&self, x: &Tensor, first: usize, rows: usize) -> Result<()> {
        let (numbers, orders) = match self {
            Self::Images(feed) => return feed.load(x, first, rows),
            Self::Probabilities { numbers, orders } => (numbers, orders),
        };
        let (replicas, batch, width) = x.dims3()?;
        let (same, count, units) = numbers.dims3()?;
        if rows > batch || first + rows > count || (same, units) != (replicas, width) {
            bail!(
                "{rows} rows from place {first} of {:?} for {:?}",
                numbers.shape(),
                x.shape()
            );
        }
        // SAFETY: as in `Feed::load`.
        unsafe {
            start(
                &cuda(x)?,
                "load_rows",
                rows * width,
                replicas,
                &[
                    pointer(numbers)?,
                    pointer(&orders.orders)?,
                    pointer(&orders.of_replica)?,
                    long(count),
                    long(first),
                    unsigned(rows),
                    unsigned(batch),
                    unsigned(width),
                    pointer(x)?,
                ],
            )
        }
    }

    /// Goes on to the hidden probabilities of an RBM, `batch` images at a time.
    pub(crate) fn pass_through(&mut self, rbm: &Rbm, count: usize, batch: usize) -> Result<()> {
        let (replicas, visible, hidden) = rbm.weights.dims3()?;
        let device = rbm.weights.device().clone();
        let zeros =
            |rows: usize, width: usize| Tensor::zeros((replicas, rows, width), DType::F32, &device);
        let (v0, p0, numbers) = (
            zeros(batch, visible)?,
            zeros(batch, hidden)?,
            zeros(count, hidden)?,
        );
        let own: Vec<u32> = (0..count as u32).collect();
        self.set_orders(&vec![&own[..]; replicas])?;
        for first in (0..count).step_by(batch) {
            let rows = batch.min(count - first);
            self.load(&v0, first, rows)?;
            layer(
                &p0,
                &v0,
                plain(&rbm.weights),
                &rbm.hidden_biases,
                rbm.hidden,
            )?;
            // SAFETY: the kernel takes these, and writes `rows` rows from `first`
            // on, which are below `count`.
            unsafe {
                start(
                    &cuda(&p0)?,
                    "store_rows",
                    rows * hidden,
                    replicas,
                    &[
                        pointer(&p0)?,
                        long(count),
                        long(first),
                        unsigned(rows),
                        unsigned(batch),
                        unsigned(hidden),
                        pointer(&numbers)?,
                    ],
                )?;
            }
        }
        let orders = Orders::new(&vec![&own[..]; replicas], &device)?;
        *self = Self::Probabilities { numbers, orders };
        Ok(())
    }
}

/// `out = activation(x weights + biases)`
fn layer(
    out: &Tensor,
    x: &Tensor,
    weights: Factor<'_>,
    biases: &Tensor,
    activation: Activation,
) -> Result<()> {
    product(out, 0.0, 1.0, plain(x), weights)?;
    let (replicas, batch, width) = out.dims3()?;
    if biases.dims() != [replicas, width] {
        bail!("biases {:?} for {:?}", biases.shape(), out.shape());
    }
    // SAFETY: the kernel takes these, of the shapes just compared.
    unsafe {
        start(
            &cuda(out)?,
            "activate",
            batch * width,
            replicas,
            &[
                pointer(out)?,
                pointer(biases)?,
                unsigned(batch),
                unsigned(width),
                unsigned(usize::from(activation == Activation::Logistic)),
            ],
        )
    }
}

/// [`Workspace::forward`].
pub(crate) fn forward(workspace: &Workspace, network: &Autoencoder) -> Result<()> {
    for (index, it) in network.layers().iter().enumerate() {
        let [x, out] = &workspace.activations[index..][..2] else {
            bail!("the workspace is of another network")
        };
        let weights = plain(it.weights.as_tensor());
        layer(out, x, weights, it.biases.as_tensor(), it.activation)?;
    }
    Ok(())
}

/// [`Workspace::backward`]; `scale` multiplies the sum over images.
pub(crate) fn backward(
    workspace: &Workspace,
    network: &Autoencoder,
    loss: Loss,
    scale: f32,
) -> Result<()> {
    let last = network.layers().len() - 1;
    let device = cuda(workspace.input())?;
    let (replicas, batch, _) = workspace.input().dims3()?;
    let each = |tensor: &Tensor| tensor.elem_count() / replicas;
    let (delta, y, x) = (
        &workspace.deltas[last],
        workspace.output(),
        workspace.input(),
    );
    if y.shape() != x.shape() {
        bail!("reconstructions {:?} of {:?}", y.shape(), x.shape());
    }
    // SAFETY: the kernel takes these; all three have one shape.
    unsafe {
        start(
            &device,
            "loss_delta",
            each(delta),
            replicas,
            &[
                pointer(delta)?,
                pointer(y)?,
                pointer(x)?,
                long(each(delta)),
                unsigned(usize::from(loss == Loss::SquaredError)),
                Argument::Float(scale),
            ],
        )?;
    }
    for index in (0..=last).rev() {
        let delta = &workspace.deltas[index];
        if index > 0 {
            let before = &workspace.deltas[index - 1];
            let weights = network.layers()[index].weights.as_tensor();
            product(before, 0.0, 1.0, plain(delta), transposed(weights))?;
            if network.layers()[index - 1].activation == Activation::Logistic {
                let outputs = &workspace.activations[index];
                // SAFETY: the kernel takes these; both have one shape.
                unsafe {
                    start(
                        &device,
                        "derive",
                        each(before),
                        replicas,
                        &[pointer(before)?, pointer(outputs)?, long(each(before))],
                    )?;
                }
            }
        }
        let (weights, biases) = (
            &workspace.gradients[2 * index],
            &workspace.gradients[2 * index + 1],
        );
        product(
            weights,
            0.0,
            1.0,
            transposed(&workspace.activations[index]),
            plain(delta),
        )?;
        let width = biases.dims()[1];
        // SAFETY: the kernel takes these; the biases are as many as the
        // derivatives' columns, as the workspace was made.
        unsafe {
            start(
                &device,
                "sum_rows",
                width,
                replicas,
                &[
                    pointer(biases)?,
                    pointer(delta)?,
                    unsigned(batch),
                    unsigned(width),
                    Argument::Float(0.0),
                    Argument::Float(1.0),
                ],
            )?;
        }
    }
    Ok(())
}

/// Sums of squared errors on the device, of every row of a batch: see
/// `add_squared_errors`.
#[derive(Debug)]
pub(crate) struct SquaredErrors {
    sums: Tensor,
}

impl SquaredErrors {
    pub(crate) fn new(replicas: usize, batch: usize, device: &Device) -> Result<Self> {
        Ok(Self {
            sums: Tensor::zeros((replicas, batch, LANES), DType::F64, device)?,
        })
    }

    /// Adds the errors of the first `rows` rows.
    pub(crate) fn add(&self, y: &Tensor, x: &Tensor, rows: usize) -> Result<()> {
        let (replicas, batch, width) = y.dims3()?;
        if x.shape() != y.shape() || self.sums.dims() != [replicas, batch, LANES] || rows > batch {
            bail!("errors of {:?} and {:?}", y.shape(), x.shape());
        }
        // SAFETY: the kernel takes these, of the shapes just compared.
        unsafe {
            start(
                &cuda(y)?,
                "add_squared_errors",
                rows * LANES,
                replicas,
                &[
                    pointer(y)?,
                    pointer(x)?,
                    unsigned(rows),
                    unsigned(batch),
                    unsigned(width),
                    pointer(&self.sums)?,
                ],
            )
        }
    }

    /// Each replica's sum over everything added. Waits for it.
    pub(crate) fn totals(&self) -> Result<Vec<f64>> {
        let sums = host_copy(&self.sums)?.flatten_from(1)?.to_vec2::<f64>()?;
        Ok(sums
            .into_iter()
            .map(|of_replica| of_replica.iter().sum())
            .collect())
    }
}

/// [`Autoencoder::reconstruction_errors`].
pub(crate) fn reconstruction_errors(
    network: &Autoencoder,
    images: &Images,
    workspace: &mut Workspace,
) -> Result<Vec<f64>> {
    let (replicas, batch, _) = workspace.input().dims3()?;
    let device = workspace.input().device().clone();
    let feed = Feed::new(images, replicas, &device)?;
    let errors = SquaredErrors::new(replicas, batch, &device)?;
    for first in (0..images.count()).step_by(batch) {
        let rows = batch.min(images.count() - first);
        feed.load(workspace.input(), first, rows)?;
        forward(workspace, network)?;
        errors.add(workspace.output(), workspace.input(), rows)?;
    }
    let totals = errors.totals()?;
    Ok(totals
        .into_iter()
        .map(|total| total / images.count() as f64)
        .collect())
}

/// Median of |g| of each replica's part of a gradient, `[replicas, ..]`: of an
/// even number, the upper of the two in the middle; not a number where one is
/// not. By four counts of eight bits each, from the highest on.
pub(crate) fn medians(gradient: &Tensor) -> Result<Vec<f64>> {
    let replicas = gradient.dims()[0];
    let len = gradient.elem_count() / replicas;
    let device = gradient.device();
    let mut prefixes = vec![0u32; replicas];
    // How many smaller sizes are left out by the prefix.
    let mut rank = vec![len as u64 / 2; replicas];
    let mut not_numbers = vec![false; replicas];
    for shift in [24, 16, 8, 0] {
        let counts = Tensor::zeros((replicas, COUNTS), DType::U32, device)?;
        let known = Tensor::from_slice(&prefixes, replicas, device)?;
        // Some numbers a thread, so that the counting has less to share.
        let threads = len.div_ceil(16);
        // SAFETY: the kernel takes these, and counts in each replica's own part.
        unsafe {
            start(
                &cuda(gradient)?,
                "count_sizes",
                threads,
                replicas,
                &[
                    pointer(gradient)?,
                    long(len),
                    pointer(&known)?,
                    Argument::Unsigned(shift),
                    pointer(&counts)?,
                ],
            )?;
        }
        for (replica, counts) in host_copy(&counts)?
            .to_vec2::<u32>()?
            .into_iter()
            .enumerate()
        {
            not_numbers[replica] |= counts[256] > 0;
            let mut digit = 0;
            while digit < 255 && rank[replica] >= u64::from(counts[digit]) {
                rank[replica] -= u64::from(counts[digit]);
                digit += 1;
            }
            prefixes[replica] = prefixes[replica] << 8 | digit as u32;
        }
    }
    let sizes = prefixes.into_iter().zip(not_numbers);
    Ok(sizes
        .map(|(bits, not_a_number)| {
            if not_a_number {
                f64::NAN
            } else {
                f64::from(f32::from_bits(bits))
            }
        })
        .collect())
}

/// Each replica's seed, on the device.
pub(crate) fn seeds(seeds: &[u64], device: &Device) -> Result<Tensor> {
    let words: Vec<u32> = seeds
        .iter()
        .flat_map(|seed| [*seed as u32, (*seed >> 32) as u32])
        .collect();
    let count = words.len();
    Tensor::from_vec(words, count, device)
}

/// One CD-1 update, see [`Rbm::update`], with the noise of stream `index` of
/// each replica's seed. The squared errors are added to `errors`.
pub(crate) fn cd_update(
    rbm: &Rbm,
    workspace: &CdWorkspace,
    settings: CdSettings,
    seeds: &Tensor,
    index: u64,
    errors: &SquaredErrors,
) -> Result<()> {
    let (replicas, visible, hidden) = rbm.weights.dims3()?;
    let CdWorkspace {
        v0,
        p0,
        states,
        v1,
        p1,
        ..
    } = workspace;
    let device = cuda(v0)?;
    let batch = v0.dims()[1];
    if v0.dims() != [replicas, batch, visible]
        || p0.dims() != [replicas, batch, hidden]
        || seeds.elem_count() != 2 * replicas
    {
        bail!("the workspace is of another RBM");
    }
    let up = plain(&rbm.weights);
    layer(p0, v0, up, &rbm.hidden_biases, rbm.hidden)?;
    let logistic = rbm.hidden == Activation::Logistic;
    let len = batch * hidden;
    // SAFETY: the kernel takes these; states and probabilities have `len`
    // numbers a replica, and there is a seed for each.
    unsafe {
        start(
            &device,
            "sample",
            if logistic { len.div_ceil(4) } else { len },
            replicas,
            &[
                pointer(states)?,
                pointer(p0)?,
                pointer(seeds)?,
                Argument::Long(index),
                Argument::Unsigned(Purpose::PreTrainingNoise as u32),
                long(len),
                unsigned(usize::from(logistic)),
            ],
        )?;
    }
    layer(
        v1,
        states,
        transposed(&rbm.weights),
        &rbm.visible_biases,
        Activation::Logistic,
    )?;
    layer(p1, v1, up, &rbm.hidden_biases, rbm.hidden)?;
    errors.add(v1, v0, batch)?;

    let rate = (settings.learning_rate / batch as f64) as f32;
    let momentum = settings.momentum as f32;
    let [weights_velocity, visible_velocity, hidden_velocity] = &rbm.velocities;
    product(weights_velocity, momentum, rate, transposed(v0), plain(p0))?;
    product(weights_velocity, 1.0, -rate, transposed(v1), plain(p1))?;
    // SAFETY: the kernels take these; velocities are shaped as what they move.
    unsafe {
        start(
            &device,
            "move_weights",
            visible * hidden,
            replicas,
            &[
                pointer(&rbm.weights)?,
                pointer(weights_velocity)?,
                long(visible * hidden),
                Argument::Float((settings.learning_rate * settings.weight_cost) as f32),
            ],
        )?;
        for (biases, velocity, positive, negative, width) in [
            (&rbm.visible_biases, visible_velocity, v0, v1, visible),
            (&rbm.hidden_biases, hidden_velocity, p0, p1, hidden),
        ] {
            start(
                &device,
                "move_biases",
                width,
                replicas,
                &[
                    pointer(biases)?,
                    pointer(velocity)?,
                    pointer(positive)?,
                    pointer(negative)?,
                    unsigned(batch),
                    unsigned(width),
                    Argument::Float(momentum),
                    Argument::Float(rate),
                ],
            )?;
        }
    }
    Ok(())
}
