//! What `cargo xtask report` ends with.

#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A copy of the committed records of `quick`.
fn records() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reports/quick");
    let to = place.path().join("quick");
    std::fs::create_dir_all(to.join("runs")).unwrap();
    let runs = std::fs::read_dir(from.join("runs")).unwrap();
    let runs = runs.map(|run| format!("runs/{}", run.unwrap().file_name().display()));
    let tables = ["plan.json", "anchors.json", "cost.json"].map(str::to_owned);
    for file in runs.filter(|file| file.ends_with(".jsonl")).chain(tables) {
        std::fs::copy(from.join(&file), to.join(&file)).unwrap();
    }
    place
}

fn said(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_report_ends_with_the_verdicts_and_the_path_of_the_page() {
    let place = records();
    let program = env!("CARGO_BIN_EXE_xtask");
    let mut piped = Command::new(program);
    piped.args(["report", "--reports"]).arg(place.path());
    let piped = said(piped);
    let page = place.path().join("quick/index.html");
    let lines: Vec<&str> = piped.lines().collect();
    assert_eq!(lines[lines.len() - 1], page.display().to_string());

    let report = std::fs::read(place.path().join("quick/report.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    let claims = report["claims"].as_array().unwrap();
    for (claim, line) in claims.iter().zip(&lines[lines.len() - 1 - claims.len()..]) {
        let finding = &claim["findings"][0];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let parts = [
            format!("  {} ", text(&claim["id"])),
            text(&claim["text"]["en"]),
            format!("  {}  ", text(&finding["verdict"]["en"])),
            text(&finding["effect"]["en"]),
        ];
        for part in parts {
            assert!(line.contains(&part), "{part:?} is not in {line:?}");
        }
    }
    assert!(!piped.contains('\u{1b}'), "{piped}");

    #[cfg(target_os = "linux")]
    {
        let on_a_terminal = |no_color: &str| {
            // Of util-linux: runs a command in a pseudo-terminal.
            let mut script = Command::new("script");
            let report = format!("'{program}' report --reports '{}'", place.path().display());
            script
                .args(["--quiet", "--return", "--command", &report, "/dev/null"])
                .env("TERM", "xterm-256color")
                .env_remove("CLICOLOR_FORCE")
                .env_remove("NO_COLOR");
            if !no_color.is_empty() {
                script.env("NO_COLOR", no_color);
            }
            said(script).replace('\r', "")
        };
        let coloured = on_a_terminal("");
        // C2 of `quick` is decided.
        assert!(
            coloured.contains("\u{1b}[32m  reproduced  \u{1b}[0m"),
            "{coloured}"
        );
        let plain = coloured.replace("\u{1b}[32m", "").replace("\u{1b}[0m", "");
        assert_eq!(plain, piped);
        assert_eq!(on_a_terminal("1"), piped);
    }
}
