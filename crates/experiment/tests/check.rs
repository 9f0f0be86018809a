//! The comparisons of `adamix cuda-check`, with the processor in the device's
//! place: that they find no difference where there is none, and that the
//! command says what is missing.

#![allow(clippy::unwrap_used)]

mod place;

use adamix_autoencoder::dataset::Dataset;
use adamix_experiment::{Check, CheckSettings, check};
use candle_core::Device;
use place::{Place, images, text};

#[test]
fn the_processor_differs_in_nothing_from_itself() {
    let dataset = Dataset {
        name: "blocks".into(),
        train: images(60, 0),
        test: images(40, 1),
    };
    let settings = CheckSettings {
        layer_sizes: vec![784, 30, 12, 5],
        images: 60,
        batch_size: 20,
        epochs: 2,
        cohort: 4,
    };
    let mut checks = Vec::new();
    check(&dataset, &settings, &Device::Cpu, &mut |check| {
        checks.push(check)
    })
    .unwrap();
    // 14 rules and a window, 4 gradients, RBMs, pre-training, 3 of each method, 4 of cohorts.
    assert_eq!(checks.len(), 15 + 4 + 2 + 9 + 4);
    for check in &checks {
        assert!(check.holds() && check.difference == 0.0, "{check:?}");
    }
    let breach = |difference| Check {
        difference,
        ..checks[0].clone()
    };
    assert!(!breach(1.1e-5).holds());
    assert!(!breach(f64::NAN).holds());
}

#[cfg(not(feature = "cuda"))]
#[test]
fn without_cuda_the_command_says_so() {
    let output = Place::new().run(&["cuda-check"]);
    assert!(!output.status.success());
    let error = text(&output.stderr);
    assert!(error.contains("built without CUDA"), "{error}");
    assert!(
        error.contains("cargo xtask reproduce --device cuda"),
        "{error}"
    );
}

/// Images of another data set time the same work.
#[test]
fn other_images_leave_the_experiments_network() {
    let place = Place::new();
    let file = place.path("small.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let mnist = text.replace("idx:blocks", "mnist");
    let experiments = [("own.toml", mnist.clone(), "[784,40,8]"), {
        let default = mnist.replace("layer-sizes = [784, 40, 8]\n", "");
        ("default.toml", default, "[784,1000,500,250,30]")
    }];
    for (name, text, layers) in experiments {
        std::fs::write(place.path(name), text).unwrap();
        let output = place.run(&[
            "cuda-bench",
            name,
            "--device",
            "cpu",
            "--data",
            "curves",
            "--cohorts",
            "1",
            "--format",
            "json",
        ]);
        let said = crate::text(&output.stdout);
        assert!(output.status.success(), "{}", crate::text(&output.stderr));
        assert!(said.contains(&format!("\"layers\":{layers}")), "{said}");
    }
}
