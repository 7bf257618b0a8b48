//! The threads of the CPU, and the memory of the process.

pub use emotrain_kernels::keep_memory;

/// Of each thread; what is not used costs nothing. Templates of others run on these threads, too.
const STACK_BYTES: usize = 64 << 20;

/// Limits the CPU threads of this process, of which the caller's is one from now on, so it may not wait for others that
/// compute; 0 leaves one per core. Only the first call has an effect.
pub fn set_threads(threads: usize) {
    // A pool that exists already keeps its size; results do not depend on it.
    let _ = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .use_current_thread()
        .stack_size(STACK_BYTES)
        .build_global();
}
