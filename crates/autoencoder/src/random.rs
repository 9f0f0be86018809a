//! Named, seeded streams of random numbers: the only source of randomness.
//!
//! The generator is Philox 4x32-10 (Salmon, Moraes, Dror & Shaw, "Parallel
//! random numbers: as easy as 1, 2, 3", SC 2011). It is a function of a counter
//! and a key, without state, so any number of any stream can be computed on
//! any device, in any order, by any number of threads.
//!
//! # The exact mapping
//! Number `i` (from 0) of `Stream::new(seed, purpose, index)` is word `i % 4` of
//!
//! ```text
//! philox4x32_10(counter: [i / 4, index mod 2^32, index / 2^32, purpose],
//!               key:     [seed mod 2^32, seed / 2^32])
//! ```
//!
//! where `purpose` is the number of [`Purpose`] and division drops the rest. A
//! stream has 2^34 numbers; after the last one follows the first again.
//!
//! Everything else is made of these numbers in order:
//!
//! | draw | numbers taken | value |
//! |---|---|---|
//! | [`next_u32`](Stream::next_u32) | 1 | `x` |
//! | [`uniform_f32`](Stream::uniform_f32) | 1 | `(x >> 8) * 2^-24` |
//! | [`uniform`](Stream::uniform) | 2 | `((x0 >> 5) * 2^26 + (x1 >> 6)) * 2^-53` |
//! | [`normal`](Stream::normal) | 4 | `sqrt(-2 ln(1 - u)) * cos(2 pi v)`, `u` and `v` from `uniform` |
//! | [`below`](Stream::below) | 1, seldom more | high word of `x * bound`, some `x` rejected |

/// What a stream is for. The numbers never change and are never used again for
/// something else: they decide every random number, and so every result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Purpose {
    /// Weights before the first update.
    InitialWeights = 1,
    /// Order of the images in an epoch of pre-training.
    PreTrainingOrder = 2,
    /// Uniform numbers that the hidden states are sampled with.
    PreTrainingNoise = 3,
    /// Order of the images in an epoch of fine-tuning.
    FineTuningOrder = 4,
    /// The points of an image of the CURVES data set.
    Curves = 5,
    /// Candidates of a search for settings.
    Tuning = 6,
}

/// One stream of random numbers, and the place in it.
///
/// ```
/// use adamix_autoencoder::random::{Purpose, Stream};
/// let mut stream = Stream::new(7, Purpose::FineTuningOrder, 0);
/// let mut order: Vec<u32> = (0..10).collect();
/// stream.shuffle(&mut order);
/// assert_ne!(order, (0..10).collect::<Vec<_>>());
/// // Any number can be had without those before it.
/// let mut later = Stream::new(7, Purpose::FineTuningOrder, 0).at(stream.position());
/// assert_eq!(later.next_u32(), stream.next_u32());
/// ```
#[derive(Debug, Clone)]
pub struct Stream {
    key: [u32; 2],
    /// Counter words 1 to 3; word 0 is the block.
    name: [u32; 3],
    /// Numbers taken so far, modulo [`LENGTH`].
    position: u64,
    /// The block that `position` lies in, once its first number was taken.
    block: [u32; 4],
}

/// Numbers in a stream.
const LENGTH: u64 = 1 << 34;

/// Blocks computed side by side in bulk, so that the compiler makes vector
/// instructions of them.
const LANES: usize = 16;

impl Stream {
    /// The stream with this name, at its first number. `index` tells streams
    /// of one purpose apart: an epoch, a layer, an image.
    pub fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
        Self {
            key: halves(seed),
            name: [halves(index)[0], halves(index)[1], purpose as u32],
            position: 0,
            block: [0; 4],
        }
    }

    /// The same stream at its number `position` (from 0, modulo 2^34).
    #[must_use]
    pub fn at(mut self, position: u64) -> Self {
        self.position = position % LENGTH;
        if !self.position.is_multiple_of(4) {
            self.block = self.block_at(self.position);
        }
        self
    }

    /// How many numbers were taken so far, modulo 2^34.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next number, uniform over all 32-bit numbers.
    #[inline]
    pub fn next_u32(&mut self) -> u32 {
        let word = (self.position % 4) as usize;
        if word == 0 {
            self.block = self.block_at(self.position);
        }
        self.position = (self.position + 1) % LENGTH;
        self.block[word]
    }

    /// Uniform in [0, 1), a multiple of 2^-24. Takes one number.
    #[inline]
    pub fn uniform_f32(&mut self) -> f32 {
        unit_f32(self.next_u32())
    }

    /// Uniform in [0, 1), a multiple of 2^-53. Takes two numbers.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        let high = u64::from(self.next_u32() >> 5);
        let low = u64::from(self.next_u32() >> 6);
        ((high << 26) | low) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Normal with mean 0 and variance 1, by the cosine half of Box & Muller
    /// (1958). Takes four numbers and keeps nothing for the next call. The
    /// logarithm and the cosine are those of the `libm` crate, so the bits are
    /// the same on every platform.
    #[inline]
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.uniform()));
        radius * libm::cos(std::f64::consts::TAU * self.uniform())
    }

    /// Uniform over the whole numbers 0 to `bound - 1` without bias (Lemire,
    /// "Fast random integer generation in an interval", 2019); 0 for `bound` 0.
    #[inline]
    pub fn below(&mut self, bound: u32) -> u32 {
        loop {
            let product = u64::from(self.next_u32()) * u64::from(bound);
            // The 2^32 mod bound lowest products are one too many for some results.
            let low = product as u32;
            if low >= bound || low >= bound.wrapping_neg() % bound {
                return (product >> 32) as u32;
            }
        }
    }

    /// Puts up to 2^32 - 1 values in a random order, each order equally
    /// likely (Fisher & Yates, from the last place to the second, each
    /// changing with a place up to itself).
    pub fn shuffle(&mut self, values: &mut [u32]) {
        for last in (1..values.len()).rev() {
            let other = self.below(last as u32 + 1) as usize;
            values.swap(last, other);
        }
    }

    /// Fills `values` with what repeated [`uniform_f32`](Self::uniform_f32)
    /// would give, and leaves the stream where that would leave it. Fast.
    pub fn fill_uniform(&mut self, values: &mut [f32]) {
        let to_block_end = self.position.wrapping_neg() % 4;
        let (head, rest) = values.split_at_mut(values.len().min(to_block_end as usize));
        head.fill_with(|| self.uniform_f32());

        let (bulk, tail) = rest.as_chunks_mut::<{ 4 * LANES }>();
        for chunk in bulk {
            let first = (self.position / 4) as u32;
            let counter = [
                std::array::from_fn(|lane| first.wrapping_add(lane as u32)),
                [self.name[0]; LANES],
                [self.name[1]; LANES],
                [self.name[2]; LANES],
            ];
            let words = philox(counter, self.key);
            for (lane, block) in chunk.chunks_exact_mut(4).enumerate() {
                for (word, value) in block.iter_mut().enumerate() {
                    *value = unit_f32(words[word][lane]);
                }
            }
            self.position = (self.position + 4 * LANES as u64) % LENGTH;
        }
        tail.fill_with(|| self.uniform_f32());
    }

    /// Fills `values` with what repeated [`normal`](Self::normal) would give,
    /// rounded to f32.
    pub fn fill_normal(&mut self, values: &mut [f32]) {
        values.fill_with(|| self.normal() as f32);
    }

    fn block_at(&self, position: u64) -> [u32; 4] {
        let [low, high, purpose] = self.name;
        philox4x32_10([(position / 4) as u32, low, high, purpose], self.key)
    }
}

/// One block of Philox 4x32-10: four numbers from a counter and a key.
#[inline]
pub fn philox4x32_10(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    philox(counter.map(|word| [word]), key).map(|[word]| word)
}

/// `N` blocks under one key; `counter[word][lane]`.
#[inline(always)]
fn philox<const N: usize>(mut counter: [[u32; N]; 4], mut key: [u32; 2]) -> [[u32; N]; 4] {
    const ROUNDS: usize = 10;
    const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
    const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    for _ in 0..ROUNDS {
        #[expect(clippy::needless_range_loop, reason = "vectorised in this form")]
        for lane in 0..N {
            let [c0, c1] = [counter[0][lane], counter[1][lane]];
            let [c2, c3] = [counter[2][lane], counter[3][lane]];
            // They never wrap; saying so spares the check in debug builds.
            let product0 = MULTIPLIERS[0].wrapping_mul(u64::from(c0));
            let product1 = MULTIPLIERS[1].wrapping_mul(u64::from(c2));
            counter[0][lane] = (product1 >> 32) as u32 ^ c1 ^ key[0];
            counter[1][lane] = product1 as u32;
            counter[2][lane] = (product0 >> 32) as u32 ^ c3 ^ key[1];
            counter[3][lane] = product0 as u32;
        }
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

#[inline(always)]
fn unit_f32(x: u32) -> f32 {
    // Through i32: signed conversions are one vector instruction, unsigned are not.
    (x >> 8) as i32 as f32 * (1.0 / (1 << 24) as f32)
}

fn halves(x: u64) -> [u32; 2] {
    [x as u32, (x >> 32) as u32]
}
