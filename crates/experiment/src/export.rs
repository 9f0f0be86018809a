use std::path::Path;
use std::sync::atomic::AtomicBool;

use adamix_autoencoder::dataset::{Dataset, Images, PIXELS};
use adamix_autoencoder::{Autoencoder, Workspace, fine_tuning_order};
use adamix_record::{Header, RunRecord, write_json};
use candle_core::{Device, Tensor};
use serde_json::json;

use crate::plan::{Series, Settings};
use crate::run::{EVALUATION_BATCH, Event, first};
use crate::store::{Store, Tensors};
use crate::{Error, Machine, Result, starts};

/// Writes what it takes to check a run in another framework into `folder`:
///
/// - `start.safetensors`, and `start/` with one npy file each: the pre-trained
///   network that the run began with, `0.weights` `[in, out]` and `0.biases`
///   `[out]` from the image on, f32.
/// - `order.npy`: u32 `[epochs, steps * batch]`, the images in the order that
///   they were trained on, for the first `epochs` epochs.
/// - `train.npy`, `test.npy`: u8 `[images, 784]`, a pixel is its value / 255.
/// - `run.json`: the run's settings, seed and data; `activations`, one a layer;
///   `evaluations`, what the record says after each epoch; and
///   `start-test-error`, that of the start as written here.
///
/// The start comes from the cache, or is trained again on `machine`, which must
/// be of the kind that the run was trained on. With the rounding of
/// the record (the same kernel) it has the record's bits.
///
/// # Errors
/// [`Error::Device`] where `machine` is of another kind; [`Error::OtherData`] where `dataset` is not that of the record;
/// [`Error::Store`], [`Error::Record`], [`Error::Compute`].
pub fn export(
    record: &RunRecord,
    dataset: &Dataset,
    epochs: u64,
    machine: &Machine,
    store: &Store,
    folder: &Path,
    event: &(dyn Fn(Event<'_>) + Sync),
) -> Result<()> {
    if record.header.backend != machine.backend() {
        let what = format!(
            "run {} is of the other device, and so is its start",
            record.header.run_id
        );
        return Err(Error::Device { what });
    }
    let Header {
        run_id,
        seed,
        data,
        settings,
        kernel,
        ..
    } = &record.header;
    if dataset.sha256() != data.sha256 {
        return Err(Error::OtherData {
            wanted: data.name.clone(),
            found: dataset.name.clone(),
        });
    }
    let protocol: Settings =
        serde_json::from_value(settings["protocol"].clone()).map_err(|source| {
            adamix_record::Error::Json {
                path: folder.join("run.json"),
                line: 0,
                source,
            }
        })?;
    let train = first(&dataset.train, protocol.train_images);
    let batch = protocol.fine_tuning.batch_size;
    let series = Series {
        arms: Vec::new(),
        runs: Vec::new(),
        hash: String::new(),
        data: data.clone(),
        held_out_images: dataset.test.count(),
        settings: protocol,
        machine: machine.clone(),
    };
    let _lock = store.lock()?;
    let stop = AtomicBool::new(false);
    let starts = starts::starts(&series, &train, &[*seed], store, &stop, event)?;
    let [start] = &starts[..] else {
        return Err(Error::Interrupted);
    };

    std::fs::create_dir_all(folder.join("start")).map_err(|e| Error::store(folder, e))?;
    write(folder, start, &train, dataset, *seed, batch, epochs)
        .map_err(Error::compute(folder.display().to_string()))?;
    let mut workspace =
        Workspace::new(start, EVALUATION_BATCH).map_err(Error::compute("evaluating the start"))?;
    let errors = start
        .reconstruction_errors(&dataset.test, &mut workspace)
        .map_err(Error::compute("evaluating the start"))?;
    let activations: Vec<_> = start
        .layers()
        .iter()
        .map(|layer| layer.activation)
        .collect();
    let run = json!({
        "run-id": run_id,
        "seed": seed,
        "data": data,
        "kernel": kernel,
        "settings": settings,
        "activations": activations,
        "start-test-error": errors[0],
        "evaluations": record.evaluations,
    });
    Ok(write_json(&folder.join("run.json"), &run)?)
}

fn write(
    folder: &Path,
    start: &Autoencoder,
    train: &Images,
    dataset: &Dataset,
    seed: u64,
    batch: usize,
    epochs: u64,
) -> candle_core::Result<()> {
    let mut tensors = Tensors::new();
    for param in start.params() {
        // Without the axis that counts replicas.
        let tensor = param.var.get(0)?;
        tensor.write_npy(folder.join(format!("start/{}.npy", param.name)))?;
        tensors.insert(param.name, tensor);
    }
    candle_core::safetensors::save(&tensors, folder.join("start.safetensors"))?;

    let trained = train.count() / batch * batch;
    let mut order: Vec<u32> = Vec::new();
    for epoch in 0..epochs {
        order.extend(&fine_tuning_order(train.count(), seed, epoch)[..trained]);
    }
    Tensor::from_vec(order, (epochs as usize, trained), &Device::Cpu)?
        .write_npy(folder.join("order.npy"))?;
    for (name, images) in [("train.npy", train), ("test.npy", &dataset.test)] {
        Tensor::from_slice(&images.pixels, (images.count(), PIXELS), &Device::Cpu)?
            .write_npy(folder.join(name))?;
    }
    Ok(())
}

/// The record of the run with this id, finished or begun, in any experiment's
/// folder below `reports`.
///
/// # Errors
/// [`Error::NoRun`] where there is none, [`Error::Record`] where it is damaged.
pub fn find_record(reports: &Path, run_id: &str) -> Result<RunRecord> {
    let mut folders: Vec<_> = std::fs::read_dir(reports)
        .map_err(|e| Error::store(reports, e))?
        .flatten()
        .map(|entry| entry.path().join("runs"))
        .collect();
    folders.sort();
    for end in ["jsonl", "partial"] {
        for folder in &folders {
            let path = folder.join(format!("{run_id}.{end}"));
            if path.exists() {
                return Ok(RunRecord::read(&path)?);
            }
        }
    }
    Err(Error::NoRun {
        run_id: run_id.to_owned(),
        reports: reports.to_owned(),
    })
}
