use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use adamix_autoencoder::dataset::Images;
use adamix_autoencoder::{Autoencoder, PreTraining};
use adamix_record::{SEMANTICS_VERSION, canonical_json, sha256_hex};
use candle_core::Device;
use serde_json::json;

use crate::plan::Series;
use crate::run::Event;
use crate::store::{self, Store, Tensors};
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
        "products": series.machine.rounding(),
    });
    let mut id = sha256_hex(canonical_json(&everything).as_bytes());
    id.truncate(16);
    id
}

/// The pre-trained networks of `seeds`, each shared by all arms, on the CPU:
/// from the cache, or trained in lockstep and put there. A training broken off
/// goes on after its last epoch that was kept.
pub(crate) fn starts(
    series: &Series,
    images: &Images,
    seeds: &[u64],
    store: &Store,
    stop: &AtomicBool,
    event: &(dyn Fn(Event<'_>) + Sync),
) -> Result<Vec<Autoencoder>> {
    let training = Training {
        series,
        images,
        store,
        stop,
        event,
    };
    let mut done: BTreeMap<u64, Autoencoder> = BTreeMap::new();
    // Trainings are in lockstep only from the same epoch on.
    let mut begun: BTreeMap<(u64, u64), Vec<Begun>> = BTreeMap::new();
    for seed in seeds {
        match training.cached(*seed) {
            Some(network) => {
                event(Event::StartCached { seed: *seed });
                done.insert(*seed, network);
            }
            None => {
                let (progress, state) = training.begun(*seed)?;
                begun.entry(progress).or_default().push((*seed, state));
            }
        }
    }
    for together in begun.into_values() {
        done.extend(training.train(together)?);
    }
    Ok(seeds.iter().filter_map(|seed| done.remove(seed)).collect())
}

/// A seed, and the state of its training where it was begun.
type Begun = (u64, Option<Tensors>);

/// What a training of starts needs.
struct Training<'a> {
    series: &'a Series,
    images: &'a Images,
    store: &'a Store,
    stop: &'a AtomicBool,
    event: &'a (dyn Fn(Event<'_>) + Sync),
}

impl Training<'_> {
    fn of(&self, seeds: &[u64], device: &Device) -> candle_core::Result<PreTraining<'_>> {
        let settings = &self.series.settings;
        PreTraining::new(
            self.images,
            &settings.layer_sizes,
            settings.pre_training,
            seeds,
            device,
        )
    }

    /// A finished start.
    fn cached(&self, seed: u64) -> Option<Autoencoder> {
        let tensors = store::load(&self.store.start(&id(self.series, seed), false))?;
        let mut training = self.of(&[seed], &Device::Cpu).ok()?;
        training.restore(&[&tensors]).ok()?;
        training.into_autoencoder().ok()
    }

    /// How far a start has come, and its state where it was begun.
    fn begun(&self, seed: u64) -> Result<((u64, u64), Option<Tensors>)> {
        let doing = || Error::compute(format!("pre-training of seed {seed}"));
        let mut training = self.of(&[seed], &Device::Cpu).map_err(doing())?;
        let state = store::load(&self.store.start(&id(self.series, seed), true))
            .filter(|state| training.restore(&[state]).is_ok());
        Ok((training.progress(), state))
    }

    /// Trains these seeds, all of them as far as one another; by halves where
    /// they do not fit the memory together.
    fn train(&self, mut seeds: Vec<Begun>) -> Result<Vec<(u64, Autoencoder)>> {
        match self.train_together(&seeds) {
            Err(Error::Compute { source, .. }) if seeds.len() > 1 && out_of_memory(&source) => {
                let rest = seeds.split_off(seeds.len() / 2);
                let mut done = self.train(seeds)?;
                done.extend(self.train(rest)?);
                Ok(done)
            }
            other => other,
        }
    }

    fn train_together(&self, begun: &[Begun]) -> Result<Vec<(u64, Autoencoder)>> {
        let Self {
            series,
            store,
            stop,
            event,
            ..
        } = self;
        let seeds: Vec<u64> = begun.iter().map(|(seed, _)| *seed).collect();
        let doing = || Error::compute(format!("pre-training of seeds {seeds:?}"));
        let mut training = self.of(&seeds, &series.machine.device).map_err(doing())?;
        let states: Option<Vec<&Tensors>> = begun.iter().map(|(_, state)| state.as_ref()).collect();
        if let Some(states) = states {
            training.restore(&states).map_err(doing())?;
        }
        let (done, epochs) = training.progress();
        for seed in &seeds {
            event(Event::StartBegun {
                seed: *seed,
                done,
                epochs,
            });
        }
        let settings = &series.settings;
        let steps = (settings.train_images / settings.pre_training.batch_size).max(1);
        let work = series.work().start / (epochs.max(1) as f64 * steps as f64);
        let mut kept = Instant::now();
        while !training.is_done() {
            let mut after_step = || {
                event(Event::Work(work * seeds.len() as f64));
                if stop.load(Ordering::Relaxed) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            let Some(epoch) = training.epoch(&mut after_step).map_err(doing())? else {
                return Err(Error::Interrupted);
            };
            let (done, epochs) = training.progress();
            let keep = kept.elapsed() >= between_checkpoints(series) && !training.is_done();
            for (replica, seed) in seeds.iter().enumerate() {
                event(Event::StartEpoch {
                    seed: *seed,
                    done,
                    epochs,
                    layer: epoch.layer,
                    error: epoch.errors[replica],
                });
                if keep {
                    let state = training.state(replica).map_err(doing())?;
                    store::save(&store.start(&id(series, *seed), true), &state)?;
                }
            }
            if keep {
                kept = Instant::now();
            }
        }
        for (replica, seed) in seeds.iter().enumerate() {
            let id = id(series, *seed);
            let state = training.state(replica).map_err(doing())?;
            store::save(&store.start(&id, false), &state)?;
            let _ = std::fs::remove_file(store.start(&id, true));
            event(Event::StartDone { seed: *seed });
        }
        let all = training.into_autoencoder().map_err(doing())?;
        let networks = seeds.iter().enumerate().map(|(replica, seed)| {
            let network = all.replica(replica).map_err(doing())?;
            Ok((*seed, network))
        });
        networks.collect()
    }
}

/// How long a training goes on at least until its state is kept again. On the
/// processor that is after every epoch; a cohort on a CUDA device would spend
/// more time on writing than on training.
pub(crate) fn between_checkpoints(series: &Series) -> Duration {
    match series.machine.device {
        Device::Cpu => Duration::ZERO,
        _ => Duration::from_secs(20),
    }
}

/// Whether a computation failed because memory was not enough.
pub(crate) fn out_of_memory(error: &candle_core::Error) -> bool {
    let text = format!("{error:?}").to_lowercase();
    ["out_of_memory", "out of memory", "alloc_failed"]
        .iter()
        .any(|sign| text.contains(sign))
}
