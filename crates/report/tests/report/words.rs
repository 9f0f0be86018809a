//! What the page says: verdicts in words, tables, and the same bytes twice.

use adamix_record::Role;
use adamix_report::render;

use crate::study::{MadeUp, MadeUpArm};

/// The text of the elements between two marks of the page.
fn text_between(page: &str, from: &str, to: &str) -> String {
    let start = page.find(from).expect("the first mark");
    let end = start + page[start..].find(to).expect("the second mark");
    let mut text = String::new();
    let mut in_tag = false;
    for c in page[start..end].chars() {
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
    let findings = text_between(&report.html, "<h2 id=\"findings-heading\"", "</section>");
    format!("{}\n{findings}", report.summary)
}

#[test]
fn reproduced() {
    insta::assert_snapshot!(findings(&MadeUp::new(10, 4.3)));
}

#[test]
fn contradicted() {
    let mut study = MadeUp::new(10, 4.8);
    study.arms[0].nanoseconds = 0.9;
    insta::assert_snapshot!(findings(&study));
}

#[test]
fn no_practical_difference() {
    let mut study = MadeUp::new(10, 4.5);
    study.arms[2].error = 4.502;
    study.arms[0].nanoseconds = 0.8;
    insta::assert_snapshot!(findings(&study));
}

#[test]
fn undecided() {
    let mut study = MadeUp::new(10, 4.42);
    study.arms[0].noise = 0.3;
    insta::assert_snapshot!(findings(&study));
}

#[test]
fn undecided_whatever_the_number_of_seeds() {
    let mut study = MadeUp::new(10, 4.3);
    study.arms[2].error = 4.3;
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
    study.arms.remove(2);
    study
        .arms
        .push(MadeUpArm::new("adam", "Adam", Role::Baseline, 4.2));
    insta::assert_snapshot!(findings(&study));
}

#[test]
fn tables() {
    let study = MadeUp::new(10, 4.3);
    let page = render(study.write().path()).unwrap().html;
    for (name, from) in [
        ("final", "<figcaption id=\"table-final-errors\""),
        ("convergence", "<h2 id=\"convergence-heading\""),
        ("cost", "<h2 id=\"cost-heading\""),
        ("reference", "<h2 id=\"reference-heading\""),
        ("gradient", "<p>A rate divided"),
        ("assumptions", "<h2 id=\"assumptions-heading\""),
    ] {
        insta::assert_snapshot!(name, text_between(&page, from, "</section>"));
    }
}

#[test]
fn declared_and_measured_cost_may_disagree() {
    let mut study = MadeUp::new(3, 4.3);
    study.arms[0].nanoseconds = 0.9;
    let page = render(study.write().path()).unwrap().html;
    let text = text_between(&page, "<h2 id=\"cost-heading\"", "<figure");
    insta::assert_snapshot!(text);
}

#[test]
fn a_control_that_differs_is_told_apart() {
    let mut study = MadeUp::new(10, 4.3);
    study.arms[3].error = 4.5;
    let page = render(study.write().path()).unwrap().html;
    assert!(page.contains("AdaMix can be told apart from its control"));
    assert!(!page.contains("in disguise"));
}

#[test]
fn another_data_set_says_its_name_and_has_no_reference() {
    let mut study = MadeUp::new(3, 4.3);
    study.data = "curves";
    let page = render(study.write().path()).unwrap().html;
    assert!(page.contains("<h1>CURVES: AdaMix beside"));
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
    let study = MadeUp::new(10, 4.3);
    let (first, second) = (study.write(), study.write());
    let report = render(first.path()).unwrap();
    assert_eq!(report, render(first.path()).unwrap());
    // Nor does the page name the folder.
    assert_eq!(report, render(second.path()).unwrap());
    assert!(!report.html.contains(&first.path().display().to_string()));
}

#[test]
fn a_report_is_written_whole() {
    let study = MadeUp::new(3, 4.3);
    let folder = study.write();
    let report = render(folder.path()).unwrap();
    report.write(folder.path()).unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("index.html"), report.html);
    let names: Vec<&String> = report.figures.keys().collect();
    assert_eq!(names, ["error-curves", "final-errors", "gradients"]);
    for (name, svg) in &report.figures {
        assert_eq!(&read(&format!("figures/{name}.svg")), svg);
    }
    // The page beside its records does not disturb the next rendering.
    assert_eq!(render(folder.path()).unwrap(), report);
}
