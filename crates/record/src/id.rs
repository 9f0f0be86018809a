use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{Backend, SEMANTICS_VERSION};

/// Name of a run: the first 16 hexadecimal digits of a SHA-256 over everything
/// that decides its numbers, and nothing else. The experiment's name, the
/// arm's label and the machine are not part of it, so a run that another
/// experiment has finished already is found under the same id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// The id of the run with these resolved `settings` and `seed` on the data
    /// set with this checksum, computed by `backend`.
    ///
    /// ```
    /// use adamix_record::{Backend, RunId};
    /// let settings = serde_json::json!({"b": 1, "a": 0.1});
    /// let reordered = serde_json::json!({"a": 0.1, "b": 1});
    /// let id = RunId::new(&settings, 3, "00ff", Backend::Cpu);
    /// assert_eq!(id, RunId::new(&reordered, 3, "00ff", Backend::Cpu));
    /// assert_ne!(id, RunId::new(&settings, 4, "00ff", Backend::Cpu));
    /// assert_eq!(id.as_str().len(), 16);
    /// ```
    pub fn new(settings: &Value, seed: u64, data_sha256: &str, backend: Backend) -> Self {
        let everything = json!({
            "settings": settings,
            "seed": seed,
            "data-sha256": data_sha256,
            "backend": backend,
            "semantics": SEMANTICS_VERSION,
        });
        let mut digest = sha256_hex(canonical_json(&everything).as_bytes());
        digest.truncate(16);
        Self(digest)
    }

    /// The 16 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// JSON with the keys of every object in order and no white space: equal
/// values give equal bytes.
pub fn canonical_json(value: &Value) -> String {
    // serde_json keeps objects in a BTreeMap unless its `preserve_order`
    // feature is on; a dependency may turn it on, so order here.
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by_key(|(key, _)| *key);
                Value::Object(
                    entries
                        .into_iter()
                        .map(|(k, v)| (k.clone(), sorted(v)))
                        .collect(),
                )
            }
            Value::Array(items) => items.iter().map(sorted).collect(),
            other => other.clone(),
        }
    }
    sorted(value).to_string()
}

/// SHA-256 of `bytes` as 64 hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
