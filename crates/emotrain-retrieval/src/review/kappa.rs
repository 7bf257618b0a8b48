//! Agreement corrected for chance.

/// Cohen's kappa of pairs of labels below `labels`: how much more two annotators agree than two who label at random
/// with the same frequencies. 1 is full agreement, 0 chance.
///
/// `None` without pairs, or if both use one and the same label throughout: chance alone gives full agreement then.
///
/// # Panics
/// If a label is not below `labels`.
pub fn cohen_kappa(pairs: &[(usize, usize)], labels: usize) -> Option<f64> {
    let (mut first, mut second) = (vec![0_usize; labels], vec![0_usize; labels]);
    for (one, other) in pairs {
        first[*one] += 1;
        second[*other] += 1;
    }
    let count = pairs.len() as f64;
    let equal = pairs.iter().filter(|(one, other)| one == other).count() as f64;
    // In integers, so that full agreement by chance is detected exactly.
    let by_chance: usize = first.iter().zip(&second).map(|(one, other)| one * other).sum();
    if pairs.is_empty() || by_chance == pairs.len() * pairs.len() {
        return None;
    }
    let by_chance = by_chance as f64 / count;
    Some((equal - by_chance) / (count - by_chance))
}
