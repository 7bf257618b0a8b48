//! Every kernel as NVIDIA's assembler sees it: registers and spills, without a card.
//!
//! Kernels go through cubecl's compilers, CUDA C++ to NVRTC and, without exponentials, LLVM to PTX, for an A100 (sm_80)
//! and an H100 (sm_90a). `EMOTRAIN_CUDA_TOOLS` names the folder that `tests/gpu/toolkit.sh` fills with `ptxas`, NVRTC and the
//! headers; without it nothing is assembled.

mod kernels;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use cubecl::Compiler;
use cubecl::cuda::compiler::{CudaBackend, CudaCompilationOptions, CudaCompiler, CudaRepresentation};
use cubecl::ir::features::Features;
use cubecl::ir::nvidia::SmArch;
use cubecl::ir::{DeviceIdentity, FloatKind, HardwareProperties, MemoryDeviceProperties};
use cubecl::prelude::*;
use cubecl::profile::TimingMethod;
use cudarc::nvrtc::{CompileOptions, compile_ptx_with_opts};
use expect_test::expect_file;

use self::kernels::{KERNELS, ON_TENSOR_CORES};

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

/// The compilers that a kernel goes through. What it takes from CUDA's libdevice only NVRTC has, with which kernels run.
fn compilers(kernel: &str) -> &'static [&'static str] {
    match kernel {
        "gated_forward"
        | "gated_backward"
        | "softmax_forward"
        | "softmax_backward"
        | "cross_entropy"
        | "attention_to_slots"
        | "gelu_of_sum"
        | "flash_forward"
        | "flash_backward_queries"
        | "flash_backward_keys" => &["nvrtc"],
        _ => &["llvm", "nvrtc"],
    }
}

/// The folder of `tests/gpu/toolkit.sh`.
fn tools() -> Option<PathBuf> {
    std::env::var_os("EMOTRAIN_CUDA_TOOLS").map(PathBuf::from)
}

/// The kernel as PTX by cubecl's compiler through LLVM.
fn by_llvm(kernel: KernelDefinition, arch: u32) -> String {
    let mut compiler = CudaCompiler::new(CudaBackend::Llvm);
    let arch = Some(SmArch::new(arch, arch == 90));
    let options = CudaCompilationOptions { arch, ..Default::default() };
    let CudaRepresentation::Llvm(module) = compiler.compile(kernel, &options).unwrap() else {
        panic!("LLVM was asked for")
    };
    let bytes = module.ptx.iter().map(|&byte| byte.cast_unsigned()).take_while(|&byte| byte != 0);
    String::from_utf8(bytes.collect()).unwrap()
}

/// The kernel as PTX by NVRTC, as on a machine with a card.
fn by_nvrtc(kernel: KernelDefinition, (arch, tools): (&'static str, &Path)) -> String {
    let mut compiler = CudaCompiler::new(CudaBackend::Cpp);
    let source = compiler.compile(kernel, &CudaCompilationOptions::default()).unwrap();
    let include = tools.join("include").display().to_string();
    let options =
        CompileOptions { arch: Some(arch), include_paths: vec![include], ..CompileOptions::default() };
    compile_ptx_with_opts(source.to_string(), options).unwrap().to_src()
}

/// Registers of a thread and the bytes that it has in memory instead, spilled ones among them, as the assembler says.
fn assembled(ptx: &str, (arch, tools): (&str, &Path)) -> (String, String) {
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
    let spilled = number("bytes stack frame,", "bytes spill stores");
    let before = said.split_once(" bytes stack frame").unwrap().0;
    let frame = before.rsplit(char::is_whitespace).next().unwrap();
    (number("Used", "registers"), if frame == "0" { spilled } else { format!("{spilled} of {frame}") })
}

/// One line a kernel, architecture and compiler: the registers for numbers of each type.
#[test]
fn kernels_assemble_without_spills() {
    let Some(tools) = tools() else {
        println!("skipped: EMOTRAIN_CUDA_TOOLS names no folder with ptxas");
        return;
    };
    let mut lines = Vec::new();
    let narrow = [(FloatKind::F16, 8), (FloatKind::BF16, 8)];
    let all = [(FloatKind::F32, 4), narrow[0], narrow[1]];
    let kernels = KERNELS.iter().map(|kernel| (kernel, all.as_slice()));
    let kernels = kernels.chain(ON_TENSOR_CORES.iter().map(|kernel| (kernel, narrow.as_slice())));
    for (&(kernel, defined), floats) in kernels {
        for (arch, name) in [(80, "sm_80"), (90, "sm_90a")] {
            for &compiler in compilers(kernel) {
                let registers = floats.iter().map(|&(float, size)| {
                    let definition = defined(float, size);
                    let ptx = match compiler {
                        "llvm" => by_llvm(definition, arch),
                        _ => by_nvrtc(definition, (name, &tools)),
                    };
                    let (registers, spilled) = assembled(&ptx, (name, &tools));
                    assert_eq!(spilled, "0", "{kernel} {float:?} {name} {compiler}: bytes spilled");
                    format!("{float:?} {registers}")
                });
                let registers: Vec<String> = registers.collect();
                lines.push(format!("{kernel} {name} {compiler}: {}", registers.join(", ")));
            }
        }
    }
    expect_file!["ptx_registers.txt"].assert_eq(&(lines.join("\n") + "\n"));
}
