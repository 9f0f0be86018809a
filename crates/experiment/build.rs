//! Writes down what the program is built from, for the records.

use std::path::Path;
use std::process::Command;

fn main() {
    let root = Path::new("../..");
    let output = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(root)
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    // Whatever can change what is built, or the commit it is said to be. Not the
    // index: `git status` rewrites it, and all that it can tell changes with these.
    for path in [
        "crates",
        "Cargo.toml",
        "Cargo.lock",
        ".git/HEAD",
        ".git/refs/heads",
    ] {
        if root.join(path).exists() {
            println!("cargo::rerun-if-changed={}", root.join(path).display());
        }
    }
    let sources = [
        "status",
        "--porcelain",
        "--",
        "crates",
        "Cargo.toml",
        "Cargo.lock",
        "rust-toolchain.toml",
    ];
    let commit = output("git", &["rev-parse", "HEAD"]).unwrap_or_default();
    let date = output("git", &["log", "-1", "--format=%cs"]).unwrap_or_default();
    let dirty = output("git", &sources).is_some_and(|changes| !changes.is_empty());
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    println!("cargo::rustc-env=ADAMIX_COMMIT={commit}");
    println!("cargo::rustc-env=ADAMIX_COMMIT_DATE={date}");
    println!("cargo::rustc-env=ADAMIX_DIRTY={dirty}");
    println!(
        "cargo::rustc-env=ADAMIX_RUSTC={}",
        output(&rustc, &["--version"]).unwrap_or_default()
    );
}
