#!/bin/sh
# A real Slurm of one node on the loopback interface, to try sweeps and srun on: munge, slurmctld, slurmd, nothing more.
#   apt-get install -y slurm-wlm munge
#   eval "$(scripts/local_slurm.sh start)"     sets SLURM_CONF for this shell; then sinfo, sbatch, srun ...
#   scripts/local_slurm.sh stop
# Everything lies in $LOCAL_SLURM (default /tmp/trainyard-slurm); it runs as whoever starts it, root or not.
set -eu
dir=${LOCAL_SLURM:-/tmp/trainyard-slurm}
conf=$dir/slurm.conf
PATH=$PATH:/usr/sbin

stop() {
    for name in slurmd slurmctld munged; do
        [ ! -s "$dir/$name.pid" ] || kill "$(cat "$dir/$name.pid")" 2>/dev/null || true
    done
}

configure() {
    mkdir -p "$dir/state" "$dir/spool"
    chmod 755 "$dir"
    [ -s "$dir/munge.key" ] || (umask 077 && head -c 1024 /dev/urandom > "$dir/munge.key")
    memory=$(awk '/MemTotal/ { print int($2 / 1024 * 0.9) }' /proc/meminfo)
    cat > "$conf" <<END
ClusterName=trainyard
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthInfo=socket=$dir/munge.socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MailProg=/bin/true
KillWait=30
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc --all) RealMemory=$memory State=UNKNOWN
PartitionName=local Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
}

start() {
    stop
    configure
    rm -f "$dir/munge.socket" "$dir/munge.socket.lock"
    munged --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" --pid-file="$dir/munged.pid" \
        --log-file="$dir/munged.log" --seed-file="$dir/munge.seed" 2>> "$dir/munged.log"
    SLURM_CONF=$conf
    export SLURM_CONF
    slurmctld -c
    slurmd
    for _ in $(seq 60); do
        case "$(sinfo --noheader --format=%T 2>/dev/null)" in idle | mixed | allocated) echo "export SLURM_CONF=$conf" && return ;; esac
        sleep 0.5
    done
    echo "error: the node did not come up ($dir/slurmctld.log): read the logs there" >&2
    exit 1
}

case "${1:-}" in
    start) start ;;
    stop) stop ;;
    *) sed -n '2,6s/^# //p' "$0" && exit 2 ;;
esac
