use adamix_record::{Environment, sha256_hex};

/// The processor and the program, for `jobs` runs side by side.
pub fn environment(jobs: usize) -> Environment {
    let commit = env!("ADAMIX_COMMIT");
    Environment {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: (!commit.is_empty()).then(|| commit.to_owned()),
        dirty: env!("ADAMIX_DIRTY") == "true",
        lock_sha256: sha256_hex(include_bytes!("../../../Cargo.lock")),
        rustc: env!("ADAMIX_RUSTC").to_owned(),
        features: if cfg!(feature = "cuda") {
            vec!["cuda".to_owned()]
        } else {
            Vec::new()
        },
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        processor: processor(),
        cores: num_cpus::get_physical(),
        gpu: None,
        jobs,
    }
}

/// The processor's model, where the system tells it.
fn processor() -> String {
    let named = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let linux = || named(&std::fs::read_to_string("/proc/cpuinfo").ok()?);
    let mac = || {
        let output = std::process::Command::new("sysctl")
            .args(["-n", "machdep.cpu.brand_string"])
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    linux().or_else(mac).unwrap_or_else(|| "unknown".to_owned())
}
