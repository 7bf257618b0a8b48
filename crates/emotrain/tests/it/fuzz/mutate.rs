//! Damage.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Random numbers of a seed: `SplitMix64`.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn of(seeds: &[u64], name: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (seeds, name).hash(&mut hasher);
        Self(hasher.finish())
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below `end`; 0 if that is 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap()
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Numbers that programs trip over.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1",
    "255",
    "65536",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "18446744073709551616",
    "1e300",
    "1e-300",
    "-0.0",
    "0.5",
    "null",
    "true",
    "\"x\"",
    "[]",
    "{}",
];

/// Texts that parsers, templates and terminals trip over.
const TEXTS: &[&str] = &[
    "\u{0}",
    "\u{feff}",
    "\u{1b}[2J",
    "\"",
    "'",
    "\\",
    "\\ud83d",
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}",
    "{{ '%0999999999d'|format(1) }}",
    "{{ raise_exception('no') }}",
    "\r\n",
    "\n\n",
    ",",
    ";",
    "=",
    "../../../../etc/passwd",
    "/dev/zero",
    "NaN",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    "e\u{301}",
];

/// The bytes with one to three kinds of damage.
pub(super) fn mutated(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    for _ in 0..=random.below(3) {
        damaged = damage(damaged, random);
    }
    damaged
}

fn damage(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let (at, other) = (random.below(bytes.len() + 1), random.below(bytes.len() + 1));
    let (begin, end) = (at.min(other), at.max(other));
    match random.below(12) {
        0 => {
            for _ in 0..=random.below(8) {
                let place = random.below(bytes.len());
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(begin..end.min(begin + 64))),
        3 => {
            let part = bytes[begin..end.min(begin + 4096)].to_vec();
            let place = random.below(bytes.len() + 1);
            bytes.splice(place..place, part);
        }
        4..=6 => swap_number(&mut bytes, random),
        7 => drop(bytes.splice(at..at, random.one(TEXTS).bytes())),
        8 => {
            let deep = random.one(&["[", "{\"a\":", "(", "{% if 1 %}", "{{ [", "a = [", "\"a\": ["]);
            bytes.splice(at..at, deep.repeat(*random.one(&[10, 1000, 100_000])).bytes());
        }
        9 => {
            let many = vec![*random.one(b"a0 \n,\"\xff\0[9"); *random.one(&[100, 10_000, 3_000_000])];
            bytes.splice(at..at, many);
        }
        10 => {
            // Eight bytes as lengths and offsets of binary files have them.
            let number = *random.one(&[0_u64, 1, u64::MAX, 1 << 63, 1 << 40, 1 << 32, 0x7fff_ffff]);
            for (byte, new) in bytes[begin..].iter_mut().zip(number.to_le_bytes()) {
                *byte = new;
            }
        }
        _ => bytes = if random.below(2) == 0 { Vec::new() } else { bytes.repeat(2) },
    }
    bytes
}

/// Puts another number in the place of one of those in a text.
fn swap_number(bytes: &mut Vec<u8>, random: &mut Random) {
    let is_number = |byte: u8| byte.is_ascii_digit() || b".-+e".contains(&byte);
    let starts: Vec<usize> = (0..bytes.len())
        .filter(|&at| bytes[at].is_ascii_digit() && (at == 0 || !is_number(bytes[at - 1])))
        .collect();
    if starts.is_empty() {
        return;
    }
    let start = *random.one(&starts);
    let length = bytes[start..].iter().take_while(|&&byte| is_number(byte)).count();
    bytes.splice(start..start + length, random.one(NUMBERS).bytes());
}
