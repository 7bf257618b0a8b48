#!/usr/bin/env bash
# A small real Slurm on this machine, for tests: munged, slurmctld and slurmds, each with a configuration, a key and
# ports of its own, all of them on 127.0.0.1. No systemd, no cgroups, no accounting.
#
#   bash tests/slurm/start.sh FOLDER               a cluster whose files are all in FOLDER, which must be new
#   bash tests/slurm/start.sh FOLDER controller    its controller again, after that was killed
#   bash tests/slurm/start.sh FOLDER node2         a node again, after its slurmd was killed
#   bash tests/slurm/stop.sh FOLDER
#
# Clients find the cluster by SLURM_CONF=FOLDER/slurm.conf. Each slurmd has a hostname of its own (a UTS namespace), as
# node1, node2, …, so it needs root and a container that may unshare namespaces (docker: --cap-add SYS_ADMIN).
#
# From the environment: NODES (2), NODE_CPUS (1), NODE_GPUS (0: devices that only look like GPUs), PORT (17817: the
# controller's; node N has PORT + N).
set -euo pipefail

nodes="${NODES:-2}"
cpus="${NODE_CPUS:-1}"
gpus="${NODE_GPUS:-0}"
port="${PORT:-17817}"
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

stop_with() {
  echo "slurm: $*" >&2
  exit 1
}

[[ $# -ge 1 ]] || stop_with "usage: start.sh FOLDER [controller | nodeN]"
[[ "$(id -u)" == 0 ]] || stop_with "a cluster needs root: slurmd starts jobs in the name of their owners"
for program in munged slurmctld slurmd sbatch; do
  [[ -n "$(PATH="$PATH:/usr/sbin" command -v "$program")" ]] ||
    stop_with "$program is missing; apt-get install slurmctld slurmd slurm-client munge"
done
PATH="$PATH:/usr/sbin:/sbin"
unshare --uts --mount true 2>/dev/null ||
  stop_with "namespaces for hostnames cannot be unshared here; a container needs the capability SYS_ADMIN"

# inhabit NAME COMMAND...: runs a daemon on a host of this name, whose address is 127.0.0.1.
inhabit() {
  unshare --uts --mount --propagation slave bash -c '
    hostname "$0"
    mount --bind "$1" /etc/hosts
    exec "${@:2}"' "$1" "$folder/hosts" "${@:2}"
}

controller() {
  inhabit controller slurmctld -f "$folder/slurm.conf" "$@" || give_up "slurmctld does not start"
}

node() {
  inhabit "$1" slurmd -f "$folder/slurm.conf" || give_up "slurmd of $1 does not start"
}

# give_up WORDS: what the daemons wrote last, and nothing left running.
give_up() {
  tail -n 15 "$folder"/log/*.log >&2 || true
  bash "$here/stop.sh" "$folder"
  stop_with "$*"
}

if [[ $# -ge 2 ]]; then
  folder="$(cd "$1" && pwd)"
  [[ -f "$folder/slurm.conf" ]] || stop_with "$folder is no cluster"
  if [[ "$2" == controller ]]; then controller; else node "$2"; fi
  exit
fi

# Another cluster on the same ports would answer in the place of this one.
for number in $(seq 0 "$nodes"); do
  ! (exec 3<>"/dev/tcp/127.0.0.1/$((port + number))") 2>/dev/null ||
    stop_with "port $((port + number)) is taken; name others with PORT"
done

[[ ! -e "$1" || -z "$(ls -A "$1")" ]] || stop_with "$1 exists; stop that cluster and remove the folder first"
mkdir -p "$1"
folder="$(cd "$1" && pwd)"
# A socket's path has at most 107 bytes.
[[ "${#folder}" -le 80 ]] || stop_with "$folder is too long a path for a socket"
mkdir "$folder"/{run,log,state,spool,munge}
chmod 755 "$folder" "$folder"/{run,log,state,spool}
chmod 711 "$folder/munge"

(umask 077 && head -c 512 /dev/urandom >"$folder/munge/key")
munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" --seed-file="$folder/munge/seed" \
  --pid-file="$folder/run/munged.pid" --log-file="$folder/log/munged.log"

names=(localhost "$(hostname)" controller)
memory="$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024 / 2))"
{
  # Who and where.
  echo "ClusterName=emotrain"
  echo "SlurmctldHost=controller(127.0.0.1)"
  echo "SlurmctldPort=$port"
  echo "SlurmUser=root"
  echo "SlurmdUser=root"
  echo "CommunicationParameters=NoInAddrAny,NoCtldInAddrAny"
  echo "AuthInfo=socket=$folder/munge/socket"
  echo "StateSaveLocation=$folder/state"
  echo "SlurmdSpoolDir=$folder/spool/%n"
  for daemon in slurmctld:slurmctld slurmd:slurmd-%n; do
    title="${daemon%%:*}" && title="${title^}"
    echo "${title}PidFile=$folder/run/${daemon#*:}.pid"
    echo "${title}LogFile=$folder/log/${daemon#*:}.log"
  done
  # Nothing that a container may lack.
  echo "ProctrackType=proctrack/linuxproc"
  echo "TaskPlugin=task/none"
  echo "JobAcctGatherType=jobacct_gather/none"
  echo "AccountingStorageType=accounting_storage/none"
  echo "SwitchType=switch/none"
  echo "MpiDefault=none"
  echo "MailProg=/bin/true"
  # Nodes need not have what they claim.
  echo "SlurmdParameters=config_overrides"
  echo "SelectType=select/cons_tres"
  echo "SelectTypeParameters=CR_Core"
  # Quick decisions, and every job that ended is shown.
  echo "SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=1"
  echo "MinJobAge=3600"
  echo "MaxArraySize=1001"
  echo "KillWait=10"
  echo "SlurmdTimeout=20"
  echo "ReturnToService=2"
  echo "PreemptType=preempt/partition_prio"
  echo "PreemptMode=REQUEUE"
  gres=""
  if [[ "$gpus" -gt 0 ]]; then
    echo "GresTypes=gpu"
    gres="Gres=gpu:$gpus"
  fi
  for number in $(seq "$nodes"); do
    echo "NodeName=node$number NodeHostname=node$number NodeAddr=127.0.0.1 Port=$((port + number))" \
      "CPUs=$cpus RealMemory=$memory $gres State=UNKNOWN"
    mkdir "$folder/spool/node$number"
    names+=("node$number")
    # Terminals stand for the GPUs: Slurm wants device files.
    for gpu in $(seq "$gpus"); do
      echo "NodeName=node$number Name=gpu File=/dev/tty$gpu" >>"$folder/gres.conf"
    done
  done
  echo "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=2 PreemptMode=OFF"
  echo "PartitionName=spare Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=20"
} >"$folder/slurm.conf"
printf '127.0.0.1 %s\n' "${names[@]}" >"$folder/hosts"

export SLURM_CONF="$folder/slurm.conf"
controller -c
for number in $(seq "$nodes"); do
  node "node$number"
done

idle=0
for _ in $(seq 150); do
  idle="$({ timeout 10 sinfo --noheader --Node --partition=main --states=idle --format=%N || true; } 2>/dev/null | wc -l)"
  if [[ "$idle" == "$nodes" ]]; then
    echo "slurm: $nodes nodes are up; SLURM_CONF=$SLURM_CONF" >&2
    exit
  fi
  sleep 0.2
done
give_up "only $idle of $nodes nodes are up after 30 s"
