//! Network, gradients, trajectories and CD-1 against an independent NumPy
//! implementation.

#![allow(clippy::unwrap_used)]

use adamix_autoencoder::{
    Activation, Autoencoder, CdSettings, CdWorkspace, Layer, Loss, Rbm, Reduction, Workspace,
};
use adamix_optim::{GroupConfig, GroupedOptimizer, OptimizerConfig};
use candle_core::{DType, Device, Result, Tensor, Var};
use serde_json::Value;

/// The file that `ADAMIX_REFERENCE` names, or the copy beside optim's tests.
fn reference() -> Value {
    let path = std::env::var_os("ADAMIX_REFERENCE").map_or_else(
        || concat!(env!("CARGO_MANIFEST_DIR"), "/../optim/tests/reference.json").into(),
        std::path::PathBuf::from,
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

/// Rows of numbers, or one row, with a replica axis before it.
fn tensor(value: &Value, dtype: DType) -> Result<Tensor> {
    let rows = value.as_array().unwrap();
    let values = numbers(value);
    let tensor = if rows[0].is_array() {
        let columns = values.len() / rows.len();
        Tensor::from_vec(values, (1, rows.len(), columns), &Device::Cpu)?
    } else {
        Tensor::from_vec(values, (1, rows.len()), &Device::Cpu)?
    };
    tensor.to_dtype(dtype)
}

fn assert_close(what: &str, found: &Tensor, expected: &Value, tolerance: f64) {
    let found = found
        .to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1::<f64>()
        .unwrap();
    assert_close_numbers(what, &found, &numbers(expected), tolerance);
}

fn assert_close_numbers(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected
        .iter()
        .fold(0f64, |max, value| max.max(value.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= tolerance * largest,
            "{what}: {found}, expected {expected}"
        );
    }
}

fn network(case: &Value, dtype: DType) -> Result<Autoencoder> {
    let linear = case["linear_layer_index"].as_u64().unwrap() as usize;
    let layers = case["weights"]
        .as_array()
        .unwrap()
        .iter()
        .zip(case["biases"].as_array().unwrap())
        .enumerate();
    Autoencoder::new(
        layers
            .map(|(index, (weights, biases))| {
                Ok(Layer {
                    weights: Var::from_tensor(&tensor(weights, dtype)?)?,
                    biases: Var::from_tensor(&tensor(biases, dtype)?)?,
                    activation: if index == linear {
                        Activation::Linear
                    } else {
                        Activation::Logistic
                    },
                })
            })
            .collect::<Result<_>>()?,
    )
}

/// Loads the batch and runs it forward.
fn forward(network: &Autoencoder, batch: &Value) -> Result<Workspace> {
    let batch = tensor(batch, network.dtype())?;
    let mut workspace = Workspace::new(network, batch.dims()[1])?;
    workspace.set_input(&batch)?;
    workspace.forward(network)?;
    Ok(workspace)
}

fn loss(name: &str) -> Loss {
    serde_json::from_value(Value::String(name.into())).unwrap()
}

fn mean(errors: Vec<Vec<f64>>) -> f64 {
    errors[0].iter().sum::<f64>() / errors[0].len() as f64
}

fn check_network(dtype: DType, tolerance: f64) -> Result<()> {
    let reference = reference();
    let case = &reference["network"];
    let network = network(case, dtype)?;
    assert_eq!(
        network.code_layer(),
        case["linear_layer_index"].as_u64().unwrap() as usize
    );
    let mut workspace = forward(&network, &case["batch"])?;
    assert_close("output", workspace.output(), &case["output"], tolerance);
    let batch = case["batch"].as_array().unwrap().len();
    let error = mean(workspace.squared_errors(batch)?);
    assert_close_numbers(
        "error",
        &[error],
        &numbers(&case["reconstruction_error"]),
        tolerance,
    );
    for (name, expected) in case["losses"].as_object().unwrap() {
        let value = workspace.losses(loss(name), Reduction::Mean)?;
        assert_close_numbers(name, &value, &numbers(&expected["loss"]), tolerance);
        workspace.backward(&network, loss(name), Reduction::Mean)?;
        for (index, gradient) in workspace.gradients().iter().enumerate() {
            let kind = if index % 2 == 0 {
                "weight_gradients"
            } else {
                "bias_gradients"
            };
            assert_close(
                &format!("{name} {kind} {}", index / 2),
                gradient,
                &expected[kind][index / 2],
                tolerance,
            );
        }
        // The sum over the batch is the mean times its size.
        let means: Vec<Tensor> = workspace
            .gradients()
            .iter()
            .map(Tensor::copy)
            .collect::<Result<_>>()?;
        workspace.backward(&network, loss(name), Reduction::Sum)?;
        for (sum, mean) in workspace.gradients().iter().zip(&means) {
            let expected = serde_json::to_value(
                (mean.to_dtype(DType::F64)? * batch as f64)?
                    .flatten_all()?
                    .to_vec1::<f64>()?,
            );
            assert_close("summed gradient", sum, &expected.unwrap(), tolerance);
        }
    }
    Ok(())
}

#[test]
fn reference_network_in_f64() -> Result<()> {
    check_network(DType::F64, 1e-11)
}

#[test]
fn reference_network_in_f32() -> Result<()> {
    check_network(DType::F32, 5e-6)
}

fn group(settings: &Value) -> GroupConfig {
    let mut settings = settings.clone();
    let eta = settings["schedule"]
        .as_object_mut()
        .unwrap()
        .remove("eta")
        .unwrap();
    settings["schedule"]["learning-rate"] = eta;
    serde_json::from_value(settings).unwrap()
}

fn check_trajectories(dtype: DType, tolerance: f64) -> Result<()> {
    let reference = reference();
    let case = &reference["network"];
    let trajectories = case["trajectories"].as_array().unwrap();
    assert!(trajectories.len() >= 4);
    for trajectory in trajectories {
        let network = network(case, dtype)?;
        let config = OptimizerConfig {
            weights: group(&trajectory["weights_rule"]),
            biases: group(&trajectory["biases_rule"]),
            steps_per_epoch: 1,
        };
        let mut optimizer = GroupedOptimizer::for_replicas(network.params(), vec![config])?;
        let mut errors = Vec::new();
        for batch in case["batches"].as_array().unwrap() {
            let mut workspace = forward(&network, batch)?;
            workspace.backward(
                &network,
                loss(trajectory["loss"].as_str().unwrap()),
                Reduction::Mean,
            )?;
            optimizer.update(workspace.gradients())?;
            let evaluated = forward(&network, &case["batch"])?;
            errors.push(mean(
                evaluated.squared_errors(case["batch"].as_array().unwrap().len())?,
            ));
        }
        let expected = numbers(&trajectory["reconstruction_error_after_each_update"]);
        assert_close_numbers("errors", &errors, &expected, tolerance);
        for (index, layer) in network.layers().iter().enumerate() {
            assert_close(
                "final weights",
                &layer.weights,
                &trajectory["final_weights"][index],
                tolerance,
            );
            assert_close(
                "final biases",
                &layer.biases,
                &trajectory["final_biases"][index],
                tolerance,
            );
        }
    }
    Ok(())
}

#[test]
fn reference_trajectories_in_f64() -> Result<()> {
    check_trajectories(DType::F64, 1e-11)
}

#[test]
fn reference_trajectories_in_f32() -> Result<()> {
    check_trajectories(DType::F32, 5e-6)
}

fn check_contrastive_divergence(dtype: DType, tolerance: f64) -> Result<()> {
    let reference = reference();
    let cases = reference["contrastive_divergence"].as_array().unwrap();
    assert!(cases.len() >= 2);
    for case in cases {
        let hidden = match case["kind"].as_str().unwrap() {
            "binary" => Activation::Logistic,
            "gaussian" => Activation::Linear,
            other => panic!("hidden units {other}"),
        };
        let tensor = |key: &str| tensor(&case[key], dtype);
        let mut rbm = Rbm {
            weights: tensor("weights")?,
            visible_biases: tensor("visible_biases")?,
            hidden_biases: tensor("hidden_biases")?,
            velocities: [
                tensor("weight_velocity")?,
                tensor("visible_velocity")?,
                tensor("hidden_velocity")?,
            ],
            hidden,
        };
        let settings = CdSettings {
            learning_rate: case["learning_rate"].as_f64().unwrap(),
            momentum: case["momentum"].as_f64().unwrap(),
            weight_cost: case["weight_cost"].as_f64().unwrap(),
        };
        let mut workspace = CdWorkspace::new(&rbm, case["batch"].as_array().unwrap().len())?;
        workspace.v0 = tensor("batch")?;
        workspace.noise = tensor("noise")?;
        let error = rbm.update(&mut workspace, settings)?;
        let after = &case["after"];
        assert_close_numbers(
            "error",
            error,
            &numbers(&after["squared_reconstruction_error_per_case"]),
            tolerance,
        );
        for (key, found) in [
            ("weights", &rbm.weights),
            ("visible_biases", &rbm.visible_biases),
            ("hidden_biases", &rbm.hidden_biases),
            ("weight_velocity", &rbm.velocities[0]),
            ("visible_velocity", &rbm.velocities[1]),
            ("hidden_velocity", &rbm.velocities[2]),
        ] {
            assert_close(key, found, &after[key], tolerance);
        }
    }
    Ok(())
}

#[test]
fn reference_contrastive_divergence_in_f64() -> Result<()> {
    check_contrastive_divergence(DType::F64, 1e-11)
}

#[test]
fn reference_contrastive_divergence_in_f32() -> Result<()> {
    check_contrastive_divergence(DType::F32, 5e-6)
}
