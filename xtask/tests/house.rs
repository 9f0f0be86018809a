//! The README's map of who imports whom, held against the manifests.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

/// The workspace's own crates that a crate depends on, candle among them.
fn imports(manifest: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(manifest);
    let manifest: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let dependencies = manifest["dependencies"].as_table().unwrap();
    let ours = dependencies
        .keys()
        .filter(|name| name.starts_with("adamix-") || name.starts_with("candle-"));
    ours.map(|name| name.trim_start_matches("adamix-").to_owned())
        .collect()
}

#[test]
fn crates_import_what_the_map_says_and_nothing_else() {
    for (manifest, expected) in [
        ("crates/record/Cargo.toml", &[][..]),
        ("crates/optim/Cargo.toml", &["candle-core", "candle-nn"]),
        ("crates/autoencoder/Cargo.toml", &["candle-core", "optim"]),
        (
            "crates/experiment/Cargo.toml",
            &[
                "autoencoder",
                "candle-core",
                "candle-datasets",
                "optim",
                "record",
            ],
        ),
        ("crates/report/Cargo.toml", &["record"]),
        ("xtask/Cargo.toml", &["report"]),
    ] {
        let expected = expected.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(imports(manifest), expected, "{manifest}");
    }
}
