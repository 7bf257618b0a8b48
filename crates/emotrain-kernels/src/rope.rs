//! Rotary position embedding (Su et al. 2021): element `i` of a head is rotated together with element `i + d/2`.

/// Rotates one head of one row by the row's angles.
#[inline(always)]
pub fn rotate_head(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    let half = head.len() / 2;
    let (first, second) = head.split_at_mut(half);
    let (cos, sin) = (&cos[..half], &sin[..half]);
    for i in 0..half {
        let (a, b) = (first[i], second[i]);
        first[i] = a * cos[i] - b * sin[i];
        second[i] = b * cos[i] + a * sin[i];
    }
}

/// The inverse of [`rotate_head`].
#[inline(always)]
pub fn rotate_head_back(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    let half = head.len() / 2;
    let (first, second) = head.split_at_mut(half);
    let (cos, sin) = (&cos[..half], &sin[..half]);
    for i in 0..half {
        let (a, b) = (first[i], second[i]);
        first[i] = a * cos[i] + b * sin[i];
        second[i] = b * cos[i] - a * sin[i];
    }
}
