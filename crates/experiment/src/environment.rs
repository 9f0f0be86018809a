use adamix_record::{Environment, sha256_hex};

/// The processor and the program, for `jobs` runs side by side.
pub fn environment(jobs: usize) -> Environment {
    let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Environment {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: known(env!("ADAMIX_COMMIT")),
        commit_date: known(env!("ADAMIX_COMMIT_DATE")),
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
    let linux = || model(&std::fs::read_to_string("/proc/cpuinfo").ok()?);
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

/// What Linux says of the first processor. The name alone tells little: on a
/// virtual machine it may be that of all processors of its maker.
fn model(cpuinfo: &str) -> Option<String> {
    let of = |wanted: &str| {
        let mut lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        Some(lines.find(|(key, _)| key.trim() == wanted)?.1.trim())
    };
    let name = of("model name")?;
    Some(match (of("cpu family"), of("model")) {
        (Some(family), Some(number)) => format!("{name} (family {family}, model {number})"),
        _ => name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::model;

    #[test]
    fn processors_of_one_name_are_told_apart() {
        let cpuinfo = |family: u32, number: u32| {
            format!(
                "processor\t: 0\ncpu family\t: {family}\nmodel\t\t: {number}\n\
                 model name\t: AMD EPYC\n\nprocessor\t: 1\ncpu family\t: 0\n"
            )
        };
        let named = |family, number| model(&cpuinfo(family, number)).unwrap();
        assert_eq!(named(25, 1), "AMD EPYC (family 25, model 1)");
        assert_eq!(named(26, 2), "AMD EPYC (family 26, model 2)");
        assert_eq!(model("model name : Cortex\n").unwrap(), "Cortex");
        assert_eq!(model("Features : fp\n"), None);
    }
}
