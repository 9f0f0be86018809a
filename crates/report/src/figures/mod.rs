//! Figures, one file each. Every figure is drawn twice, for wide and for
//! narrow screens, from the same numbers.

mod chart;
mod codes;
mod error_curves;
mod final_errors;
mod gradients;
mod growth;
mod language;
mod paired_differences;
mod pdf;
mod readings;
mod reconstructions;
mod roofline;
mod svg;
mod time_to_target;
mod tuning_price;
mod tuning_rates;

use adamix_record::{RunId, Text};
use minijinja::HtmlEscape;
use serde::Serialize;
use serde_json::{Value, json};

use crate::Result;
use crate::load::{ArmRuns, Experiment, Study};
use crate::number::slug;
use crate::provenance::Provenance;
use crate::tables::alike_in_cost;
use chart::{Style, Width};
pub use growth::growth;
use reconstructions::Reconstructions;

/// A figure, ready for the page.
#[derive(Serialize)]
pub(crate) struct Figure {
    /// Its file's stem under `figures/`.
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) words: Words,
    /// In both languages.
    pub(crate) wide: String,
    pub(crate) narrow: String,
    /// The numbers of its curves, for the page's script; `None` where the
    /// drawing itself bears them.
    #[serde(skip)]
    pub(crate) data: Option<Value>,
    /// All numbers that it draws, for `report.json`.
    #[serde(skip)]
    pub(crate) series: Vec<Series>,
    /// The file: the wide one in English, with its text alternative.
    #[serde(skip)]
    pub(crate) file: String,
}

/// Numbers that a figure draws together: a line, a row, a panel.
#[derive(Serialize)]
pub(crate) struct Series {
    pub(crate) label: Text,
    /// Name of its arm in the plan, where it is an arm's.
    pub(crate) arm: Option<String>,
    /// Of equal length.
    pub(crate) columns: Vec<Column>,
    /// The runs behind all of them.
    pub(crate) runs: Vec<RunId>,
}

/// Numbers or words of a series, with their name in English.
#[derive(Serialize)]
pub(crate) struct Column {
    name: String,
    values: Vec<Value>,
}

fn column<T: Into<Value>>(name: &str, values: impl IntoIterator<Item = T>) -> Column {
    Column {
        name: name.to_owned(),
        values: values.into_iter().map(Into::into).collect(),
    }
}

/// What is written about a figure.
#[derive(Serialize)]
pub(crate) struct Words {
    pub(crate) title: Text,
    /// How to read it.
    pub(crate) caption: Text,
    /// What it shows.
    pub(crate) description: Text,
}

impl Figure {
    fn new(
        name: &str,
        words: Words,
        series: Vec<Series>,
        draw: impl Fn(Width) -> Result<String>,
    ) -> Result<Self> {
        let wide = draw(Width::Wide)?;
        let english = language::in_english(&wide);
        let (open, body) = english.split_once('>').unwrap_or_default();
        Ok(Self {
            name: name.to_owned(),
            file: format!(
                "{open}>\n<title id=\"{name}-title\">{}</title>\n\
                 <desc id=\"{name}-desc\">{}</desc>{body}",
                HtmlEscape(&words.title.en),
                HtmlEscape(&words.description.en),
            ),
            words,
            wide: language::in_both(&wide),
            narrow: language::in_both(&draw(Width::Narrow)?),
            data: None,
            series,
        })
    }

    fn with(self, data: Value) -> Self {
        Self {
            data: Some(data),
            ..self
        }
    }
}

impl Figure {
    /// The file as PDF.
    ///
    /// # Errors
    /// Where the drawing cannot be read back.
    pub(crate) fn pdf(&self) -> Result<Vec<u8>> {
        pdf::of(&self.file, &self.words.title.en)
    }
}

/// JSON that cannot end the element in which it stands.
fn in_page(data: &Value) -> String {
    data.to_string().replace('<', "\\u003c")
}

/// The most runs whose single curves and marks the page holds.
const MOST_SINGLE: usize = 200;

/// The figures that the records allow.
#[derive(Serialize)]
pub(crate) struct Figures {
    /// Name, labels and style of every arm, as JSON.
    pub(crate) arms: String,
    /// One entry a headline protocol.
    pub(crate) protocols: Vec<ProtocolFigures>,
    pub(crate) readings: Option<Figure>,
    pub(crate) tuned_readings: Option<Figure>,
    /// One entry for headline protocols whose arms cost the same.
    pub(crate) rooflines: Vec<Option<Figure>>,
}

/// The figures of one protocol.
#[derive(Default, Serialize)]
pub(crate) struct ProtocolFigures {
    pub(crate) error_curves: Option<Figure>,
    pub(crate) time_to_target: Option<Figure>,
    pub(crate) final_errors: Option<Figure>,
    pub(crate) paired_differences: Option<Figure>,
    pub(crate) gradients: Option<Figure>,
    pub(crate) tuning_rates: Option<Figure>,
    pub(crate) tuning_price: Option<Figure>,
    pub(crate) reconstructions: Option<Reconstructions>,
    pub(crate) codes: Option<Figure>,
}

impl Figures {
    /// `provenance` says which run is which in the page.
    pub(crate) fn draw(experiment: &Experiment, provenance: &Provenance<'_>) -> Result<Self> {
        let alone = experiment.headline().count() == 1;
        let single = experiment.headline().flat_map(Study::runs).count() <= MOST_SINGLE;
        let protocols = experiment.headline().map(|study| {
            // Where there are several, their files bear the protocol's name.
            let name = |stem: &str| match alone {
                true => stem.to_owned(),
                false => format!("{stem}-{}", slug(&study.protocol.name)),
            };
            let drawn = ProtocolFigures::draw(experiment, study, name, single, provenance)?;
            Ok(match compares(study) {
                true => drawn,
                false => ProtocolFigures {
                    tuning_rates: drawn.tuning_rates,
                    tuning_price: drawn.tuning_price,
                    ..ProtocolFigures::default()
                },
            })
        });
        Ok(Self {
            arms: in_page(&arms(experiment)),
            protocols: protocols.collect::<Result<_>>()?,
            readings: readings::figure("readings-map", experiment, false, provenance)?,
            tuned_readings: readings::figure("readings-map-tuned", experiment, true, provenance)?,
            rooflines: rooflines(experiment)?,
        })
    }

    /// The numbers of all curves by the name of their figure, as JSON.
    pub(crate) fn curves(&self) -> String {
        let data = self
            .all()
            .filter_map(|f| Some((f.name.clone(), f.data.clone()?)));
        in_page(&Value::Object(data.collect()))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Figure> {
        let protocols = self.protocols.iter().flat_map(ProtocolFigures::all);
        let maps = [&self.readings, &self.tuned_readings];
        let maps = maps.into_iter().flatten();
        protocols.chain(maps).chain(self.rooflines.iter().flatten())
    }
}

fn rooflines(experiment: &Experiment) -> Result<Vec<Option<Figure>>> {
    let alike = alike_in_cost(experiment);
    let alone = alike.len() == 1;
    let figure = |studies: &Vec<&Study>| match (studies.first(), &experiment.cost) {
        (Some(study), Some(cost)) => {
            let name = match alone {
                true => "roofline".to_owned(),
                false => format!("roofline-{}", slug(&study.protocol.name)),
            };
            roofline::figure(&name, study, cost)
        }
        _ => Ok(None),
    };
    alike.iter().map(figure).collect()
}

/// Whether its runs have something to compare: while arms are in tuning, one
/// whose runs are another protocol's too may be all there is.
fn compares(study: &Study) -> bool {
    let with_record = |arm: &&ArmRuns| arm.runs.iter().any(|run| run.record.is_some());
    let in_tuning = study.arms.iter().any(|arm| study.in_tuning(arm).is_some());
    !in_tuning || study.arms.iter().filter(with_record).count() > 1
}

/// Arms that figures show, each name once: those with a record, in tuning or
/// with a time of their update.
fn arms(experiment: &Experiment) -> Value {
    let mut arms: Vec<Value> = Vec::new();
    let with_data = experiment.headline().flat_map(|study| {
        let tuned = |arm: &&ArmRuns| {
            let mut tuned = study.tuning.iter();
            tuned.any(|tuned| tuned.tuned.arm == arm.arm.name && !tuned.runs().is_empty())
        };
        let run = |arm: &&ArmRuns| arm.runs.iter().any(|run| run.record.is_some());
        let shown = move |arm: &&ArmRuns| run(arm) || tuned(arm) || arm.cost.is_some();
        study.arms.iter().filter(shown)
    });
    for arm in with_data {
        if arms.iter().any(|seen| seen["name"] == arm.arm.name) {
            continue;
        }
        let mut data = Style::of(arm.style).data();
        data["name"] = json!(arm.arm.name);
        data["label"] = json!({"en": arm.arm.label.en, "zh": arm.arm.label.zh});
        arms.push(data);
    }
    arms.into()
}

impl ProtocolFigures {
    /// With `single`, the page holds each run's curve and mark by itself.
    fn draw(
        experiment: &Experiment,
        study: &Study,
        name: impl Fn(&str) -> String,
        single: bool,
        provenance: &Provenance<'_>,
    ) -> Result<Self> {
        Ok(Self {
            error_curves: error_curves::figure(&name("error-curves"), study, single, provenance)?,
            time_to_target: time_to_target::figure(&name("time-to-target"), study, provenance)?,
            final_errors: final_errors::figure(&name("final-errors"), study, single, provenance)?,
            paired_differences: paired_differences::figure(
                &name("paired-differences"),
                experiment,
                study,
                single,
                provenance,
            )?,
            gradients: gradients::figure(&name("gradients"), study, provenance)?,
            tuning_rates: tuning_rates::figure(&name("tuning-rates"), study, provenance)?,
            tuning_price: tuning_price::figure(&name("tuning-price"), study, provenance)?,
            reconstructions: reconstructions::figure(&name("reconstructions"), study)?,
            codes: codes::figure(&name("codes"), study, provenance)?,
        })
    }

    fn all(&self) -> impl Iterator<Item = &Figure> {
        let all = [
            &self.error_curves,
            &self.time_to_target,
            &self.final_errors,
            &self.paired_differences,
            &self.gradients,
            &self.tuning_rates,
            &self.tuning_price,
            &self.codes,
        ];
        let pictures = self.reconstructions.iter().map(|shown| &shown.figure);
        all.into_iter().flatten().chain(pictures)
    }
}
