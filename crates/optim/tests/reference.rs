//! Rules and schedules against an independent NumPy implementation.

#![allow(clippy::unwrap_used)]

use adamix_optim::{GroupConfig, GroupedOptimizer, OptimizerConfig, Param, ParamKind, Schedule};
use candle_core::{DType, Device, Result, Tensor, Var};
use serde_json::Value;

/// The file that `ADAMIX_REFERENCE` names, or the copy beside this test.
fn reference() -> Value {
    let path = std::env::var_os("ADAMIX_REFERENCE").map_or_else(
        || concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference.json").into(),
        std::path::PathBuf::from,
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The file writes `eta` for the key `learning-rate`.
fn schedule(value: &Value) -> Value {
    let mut value = value.clone();
    let eta = value.as_object_mut().unwrap().remove("eta").unwrap();
    value["learning-rate"] = eta;
    value
}

fn group(settings: &Value) -> GroupConfig {
    let mut settings = settings.clone();
    settings["schedule"] = schedule(&settings["schedule"]);
    let object = settings.as_object_mut().unwrap();
    for key in ["initial_accumulator", "weight_decay"] {
        if let Some(value) = object.remove(key) {
            object.insert(key.replace('_', "-"), value);
        }
    }
    serde_json::from_value(settings.clone()).unwrap_or_else(|e| panic!("{settings}: {e}"))
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

#[test]
fn reference_schedules() {
    let mut cases = 0;
    for case in reference()["schedules"].as_array().unwrap() {
        let schedule: Schedule = serde_json::from_value(schedule(&case["schedule"])).unwrap();
        for (t, expected) in numbers(&case["t"])
            .into_iter()
            .zip(numbers(&case["learning_rate"]))
        {
            let found = schedule.at(t);
            assert!(
                (found - expected).abs() <= 1e-11 * expected.abs(),
                "{schedule:?} at {t}: {found}, expected {expected}"
            );
            cases += 1;
        }
    }
    assert!(cases >= 25);
}

fn check_rules(dtype: DType, tolerance: f64) -> Result<()> {
    let reference = reference();
    let cases = reference["rules"].as_array().unwrap();
    assert!(cases.len() >= 21);
    for case in cases {
        let settings = &case["settings"];
        let group = group(settings);
        let steps_per_epoch = case["steps_per_epoch"].as_u64().unwrap();
        let rows = case["initial"].as_array().unwrap().len();
        let tensor = |value: &Value| {
            let values = numbers(value);
            let shape = (rows, values.len() / rows);
            Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)
        };
        let var = Var::from_tensor(&tensor(&case["initial"])?)?;
        let param = Param {
            name: "w".into(),
            kind: ParamKind::Weight,
            var: var.clone(),
        };
        let mut optimizer = GroupedOptimizer::for_replicas(
            vec![param],
            vec![OptimizerConfig::uniform(group, steps_per_epoch)],
        )?;
        let path = case["parameters"].as_array().unwrap();
        let largest = numbers(&case["parameters"])
            .iter()
            .fold(0f64, |max, value| max.max(value.abs()));
        for (step, (gradient, expected)) in case["gradients"]
            .as_array()
            .unwrap()
            .iter()
            .zip(path)
            .enumerate()
        {
            optimizer.update(&[tensor(gradient)?])?;
            let found = var.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
            for (found, expected) in found.into_iter().zip(numbers(expected)) {
                assert!(
                    (found - expected).abs() <= tolerance * expected.abs().max(largest),
                    "{settings}, update {step}, {dtype:?}: {found}, expected {expected}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn reference_rules_in_f64() -> Result<()> {
    check_rules(DType::F64, 1e-11)
}

#[test]
fn reference_rules_in_f32() -> Result<()> {
    check_rules(DType::F32, 5e-6)
}
