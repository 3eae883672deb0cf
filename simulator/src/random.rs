//! Random numbers as Python draws them: the Mersenne Twister, and `random.choice` on it.

use rand_mt::Mt;

/// Draws as Python's `random` module does after `random.seed(seed)`.
#[derive(Clone, Debug)]
pub struct PythonRandom(Mt);

impl PythonRandom {
    /// Draws that follow from `seed`, as `random.seed(seed)` makes them.
    pub fn new(seed: u64) -> Self {
        let low = seed as u32;
        let high = (seed >> 32) as u32;
        let key = if high == 0 {
            vec![low]
        } else {
            vec![low, high]
        };
        Self(Mt::new_with_key(key))
    }

    /// A place below `length`, as `random.choice` draws one from a list; `None` if the list is empty.
    pub fn choice(&mut self, length: usize) -> Option<usize> {
        let length = u32::try_from(length).ok().filter(|length| *length > 0)?;
        let bits = 32 - length.leading_zeros();
        loop {
            let drawn = self.0.next_u32() >> (32 - bits);
            if drawn < length {
                return Some(drawn as usize);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PythonRandom;

    #[test]
    fn draws_as_python_does() {
        // random.seed(7); [random.choice(range(n)) for n in (1, 2, 3, 10, 1000, 70000)]
        let mut random = PythonRandom::new(7);
        let drawn = [1, 2, 3, 10, 1000, 70000].map(|length| random.choice(length));
        assert_eq!(drawn, EXPECTED_7.map(Some));
        // The same after random.seed(2**40 + 5).
        let mut random = PythonRandom::new((1 << 40) + 5);
        let drawn = [1, 2, 3, 10, 1000, 70000].map(|length| random.choice(length));
        assert_eq!(drawn, EXPECTED_BIG.map(Some));
        assert_eq!(random.choice(0), None);
    }

    const EXPECTED_7: [usize; 6] = [0, 0, 1, 0, 74, 12337];
    const EXPECTED_BIG: [usize; 6] = [0, 0, 2, 0, 169, 10422];
}
