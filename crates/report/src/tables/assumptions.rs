use adamix_record::{Role, Text, text};
use serde_json::Value;

use super::{Table, words};
use crate::load::{ArmRuns, Experiment, Study};
use crate::number::{exact, in_a_row};

/// One detail: its name, what was run, all readings, how sure it is.
type Row = [Text; 4];

/// The readings that were run, in plain words, beside all that the
/// abstract leaves open.
pub(crate) fn assumptions(experiment: &Experiment) -> Table {
    let mut table = Table::new(
        "assumptions",
        text!(
            "Details that the paper's abstract leaves open, and the readings that these runs \
             chose. W1 to W5 are readings of the weights' rate, B1 to B4 of the biases'. Here g \
             is the gradient of the loss for the current mini-batch, eta the base learning rate, \
             K the constant under the root, and t the time, counted from 0.",
            "论文摘要未说明的细节，以及这些运行所取的解读。W1 至 W5 是连接权重学习率的解读，B1 至 B4 \
             是偏置学习率的解读。g 为损失对当前小批量的梯度，eta 为基础学习率，K 为根号下的常数，t \
             为时间，从 0 计起。"
        ),
        vec![
            words(text!("detail", "细节")),
            words(text!("what was run", "实际所用")),
            words(text!("all readings", "全部解读")),
            words(text!("how sure", "可靠程度")),
        ],
    );
    let mut all: Vec<(Row, Vec<Text>)> = Vec::new();
    for study in experiment.headline() {
        for row in rows(study) {
            match all.iter_mut().find(|(found, _)| *found == row) {
                Some((_, protocols)) => protocols.push(study.label().clone()),
                None => all.push((row, vec![study.label().clone()])),
            }
        }
    }
    // The same detail of several protocols stands together.
    let order: Vec<Text> = all.iter().map(|(row, _)| row[0].clone()).collect();
    all.sort_by_key(|(row, _)| order.iter().position(|name| *name == row[0]));
    let headlines = experiment.headline().count();
    table.rows = all
        .into_iter()
        .map(|([detail, run, others, sure], protocols)| {
            let run = match protocols.len() {
                n if n == headlines => run,
                _ => {
                    let protocols = in_a_row(&protocols);
                    text!("{protocols}: {run}", "{protocols}：{run}", protocols, run)
                }
            };
            [detail, run, others, sure].map(Into::into).into()
        })
        .collect();
    table
}

fn rows(study: &Study) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |detail: Text, run: Text, others: Text, sure: Text| {
        rows.push([detail, run, others, sure]);
    };
    let formulas = || {
        text!(
            "Inferred: only the abstract is known, and it has no formula.",
            "推断：只知道摘要，摘要中没有公式。"
        )
    };
    let unknown = || text!("Not known.", "未知。");

    for arm in study.arms.iter().filter(|a| a.arm.role == Role::Adamix) {
        let (weights, biases) = (&arm.arm.weights, &arm.arm.biases);
        let rule = weights["rule"].as_str().unwrap_or_default();
        add(
            text!("AdaMix, rate of the weights", "AdaMix，连接权重的学习率"),
            weight_reading(rule) + mark(rule == "adamix-w1", "W1"),
            text!(
                "W1 from the mini-batch's gradient; W2 from the mean gradient of the last whole \
                 epoch; W3 carried on from the previous rate; W4 one rate a tensor; W5 AdaGrad \
                 whose sum starts anew each epoch",
                "W1 取决于小批量的梯度；W2 取决于上一整轮的平均梯度；W3 由前一学习率递推；W4 \
                 每个张量一个学习率；W5 累加和每轮重新开始的 AdaGrad"
            ),
            text!(
                "Inferred: the Chinese abstract says \u{201c}only the current gradient\u{201d}, \
                 the English one \u{201c}the current epoch gradient\u{201d}.",
                "推断：中文摘要称“仅与当前梯度有关”，英文摘要称“the current epoch gradient”。"
            ),
        );
        let schedule = &biases["schedule"];
        let kind = schedule["kind"].as_str().unwrap_or_default();
        add(
            text!("AdaMix, rate of the biases", "AdaMix，偏置的学习率"),
            bias_reading(study, arm) + mark(kind == "power", "B1"),
            text!(
                "B1 power; B2 exponential; B3 their product; B4 power-exponential u(t)^v(t)",
                "B1 幂型；B2 指数型；B3 两者之积；B4 幂指数函数 u(t)^v(t)"
            ),
            text!(
                "Inferred: the abstract says \u{201c}power exponential\u{201d}, which can mean \
                 any of these.",
                "推断：摘要称“幂指数型”，可以指其中任何一种。"
            ),
        );
        add(
            text!("What t counts", "t 的计数单位"),
            match schedule["per"].as_str() {
                Some("update") => text!("mini-batches (the default)", "小批量（默认）"),
                Some("epoch") => text!(
                    "whole epochs (the default is mini-batches)",
                    "整轮（默认为小批量）"
                ),
                _ => text!("nothing: the rate is constant", "无：学习率为常数"),
            },
            text!("mini-batches; whole epochs", "小批量；整轮"),
            formulas(),
        );
    }
    let constants: Vec<(f64, &ArmRuns)> = study
        .arms
        .iter()
        .filter_map(|arm| Some((arm.arm.weights["k"].as_f64()?, arm)))
        .collect();
    if !constants.is_empty() {
        let fixed = |arm| !searched(study, arm, "k");
        let all_one = constants.iter().all(|(k, arm)| *k == 1.0 && fixed(arm));
        let constants: Vec<Text> = constants
            .iter()
            .map(|(k, arm)| {
                let label = arm.label();
                match fixed(arm) {
                    true => text!("{k} for {label}", "{label} 取 {k}", k = exact(*k), label),
                    false => text!(
                        "tuned, not yet chosen, for {label}",
                        "{label} 待调优选定",
                        label
                    ),
                }
            })
            .collect();
        let default = match all_one {
            true => text!(" (the default)", "（默认）"),
            false => text!(" (the default is 1 for all)", "（默认均为 1）"),
        };
        add(
            "K".into(),
            in_a_row(&constants) + default,
            text!("1; 0.01; 0.0001; 0.000001", "1；0.01；0.0001；0.000001"),
            text!(
                "K = 1 is in Senior et al. 2013 (second-hand); the paper's own value is not known.",
                "Senior 等 2013 取 K = 1（二手）；论文自己的取值未知。"
            ),
        );
    }
    let protocol = &study.protocol;
    add(
        text!("Gradient", "梯度"),
        stated(&protocol.settings, "gradient"),
        text!(
            "mean over the mini-batch (default); sum over it",
            "小批量上的平均（默认）；小批量上的总和"
        ),
        formulas(),
    );
    add(
        text!("Loss in fine-tuning", "反向微调的损失"),
        stated(&protocol.settings, "loss"),
        text!(
            "cross-entropy (default); squared error",
            "交叉熵（默认）；平方误差"
        ),
        text!(
            "Read in the code released with Hinton and Salakhutdinov 2006; AdaMix's own is not \
             known.",
            "查阅自随 Hinton 与 Salakhutdinov 2006 公开的代码；AdaMix 所用者未知。"
        ),
    );
    add(
        text!("Images a mini-batch", "每个小批量的图像数"),
        Text::from(protocol.batch_size.to_string()) + mark(protocol.batch_size == 100, "100"),
        text!("100; 1000", "100；1000"),
        unknown(),
    );
    let epochs = protocol.pre_training_epochs;
    add(
        text!("Pre-training, epochs a layer", "预训练，每层轮数"),
        Text::from(epochs.to_string()) + mark(epochs == 10, "10"),
        text!(
            "10 (released code); 50 (Science paper); none",
            "10（公开的代码）；50（Science 论文）；不预训练"
        ),
        unknown(),
    );
    for arm in study.arms.iter().filter(|a| a.arm.role == Role::Adadec) {
        if let Some(tau) = arm.arm.weights["tau"].as_u64() {
            add(
                text!(
                    "AdaDec, window tau in mini-batches",
                    "AdaDec，窗口 tau（小批量数）"
                ),
                Text::from(tau.to_string()) + mark(tau == 1, "1"),
                text!(
                    "1 (the usual shortened form); 200 (the original)",
                    "1（常用的简化形式）；200（原文）"
                ),
                text!(
                    "Inferred: 200 is our reading of Senior et al. 2013.",
                    "推断：200 是我们对 Senior 等 2013 的解读。"
                ),
            );
        }
    }
    rows
}

/// Says whether a reading is the default, and which is.
fn mark(is_default: bool, default: &str) -> Text {
    if is_default {
        text!(" (the default)", "（默认）")
    } else {
        text!(
            " (the default is {default})",
            "（默认为 {default}）",
            default
        )
    }
}

fn weight_reading(rule: &str) -> Text {
    match rule {
        "adamix-w1" => text!(
            "W1: eta / \u{221a}(K + g\u{b2}), per weight and mini-batch",
            "W1：eta / \u{221a}(K + g\u{b2})，逐权重、逐小批量"
        ),
        "adamix-w2" => text!(
            "W2: eta / \u{221a}(K + g\u{b2}) with the mean gradient of the last whole epoch",
            "W2：eta / \u{221a}(K + g\u{b2})，g 取上一整轮的平均梯度"
        ),
        "adamix-w3" => text!(
            "W3: the previous rate / \u{221a}(K + g\u{b2}), starting from eta",
            "W3：前一学习率 / \u{221a}(K + g\u{b2})，从 eta 开始"
        ),
        "adamix-w4" => text!(
            "W4: eta / \u{221a}(K + sum of g\u{b2}), one rate a tensor",
            "W4：eta / \u{221a}(K + g\u{b2} 之和)，每个张量一个学习率"
        ),
        "adamix-w5" => text!(
            "W5: AdaGrad whose sum of g\u{b2} starts anew each epoch",
            "W5：g\u{b2} 之和每轮重新开始的 AdaGrad"
        ),
        other => text!("the rule `{other}`", "规则 `{other}`", other),
    }
}

/// Whether a setting of the arm is still searched, so that its value in the
/// plan only holds the place.
fn searched(study: &Study, arm: &ArmRuns, name: &str) -> bool {
    let tried = study.in_tuning(arm);
    tried.is_some_and(|tried| tried.tuned.axes.iter().any(|axis| axis.name == name))
}

fn bias_reading(study: &Study, arm: &ArmRuns) -> Text {
    let schedule = &arm.arm.biases["schedule"];
    let number = |key: &str, symbol: &str| match schedule[key].as_f64() {
        Some(value) if !searched(study, arm, key) => exact(value),
        _ => symbol.to_owned(),
    };
    let (eta, r, c) = (
        number("learning-rate", "eta"),
        number("r", "r"),
        number("c", "c"),
    );
    match schedule["kind"].as_str().unwrap_or_default() {
        "power" => text!(
            "B1: power, {eta} (1 + t/r)^\u{2212}{c}, r = {r} epochs",
            "B1：幂型，{eta} (1 + t/r)^\u{2212}{c}，r = {r} 轮",
            eta,
            c,
            r,
        ),
        "exponential" => text!(
            "B2: exponential, {eta} \u{b7} 10^(\u{2212}t/r), r = {r} epochs",
            "B2：指数型，{eta} \u{b7} 10^(\u{2212}t/r)，r = {r} 轮",
            eta,
            r,
        ),
        "power-times-exponential" => text!(
            "B3: power times exponential, {eta} (1 + t/r)^\u{2212}{c} \u{b7} 10^(\u{2212}t/r), \
             r = {r} epochs",
            "B3：幂型与指数型之积，{eta} (1 + t/r)^\u{2212}{c} \u{b7} 10^(\u{2212}t/r)，r = {r} 轮",
            eta,
            c,
            r,
        ),
        "power-exponential" => text!(
            "B4: power-exponential, {eta} (1 + t/r)^(\u{2212}{c} t/r), r = {r} epochs",
            "B4：幂指数函数，{eta} (1 + t/r)^(\u{2212}{c} t/r)，r = {r} 轮",
            eta,
            c,
            r,
        ),
        "constant" => text!("a constant rate, {eta}", "常数学习率，{eta}", eta),
        other => text!("the schedule `{other}`", "策略 `{other}`", other),
    }
}

/// The value of the first `key` anywhere in the settings.
fn stated(settings: &Value, key: &str) -> Text {
    fn find<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
        match value {
            Value::Object(map) => map
                .get(key)
                .or_else(|| map.values().find_map(|value| find(value, key))),
            _ => None,
        }
    }
    let Some(value) = find(settings, key) else {
        return text!("not stated in the records", "记录中未载明");
    };
    match value.as_str() {
        Some("mean") => text!("mean", "平均"),
        Some("sum") => text!("sum", "总和"),
        Some("cross-entropy") => text!("cross-entropy", "交叉熵"),
        Some("squared-error") => text!("squared error", "平方误差"),
        Some(other) => other.into(),
        None => value.to_string().into(),
    }
}
