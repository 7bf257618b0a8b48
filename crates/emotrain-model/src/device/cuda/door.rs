//! The door to cubecl's device thread: calls of a library in order with cubecl's kernels, on its CUDA stream, with the
//! addresses of its buffers, without waiting for the device.
//!
//! What is used of cubecl is public, but no interface that it promises to keep: cubecl's version is pinned, and no other
//! file knows of it. A call runs on the thread that launches cubecl's kernels, so it must not use cubecl's client, and what is
//! slow in it delays all launches.

use std::any::TypeId;

use cubecl::client::Client;
use cubecl::cuda::CudaRuntime;
use cubecl::device_handle::DeviceHandle;
use cubecl::prelude::KernelId;
use cubecl::server::{BufferBinding, Handle, ServerError};
use cubecl_environment::backtrace::BackTrace;
use cubecl_environment::stream::StreamId;
use cubecl_server::runtime::Runtime;
use cubecl_server::stream::{ExecuteScope, WriteScoped};
use cudarc::driver::sys::CUstream;

type Server = <CudaRuntime as Runtime>::Server;

/// Under this name a call that was not made, since what it reads had failed, is reported.
struct LibraryCall;

/// The buffers of a call.
pub(super) struct Buffers {
    pub(super) reads: Vec<Handle>,
    pub(super) writes: Vec<Handle>,
    /// Whether the first of the written is read, too.
    pub(super) updates: bool,
}

/// Whether the client is of a CUDA device.
pub(super) fn leads_to(client: &Client) -> bool {
    client.service_id().service == TypeId::of::<Server>()
}

/// Makes a call after what was launched before on these buffers, and before what is launched later. The call is given the
/// stream and the address of each buffer, those that are read first, and they hold for as long as it lasts. What it returns
/// as an error is the error of whoever reads what it should have written.
pub(super) fn submit(
    client: &Client,
    buffers: Buffers,
    call: impl FnOnce(CUstream, &[u64]) -> Result<(), String> + Send + 'static,
) {
    let Buffers { reads, writes, updates } = buffers;
    let bindings = |handles: Vec<Handle>| handles.into_iter().map(Handle::binding).collect::<Vec<_>>();
    let (reads, writes, stream) = (bindings(reads), bindings(writes), StreamId::current());
    DeviceHandle::<Server>::new(client.service_id().device).submit(move |server| {
        let needed = reads.iter().chain(updates.then(|| &writes[0]));
        let id = KernelId::new::<LibraryCall>();
        let scope = ExecuteScope::launching(server, id, stream, needed, writes.clone());
        // An error is kept by the scope, for who reads.
        let _ = scope.execute(|server| {
            let all: Vec<BufferBinding> = reads.iter().chain(&writes).cloned().collect();
            let mut streams = server.write_streams().resolve(stream, all.iter())?;
            let mut addresses = Vec::with_capacity(all.len());
            for BufferBinding { memory, offset_start, offset_end, stream, .. } in all {
                streams.current().capturing.touch(stream, memory.descriptor().location());
                let memories = &mut streams.get(&stream).memory_management_gpu;
                addresses.push(memories.get_resource(memory, offset_start, offset_end)?.ptr);
            }
            call(streams.current().sys, &addresses)
                .map_err(|reason| ServerError::Generic { reason, backtrace: BackTrace::capture() })
        });
    });
}
