//! `adamix export` on small data: what it writes is what the run began with and
//! the order it trained in.

#![allow(clippy::unwrap_used)]

mod place;

use adamix_autoencoder::dataset::{Images, PIXELS};
use adamix_autoencoder::{
    Activation, Autoencoder, FineTuning, Layer, Loss, Reduction, Workspace, fine_tuning_order,
};
use adamix_optim::{GroupConfig, OptimizerConfig};
use candle_core::{Device, Tensor, Var};
use place::{Place, assert_success, text};
use serde_json::Value;

#[test]
fn an_export_holds_the_start_and_the_order_of_the_run() {
    let place = Place::new();
    assert_success(&place.run(&["run", "small.toml"]));
    for record in place.records("small") {
        let id = record.header.run_id.as_str();
        let output = place.run(&[
            "export",
            id,
            "--epochs",
            "2",
            "--to",
            "out",
            "--data",
            "idx:blocks",
        ]);
        assert_success(&output);
        assert_eq!(text(&output.stdout), "out\n");

        let npy = |name: &str| Tensor::read_npy(place.path(&format!("out/{name}"))).unwrap();
        let tensors =
            candle_core::safetensors::load(place.path("out/start.safetensors"), &Device::Cpu)
                .unwrap();
        assert_eq!(tensors.len(), 8);
        assert_eq!(tensors["0.weights"].dims(), [784, 40]);
        assert_eq!(tensors["1.biases"].dims(), [8]);
        for (name, tensor) in &tensors {
            let other = npy(&format!("start/{name}.npy"));
            let numbers = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(numbers(tensor), numbers(&other), "{name}");
        }

        let order = npy("order.npy").to_vec2::<u32>().unwrap();
        assert_eq!((order.len(), order[0].len()), (2, 300));
        for (epoch, order) in order.iter().enumerate() {
            let expected = fine_tuning_order(300, record.header.seed, epoch as u64);
            assert_eq!(*order, expected);
        }

        // Trained from what was exported alone, in its order: the record's errors.
        let run: Value =
            serde_json::from_slice(&std::fs::read(place.path("out/run.json")).unwrap()).unwrap();
        let images = |name: &str| Images {
            pixels: npy(name).flatten_all().unwrap().to_vec1::<u8>().unwrap(),
            labels: Vec::new(),
        };
        let (train, test) = (images("train.npy"), images("test.npy"));
        assert_eq!(train.pixels.len(), 300 * PIXELS);
        let activations: Vec<Activation> =
            serde_json::from_value(run["activations"].clone()).unwrap();
        let var = |name: String| Var::from_tensor(&tensors[&name].unsqueeze(0).unwrap()).unwrap();
        let layers = activations
            .into_iter()
            .enumerate()
            .map(|(i, activation)| Layer {
                weights: var(format!("{i}.weights")),
                biases: var(format!("{i}.biases")),
                activation,
            });
        let network = Autoencoder::new(layers.collect()).unwrap();
        let group = |name: &str| -> GroupConfig {
            let group: GroupConfig = serde_json::from_value(run["settings"][name].clone()).unwrap();
            GroupConfig {
                schedule: group.schedule.with_r_in_epochs(15),
                ..group
            }
        };
        let optimizer = OptimizerConfig {
            weights: group("weights"),
            biases: group("biases"),
            steps_per_epoch: 15,
        };
        let mut training = FineTuning::new(
            &train,
            network,
            vec![optimizer],
            &[0], // Its own order is not used.
            20,
            Loss::CrossEntropy,
            Reduction::Mean,
        )
        .unwrap();
        let mut workspace = Workspace::new(training.network(), 500).unwrap();
        for epoch in 0..3 {
            let found = training
                .network()
                .reconstruction_errors(&test, &mut workspace)
                .unwrap()[0];
            assert_eq!(Some(found), record.evaluations[epoch].test_error);
            assert_eq!(
                run["evaluations"][epoch]["test-error"].as_f64(),
                Some(found)
            );
            if epoch == 0 {
                assert_eq!(run["start-test-error"].as_f64(), Some(found));
            }
            for batch in order
                .get(epoch)
                .into_iter()
                .flat_map(|order| order.chunks(20))
            {
                training.step(&[batch]).unwrap();
            }
        }
    }
}

#[test]
fn what_cannot_be_exported_is_said() {
    let place = Place::new();
    assert_success(&place.run(&["run", "small.toml"]));
    let unknown = place.run(&["export", "0123456789abcdef", "--data", "idx:blocks"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("no run 0123456789abcdef"));

    let records = place.records("small");
    let id = records[0].header.run_id.as_str();
    place.data(place::images(40, 7), place::images(20, 8));
    let other = place.run(&["export", id, "--data", "idx:blocks"]);
    assert_eq!(other.status.code(), Some(1));
    assert!(
        text(&other.stderr).contains("the run is on blocks"),
        "{}",
        text(&other.stderr)
    );
    assert!(!place.path("export").exists());
}
