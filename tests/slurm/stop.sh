#!/usr/bin/env bash
# Ends a cluster of start.sh: its jobs, then its daemons, each by the process id in its own file.
#
#   bash tests/slurm/stop.sh FOLDER
set -uo pipefail

folder="${1:?usage: stop.sh FOLDER}"
export SLURM_CONF="$folder/slurm.conf"

# runs PID NAME: whether the process is there, has that name and is no zombie.
runs() {
  [[ "$(cat "/proc/$1/comm" 2>/dev/null)" == "$2" ]] && ! grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null
}

# end NAME FILE: ends the daemon whose id is in the file, at once after 10 s.
end() {
  local pid
  pid="$(cat "$2" 2>/dev/null)" || return 0
  if [[ -n "$pid" ]] && runs "$pid" "$1"; then
    kill "$pid"
    for _ in $(seq 100); do
      runs "$pid" "$1" || break
      sleep 0.1
    done
    runs "$pid" "$1" && kill -9 "$pid"
  fi
  rm -f "$2"
}

jobs() {
  timeout 10 squeue --noheader --format=%A 2>/dev/null | sort -u
}

if [[ -f "$folder/run/slurmctld.pid" ]] && runs "$(cat "$folder/run/slurmctld.pid")" slurmctld; then
  # Nothing new begins, and slurmd itself ends the processes of what runs.
  left="$(jobs)"
  if [[ -n "$left" ]]; then
    # shellcheck disable=SC2086 # one word for each job
    timeout 10 scancel --state=PENDING $left 2>/dev/null
    timeout 10 scancel --signal=KILL --full $left 2>/dev/null
    timeout 10 scancel $left 2>/dev/null
    for _ in $(seq 50); do
      [[ -n "$(jobs)" ]] || break
      sleep 0.2
    done
  fi
fi

for file in "$folder"/run/slurmd-*.pid; do
  end slurmd "$file"
done
end slurmctld "$folder/run/slurmctld.pid"
end munged "$folder/run/munged.pid"
