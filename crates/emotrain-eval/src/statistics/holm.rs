//! Many tests at once.

/// Holm's step-down correction (Holm 1979, A simple sequentially rejective multiple test procedure), in the order of
/// the arguments: `statsmodels.stats.multitest.multipletests(p, method="holm")`. Whoever rejects below 0.05 then errs in
/// any of all the tests with a probability of at most 0.05.
pub(crate) fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut corrected = vec![0.0; p.len()];
    let mut largest = 0.0_f64;
    for (rank, at) in order.into_iter().enumerate() {
        largest = largest.max((p.len() - rank) as f64 * p[at]).min(1.0);
        corrected[at] = largest;
    }
    corrected
}
