//! The page of all reports, and two reports of one experiment.

use adamix_record::{End, Line, Outcome};
use adamix_report::{Error, compare, index, render};

use crate::languages::only;
use crate::study::{MadeUp, write_lines};

/// Writes records of one arm anew, their errors times `factor`.
fn change(study: &MadeUp, folder: &std::path::Path, arm: usize, factor: f64) {
    let arm = study.arm(arm);
    for seed in 0..study.protocols[0].seeds {
        let mut lines = study.lines(arm, seed);
        for line in &mut lines {
            match line {
                Line::Evaluation(e) if e.epoch > 0 => {
                    e.test_error = e.test_error.map(|e| e * factor)
                }
                Line::End(End { weights_sha256, .. }) => *weights_sha256 = Some("cd".repeat(32)),
                _ => {}
            }
        }
        write_lines(folder, "jsonl", &lines);
    }
}

#[test]
fn what_changed_is_told_from_noise() {
    let study = MadeUp::new(10, 4.3);
    let (first, second) = (study.write(), study.write());
    let same = compare(first.path(), second.path()).expect("a comparison");
    assert_eq!(same.summary.matches(": the same, to the bit\n").count(), 4);
    assert_eq!(same, compare(first.path(), second.path()).expect("again"));

    // Seeds differ by about half a per cent.
    change(&study, second.path(), 0, 1.0001);
    change(&study, second.path(), 1, 0.9);
    change(&study, second.path(), 2, 1.0);
    study.end_otherwise(
        second.path(),
        "control",
        3,
        2,
        Outcome::Diverged { epoch: 2 },
    );
    let changed = compare(first.path(), second.path()).expect("a comparison");
    for line in [
        "AdaMix (W1 + B1): changed, within noise",
        "AdaGrad: changed, beyond noise",
        "AdaDec: the same errors, other weights",
        "SGD + B1 (control): 1 run ended otherwise",
        "C1, lower reconstruction error: reproduced, then contradicted",
    ] {
        assert!(
            changed.summary.contains(line),
            "{line}: {}",
            changed.summary
        );
    }
    let page = only("en", &changed.html);
    assert!(page.contains("changed, beyond noise"));
    assert!(only("zh-Hans", &changed.html).contains("有变化，超出噪声"));
}

#[test]
fn other_experiments_are_not_compared() {
    let mut study = MadeUp::new(3, 4.3);
    study.cost = false;
    let (first, second) = (study.write(), study.write());
    let path = second.path().join("plan.json");
    let mut plan = study.plan();
    plan.name = "another".into();
    plan.protocols[0].hash = "0".repeat(64);
    adamix_record::write_json(&path, &plan).expect("written");
    let Err(Error::Mixed { key, remedy, .. }) = compare(first.path(), second.path()) else {
        panic!("compared");
    };
    assert_eq!(
        (key, remedy),
        ("name", "give two reports of one experiment")
    );
}

#[test]
fn the_index_lists_every_folder_and_hides_none() {
    let reports = tempfile::tempdir().expect("a folder");
    let place = |name: &str, study: &MadeUp| {
        let folder = reports.path().join(name);
        std::fs::rename(study.write().keep(), &folder).expect("moved");
        folder
    };
    let rendered = place("b", &MadeUp::new(10, 4.3));
    let report = render(&rendered).expect("a report");
    report.write(&rendered).expect("written");
    place("a", &MadeUp::new(10, 4.3));
    let broken = place("c", &MadeUp::new(3, 4.3));
    std::fs::write(broken.join("plan.json"), "{").expect("written");
    std::fs::create_dir(reports.path().join("no-report")).expect("made");

    let page = index(reports.path()).expect("an index");
    assert_eq!(page, index(reports.path()).expect("again"));
    let english = only("en", &page);
    assert!(english.contains("<a href=\"b/index.html\">AdaMix beside AdaGrad and AdaDec</a>"));
    assert!(!english.contains("a/index.html"));
    assert!(english.contains("Its records cannot be read: "));
    assert!(!english.contains("no-report"));
    for part in [
        "reproduced",
        "40 runs planned: 40 completed",
        "Made-up CPU at 3 GHz",
        "0123abc",
    ] {
        assert!(english.matches(part).count() > 1, "{part}");
    }
    // The two of one experiment are compared.
    assert_eq!(english.matches("the same, to the bit").count(), 4);
    assert!(only("zh-Hans", &page).contains("完全相同，逐位一致"));
}
