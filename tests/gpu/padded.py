"""burn's wgpu device with rows that are padded as on CUDA, and the tests of the GPU path on it.

    python3 padded.py [TEST_ARGUMENT...]

On CUDA burn begins each row of a tensor at a multiple of up to 512 bytes, so that there are gaps between rows; on wgpu it
leaves none, and a kernel that takes no heed of them passes every test there. This copies the crate cubecl-wgpu of the
version in Cargo.lock into target/padded, gives it CUDA's layout, and has cargo build with that copy. What is uploaded has
NaN in its gaps. How cargo builds, and where, is given by the environment, as in .ci/run; Python 3.11 alone.
"""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPY = ROOT / "target" / "padded" / "cubecl-wgpu"
TESTS = ["-p", "emotrain-model", "--features", "wgpu", "--test", "devices", "--lib", "--", "gpu", "fused"]
# The numbers of launches are recorded for layouts without gaps.
for counted in ("a_block_takes_few_launches_on_a_gpu", "a_token_takes_as_many_launches_for_many_sequences_as_for_one"):
    TESTS += ["--skip", counted]

# That of rows on CUDA, in bytes (cubecl-cuda's runtime.rs).
ALIGNMENT = 512
STRIDED = "cubecl_core::zspace::striding::has_pitched_row_major_strides"
PITCH = "cubecl_server::allocator::Pitch::of(&desc.shape, &desc.strides, desc.elem_size)"
REFUSED = "contiguous_strides(&desc.shape) != desc.strides"

READ = f"""
            let pitch = {PITCH};
            pitches.push(pitch);
            let numbers = pitch.map_or(desc.shape.iter().product(), |rows| {{
                (rows.height.saturating_sub(1) * rows.stride_bytes + rows.width_bytes) / desc.elem_size
            }});
            resources.push((resource, cubecl_core::zspace::Shape::from(vec![numbers]), desc.elem_size));"""
ROWS = """
        let read = stream.read_resources(resources, stream_id);
        Box::pin(async move {
            let mut all = read.await?;
            for (bytes, pitch) in all.iter_mut().zip(pitches) {
                let Some(pitch) = pitch else { continue };
                let rows = bytes.chunks(pitch.stride_bytes).take(pitch.height);
                *bytes = Bytes::from_bytes_vec(rows.flat_map(|row| &row[..pitch.width_bytes]).copied().collect());
            }
            Ok(all)
        })"""
WRITE = f"""
                let data = match {PITCH} {{
                    Some(pitch) if !data.is_empty() => {{
                        let mut padded = vec![u8::MAX; pitch.height * pitch.stride_bytes];
                        for (to, row) in padded.chunks_mut(pitch.stride_bytes).zip(data.chunks(pitch.width_bytes)) {{
                            to[..row.len()].copy_from_slice(row);
                        }}
                        Bytes::from_bytes_vec(padded)
                    }}
                    _ => data,
                }};
                let task = ScheduleTask::Write {{"""

# What stands in a file, how often, and what stands there instead.
CHANGES = {
    "src/runtime.rs": [
        ("ContiguousMemoryLayoutPolicy;", 1, "PitchedMemoryLayoutPolicy;"),
        ("ContiguousMemoryLayoutPolicy::new(device_props.memory.alignment as usize)", 1,
         f"PitchedMemoryLayoutPolicy::new({ALIGNMENT})"),
        ("if shape.is_empty() {", 1, f"if {STRIDED}(shape, strides) {{"),
    ],
    "src/compute/server.rs": [
        (REFUSED, 2, f"!{STRIDED}(&desc.shape, &desc.strides)"),
        ("let mut streams = vec![stream_id];\n        let mut resources", 1,
         "let mut streams = vec![stream_id];\n        let mut pitches = Vec::new();\n        let mut resources"),
        ("\n            resources.push((resource, desc.shape, desc.elem_size));", 1, READ),
        ("\n        stream.read_resources(resources, stream_id)", 1, ROWS),
        ("\n                let task = ScheduleTask::Write {", 1, WRITE),
    ],
}


def copied():
    """The crate in target/padded, with the changes."""
    rustc = subprocess.run(["rustc", "-vV"], check=True, stdout=subprocess.PIPE, text=True).stdout
    (host,) = [line.split()[1] for line in rustc.splitlines() if line.startswith("host: ")]
    told = subprocess.run(["cargo", "metadata", "--locked", "--format-version", "1", "--features", "wgpu",
                           "--filter-platform", host], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    (crate,) = [package for package in json.loads(told)["packages"] if package["name"] == "cubecl-wgpu"]
    shutil.rmtree(COPY, ignore_errors=True)
    shutil.copytree(Path(crate["manifest_path"]).parent, COPY)
    for name, changes in CHANGES.items():
        file = COPY / name
        text = file.read_text()
        for old, count, new in changes:
            if text.count(old) != count:
                sys.exit(f"{name} of cubecl-wgpu {crate['version']} has {text.count(old)} and not {count} times: {old}")
            text = text.replace(old, new)
        file.write_text(text)


def main():
    # Stopped from outside, what is below is put back too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    copied()
    lock = ROOT / "Cargo.lock"
    before = lock.read_bytes()
    patch = f"patch.crates-io.cubecl-wgpu.path='{COPY}'"
    try:
        status = subprocess.run(["cargo", "--config", patch, "test", *TESTS, *sys.argv[1:]], cwd=ROOT).returncode
    finally:
        # The copy is no dependency of the project.
        lock.write_bytes(before)
    sys.exit(status)


if __name__ == "__main__":
    main()
