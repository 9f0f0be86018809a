/// A constant outside its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{key} = {value}: {allowed}")]
pub struct Invalid {
    /// The constant's name in a configuration.
    pub key: &'static str,
    /// What it was set to.
    pub value: f64,
    /// What it may be.
    pub allowed: String,
}

pub(crate) fn positive(key: &'static str, value: f64) -> Result<(), Invalid> {
    // Training may be in f32, where less than its least number is 0.
    check(key, value, value as f32 > 0.0, || {
        "must be finite and above 0, in f32 too".into()
    })
}

pub(crate) fn at_least(key: &'static str, value: f64, least: f64) -> Result<(), Invalid> {
    check(key, value, value >= least, || {
        format!("must be finite and at least {least}")
    })
}

/// For decay constants: from 0 to 1, 1 excluded.
pub(crate) fn below_one(key: &'static str, value: f64) -> Result<(), Invalid> {
    check(key, value, value >= 0.0 && (value as f32) < 1.0, || {
        "must be at least 0 and below 1, in f32 too".into()
    })
}

fn check(
    key: &'static str,
    value: f64,
    holds: bool,
    allowed: impl FnOnce() -> String,
) -> Result<(), Invalid> {
    if holds && (value as f32).is_finite() {
        Ok(())
    } else {
        Err(Invalid {
            key,
            value,
            allowed: allowed(),
        })
    }
}
