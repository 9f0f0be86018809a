//! Made-up folders of records. The numbers come from a formula, so that every
//! verdict can be asked for; no network has seen them.

use std::collections::BTreeMap;
use std::path::Path;

use adamix_record::{
    Anchors, Arm, Axis, Backend, Candidate, Ceilings, Claim, Comparison, Cost, DataIdentity,
    Detail, Diagnostics, End, Environment, Evaluation, GroupCost, Header, LayerGradient, Line,
    LogisticComponents, Outcome, Plan, PlannedRun, PrincipalComponents, Protocol, Reading, Role,
    RunId, Rung, SCHEMA, SEMANTICS_VERSION, Samples, Statistic, Text, TunedArm, Tuning, UpdateCost,
    UpdateTimes, sha256_hex, write_json,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What to make up.
pub(crate) struct MadeUp {
    pub(crate) data: &'static str,
    pub(crate) claims: Vec<Claim>,
    pub(crate) details: Vec<Detail>,
    pub(crate) protocols: Vec<MadeUpProtocol>,
    pub(crate) anchors: bool,
    pub(crate) cost: bool,
}

#[derive(Clone)]
pub(crate) struct MadeUpProtocol {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) readings: Vec<(&'static str, &'static str)>,
    pub(crate) seeds: u64,
    pub(crate) epochs: u64,
    pub(crate) arms: Vec<MadeUpArm>,
    pub(crate) tuned: bool,
    /// Whether tuning has come to an end.
    pub(crate) chosen: bool,
    /// Whether its runs are written.
    pub(crate) run: bool,
}

#[derive(Clone)]
pub(crate) struct MadeUpArm {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) role: Role,
    pub(crate) rule: Value,
    /// Learning rate.
    pub(crate) rate: f64,
    /// The biases' rule, where it is another than the role's.
    pub(crate) bias_rule: Option<Value>,
    /// Final test error, before the noise of the seed.
    pub(crate) error: f64,
    /// Size of the noise that the arm does not share with the others.
    pub(crate) noise: f64,
    /// Nanoseconds of an update a parameter.
    pub(crate) nanoseconds: f64,
}

/// What the made-up studies say, in both languages.
pub(crate) fn in_both(en: &str) -> Text {
    let zh = match en {
        "lower reconstruction error" => "重构误差更低",
        "least computation" => "计算量最小",
        "faster convergence" => "收敛更快",
        "Common protocol" => "统一方案",
        "Tuned protocol" => "调优方案",
        "Default readings" => "默认解读",
        "Batches of 1000" => "小批量 1000",
        "Weight rate" => "连接权重的学习率",
        "Gradient" => "梯度",
        "Batch size" => "小批量大小",
        "W1: from the mini-batch's gradient" => "W1：取决于小批量的梯度",
        "W4: one rate a tensor" => "W4：每个张量一个学习率",
        "W5: AdaGrad that starts anew each epoch" => "W5：每轮重新开始的 AdaGrad",
        "mean gradients" => "平均梯度",
        "summed gradients" => "总和梯度",
        "100 images" => "100 幅图像",
        "1000 images" => "1000 幅图像",
        "Inferred: the abstract has no formula." => "推断：摘要中没有公式。",
        "AdaMix beside AdaGrad and AdaDec" => "AdaMix 与 AdaGrad、AdaDec 的比较",
        same => same,
    };
    Text::new(en, zh)
}

/// The claims of the paper with the study's rules.
pub(crate) fn claims() -> Vec<Claim> {
    let claim = |id: &str, text: &str, statistic, comparison| Claim {
        id: id.into(),
        text: in_both(text),
        statistic,
        comparison,
        against: vec![Role::Adagrad, Role::Adadec],
        margin: 0.01,
        confidence: 0.95,
        contradiction_confidence: 0.975,
        fewest_seeds: 10,
        power: 0.8,
    };
    let (paired, declared) = (Comparison::PairedRelative, Comparison::DeclaredAndMeasured);
    vec![
        claim(
            "C1",
            "lower reconstruction error",
            Statistic::FinalError,
            paired,
        ),
        claim("C2", "least computation", Statistic::UpdateCost, declared),
        claim("C3", "faster convergence", Statistic::MeanError, paired),
    ]
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
            rate: 0.1,
            bias_rule: None,
            error,
            noise: 0.01,
            nanoseconds: match role {
                Role::Adamix | Role::Control => 0.5,
                _ => 0.8,
            },
        }
    }

    /// Takes a candidate's values: the rate of small gradients, and K.
    fn try_out(&mut self, rate: f64, k: f64) {
        self.rate = rate * k.sqrt();
        if k != 1.0 {
            self.rule["k"] = json!(k);
        }
    }

    fn weights(&self) -> Value {
        let schedule = json!({"kind": "constant", "learning-rate": self.rate});
        group(&self.rule, schedule)
    }

    fn biases(&self) -> Value {
        match (&self.bias_rule, self.role) {
            (Some(rule), _) => rule.clone(),
            (None, Role::Adamix | Role::Control) => group(
                &json!({"rule": "sgd"}),
                json!({"kind": "power", "learning-rate": self.rate, "r": 10.0, "c": 0.75,
                    "per": "update"}),
            ),
            _ => self.weights(),
        }
    }

    /// AdaMix's weights with AdaGrad's biases, and the reverse.
    pub(crate) fn halves(adamix: &Self, adagrad: &Self) -> [Self; 2] {
        let half = |name, label, ours: &Self, biases: &Self| Self {
            rule: ours.rule.clone(),
            rate: ours.rate,
            bias_rule: Some(biases.biases()),
            error: f64::midpoint(ours.error, biases.error) - 0.03,
            ..Self::new(name, label, Role::Baseline, 0.0)
        };
        [
            half("w1-adagrad", "W1 weights, AdaGrad biases", adamix, adagrad),
            half("adagrad-b1", "AdaGrad weights, B1 biases", adagrad, adamix),
        ]
    }
}

fn group(rule: &Value, schedule: Value) -> Value {
    let mut group = rule.clone();
    group["schedule"] = schedule;
    group
}

impl MadeUpProtocol {
    /// AdaMix, AdaGrad, AdaDec and the control, AdaMix at this error.
    pub(crate) fn new(name: &str, label: &str, seeds: u64, adamix: f64) -> Self {
        Self {
            name: name.into(),
            label: label.into(),
            readings: Vec::new(),
            seeds,
            epochs: 6,
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
            tuned: false,
            chosen: true,
            run: true,
        }
    }

    /// The same, its settings chosen by tuning.
    pub(crate) fn tuned(name: &str, label: &str, seeds: u64, adamix: f64) -> Self {
        let mut protocol = Self::new(name, label, seeds, adamix);
        for (arm, rate) in protocol.arms.iter_mut().zip([0.3, 0.03, 0.1, 0.3]) {
            arm.rate = rate;
        }
        Self {
            tuned: true,
            ..protocol
        }
    }

    fn settings(&self) -> Value {
        let readings: BTreeMap<&str, &str> = self.readings.iter().copied().collect();
        let readings: BTreeMap<&str, &str> = readings
            .into_iter()
            .filter(|(d, _)| *d != "weight-rate")
            .collect();
        json!({
            "pre-training": {"epochs": 10, "batch-size": 100},
            "fine-tuning": {"epochs": self.epochs, "loss": "cross-entropy", "gradient": "mean"},
            "readings": readings,
        })
    }

    /// What tuning tries for an arm: learning rate and K, with the error that
    /// each comes to, by distance from the arm's own rate.
    fn tried(arm: &MadeUpArm) -> Vec<(f64, f64, f64)> {
        let mut tried = Vec::new();
        for k in [1.0, 0.01] {
            for rate in [0.003, 0.01, 0.03, 0.1, 0.3, 1.0] {
                let off: f64 = f64::log10(rate / arm.rate);
                let error = arm.error + 0.4 + 1.5 * off * off + if k == 1.0 { 0.0 } else { 0.2 };
                tried.push((rate, k, error));
            }
        }
        tried
    }

    fn tuning(&self, of: &MadeUp) -> Tuning {
        let settings = json!({"split": "validation", "fine-tuning": {"epochs": self.epochs}});
        let arms = self.arms.iter().map(|arm| {
            let tried = Self::tried(arm);
            let candidates = tried.iter().enumerate().map(|(i, (rate, k, _))| {
                let mut of_candidate = arm.clone();
                of_candidate.try_out(*rate, *k);
                let runs = [100, 101].map(|seed| PlannedRun {
                    run_id: of
                        .tuning_header(self, &settings, &of_candidate, seed)
                        .run_id,
                    arm: format!("{}/{i}", arm.name),
                    seed,
                });
                Candidate {
                    values: vec![*rate, *k],
                    extension: false,
                    weights: of_candidate.weights(),
                    biases: of_candidate.biases(),
                    runs: runs.into(),
                }
            });
            let best = |a: &usize, b: &usize| tried[*a].2.total_cmp(&tried[*b].2);
            TunedArm {
                arm: arm.name.into(),
                axes: vec![
                    Axis {
                        name: "learning-rate".into(),
                        values: vec![0.003, 0.01, 0.03, 0.1, 0.3, 1.0],
                        grid: true,
                        extend: true,
                    },
                    Axis {
                        name: "k".into(),
                        values: vec![1.0, 0.01],
                        grid: true,
                        extend: false,
                    },
                ],
                candidates: candidates.collect(),
                chosen: (0..tried.len()).min_by(best).filter(|_| self.chosen),
            }
        });
        Tuning {
            seeds: vec![100, 101],
            budget: 12,
            rungs: vec![
                Rung { epochs: 2, keep: 4 },
                Rung {
                    epochs: self.epochs,
                    keep: 1,
                },
            ],
            train_images: 50_000,
            validation_images: 10_000,
            arms: arms.collect(),
            settings,
        }
    }

    fn protocol(&self, of: &MadeUp) -> Protocol {
        let arms = || self.arms.iter();
        Protocol {
            name: self.name.clone(),
            label: in_both(&self.label),
            hash: self.hash(),
            readings: self
                .readings
                .iter()
                .map(|(detail, reading)| ((*detail).to_owned(), (*reading).to_owned()))
                .collect(),
            seeds: (0..self.seeds).collect(),
            layer_sizes: vec![784, 1000, 500, 250, 30],
            train_images: 60_000,
            test_images: 10_000,
            pre_training_epochs: 10,
            epochs: self.epochs,
            batch_size: 100,
            settings: self.settings(),
            arms: arms()
                .map(|arm| Arm {
                    name: arm.name.into(),
                    label: in_both(arm.label),
                    role: arm.role,
                    weights: arm.weights(),
                    biases: arm.biases(),
                })
                .collect(),
            runs: arms()
                .filter(|_| self.chosen)
                .flat_map(|arm| (0..self.seeds).map(move |seed| (arm, seed)))
                .map(|(arm, seed)| PlannedRun {
                    run_id: of.header_in(self, arm, seed, Backend::Cpu).run_id,
                    arm: arm.name.into(),
                    seed,
                })
                .collect(),
            tuning: self.tuned.then(|| self.tuning(of)),
        }
    }

    fn hash(&self) -> String {
        sha256_hex(self.name.as_bytes())
    }
}

impl MadeUp {
    /// One protocol with AdaMix, AdaGrad, AdaDec and the control, AdaMix at
    /// this error.
    pub(crate) fn new(seeds: u64, adamix: f64) -> Self {
        let common = MadeUpProtocol::new("common", "Common protocol", seeds, adamix);
        Self::of(vec![common])
    }

    pub(crate) fn of(protocols: Vec<MadeUpProtocol>) -> Self {
        Self {
            data: "mnist",
            claims: claims(),
            details: Vec::new(),
            protocols,
            anchors: true,
            cost: true,
        }
    }

    /// The readings of weight rate, gradient and K: the default, each change
    /// alone, and the whole cross but for one cell.
    pub(crate) fn readings(seeds: u64) -> Self {
        let detail = |name: &str, label: &str, readings: &[(&str, &str)]| Detail {
            name: name.into(),
            label: in_both(label),
            readings: readings
                .iter()
                .map(|(name, meaning)| Reading {
                    name: (*name).into(),
                    meaning: in_both(meaning),
                    source: in_both("Inferred: the abstract has no formula."),
                })
                .collect(),
        };
        let details = vec![
            detail(
                "weight-rate",
                "Weight rate",
                &[
                    ("W1", "W1: from the mini-batch's gradient"),
                    ("W4", "W4: one rate a tensor"),
                    ("W5", "W5: AdaGrad that starts anew each epoch"),
                ],
            ),
            detail(
                "gradient",
                "Gradient",
                &[("mean", "mean gradients"), ("sum", "summed gradients")],
            ),
            detail(
                "k",
                "K",
                &[
                    ("1", "K = 1"),
                    ("1e-4", "K = 0.0001"),
                    ("1e-6", "K = 0.000001"),
                ],
            ),
            detail(
                "batch-size",
                "Batch size",
                &[("100", "100 images"), ("1000", "1000 images")],
            ),
        ];
        let mut protocols = Vec::new();
        for (w, weight_rate) in ["W1", "W4", "W5"].into_iter().enumerate() {
            for (g, gradient) in ["mean", "sum"].into_iter().enumerate() {
                for (k, constant) in ["1", "1e-4", "1e-6"].into_iter().enumerate() {
                    let error = 4.9 - 0.12 * w as f64 - 0.1 * g as f64 - 0.25 * k as f64;
                    let name = format!("{weight_rate}-{gradient}-{constant}");
                    let label = match (w, g, k) {
                        (0, 0, 0) => "Default readings".to_owned(),
                        _ => format!("{weight_rate}, {gradient}, K {constant}"),
                    };
                    let mut protocol = MadeUpProtocol::new(&name, &label, seeds, error);
                    let rules = ["adamix-w1", "adamix-w4", "adamix-w5"];
                    protocol.arms[0].rule["rule"] = json!(rules[w]);
                    protocol.readings = vec![
                        ("weight-rate", weight_rate),
                        ("gradient", gradient),
                        ("k", constant),
                        ("batch-size", "100"),
                    ];
                    // Not run yet: the last cell.
                    protocol.run = (w, g, k) != (2, 1, 2);
                    protocols.push(protocol);
                }
            }
        }
        let mut larger = MadeUpProtocol::new("batch-1000", "Batches of 1000", seeds, 4.95);
        larger.readings = vec![
            ("weight-rate", "W1"),
            ("gradient", "mean"),
            ("k", "1"),
            ("batch-size", "1000"),
        ];
        protocols.push(larger);
        Self {
            details,
            ..Self::of(protocols)
        }
    }

    pub(crate) fn arms(&mut self) -> &mut Vec<MadeUpArm> {
        &mut self.protocols[0].arms
    }

    pub(crate) fn arm(&self, index: usize) -> &MadeUpArm {
        &self.protocols[0].arms[index]
    }

    pub(crate) fn data(&self) -> DataIdentity {
        DataIdentity {
            name: self.data.into(),
            canonical: true,
            sha256: "c0ffee".repeat(10) + "beef",
        }
    }

    pub(crate) fn header(&self, arm: &MadeUpArm, seed: u64, backend: Backend) -> Header {
        self.header_in(&self.protocols[0], arm, seed, backend)
    }

    fn header_in(
        &self,
        protocol: &MadeUpProtocol,
        arm: &MadeUpArm,
        seed: u64,
        backend: Backend,
    ) -> Header {
        self.header_of(protocol, &protocol.settings(), arm, seed, backend)
    }

    fn tuning_header(
        &self,
        protocol: &MadeUpProtocol,
        settings: &Value,
        arm: &MadeUpArm,
        seed: u64,
    ) -> Header {
        self.header_of(protocol, settings, arm, seed, Backend::Cpu)
    }

    fn header_of(
        &self,
        protocol: &MadeUpProtocol,
        settings: &Value,
        arm: &MadeUpArm,
        seed: u64,
        backend: Backend,
    ) -> Header {
        let settings = json!({
            "protocol": settings,
            "weights": arm.weights(),
            "biases": arm.biases(),
        });
        let data = self.data();
        Header {
            schema: SCHEMA,
            semantics: SEMANTICS_VERSION,
            run_id: RunId::new(&settings, seed, &data.sha256, backend),
            protocol_hash: protocol.hash(),
            settings,
            seed,
            data,
            backend,
            kernel: "gemm avx2+fma".into(),
            environment: environment(),
        }
    }

    pub(crate) fn id(&self, arm: &str, seed: u64) -> RunId {
        let mut arms = self.protocols[0].arms.iter();
        let arm = arms.find(|a| a.name == arm).expect("an arm");
        self.header(arm, seed, Backend::Cpu).run_id
    }

    pub(crate) fn plan(&self) -> Plan {
        Plan {
            schema: SCHEMA,
            name: "made-up".into(),
            title: in_both("AdaMix beside AdaGrad and AdaDec"),
            command: "cargo xtask reproduce made-up --data curves".into(),
            analysis: Text::new(
                "A first paragraph, with <b>no</b> markup & nothing to run.\n\nA second one.",
                "第一段，<b>不含</b>标记 & 不可运行。\n\n第二段。",
            ),
            data: self.data(),
            claims: self.claims.clone(),
            details: self.details.clone(),
            protocols: self.protocols.iter().map(|p| p.protocol(self)).collect(),
        }
    }

    /// The lines of a completed record.
    pub(crate) fn lines(&self, arm: &MadeUpArm, seed: u64) -> Vec<Line> {
        self.lines_in(&self.protocols[0], arm, seed)
    }

    fn lines_in(&self, protocol: &MadeUpProtocol, arm: &MadeUpArm, seed: u64) -> Vec<Line> {
        let own = arm.name.bytes().map(u64::from).sum::<u64>();
        let last = arm.error + 0.1 * noise(seed, 0) + arm.noise * noise(seed, own);
        let error = |epoch| error_at(epoch, protocol.epochs, last, seed);
        let header = self.header_in(protocol, arm, seed, Backend::Cpu);
        let mut lines = vec![Line::Header(header)];
        for epoch in 0..=protocol.epochs {
            lines.push(Line::Evaluation(Evaluation {
                epoch,
                update: epoch * 600,
                train_error: Some(error(epoch) * 0.96),
                test_error: Some(error(epoch)),
                validation_error: None,
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
            codes: (0..60).map(|i| code(i, seed)).collect(),
            code_labels: (0..60).map(|i| i % 10).collect(),
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
            logistic_pca: Some(LogisticComponents {
                components: 30,
                epochs: 45,
                last_gain: 7.5e-5,
                train_error: 7.998,
                test_error: 7.778,
            }),
        }
    }

    fn cost(&self) -> Cost {
        let plan = self.plan();
        let mut entries: Vec<UpdateTimes> = Vec::new();
        for protocol in &self.protocols {
            for arm in &protocol.arms {
                let name = format!("{}/{}", protocol.name, arm.name);
                let rule = arm.rule["rule"].as_str().unwrap_or_default();
                let same = |e: &&mut UpdateTimes| {
                    e.weights.rule == rule && e.arms[0].ends_with(&format!("/{}", arm.name))
                };
                if let Some(entry) = entries.iter_mut().find(same) {
                    entry.arms.push(name);
                } else {
                    entries.push(arm.update_times(name, rule));
                }
            }
        }
        let protocols = plan.protocols.iter();
        Cost {
            schema: SCHEMA,
            protocols: protocols
                .map(|p| (p.name.clone(), p.hash.clone()))
                .collect(),
            data_sha256: plan.data.sha256,
            environment: environment(),
            ceilings: Some(Ceilings {
                operations_per_second: 1.02e11,
                bytes_per_second: 2.4e10,
            }),
            entries,
        }
    }

    /// Writes all of it.
    pub(crate) fn write(&self) -> TempDir {
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("runs")).expect("a new folder");
        let plan = self.plan();
        write_json(&folder.path().join("plan.json"), &plan).expect("written");
        if self.anchors {
            write_json(&folder.path().join("anchors.json"), &self.anchors()).expect("written");
        }
        if self.cost {
            write_json(&folder.path().join("cost.json"), &self.cost()).expect("written");
        }
        for (protocol, planned) in self.protocols.iter().zip(&plan.protocols) {
            if let Some(tuning) = &planned.tuning {
                self.write_tuning(folder.path(), protocol, tuning);
            }
            for arm in protocol
                .arms
                .iter()
                .filter(|_| protocol.run && protocol.chosen)
            {
                for seed in 0..protocol.seeds {
                    let lines = self.lines_in(protocol, arm, seed);
                    let Line::Header(header) = &lines[0] else {
                        panic!("a header comes first");
                    };
                    // A run that protocols share is written by the first.
                    let name = format!("runs/{}.jsonl", header.run_id);
                    if !folder.path().join(name).exists() {
                        write_lines(folder.path(), "jsonl", &lines);
                    }
                }
            }
        }
        folder
    }

    /// Candidates are ranked after two epochs; four go on. One that is far off
    /// diverges.
    fn write_tuning(&self, folder: &Path, protocol: &MadeUpProtocol, tuning: &Tuning) {
        for (arm, tuned) in protocol.arms.iter().zip(&tuning.arms) {
            let tried = MadeUpProtocol::tried(arm);
            let mut ranked: Vec<usize> = (0..tried.len()).collect();
            ranked.sort_by(|a, b| tried[*a].2.total_cmp(&tried[*b].2));
            for (number, candidate) in tuned.candidates.iter().enumerate() {
                let (rate, k, error) = tried[number];
                let rank = ranked.iter().position(|i| *i == number).expect("a rank");
                let (last, outcome) = match rank {
                    _ if rate == 1.0 && k == 0.01 => (1, Outcome::Diverged { epoch: 1 }),
                    0..4 => (protocol.epochs, Outcome::Completed),
                    _ => (2, Outcome::Stopped { epoch: 2 }),
                };
                for run in &candidate.runs {
                    let mut of_candidate = arm.clone();
                    of_candidate.try_out(rate, k);
                    let settings = &tuning.settings;
                    let header = self.tuning_header(protocol, settings, &of_candidate, run.seed);
                    let mut lines = vec![Line::Header(header)];
                    for epoch in 0..=last {
                        let error = error_at(epoch, protocol.epochs, error, run.seed);
                        let lost = epoch == 1 && last == 1;
                        lines.push(Line::Evaluation(Evaluation {
                            epoch,
                            update: epoch * 500,
                            train_error: Some(error * 0.96),
                            test_error: None,
                            validation_error: (!lost).then_some(error),
                            weights_learning_rate: rate,
                            biases_learning_rate: rate,
                            training_seconds: epoch as f64 * 8.0,
                        }));
                    }
                    lines.push(Line::End(End {
                        outcome: outcome.clone(),
                        weights_sha256: None,
                    }));
                    write_lines(folder, "jsonl", &lines);
                }
            }
        }
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
        let mut arms = self.protocols[0].arms.iter();
        let arm = arms.find(|a| a.name == arm).expect("an arm");
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

impl MadeUpArm {
    fn update_times(&self, name: String, rule: &str) -> UpdateTimes {
        let stateful = matches!(self.role, Role::Adagrad | Role::Adadec);
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
        let seconds = self.nanoseconds * 2_837_314.0 * 1e-9;
        let rounds = |base: f64| -> Vec<f64> {
            (0..20)
                .map(|i| base * (1.0 + f64::from(i % 5) / 200.0))
                .collect()
        };
        let drift = |i: usize| 1.0 + self.error / 1000.0 * (i % 3) as f64;
        let group = |parameters| GroupCost {
            rule: rule.to_owned(),
            parameters,
            per_parameter: update,
        };
        UpdateTimes {
            arms: vec![name],
            batch_size: 100,
            steps_per_epoch: 600,
            weights: group(2_833_000),
            biases: group(4_314),
            update_seconds: rounds(seconds)
                .iter()
                .enumerate()
                .map(|(i, s)| s * drift(i))
                .collect(),
            step_seconds: rounds(0.015 + seconds),
        }
    }
}

/// Between -0.5 and 0.5.
fn noise(seed: u64, stream: u64) -> f64 {
    let bits = (seed + 1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(stream.wrapping_mul(0xD1B5_4A32_D192_ED03));
    let mixed = (bits ^ (bits >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed >> 40) as f64 / (1_u64 << 24) as f64 - 0.5
}

/// Digits on a circle, the odd ones scattered.
fn code(image: u8, seed: u64) -> [f32; 2] {
    let digit = f64::from(image % 10);
    let off = |stream| (1.0 + 3.0 * (digit % 2.0)) * noise(seed, stream + u64::from(image));
    let angle = digit / 10.0 * std::f64::consts::TAU;
    [
        (5.0 * angle.cos() + off(1000)) as f32,
        (5.0 * angle.sin() + off(2000)) as f32,
    ]
}

/// From a start that the arms of a seed share to the bit.
fn error_at(epoch: u64, epochs: u64, last: f64, seed: u64) -> f64 {
    let start = 12.8 + 0.2 * noise(seed, 1);
    if epoch == 0 {
        return start;
    }
    let share = epoch as f64 / epochs as f64;
    last + (start - last) * (1.0 - share) * (-3.0 * share).exp()
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
        commit_date: Some("2026-11-24".into()),
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
