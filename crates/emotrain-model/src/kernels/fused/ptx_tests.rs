//! Every kernel as NVIDIA's assembler sees it: registers and spills, without a card.
//!
//! Kernels go through both of cubecl's compilers, LLVM to PTX and CUDA C++ to NVRTC, for an A100 (sm_80) and an H100
//! (sm_90a). `EMOTRAIN_CUDA_TOOLS` names the folder that `tests/gpu/toolkit.sh` fills with `ptxas`, NVRTC and the
//! headers; without it nothing is assembled.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use cubecl::cuda::compiler::{CudaBackend, CudaCompilationOptions, CudaCompiler, CudaRepresentation};
use cubecl::ir::features::Features;
use cubecl::ir::nvidia::SmArch;
use cubecl::ir::{DeviceIdentity, ElemType, FloatKind, HardwareProperties, MemoryDeviceProperties};
use cubecl::prelude::*;
use cubecl::profile::TimingMethod;
use cubecl::{Compiler, CubeKernel};
use cudarc::nvrtc::{CompileOptions, compile_ptx_with_opts};
use expect_test::expect;

use super::rms_norm::{rms_norm_forward, units};

/// The properties of an NVIDIA GPU that kernels query.
fn properties() -> Arc<DeviceProperties> {
    let hardware = HardwareProperties {
        load_width: 128,
        vector_register_count: None,
        plane_size_min: 32,
        plane_size_max: 32,
        max_bindings: 32,
        max_shared_memory_size: 48 << 10,
        max_cube_count: (i32::MAX as u32, 65_535, 65_535),
        max_units_per_cube: 1024,
        max_cube_dim: (1024, 1024, 64),
        num_streaming_multiprocessors: None,
        num_tensor_cores: None,
        min_tensor_cores_dim: None,
        num_cpu_cores: None,
        last_level_cache_size: None,
        max_vector_size: VectorSize::MAX,
        cube_mma_reserved_shared_memory: 0,
    };
    let identity = DeviceIdentity { name: "none".to_owned(), fingerprint: "none".to_owned(), physical: None };
    let memory = MemoryDeviceProperties::new(u64::MAX, 256);
    Arc::new(DeviceProperties::new(Features::default(), memory, hardware, TimingMethod::Device, identity))
}

/// RMSNorm over rows of 4,096, Qwen3-8B's width.
fn rms_norm(float: FloatKind, size: VectorSize) -> impl CubeKernel {
    let (vectors, float) = (4096 / size, ElemType::Float(float));
    let units = units(vectors);
    let dim = CubeDim::new_1d(u32::try_from(units).unwrap());
    let settings = KernelSettings::new(*dim, ExecutionMode::Checked, AddressType::U32);
    let buffer = || BufferCompilationArg { inplace: None };
    rms_norm_forward::RmsNormForward::new(
        settings,
        properties(),
        Arc::new(TargetProperties::default()),
        buffer(),
        buffer(),
        buffer(),
        (),
        size,
        vectors,
        units,
        float,
    )
}

/// The folder of `tests/gpu/toolkit.sh`.
fn tools() -> Option<PathBuf> {
    std::env::var_os("EMOTRAIN_CUDA_TOOLS").map(PathBuf::from)
}

/// The kernel as PTX by cubecl's compiler through LLVM.
fn by_llvm(kernel: &impl CubeKernel, arch: u32) -> String {
    let mut compiler = CudaCompiler::new(CudaBackend::Llvm);
    let arch = Some(SmArch::new(arch, arch == 90));
    let options = CudaCompilationOptions { arch, ..Default::default() };
    let CudaRepresentation::Llvm(module) = compiler.compile(kernel.define(), &options).unwrap() else {
        panic!("LLVM was asked for")
    };
    let bytes = module.ptx.iter().map(|&byte| byte.cast_unsigned()).take_while(|&byte| byte != 0);
    String::from_utf8(bytes.collect()).unwrap()
}

/// The kernel as PTX by NVRTC, as on a machine with a card.
fn by_nvrtc(kernel: &impl CubeKernel, (arch, tools): (&'static str, &Path)) -> String {
    let mut compiler = CudaCompiler::new(CudaBackend::Cpp);
    let source = compiler.compile(kernel.define(), &CudaCompilationOptions::default()).unwrap();
    let include = tools.join("include").display().to_string();
    let options =
        CompileOptions { arch: Some(arch), include_paths: vec![include], ..CompileOptions::default() };
    compile_ptx_with_opts(source.to_string(), options).unwrap().to_src()
}

/// "N registers, N bytes spilled", as the assembler says.
fn assembled(ptx: &str, (arch, tools): (&str, &Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kernel.ptx");
    fs_err::write(&file, ptx).unwrap();
    let mut ptxas = Command::new(tools.join("bin/ptxas"));
    let arch = format!("-arch={arch}");
    let output = ptxas.args(["-v", &arch, "-o"]).arg(folder.path().join("kernel.cubin")).arg(&file).output();
    let output = output.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}\n{ptx}");
    let number = |after: &str, before: &str| {
        let (_, rest) = said.split_once(after).unwrap();
        rest.split_once(before).unwrap().0.trim().to_owned()
    };
    let (registers, spilled) =
        (number("Used", "registers"), number("bytes stack frame,", "bytes spill stores"));
    format!("{registers} registers, {spilled} bytes spilled")
}

#[test]
fn kernels_assemble_without_spills() {
    let Some(tools) = tools() else {
        println!("skipped: EMOTRAIN_CUDA_TOOLS names no folder with ptxas");
        return;
    };
    let mut lines = Vec::new();
    for (arch, name) in [(80, "sm_80"), (90, "sm_90a")] {
        for (float, size) in [(FloatKind::F32, 4), (FloatKind::F16, 8), (FloatKind::BF16, 8)] {
            let kernel = rms_norm(float, size);
            for (compiler, ptx) in
                [("llvm", by_llvm(&kernel, arch)), ("nvrtc", by_nvrtc(&kernel, (name, &tools)))]
            {
                let found = assembled(&ptx, (name, &tools));
                assert!(found.ends_with(" 0 bytes spilled"), "{float:?} {name} {compiler}: {found}");
                lines.push(format!("rms_norm_forward {float:?} {name} {compiler}: {found}"));
            }
        }
    }
    expect![[r#"
        rms_norm_forward F32 sm_80 llvm: 31 registers, 0 bytes spilled
        rms_norm_forward F32 sm_80 nvrtc: 32 registers, 0 bytes spilled
        rms_norm_forward F16 sm_80 llvm: 32 registers, 0 bytes spilled
        rms_norm_forward F16 sm_80 nvrtc: 31 registers, 0 bytes spilled
        rms_norm_forward BF16 sm_80 llvm: 30 registers, 0 bytes spilled
        rms_norm_forward BF16 sm_80 nvrtc: 31 registers, 0 bytes spilled
        rms_norm_forward F32 sm_90a llvm: 31 registers, 0 bytes spilled
        rms_norm_forward F32 sm_90a nvrtc: 32 registers, 0 bytes spilled
        rms_norm_forward F16 sm_90a llvm: 31 registers, 0 bytes spilled
        rms_norm_forward F16 sm_90a nvrtc: 32 registers, 0 bytes spilled
        rms_norm_forward BF16 sm_90a llvm: 32 registers, 0 bytes spilled
        rms_norm_forward BF16 sm_90a nvrtc: 30 registers, 0 bytes spilled"#]]
    .assert_eq(&lines.join("\n"));
}
