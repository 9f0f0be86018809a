//! What every rule must do, and what the optimizer around it must do.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use adamix_optim::rules::*;
use adamix_optim::{
    GroupConfig, GroupedOptimizer, OptimizerConfig, Param, ParamKind, Per, Rule, Schedule,
    step_scalar, with_slices,
};
use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::Optimizer;
use proptest::prelude::*;

fn constant(rule: Rule, learning_rate: f64) -> GroupConfig {
    GroupConfig {
        rule,
        schedule: Schedule::Constant { learning_rate },
    }
}

/// A path of gradients that depends on the parameters, so that a difference
/// between two optimizers would feed back.
fn descend(optimizer: &mut impl Optimizer, w: &Var, b: &Var, steps: usize) -> Result<()> {
    let x = Tensor::arange(0f32, 12.0, &Device::Cpu)?
        .reshape((4, 3))?
        .affine(0.2, -1.0)?;
    for _ in 0..steps {
        let loss = x
            .matmul(w)?
            .broadcast_add(b)?
            .sqr()?
            .affine(0.5, -1.0)?
            .sqr()?
            .mean_all()?;
        optimizer.backward_step(&loss)?;
    }
    Ok(())
}

fn start() -> Result<(Var, Var)> {
    let w = Tensor::arange(0f32, 6.0, &Device::Cpu)?
        .reshape((3, 2))?
        .affine(0.37, -0.8)?;
    let b = Tensor::new(&[0.3f32, -0.2], &Device::Cpu)?;
    Ok((Var::from_tensor(&w)?, Var::from_tensor(&b)?))
}

fn values(var: &Tensor) -> Vec<f32> {
    var.flatten_all().unwrap().to_vec1::<f32>().unwrap()
}

#[test]
fn sgd_is_candles_to_the_bit() -> Result<()> {
    let (w, b) = start()?;
    let sgd = OptimizerConfig::uniform(constant(Rule::Sgd(Sgd {}), 0.05), 1);
    descend(
        &mut GroupedOptimizer::new(vec![w.clone(), b.clone()], sgd)?,
        &w,
        &b,
        200,
    )?;
    let (cw, cb) = start()?;
    descend(
        &mut candle_nn::SGD::new(vec![cw.clone(), cb.clone()], 0.05)?,
        &cw,
        &cb,
        200,
    )?;
    let bits = |var: &Var| {
        values(var)
            .into_iter()
            .map(f32::to_bits)
            .collect::<Vec<_>>()
    };
    assert_eq!((bits(&w), bits(&b)), (bits(&cw), bits(&cb)));
    assert_ne!(bits(&w), bits(&start()?.0));
    Ok(())
}

#[test]
fn adamw_is_candles_to_rounding() -> Result<()> {
    let (w, b) = start()?;
    let adamw = Rule::Adamw(Adamw {
        weight_decay: 0.1,
        ..Adamw::default()
    });
    let config = OptimizerConfig::uniform(constant(adamw, 0.01), 1);
    descend(
        &mut GroupedOptimizer::new(vec![w.clone(), b.clone()], config)?,
        &w,
        &b,
        100,
    )?;
    let (cw, cb) = start()?;
    let params = candle_nn::ParamsAdamW {
        lr: 0.01,
        weight_decay: 0.1,
        ..Default::default()
    };
    descend(
        &mut candle_nn::AdamW::new(vec![cw.clone(), cb.clone()], params)?,
        &cw,
        &cb,
        100,
    )?;
    for (ours, candles) in values(&w)
        .into_iter()
        .chain(values(&b))
        .zip(values(&cw).into_iter().chain(values(&cb)))
    {
        assert!(
            (ours - candles).abs() <= 5e-6 * candles.abs().max(1.0),
            "{ours} {candles}"
        );
    }
    Ok(())
}

/// Every rule at one stated rate for the quadratic and one for Rosenbrock.
fn rates(rule: &Rule) -> (f64, f64) {
    match rule {
        Rule::Sgd(_) => (0.1, 1e-3),
        Rule::Momentum(_) | Rule::Nesterov(_) => (0.02, 2e-4),
        Rule::Adagrad(_) => (1.0, 0.5),
        Rule::Adadec(_) => (0.5, 0.5),
        Rule::Rmsprop(_) => (3e-4, 1e-3),
        Rule::Adadelta(_) => (10.0, 0.03),
        Rule::Adam(_) | Rule::Adamw(_) => (0.1, 0.01),
        // AdaMix, and what is added to the registry.
        _ => (0.1, 2e-3),
    }
}

/// Least value of `loss` on the way from `w` in 20,000 updates.
fn least(rule: Rule, rate: f64, w: [f64; 2], f: fn([f64; 2]) -> (f64, [f64; 2])) -> Result<f64> {
    let var = Var::new(&w, &Device::Cpu)?;
    let param = Param {
        name: "w".into(),
        kind: ParamKind::Weight,
        var: var.clone(),
    };
    let config = OptimizerConfig::uniform(constant(rule, rate), 10);
    let mut optimizer = GroupedOptimizer::for_replicas(vec![param], vec![config])?;
    let mut least = f64::INFINITY;
    for _ in 0..20_000 {
        let at = var.to_vec1::<f64>()?;
        let (loss, gradient) = f([at[0], at[1]]);
        least = least.min(loss);
        optimizer.update(&[Tensor::new(&gradient, &Device::Cpu)?])?;
    }
    Ok(least)
}

#[test]
fn every_rule_descends() -> Result<()> {
    let quadratic = |[x, y]: [f64; 2]| (0.5 * (x * x + 10.0 * y * y), [x, 10.0 * y]);
    let rosenbrock = |[x, y]: [f64; 2]| {
        let (a, b) = (1.0 - x, y - x * x);
        (a * a + 100.0 * b * b, [-2.0 * a - 400.0 * x * b, 200.0 * b])
    };
    let mut failures = Vec::new();
    for rule in Rule::all() {
        let rule = match rule {
            Rule::AdamixW3(_) => continue,
            // Its decay of the parameter moves the least value away from 0.
            Rule::Adamw(adamw) => Rule::Adamw(Adamw {
                weight_decay: 1e-6,
                ..adamw
            }),
            rule => rule,
        };
        let (quadratic_rate, rosenbrock_rate) = rates(&rule);
        let q = least(rule, quadratic_rate, [3.0, -2.0], quadratic)?;
        let r = least(rule, rosenbrock_rate, [-1.2, 1.0], rosenbrock)?;
        if !(q < 1e-6 && r < 1e-2) {
            failures.push(format!(
                "{}: quadratic {q:e}, Rosenbrock {r:e}",
                rule.name()
            ));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    Ok(())
}

/// Every rule, and the long-window AdaDec.
fn any_rule() -> impl Strategy<Value = Rule> {
    let mut rules = Rule::all();
    rules.push(Rule::Adadec(Adadec {
        tau: 5,
        ..Adadec::default()
    }));
    proptest::sample::select(rules)
}

fn any_schedule() -> impl Strategy<Value = Schedule> {
    let per = prop_oneof![Just(Per::Update), Just(Per::Epoch)];
    (0usize..5, 0f64..10.0, 1e-3f64..1e6, 0f64..4.0, per).prop_map(
        |(kind, learning_rate, r, c, per)| match kind {
            0 => Schedule::Constant { learning_rate },
            1 => Schedule::Power {
                learning_rate,
                r,
                c,
                per,
            },
            2 => Schedule::Exponential {
                learning_rate,
                r,
                per,
            },
            3 => Schedule::PowerTimesExponential {
                learning_rate,
                r,
                c,
                per,
            },
            _ => Schedule::PowerExponential {
                learning_rate,
                r,
                c,
                per,
            },
        },
    )
}

/// `replicas` replicas of a weight of three values and a bias of two, with
/// gradients that are made from `seeds`, one a replica.
fn train(config: OptimizerConfig, seeds: &[u32], steps: u32) -> Result<Vec<Vec<f32>>> {
    let replicas = seeds.len();
    let w = Var::ones((replicas, 3), DType::F32, &Device::Cpu)?;
    let b = Var::zeros((replicas, 2), DType::F32, &Device::Cpu)?;
    let params = vec![
        Param {
            name: "w".into(),
            kind: ParamKind::Weight,
            var: w.clone(),
        },
        Param {
            name: "b".into(),
            kind: ParamKind::Bias,
            var: b.clone(),
        },
    ];
    let mut optimizer = GroupedOptimizer::for_replicas(params, vec![config; replicas])?;
    for step in 0..steps {
        let made = |columns: u32| {
            let values: Vec<f32> = seeds
                .iter()
                .flat_map(|seed| {
                    (0..columns).map(move |i| ((seed + 7 * step + 3 * i) % 11) as f32 * 0.2 - 1.0)
                })
                .collect();
            Tensor::from_vec(values, (replicas, columns as usize), &Device::Cpu)
        };
        optimizer.update(&[made(3)?, made(2)?])?;
    }
    Ok((0..replicas)
        .map(|r| {
            values(&w.get(r).unwrap())
                .into_iter()
                .chain(values(&b.get(r).unwrap()))
                .collect()
        })
        .collect())
}

proptest! {
    #[test]
    fn schedules_are_finite_and_not_negative(schedule in any_schedule(), t in 0u64..10_000_000, steps in 1u64..10_000) {
        prop_assert!(schedule.check().is_ok());
        let rate = schedule.after(t, steps);
        prop_assert!(rate.is_finite() && rate >= 0.0, "{schedule:?} after {t}: {rate}");
        prop_assert!(rate <= schedule.learning_rate());
        prop_assert_eq!(schedule.after(0, steps), schedule.learning_rate());
    }

    #[test]
    fn r_in_epochs_is_the_same_scale_for_updates_and_epochs(schedule in any_schedule(), epoch in 0u64..100, steps in 1u64..1000) {
        let per_epoch = match schedule {
            Schedule::Power { learning_rate, r, c, .. } => Schedule::Power { learning_rate, r, c, per: Per::Epoch },
            Schedule::Exponential { learning_rate, r, .. } => Schedule::Exponential { learning_rate, r, per: Per::Epoch },
            other => other,
        };
        let (a, b) = (schedule.with_r_in_epochs(steps), per_epoch.with_r_in_epochs(steps));
        let (a, b) = (a.after(epoch * steps, steps), b.after(epoch * steps, steps));
        prop_assert!((a - b).abs() <= 1e-9 * b.max(1e-300), "{a} {b}");
    }

    #[test]
    fn a_zero_gradient_moves_nothing_from_a_fresh_state(rule in any_rule(), w in -10f64..10.0, rate in 0f64..10.0) {
        let rule = match rule {
            Rule::Adamw(adamw) => Rule::Adamw(Adamw { weight_decay: 0.0, ..adamw }),
            rule => rule,
        };
        prop_assert_eq!(step_scalar(&rule, &Schedule::Constant { learning_rate: rate }, w, &[0.0]), w);
    }

    #[test]
    fn a_step_of_w1_never_exceeds_the_rate(g in any::<f32>(), log_k in -6i32..=0, rate in 0f32..1.0) {
        prop_assume!(g.is_finite());
        let group = constant(Rule::AdamixW1(AdamixW1 { k: 10f64.powi(log_k) }), f64::from(rate));
        let var = Var::zeros(1, DType::F32, &Device::Cpu).unwrap();
        let mut optimizer = GroupedOptimizer::new(vec![var.clone()], OptimizerConfig::uniform(group, 1)).unwrap();
        let param = Tensor::new(&[g], &Device::Cpu).unwrap();
        optimizer.update(&[param]).unwrap();
        let moved = values(&var)[0].abs();
        prop_assert!(moved <= rate, "{moved} > {rate}");
    }

    #[test]
    fn a_replica_is_what_it_is_alone(rule in any_rule(), steps_per_epoch in 1u64..4, seeds in proptest::collection::vec(0u32..100, 1..4)) {
        let config = OptimizerConfig::uniform(constant(rule, 0.1), steps_per_epoch);
        let together = train(config, &seeds, 9).unwrap();
        for (seed, replica) in seeds.iter().zip(together) {
            prop_assert_eq!(&train(config, &[*seed], 9).unwrap()[0], &replica);
        }
    }

    #[test]
    fn an_update_by_parts_changes_only_the_memory_it_names(rule in any_rule(), before in 0u64..7) {
        let w = Var::ones((2, 6), DType::F32, &Device::Cpu).unwrap();
        let config = OptimizerConfig::uniform(constant(rule, 0.1), 2);
        let param = Param { name: "w".into(), kind: ParamKind::Weight, var: w.clone() };
        let mut optimizer = GroupedOptimizer::for_replicas(vec![param], vec![config; 2]).unwrap();
        let gradient = |step: u64| -> Vec<f32> {
            (0..12).map(|i| ((i + 5 * step) % 7) as f32 * 0.1 - 0.25).collect()
        };
        for step in 0..before {
            let g = Tensor::from_vec(gradient(step), (2, 6), &Device::Cpu).unwrap();
            optimizer.update(&[g]).unwrap();
        }
        prop_assume!(!optimizer.needs_whole(0, 1));

        let named = optimizer.memory::<f32>(0, 1).unwrap();
        let of = |tensor: &Tensor| with_slices([], [tensor], |[], [s]: [&[f32]; 1]| s.as_ptr_range()).unwrap();
        prop_assert_eq!(&named[0], &of(&w.get(1).unwrap()));
        prop_assert!(named.iter().all(|range| range.is_empty() || range.end.addr() - range.start.addr() == 6 * 4));
        let states = [0, 1].map(|replica| optimizer.state(replica).unwrap());
        let numbers = || states.iter().flat_map(|state| state.values()).filter(|tensor| tensor.dtype() == DType::F32).flat_map(|tensor| {
            let first = of(tensor).start;
            values(tensor).into_iter().enumerate().map(move |(i, value)| (first.wrapping_add(i), value))
        });
        let old: Vec<(*const f32, f32)> = numbers().collect();
        let g = gradient(before);
        optimizer.update_part(0, 1, 0, &g[6..10]).unwrap();
        optimizer.update_part(0, 1, 4, &g[10..]).unwrap();
        for ((place, old), (_, new)) in old.into_iter().zip(numbers()) {
            prop_assert!(old == new || named[1..].iter().any(|range| range.contains(&place)), "{old} became {new}");
        }
    }

    #[test]
    fn a_restored_optimizer_goes_on_as_the_first_would(rule in any_rule(), before in 0usize..9, after in 1usize..9) {
        let config = OptimizerConfig { steps_per_epoch: 3, ..OptimizerConfig::uniform(constant(rule, 0.02), 1) };
        let (w, b) = start().unwrap();
        let mut optimizer = GroupedOptimizer::new(vec![w.clone(), b.clone()], config).unwrap();
        descend(&mut optimizer, &w, &b, before).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        candle_core::safetensors::save(&optimizer.state(0).unwrap(), file.path()).unwrap();
        let (w2, b2) = (Var::from_tensor(&w.copy().unwrap()).unwrap(), Var::from_tensor(&b.copy().unwrap()).unwrap());
        descend(&mut optimizer, &w, &b, after).unwrap();

        let mut second = GroupedOptimizer::new(vec![w2.clone(), b2.clone()], config).unwrap();
        second.restore(&[&candle_core::safetensors::load(file.path(), &Device::Cpu).unwrap()]).unwrap();
        prop_assert_eq!(second.updates(), before as u64);
        descend(&mut second, &w2, &b2, after).unwrap();
        prop_assert_eq!((values(&w), values(&b)), (values(&w2), values(&b2)));
    }

    /// The window kept without subtraction against a plain sum over it.
    #[test]
    fn adadecs_window_is_the_sum_of_the_last_tau(tau in 1u64..9, g in proptest::collection::vec(-3f64..3.0, 1..40)) {
        let rule = Rule::Adadec(Adadec { k: 0.5, gamma: 0.9, tau });
        let (mut w, mut sum) = (1.0, 0.0);
        for t in 0..g.len() {
            let window: f64 = g[..=t].iter().rev().take(tau as usize).map(|g| g * g).sum();
            sum = 0.9 * sum + window / tau as f64;
            w -= 0.1 * g[t] / (0.5 + sum).sqrt();
        }
        let found = step_scalar(&rule, &Schedule::Constant { learning_rate: 0.1 }, 1.0, &g);
        prop_assert!((found - w).abs() < 1e-12, "{found} {w}");
    }
}

#[test]
fn replicas_may_have_different_rules() -> Result<()> {
    let w = Var::ones((2, 3), DType::F32, &Device::Cpu)?;
    let param = Param {
        name: "w".into(),
        kind: ParamKind::Weight,
        var: w.clone(),
    };
    let configs = [
        constant(Rule::Sgd(Sgd {}), 0.1),
        constant(Rule::Adagrad(Adagrad::default()), 0.1),
    ];
    let configs = configs
        .map(|group| OptimizerConfig::uniform(group, 1))
        .to_vec();
    let mut optimizer = GroupedOptimizer::for_replicas(vec![param], configs)?;
    optimizer.update(&[w.ones_like()?])?;
    assert_eq!(
        values(&w),
        [[0.9f32; 3], [1.0 - 0.1 / 2f32.sqrt(); 3]].concat()
    );
    Ok(())
}

#[test]
fn weights_and_biases_are_told_apart_by_rank() -> Result<()> {
    let (w, b) = start()?;
    let config = OptimizerConfig {
        weights: constant(Rule::Sgd(Sgd {}), 0.0),
        biases: constant(Rule::Sgd(Sgd {}), 0.1),
        steps_per_epoch: 1,
    };
    descend(
        &mut GroupedOptimizer::new(vec![w.clone(), b.clone()], config)?,
        &w,
        &b,
        1,
    )?;
    assert_eq!(values(&w), values(&start()?.0));
    assert_ne!(values(&b), values(&start()?.1));
    Ok(())
}

#[test]
fn the_learning_rate_is_the_weights_and_scales_both() -> Result<()> {
    let (w, b) = start()?;
    let power = Schedule::Power {
        learning_rate: 0.4,
        r: 1.0,
        c: 1.0,
        per: Per::Update,
    };
    let config = OptimizerConfig {
        weights: GroupConfig {
            rule: Rule::Sgd(Sgd {}),
            schedule: power,
        },
        biases: constant(Rule::Sgd(Sgd {}), 0.3),
        steps_per_epoch: 1,
    };
    let mut optimizer = GroupedOptimizer::new(vec![w.clone(), b.clone()], config)?;
    assert_eq!(optimizer.learning_rate(), 0.4);
    descend(&mut optimizer, &w, &b, 1)?;
    assert_eq!(optimizer.learning_rate(), 0.2);
    optimizer.set_learning_rate(0.1);
    assert_eq!(optimizer.learning_rate(), 0.1);
    assert_eq!(optimizer.group_learning_rate(0, ParamKind::Bias), 0.15);
    Ok(())
}

fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
    // candle appends a backtrace where RUST_BACKTRACE is set.
    result
        .unwrap_err()
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn errors_name_the_parameter_and_the_constant() -> Result<()> {
    let (w, b) = start()?;
    let new = |group| {
        GroupedOptimizer::new(
            vec![w.clone(), b.clone()],
            OptimizerConfig::uniform(group, 1),
        )
    };
    let cases = [
        (
            constant(Rule::AdamixW3(AdamixW3 { k: 0.5 }), 0.1),
            "weights: k = 0.5: must be finite and at least 1",
        ),
        (
            constant(
                Rule::Adagrad(Adagrad {
                    k: 0.0,
                    initial_accumulator: 0.0,
                }),
                0.1,
            ),
            "weights: k = 0: must be finite and above 0, in f32 too",
        ),
        (
            constant(Rule::Momentum(Momentum { beta: 1.0 }), 0.1),
            "weights: beta = 1: must be at least 0 and below 1, in f32 too",
        ),
        (
            constant(
                Rule::Adadec(Adadec {
                    tau: 0,
                    ..Adadec::default()
                }),
                0.1,
            ),
            "weights: tau = 0: must be finite and at least 1",
        ),
        (
            constant(Rule::Sgd(Sgd {}), f64::NAN),
            "weights: learning-rate = NaN: must be finite and at least 0",
        ),
    ];
    for (group, expected) in cases {
        assert_eq!(message(new(group)), expected);
    }
    let mut optimizer = new(constant(Rule::Adagrad(Adagrad::default()), 0.1))?;
    let loss = w.sqr()?.sum_all()?;
    assert_eq!(
        message(optimizer.backward_step(&loss)),
        "parameter `1` of shape [2] has no gradient"
    );
    assert_eq!(values(&w), values(&start()?.0), "nothing was changed");
    assert!(
        message(optimizer.update(&[b.as_tensor().clone(), b.as_tensor().clone()]))
            .starts_with("parameter `0` has shape [3, 2]")
    );
    assert_eq!(
        message(optimizer.restore(&[&HashMap::new()])),
        "the optimizer's state lacks `updates`"
    );
    Ok(())
}

#[test]
fn configurations_refuse_unknown_keys() {
    let parse = |text: &str| serde_json::from_str::<GroupConfig>(text).map_err(|e| e.to_string());
    assert!(
        parse(r#"{"rule": "adadec", "schedule": {"kind": "constant", "learning-rate": 0.1}}"#)
            .is_ok()
    );
    let error = parse(
        r#"{"rule": "adadec", "gama": 1, "schedule": {"kind": "constant", "learning-rate": 0.1}}"#,
    )
    .unwrap_err();
    assert!(
        error.contains("unknown field `gama`") && error.contains("`gamma`"),
        "{error}"
    );
    let error =
        parse(r#"{"rule": "adadek", "schedule": {"kind": "constant", "learning-rate": 0.1}}"#)
            .unwrap_err();
    assert!(error.contains("unknown variant `adadek`"), "{error}");
    let error =
        parse(r#"{"rule": "sgd", "schedule": {"kind": "constant", "learning-rate": 0.1, "r": 1}}"#)
            .unwrap_err();
    assert!(error.contains("unknown field `r`"), "{error}");
}

#[test]
fn counted_costs() {
    let cost = |rule: Rule| {
        let cost = rule.cost(600);
        (
            cost.additions,
            cost.multiplications,
            cost.divisions,
            cost.square_roots,
            cost.loads,
            cost.stores,
            cost.state,
        )
    };
    assert_eq!(cost(Rule::Sgd(Sgd {})), (1.0, 1.0, 0.0, 0.0, 2.0, 1.0, 0.0));
    assert_eq!(
        cost(Rule::Adagrad(Adagrad::default())),
        (3.0, 2.0, 1.0, 1.0, 3.0, 2.0, 1.0)
    );
    assert_eq!(
        cost(Rule::Adadec(Adadec::default())),
        (3.0, 3.0, 1.0, 1.0, 3.0, 2.0, 1.0)
    );
    assert_eq!(
        cost(Rule::AdamixW1(AdamixW1::default())),
        (2.0, 2.0, 1.0, 1.0, 2.0, 1.0, 0.0)
    );
    // W4 reads the gradient twice; its root is one a tensor.
    assert_eq!(
        cost(Rule::AdamixW4(AdamixW4::default())),
        (2.0, 2.0, 0.0, 0.0, 3.0, 1.0, 0.0)
    );
    assert_eq!(cost(Rule::Adam(Adam::default())).6, 2.0);
    // The window of 200: S and the running sum read and written, a place of
    // the ring written, a suffix sum read 199 times of 200, and once in 200
    // the running sum cleared and 198 suffix sums formed from 199 values.
    let window = cost(Rule::Adadec(Adadec {
        tau: 200,
        ..Adadec::default()
    }));
    let blocks = 1.0 / 200.0;
    assert_eq!(window.6, 202.0);
    assert!(
        (window.4 - (4.0 + 199.0 * blocks + 199.0 * blocks)).abs() < 1e-9,
        "{window:?}"
    );
    assert!(
        (window.5 - (4.0 + 1.0 * blocks + 198.0 * blocks)).abs() < 1e-9,
        "{window:?}"
    );
    // W2 divides once an epoch.
    assert!((cost(Rule::AdamixW2(AdamixW2::default())).2 - (1.0 + 1.0 / 600.0)).abs() < 1e-12);
}
