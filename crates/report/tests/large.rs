//! The page of a large study: how long it takes, and how large it is.

#[path = "report/study.rs"]
#[allow(dead_code, reason = "the other tests need more of it")]
mod study;

use std::time::{Duration, Instant};

use adamix_record::{Backend, Line};
use adamix_report::render;

use study::{MadeUp, write_lines};

/// Seeds of each of four arms.
const SEEDS: u64 = 2500;

/// Ten thousand runs of six epochs. Single curves and marks are then not in
/// the page; they are in the records.
#[test]
fn ten_thousand_runs_make_a_page_in_time_and_of_moderate_size() {
    let mut study = MadeUp::new(SEEDS, 4.3);
    study.protocols[0].run = false;
    let folder = study.write();
    for arm in study.protocols[0].arms.clone() {
        for seed in 0..SEEDS {
            let mut lines = study.lines(&arm, seed);
            // Pictures are of the first seed.
            lines.retain(|line| seed == 0 || !matches!(line, Line::Samples(_)));
            assert!(matches!(&lines[0], Line::Header(h) if h.backend == Backend::Cpu));
            write_lines(folder.path(), "jsonl", &lines);
        }
    }
    let start = Instant::now();
    let report = render(folder.path()).expect("a report");
    let took = start.elapsed();
    let size = report.html.len();
    eprintln!("10,000 runs: {took:.1?}, {size} bytes");
    // Tests are optimized less than a release; twice the time is granted.
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert!(size < 5_000_000, "{size} bytes");
    assert!(!report.html.contains("\"seeds\":[["));
    assert!(!report.html.contains("data-point=\"seed="));
    // A small page has each seed: in two drawings of four arms and of three
    // differences, and as curves.
    let small = render(MadeUp::new(10, 4.3).write().path()).expect("a report");
    assert!(small.html.contains("\"seeds\":[["));
    assert_eq!(small.html.matches("data-point=\"seed=9;").count(), 14);
}
