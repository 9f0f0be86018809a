//! What stands behind the numbers of the page.

use adamix_report::render;
use serde_json::Value;

use crate::study::{MadeUp, MadeUpProtocol};

/// The runs that the page holds.
fn provenance(html: &str) -> Value {
    let (_, from) = html.split_once("id=\"runs\">").expect("the runs");
    let (json, _) = from.split_once("</script>").expect("their end");
    serde_json::from_str(json).expect("JSON")
}

/// Places that a list of ranges names.
fn places(ranges: &str) -> Vec<usize> {
    let number = |text: &str| text.parse::<usize>().expect("a number");
    let range = |range: &str| match range.split_once('-') {
        Some((first, last)) => number(first)..=number(last),
        None => number(range)..=number(range),
    };
    ranges.split(',').flat_map(range).collect()
}

#[test]
fn every_run_has_its_record_settings_and_machine() {
    let common = MadeUpProtocol::new("common", "Common protocol", 10, 4.3);
    let tuned = MadeUpProtocol::tuned("tuned", "Tuned protocol", 10, 4.52);
    let study = MadeUp::of(vec![common, tuned]);
    let folder = study.write();
    let all = provenance(&render(folder.path()).expect("a report").html);
    assert_eq!(all["data"]["sha256"], study.data().sha256);
    let runs = all["runs"].as_array().expect("runs");
    let records = std::fs::read_dir(folder.path().join("runs")).expect("runs");
    assert_eq!(runs.len(), records.count());
    for run in runs {
        // The usual place is left out.
        assert_eq!(run.get("record"), None);
        let record = format!("runs/{}.jsonl", run["id"].as_str().expect("an id"));
        assert!(folder.path().join(&record).exists(), "{record}");
        let at = |list: &str, place: &Value| {
            let place = place.as_u64().expect("a place") as usize;
            all[list][place].clone()
        };
        assert_eq!(at("environments", &run["environment"])["commit"], "0123abc");
        assert!(at("arms", &run["arm"])["zh"].is_string());
        let settings = run["settings"].as_array().expect("three parts");
        assert!(at("settings", &settings[1])["rule"].is_string());
    }
    // What runs share stands once.
    let length = |list: &str| all[list].as_array().map_or(0, Vec::len);
    assert_eq!([length("protocols"), length("environments")], [2, 1]);
    assert!(length("settings") < 60, "{}", length("settings"));
}

#[test]
fn cells_name_the_runs_behind_them() {
    let html = render(MadeUp::new(10, 4.3).write().path())
        .expect("a report")
        .html;
    let all = provenance(&html);
    let runs = all["runs"].as_array().expect("runs");
    let mut ranges = html.split(" data-runs=\"").skip(1);
    assert!(ranges.all(|rest| {
        let (ranges, _) = rest.split_once('"').expect("an end");
        places(ranges).iter().all(|place| *place < runs.len())
    }));
    // The row of AdaGrad: its ten runs, seed by seed.
    let (_, table) = html
        .split_once("<figcaption id=\"table-final-errors")
        .expect("a table");
    let row = "<tr data-runs=\"10-19\"><th scope=\"row\">AdaGrad</th>";
    assert!(table.contains(row), "{table}");
    for (seed, run) in runs[10..20].iter().enumerate() {
        assert_eq!(run["seed"], seed);
        assert_eq!(
            all["arms"][run["arm"].as_u64().expect("a place") as usize]["en"],
            "AdaGrad"
        );
    }
    // Of a difference, those of both arms; of a cost, the file.
    assert!(html.contains("<tr data-runs=\"0-19\"><th scope=\"row\">AdaGrad</th>"));
    assert!(html.contains("data-source=\"cost.json\""));
    assert!(html.contains("data-source=\"Hinton and Salakhutdinov 2006\""));
    assert!(html.contains("href=\"#table-runs\""));
}

#[test]
fn points_of_figures_name_the_runs_behind_them() {
    let html = render(MadeUp::readings(3).write().path())
        .expect("a report")
        .html;
    let all = provenance(&html);
    let known = all["runs"].as_array().expect("runs").len();
    let mut points = 0;
    for point in html.split("<g data-point=\"").skip(1) {
        let (tag, _) = point.split_once('>').expect("an end");
        let Some((_, runs)) = tag.split_once("data-runs=\"") else {
            assert!(tag.contains("source=cost.json"), "{tag}");
            continue;
        };
        let runs = runs.trim_end_matches('"');
        assert!(!runs.is_empty(), "{tag}");
        assert!(places(runs).iter().all(|place| *place < known), "{tag}");
        points += 1;
    }
    assert!(points > 50, "{points}");
    let (_, from) = html.split_once("id=\"curves\">").expect("the curves");
    let (curves, _) = from.split_once("</script>").expect("their end");
    let curves: Value = serde_json::from_str(curves).expect("JSON");
    for curve in curves["error-curves"]["curves"].as_array().expect("curves") {
        let runs = places(curve["runs"].as_str().expect("places"));
        let seeds = curve["seeds"].as_array().expect("seeds");
        let of_seeds: Vec<usize> = seeds
            .iter()
            .flat_map(|seed| places(seed[2].as_str().expect("a place")))
            .collect();
        assert_eq!(runs, of_seeds);
    }
}
