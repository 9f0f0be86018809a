//! The README's worked example of adding an optimizer, followed to the letter.

use std::path::Path;
use std::process::Command;

use crate::{Result, TRAINING};

/// Follows the README's section "Add an optimizer" in a copy of the crates:
/// writes the file it shows, adds the line it shows to the registry, and runs
/// the example in the rule's own documentation, the tests that every rule must
/// pass, and one that reads the configuration it shows.
pub(crate) fn test_worked_example(root: &Path) -> Result<()> {
    let readme = std::fs::read_to_string(root.join("README.md"))?;
    let section = readme
        .split("\n## ")
        .find(|section| section.starts_with("Add an optimizer"));
    let section = section.ok_or("README.md has no section `## Add an optimizer`")?;
    let blocks = code_blocks(section);
    let [rule, line, arm] = &blocks[..] else {
        return Err("README.md, `Add an optimizer`: three code blocks are expected".into());
    };
    let name = line
        .split('"')
        .nth(1)
        .ok_or("README.md: the registry line has no name")?;
    let module = line
        .split_once("=>")
        .and_then(|(_, path)| path.trim().split_once("::"))
        .ok_or("README.md: the registry line has no module")?
        .0;
    if !arm.contains(&format!("rule = \"{name}\"")) {
        return Err(format!("README.md: the experiment file does not use `{name}`").into());
    }

    let copy = tempfile::tempdir()?;
    let manifest = std::fs::read_to_string(root.join("Cargo.toml"))?.replace(
        "members = [\"crates/*\", \"xtask\"]",
        "members = [\"crates/*\"]",
    );
    std::fs::write(copy.path().join("Cargo.toml"), manifest)?;
    std::fs::copy(root.join("Cargo.lock"), copy.path().join("Cargo.lock"))?;
    std::fs::write(copy.path().join("README.md"), &readme)?;
    for folder in ["crates", "emulator"] {
        copy_folder(&root.join(folder), &copy.path().join(folder))?;
    }
    let rules = copy.path().join("crates/optim/src/rules.rs");
    let registry = std::fs::read_to_string(&rules)?;
    // `rustfmt` leaves the macro's lines as they are written.
    let last = "    \"adamw\" => adamw::Adamw,\n";
    if !registry.contains(last) {
        return Err(
            "crates/optim/src/rules.rs: the registry does not end as the README says".into(),
        );
    }
    std::fs::write(
        &rules,
        registry.replace(last, &format!("{last}    {}\n", line.trim())),
    )?;
    std::fs::write(
        copy.path()
            .join(format!("crates/optim/src/rules/{module}.rs")),
        rule,
    )?;
    std::fs::write(
        copy.path().join("crates/optim/tests/readme.rs"),
        configuration_test(arm)?,
    )?;
    for (arguments, expected) in [
        (["--doc", module], "1 passed"),
        (["--test", "readme"], "1 passed"),
        (["--test", "optimizer"], "0 failed"),
        (["--lib", "cuda"], "1 passed"),
    ] {
        let output = Command::new("cargo")
            .args(["test", "--release", "--offline"])
            .args(TRAINING.map(|name| format!("--package={name}")))
            .args(arguments)
            .env("CARGO_TARGET_DIR", root.join("target"))
            .current_dir(copy.path())
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() || !text.contains(expected) {
            let errors = String::from_utf8_lossy(&output.stderr);
            return Err(format!(
                "README.md, `Add an optimizer`: the worked example does not pass\n{text}{errors}"
            )
            .into());
        }
    }
    // What these packages built is the copy's now, and cargo, which knows a package
    // by its place in the workspace, would take it for this one's.
    let status = Command::new("cargo")
        .args(["clean", "--release", "--offline", "--quiet"])
        .args(TRAINING.map(|name| format!("--package={name}")))
        .current_dir(root)
        .status()?;
    if !status.success() {
        return Err("removing what the worked example built failed".into());
    }
    println!("README: the worked example passes");
    Ok(())
}

/// A test that the arm's configuration is one of the rule's.
fn configuration_test(arm: &str) -> Result<String> {
    let file: toml::Table = arm.parse()?;
    let arm = file["arm"]
        .get(0)
        .ok_or("README.md: the experiment file has no [[arm]]")?;
    let groups = ["weights", "biases"].map(|group| serde_json::to_string(&arm.get(group)));
    let [weights, biases] = groups;
    Ok(format!(
        "#[test]\nfn the_configuration_is_valid() {{\n    for group in [r#\"{}\"#, r#\"{}\"#] {{\n        \
         let group: adamix_optim::GroupConfig = serde_json::from_str(group).unwrap();\n        \
         group.check().unwrap();\n    }}\n}}\n",
        weights?, biases?
    ))
}

/// The code blocks of a text, without their fences.
fn code_blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open = None;
    for line in text.lines() {
        match (&mut open, line.starts_with("```")) {
            (None, true) => open = Some(String::new()),
            (None, false) => {}
            (Some(block), false) => {
                block.push_str(line);
                block.push('\n');
            }
            (Some(_), true) => blocks.extend(open.take()),
        }
    }
    blocks
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
