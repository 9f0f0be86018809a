//! One update of one tensor: the only loops over parameters.

use std::ops::Range;

use pulp::Arch;

use crate::number::Number;
use crate::rules::{Moment, SLOTS, Slots, UpdateRule};

/// Whether an update of this moment must see all of a tensor's gradient at
/// once: before the pass over the parameters it makes one over `g`, where the
/// rule needs the sum of its squares, or one over the state, where the rule
/// [`prepares`](UpdateRule::prepares).
pub(crate) fn needs_whole<R: UpdateRule>(rule: &R, moment: &Moment) -> bool {
    R::NEEDS_SUM_OF_SQUARES || rule.prepares(moment)
}

/// Updates the part `range` of `w`, the parameters of one tensor of one
/// replica, by its gradient `g`, in place, in one pass. State number `i` is
/// `state[i * w.len()..][..w.len()]`.
///
/// # Panics
/// Where the sizes do not fit, or a part is not the whole and
/// [`needs_whole`].
pub(crate) fn update<R: UpdateRule, T: Number>(
    rule: &R,
    moment: Moment,
    w: &mut [T],
    range: Range<usize>,
    g: &[T],
    state: &mut [T],
) {
    let len = w.len();
    assert_eq!(g.len(), range.len(), "one gradient a parameter");
    assert_eq!(
        state.len(),
        rule.state_len() * len,
        "the rule's state for each parameter"
    );
    if len == 0 {
        return;
    }
    let mut moment = moment;
    if needs_whole(rule, &moment) {
        assert_eq!(range, 0..len, "the whole gradient");
    }
    if R::NEEDS_SUM_OF_SQUARES {
        moment.sum_of_squares = sum_of_squares(g);
    }
    if rule.prepares(&moment) {
        rule.prepare(&moment, state, len);
    }
    pass(rule, &moment, w, range, g, state);
}

/// The one pass over the part `range` of the parameters.
pub(crate) fn pass<R: UpdateRule, T: Number>(
    rule: &R,
    moment: &Moment,
    w: &mut [T],
    range: Range<usize>,
    g: &[T],
    state: &mut [T],
) {
    let slots = rule.slots(moment.update);
    let [a, b, c, d] = touched(&slots, state, w.len(), range.clone());
    let w = &mut w[range];
    let scalars = rule.scalars(moment).map(T::of);
    // By value, so that the compiler knows the constants not to change in the
    // loop and takes a rule's choice between two forms out of it.
    let rule = *rule;
    // The compiler makes a vector loop of each arm for every instruction set
    // that `pulp` knows. Without reassociation and fused multiply-add, which
    // Rust never introduces, each gives the same bits.
    Arch::new().dispatch(
        #[inline(always)]
        move || match slots.iter().flatten().count() {
            0 => {
                for (w, g) in w.iter_mut().zip(g) {
                    *w = rule.update(scalars, *w, *g, &mut [T::of(0.0); SLOTS]);
                }
            }
            1 => {
                for ((w, g), a) in w.iter_mut().zip(g).zip(a) {
                    let zero = T::of(0.0);
                    let mut s = [*a, zero, zero, zero];
                    *w = rule.update(scalars, *w, *g, &mut s);
                    *a = s[0];
                }
            }
            2 => {
                for (((w, g), a), b) in w.iter_mut().zip(g).zip(a).zip(b) {
                    let zero = T::of(0.0);
                    let mut s = [*a, *b, zero, zero];
                    *w = rule.update(scalars, *w, *g, &mut s);
                    [*a, *b, ..] = s;
                }
            }
            3 => {
                for ((((w, g), a), b), c) in w.iter_mut().zip(g).zip(a).zip(b).zip(c) {
                    let mut s = [*a, *b, *c, T::of(0.0)];
                    *w = rule.update(scalars, *w, *g, &mut s);
                    [*a, *b, *c, ..] = s;
                }
            }
            _ => {
                for (((((w, g), a), b), c), d) in w.iter_mut().zip(g).zip(a).zip(b).zip(c).zip(d) {
                    let mut s = [*a, *b, *c, *d];
                    *w = rule.update(scalars, *w, *g, &mut s);
                    [*a, *b, *c, *d] = s;
                }
            }
        },
    );
}

/// The slices of state that an update of the part `range` of `len` parameters
/// touches, in the order of `slots`.
fn touched<'a, T>(
    slots: &Slots,
    state: &'a mut [T],
    len: usize,
    range: Range<usize>,
) -> [&'a mut [T]; SLOTS] {
    let mut touched: [&mut [T]; SLOTS] = std::array::from_fn(|_| &mut [][..]);
    for (index, values) in state.chunks_exact_mut(len).enumerate() {
        if let Some(place) = slots.iter().position(|slot| *slot == Some(index)) {
            touched[place] = &mut values[range.clone()];
        }
    }
    touched
}

/// Sum of squares in f64, in 16 lanes that are added at the end: a fixed
/// order, and one the compiler can vectorise.
pub(crate) fn sum_of_squares<T: Number>(g: &[T]) -> f64 {
    let mut lanes = [T::Wide::of(0.0); 16];
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let chunks = g.chunks_exact(16);
            let remainder = chunks.remainder();
            for chunk in chunks.chain(std::iter::once(remainder)) {
                for (lane, g) in lanes.iter_mut().zip(chunk) {
                    let g = g.widen();
                    *lane = *lane + g * g;
                }
            }
        },
    );
    lanes.iter().map(|lane| lane.as_f64()).sum()
}
