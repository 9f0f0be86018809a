//! What the page says: verdicts in words, tables, and the same bytes twice.

use adamix_record::Role;
use adamix_report::render;

use crate::languages::only;
use crate::study::{MadeUp, MadeUpArm, MadeUpProtocol};

/// The English text of the elements between two marks of the page.
fn text_between(page: &str, from: &str, to: &str) -> String {
    text_in("en", page, from, to)
}

/// The English text, then the Chinese.
fn both_between(page: &str, from: &str, to: &str) -> String {
    let [en, zh] = ["en", "zh-Hans"].map(|language| text_in(language, page, from, to));
    format!("{en}\n\n{zh}")
}

/// The text in one language between two marks of the English page.
fn text_in(language: &str, page: &str, from: &str, to: &str) -> String {
    let mark = |mark: &str, page: &str| {
        let bilingual = mark.replacen('>', "><span lang=\"en\">", 1);
        let found = page.find(mark).or_else(|| page.find(&bilingual));
        found.unwrap_or_else(|| panic!("{mark}"))
    };
    let start = mark(from, page);
    let end = start + mark(to, &page[start..]);
    let page = only(language, &page[start..end]);
    let mut text = String::new();
    let mut in_tag = false;
    for c in page.chars() {
        match c {
            '<' => in_tag = true,
            '>' => {
                in_tag = false;
                text.push(' ');
            }
            c if !in_tag => text.push(c),
            _ => {}
        }
    }
    let text = text.replace("&#x27;", "'").replace("&#x2f;", "/");
    let lines = text
        .lines()
        .map(|line| line.split(' ').filter(|w| !w.is_empty()));
    let lines = lines.map(|words| words.collect::<Vec<_>>().join(" "));
    let lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

fn findings(study: &MadeUp) -> String {
    let report = render(study.write().path()).expect("a report");
    let findings = both_between(&report.html, "<h2 id=\"findings-heading\"", "</section>");
    format!("{}\n{findings}", report.summary)
}

#[test]
fn reproduced() {
    insta::assert_snapshot!(findings(&MadeUp::new(10, 4.3)));
}

#[test]
fn contradicted() {
    let mut study = MadeUp::new(10, 4.8);
    study.arms()[0].nanoseconds = 0.9;
    insta::assert_snapshot!(findings(&study));
}

#[test]
fn no_practical_difference() {
    let mut study = MadeUp::new(10, 4.5);
    study.arms()[2].error = 4.502;
    study.arms()[0].nanoseconds = 0.8;
    insta::assert_snapshot!(findings(&study));
}

#[test]
fn undecided() {
    let mut study = MadeUp::new(10, 4.42);
    study.arms()[0].noise = 0.3;
    insta::assert_snapshot!(findings(&study));
}

#[test]
fn undecided_whatever_the_number_of_seeds() {
    let mut study = MadeUp::new(10, 4.3);
    study.arms()[2].error = 4.3;
    insta::assert_snapshot!(findings(&study));
}

#[test]
fn too_few_seeds() {
    let mut study = MadeUp::new(3, 4.3);
    study.cost = false;
    insta::assert_snapshot!(findings(&study));
}

#[test]
fn one_seed() {
    insta::assert_snapshot!(findings(&MadeUp::new(1, 4.3)));
}

#[test]
fn a_missing_role_makes_no_verdict() {
    let mut study = MadeUp::new(10, 4.3);
    study.arms().remove(2);
    study
        .arms()
        .push(MadeUpArm::new("adam", "Adam", Role::Baseline, 4.2));
    insta::assert_snapshot!(findings(&study));
}

#[test]
fn tables() {
    let study = MadeUp::new(10, 4.3);
    let page = render(study.write().path()).unwrap().html;
    let end = "</section>";
    for (name, from, to) in [
        ("final", "<figcaption id=\"table-final-errors", "<h3>"),
        ("convergence", "<h3>Convergence", "<h3>Gradients"),
        ("cost", "<h2 id=\"cost-heading\"", end),
        ("reference", "<h2 id=\"reference-heading\"", end),
        ("gradient", "<p>A rate divided", "<h3>Pictures"),
        ("assumptions", "<h2 id=\"assumptions-heading\"", end),
        ("method", "<h2 id=\"method-heading\"", end),
    ] {
        insta::assert_snapshot!(name, both_between(&page, from, to));
    }
}

#[test]
fn declared_and_measured_cost_may_disagree() {
    let mut study = MadeUp::new(3, 4.3);
    study.arms()[0].nanoseconds = 0.9;
    let page = render(study.write().path()).unwrap().html;
    let text = text_between(&page, "<h2 id=\"cost-heading\"", "<figure");
    insta::assert_snapshot!(text);
}

#[test]
fn a_control_that_differs_is_told_apart() {
    let mut study = MadeUp::new(10, 4.3);
    study.arms()[3].error = 4.5;
    let page = render(study.write().path()).unwrap().html;
    assert!(page.contains("AdaMix can be told apart from its control"));
    assert!(!page.contains("in disguise"));
}

#[test]
fn another_data_set_says_its_name_and_has_no_reference() {
    let mut study = MadeUp::new(3, 4.3);
    study.data = "curves";
    let page = render(study.write().path()).unwrap().html;
    assert!(page.contains("<h1><span lang=\"en\">CURVES: AdaMix beside"));
    assert!(!page.contains("Reference figures"));
    assert!(!page.contains("logistic principal"));
}

#[test]
fn the_analysis_is_text_and_in_paragraphs() {
    let page = render(MadeUp::new(3, 4.3).write().path()).unwrap().html;
    assert!(page.contains("<p>A first paragraph, with &lt;b&gt;no&lt;&#x2f;b&gt; markup &amp;"));
    assert!(page.contains("<p>A second one.</p>"));
    assert!(page.contains("<code>cargo xtask reproduce made-up --data curves</code>"));
}

#[test]
fn the_same_records_give_the_same_bytes() {
    let tuned = MadeUpProtocol::tuned("tuned", "Tuned protocol", 10, 4.5);
    for study in [
        MadeUp::new(10, 4.3),
        MadeUp::of(vec![tuned]),
        MadeUp::readings(3),
    ] {
        let (first, second) = (study.write(), study.write());
        let report = render(first.path()).unwrap();
        assert_eq!(report, render(first.path()).unwrap());
        // Nor does the page name the folder.
        assert_eq!(report, render(second.path()).unwrap());
        assert!(!report.html.contains(&first.path().display().to_string()));
    }
}

#[test]
fn a_report_is_written_whole() {
    let study = MadeUp::new(3, 4.3);
    let folder = study.write();
    let report = render(folder.path()).unwrap();
    report.write(folder.path()).unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("index.html"), report.html);
    let stems = [
        "codes",
        "error-curves",
        "final-errors",
        "gradients",
        "paired-differences",
        "reconstructions",
        "roofline",
        "time-to-target",
    ];
    let names: Vec<&String> = report.figures.keys().collect();
    let files = stems.map(|stem| [format!("{stem}.pdf"), format!("{stem}.svg")]);
    assert_eq!(names, files.as_flattened().iter().collect::<Vec<_>>());
    for (name, bytes) in &report.figures {
        let file = folder.path().join("figures").join(name);
        assert_eq!(&std::fs::read(file).unwrap(), bytes);
    }
    // The page beside its records does not disturb the next rendering.
    assert_eq!(render(folder.path()).unwrap(), report);
}

/// The sentences on what was fixed before the runs.
fn registration(folder: &std::path::Path) -> String {
    let page = render(folder).expect("a report").html;
    let of = |from, to| both_between(&page, from, to);
    let verdicts = of("<h2 id=\"verdicts-heading\"", "<div class=\"sure\"");
    format!(
        "{verdicts}\n\n{}",
        of("<div class=\"registered\"", "</div>")
    )
}

#[test]
fn records_that_carry_the_hash_make_verdicts_pre_registered() {
    let text = registration(MadeUp::new(10, 4.3).write().path());
    insta::assert_snapshot!(text);
    assert!(!text.contains("not pre-registered"));
}

#[test]
fn a_record_under_another_hash_takes_the_pre_registration_away() {
    let study = MadeUp::new(10, 4.3);
    let folder = study.write();
    let mut lines = study.lines(study.arm(1), 3);
    let Some(adamix_record::Line::Header(header)) = lines.first_mut() else {
        panic!("a header comes first");
    };
    header.protocol_hash = "ef".repeat(32);
    crate::study::write_lines(folder.path(), "jsonl", &lines);
    let text = registration(folder.path());
    insta::assert_snapshot!(text);
    assert!(text.contains("reproduced not pre-registered"));
    assert!(text.contains(study.id("adagrad", 3).as_str()));
    let summary = render(folder.path()).unwrap().summary;
    assert!(summary.contains("not pre-registered"), "{summary}");
}

#[test]
fn a_run_that_another_protocol_of_the_plan_lists_is_shared() {
    // The second has a control of its own; the other three arms are shared.
    let common = MadeUpProtocol::new("common", "Common protocol", 10, 4.3);
    let mut other = MadeUpProtocol::new("other", "Other control", 10, 4.3);
    other.arms[3] = MadeUpArm::new("other-control", "Other control", Role::Control, 4.4);
    let study = MadeUp::of(vec![common.clone(), other]);
    let text = registration(study.write().path());
    insta::assert_snapshot!(text);
    assert!(!text.contains("ot pre-registered"));

    // Nothing of its own: its choice of arms and seeds is nowhere fixed.
    let mut chosen_after = common.clone();
    (chosen_after.name, chosen_after.label) = ("after".into(), "Chosen after".into());
    chosen_after.arms.pop();
    let study = MadeUp::of(vec![common, chosen_after]);
    let text = registration(study.write().path());
    assert!(text.contains("Not pre-registered: nothing shows"), "{text}");
}

#[test]
fn a_plan_without_claims_has_no_verdict() {
    let mut study = MadeUp::new(10, 4.3);
    study.claims.clear();
    let report = render(study.write().path()).unwrap();
    assert!(report.html.contains("The experiment file states no claims"));
    for verdict in ["reproduced", "undecided", "contradicted"] {
        assert!(!report.html.contains(verdict), "{verdict}");
        assert!(!report.summary.contains(verdict), "{verdict}");
    }
}

#[test]
fn a_protocol_without_the_arms_of_a_claim_stands_apart() {
    let common = MadeUpProtocol::new("common", "Common protocol", 10, 4.3);
    let mut baselines = MadeUpProtocol::new("baselines", "Baselines", 10, 4.3);
    baselines.arms.truncate(1);
    let adam = MadeUpArm::new("adam", "Adam", Role::Baseline, 4.2);
    baselines.arms.push(adam);
    let report = render(MadeUp::of(vec![common, baselines]).write().path()).unwrap();
    let first = text_between(&report.html, "<h2 id=\"verdicts-heading\"", "<h3>How sure");
    assert!(!first.contains("Baselines"), "{first}");
    assert!(!report.summary.contains("no verdict"), "{}", report.summary);
    assert!(
        report
            .html
            .contains("it is there for its other comparisons")
    );
    assert!(report.figures.contains_key("error-curves-baselines.svg"));
}

#[test]
fn thresholds_are_those_of_the_claims() {
    let mut study = MadeUp::new(8, 4.3);
    for claim in &mut study.claims {
        (claim.margin, claim.confidence) = (0.02, 0.99);
        claim.contradiction_confidence = 0.995;
        (claim.fewest_seeds, claim.power) = (8, 0.9);
        claim.against = vec![Role::Adagrad];
    }
    insta::assert_snapshot!(findings(&study));
}

#[test]
fn two_protocols_stand_side_by_side() {
    let common = MadeUpProtocol::new("common", "Common protocol", 10, 4.3);
    let tuned = MadeUpProtocol::tuned("tuned", "Tuned protocol", 10, 4.52);
    let study = MadeUp::of(vec![common, tuned]);
    let report = render(study.write().path()).unwrap();
    let first = text_between(&report.html, "<body>", "<svg");
    insta::assert_snapshot!(format!("{}\n{first}", report.summary));
    let names: Vec<&str> = report.figures.keys().map(String::as_str).collect();
    for stem in ["error-curves", "final-errors", "gradients"] {
        for protocol in ["common", "tuned"] {
            assert!(names.contains(&format!("{stem}-{protocol}.svg").as_str()));
        }
    }
    // Which protocol ran a run is a column of its own, where there are several.
    let lines = |table: &str| -> Vec<String> {
        let cells = report.tables[table]
            .lines()
            .map(|line| line.split(",").take(3).collect::<Vec<_>>().join(","));
        cells.collect()
    };
    let runs = lines("runs.csv");
    assert_eq!(runs[1], "AdaMix (W1 + B1),common,0");
    assert_eq!(runs[41], "AdaMix (W1 + B1),tuned,0");
    assert_eq!(lines("tuning-runs.csv")[1], "\"AdaMix (W1 + B1), 0\",tuned");
}

/// The section on the open details.
fn readings(study: &MadeUp) -> String {
    let page = render(study.write().path()).expect("a report").html;
    text_between(
        &page,
        "<h2 id=\"readings-heading\"",
        "<section id=\"protocol-",
    )
}

#[test]
fn a_search_that_is_no_grid_has_no_edge_and_no_line() {
    let tuned = MadeUpProtocol::tuned("tuned", "Tuned protocol", 10, 4.3);
    let study = MadeUp::of(vec![tuned]);
    let folder = study.write();
    let mut plan = study.plan();
    for arm in &mut plan.protocols[0].tuning.as_mut().unwrap().arms {
        for axis in &mut arm.axes {
            axis.grid = false;
        }
        // The last two came with an extension.
        for candidate in &mut arm.candidates[10..] {
            candidate.extension = true;
        }
    }
    adamix_record::write_json(&folder.path().join("plan.json"), &plan).unwrap();
    let page = render(folder.path()).unwrap().html;
    let text = text_between(&page, "<figcaption id=\"table-tuning", "</figure>");
    assert!(text.contains("learning rate: 0.003 to 1, drawn"), "{text}");
    assert!(text.contains("10, and 2 of an extension"), "{text}");
    assert!(text.contains("no, after an extension"), "{text}");
}

/// A grid up to 0.9999 is no grid up to 1.
#[test]
fn distinct_settings_stay_distinct() {
    let tuned = MadeUpProtocol::tuned("tuned", "Tuned protocol", 10, 4.3);
    let study = MadeUp::of(vec![tuned]);
    let folder = study.write();
    let mut plan = study.plan();
    for arm in &mut plan.protocols[0].tuning.as_mut().unwrap().arms {
        arm.axes[1].values = vec![0.999, 0.9999, 0.99999, 1.0];
    }
    adamix_record::write_json(&folder.path().join("plan.json"), &plan).unwrap();
    let page = render(folder.path()).unwrap().html;
    assert!(page.contains("K: 0.999, 0.9999, 0.99999, 1"));
}

/// What has not begun is not told as if it had.
#[test]
fn a_protocol_that_has_not_begun_takes_one_line() {
    let common = MadeUpProtocol::new("common", "Common protocol", 10, 4.3);
    let mut tuned = MadeUpProtocol::tuned("tuned", "Tuned protocol", 10, 4.5);
    (tuned.run, tuned.chosen) = (false, false);
    let report = render(MadeUp::of(vec![common, tuned]).write().path()).unwrap();
    let page = only("en", &report.html);
    assert!(!page.contains("being tuned"));
    let claims = text_between(&report.html, "<table class=\"claims\"", "</table>");
    assert!(!claims.contains("Tuned protocol"), "{claims}");
    let own = text_between(&report.html, "<section id=\"protocol-tuned\"", "</section>");
    assert!(own.contains("Nothing to show yet: "), "{own}");
    assert!(!own.contains("Final errors"), "{own}");
    let assumed = text_between(&report.html, "<h2 id=\"assumptions-heading\"", "</section>");
    assert!(
        assumed.contains("tuned, not yet chosen, for AdaGrad"),
        "{assumed}"
    );
    let settings = text_between(
        &report.html,
        "<summary><span lang=\"en\">Settings",
        "</details>",
    );
    assert!(settings.contains("only hold the place"), "{settings}");
}

#[test]
fn tuning_is_shown_with_its_price() {
    let tuned = MadeUpProtocol::tuned("tuned", "Tuned protocol", 10, 4.3);
    let study = MadeUp::of(vec![tuned]);
    let report = render(study.write().path()).unwrap();
    for figure in ["tuning-price.svg", "tuning-rates.svg"] {
        assert!(report.figures.contains_key(figure), "{figure}");
    }
    let text = text_between(&report.html, "<h3>Tuning", "<h3>Pictures");
    insta::assert_snapshot!(text);
    // What the line joins is the error after as many epochs for all.
    let json: serde_json::Value = serde_json::from_str(&report.json).unwrap();
    let figures = json["figures"].as_array().unwrap().iter();
    let mut figures = figures.filter(|figure| figure["name"] == "tuning-rates");
    let columns = &figures.next().unwrap()["series"][0]["columns"];
    let column = |name: &str| {
        let mut columns = columns.as_array().unwrap().iter();
        let found = columns.find(|column| column["name"] == name);
        found.unwrap_or_else(|| panic!("no column {name}: {columns:?}"))["values"]
            .as_array()
            .unwrap()
    };
    let (last, state) = (column("validation error"), column("state"));
    let common = column("validation error after the first rung");
    assert_eq!(state.iter().filter(|s| *s == "completed").count(), 4);
    for ((last, common), state) in last.iter().zip(common).zip(state) {
        let [last, common] = [last, common].map(serde_json::Value::as_f64);
        match state.as_str().unwrap() {
            "completed" => assert!(common > last, "{common:?} {last:?}"),
            "stopped" => assert_eq!(common, last),
            _ => assert_eq!(common, None),
        }
    }
}

#[test]
fn the_ledger_of_readings() {
    let study = MadeUp::readings(10);
    let report = render(study.write().path()).unwrap();
    assert!(report.figures.contains_key("readings-map.svg"));
    // On the first screen too, and nothing of the readings that answer alike.
    let turning = "Other readings of the paper, with nothing tuned for them, point elsewhere: C1 \
                   (reproduced: K = 0.000001); C3 (reproduced: K = 0.000001).<";
    // Below the verdicts, before how sure they are.
    let at = |text: &str| report.html.find(text).expect("in the page");
    assert!(at("</table>") < at(turning) && at(turning) < at("<div class=\"sure\">"));
    let alike = render(MadeUp::new(10, 4.3).write().path()).unwrap();
    assert!(!alike.html.contains("point elsewhere"));
    let text = readings(&study);
    let until = text.find("The evidence behind each").expect("the cells");
    insta::assert_snapshot!(&text[..until]);
    let from = "<h2 id=\"readings-heading\"";
    let chinese = text_in("zh-Hans", &report.html, from, "<details>");
    insta::assert_snapshot!("the_ledger_of_readings_in_chinese", chinese);
    // Where one detail changes the evidence is folded away, and where AdaMix has
    // no run nothing is told twice.
    let (one, several) = text.split_at(text.find("Several at once").expect("the cross"));
    let told = one.matches("All records were written under these rules");
    assert_eq!(told.count(), 6);
    assert!(!one.contains("No record of its own yet."), "{one}");
    insta::assert_snapshot!("the_cross_of_readings", several);
}

/// Of five seeds no exact test can come to a small p value.
#[test]
fn a_ledger_of_few_seeds_tells_their_number_and_no_p() {
    let few = readings(&MadeUp::readings(5));
    let few = &few[..few.find("The evidence behind each").expect("the cells")];
    assert!(few.contains(" 5 seeds "), "{few}");
    assert!(!few.contains(" p 0."), "{few}");
    let page = render(MadeUp::readings(5).write().path()).unwrap().html;
    let lead = "read in another way, one at a time in 6 protocols and two or more at once in 12; \
                17 of these are complete.";
    assert!(page.contains(lead));
    let turning = "C1 (by estimate lower than both: K = 0.000001)";
    assert!(page.contains(turning));
}

#[test]
fn a_plan_of_many_readings_makes_a_moderate_page() {
    let mut study = MadeUp::readings(5);
    let mut extra = study.details[1].clone();
    (extra.name, extra.label) = ("loss".into(), adamix_record::Text::same("Loss"));
    for (reading, name) in extra.readings.iter_mut().zip(["cross-entropy", "squared"]) {
        reading.name = name.into();
    }
    extra.readings.push(adamix_record::Reading {
        name: "other".into(),
        ..extra.readings[0].clone()
    });
    study.details.push(extra);
    let cells = std::mem::take(&mut study.protocols);
    for loss in ["cross-entropy", "squared", "other"] {
        for cell in &cells {
            let mut cell = cell.clone();
            cell.name = format!("{}-{loss}", cell.name);
            cell.label = format!("{}, {loss}", cell.label);
            cell.readings.push(("loss", loss));
            study.protocols.push(cell);
        }
    }
    assert_eq!(study.protocols.len(), 57);
    let report = render(study.write().path()).unwrap();
    let megabytes = report.html.len() as f64 / 1e6;
    assert!(megabytes < 2.0, "{megabytes} MB");
    assert_eq!(report.figures.len(), 2 * 9);
}

#[test]
fn a_tuned_cross_is_kept_apart() {
    let mut study = MadeUp::readings(10);
    let tuned = study
        .protocols
        .iter()
        .filter(|cell| cell.name != "batch-1000");
    let tuned: Vec<MadeUpProtocol> = tuned
        .map(|cell| MadeUpProtocol {
            name: format!("tuned/{}", cell.name),
            tuned: true,
            // Here W5 is what matters, not K.
            arms: cell
                .arms
                .iter()
                .cloned()
                .map(|mut arm| {
                    if arm.role == Role::Adamix {
                        let w5 = arm.rule["rule"] == "adamix-w5";
                        arm.error = if w5 { 4.2 } else { 4.9 };
                        arm.rate = 0.3;
                    }
                    arm
                })
                .collect(),
            ..cell.clone()
        })
        .collect();
    study.protocols.extend(tuned);
    let report = render(study.write().path()).unwrap();
    assert!(report.figures.contains_key("readings-map-tuned.svg"));
    let sentences = text_between(&report.html, "<h2 id=\"readings-heading\"", "<figure");
    insta::assert_snapshot!(sentences);
    assert!(report.html.contains("Default readings, tuned"));
    assert!(report.html.contains("W5, tuned"));
    let megabytes = report.html.len() as f64 / 1e6;
    assert!(megabytes < 2.0, "{megabytes} MB");
}

#[test]
fn a_cell_with_a_diverged_run_is_marked() {
    let mut study = MadeUp::readings(3);
    study.protocols[4].arms[0].error = 60.0;
    let report = render(study.write().path()).unwrap();
    let map = std::str::from_utf8(&report.figures["readings-map.svg"]).unwrap();
    assert_eq!(map.matches('\u{2020}').count(), 1);
    assert_eq!(map.matches("not run").count(), 1);
}

#[test]
fn with_too_few_seeds_the_ledger_goes_by_the_sign() {
    let text = readings(&MadeUp::readings(3));
    let until = text.find("The combinations of").expect("the map");
    insta::assert_snapshot!(&text[..until]);
}

#[test]
fn readings_that_have_not_run_say_so() {
    let mut study = MadeUp::readings(10);
    for protocol in &mut study.protocols {
        protocol.run = protocol.name == "W1-mean-1";
    }
    let text = readings(&study);
    assert!(text.contains("not run yet"));
    assert!(text.contains("C1, lower reconstruction error: nothing to compare yet."));
}

#[test]
fn arms_that_mix_the_halves_are_known_by_their_settings() {
    let mut study = MadeUp::new(10, 4.3);
    let halves = MadeUpArm::halves(study.arm(0), study.arm(1));
    study.arms().extend(halves);
    let page = render(study.write().path()).unwrap().html;
    let text = text_between(&page, "<h3>Which half does the work", "<h3>Gradients");
    insta::assert_snapshot!(text);
}

/// Pages are written with all their files; into `ADAMIX_PAGES`, where that
/// names a folder, to be looked at.
#[test]
fn pages_are_written() {
    let own = tempfile::tempdir().unwrap();
    let asked = std::env::var_os("ADAMIX_PAGES").map(std::path::PathBuf::from);
    let folder = asked.unwrap_or_else(|| own.path().to_owned());
    let mut common = MadeUpProtocol::new("common", "Common protocol", 10, 4.3);
    let halves = MadeUpArm::halves(&common.arms[0], &common.arms[1]);
    common.arms.extend(halves);
    let tuned = MadeUpProtocol::tuned("tuned", "Tuned protocol", 10, 4.52);
    for (name, study) in [
        ("one", MadeUp::new(10, 4.3)),
        ("two", MadeUp::of(vec![common, tuned])),
        ("readings", MadeUp::readings(5)),
    ] {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let report = render(study.write().path()).unwrap();
        report.write(&folder).unwrap();
        let page = std::fs::read_to_string(folder.join("index.html")).unwrap();
        assert_eq!(page, report.html);
        for name in report.figures.keys() {
            assert!(folder.join("figures").join(name).exists(), "{name}");
        }
    }
}

#[test]
fn what_reviewers_ask_is_answered_from_the_records() {
    let report = render(MadeUp::new(10, 4.3).write().path()).unwrap();
    let from = "<h2 id=\"review-heading\"";
    insta::assert_snapshot!(both_between(&report.html, from, "</section>"));

    // Times of two kernels have no median.
    let folder = MadeUp::new(10, 4.3).write();
    let run = std::fs::read_dir(folder.path().join("runs"))
        .unwrap()
        .next();
    let path = run.unwrap().unwrap().path();
    let record = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, record.replace("gemm avx2+fma", "gemm avx512f")).unwrap();
    let text = text_between(&render(folder.path()).unwrap().html, from, "</section>");
    assert!(text.contains("Common protocol no median, since machines, kernels or"));

    // What the records do not hold is said.
    let mut bare = MadeUp::new(3, 4.3);
    (bare.data, bare.anchors, bare.cost) = ("curves", false, false);
    bare.protocols[0].run = false;
    let report = render(bare.write().path()).unwrap();
    let text = text_between(&report.html, from, "</section>");
    for answer in [
        "not answered The time of an update is not measured yet",
        "in part The program makes this data set",
        "not answered There is no record yet.",
        "0 records of 12 planned",
    ] {
        assert!(text.contains(answer), "{answer}: {text}");
    }
}

#[test]
fn new_figures_state_what_they_show() {
    let late = adamix_record::Outcome::Diverged { epoch: 2 };
    let folder = MadeUp::new(10, 4.3).write_with("adadec", 1, 2, late);
    let report = render(folder.path()).unwrap();
    for figure in [
        "time-to-target",
        "paired-differences",
        "roofline",
        "reconstructions",
        "codes",
    ] {
        let from = format!("<span id=\"{figure}-title\">");
        let text = both_between(&report.html, &from, "</figure>");
        insta::assert_snapshot!(figure, text);
    }
}
