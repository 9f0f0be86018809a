use adamix_autoencoder::{kernel_name, rounding};
use adamix_record::Backend;
use candle_core::Device;

use crate::{Error, Result, environment};

/// What computes: the processor, on which runs stand side by side on a thread
/// each, or a CUDA device, on which a cohort of them is trained in lockstep.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Where parameters lie.
    pub(crate) device: Device,
    /// As the headers of records name it.
    pub(crate) kernel: String,
    /// Model of the CUDA device.
    pub(crate) gpu: Option<String>,
    /// Runs trained in lockstep at most; `None` is as many as fit the memory
    /// that is free.
    cohort: Option<usize>,
    /// Whether the memory that is free limits the cohort. Where it does not, one
    /// that does not fit is found out.
    measures: bool,
}

impl Machine {
    /// The processor; `cohort` runs in lockstep on each thread.
    pub fn cpu(cohort: usize) -> Self {
        Self {
            device: Device::Cpu,
            kernel: kernel_name(),
            gpu: None,
            cohort: Some(cohort.max(1)),
            measures: true,
        }
    }

    /// The first CUDA device; `cohort` runs in lockstep at most, as many as fit
    /// where it is `None`.
    ///
    /// # Errors
    /// [`Error::Device`] where this program is built without CUDA, or the
    /// machine lacks a library, driver or device.
    #[cfg(feature = "cuda")]
    pub fn cuda(cohort: Option<usize>) -> Result<Self> {
        let missing = |what: String| Error::Device { what };
        if let Some(library) = adamix_optim::cuda::missing_library() {
            return Err(missing(format!(
                "the system finds no {library}; install the NVIDIA driver and the CUDA libraries, \
                 and name their folders in LD_LIBRARY_PATH"
            )));
        }
        let device = Device::new_cuda(0).map_err(|error| missing(error.to_string()))?;
        let gpu = match &device {
            Device::Cuda(cuda) => cuda.cuda_stream().context().name(),
            _ => Ok(String::new()),
        };
        let gpu = gpu.map_err(|error| missing(error.to_string()))?;
        Ok(Self {
            device,
            kernel: format!("cublas {gpu}"),
            gpu: Some(gpu),
            cohort: cohort.map(|cohort| cohort.max(1)),
            measures: true,
        })
    }

    /// The first CUDA device: not in this program.
    ///
    /// # Errors
    /// [`Error::Device`], always.
    #[cfg(not(feature = "cuda"))]
    pub fn cuda(_: Option<usize>) -> Result<Self> {
        Err(Error::Device {
            what: "this program is built without CUDA; `cargo xtask reproduce --device cuda` \
                   builds and runs one with it, or use --device cpu"
                .to_owned(),
        })
    }

    /// Model of the CUDA device, or the kernel of the processor.
    pub fn name(&self) -> &str {
        self.gpu.as_deref().unwrap_or(&self.kernel)
    }

    /// Where parameters lie.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The same, but cohorts are as large as asked for.
    pub(crate) fn trusting(self) -> Self {
        Self {
            measures: false,
            ..self
        }
    }

    /// Takes the memory that is free on a CUDA device, all but `room` bytes of it.
    pub(crate) fn ballast(&self, room: u64) -> candle_core::Result<candle_core::Tensor> {
        let free = self.free_bytes().unwrap_or(0).saturating_sub(room);
        candle_core::Tensor::zeros((free / 4) as usize, candle_core::DType::F32, &self.device)
    }

    /// As run ids name it.
    pub fn backend(&self) -> Backend {
        match self.device {
            Device::Cpu => Backend::Cpu,
            _ => Backend::Cuda,
        }
    }

    /// What two runs on such machines must have in common to have the same bits.
    pub(crate) fn rounding(&self) -> String {
        match self.device {
            Device::Cpu => rounding(&self.kernel, &environment(1).processor),
            _ => self.kernel.clone(),
        }
    }

    /// How many trainings of `bytes` each are done in lockstep.
    pub(crate) fn cohort(&self, bytes: u64) -> usize {
        let most = self.cohort.unwrap_or(usize::MAX);
        // Less a tenth: images, orders and what cuBLAS takes have to fit too.
        match self.free_bytes().filter(|_| self.measures) {
            Some(free) => most
                .min((free / 10 * 9).checked_div(bytes).unwrap_or(1) as usize)
                .max(1),
            None => most.min(MOST_WITHOUT_MEASURE),
        }
    }

    /// Bytes that are free on a CUDA device.
    fn free_bytes(&self) -> Option<u64> {
        #[cfg(feature = "cuda")]
        if let Device::Cuda(cuda) = &self.device {
            let (free, _) = cuda.cuda_stream().context().mem_get_info().ok()?;
            return Some(free as u64);
        }
        None
    }
}

/// Where a device does not say how much memory is free.
const MOST_WITHOUT_MEASURE: usize = 1024;

/// Compiles every kernel for these architectures, such as 90.
///
/// # Errors
/// [`Error::Device`] where this program is built without CUDA or the system has
/// no libnvrtc, [`Error::Compute`] with what the compiler says.
pub fn compile_kernels(architectures: &[i32]) -> Result<()> {
    #[cfg(feature = "cuda")]
    {
        if let Some(library) = adamix_optim::cuda::missing_compiler() {
            let what = format!("the system finds no {library}");
            return Err(Error::Device { what });
        }
        for architecture in architectures {
            for module in [adamix_optim::cuda::MODULE, adamix_autoencoder::cuda::MODULE] {
                adamix_optim::cuda::compile_for(module, *architecture)
                    .map_err(Error::compute("compiling the kernels"))?;
            }
        }
        Ok(())
    }
    #[cfg(not(feature = "cuda"))]
    {
        let _ = architectures;
        Machine::cuda(None).map(drop)
    }
}
