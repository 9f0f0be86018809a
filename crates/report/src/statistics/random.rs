/// Steele, Lea and Flood's SplitMix64 (2014): a counter with the golden ratio
/// as its step, mixed by two multiplications. Only the bootstrap and the
/// simulation of coverage draw from it, each from a fixed seed.
#[derive(Debug, Clone)]
pub struct SplitMix64(
    /// The state: any number is a seed.
    pub u64,
);

impl SplitMix64 {
    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`: the upper half of a 128-bit product.
    pub(super) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }

    /// A number above 0 and at most 1, a multiple of 2^-53.
    fn unit(&mut self) -> f64 {
        ((self.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// A standard normal number: sqrt(-2 ln u) cos(2 pi v) (Box and Muller,
    /// 1958).
    pub(super) fn normal(&mut self) -> f64 {
        let (u, v) = (self.unit(), self.unit());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}
