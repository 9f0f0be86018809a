//! The matrix-product kernel for processors with fused multiply-add: AVX2 and
//! AVX-512. Everything else multiplies by the `gemm` crate, see
//! [`product`](crate::product).
//!
//! # How it multiplies
//!
//! A *tile* of the result, `H` rows by two vectors, is held in registers while
//! the sums over `k` run. Every step of `k` loads the two vectors of `b` and,
//! one after another, `H` numbers of `a`, each spread over a vector: `2 H`
//! fused multiply-adds for `H + 2` loads. With 16 registers `H` is 6 (12 sums,
//! two vectors of `b`, one number of `a`), with 32 it is 12. Both keep more sums
//! under way than the two FMA units need to hide their latency.
//!
//! For that the operands are *packed*: copied to where the loop reads them one
//! after another. `a` into panels of `H` rows, `[k, H]` each; `b` into panels of
//! two vectors' columns, `[k, 2 lanes]` each, filled up with zeros at the edge.
//! A number that is packed is used a hundred times and more. Where a panel is the
//! transpose of what lies in memory, packing transposes it, four columns of
//! eight rows, or of four, at a time.
//!
//! Of a panel of `a` only those terms are packed in which not all its rows are 0
//! ([`Rows`]), with their numbers, and the tile walks through the list. Four fifths
//! of MNIST's pixels are 0 and lie together, so that half of the terms go, where
//! images meet the first layer's weights and where its gradient is summed. In
//! lower panels more would go, but low tiles are slower: 6 rows by four vectors, 3 by
//! eight and 12 by two took the same time for a step on MNIST, within 1 %.
//!
//! The sums are cut at [`DEPTH`], so that a panel of `b` (17 KiB at 8 lanes, 34 at 16)
//! stays in the first-level cache, or just leaves it, while all panels of `a` pass by. Around that
//! stand two loops of blocks, for two shapes of products:
//!
//! - [`by_columns`]: `b` is large and every number of it meets few rows, as the
//!   weights in a forward pass do. `a` is packed whole; `b` is packed
//!   [`COLUMNS`] at a time, used up, and overwritten by the next.
//! - [`by_rows`]: the result is large and the sums are short, as those of a
//!   weight gradient are. `b` is packed whole; the result is computed
//!   [`ROWS`] at a time.
//!
//! Both call back with each part of the result as soon as it is complete and
//! while it is in a near cache: there the bias and the logistic function, its
//! derivative, or the whole update of the weights is done. So a gradient need
//! not go through memory at all.
//!
//! While a block is computed, the memory of the next one is asked for, some cache
//! lines every [`STEP`] terms of a tile ([`Ahead`]): the numbers of `b` that are packed next, or
//! the weights and the optimizer's state that the next block's update works on.
//! A step of this network passes through more memory than a core's own caches
//! hold, and the sums by themselves would leave the way to it idle. (Software
//! prefetch as in the kernels of GotoBLAS, Goto and van de Geijn 2008, but of
//! whole blocks, and of what the callback works on.)
//!
//! # Why the bits are the same on every such processor
//!
//! Each number of the result is its own chain of fused multiply-adds, `k` in
//! order, begun anew at every multiple of a depth that follows from the size of
//! `k` alone. Which tile or lane it stands in, and what else is computed beside
//! it, changes nothing. No size here follows from the processor's caches. So
//! AVX2 and AVX-512 agree to the bit, and so does an emulation: the tests hold
//! them to it, and to the chain written out.
//!
//! A term that is left out would have added a product with 0: no bit changes, except
//! that a sum which is 0 may keep the other sign, and that a number of `b` which is
//! infinite or not a number is not seen by a panel whose rows are all 0 there. Which
//! these are follows from the tile's height: where numbers are not finite, as in a
//! training that diverges, AVX2 and AVX-512 may differ.
//!
//! # Unsafe
//!
//! Three functions: the two transpositions, since Rust has no other way to shuffle
//! vectors, and the instruction that asks for a cache line. The tile itself is
//! safe code that the compiler turns into the loop described above, with one check
//! of a bound a term.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::product::{Matrix, Term};

/// Most terms of a sum between two roundings of it to memory.
const DEPTH: usize = 272;

/// Columns of `b` that [`by_columns`] packs at once, a multiple of every tile's width.
const COLUMNS: usize = 128;

/// Rows of `a` that meet a packed block of `b` one after another, while it and
/// they are in the second-level cache. A multiple of every tile's height.
const NEAR: usize = 120;

/// Rows that [`by_rows`] computes at once, a multiple of every tile's height.
const ROWS: usize = 24;

/// Terms of a sum between two steps of [`Ahead`].
const STEP: usize = 16;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Numbers in the rows of the widest tile.
const WIDEST: usize = 32;

/// Memory for packed operands, kept from product to product.
#[derive(Debug, Default)]
pub(crate) struct Packs {
    a: Rows,
    b: Vec<f32>,
    block: Vec<f32>,
}

/// Whether this processor runs the kernel; if so, with which instructions.
pub(crate) fn instructions() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    match Arch::new() {
        Arch::V3(_) => return Some("avx2+fma"),
        Arch::V4(_) => return Some("avx512f"),
        _ => {}
    }
    None
}

/// `out = a b`; `finish` is called with the row, the first column and the
/// numbers of each completed part of a row.
///
/// The shapes fit and [`instructions`] is some, which the caller has checked.
pub(crate) fn by_columns<F: FnMut(usize, usize, &mut [f32])>(
    packs: &mut Packs,
    out: &mut [f32],
    a: Matrix<'_, f32>,
    b: Matrix<'_, f32>,
    finish: F,
) {
    Arch::new().dispatch(ByColumns {
        packs,
        out,
        a,
        b,
        finish,
    });
}

/// `out = keep * out + sum of factor * a b over the terms`; `finish` is called
/// with the first row and the numbers of each completed block of rows. Where
/// `out` is none, `keep` is 0 and `finish` is all that sees the result. `needed`
/// is what else `finish` works on, arrays as long as the result.
///
/// The shapes fit and [`instructions`] is some, which the caller has checked.
pub(crate) fn by_rows<const N: usize, F: FnMut(usize, &mut [f32])>(
    packs: &mut Packs,
    out: Option<&mut [f32]>,
    keep: f32,
    terms: [Term<'_, f32>; N],
    needed: &[Range<*const f32>],
    finish: F,
) {
    Arch::new().dispatch(ByRows {
        packs,
        out,
        keep,
        terms,
        needed,
        finish,
    });
}

struct ByColumns<'a, F> {
    packs: &'a mut Packs,
    out: &'a mut [f32],
    a: Matrix<'a, f32>,
    b: Matrix<'a, f32>,
    finish: F,
}

impl<F: FnMut(usize, usize, &mut [f32])> WithSimd for ByColumns<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 {
            self.run::<S, 12>(simd);
        } else {
            self.run::<S, 6>(simd);
        }
    }
}

impl<F: FnMut(usize, usize, &mut [f32])> ByColumns<'_, F> {
    #[inline(always)]
    fn run<S: Simd, const H: usize>(self, simd: S) {
        let Self {
            packs,
            out,
            a,
            b,
            mut finish,
        } = self;
        let (m, n) = (a.rows(), b.columns());
        let cuts = Cuts::of(a.columns());
        let panels_a_cut = m.div_ceil(H).max(1);
        packs.a.clear::<H>(m, cuts.k);
        for cut in cuts {
            packs.a.pack::<H>(a, 0..m, cut);
        }
        let pack_b = part(&mut packs.b, cuts.depth * COLUMNS);
        for column in (0..n).step_by(COLUMNS) {
            let columns = COLUMNS.min(n - column);
            for (cut, panels) in cuts.zip(packs.a.panels.chunks(panels_a_cut)) {
                let scale = Scale {
                    keep: if cut.start == 0 { 0.0 } else { 1.0 },
                    factor: 1.0,
                };
                let next = [next_to_pack(b, cuts, &cut, column)];
                let steps = steps(panels) * columns.div_ceil(2 * S::F32_LANES);
                let mut ahead = Ahead::of(&next, steps);
                let depth = cut.len();
                pack_columns(simd, pack_b, b, cut, column, columns);
                for (index, panels) in panels.chunks(NEAR / H).enumerate() {
                    let out = (&mut out[index * NEAR * n + column..], n);
                    let parts = (&packs.a, panels, &*pack_b, depth);
                    block::<S, H>(simd, out, columns, parts, scale, &mut ahead);
                }
            }
            for row in 0..m {
                finish(row, column, &mut out[row * n + column..][..columns]);
            }
        }
    }
}

struct ByRows<'a, const N: usize, F> {
    packs: &'a mut Packs,
    out: Option<&'a mut [f32]>,
    keep: f32,
    terms: [Term<'a, f32>; N],
    needed: &'a [Range<*const f32>],
    finish: F,
}

impl<const N: usize, F: FnMut(usize, &mut [f32])> WithSimd for ByRows<'_, N, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 {
            self.run::<S, 12>(simd);
        } else {
            self.run::<S, 6>(simd);
        }
    }
}

impl<const N: usize, F: FnMut(usize, &mut [f32])> ByRows<'_, N, F> {
    #[inline(always)]
    fn run<S: Simd, const H: usize>(self, simd: S) {
        let Self {
            packs,
            mut out,
            keep,
            terms,
            needed,
            mut finish,
        } = self;
        let Some(Term { a, b, .. }) = terms.first() else {
            return;
        };
        let (m, n) = (a.rows(), b.columns());
        let padded = n.next_multiple_of(2 * S::F32_LANES);
        let k: usize = terms.iter().map(|term| term.a.columns()).sum();
        let pack_b = part(&mut packs.b, k * padded);
        let mut at = 0;
        for term in &terms {
            for cut in Cuts::of(term.b.rows()) {
                let len = cut.len() * padded;
                pack_columns(simd, &mut pack_b[at..][..len], term.b, cut, 0, n);
                at += len;
            }
        }
        let memory = part(&mut packs.block, if out.is_some() { 0 } else { ROWS * n });
        for row in (0..m).step_by(ROWS) {
            let rows = ROWS.min(m - row);
            let whole = out.as_ref().map(|out| out.as_ptr_range());
            let block_out = match &mut out {
                Some(out) => &mut out[row * n..][..rows * n],
                None => &mut memory[..rows * n],
            };
            let next = row + rows..m.min(row + rows + ROWS);
            let next = next_rows(&terms, needed, whole, next);
            packs.a.clear::<H>(rows, k);
            for term in &terms {
                for cut in Cuts::of(term.a.columns()) {
                    packs.a.pack::<H>(term.a, row..row + rows, cut);
                }
            }
            let steps = steps(&packs.a.panels) * n.div_ceil(2 * S::F32_LANES);
            let mut ahead = Ahead::of(&next, steps);
            let mut panels = packs.a.panels.chunks(rows.div_ceil(H));
            let mut pack_b = &*pack_b;
            let mut keep = keep;
            for term in &terms {
                for (cut, panels) in Cuts::of(term.a.columns()).zip(&mut panels) {
                    let depth = cut.len();
                    let (b, rest) = pack_b.split_at(depth * padded);
                    pack_b = rest;
                    let scale = Scale {
                        keep,
                        factor: term.factor,
                    };
                    let out = (&mut *block_out, n);
                    let parts = (&packs.a, panels, b, depth);
                    block::<S, H>(simd, out, n, parts, scale, &mut ahead);
                    keep = 1.0;
                }
            }
            finish(row, block_out);
        }
    }
}

/// A part of memory by its addresses alone: `rows` pieces of `bytes`, one every
/// `stride` bytes from `start` on.
#[derive(Clone, Copy, Default)]
struct Region {
    start: usize,
    bytes: usize,
    stride: usize,
    rows: usize,
}

impl Region {
    /// These rows and columns of a matrix, as far as it goes.
    fn of(matrix: Matrix<'_, f32>, rows: Range<usize>, columns: Range<usize>) -> Self {
        const NUMBER: usize = size_of::<f32>();
        let rows = rows.start..rows.end.min(matrix.rows());
        let columns = columns.start..columns.end.min(matrix.columns());
        let (pieces, numbers, stride) = match matrix.is_transposed() {
            false => (rows, columns, matrix.columns()),
            true => (columns, rows, matrix.rows()),
        };
        let first = pieces.start * stride + numbers.start;
        Self {
            start: matrix.values().as_ptr().addr() + first * NUMBER,
            bytes: numbers.len() * NUMBER,
            stride: stride * NUMBER,
            rows: pieces.len(),
        }
    }

    /// These numbers of an array, as far as it goes.
    fn of_array(array: &Range<*const f32>, numbers: Range<usize>) -> Self {
        const NUMBER: usize = size_of::<f32>();
        let (start, end) = (array.start.addr(), array.end.addr());
        let at = |number: usize| end.min(start.saturating_add(number * NUMBER));
        Self {
            start: at(numbers.start),
            bytes: at(numbers.end) - at(numbers.start),
            stride: 0,
            rows: 1,
        }
    }

    fn is_empty(&self) -> bool {
        self.rows == 0 || self.bytes == 0
    }
}

/// What [`by_columns`] packs after this cut of the columns from `column` on: the
/// next cut of them, or the first of the next columns.
fn next_to_pack(b: Matrix<'_, f32>, cuts: Cuts, cut: &Range<usize>, column: usize) -> Region {
    let (rows, column) = match cut.end < cuts.k {
        true => (cut.end..cut.end + cuts.depth, column),
        false => (0..cuts.depth, column + COLUMNS),
    };
    let column = column.min(b.columns());
    Region::of(b, rows, column..column + COLUMNS)
}

/// Most regions that [`by_rows`] asks for; what is beyond is not asked for.
const MOST: usize = 8;

/// What [`by_rows`] and its callback work on when the result's rows `next` are
/// computed: those of `a` in each term, of the arrays `needed`, and of the result.
fn next_rows<const N: usize>(
    terms: &[Term<'_, f32>; N],
    needed: &[Range<*const f32>],
    out: Option<Range<*const f32>>,
    next: Range<usize>,
) -> [Region; MOST] {
    let n = terms[0].b.columns();
    let operands = terms.iter().map(|term| {
        let columns = 0..term.a.columns();
        Region::of(term.a, next.clone(), columns)
    });
    let arrays = needed.iter().cloned().chain(out);
    let arrays = arrays.map(|array| Region::of_array(&array, next.start * n..next.end * n));
    let mut regions = [Region::default(); MOST];
    regions
        .iter_mut()
        .zip(operands.chain(arrays))
        .for_each(|(to, region)| *to = region);
    regions
}

/// Asks for the cache lines of some regions, spread evenly over so many steps.
struct Ahead<'a> {
    /// The region at hand, from its current piece on, and the next line in it.
    region: Region,
    line: usize,
    rest: &'a [Region],
    lines: usize,
    steps: usize,
    /// Below `steps`: what is due of the next line, in parts of that.
    due: usize,
}

impl<'a> Ahead<'a> {
    fn of(regions: &'a [Region], steps: usize) -> Self {
        let regions_with_lines = regions.iter().filter(|region| !region.is_empty());
        // A piece may begin and end within a line.
        let lines =
            regions_with_lines.map(|region| region.rows * (region.bytes.div_ceil(LINE) + 1));
        let mut ahead = Self {
            region: Region::default(),
            line: 0,
            rest: regions,
            lines: lines.sum(),
            // Of panels that are all 0 there is none.
            steps: steps.max(1),
            due: 0,
        };
        ahead.turn();
        ahead
    }

    /// Goes on to the next piece.
    #[inline(always)]
    fn turn(&mut self) {
        if self.region.rows > 1 {
            self.region.rows -= 1;
            self.region.start += self.region.stride;
            self.line = self.region.start / LINE * LINE;
            return;
        }
        while let [region, rest @ ..] = self.rest {
            self.rest = rest;
            if !region.is_empty() {
                self.region = *region;
                self.line = region.start / LINE * LINE;
                return;
            }
        }
        (self.lines, self.due) = (0, 0);
    }

    /// Gives the lines whose turn it is at the next step.
    #[inline(always)]
    fn step(&mut self, mut ask: impl FnMut(usize)) {
        self.due += self.lines;
        while self.due >= self.steps {
            self.due -= self.steps;
            ask(self.line);
            self.line += LINE;
            if self.line >= self.region.start + self.region.bytes {
                self.turn();
            }
        }
    }
}

/// Has the cache line at an address brought into the second-level cache.
#[inline(always)]
fn prefetch(line: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction is a hint. It gives the program nothing to read,
    // writes nothing, and cannot fault, whatever the address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(std::ptr::without_provenance(line));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}

/// How a sum of `k` terms is cut: into as few parts of at most [`DEPTH`] as
/// there can be, about equally long.
#[derive(Clone, Copy)]
struct Cuts {
    k: usize,
    depth: usize,
    next: usize,
}

impl Cuts {
    fn of(k: usize) -> Self {
        let depth = k.div_ceil(k.div_ceil(DEPTH).max(1));
        Self { k, depth, next: 0 }
    }
}

impl Iterator for Cuts {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.next;
        self.next = self.k.min(start + self.depth);
        (start < self.k).then_some(start..self.next)
    }
}

/// The first `len` numbers of `memory` that begin at a cache line; more is
/// taken where there is not enough.
fn part(memory: &mut Vec<f32>, len: usize) -> &mut [f32] {
    const NUMBERS: usize = LINE / size_of::<f32>();
    if memory.len() < len + NUMBERS {
        memory.resize(len + NUMBERS, 0.0);
    }
    // The result is only of use for speed, so any answer will do.
    let skip = memory.as_ptr().align_offset(LINE).min(NUMBERS);
    &mut memory[skip..][..len]
}

/// Packed rows of `a`: panels of a tile's height, the last of a block maybe lower.
/// Of each the terms of the sums in which not all its rows are 0.
#[derive(Debug, Default)]
struct Rows {
    panels: Vec<Panel>,
    /// Of each panel `[terms, height]`, one after another; beyond `used` there is nothing.
    values: Vec<f32>,
    used: usize,
    /// Of each panel which terms these are, in order.
    terms: Vec<u32>,
}

/// A panel of [`Rows`]: where its numbers and its terms begin.
#[derive(Debug)]
struct Panel {
    height: usize,
    first_value: usize,
    first_term: usize,
    terms: usize,
}

/// Steps of [`Ahead`] in a tile of each of these panels.
fn steps(panels: &[Panel]) -> usize {
    panels.iter().map(|panel| panel.terms.div_ceil(STEP)).sum()
}

impl Rows {
    /// Forgets what was packed, and makes room for so many rows of so many terms,
    /// so that how many of them are 0 decides nothing about memory.
    fn clear<const H: usize>(&mut self, rows: usize, terms: usize) {
        self.panels.clear();
        self.terms.clear();
        self.used = 0;
        self.terms.reserve(rows.div_ceil(H) * terms);
        if self.values.len() < rows * terms {
            self.values.resize(rows * terms, 0.0);
        }
    }

    /// Packs these rows and terms of `a`, behind what is packed already; there is
    /// room for them.
    #[inline(always)]
    fn pack<const H: usize>(&mut self, a: Matrix<'_, f32>, rows: Range<usize>, cut: Range<usize>) {
        let depth = cut.len();
        for row in rows.clone().step_by(H) {
            let height = H.min(rows.end - row);
            let (first_value, first_term) = (self.used, self.terms.len());
            let end = first_value + height * depth;
            let panel = &mut self.values[first_value..end];
            if a.is_transposed() {
                let rows = a.values()[cut.start * a.rows()..].chunks_exact(a.rows());
                if height == H {
                    let (panel, _) = panel.as_chunks_mut::<H>();
                    for (to, from) in panel.iter_mut().zip(rows) {
                        to.copy_from_slice(&from[row..row + H]);
                    }
                } else {
                    for (to, from) in panel.chunks_exact_mut(height).zip(rows) {
                        to.copy_from_slice(&from[row..row + height]);
                    }
                }
            } else {
                let from = &a.values()[row * a.columns() + cut.start..];
                transpose(panel, height, from, a.columns(), (height, depth));
            }
            self.leave_out_zeros(first_value..end, height);
            self.panels.push(Panel {
                height,
                first_value,
                first_term,
                terms: self.terms.len() - first_term,
            });
        }
    }

    /// Leaves out the terms of the last panel in which all its rows are 0, and
    /// notes which are left.
    fn leave_out_zeros(&mut self, values: Range<usize>, height: usize) {
        let panel = &mut self.values[values.clone()];
        let depth = panel.len() / height;
        let is_zero = |term: &[f32]| term.iter().all(|x| *x == 0.0);
        // Most panels are without such a term.
        let whole = panel
            .chunks_exact(height)
            .position(is_zero)
            .unwrap_or(depth);
        self.terms.extend(0..whole as u32);
        let mut to = whole * height;
        for term in whole..depth {
            let from = term * height;
            if !is_zero(&panel[from..from + height]) {
                panel.copy_within(from..from + height, to);
                self.terms.push(term as u32);
                to += height;
            }
        }
        self.used = values.start + to;
    }

    /// The numbers and the terms of a panel.
    fn of(&self, panel: &Panel) -> (&[f32], &[u32]) {
        let values = &self.values[panel.first_value..][..panel.height * panel.terms];
        (values, &self.terms[panel.first_term..][..panel.terms])
    }
}

/// Packs `columns` columns of `b` from `first` on, in panels of two vectors,
/// the last filled up with zeros.
#[inline(always)]
fn pack_columns<S: Simd>(
    _: S,
    pack: &mut [f32],
    b: Matrix<'_, f32>,
    cut: Range<usize>,
    first: usize,
    columns: usize,
) {
    let width = 2 * S::F32_LANES;
    let depth = cut.len();
    if b.is_transposed() {
        let panels = pack.chunks_exact_mut(width * depth);
        for (panel, column) in panels.zip((0..columns).step_by(width)) {
            let count = width.min(columns - column);
            let from = &b.values()[(first + column) * b.rows() + cut.start..];
            transpose(panel, width, from, b.rows(), (count, depth));
        }
        return;
    }
    let rows = b.values()[cut.start * b.columns() + first..].chunks(b.columns());
    // Row by row, so that memory is read in pieces as long as can be.
    for (k, row) in rows.take(depth).enumerate() {
        let (whole, rest) = S::as_simd_f32s(&row[..columns]);
        let (whole, odd) = whole.as_chunks::<2>();
        let mut place = k * width;
        for from in whole {
            let (to, _) = S::as_mut_simd_f32s(&mut pack[place..][..width]);
            to.copy_from_slice(from);
            place += width * depth;
        }
        if !rest.is_empty() || !odd.is_empty() {
            let to = &mut pack[place..][..width];
            let from = &row[whole.len() * width..columns];
            to[..from.len()].copy_from_slice(from);
            to[from.len()..].fill(0.0);
        }
    }
}

/// `to[k * width + i] = from[i * stride + k]` for `count` rows `i` of `depth`
/// numbers; the places of the rows from `count` to `width` become 0.
fn transpose(
    to: &mut [f32],
    width: usize,
    from: &[f32],
    stride: usize,
    (count, depth): (usize, usize),
) {
    let mut first = 0;
    while first < width {
        let rows = match count.saturating_sub(first) {
            8.. => 8,
            4..8 => 4,
            _ => width - first,
        };
        let mut done = 0;
        #[cfg(target_arch = "x86_64")]
        if first + rows <= count && rows >= 4 && is_x86_feature_detected!("avx") {
            done = depth / 4 * 4;
            let from = &from[first * stride..];
            assert!(done == 0 || from.len() >= (rows - 1) * stride + done);
            assert!(done == 0 || to.len() >= (done - 1) * width + first + rows);
            // SAFETY: the processor has AVX, and the two assertions are what
            // the functions ask for.
            unsafe {
                match rows {
                    8 => transpose_8(&mut to[first..], width, from, stride, done),
                    _ => transpose_4(&mut to[first..], width, from, stride, done),
                }
            };
        }
        for k in done..depth {
            for i in first..first + rows {
                to[k * width + i] = if i < count { from[i * stride + k] } else { 0.0 };
            }
        }
        first += rows;
    }
}

/// `to[k * width + i] = from[i * stride + k]` for 8 rows `i` of `depth`
/// numbers, a multiple of 4.
///
/// # Safety
/// The processor has AVX; `from` has at least `7 * stride + depth` numbers and
/// `to` at least `(depth - 1) * width + 8`, unless `depth` is 0.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
unsafe fn transpose_8(to: &mut [f32], width: usize, from: &[f32], stride: usize, depth: usize) {
    use std::arch::x86_64::*;
    for k in (0..depth).step_by(4) {
        let (from, to) = (from.as_ptr(), to.as_mut_ptr());
        // Rows i and i + 4, four numbers of each.
        macro_rules! rows {
            ($i:literal) => {
                // SAFETY: the farthest number read is 7 * stride + k + 3, and
                // k + 3 < depth.
                unsafe {
                    let low = _mm_loadu_ps(from.add($i * stride + k));
                    let high = _mm_loadu_ps(from.add(($i + 4) * stride + k));
                    _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high)
                }
            };
        }
        let (a, b, c, d) = (rows!(0), rows!(1), rows!(2), rows!(3));
        let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
        let (ef, gh) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
        // SAFETY: the farthest number written is (k + 3) * width + 7, and
        // k + 3 < depth.
        unsafe {
            let to = to.add(k * width);
            _mm256_storeu_ps(to, _mm256_shuffle_ps::<0b01_00_01_00>(ab, cd));
            _mm256_storeu_ps(to.add(width), _mm256_shuffle_ps::<0b11_10_11_10>(ab, cd));
            _mm256_storeu_ps(
                to.add(2 * width),
                _mm256_shuffle_ps::<0b01_00_01_00>(ef, gh),
            );
            _mm256_storeu_ps(
                to.add(3 * width),
                _mm256_shuffle_ps::<0b11_10_11_10>(ef, gh),
            );
        }
    }
}

/// [`transpose_8`] of 4 rows.
///
/// # Safety
/// The processor has AVX; `from` has at least `3 * stride + depth` numbers and
/// `to` at least `(depth - 1) * width + 4`, unless `depth` is 0.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
unsafe fn transpose_4(to: &mut [f32], width: usize, from: &[f32], stride: usize, depth: usize) {
    use std::arch::x86_64::*;
    for k in (0..depth).step_by(4) {
        let (from, to) = (from.as_ptr(), to.as_mut_ptr());
        // SAFETY: the farthest number read is 3 * stride + k + 3, and
        // k + 3 < depth.
        let row = |i: usize| unsafe { _mm_loadu_ps(from.add(i * stride + k)) };
        let (mut a, mut b, mut c, mut d) = (row(0), row(1), row(2), row(3));
        _MM_TRANSPOSE4_PS(&mut a, &mut b, &mut c, &mut d);
        // SAFETY: the farthest number written is (k + 3) * width + 3, and
        // k + 3 < depth.
        unsafe {
            let to = to.add(k * width);
            _mm_storeu_ps(to, a);
            _mm_storeu_ps(to.add(width), b);
            _mm_storeu_ps(to.add(2 * width), c);
            _mm_storeu_ps(to.add(3 * width), d);
        }
    }
}

/// What becomes of the sums: `out = keep * out + factor * sums`. With `keep` 0,
/// what stood in `out` is not read.
#[derive(Clone, Copy)]
struct Scale {
    keep: f32,
    factor: f32,
}

/// All tiles of a block of the result, from packed operands.
#[inline(always)]
fn block<S: Simd, const H: usize>(
    simd: S,
    (out, stride): (&mut [f32], usize),
    columns: usize,
    (a, panels, b, depth): (&Rows, &[Panel], &[f32], usize),
    scale: Scale,
    ahead: &mut Ahead<'_>,
) {
    let width = 2 * S::F32_LANES;
    for (b, column) in b
        .chunks_exact(width * depth)
        .zip((0..columns).step_by(width))
    {
        let columns = width.min(columns - column);
        for (index, panel) in panels.iter().enumerate() {
            let a = a.of(panel);
            let out = (&mut out[index * H * stride + column..], stride);
            // The height as a constant, so that the sums stay in registers.
            macro_rules! tile_of {
                ($($height:literal)*) => {
                    match panel.height {
                        $($height if $height < H => tile::<S, $height>(simd, out, columns, a, b, scale, ahead),)*
                        _ => tile::<S, H>(simd, out, columns, a, b, scale, ahead),
                    }
                };
            }
            tile_of!(1 2 3 4 5 6 7 8 9 10 11);
        }
    }
}

/// One tile of the result, from a panel of `a` and a panel of `b`. At the edge
/// of the result it has fewer columns than two vectors.
#[inline(always)]
fn tile<S: Simd, const H: usize>(
    simd: S,
    (out, stride): (&mut [f32], usize),
    columns: usize,
    a: (&[f32], &[u32]),
    b: &[f32],
    scale: Scale,
    ahead: &mut Ahead<'_>,
) {
    let lanes = S::F32_LANES;
    if columns == 2 * lanes {
        return whole_tile::<S, H, 2>(simd, (out, stride), a, b, scale, ahead);
    }
    // In memory of its own, so that `whole_tile` stores whole vectors only: with
    // partial stores in it the compiler puts all sums through memory.
    let mut own = [[0f32; WIDEST]; H];
    for (own, out) in own.iter_mut().zip(out.chunks(stride)) {
        own[..columns].copy_from_slice(&out[..columns]);
    }
    let to = (own.as_flattened_mut(), WIDEST);
    if columns <= lanes {
        whole_tile::<S, H, 1>(simd, to, a, b, scale, ahead);
    } else {
        whole_tile::<S, H, 2>(simd, to, a, b, scale, ahead);
    }
    for (own, out) in own.iter().zip(out.chunks_mut(stride)) {
        out[..columns].copy_from_slice(&own[..columns]);
    }
}

/// The first `V` vectors' columns of a tile.
#[inline(always)]
fn whole_tile<S: Simd, const H: usize, const V: usize>(
    simd: S,
    (out, stride): (&mut [f32], usize),
    (a, terms): (&[f32], &[u32]),
    b: &[f32],
    Scale { keep, factor }: Scale,
    ahead: &mut Ahead<'_>,
) {
    let mut sums = [[simd.splat_f32s(0.0); V]; H];
    let (a, _) = a.as_chunks::<H>();
    let (b, _) = S::as_simd_f32s(b);
    let (b, _) = b.as_chunks::<2>();
    // Counted loops over the constants H and V: the compiler unrolls them, and
    // only then do the sums stay in registers.
    for (a, terms) in a.chunks(STEP).zip(terms.chunks(STEP)) {
        ahead.step(prefetch);
        for (a, term) in a.iter().zip(terms) {
            let b = &b[*term as usize];
            for i in 0..H {
                let a = simd.splat_f32s(a[i]);
                for v in 0..V {
                    sums[i][v] = simd.mul_add_f32s(a, b[v], sums[i][v]);
                }
            }
        }
    }
    let (keeps, factors) = (simd.splat_f32s(keep), simd.splat_f32s(factor));
    if keep == 0.0 {
        for i in 0..H {
            let (to, _) = S::as_mut_simd_f32s(&mut out[i * stride..][..V * S::F32_LANES]);
            for v in 0..V {
                to[v] = simd.mul_f32s(factors, sums[i][v]);
            }
        }
    } else {
        for i in 0..H {
            let (to, _) = S::as_mut_simd_f32s(&mut out[i * stride..][..V * S::F32_LANES]);
            for v in 0..V {
                to[v] = simd.mul_add_f32s(keeps, to[v], simd.mul_f32s(factors, sums[i][v]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both kinds of product of odd shapes: the results, and that of the
    /// second as its callback saw it.
    struct Both<const H: usize>;

    const SHAPE: [usize; 3] = [125, 300, 77];

    impl<const H: usize> WithSimd for Both<H> {
        type Output = [Vec<u32>; 3];

        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            let [m, k, n] = SHAPE;
            let numbers = |count: usize| -> Vec<f32> {
                (0..count).map(|i| (i as f32 * 0.37).sin() * 1.5).collect()
            };
            let (mut a, b) = (numbers(m * k), numbers(k * n));
            for (i, x) in a.iter_mut().enumerate() {
                if (i / k / 30 + i % k / 20) % 3 == 0 {
                    *x = 0.0;
                }
            }
            let mut packs = Packs::default();
            let mut first = vec![f32::NAN; m * n];
            ByColumns {
                packs: &mut packs,
                out: &mut first,
                a: Matrix::new(&a, k),
                b: Matrix::new(&b, k).t(),
                finish: |_, _, numbers: &mut [f32]| numbers.iter_mut().for_each(|x| *x += 0.1),
            }
            .run::<S, H>(simd);
            let mut second = first.clone();
            let mut seen = vec![f32::NAN; m * n];
            let term = Term {
                factor: 0.3,
                a: Matrix::new(&a, m).t(),
                b: Matrix::new(&b, n),
            };
            ByRows {
                packs: &mut packs,
                out: Some(&mut second),
                keep: 0.9,
                terms: [
                    term,
                    Term {
                        factor: -0.7,
                        ..term
                    },
                ],
                needed: &[first.as_ptr_range()],
                finish: |row: usize, numbers: &mut [f32]| {
                    seen[row * n..][..numbers.len()].copy_from_slice(numbers);
                },
            }
            .run::<S, H>(simd);
            [first, second, seen].map(|values| values.into_iter().map(f32::to_bits).collect())
        }
    }

    /// One lane at a time, in software, and every width and height that some
    /// processor has: the same bits.
    #[test]
    fn the_bits_depend_on_neither_width_nor_height() {
        let expected = pulp::Scalar.vectorize(Both::<1>);
        assert!(expected[0].iter().all(|x| f32::from_bits(*x).is_finite()));
        assert_eq!(expected[1], expected[2]);
        let same = |found: [Vec<u32>; 3], what: &str| assert!(found == expected, "{what}");
        same(pulp::Scalar.vectorize(Both::<6>), "one lane");
        same(pulp::Scalar128b.vectorize(Both::<6>), "4 lanes in software");
        same(
            pulp::Scalar512b.vectorize(Both::<12>),
            "16 lanes in software",
        );
        same(Arch::new().dispatch(Both::<6>), "this processor");
        same(
            Arch::new().dispatch(Both::<12>),
            "this processor, high tiles",
        );
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            same(Simd::vectorize(simd, Both::<6>), "8 lanes");
            same(pulp::x86::V3_512b(simd).vectorize(Both::<12>), "16 lanes");
        }
    }

    /// Results as the module's page says they are summed, term by term, of a matrix
    /// with zeros: scattered, in patches, and whole panels of them.
    #[test]
    fn every_number_is_its_own_chain_and_zeros_change_no_bit() {
        let [m, k, n] = SHAPE;
        let number = |i: usize| (i as f32 * 0.37).sin() * 1.5;
        let a: Vec<f32> = (0..m * k)
            .map(|i| (i / k, i % k, number(i)))
            .map(|(row, term, x)| match (row / 30 + term / 20) % 3 {
                0 => 0.0,
                1 if (row * 7 + term) % 5 != 0 => 0.0,
                _ if (24..36).contains(&row) && term >= 150 => 0.0,
                _ => x,
            })
            .collect();
        let b: Vec<f32> = (0..k * n).map(|i| number(i + 5)).collect();
        let turned = |values: &[f32], columns: usize| -> Vec<f32> {
            let rows = values.len() / columns;
            let places = (0..columns).flat_map(|j| (0..rows).map(move |i| i * columns + j));
            places.map(|place| values[place]).collect()
        };
        let (a_turned, b_turned) = (turned(&a, k), turned(&b, n));
        let chain = |i: usize, j: usize| {
            Cuts::of(k).fold(0f32, |sum, cut| {
                let part = cut.fold(0f32, |sum, term| {
                    a[i * k + term].mul_add(b[term * n + j], sum)
                });
                sum + part
            })
        };
        let expected: Vec<f32> = (0..m * n).map(|at| chain(at / n, at % n)).collect();
        assert!(expected.iter().any(|x| *x != 0.0));

        let mut packs = Packs::default();
        for a in [Matrix::new(&a, k), Matrix::new(&a_turned, m).t()] {
            for b in [Matrix::new(&b, n), Matrix::new(&b_turned, k).t()] {
                let mut out = vec![f32::NAN; m * n];
                by_columns(&mut packs, &mut out, a, b, |_, _, _| {});
                assert_eq!(out, expected);
                let term = Term { factor: 1.0, a, b };
                out.fill(f32::NAN);
                by_rows(&mut packs, Some(&mut out), 0.0, [term], &[], |_, _| {});
                assert_eq!(out, expected);
            }
        }
    }

    /// Half of the terms of this matrix are packed, with their numbers.
    #[test]
    fn terms_of_zeros_are_left_out() {
        let a: Vec<f32> = (0..5 * 8)
            .map(|i| if i % 2 == 0 || i == 39 { 0.0 } else { i as f32 })
            .collect();
        let mut rows = Rows::default();
        rows.clear::<2>(5, 8);
        rows.pack::<2>(Matrix::new(&a, 8), 0..5, 0..8);
        let of: Vec<_> = rows.panels.iter().map(|panel| rows.of(panel)).collect();
        assert_eq!(
            of,
            [
                (&[1., 9., 3., 11., 5., 13., 7., 15.][..], &[1, 3, 5, 7][..]),
                (&[17., 25., 19., 27., 21., 29., 23., 31.], &[1, 3, 5, 7]),
                (&[33., 35., 37.], &[1, 3, 5]),
            ]
        );
    }

    /// Every line of every piece is asked for, once, and none beside them.
    #[test]
    fn all_that_is_needed_is_asked_for_evenly() {
        let numbers = vec![0f32; 3000];
        let matrix = Matrix::new(&numbers, 100);
        let regions = [
            Region::of(matrix, 3..9, 20..70),
            Region::of(matrix.t(), 90..150, 28..40),
            Region {
                start: 4 * LINE + 60,
                bytes: 8,
                stride: 0,
                rows: 1,
            },
        ];
        assert_eq!((regions[0].rows, regions[0].bytes), (6, 200));
        assert_eq!((regions[1].rows, regions[1].bytes), (2, 40));
        let pieces = regions.iter().flat_map(|region| {
            (0..region.rows)
                .map(|row| region.start + row * region.stride)
                .map(|start| {
                    (start / LINE..=(start + region.bytes - 1) / LINE).map(|line| line * LINE)
                })
        });
        let expected: Vec<usize> = pieces.flatten().collect();
        let steps = 400;
        let mut ahead = Ahead::of(&regions, steps);
        let mut asked: Vec<(usize, usize)> = Vec::new();
        for step in 0..steps {
            ahead.step(|line| asked.push((step, line)));
        }
        let lines: Vec<usize> = asked.iter().map(|(_, line)| *line).collect();
        assert_eq!(lines, expected);
        assert!(asked[asked.len() - 1].0 > steps / 2);
        let gaps = asked.windows(2).map(|two| two[1].0 - two[0].0);
        assert!(gaps.clone().max() <= gaps.min().map(|gap| gap + 1));
        Ahead::of(&[], 1).step(|line| panic!("{line} of nothing"));
        // More lines than steps: several at once.
        let (mut ahead, mut count) = (Ahead::of(&regions, 2), 0);
        (0..2).for_each(|_| ahead.step(|_| count += 1));
        assert_eq!(count, expected.len());
    }

    /// Of blocks at the beginning, in the middle and at the end: what the next
    /// one is, as numbers from the array's start.
    #[test]
    fn the_next_block_is_what_is_asked_for() {
        let numbers = vec![0f32; 300 * 200];
        let start = numbers.as_ptr().addr();
        let seen = |region: Region| match region.is_empty() {
            true => (0, 0, 0, 0),
            false => (
                (region.start - start) / 4,
                region.bytes / 4,
                region.stride / 4,
                region.rows,
            ),
        };
        let (b, cuts) = (Matrix::new(&numbers, 200), Cuts::of(300));
        let after = |b, cut, column| seen(next_to_pack(b, cuts, &cut, column));
        assert_eq!(after(b, 0..150, 0), (150 * 200, 128, 200, 150));
        assert_eq!(after(b, 150..300, 0), (128, 72, 200, 150));
        assert_eq!(after(b, 0..150, 128), (150 * 200 + 128, 72, 200, 150));
        assert_eq!(after(b, 150..300, 128), (0, 0, 0, 0));
        let turned = Matrix::new(&numbers, 300).t();
        assert_eq!(after(turned, 150..300, 0), (128 * 300, 150, 300, 72));

        // The rows of a result [200, 30] from a' [300, 200] and b [300, 30].
        let other = vec![0f32; 300 * 30];
        let terms = [Term {
            factor: 1.0,
            a: Matrix::new(&numbers, 200).t(),
            b: Matrix::new(&other, 30),
        }];
        let array = || numbers[7..7 + 200 * 30].as_ptr_range();
        let rows = |next| next_rows(&terms, &[array()], Some(array()), next).map(seen);
        let nothing = (0, 0, 0, 0);
        let third = (7 + 24 * 30, 24 * 30, 0, 1);
        assert_eq!(rows(24..48)[..3], [(24, 24, 200, 300), third, third]);
        assert!(rows(24..48)[3..].iter().all(|region| *region == nothing));
        assert!(rows(200..200).iter().all(|region| *region == nothing));
        let short = numbers[..25 * 30].as_ptr_range();
        let cut = next_rows(&terms, &[short], None, 24..48).map(seen);
        assert_eq!(cut[1], (24 * 30, 30, 0, 1));
    }

    #[test]
    fn sums_are_cut_evenly() {
        let lengths = |k: usize| Cuts::of(k).map(|cut| cut.len()).collect::<Vec<_>>();
        assert_eq!(lengths(30), [30]);
        assert_eq!(lengths(784), [262, 262, 260]);
        assert_eq!(lengths(1000), [250; 4]);
        assert!(lengths(0).is_empty());
    }

    /// The unsafe transposition against the plain loops around it.
    #[test]
    fn transposing_by_vectors_equals_transposing_by_loops() {
        for (width, count, depth, stride) in
            [(16, 16, 9, 11), (32, 21, 4, 4), (16, 8, 3, 7), (2, 1, 5, 5)]
        {
            let from: Vec<f32> = (0..count * stride).map(|i| i as f32).collect();
            let mut to = vec![f32::NAN; width * depth];
            transpose(&mut to, width, &from, stride, (count, depth));
            for (place, found) in to.iter().enumerate() {
                let (k, i) = (place / width, place % width);
                let expected = if i < count { from[i * stride + k] } else { 0.0 };
                assert_eq!(*found, expected, "{width} {count} {depth}: {k} {i}");
            }
        }
    }
}
