//! What becomes of records that are not as they should be.

use std::path::Path;

use adamix_record::{Backend, Line, Outcome, RunRecord, write_json};
use adamix_report::{Error, render};

use crate::study::{MadeUp, MadeUpProtocol, write_lines};

fn error(folder: &Path) -> String {
    render(folder).expect_err("no report").to_string()
}

fn page(folder: &Path) -> String {
    render(folder).expect("a report").html
}

/// A study in which AdaMix is 4 % better, so that C1 and C3 are clear.
fn better(seeds: u64) -> MadeUp {
    MadeUp::new(seeds, 4.3)
}

#[test]
fn a_damaged_line_is_named() {
    let study = better(3);
    let folder = study.write();
    let path = folder
        .path()
        .join(format!("runs/{}.jsonl", study.id("adagrad", 1)));
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines[3] = "{\"kind\": \"evalu";
    std::fs::write(&path, lines.join("\n")).unwrap();
    let message = error(folder.path());
    assert!(
        message.contains(&format!("{}:4:", path.display())),
        "{message}"
    );
    assert!(message.contains("run the experiment again"), "{message}");
}

#[test]
fn no_plan_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    assert!(error(folder.path()).contains("plan.json"));
}

#[test]
fn a_plan_that_lists_a_run_twice_is_refused() {
    let study = better(3);
    let folder = study.write();
    let mut plan = study.plan();
    let runs = &mut plan.protocols[0].runs;
    runs.push(runs[0].clone());
    write_json(&folder.path().join("plan.json"), &plan).unwrap();
    let message = error(folder.path());
    assert!(message.contains("plan.json"), "{message}");
    assert!(
        message.contains("arm `adamix`, seed 0 is listed twice"),
        "{message}"
    );
}

#[test]
fn two_records_of_one_run_are_refused() {
    let study = better(3);
    let folder = study.write();
    // The same settings, seed and data under another id: that of older numerics.
    let mut lines = study.lines(study.arm(0), 2);
    let Some(Line::Header(header)) = lines.first_mut() else {
        panic!("a header comes first");
    };
    header.semantics += 1;
    header.run_id = serde_json::from_str("\"0000000000000000\"").unwrap();
    write_lines(folder.path(), "jsonl", &lines);
    let result = render(folder.path());
    assert!(matches!(result, Err(Error::Duplicate { .. })), "{result:?}");
    let message = error(folder.path());
    assert!(message.contains("0000000000000000.jsonl"), "{message}");
    assert!(
        message.contains(study.id("adamix", 2).as_str()),
        "{message}"
    );
}

#[test]
fn a_record_that_the_plan_does_not_list_is_noted() {
    let study = better(3);
    let folder = study.write();
    let lines = study.lines(study.arm(0), 77);
    write_lines(folder.path(), "jsonl", &lines);
    let page = page(folder.path());
    assert!(
        page.contains("One record is in runs&#x2f;") || page.contains("One record is in runs/")
    );
    assert!(page.contains(study.id("adamix", 77).as_str()));
    assert!(!page.contains("<td class=\"number\">77</td>"));
}

#[test]
fn records_of_another_data_set_are_refused() {
    let study = better(3);
    let folder = study.write();
    let mut plan = study.plan();
    plan.data.name = "curves".into();
    plan.data.sha256 = "cd".repeat(32);
    write_json(&folder.path().join("plan.json"), &plan).unwrap();
    for name in ["anchors.json", "cost.json"] {
        let message = error(folder.path());
        assert!(
            message.contains(name) && message.contains("cdcd"),
            "{message}"
        );
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
    let message = error(folder.path());
    assert!(message.contains("data set is mnist"), "{message}");
    assert!(message.contains("plan.json says curves"), "{message}");
    assert!(message.contains("runs/"), "{message}");
}

#[test]
fn the_same_data_under_another_name_is_the_same_data() {
    let study = better(3);
    let folder = study.write();
    let mut plan = study.plan();
    plan.data.name = "mnist-again".into();
    write_json(&folder.path().join("plan.json"), &plan).unwrap();
    page(folder.path());
}

#[test]
fn runs_of_a_seed_that_do_not_share_their_start_are_refused() {
    let study = better(3);
    let folder = study.write();
    let run = &study.plan().protocols[0].runs[4];
    let path = folder.path().join(format!("runs/{}.jsonl", run.run_id));
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, after) = text
        .split_once("\"test_error\":")
        .or(text.split_once("\"test-error\":"))
        .unwrap();
    let key = &text[before.len()..text.len() - after.len()];
    std::fs::write(&path, format!("{before}{key}1{after}")).unwrap();
    let message = error(folder.path());
    assert!(
        message.contains("test error before the first update"),
        "{message}"
    );
    assert!(message.contains("must share their start"), "{message}");
}

#[test]
fn a_cost_table_of_another_version_of_the_experiment_is_refused() {
    let study = better(3);
    let folder = study.write();
    let mut plan = study.plan();
    plan.protocols[0].hash = "ef".repeat(32);
    write_json(&folder.path().join("plan.json"), &plan).unwrap();
    let message = error(folder.path());
    assert!(
        message.contains("cost.json") && message.contains("protocols"),
        "{message}"
    );
}

#[test]
fn records_of_other_settings_are_refused() {
    let study = better(3);
    let folder = study.write();
    let mut plan = study.plan();
    plan.protocols[0].arms[1].weights["k"] = 0.01.into();
    write_json(&folder.path().join("plan.json"), &plan).unwrap();
    let message = error(folder.path());
    assert!(message.contains("plan.json says weights"), "{message}");
}

#[test]
fn mixed_backends_are_refused() {
    let study = better(3);
    let folder = study.write();
    let mut plan = study.plan();
    let header = study.header(study.arm(1), 1, Backend::Cuda);
    let planned = plan.protocols[0]
        .runs
        .iter_mut()
        .find(|r| r.arm == "adagrad" && r.seed == 1);
    planned.unwrap().run_id = header.run_id.clone();
    let mut lines = study.lines(study.arm(1), 1);
    lines[0] = Line::Header(header);
    write_lines(folder.path(), "jsonl", &lines);
    write_json(&folder.path().join("plan.json"), &plan).unwrap();
    let message = error(folder.path());
    assert!(message.contains("backend is cuda"), "{message}");
    assert!(message.contains("says cpu"), "{message}");
}

#[test]
fn a_completed_record_of_too_few_epochs_is_refused() {
    let study = better(3);
    let folder = study.write_with("adadec", 0, 4, Outcome::Completed);
    let message = error(folder.path());
    assert!(message.contains("number of epochs is 4"), "{message}");
}

#[test]
fn anchors_and_costs_of_something_else_are_refused() {
    let study = better(3);
    let folder = study.write();
    let path = folder.path().join("anchors.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("c0ffee", "c0ffef")).unwrap();
    assert!(error(folder.path()).contains("anchors.json: data-sha256 is c0ffef"));

    let folder = study.write();
    let path = folder.path().join("cost.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("common/adadec", "common/other")).unwrap();
    assert!(error(folder.path()).contains("cost.json: arm is `common/other`"));
}

#[test]
fn pictures_of_a_wrong_size_are_refused() {
    let study = better(3);
    let folder = study.write();
    let mut lines = study.lines(study.arm(0), 0);
    for line in &mut lines {
        if let Line::Samples(samples) = line {
            samples.image_shape = [28, 27];
        }
    }
    write_lines(folder.path(), "jsonl", &lines);
    let message = error(folder.path());
    assert!(
        message.contains("784 pixels for 28 rows of 27"),
        "{message}"
    );
}

#[test]
fn a_diverged_run_counts_with_the_mean_image() {
    let study = better(10);
    let folder = study.write_with("adamix", 4, 2, Outcome::Diverged { epoch: 2 });
    let page = page(folder.path());
    assert!(page.contains("diverged at epoch 2; counts with the mean image&#x27;s error"));
    assert!(page.contains("9 completed, 1 diverged"));
    // (9 x about 4.3 + 52.9) / 10
    assert!(
        page.contains("data-runs=\"0-9\"><span lang=\"en\">9.1"),
        "the mean holds 52.9"
    );
}

#[test]
fn an_error_above_the_mean_image_is_a_divergence() {
    let mut study = better(10);
    study.arms()[1].error = 60.0;
    let page = page(study.write().path());
    assert!(page.contains("10 diverged"));
}

#[test]
fn without_anchors_a_diverged_run_makes_no_verdict() {
    let mut study = better(10);
    study.anchors = false;
    let folder = study.write_with("adagrad", 4, 2, Outcome::Diverged { epoch: 2 });
    let report = render(folder.path()).unwrap();
    assert!(report.summary.contains("no verdict"), "{}", report.summary);
    assert!(
        report
            .summary
            .contains("1 run of AdaGrad diverged and counts with")
    );
    assert!(report.html.contains("anchors.json is missing"));
    assert!(report.html.contains("cannot count"));
    // The other nine alone would make AdaGrad look better than it is.
    let row = report
        .html
        .split("<th scope=\"row\">AdaGrad</th>")
        .nth(1)
        .unwrap();
    assert!(row.contains("<td class=\"number\">\u{2013}</td><td class=\"number\">0</td>"));
}

#[test]
fn failed_missing_and_running_runs_are_shown() {
    let study = better(12);
    let why = "out of memory".to_owned();
    let folder = study.write_with("adamix", 1, 2, Outcome::Failed { why });
    let record = |arm, seed, extension| {
        let id = study.id(arm, seed);
        folder.path().join(format!("runs/{id}.{extension}"))
    };
    std::fs::remove_file(record("adagrad", 3, "jsonl")).unwrap();
    std::fs::remove_file(record("adadec", 5, "jsonl")).unwrap();
    let arm = study.arm(2);
    write_lines(folder.path(), "partial", &study.first_lines(arm, 5, 3));
    // A last line cut short is what an interrupted writer leaves.
    let partial = record("adadec", 5, "partial");
    let mut text = std::fs::read_to_string(&partial).unwrap();
    text.push_str("{\"kind\":");
    std::fs::write(&partial, text).unwrap();

    let report = render(folder.path()).unwrap();
    let page = report.html;
    assert!(page.contains("failed: out of memory"));
    assert!(page.contains("running, or interrupted; 3 of 6 epochs"));
    assert!(page.contains("11 completed, 1 missing"));
    assert!(page.contains("only those that ended in both arms are compared"));
    assert!(page.contains("Provisional: of 12 planned seeds not all have ended, "));
    let line = "48 runs planned: 45 completed, 1 failed, 1 still running, 1 missing";
    assert!(page.contains(line));
    assert!(report.summary.contains(line), "{}", report.summary);
    // Seeds 1 and 3, then 1 and 5 are out: ten pairs, which are enough.
    assert!(report.summary.contains("reproduced"), "{}", report.summary);
}

#[test]
fn nothing_run_yet_is_a_page_too() {
    let study = better(10);
    let folder = study.write();
    std::fs::remove_dir_all(folder.path().join("runs")).unwrap();
    std::fs::remove_file(folder.path().join("anchors.json")).unwrap();
    std::fs::remove_file(folder.path().join("cost.json")).unwrap();
    let report = render(folder.path()).unwrap();
    assert!(report.html.contains("40 missing"));
    assert!(report.html.contains("Not measured yet: the file cost.json"));
    assert!(report.figures.is_empty());
}

#[test]
fn a_finished_record_wins_over_its_partial() {
    let study = better(3);
    let folder = study.write();
    let before = render(folder.path()).unwrap();
    let lines = study.first_lines(study.arm(0), 0, 2);
    write_lines(folder.path(), "partial", &lines);
    // And one that was opened a moment ago does no harm.
    let path = folder.path().join("runs/0123456789abcdef.partial");
    std::fs::write(path, "{\"kind\":\"hea").unwrap();
    assert_eq!(render(folder.path()).unwrap(), before);
}

#[test]
fn made_up_records_are_records() {
    let study = better(1);
    let folder = study.write();
    let path = format!("runs/{}.jsonl", study.id("adamix", 0));
    let record = RunRecord::read(&folder.path().join(path)).unwrap();
    assert_eq!(record.evaluations.len(), 7);
}

/// A study whose settings were chosen by tuning.
fn tuned() -> MadeUp {
    let tuned = MadeUpProtocol::tuned("tuned", "Tuned protocol", 10, 4.3);
    MadeUp::of(vec![tuned])
}

/// The first tuning record of AdaGrad, changed.
fn change_tuning_record(folder: &Path, study: &MadeUp, change: impl Fn(&mut Line)) {
    let plan = study.plan();
    let tuning = plan.protocols[0].tuning.as_ref().expect("a tuned protocol");
    let id = &tuning.arms[1].candidates[2].runs[0].run_id;
    let path = folder.join(format!("runs/{id}.jsonl"));
    let text = std::fs::read_to_string(path).expect("a record");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line"));
    let mut lines: Vec<Line> = lines.collect();
    lines.iter_mut().for_each(change);
    write_lines(folder, "jsonl", &lines);
}

#[test]
fn tuning_is_read_apart_from_the_runs() {
    let study = tuned();
    let report = render(study.write().path()).unwrap();
    let line = "40 runs planned: 40 completed; 96 tuning runs planned: 32 completed, 56 stopped \
                early, 8 diverged";
    assert!(report.summary.contains(line), "{}", report.summary);
    assert!(report.html.contains("not kept after epoch 2"));
}

#[test]
fn a_tuning_run_that_saw_test_images_is_refused() {
    let study = tuned();
    let folder = study.write();
    change_tuning_record(folder.path(), &study, |line| {
        if let Line::Evaluation(line) = line {
            line.test_error = Some(4.0);
        }
    });
    let message = error(folder.path());
    assert!(message.contains("test error is 4"), "{message}");
    assert!(message.contains("may see no test image"), "{message}");
}

#[test]
fn a_validation_error_in_a_run_is_refused() {
    let study = better(3);
    let folder = study.write();
    let mut lines = study.lines(study.arm(1), 0);
    for line in &mut lines {
        if let Line::Evaluation(line) = line {
            line.validation_error = Some(4.0);
        }
    }
    write_lines(folder.path(), "jsonl", &lines);
    let message = error(folder.path());
    assert!(message.contains("validation error is 4"), "{message}");
}

#[test]
fn only_tuning_runs_are_stopped() {
    let study = better(3);
    let folder = study.write_with("adagrad", 1, 4, Outcome::Stopped { epoch: 4 });
    let message = error(folder.path());
    assert!(
        message.contains("only a tuning run may be stopped"),
        "{message}"
    );
}

#[test]
fn a_stopped_record_must_have_the_epochs_it_says() {
    let study = tuned();
    let folder = study.write();
    change_tuning_record(folder.path(), &study, |line| {
        if let Line::End(line) = line {
            line.outcome = Outcome::Stopped { epoch: 3 };
        }
    });
    let message = error(folder.path());
    assert!(
        message.contains("it says `stopped` at epoch 3"),
        "{message}"
    );
}

#[test]
fn tuning_records_of_other_settings_are_refused() {
    let study = tuned();
    let folder = study.write();
    let mut plan = study.plan();
    let tuning = plan.protocols[0].tuning.as_mut().unwrap();
    tuning.settings["fine-tuning"]["epochs"] = 7.into();
    write_json(&folder.path().join("plan.json"), &plan).unwrap();
    let message = error(folder.path());
    assert!(message.contains("plan.json says protocol"), "{message}");
}

#[test]
fn a_tuning_seed_of_the_protocol_is_refused() {
    let study = tuned();
    let folder = study.write();
    let mut plan = study.plan();
    plan.protocols[0].seeds.push(101);
    write_json(&folder.path().join("plan.json"), &plan).unwrap();
    let message = error(folder.path());
    assert!(message.contains("tuning seed is 101"), "{message}");
}

#[test]
fn a_choice_that_is_not_the_arms_is_refused() {
    let study = tuned();
    let folder = study.write();
    let mut plan = study.plan();
    let tuning = plan.protocols[0].tuning.as_mut().unwrap();
    tuning.arms[0].chosen = Some(0);
    write_json(&folder.path().join("plan.json"), &plan).unwrap();
    let message = error(folder.path());
    assert!(message.contains("chosen candidate is 0"), "{message}");
}

#[test]
fn an_arm_in_tuning_makes_no_verdict_and_says_so() {
    let mut study = tuned();
    study.protocols[0].chosen = false;
    let report = render(study.write().path()).unwrap();
    assert!(
        report.summary.contains("tuned, not yet chosen"),
        "{}",
        report.summary
    );
    assert!(report.summary.contains("are not chosen: "));
    // What an update costs is known before.
    assert!(report.summary.contains("reproduced"), "{}", report.summary);
    assert!(report.html.contains("Nothing to show yet: "));
    let more = "40 runs more when their settings are chosen";
    assert!(report.summary.contains(more), "{}", report.summary);
}

#[test]
fn one_arm_beside_others_in_tuning_is_not_drawn_alone() {
    let study = tuned();
    let folder = study.write();
    let drawn = |page: &str| page.contains("<figure id=\"error-curves");
    assert!(drawn(&render(folder.path()).unwrap().html));
    let mut plan = study.plan();
    let protocol = &mut plan.protocols[0];
    protocol.runs.retain(|run| run.arm == "adamix");
    let tuning = protocol.tuning.as_mut().unwrap();
    let others = tuning.arms.iter_mut().filter(|arm| arm.arm != "adamix");
    others.for_each(|arm| arm.chosen = None);
    write_json(&folder.path().join("plan.json"), &plan).unwrap();
    let page = render(folder.path()).unwrap().html;
    assert!(!drawn(&page));
    assert!(page.contains("<figure id=\"tuning-rates"));
}

#[test]
fn what_was_measured_is_part_of_the_report_s_id() {
    let study = MadeUp::new(10, 4.3);
    let folder = study.write();
    let cited = || {
        let page = render(folder.path()).unwrap().html;
        let (_, rest) = page.split_once("@misc{adamix-").expect("a citation");
        rest[..16].to_owned()
    };
    let before = cited();
    for name in ["anchors.json", "cost.json"] {
        let path = folder.path().join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text} ")).unwrap();
        assert_ne!(cited(), before, "{name}");
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(cited(), before);
}

#[test]
fn a_reading_that_no_detail_lists_is_refused() {
    let study = MadeUp::readings(3);
    let folder = study.write();
    let mut plan = study.plan();
    let readings = &mut plan.protocols[1].readings;
    readings.insert("k".into(), "17".into());
    write_json(&folder.path().join("plan.json"), &plan).unwrap();
    let message = error(folder.path());
    assert!(message.contains("for detail `k`"), "{message}");
}

#[test]
fn a_claim_that_cannot_decide_is_refused() {
    let mut study = better(3);
    study.claims[0].confidence = 1.5;
    let message = error(study.write().path());
    assert!(message.contains("confidence is 1.5"), "{message}");
    assert!(message.contains("claim `C1`"), "{message}");
}

#[test]
fn costs_without_the_machines_own_peaks_have_no_roof() {
    let folder = MadeUp::new(10, 4.3).write();
    let with = render(folder.path()).unwrap();
    let roofed = &with.figures["roofline.svg"];
    let path = folder.path().join("cost.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut cost: serde_json::Value = serde_json::from_str(&text).unwrap();
    cost.as_object_mut().unwrap().remove("ceilings").unwrap();
    std::fs::write(&path, cost.to_string()).unwrap();
    let without = render(folder.path()).unwrap();
    assert!(with.html.contains("The solid line is the roof"));
    assert!(!with.html.contains("no roof is drawn"));
    assert!(without.html.contains("no roof is drawn"));
    // The one thick line that is whole and nobody's.
    let thick = "fill=\"none\" stroke=\"#1b1b1b\" stroke-width=\"8\"";
    let lines = |svg: &[u8]| String::from_utf8_lossy(svg).matches(thick).count();
    assert_eq!(lines(roofed), 1);
    assert_eq!(lines(&without.figures["roofline.svg"]), 0);
}

#[test]
fn times_of_another_program_than_the_records_are_said_to_be() {
    let folder = MadeUp::new(10, 4.3).write();
    let other = "another program than wrote some of the records";
    let html = render(folder.path()).unwrap().html;
    assert!(html.contains("Timed by the program of commit 0123abc (2026-11-24) on"));
    assert!(!html.contains(other));
    let path = folder.path().join("cost.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("0123abc", "4567def")).unwrap();
    assert!(render(folder.path()).unwrap().html.contains(other));
}
