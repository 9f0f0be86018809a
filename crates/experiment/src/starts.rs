use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use adamix_autoencoder::dataset::Images;
use adamix_autoencoder::{Autoencoder, PreTraining};
use adamix_record::{SEMANTICS_VERSION, canonical_json, sha256_hex};
use serde_json::json;

use crate::plan::Series;
use crate::run::Event;
use crate::store::{self, Store};
use crate::{Error, Result};

/// Name of the pre-trained network of `seed` in the cache.
pub(crate) fn id(series: &Series, seed: u64) -> String {
    let settings = &series.settings;
    let everything = json!({
        "layer-sizes": settings.layer_sizes,
        "train-images": settings.train_images,
        "pre-training": settings.pre_training,
        "seed": seed,
        "data-sha256": series.data.sha256,
        "semantics": SEMANTICS_VERSION,
        "products": store::products_here(),
    });
    let mut id = sha256_hex(canonical_json(&everything).as_bytes());
    id.truncate(16);
    id
}

/// The pre-trained network of `seed`, shared by all arms: from the cache, or
/// trained and put there. A training broken off goes on after its last epoch.
pub(crate) fn start(
    series: &Series,
    images: &Images,
    seed: u64,
    store: &Store,
    stop: &AtomicBool,
    event: &(dyn Fn(Event<'_>) + Sync),
) -> Result<Autoencoder> {
    let doing = || format!("pre-training of seed {seed}");
    let settings = &series.settings;
    let id = id(series, seed);
    let new = || {
        PreTraining::new(
            images,
            &settings.layer_sizes,
            settings.pre_training,
            &[seed],
        )
        .map_err(Error::compute(doing()))
    };
    let restored = |path: &std::path::Path| {
        let tensors = store::load(path)?;
        let mut training = new().ok()?;
        training.restore(&tensors).ok()?;
        Some(training)
    };

    let (finished, partial) = (store.start(&id, false), store.start(&id, true));
    if let Some(training) = restored(&finished).filter(PreTraining::is_done) {
        event(Event::StartCached { seed });
        return training.into_autoencoder().map_err(Error::compute(doing()));
    }
    let mut training = match restored(&partial) {
        Some(training) => training,
        None => new()?,
    };
    let (done, epochs) = training.progress();
    event(Event::StartBegun { seed, done, epochs });
    let steps = (settings.train_images / settings.pre_training.batch_size).max(1);
    let work = series.work().start / (epochs.max(1) as f64 * steps as f64);
    while !training.is_done() {
        let mut after_step = || {
            event(Event::Work(work));
            if stop.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let Some(epoch) = training
            .epoch(&mut after_step)
            .map_err(Error::compute(doing()))?
        else {
            return Err(Error::Interrupted);
        };
        let (done, epochs) = training.progress();
        event(Event::StartEpoch {
            seed,
            done,
            epochs,
            layer: epoch.layer,
            error: epoch.errors[0],
        });
        store::save(
            &partial,
            &training.state().map_err(Error::compute(doing()))?,
        )?;
    }
    store::save(
        &finished,
        &training.state().map_err(Error::compute(doing()))?,
    )?;
    let _ = std::fs::remove_file(&partial);
    event(Event::StartDone { seed });
    training.into_autoencoder().map_err(Error::compute(doing()))
}
