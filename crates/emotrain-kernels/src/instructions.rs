//! Which of a CPU's instructions kernels and matrix products use.

/// The vector instructions of this CPU that are used here: with others, sums are rounded otherwise.
pub fn instructions() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        use crate::product::{has_dot_products, has_tiles};
        if matches!(pulp::Arch::new(), pulp::Arch::V4(_)) {
            return match (has_dot_products(), has_tiles()) {
                (true, true) => "AVX-512 with BF16 and AMX",
                (true, false) => "AVX-512 with BF16",
                (false, _) => "AVX-512",
            };
        }
        if matches!(pulp::Arch::new(), pulp::Arch::V3(_)) {
            return "AVX2";
        }
    }
    std::env::consts::ARCH
}
