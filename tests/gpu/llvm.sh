#!/usr/bin/env bash
# Lays the LLVM that burn's CUDA backend links where its build script (tracel-llvm-bundler) looks, so that this
# downloads nothing itself: static libraries and headers from PyPI, pinned by hash.
#
#   bash tests/gpu/llvm.sh DIR       then build with XDG_DATA_HOME=DIR
#
# Does nothing where DIR has it already.
set -euo pipefail

root="${1:?usage: llvm.sh DIR, the folder to be given to the build as XDG_DATA_HOME}"
# The folder name is the one of the tracel-llvm-bundler in Cargo.lock.
release="$(sed -n '/^name = "tracel-llvm-bundler"$/{n;s/^version = "\(.*\)"$/\1/p}' \
  "$(dirname "${BASH_SOURCE[0]}")/../../Cargo.lock")"
[[ -n "$release" ]] || { echo "llvm.sh: Cargo.lock names no tracel-llvm-bundler" >&2; exit 1; }
to="$root/tracel/tracel-llvm-$release"
[[ -e "$to/.tracel-llvm-installed" ]] && exit 0

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cat >"$work/pins" <<'PINS'
mlc-llvm-static==23.1.1.post0 --hash=sha256:dcfec888abfaa418be77d41af585805f31463584cf9c90582992c00f392c1ac5
mlc-llvm-static-extra-targets==23.1.1.post0 --hash=sha256:c36e834d9a4e9cf9759f27fece65711ece7a2fc2b5a96dbb15d66f5e9e787929
PINS
python3 -m pip download --quiet --no-deps --require-hashes --only-binary=:all: --dest "$work" --requirement "$work/pins"
for wheel in "$work"/*.whl; do
  python3 -m zipfile -e "$wheel" "$work/unpacked"
done

mkdir -p "$root/tracel"
rm -rf "$to"
mv "$work/unpacked/mlc_llvm_static/static" "$to"
# Of the twenty targets only two are linked, so the lists of targets must name no others.
sed -i -E '/^LLVM_[A-Z_]+\((X86|NVPTX)\)/!{/^LLVM_[A-Z_]+\(/d}' "$to"/include/llvm/Config/mlc-all/*.def
cat >"$to/bin/llvm-config" <<'CONFIG'
#!/bin/sh
# Asked for libraries without components, it would name those of all targets.
case " $* " in *" --libs "*) set -- "$@" x86 nvptx orcjit passes irreader bitreader linker ;; esac
exec python3 "$(dirname "$0")/llvm-config.py" "$@"
CONFIG
chmod +x "$to/bin/llvm-config"
touch "$to/.tracel-llvm-installed"
