use candle_core::cuda_backend::cudarc::driver::{DevicePtr, LaunchConfig, PushKernelArg};
use candle_core::cuda_backend::cudarc::{cublas, curand, driver, nvrtc};
use candle_core::cuda_backend::{CudaStorageSlice, WrapErr};
use candle_core::{CudaDevice, DType, Device, Error, Result, Storage, Tensor, WithDType, bail};

/// The first of the libraries that training on a GPU opens which this machine
/// lacks. candle panics where one is missing, so ask before a device is made.
pub fn missing_library() -> Option<&'static str> {
    // SAFETY: each call only tries to open a library, NVIDIA's own, whose
    // initialisation has no precondition.
    let found = unsafe {
        [
            ("libcuda, the driver", driver::sys::is_culib_present()),
            ("libcublas", cublas::sys::is_culib_present()),
            ("libcurand", curand::sys::is_culib_present()),
            ("libnvrtc", nvrtc::sys::is_culib_present()),
        ]
    };
    found
        .into_iter()
        .find(|(_, found)| !found)
        .map(|(name, _)| name)
}

/// The same for compiling kernels only, which needs no driver.
pub fn missing_compiler() -> Option<&'static str> {
    // SAFETY: as in `missing_library`.
    (!unsafe { nvrtc::sys::is_culib_present() }).then_some("libnvrtc")
}

/// Kernels that belong together.
#[derive(Debug, Clone, Copy)]
pub struct Module {
    /// Under which the compiled kernels are kept with the device.
    pub name: &'static str,
    /// Their CUDA C.
    pub source: fn() -> String,
}

/// One argument of a kernel, which must be declared with this type.
#[derive(Debug, Clone, Copy)]
pub enum Argument {
    /// A pointer, as [`address`] gives it, or an `unsigned long long`.
    Long(u64),
    /// `unsigned`
    Unsigned(u32),
    /// `float`
    Float(f32),
}

/// Starts a kernel on the device's stream and does not wait for it. The module
/// is compiled when it is first used on a device, for the device's own
/// architecture, and kept with it.
///
/// # Safety
/// The kernel must exist with these arguments, and must only read and write
/// memory that is on this device and lives until it has run: tensors of candle
/// do, since they are freed in the order of the stream.
///
/// # Errors
/// Where the module does not compile or the launch is refused.
pub unsafe fn launch(
    device: &CudaDevice,
    module: Module,
    kernel: &str,
    blocks: (u32, u32),
    threads: u32,
    arguments: &[Argument],
) -> Result<()> {
    if blocks.0 == 0 || blocks.1 == 0 {
        return Ok(());
    }
    // The text is looked at only where the module is not there yet.
    let function = match device.get_or_load_custom_func(kernel, module.name, "") {
        Ok(function) => function,
        Err(_) => device.get_or_load_custom_func(kernel, module.name, &compile(device, module)?)?,
    };
    let mut builder = function.builder();
    for argument in arguments {
        match argument {
            Argument::Long(value) => builder.arg(value),
            Argument::Unsigned(value) => builder.arg(value),
            Argument::Float(value) => builder.arg(value),
        };
    }
    let shape = LaunchConfig {
        grid_dim: (blocks.0, blocks.1, 1),
        block_dim: (threads, 1, 1),
        shared_mem_bytes: 0,
    };
    // SAFETY: the caller's.
    unsafe { builder.launch(shape) }.w()?;
    Ok(())
}

fn compile(device: &CudaDevice, module: Module) -> Result<String> {
    let stream = device.cuda_stream();
    let (major, minor) = stream.context().compute_capability().w()?;
    compile_for(module, major * 10 + minor)
}

/// The module's PTX for an architecture, such as 90. Needs no GPU.
///
/// No product is fused with a sum, so that a kernel rounds as the CPU form.
///
/// # Errors
/// What the compiler says.
pub fn compile_for(module: Module, architecture: i32) -> Result<String> {
    let options = nvrtc::CompileOptions {
        fmad: Some(false),
        options: vec![format!("--gpu-architecture=compute_{architecture}")],
        ..Default::default()
    };
    let ptx = nvrtc::compile_ptx_with_opts((module.source)(), options).map_err(|error| {
        let log = match &error {
            nvrtc::CompileError::CompileError { log, .. } => log.to_string_lossy().into_owned(),
            other => format!("{other:?}"),
        };
        Error::Msg(format!(
            "the CUDA kernels `{}` do not compile for compute_{architecture}: {log}",
            module.name
        ))
    })?;
    Ok(ptx.to_src())
}

/// The CUDA device of a tensor.
pub(crate) fn device_of(tensor: &Tensor) -> Result<CudaDevice> {
    match tensor.device() {
        Device::Cuda(device) => Ok(device.clone()),
        _ => bail!("a tensor is not on the CUDA device"),
    }
}

/// Where a tensor's first number lies on its device. Valid as long as the
/// tensor lives and is not replaced; all work is on the device's one stream, so
/// nothing waits for anything.
///
/// # Errors
/// Where the tensor is not on a CUDA device, not contiguous, or of a type that
/// nothing here computes with.
pub fn address(tensor: &Tensor) -> Result<u64> {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else {
        bail!("a tensor is not on the CUDA device")
    };
    let Some((start, _)) = layout.contiguous_offsets() else {
        bail!("a tensor of shape {:?} is not contiguous", layout.shape())
    };
    let stream = storage.device.cuda_stream();
    let first = match &storage.slice {
        CudaStorageSlice::F32(slice) => slice.device_ptr(&stream).0,
        CudaStorageSlice::F64(slice) => slice.device_ptr(&stream).0,
        CudaStorageSlice::U32(slice) => slice.device_ptr(&stream).0,
        CudaStorageSlice::U8(slice) => slice.device_ptr(&stream).0,
        _ => bail!("a tensor is of a type that no kernel takes"),
    };
    Ok(first + (start * tensor.dtype().size_in_bytes()) as u64)
}

/// A copy in the processor's memory, of the tensor's own part of its storage
/// only: candle's `to_device` copies the whole storage of a view.
///
/// # Errors
/// As [`address`], and the driver's.
pub fn host_copy(tensor: &Tensor) -> Result<Tensor> {
    if tensor.device().is_cpu() {
        return tensor.copy();
    }
    match tensor.dtype() {
        DType::F64 => host_copy_as::<f64>(tensor),
        DType::U32 => host_copy_as::<u32>(tensor),
        _ => host_copy_as::<f32>(tensor),
    }
}

fn host_copy_as<T>(tensor: &Tensor) -> Result<Tensor>
where
    T: WithDType + candle_core::cuda_backend::CudaDType + driver::DeviceRepr,
{
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else {
        bail!("a tensor is not on the CUDA device")
    };
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("a tensor of shape {:?} is not contiguous", layout.shape())
    };
    if start == end {
        return Tensor::zeros(layout.shape(), tensor.dtype(), &Device::Cpu);
    }
    let slice = storage.as_cuda_slice::<T>()?;
    let values = storage.device.clone_dtoh(&slice.slice(start..end))?;
    Tensor::from_vec(values, layout.shape(), &Device::Cpu)
}
