//! What lies beside the page, and how it is cited.

use adamix_record::Outcome;
use adamix_report::{Report, render};
use serde_json::Value;

use crate::study::{MadeUp, MadeUpProtocol};

fn report(study: &MadeUp) -> Report {
    render(study.write().path()).expect("a report")
}

#[test]
fn the_machine_readable_report_follows_its_schema() {
    let schema: Value =
        serde_json::from_str(include_str!("../../report.schema.json")).expect("JSON");
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    let name = "report.schema.json";
    compiler.add_resource(name, schema).expect("a schema");
    let schema = compiler.compile(name, &mut schemas).expect("a schema");
    let tuned = MadeUpProtocol::tuned("tuned", "Tuned protocol", 10, 4.3);
    let mut bare = MadeUp::new(1, 4.3);
    (bare.data, bare.anchors, bare.cost) = ("curves", false, false);
    let failed = Outcome::Failed {
        why: "no memory".into(),
    };
    let failed = MadeUp::new(3, 4.3).write_with("adamix", 1, 2, failed);
    for report in [
        report(&MadeUp::new(10, 4.3)),
        report(&MadeUp::of(vec![tuned])),
        report(&MadeUp::readings(3)),
        report(&bare),
        render(failed.path()).expect("a report"),
    ] {
        let value: Value = serde_json::from_str(&report.json).expect("JSON");
        if let Err(faults) = schemas.validate(&value, schema) {
            panic!("{faults}");
        }
        let id = value["report-id"].as_str().expect("an id");
        assert!(report.html.contains(&format!("<code>{id}</code>")));
        for figure in value["figures"].as_array().expect("figures") {
            for file in figure["files"].as_array().expect("files") {
                let file = file.as_str().expect("a path");
                let name = file.strip_prefix("figures/").expect("a folder");
                assert!(report.figures.contains_key(name), "{name}");
                let link = format!("<a href=\"{file}\" download>");
                assert!(report.html.contains(&link), "{link}");
            }
            let series = figure["series"].as_array().expect("series");
            assert!(!series.is_empty(), "{}", figure["name"]);
            for one in series {
                let columns = one["columns"].as_array().expect("columns");
                let length = |column: &Value| column["values"].as_array().map(Vec::len);
                let first = length(&columns[0]);
                assert!(columns.iter().all(|c| length(c) == first), "{one}");
            }
        }
        for table in value["tables"].as_array().expect("tables") {
            let stem = table["name"].as_str().expect("a name");
            // Behind a combination of readings a table lies in files alone.
            let behind = report.html.contains(&format!("{stem}.csv\">CSV<"));
            for ending in ["csv", "json", "tex"] {
                let name = format!("{stem}.{ending}");
                assert!(report.tables.contains_key(&name), "{name}");
                let link = format!("download=\"{name}\"");
                assert!(behind || report.html.contains(&link), "{name}");
            }
        }
    }
}

#[test]
fn tables_are_files() {
    let report = report(&MadeUp::new(10, 4.3));
    insta::assert_snapshot!(report.tables["final-errors-common.csv"].replace('\r', ""));
    // Half of AdaDec's runs never get to the target: 6 epochs to an open end.
    let convergence = &report.tables["convergence-common.csv"];
    let adadec = convergence.lines().find(|line| line.starts_with("AdaDec"));
    let fields: Vec<&str> = adadec.expect("AdaDec").split(',').collect();
    assert_eq!(fields[5..10], ["6", "6", "6", "", "5"]);
    insta::assert_snapshot!(report.tables["measured-common.tex"]);
    let json: Value = serde_json::from_str(&report.tables["measured-common.json"]).expect("JSON");
    let ratio = &json["rows"][1][4];
    assert_eq!(ratio["values"].as_array().map(Vec::len), Some(3));
    assert_eq!(ratio["source"], "cost.json");
}

#[test]
fn files_that_are_no_more_are_removed() {
    let folder = MadeUp::new(3, 4.3).write();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(path("tables")).expect("a folder");
    std::fs::create_dir_all(path("figures")).expect("a folder");
    for name in [
        "tables/old.csv",
        "figures/old.svg",
        "tables/notes.txt",
        "figures/old.pdf",
        "figures/a.png",
    ] {
        std::fs::write(path(name), "old").expect("written");
    }
    let report = render(folder.path()).expect("a report");
    report.write(folder.path()).expect("written");
    for gone in ["tables/old.csv", "figures/old.svg", "figures/old.pdf"] {
        assert!(!path(gone).exists(), "{gone}");
    }
    assert!(path("tables/notes.txt").exists() && path("figures/a.png").exists());
    let read = std::fs::read_to_string(path("report.json")).expect("report.json");
    assert_eq!(read, report.json);
    let csv = std::fs::read_to_string(path("tables/runs.csv")).expect("runs.csv");
    assert_eq!(csv, report.tables["runs.csv"]);
}

#[test]
fn citations_have_the_year_of_the_program() {
    let study = MadeUp::new(3, 4.3);
    let folder = study.write();
    let html = render(folder.path()).expect("a report").html;
    assert!(html.contains("  year = {2026},\n  note = {adamix report"));
    assert!(html.contains("date-released: 2026-11-24\nlicense:"));

    // Records from before commits had a day are cited without one.
    for run in std::fs::read_dir(folder.path().join("runs")).expect("runs") {
        let path = run.expect("a run").path();
        let text = std::fs::read_to_string(&path).expect("a record");
        let text = text.replace("\"commit-date\":\"2026-11-24\",", "");
        std::fs::write(path, text).expect("written");
    }
    std::fs::remove_file(folder.path().join("cost.json")).expect("costs");
    let html = render(folder.path()).expect("a report").html;
    assert!(html.contains("},\n  note = {adamix report") && !html.contains("date-released"));
}

#[test]
fn the_report_s_id_is_that_of_its_records() {
    let study = MadeUp::new(3, 4.3);
    let id = |report: &Report| {
        let value: Value = serde_json::from_str(&report.json).expect("JSON");
        value["report-id"].as_str().expect("an id").to_owned()
    };
    let first = report(&study);
    assert_eq!(id(&first), id(&report(&study)));
    for names in ["@misc{adamix-", "adamix-report:"] {
        assert!(
            first.html.contains(&format!("{names}{}", id(&first))),
            "{names}"
        );
    }
    assert!(first.html.contains("commit 0123abc"));
    let failed = Outcome::Failed {
        why: "no memory".into(),
    };
    let other = render(study.write_with("adamix", 1, 2, failed).path()).expect("a report");
    assert_ne!(id(&first), id(&other));
}

#[test]
fn figures_are_pdf_with_their_letters_inside() {
    let study = MadeUp::new(10, 4.3);
    let first = report(&study);
    let pdfs = first
        .figures
        .iter()
        .filter(|(name, _)| name.ends_with(".pdf"));
    for (name, pdf) in pdfs {
        assert!(pdf.starts_with(b"%PDF-"), "{name}");
        let text = String::from_utf8_lossy(pdf);
        assert!(text.contains("DejaVuSans"), "{name}");
        assert!(text.contains("/FontFile"), "{name}");
    }
    assert_eq!(first.figures, report(&study).figures);
}

#[test]
fn the_curves_of_all_runs_are_in_files() {
    let csv = &report(&MadeUp::new(3, 4.3)).tables["curves-common.csv"];
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 1 + 4 * 3);
    assert!(
        lines[0].starts_with("arm,seed,epoch 0,epoch 1,"),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].starts_with("AdaMix (W1 + B1),0,12."),
        "{}",
        lines[1]
    );
}
