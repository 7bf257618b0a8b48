//! What becomes of memory that is given back.

/// Keeps for the next buffers what is given back. Otherwise glibc gives large blocks back to Linux, which clears them when they
/// are asked for again.
///
/// For the beginning of a program.
pub fn keep_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    keep();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the allocator's settings are C's")]
fn keep() {
    /// Above this, a block is Linux's own and given back; up to glibc 2.34 it may be no larger than the second.
    const LARGE: [libc::c_int; 2] = [1 << 30, 32 << 20];
    /// What is asked of Linux at once.
    const PAD: libc::c_int = 64 << 20;
    // SAFETY: a number that the allocator looks at.
    let takes = |setting, value| unsafe { libc::mallopt(setting, value) } == 1;
    // The others alone would make it give back every block of 128 KiB.
    if LARGE.into_iter().any(|large| takes(libc::M_MMAP_THRESHOLD, large)) {
        takes(libc::M_TRIM_THRESHOLD, LARGE[0]);
        takes(libc::M_TOP_PAD, PAD);
    }
}
