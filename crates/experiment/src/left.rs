use std::collections::BTreeSet;

use adamix_record::PlannedRun;

use crate::Result;
use crate::plan::{Resolved, Series};
use crate::starts;
use crate::store::{RunState, Store};

/// What is left to be done of an experiment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Left {
    /// Arithmetic, as [`Work`](crate::Work) counts it. A search is counted
    /// without extensions of its grids.
    pub operations: f64,
    /// Runs of the plan that are not finished, tuning runs not counted; those
    /// whose settings are not chosen yet are.
    pub runs: usize,
    /// Runs of the plan in all, likewise.
    pub of: usize,
}

/// What is left to be done, by the records in `store` and the starts in its cache.
///
/// # Errors
/// [`Error::Record`](crate::Error::Record) where a record is damaged.
pub fn left(resolved: &Resolved, store: &Store) -> Result<Left> {
    let mut left = Left::default();
    // Protocols may share runs and starts.
    let mut runs = BTreeSet::new();
    let mut missing_starts = BTreeSet::new();
    let mut need_start = |series: &Series, seed: u64, operations: &mut f64| {
        let id = starts::id(series, seed);
        if !store.start(&id, false).exists() && missing_starts.insert(id) {
            *operations += series.work().start;
        }
    };
    for (place, protocol) in resolved.protocols.iter().enumerate() {
        let seeds = &resolved.plan.protocols[place].seeds;
        let in_tuning = resolved.in_tuning(place);
        if let Some(search) = protocol.search.as_ref().filter(|_| in_tuning > 0) {
            let mut done = 0;
            for run in &search.series.runs {
                done += epochs_done(store, run)?;
            }
            let epochs = search.most_epochs().saturating_sub(done);
            left.operations += epochs as f64 * search.series.work().epoch;
            for seed in search.seeds() {
                need_start(&search.series, *seed, &mut left.operations);
            }
        }
        let work = protocol.series.work();
        let mut seeds_left = BTreeSet::new();
        for run in &protocol.series.runs {
            if !runs.insert(&run.run_id) {
                continue;
            }
            left.of += 1;
            if !store.state(&run.run_id)?.is_final() {
                left.runs += 1;
                left.operations += work.run - epochs_done(store, run)? as f64 * work.epoch;
                seeds_left.insert(run.seed);
            }
        }
        let unplanned = in_tuning * seeds.len();
        left.of += unplanned;
        left.runs += unplanned;
        left.operations += unplanned as f64 * work.run;
        if in_tuning > 0 {
            seeds_left.extend(seeds);
        }
        for seed in seeds_left {
            need_start(&protocol.series, seed, &mut left.operations);
        }
    }
    Ok(left)
}

/// Epochs of fine-tuning in a run's record.
fn epochs_done(store: &Store, run: &PlannedRun) -> Result<u64> {
    Ok(match store.state(&run.run_id)? {
        RunState::Finished(record) | RunState::Begun(record) => {
            (record.evaluations.len() as u64).saturating_sub(1)
        }
        RunState::Missing => 0,
    })
}
