#!/usr/bin/env bash
# Makes the Python environment of the scripts beside it once, in the user's cache, and prints its interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/emotrain-real"
place="$cache/$(sha256sum requirements.txt | cut -c1-16)"
if [[ ! -e "$place/complete" ]]; then
  rm -rf "$place"
  mkdir -p "$cache"
  # Debian has pip and venv in packages of their own, and venv needs the latter to bring the former.
  python3 -m venv --without-pip "$place" >&2
  python3 -m pip --python "$place/bin/python" install --quiet --disable-pip-version-check -r requirements.txt >&2
  touch "$place/complete"
fi
echo "$place/bin/python"
