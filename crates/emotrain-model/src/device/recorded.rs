//! Launches that are recorded once and made again at once: a CUDA graph, or what cubecl does on other GPUs.

use std::thread::{self, ThreadId};

use burn::tensor::{Device, Graph, capture};

type Work = Box<dyn FnMut() + Send>;

/// Work on a device that is done again and again on the same buffers.
pub(crate) struct Recorded {
    graph: Graph<(), Work>,
    /// Its launches are in order with those of this thread alone.
    thread: ThreadId,
}

impl Recorded {
    /// Does the work a few times, and records it. What it reads and writes are tensors that it owns. Where it cannot be
    /// recorded, it is done as it stands each time, and what it wrote to in the attempt is an error to read.
    pub(crate) fn new(device: &Device, work: impl FnMut() + Send + 'static) -> Self {
        let work: Work = Box::new(work);
        Self { graph: capture(device, work), thread: thread::current().id() }
    }

    /// Whether launches were recorded.
    pub(crate) fn is_recorded(&self) -> bool {
        self.graph.is_hardware()
    }

    /// Does the work once more.
    ///
    /// # Panics
    /// On another thread than it was recorded on.
    #[expect(unsafe_code, reason = "what was recorded writes to buffers by their addresses")]
    pub(crate) fn run(&mut self) {
        assert_eq!(thread::current().id(), self.thread, "a recording belongs to a thread");
        // SAFETY: the buffers are of tensors that the work owns, and it lives in the graph; the launches before and after
        // are of this thread, hence of the stream that was recorded.
        unsafe { self.graph.replay() };
    }
}
