//! What an update costs, counted, not typed in.

use crate::kernel;
use crate::number::{Counting, Number, Tally};
use crate::rules::{Moment, Rule, UpdateRule, Visitor};

/// Cost of updating one parameter once. Fractions arise where work is done
/// once in several updates. What is the same for all parameters of a tensor,
/// the learning rate for instance, is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
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

impl Rule {
    /// The mean cost of one update of one parameter where an epoch has
    /// `steps_per_epoch` updates, found by running the rule for its whole
    /// [`period`](UpdateRule::period) on numbers that count.
    ///
    /// ```
    /// use adamix_optim::{Rule, rules::{Adagrad, AdamixW1}};
    /// let w1 = Rule::AdamixW1(AdamixW1::default()).cost(600);
    /// // w - eta (g / sqrt(K + g g)): reads w and g, writes w.
    /// assert_eq!((w1.additions, w1.multiplications, w1.divisions, w1.square_roots), (2.0, 2.0, 1.0, 1.0));
    /// assert_eq!((w1.loads, w1.stores, w1.state), (2.0, 1.0, 0.0));
    /// // One number of state more, read and written.
    /// let adagrad = Rule::Adagrad(Adagrad::default()).cost(600);
    /// assert_eq!((adagrad.loads, adagrad.stores, adagrad.state), (3.0, 2.0, 1.0));
    /// ```
    ///
    /// # Panics
    /// Where the constants are out of range: see [`Rule::check`].
    pub fn cost(&self, steps_per_epoch: u64) -> UpdateCost {
        self.visit(Count { steps_per_epoch })
    }

    /// After how many updates the same work is done again: see
    /// [`UpdateRule::period`].
    pub fn period(&self, steps_per_epoch: u64) -> u64 {
        self.visit(Period { steps_per_epoch })
    }
}

struct Period {
    steps_per_epoch: u64,
}

impl Visitor for Period {
    type Output = u64;

    fn visit<R: UpdateRule>(self, rule: &R) -> u64 {
        rule.period(self.steps_per_epoch)
    }
}

struct Count {
    steps_per_epoch: u64,
}

impl Visitor for Count {
    type Output = UpdateCost;

    fn visit<R: UpdateRule>(self, rule: &R) -> UpdateCost {
        let mut parameter = 1.0;
        let mut state: Vec<f64> = (0..rule.state_len())
            .map(|slot| rule.initial_state(slot))
            .collect();
        let counted = rule.period(self.steps_per_epoch);
        let mut sum = UpdateCost {
            state: state.len() as f64,
            ..UpdateCost::default()
        };
        // Once around to leave the first epoch and fill the window, then count.
        for update in 0..2 * counted {
            let mut moment = Moment {
                learning_rate: 0.1,
                update,
                steps_per_epoch: self.steps_per_epoch,
                sum_of_squares: 0.0,
            };
            let mut cost = UpdateCost::default();
            if R::NEEDS_SUM_OF_SQUARES {
                let tally = Tally::default();
                moment.sum_of_squares = kernel::sum_of_squares(&[Counting::input(0.1, 0, &tally)]);
                cost.add(&tally, 0);
            }
            if rule.prepares(&moment) {
                let tally = Tally::default();
                let mut numbers = inputs(&state, &tally);
                rule.prepare(&moment, &mut numbers, 1);
                cost.add(&tally, written(&numbers));
                state = numbers.iter().map(|number| number.as_f64()).collect();
            }
            let tally = Tally::default();
            // Inputs: the state's numbers first, then parameter and gradient.
            let (w, g) = (state.len() as u32, state.len() as u32 + 1);
            let mut numbers = inputs(&state, &tally);
            let mut w = [Counting::input(parameter, w, &tally)];
            kernel::pass(
                rule,
                &moment,
                &mut w,
                0..1,
                &[Counting::input(0.1, g, &tally)],
                &mut numbers,
            );
            cost.add(&tally, written(&numbers) + 1);
            state = numbers.iter().map(|number| number.as_f64()).collect();
            parameter = w[0].as_f64();
            if update >= counted {
                for (sum, cost) in sum.figures().into_iter().zip(cost.figures()) {
                    *sum += *cost;
                }
            }
        }
        sum.figures()
            .into_iter()
            .for_each(|figure| *figure /= counted as f64);
        sum
    }
}

fn inputs<'a>(values: &[f64], tally: &'a Tally) -> Vec<Counting<'a>> {
    values
        .iter()
        .enumerate()
        .map(|(i, value)| Counting::input(*value, i as u32, tally))
        .collect()
}

/// How many numbers are no longer what was read.
fn written(numbers: &[Counting<'_>]) -> u64 {
    numbers
        .iter()
        .enumerate()
        .filter(|(i, number)| !number.is_input(*i as u32))
        .count() as u64
}

impl UpdateCost {
    fn add(&mut self, tally: &Tally, stores: u64) {
        self.additions += tally.additions.get() as f64;
        self.multiplications += tally.multiplications.get() as f64;
        self.divisions += tally.divisions.get() as f64;
        self.square_roots += tally.square_roots.get() as f64;
        self.loads += tally.read.borrow().len() as f64;
        self.stores += stores as f64;
    }

    /// The figures that are counted, as opposed to `state`.
    fn figures(&mut self) -> [&mut f64; 6] {
        [
            &mut self.additions,
            &mut self.multiplications,
            &mut self.divisions,
            &mut self.square_roots,
            &mut self.loads,
            &mut self.stores,
        ]
    }
}
