//! Choosing the settings of arms on a split of the training images.
//!
//! Every arm tries the same number of candidates on the same seeds. After each
//! rung's epochs the candidates are ranked by their mean validation error, and
//! some are kept: one rung is the full grid, more are successive halving
//! (Jamieson & Talwalkar 2016). A run goes on from its checkpoint, so no epoch
//! is trained twice. Where the best value of a grid lies on its edge, the grid
//! is extended by one value beyond it, once.
//!
//! What is to be done next follows from the records alone, so a search that
//! was killed goes on where it was.

use adamix_autoencoder::dataset::{Dataset, Images, PIXELS};
use adamix_autoencoder::random::{Purpose, Stream};
use adamix_record::{Axis, Candidate, Outcome, PlannedRun, TunedArm, Tuning};
use serde_json::Value;

use crate::file::{ArmFile, AxisFile, Experiment, ExperimentFile, Sample, SpaceFile, TuneFile};
use crate::plan::{Resolved, Series, SeriesArm, Settings, scaled, to_json};
use crate::protocols::Cell;
use crate::run::{Job, Until};
use crate::store::{RunState, Store};
use crate::{Error, Result};

/// The search of a protocol's settings.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    /// The tuning runs; its arms are the candidates, named `arm/number`.
    pub(crate) series: Series,
    tune: TuneFile,
    arms: Vec<SearchArm>,
    /// The protocol's settings, whose scaling the candidates' rates get.
    file: ExperimentFile,
}

/// The search of one arm's settings.
#[derive(Debug, Clone)]
struct SearchArm {
    arm: ArmFile,
    axes: Vec<AxisFile>,
    /// Values by axis, an extension's included.
    grid: Vec<Vec<f64>>,
    candidates: Vec<Point>,
    chosen: Option<usize>,
}

/// One candidate.
#[derive(Debug, Clone)]
struct Point {
    values: Vec<f64>,
    extension: bool,
    /// Its place in [`Search::series`].
    arm: SeriesArm,
    runs: Vec<PlannedRun>,
}

/// What a search needs next.
#[derive(Debug, Default)]
pub(crate) struct Next {
    /// Runs to be trained on, or ended where they stand.
    pub(crate) jobs: Vec<Job>,
    /// Arms of the protocol, by place, whose settings are chosen.
    pub(crate) chosen: Vec<usize>,
}

impl Search {
    pub(crate) fn new(
        experiment: &Experiment,
        cell: &Cell,
        tune: &TuneFile,
        series: &Series,
    ) -> Result<Self> {
        let setting = |key: &str, what: String| {
            experiment.setting(format!("protocol `{}`, tune.{key}", cell.name), what)
        };
        if tune.seeds.is_empty() {
            return Err(setting("seeds", "there is none; give at least one".into()));
        }
        if let Some(seed) = tune
            .seeds
            .iter()
            .find(|seed| cell.file.seeds.contains(seed))
        {
            return Err(setting(
                "seeds",
                format!("{seed} is a seed of the protocol; the chosen settings run on fresh ones"),
            ));
        }
        let all = series.settings.train_images;
        let validation_images = tune.validation_images.unwrap_or(all / 6);
        let train_images = all.saturating_sub(validation_images);
        let smallest = series.settings.fine_tuning.batch_size;
        if validation_images == 0 || train_images < smallest.max(cell.file.pre_training.batch_size)
        {
            return Err(setting(
                "validation-images",
                format!(
                    "{validation_images}: must be above 0 and leave a batch of the {all} training images"
                ),
            ));
        }
        check_rungs(tune, &setting)?;
        let mut fine_tuning = series.settings.fine_tuning.clone();
        fine_tuning.epochs = tune.rungs.last().map_or(0, |rung| rung.epochs);
        let mut search = Self {
            series: Series {
                settings: Settings {
                    train_images,
                    validation_images: Some(validation_images),
                    fine_tuning,
                    ..series.settings.clone()
                },
                arms: Vec::new(),
                runs: Vec::new(),
                held_out_images: validation_images,
                ..series.clone()
            },
            tune: tune.clone(),
            arms: Vec::new(),
            file: cell.file.clone(),
        };
        for arm in &cell.file.arms {
            let mut spaces = tune.spaces.iter().filter(|s| s.arms.contains(&arm.name));
            let (Some(space), None) = (spaces.next(), spaces.next()) else {
                return Err(setting(
                    "space",
                    format!("arm `{}` must stand in exactly one", arm.name),
                ));
            };
            let (grid, points) = points(space, tune.budget, &setting)?;
            if points.len() != tune.budget {
                return Err(setting(
                    "space",
                    format!(
                        "the grid of arm `{}` has {} settings, budget says {}: every arm tries the same number",
                        arm.name,
                        points.len(),
                        tune.budget
                    ),
                ));
            }
            let mut searched = SearchArm {
                arm: arm.clone(),
                axes: space.axes.clone(),
                grid,
                candidates: Vec::new(),
                chosen: None,
            };
            for values in points {
                let point = search
                    .point(&searched, values, false)
                    .map_err(|what| setting("space", what))?;
                experiment.check_arm(
                    &candidate(&searched.arm, &searched.axes, &point.values)
                        .map_err(|what| setting("space", what))?,
                    &format!("protocol `{}`, tune.space, ", cell.name),
                )?;
                searched.candidates.push(point);
            }
            search.arms.push(searched);
        }
        Ok(search)
    }

    /// A candidate with its runs, entered in the series.
    fn point(
        &mut self,
        searched: &SearchArm,
        values: Vec<f64>,
        extension: bool,
    ) -> std::result::Result<Point, String> {
        let changed = candidate(&searched.arm, &searched.axes, &values)?;
        let arm = SeriesArm {
            name: format!("{}/{}", searched.arm.name, searched.candidates.len()),
            weights: scaled(&changed.weights, &self.file),
            biases: scaled(&changed.biases, &self.file),
        };
        self.series.arms.push(arm.clone());
        let before = self.series.runs.len();
        self.series
            .plan_runs(&[self.series.arms.len() - 1], &self.tune.seeds);
        Ok(Point {
            values,
            extension,
            arm,
            runs: self.series.runs[before..].to_vec(),
        })
    }

    /// As it stands in the plan.
    pub(crate) fn planned(&self) -> Tuning {
        let arms = self.arms.iter().map(|searched| TunedArm {
            arm: searched.arm.name.clone(),
            axes: searched
                .axes
                .iter()
                .zip(&searched.grid)
                .map(|(axis, values)| Axis {
                    name: axis.name.clone(),
                    values: values.clone(),
                    grid: axis.values.is_some(),
                    extend: axis.extend,
                })
                .collect(),
            candidates: searched
                .candidates
                .iter()
                .map(|point| Candidate {
                    values: point.values.clone(),
                    extension: point.extension,
                    weights: to_json(&point.arm.weights),
                    biases: to_json(&point.arm.biases),
                    runs: point.runs.clone(),
                })
                .collect(),
            chosen: searched.chosen,
        });
        Tuning {
            seeds: self.tune.seeds.clone(),
            budget: self.tune.budget,
            rungs: self.tune.rungs.clone(),
            train_images: self.series.settings.train_images,
            validation_images: self.series.held_out_images,
            settings: to_json(&self.series.settings),
            arms: arms.collect(),
        }
    }

    /// Looks at the records and says what is next; extends grids and chooses
    /// settings where the records allow.
    pub(crate) fn next(&mut self, store: &Store) -> Result<Next> {
        let mut next = Next::default();
        for index in 0..self.arms.len() {
            if self.arms[index].chosen.is_some() {
                continue;
            }
            let mut jobs = self.arm_jobs(index, store)?;
            if jobs.is_empty() && self.extend(index, store)? {
                jobs = self.arm_jobs(index, store)?;
            }
            if jobs.is_empty() {
                self.arms[index].chosen = self.best(index, store)?;
                next.chosen.push(index);
            }
            next.jobs.extend(jobs);
        }
        Ok(next)
    }

    /// The runs of an arm that the next ranking waits for, and those that the
    /// last one dropped.
    fn arm_jobs(&self, index: usize, store: &Store) -> Result<Vec<Job>> {
        let searched = &self.arms[index];
        let rungs = &self.tune.rungs;
        let last = rungs.last().map_or(0, |rung| rung.epochs);
        let mut jobs = Vec::new();
        let mut alive: Vec<usize> = (0..searched.candidates.len())
            .filter(|i| !searched.candidates[*i].extension)
            .collect();
        for rung in rungs {
            let until = if rung.epochs == last {
                Until::End
            } else {
                Until::Pause(rung.epochs)
            };
            let mut errors = Vec::new();
            for candidate in &alive {
                let runs = &searched.candidates[*candidate].runs;
                match mean_error(runs, rung.epochs, store)? {
                    Found::Mean(error) => errors.push((*candidate, error)),
                    Found::Missing(runs) => {
                        jobs.extend(runs.into_iter().map(|run| Job { run, until }));
                    }
                }
            }
            if errors.len() < alive.len() {
                return Ok(jobs);
            }
            let mut kept = ranked(errors);
            if rung.epochs < last {
                for dropped in kept.drain(rung.keep.min(kept.len())..) {
                    for run in &searched.candidates[dropped].runs {
                        if !store.state(&run.run_id)?.is_final() {
                            let (run, until) = (run.clone(), Until::Stop(rung.epochs));
                            jobs.push(Job { run, until });
                        }
                    }
                }
            }
            alive = kept;
        }
        for point in searched.candidates.iter().filter(|point| point.extension) {
            if let Found::Missing(runs) = mean_error(&point.runs, last, store)? {
                jobs.extend(runs.into_iter().map(|run| Job {
                    run,
                    until: Until::End,
                }));
            }
        }
        Ok(jobs)
    }

    /// The best of the candidates that had all epochs.
    fn best(&self, index: usize, store: &Store) -> Result<Option<usize>> {
        let last = self.tune.rungs.last().map_or(0, |rung| rung.epochs);
        let mut errors = Vec::new();
        for (candidate, point) in self.arms[index].candidates.iter().enumerate() {
            if let Found::Mean(error) = mean_error(&point.runs, last, store)? {
                errors.push((candidate, error));
            }
        }
        Ok(ranked(errors).first().copied())
    }

    /// Adds the candidates beyond the edge that the best one lies on, if it
    /// does and this has not been done. Says whether there are any.
    fn extend(&mut self, index: usize, store: &Store) -> Result<bool> {
        let searched = self.arms[index].clone();
        if searched.candidates.iter().any(|point| point.extension) {
            return Ok(false);
        }
        let Some(best) = self.best(index, store)? else {
            return Ok(false);
        };
        let mut grid = searched.grid.clone();
        let mut points = Vec::new();
        for (axis, values) in searched.grid.iter().enumerate() {
            let at_edge = beyond(values, searched.candidates[best].values[axis]);
            let (true, Some((place, value))) = (searched.axes[axis].extend, at_edge) else {
                continue;
            };
            grid[axis].insert(place, value);
            // Beside it, every combination of the other axes as they were.
            let mut sides = searched.grid.clone();
            sides[axis] = vec![value];
            points.extend(product(&sides));
        }
        let mut added = searched;
        added.grid = grid;
        let mut any = false;
        for values in points {
            // A value beyond the edge that the rule does not allow is no candidate.
            let Ok(changed) = candidate(&added.arm, &added.axes, &values) else {
                continue;
            };
            if changed.weights.check().is_err() || changed.biases.check().is_err() {
                continue;
            }
            if let Ok(point) = self.point(&added, values, true) {
                added.candidates.push(point);
                any = true;
            }
        }
        if any {
            self.arms[index] = added;
        }
        Ok(any)
    }

    /// Arithmetic that the search takes at most from nothing, without
    /// extensions, and the epochs of it.
    pub(crate) fn most_epochs(&self) -> u64 {
        let seeds = self.tune.seeds.len() as u64;
        let mut alive = self.tune.budget as u64;
        let mut done = 0;
        let mut epochs = 0;
        for rung in &self.tune.rungs {
            epochs += alive * (rung.epochs - done);
            done = rung.epochs;
            alive = alive.min(rung.keep as u64);
        }
        epochs * seeds * self.arms.len() as u64
    }

    /// Seeds of the tuning runs.
    pub(crate) fn seeds(&self) -> &[u64] {
        &self.tune.seeds
    }
}

impl Resolved {
    /// Takes over what the search of the protocol at this place has chosen: the
    /// arms get their settings, and their runs are planned.
    pub(crate) fn take_over(&mut self, protocol: usize, chosen: &[usize]) {
        let (planned, resolved) = (
            &mut self.plan.protocols[protocol],
            &mut self.protocols[protocol],
        );
        let Some(search) = &resolved.search else {
            return;
        };
        for index in chosen {
            let searched = &search.arms[*index];
            let Some(point) = searched.chosen.map(|chosen| &searched.candidates[chosen]) else {
                continue;
            };
            resolved.series.arms[*index] = SeriesArm {
                name: searched.arm.name.clone(),
                ..point.arm.clone()
            };
            planned.arms[*index].weights = to_json(&point.arm.weights);
            planned.arms[*index].biases = to_json(&point.arm.biases);
        }
        let ready: Vec<usize> = (0..search.arms.len())
            .filter(|index| search.arms[*index].chosen.is_some())
            .collect();
        resolved.series.runs.clear();
        resolved.series.plan_runs(&ready, &planned.seeds);
        planned.runs = resolved.series.runs.clone();
        planned.tuning = Some(search.planned());
    }

    /// Brings the plan up to what the records in `store` say about tuning.
    ///
    /// # Errors
    /// [`Error::Record`] where a record is damaged.
    pub fn update(&mut self, store: &Store) -> Result<()> {
        for protocol in 0..self.protocols.len() {
            if let Some(search) = &mut self.protocols[protocol].search {
                let chosen = search.next(store)?.chosen;
                self.take_over(protocol, &chosen);
            }
        }
        Ok(())
    }

    /// The protocol's arms that are still in tuning.
    pub fn in_tuning(&self, protocol: usize) -> usize {
        let search = self.protocols[protocol].search.iter();
        search
            .flat_map(|search| &search.arms)
            .filter(|arm| arm.chosen.is_none())
            .count()
    }
}

/// The data set of tuning: the first `train_images` to train on, the
/// `validation_images` behind them in place of the test images.
pub(crate) fn split(dataset: &Dataset, settings: &Settings) -> Option<Dataset> {
    let validation = settings.validation_images?;
    let part = |from: usize, count: usize| Images {
        pixels: dataset.train.pixels[from * PIXELS..(from + count) * PIXELS].to_vec(),
        labels: dataset
            .train
            .labels
            .iter()
            .skip(from)
            .take(count)
            .copied()
            .collect(),
    };
    Some(Dataset {
        name: dataset.name.clone(),
        train: part(0, settings.train_images),
        test: part(settings.train_images, validation),
    })
}

fn check_rungs(tune: &TuneFile, setting: &impl Fn(&str, String) -> Error) -> Result<()> {
    let rungs = &tune.rungs;
    let wrong = |what: &str| Err(setting("rung", what.into()));
    match rungs.last() {
        None => return wrong("there is none; one rung is the full grid"),
        Some(last) if last.keep != 1 => return wrong("the last rung keeps 1"),
        Some(_) => {}
    }
    if rungs[0].epochs == 0
        || rungs
            .windows(2)
            .any(|pair| pair[0].epochs >= pair[1].epochs)
    {
        return wrong("epochs must be at least 1 and rise");
    }
    let kept = std::iter::once(tune.budget).chain(rungs.iter().map(|rung| rung.keep));
    let kept: Vec<usize> = kept.collect();
    if kept.contains(&0) || kept.windows(2).any(|pair| pair[1] > pair[0]) {
        return wrong("keep must be at least 1 and never rise, from the budget on");
    }
    Ok(())
}

/// The values of each axis and the candidates of a space.
#[allow(clippy::type_complexity)]
fn points(
    space: &SpaceFile,
    budget: usize,
    setting: &impl Fn(&str, String) -> Error,
) -> Result<(Vec<Vec<f64>>, Vec<Vec<f64>>)> {
    for axis in &space.axes {
        let finite = |values: &[f64]| values.iter().all(|value| value.is_finite());
        let fits = match (&axis.values, &axis.range) {
            (Some(values), None) => !values.is_empty() && finite(values),
            (None, Some([low, high])) => 0.0 < *low && low < high && finite(&[*low, *high]),
            _ => false,
        };
        if !fits {
            return Err(setting(
                "space.axis",
                format!(
                    "`{}`: must have values, or a range from above 0 to more",
                    axis.name
                ),
            ));
        }
        if axis.extend && axis.values.as_ref().is_none_or(|values| values.len() < 2) {
            return Err(setting(
                "space.axis",
                format!(
                    "`{}`: extend needs a grid of at least two values",
                    axis.name
                ),
            ));
        }
    }
    let grid: Vec<Vec<f64>> = space
        .axes
        .iter()
        .map(|axis| axis.values.clone().unwrap_or_default())
        .collect();
    match space.sample {
        None if space.axes.iter().all(|axis| axis.values.is_some()) => {
            let points = product(&grid);
            Ok((grid, points))
        }
        None => Err(setting(
            "space.sample",
            "missing: a range is drawn from, say how".into(),
        )),
        Some(sample) => {
            let points: Vec<Vec<f64>> = (0..budget)
                .map(|point| {
                    let axes = space.axes.iter().enumerate();
                    axes.map(|(dimension, axis)| {
                        let at = draw(sample, point as u32, dimension as u32);
                        match (&axis.values, axis.range) {
                            (Some(values), _) => {
                                values[((at * values.len() as f64) as usize).min(values.len() - 1)]
                            }
                            (None, Some([low, high])) => low * (high / low).powf(at),
                            (None, None) => f64::NAN,
                        }
                    })
                    .collect()
                })
                .collect();
            let drawn = (0..grid.len()).map(|axis| {
                let mut values: Vec<f64> = points.iter().map(|point| point[axis]).collect();
                values.sort_by(f64::total_cmp);
                values.dedup();
                values
            });
            Ok((drawn.collect(), points))
        }
    }
}

/// A number in [0, 1) for a coordinate of a point.
fn draw(sample: Sample, point: u32, dimension: u32) -> f64 {
    match sample {
        Sample::Sobol { seed } => f64::from(sobol_burley::sample(point, dimension, seed)),
        Sample::LogUniform { seed } => Stream::new(
            seed,
            Purpose::Tuning,
            (u64::from(point) << 32) | u64::from(dimension),
        )
        .uniform(),
    }
}

/// Every combination, the last axis moving fastest.
fn product(axes: &[Vec<f64>]) -> Vec<Vec<f64>> {
    axes.iter().fold(vec![Vec::new()], |begun, values| {
        begun
            .into_iter()
            .flat_map(|point: Vec<f64>| {
                values.iter().map(move |value| {
                    let mut longer = point.clone();
                    longer.push(*value);
                    longer
                })
            })
            .collect()
    })
}

/// The arm with a candidate's values in place; each key must be there already,
/// so that a mistyped one is no new setting.
fn candidate(
    arm: &ArmFile,
    axes: &[AxisFile],
    values: &[f64],
) -> std::result::Result<ArmFile, String> {
    let mut changed = to_json(arm);
    for (axis, value) in axes.iter().zip(values) {
        for key in &axis.keys {
            let pointer = format!("/{}", key.replace('.', "/"));
            let known = key.starts_with("weights.") || key.starts_with("biases.");
            match changed.pointer_mut(&pointer) {
                Some(place) if known && place.is_number() => *place = number(*value),
                _ => {
                    return Err(format!(
                        "axis `{}`: arm `{}` has no number at `{key}`",
                        axis.name, arm.name
                    ));
                }
            }
        }
    }
    serde_json::from_value(changed).map_err(|error| format!("arm `{}`: {error}", arm.name))
}

/// A whole number stays one, for keys that take no other.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 && value.abs() >= 2.0 {
        Value::from(value as i64)
    } else {
        Value::from(value)
    }
}

/// The place and the value next beyond the edge of a rising or falling grid
/// that `value` lies on: as far from it, by ratio, as its neighbour.
fn beyond(values: &[f64], value: f64) -> Option<(usize, f64)> {
    let last = values.len().checked_sub(1).filter(|last| *last > 0)?;
    if value == values[0] {
        Some((0, values[0] * values[0] / values[1]))
    } else if value == values[last] {
        Some((last + 1, values[last] * values[last] / values[last - 1]))
    } else {
        None
    }
}

/// Candidates, the lowest error first; of equal ones the earlier.
fn ranked(mut errors: Vec<(usize, f64)>) -> Vec<usize> {
    errors.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    errors.into_iter().map(|(candidate, _)| candidate).collect()
}

/// What the records say about a candidate after some epochs.
enum Found {
    /// Its mean validation error over the seeds; infinite where a run diverged
    /// or failed.
    Mean(f64),
    /// These of its runs have not come that far.
    Missing(Vec<PlannedRun>),
}

fn mean_error(runs: &[PlannedRun], epochs: u64, store: &Store) -> Result<Found> {
    let mut missing = Vec::new();
    let mut sum = 0.0;
    for run in runs {
        match error_after(&store.state(&run.run_id)?, epochs) {
            Some(error) => sum += error,
            None => missing.push(run.clone()),
        }
    }
    Ok(if missing.is_empty() {
        Found::Mean(sum / runs.len() as f64)
    } else {
        Found::Missing(missing)
    })
}

/// Error of a run after so many epochs; `None` where it has not come that far.
fn error_after(state: &RunState, epochs: u64) -> Option<f64> {
    let (RunState::Finished(record) | RunState::Begun(record)) = state else {
        return None;
    };
    if let Some(evaluation) = record.evaluations.get(epochs as usize) {
        let diverged_here = matches!(record.end.as_ref().map(|end| &end.outcome),
            Some(Outcome::Diverged { epoch }) if *epoch <= epochs);
        let error = evaluation.error().filter(|_| !diverged_here);
        return Some(error.unwrap_or(f64::INFINITY));
    }
    match record.end.as_ref().map(|end| &end.outcome) {
        Some(Outcome::Diverged { .. } | Outcome::Failed { .. }) => Some(f64::INFINITY),
        _ => None,
    }
}
