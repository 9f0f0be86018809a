//! Made-up folders of records. The numbers come from a formula, so that every
//! verdict can be asked for; no network has seen them.

use std::path::Path;

use adamix_record::{
    Anchors, Arm, ArmCost, Backend, Cost, DataIdentity, Diagnostics, End, Environment, Evaluation,
    GroupCost, Header, LayerGradient, Line, Outcome, Plan, PlannedRun, PrincipalComponents,
    Protocol, Role, RunId, SCHEMA, SEMANTICS_VERSION, Samples, UpdateCost, write_json,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What to make up.
pub(crate) struct MadeUp {
    pub(crate) seeds: u64,
    pub(crate) epochs: u64,
    pub(crate) data: &'static str,
    pub(crate) arms: Vec<MadeUpArm>,
    pub(crate) anchors: bool,
    pub(crate) cost: bool,
}

pub(crate) struct MadeUpArm {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) role: Role,
    pub(crate) rule: Value,
    /// Final test error, before the noise of the seed.
    pub(crate) error: f64,
    /// Size of the noise that the arm does not share with the others.
    pub(crate) noise: f64,
    /// Nanoseconds of an update a parameter.
    pub(crate) nanoseconds: f64,
}

impl MadeUpArm {
    pub(crate) fn new(name: &'static str, label: &'static str, role: Role, error: f64) -> Self {
        let rule = match role {
            Role::Adamix => json!({"rule": "adamix-w1", "k": 1.0}),
            Role::Adagrad => json!({"rule": "adagrad", "k": 1.0, "initial-accumulator": 0.0}),
            Role::Adadec => json!({"rule": "adadec", "k": 1.0, "gamma": 0.999, "tau": 1}),
            Role::Control | Role::Baseline => json!({"rule": "sgd", "name": name}),
        };
        Self {
            name,
            label,
            role,
            rule,
            error,
            noise: 0.01,
            nanoseconds: match role {
                Role::Adamix | Role::Control => 0.5,
                _ => 0.8,
            },
        }
    }
}

impl MadeUp {
    /// AdaMix, AdaGrad, AdaDec and the control, AdaMix at this error.
    pub(crate) fn new(seeds: u64, adamix: f64) -> Self {
        Self {
            seeds,
            epochs: 6,
            data: "mnist",
            arms: vec![
                MadeUpArm::new("adamix", "AdaMix (W1 + B1)", Role::Adamix, adamix),
                MadeUpArm::new("adagrad", "AdaGrad", Role::Adagrad, 4.5),
                MadeUpArm::new("adadec", "AdaDec", Role::Adadec, 4.6),
                MadeUpArm::new(
                    "control",
                    "SGD + B1 (control)",
                    Role::Control,
                    adamix + 0.001,
                ),
            ],
            anchors: true,
            cost: true,
        }
    }

    pub(crate) fn data(&self) -> DataIdentity {
        DataIdentity {
            name: self.data.into(),
            canonical: true,
            sha256: "c0ffee".repeat(10) + "beef",
        }
    }

    fn protocol(&self) -> Protocol {
        Protocol {
            layer_sizes: vec![784, 1000, 500, 250, 30],
            train_images: 60_000,
            test_images: 10_000,
            pre_training_epochs: 10,
            epochs: self.epochs,
            batch_size: 100,
            settings: json!({
                "pre-training": {"epochs": 10, "batch-size": 100},
                "fine-tuning": {"epochs": self.epochs, "loss": "cross-entropy", "gradient": "mean"},
            }),
        }
    }

    fn group(rule: &Value, schedule: Value) -> Value {
        let mut group = rule.clone();
        group["schedule"] = schedule;
        group
    }

    fn weights(arm: &MadeUpArm) -> Value {
        Self::group(&arm.rule, json!({"kind": "constant", "learning-rate": 0.1}))
    }

    fn biases(arm: &MadeUpArm) -> Value {
        match arm.role {
            Role::Adamix | Role::Control => Self::group(
                &json!({"rule": "sgd"}),
                json!({"kind": "power", "learning-rate": 0.1, "r": 10.0, "c": 0.75,
                    "per": "update"}),
            ),
            _ => Self::weights(arm),
        }
    }

    pub(crate) fn header(&self, arm: &MadeUpArm, seed: u64, backend: Backend) -> Header {
        let settings = json!({
            "protocol": self.protocol().settings,
            "weights": Self::weights(arm),
            "biases": Self::biases(arm),
        });
        let data = self.data();
        Header {
            schema: SCHEMA,
            semantics: SEMANTICS_VERSION,
            run_id: RunId::new(&settings, seed, &data.sha256, backend),
            experiment_hash: "abcd".repeat(16),
            settings,
            seed,
            data,
            backend,
            kernel: "gemm avx2+fma".into(),
            environment: environment(),
        }
    }

    pub(crate) fn id(&self, arm: &str, seed: u64) -> RunId {
        let arm = self.arms.iter().find(|a| a.name == arm).expect("an arm");
        self.header(arm, seed, Backend::Cpu).run_id
    }

    pub(crate) fn plan(&self) -> Plan {
        Plan {
            schema: SCHEMA,
            name: "made-up".into(),
            title: "AdaMix beside AdaGrad and AdaDec, common protocol".into(),
            command: "cargo xtask reproduce made-up --data curves".into(),
            analysis: "A first paragraph, with <b>no</b> markup & nothing to run.\n\nA second \
                       one."
                .into(),
            experiment_hash: "abcd".repeat(16),
            data: self.data(),
            seeds: (0..self.seeds).collect(),
            protocol: self.protocol(),
            arms: self
                .arms
                .iter()
                .map(|arm| Arm {
                    name: arm.name.into(),
                    label: arm.label.into(),
                    role: arm.role,
                    weights: Self::weights(arm),
                    biases: Self::biases(arm),
                })
                .collect(),
            runs: self
                .arms
                .iter()
                .flat_map(|arm| (0..self.seeds).map(move |seed| (arm, seed)))
                .map(|(arm, seed)| PlannedRun {
                    run_id: self.header(arm, seed, Backend::Cpu).run_id,
                    arm: arm.name.into(),
                    seed,
                })
                .collect(),
        }
    }

    /// The lines of a completed record.
    pub(crate) fn lines(&self, arm: &MadeUpArm, seed: u64) -> Vec<Line> {
        let noise = |stream: u64| {
            let bits = (seed + 1)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .wrapping_add(stream.wrapping_mul(0xD1B5_4A32_D192_ED03));
            let mixed = (bits ^ (bits >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            (mixed >> 40) as f64 / (1_u64 << 24) as f64 - 0.5
        };
        let own = arm.name.bytes().map(u64::from).sum::<u64>();
        let last = arm.error + 0.1 * noise(0) + arm.noise * noise(own);
        let start = 12.8 + 0.2 * noise(1);
        let error = |epoch: u64| {
            if epoch == 0 {
                return start; // to the bit: the arms of a seed share it
            }
            let share = epoch as f64 / self.epochs as f64;
            last + (start - last) * (1.0 - share) * (-3.0 * share).exp()
        };
        let mut lines = vec![Line::Header(self.header(arm, seed, Backend::Cpu))];
        for epoch in 0..=self.epochs {
            lines.push(Line::Evaluation(Evaluation {
                epoch,
                update: epoch * 600,
                train_error: Some(error(epoch) * 0.96),
                test_error: Some(error(epoch)),
                weights_learning_rate: 0.1,
                biases_learning_rate: 0.1,
                training_seconds: epoch as f64 * 9.0,
            }));
            if epoch > 0 {
                lines.push(Line::Diagnostics(Diagnostics {
                    epoch,
                    layers: (0..8)
                        .map(|layer| LayerGradient {
                            weights_median: Some(
                                1e-5 * f64::from(1 + layer) * (2.0 - epoch as f64 / 30.0),
                            ),
                            biases_median: Some(1e-4),
                        })
                        .collect(),
                }));
            }
        }
        let images: Vec<Vec<u8>> = (0..10_u8).map(picture).collect();
        lines.push(Line::Samples(Samples {
            image_shape: [28, 28],
            reconstructions: images
                .iter()
                .map(|image| image.iter().map(|p| p / 8 * 7).collect())
                .collect(),
            images,
            labels: (0..10).collect(),
            errors: (0..10).map(|i| Some(last + f64::from(i) / 3.0)).collect(),
            codes: Vec::new(),
            code_labels: Vec::new(),
        }));
        lines.push(Line::End(End {
            outcome: Outcome::Completed,
            weights_sha256: Some("ab".repeat(32)),
        }));
        lines
    }

    fn anchors(&self) -> Anchors {
        let parts = [(2, 43.1, 43.645), (6, 32.2, 32.651), (30, 14.207, 13.866)];
        Anchors {
            schema: SCHEMA,
            data_sha256: self.data().sha256,
            mean_image_test_error: 52.9,
            principal_components: parts
                .map(
                    |(components, train_error, test_error)| PrincipalComponents {
                        components,
                        train_error,
                        test_error,
                    },
                )
                .into(),
        }
    }

    fn cost(&self) -> Cost {
        Cost {
            schema: SCHEMA,
            experiment_hash: self.plan().experiment_hash,
            data_sha256: self.plan().data.sha256,
            environment: environment(),
            parameters: 2_837_314,
            steps_per_epoch: 600,
            arms: self
                .arms
                .iter()
                .map(|arm| {
                    let stateful = matches!(arm.role, Role::Adagrad | Role::Adadec);
                    let state = f64::from(u8::from(stateful));
                    let update = UpdateCost {
                        additions: 2.0 + state,
                        multiplications: 2.0,
                        divisions: 1.0,
                        square_roots: 1.0,
                        loads: 2.0 + state,
                        stores: 1.0 + state,
                        state,
                    };
                    let seconds = arm.nanoseconds * 2_837_314.0 * 1e-9;
                    let rounds = |base: f64| -> Vec<f64> {
                        (0..20)
                            .map(|i| base * (1.0 + f64::from(i % 5) / 200.0))
                            .collect()
                    };
                    let drift = |i: usize| 1.0 + arm.error / 1000.0 * (i % 3) as f64;
                    ArmCost {
                        arm: arm.name.into(),
                        weights: GroupCost {
                            parameters: 2_833_000,
                            per_parameter: update,
                        },
                        biases: GroupCost {
                            parameters: 4_314,
                            per_parameter: update,
                        },
                        update_seconds: rounds(seconds)
                            .iter()
                            .enumerate()
                            .map(|(i, s)| s * drift(i))
                            .collect(),
                        step_seconds: rounds(0.015 + seconds),
                    }
                })
                .collect(),
        }
    }

    /// Writes all of it.
    pub(crate) fn write(&self) -> TempDir {
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("runs")).expect("a new folder");
        write_json(&folder.path().join("plan.json"), &self.plan()).expect("written");
        if self.anchors {
            write_json(&folder.path().join("anchors.json"), &self.anchors()).expect("written");
        }
        if self.cost {
            write_json(&folder.path().join("cost.json"), &self.cost()).expect("written");
        }
        for arm in &self.arms {
            for seed in 0..self.seeds {
                write_lines(folder.path(), "jsonl", &self.lines(arm, seed));
            }
        }
        folder
    }

    /// Writes all of it, then has one record end otherwise: `cut` evaluations
    /// and this outcome.
    pub(crate) fn write_with(&self, arm: &str, seed: u64, cut: u64, outcome: Outcome) -> TempDir {
        let folder = self.write();
        self.end_otherwise(folder.path(), arm, seed, cut, outcome);
        folder
    }

    pub(crate) fn end_otherwise(
        &self,
        folder: &Path,
        arm: &str,
        seed: u64,
        cut: u64,
        outcome: Outcome,
    ) {
        let arm = self.arms.iter().find(|a| a.name == arm).expect("an arm");
        let mut lines = self.first_lines(arm, seed, cut);
        lines.push(Line::End(End {
            outcome,
            weights_sha256: None,
        }));
        write_lines(folder, "jsonl", &lines);
    }

    /// The header and what was written up to epoch `last`.
    pub(crate) fn first_lines(&self, arm: &MadeUpArm, seed: u64, last: u64) -> Vec<Line> {
        let lines = self.lines(arm, seed).into_iter();
        lines
            .filter(|line| match line {
                Line::Header(_) => true,
                Line::Evaluation(line) => line.epoch <= last,
                Line::Diagnostics(line) => line.epoch <= last,
                _ => false,
            })
            .collect()
    }
}

pub(crate) fn write_lines(folder: &Path, extension: &str, lines: &[Line]) {
    let Some(Line::Header(header)) = lines.first() else {
        panic!("a header comes first");
    };
    let mut text = String::new();
    for line in lines {
        text += &serde_json::to_string(line).expect("JSON");
        text.push('\n');
    }
    let name = format!("runs/{}.{extension}", header.run_id);
    std::fs::write(folder.join(name), text).expect("written");
}

fn environment() -> Environment {
    Environment {
        version: "0.1.0".into(),
        commit: Some("0123abc".into()),
        dirty: false,
        lock_sha256: "1234".repeat(16),
        rustc: "rustc 1.95.0".into(),
        features: vec!["cpu".into()],
        platform: "linux x86_64".into(),
        processor: "Made-up CPU at 3 GHz".into(),
        cores: 2,
        gpu: None,
        jobs: 2,
    }
}

/// A ring with a bar: something to look at.
fn picture(digit: u8) -> Vec<u8> {
    let radius = 5.0 + f64::from(digit) / 2.0;
    (0..28 * 28)
        .map(|i| {
            let (x, y) = (f64::from(i % 28) - 13.5, f64::from(i / 28) - 13.5);
            let ring = (1.0 - (x.hypot(y) - radius).abs() / 2.0).max(0.0);
            let bar = f64::from(u8::from((x - f64::from(digit) + 5.0).abs() < 1.0));
            (255.0 * ring.max(0.6 * bar)) as u8
        })
        .collect()
}
