//! Chance for tests: a seed is a run.

/// `SplitMix64`.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `limit` - 1.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// Bytes that mean something to HTTP.
const TELLING: &[u8] = b"\r\n\0 :,/?%#\x80\xff09aA";

/// Up to 200 bytes, of which many mean something to HTTP.
pub(super) fn noise(random: &mut Random) -> Vec<u8> {
    let any = |random: &mut Random| match random.below(2) {
        0 => TELLING[random.below(TELLING.len())],
        _ => random.next().to_be_bytes()[0],
    };
    (0..random.below(200)).map(|_| any(random)).collect()
}

/// Damages bytes in a few places: changes, removes, inserts and repeats some.
pub(super) fn mutate(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.below(4) {
        let place = random.below(bytes.len());
        match random.below(5) {
            0 => bytes[place] = random.next().to_be_bytes()[0],
            1 => bytes[place] = TELLING[random.below(TELLING.len())],
            2 => bytes.insert(place, TELLING[random.below(TELLING.len())]),
            3 => drop(bytes.drain(place..(place + 1 + random.below(20)).min(bytes.len() - 1).max(place))),
            _ => {
                let part = bytes[place..].to_vec();
                bytes.splice(place..place, part);
            }
        }
    }
    bytes
}
