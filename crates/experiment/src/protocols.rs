//! The protocols of an experiment file: the file's settings, with those of a
//! protocol or of a combination of readings in their place. Readings and
//! crosses run the arms that the claims and the control need; baselines stand
//! in the file's own protocols only.

use std::collections::BTreeMap;

use adamix_record::{Role, Text};
use serde_json::{Map, Value};

use crate::file::{CrossFile, DetailFile, Experiment, ExperimentFile, TuneFile, repeated};
use crate::{Error, Result};

/// A protocol with its settings in full.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) name: String,
    pub(crate) label: Text,
    /// Reading of each detail of the file.
    pub(crate) readings: BTreeMap<String, String>,
    /// The file with this protocol's settings.
    pub(crate) file: ExperimentFile,
    pub(crate) tune: Option<TuneFile>,
}

/// A detail and the place of one of its readings.
type Choice<'a> = (&'a DetailFile, usize);

/// Every protocol in the file's order: those that stand there, or one of the
/// file's own settings; then each reading of each detail by itself; then the
/// crosses.
pub(crate) fn protocols(experiment: &Experiment) -> Result<Vec<Cell>> {
    let file = &experiment.file;
    check_names(experiment)?;
    let mut cells = Vec::new();
    for protocol in &file.protocols {
        let within = format!("protocol `{}`, ", protocol.name);
        let mut changed = changed(experiment, &within, &[&protocol.set])?;
        if let Some(names) = &protocol.arms {
            changed.arms = chosen(experiment, &changed, names, &within)?;
        }
        cells.push(Cell {
            name: protocol.name.clone(),
            label: protocol.label.clone(),
            readings: defaults(file),
            file: changed,
            tune: protocol.tune.clone(),
        });
    }
    if file.protocols.is_empty() {
        let defaults_label = Text::new("Default readings", "默认解读");
        cells.push(Cell {
            name: "default".into(),
            label: if file.details.is_empty() {
                file.title.clone()
            } else {
                defaults_label
            },
            ..cell(experiment, &[], None)?
        });
    }
    for detail in &file.details {
        for (place, reading) in detail.readings.iter().enumerate().skip(1) {
            let (label, meaning) = (&detail.label, &reading.meaning);
            cells.push(Cell {
                label: Text::new(
                    format!("{}: {}", label.en, meaning.en),
                    format!("{}：{}", label.zh, meaning.zh),
                ),
                ..cell(experiment, &[(detail, place)], None)?
            });
        }
    }
    for cross in &file.crosses {
        for choices in combinations(experiment, cross)? {
            // The default and each reading by itself are there already.
            let changed = choices.iter().filter(|(_, place)| *place > 0).count();
            if cross.tune.is_none() && changed < 2 {
                continue;
            }
            let mut cell = cell(experiment, &choices, cross.tune.as_ref())?;
            cell.name = format!("{}/{}", cross.name, cell.name);
            cells.push(cell);
        }
    }
    Ok(cells)
}

fn check_names(experiment: &Experiment) -> Result<()> {
    let file = &experiment.file;
    let unique = |key: &str, names: Vec<&String>| match repeated(&names) {
        Some(name) => Err(experiment.setting(
            key,
            format!("`{name}` stands twice; each has a name of its own"),
        )),
        None => Ok(()),
    };
    let protocols = file.protocols.iter().map(|protocol| &protocol.name);
    let crosses = file.crosses.iter().map(|cross| &cross.name);
    unique("protocol.name", protocols.chain(crosses).collect())?;
    unique(
        "detail.name",
        file.details.iter().map(|detail| &detail.name).collect(),
    )?;
    for detail in &file.details {
        let names: Vec<_> = detail.readings.iter().map(|r| &r.name).collect();
        if names.is_empty() {
            return Err(experiment.setting(
                format!("detail `{}`, reading", detail.name),
                "there is none; the first is the default",
            ));
        }
        unique(&format!("detail `{}`, reading.name", detail.name), names)?;
        // By what stands before a colon the report tells them apart.
        let heads: Vec<_> = detail.readings.iter().map(|r| r.meaning.head()).collect();
        let key = format!("detail `{}`, reading.meaning", detail.name);
        unique(&key, heads.iter().map(|head| &head.en).collect())?;
        unique(&key, heads.iter().map(|head| &head.zh).collect())?;
    }
    Ok(())
}

fn defaults(file: &ExperimentFile) -> BTreeMap<String, String> {
    let first =
        |detail: &DetailFile| Some((detail.name.clone(), detail.readings.first()?.name.clone()));
    file.details.iter().filter_map(first).collect()
}

/// The protocol of the file's settings with these readings, and the default of
/// every other detail. Its name joins the readings by `+`.
fn cell(experiment: &Experiment, choices: &[Choice<'_>], tune: Option<&TuneFile>) -> Result<Cell> {
    let file = &experiment.file;
    let mut readings = defaults(file);
    let mut patches = Vec::new();
    let mut names = Vec::new();
    let mut labels = Vec::new();
    for detail in &file.details {
        let place = choices
            .iter()
            .find(|(chosen, _)| chosen.name == detail.name)
            .map_or(0, |(_, place)| *place);
        let reading = &detail.readings[place];
        readings.insert(detail.name.clone(), reading.name.clone());
        patches.push(&reading.set);
        if choices.iter().any(|(chosen, _)| chosen.name == detail.name) {
            names.push(format!("{}={}", detail.name, reading.name));
            labels.push(&reading.meaning);
        }
    }
    let name = names.join("+");
    let within = if name.is_empty() {
        String::new()
    } else {
        format!("reading `{name}`, ")
    };
    let mut file = changed(experiment, &within, &patches)?;
    if !choices.is_empty() {
        file.arms.retain(|arm| arm.role != Role::Baseline);
    }
    let joined = |text: fn(&Text) -> &str, separator| {
        let parts: Vec<&str> = labels.iter().map(|label| text(label)).collect();
        parts.join(separator)
    };
    Ok(Cell {
        label: Text::new(joined(|t| &t.en, "; "), joined(|t| &t.zh, "；")),
        file,
        name,
        readings,
        tune: tune.cloned(),
    })
}

/// Every combination of the readings of the cross's details that is not left
/// out, the last detail's readings moving fastest.
fn combinations<'a>(experiment: &'a Experiment, cross: &CrossFile) -> Result<Vec<Vec<Choice<'a>>>> {
    let key = |key: &str| format!("cross `{}`, {key}", cross.name);
    let details = &experiment.file.details;
    let detail = |name: &String, at: &str| {
        details.iter().find(|d| d.name == *name).ok_or_else(|| {
            experiment.setting(key(at), format!("`{name}`: there is no such [[detail]]"))
        })
    };
    for (name, readings) in cross.without.iter().flatten() {
        let detail = detail(name, "without")?;
        for reading in readings {
            if !detail.readings.iter().any(|r| r.name == *reading) {
                return Err(experiment.setting(
                    key("without"),
                    format!("`{reading}`: detail `{name}` has no such reading"),
                ));
            }
        }
    }
    let mut combinations: Vec<Vec<Choice<'a>>> = vec![Vec::new()];
    for name in &cross.details {
        let detail = detail(name, "details")?;
        combinations = combinations
            .into_iter()
            .flat_map(|begun| {
                (0..detail.readings.len()).map(move |place| {
                    let mut longer = begun.clone();
                    longer.push((detail, place));
                    longer
                })
            })
            .collect();
    }
    let left_out = |choices: &Vec<Choice<'_>>| {
        cross.without.iter().any(|without| {
            without.iter().all(|(name, readings)| {
                choices.iter().any(|(detail, place)| {
                    detail.name == *name && readings.contains(&detail.readings[*place].name)
                })
            })
        })
    };
    combinations.retain(|choices| !left_out(choices));
    Ok(combinations)
}

/// The file's settings with these changes, one after the other.
fn changed(
    experiment: &Experiment,
    within: &str,
    patches: &[&Map<String, Value>],
) -> Result<ExperimentFile> {
    let setting = |key: &str, what: String| experiment.setting(format!("{within}{key}"), what);
    let mut settings = serde_json::to_value(&experiment.file)
        .map_err(|error| setting("set", error.to_string()))?;
    for key in ["protocol", "detail", "cross"] {
        settings[key] = Value::Array(Vec::new());
    }
    for patch in patches {
        for (key, value) in *patch {
            match key.as_str() {
                "arm" => change_arms(&mut settings["arm"], value, &setting)?,
                "seeds" | "train-images" | "layer-sizes" | "scaling" | "pre-training"
                | "fine-tuning" => change(&mut settings[key], value),
                other => {
                    return Err(setting(
                        "set",
                        format!(
                            "`{other}`: must be seeds, train-images, layer-sizes, scaling, \
                             pre-training, fine-tuning or arm"
                        ),
                    ));
                }
            }
        }
    }
    let changed: ExperimentFile =
        serde_json::from_value(settings).map_err(|error| setting("set", error.to_string()))?;
    experiment.check_settings(&changed, within)?;
    Ok(changed)
}

fn change_arms(
    arms: &mut Value,
    patch: &Value,
    setting: &impl Fn(&str, String) -> Error,
) -> Result<()> {
    let Some(patch) = patch.as_object() else {
        let what = "must be tables by the arms' names, as in `arm.adagrad.weights.k = 0.01`";
        return Err(setting("set.arm", what.into()));
    };
    for (name, value) in patch {
        let arm = arms
            .as_array_mut()
            .into_iter()
            .flatten()
            .find(|arm| arm["name"] == **name);
        let Some(arm) = arm else {
            return Err(setting(
                "set.arm",
                format!("`{name}`: there is no such arm"),
            ));
        };
        change(arm, value);
    }
    Ok(())
}

/// Replaces what `patch` names. Of a table whose `rule` or `kind` it changes
/// only the schedule or the learning rate stays: constants of another rule have
/// other meanings.
fn change(value: &mut Value, patch: &Value) {
    let (Some(old), Some(new)) = (value.as_object_mut(), patch.as_object()) else {
        *value = patch.clone();
        return;
    };
    for tag in ["rule", "kind"] {
        if new.get(tag).is_some_and(|name| old.get(tag) != Some(name)) {
            old.retain(|key, _| ["schedule", "learning-rate"].contains(&key.as_str()));
        }
    }
    for (key, value) in new {
        change(old.entry(key.clone()).or_insert(Value::Null), value);
    }
}

/// The arms of these names, in the file's order.
fn chosen(
    experiment: &Experiment,
    file: &ExperimentFile,
    names: &[String],
    within: &str,
) -> Result<Vec<crate::ArmFile>> {
    if let Some(name) = names
        .iter()
        .find(|n| !file.arms.iter().any(|arm| arm.name == **n))
    {
        return Err(experiment.setting(
            format!("{within}arms"),
            format!("`{name}`: there is no such arm"),
        ));
    }
    let named = file.arms.iter().filter(|arm| names.contains(&arm.name));
    Ok(named.cloned().collect())
}
