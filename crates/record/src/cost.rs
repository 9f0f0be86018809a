use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Environment, Plan};

/// What one update costs: counted, and timed with all entries interleaved in
/// one process, so that drift of the machine hits all alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Cost {
    /// [`SCHEMA`](crate::SCHEMA) of the writer.
    pub schema: u32,
    /// [`Protocol::hash`](crate::Protocol::hash) of each protocol of the plan, by its name.
    pub protocols: BTreeMap<String, String>,
    /// SHA-256 of the data set, which decides the network's sizes.
    pub data_sha256: String,
    /// The machine that was timed.
    pub environment: Environment,
    /// What that machine reaches by itself; older files do not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ceilings: Option<Ceilings>,
    /// One entry for all arms whose updates are the same work: the same rules,
    /// state, network and batch size, whatever their learning rates and real
    /// constants.
    pub entries: Vec<UpdateTimes>,
}

/// What one thread of a processor, or a whole CUDA device, reaches by itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ceilings {
    /// Arithmetic operations a second: fused additions and multiplications of
    /// one thread, or the product of two large f32 matrices on a device.
    pub operations_per_second: f64,
    /// Bytes a second, read and written: the triad `a = b + s c` on one thread,
    /// or a copy on a device, of more than its caches hold.
    pub bytes_per_second: f64,
}

/// Cost of the update of one kind of arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct UpdateTimes {
    /// The arms, as `protocol/arm`.
    pub arms: Vec<String>,
    /// Images an update.
    pub batch_size: usize,
    /// Updates of one epoch.
    pub steps_per_epoch: u64,
    /// The weights' rule, with the number of weights.
    pub weights: GroupCost,
    /// The biases' rule, with the number of biases.
    pub biases: GroupCost,
    /// Seconds of one update of all parameters alone, one entry a round;
    /// number `i` of every entry was timed in the same round.
    pub update_seconds: Vec<f64>,
    /// Seconds of one whole training step (forward, backward, update), one
    /// entry a round, timed likewise.
    pub step_seconds: Vec<f64>,
}

/// Counted cost of one rule on one group of parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GroupCost {
    /// Name of the rule.
    pub rule: String,
    /// Number of parameters in the group.
    pub parameters: u64,
    /// Cost of one parameter's update.
    pub per_parameter: UpdateCost,
}

/// Cost of updating one parameter once, counted by running the rule on a
/// number type that counts. Fractions arise where work is done once in several
/// updates. What depends on the update but not on the parameter (the learning
/// rate, say) is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct UpdateCost {
    /// Additions and subtractions.
    pub additions: f64,
    /// Multiplications.
    pub multiplications: f64,
    /// Divisions.
    pub divisions: f64,
    /// Square roots.
    pub square_roots: f64,
    /// Numbers read from memory: parameter, gradient, state.
    pub loads: f64,
    /// Numbers written to memory: parameter, state.
    pub stores: f64,
    /// Numbers of state kept.
    pub state: f64,
}

impl UpdateCost {
    /// All arithmetic operations together, each counted as one.
    pub fn arithmetic(&self) -> f64 {
        self.additions + self.multiplications + self.divisions + self.square_roots
    }

    /// Bytes read and written, at 4 bytes a number (f32).
    pub fn bytes_moved(&self) -> f64 {
        4.0 * (self.loads + self.stores)
    }

    /// Bytes of state, at 4 bytes a number (f32).
    pub fn bytes_of_state(&self) -> f64 {
        4.0 * self.state
    }
}

impl Cost {
    /// Whether it is of this plan.
    pub fn fits(&self, plan: &Plan) -> bool {
        let hashes = plan.protocols.iter().map(|p| (&p.name, &p.hash));
        self.data_sha256 == plan.data.sha256
            && self.protocols.iter().eq(hashes.collect::<BTreeMap<_, _>>())
    }

    /// The entry of an arm.
    pub fn of(&self, protocol: &str, arm: &str) -> Option<&UpdateTimes> {
        let name = format!("{protocol}/{arm}");
        self.entries.iter().find(|entry| entry.arms.contains(&name))
    }
}

impl UpdateTimes {
    /// Mean over all parameters of a figure of [`UpdateCost`], weights and
    /// biases each by their number.
    pub fn per_parameter(&self, figure: impl Fn(&UpdateCost) -> f64) -> f64 {
        let (w, b) = (
            self.weights.parameters as f64,
            self.biases.parameters as f64,
        );
        (w * figure(&self.weights.per_parameter) + b * figure(&self.biases.per_parameter)) / (w + b)
    }
}
