//! What a GPU tells of itself: its memory, and the kernels that were launched.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use burn::tensor::{Device, Tensor};
use burn_cubecl::Cube;
use cubecl::logging::{Duration, LaunchObservation, LaunchObserver, TimingMethod, TimingRequest};

use super::Launches;

/// Bytes that this process has reserved on the device: what other programs cannot have.
pub(super) fn reserved_bytes(device: &Device) -> Option<u64> {
    let tensor = Tensor::<1>::zeros([1], device).try_into_primitive::<Cube>().ok()?;
    let report = tensor.client.memory_report(cubecl::MemoryScope::Device);
    Some(report.usage().bytes_reserved)
}

/// Whether tensors go from the device to others of its kind without the host.
pub(super) fn sends(device: &Device) -> bool {
    let tensor = Tensor::<1>::zeros([1], device).try_into_primitive::<Cube>();
    tensor.is_ok_and(|tensor| tensor.client.has_device_transport())
}

/// cubecl tells one observer at a time.
static ONE: Mutex<()> = Mutex::new(());

/// Calls `work` while every kernel launch of this thread is counted and timed, one kernel at a time. Other threads that ask
/// for the same wait.
pub(super) fn profiled<T>(work: impl FnOnce() -> T) -> (T, BTreeMap<String, Launches>) {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let watch = Arc::new(Watch { thread: thread::current().id(), kinds: Mutex::default() });
    let observation = LaunchObservation::new(watch.clone());
    let result = work();
    drop(observation);
    let kinds = std::mem::take(&mut *watch.kinds.lock().unwrap_or_else(PoisonError::into_inner));
    // Kernels that differ in their types alone are one kind.
    let mut profile: BTreeMap<String, Launches> = BTreeMap::new();
    for (name, launches) in kinds {
        let kind = profile.entry(short(name)).or_default();
        kind.count += launches.count;
        kind.seconds += launches.seconds;
    }
    (result, profile)
}

/// The name of a kernel's function.
fn short(type_name: &str) -> String {
    let before_types = type_name.split('<').next().unwrap_or(type_name);
    before_types.rsplit("::").next().unwrap_or(before_types).to_owned()
}

struct Watch {
    thread: ThreadId,
    kinds: Mutex<BTreeMap<&'static str, Launches>>,
}

impl Watch {
    fn update(&self, kernel: &'static str, change: impl FnOnce(&mut Launches)) {
        if thread::current().id() != self.thread {
            return;
        }
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        change(kinds.entry(kernel).or_default());
    }
}

impl LaunchObserver for Watch {
    fn launched(&self, kernel: &'static str) {
        self.update(kernel, |launches| launches.count += 1);
    }

    fn timing(&self) -> TimingRequest {
        TimingRequest::Resolved
    }

    fn timed(&self, kernel: &'static str, duration: Duration, _method: TimingMethod) {
        self.update(kernel, |launches| launches.seconds += duration.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_named_by_its_function() {
        assert_eq!(short("burn_cubecl::kernel::unary_float<f32, Exp<f32>>"), "unary_float");
        assert_eq!(short("plain"), "plain");
    }
}
