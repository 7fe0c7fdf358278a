#!/bin/sh
# Runs one lab host until it is shut down; a reboot from inside brings it up again, as on a real machine.
# Called by lab/host.py in a mount namespace of its own, so every mount made here ends with it.
#   host.sh CGROUP_MOUNT CGROUP FOLDER IMAGE MACHINE HOSTNAME BRIDGE
set -eu
cgroup_mount=$1 cgroup=$2 folder=$3 image=$4 machine=$5 hostname=$6 bridge=$7

echo $$ > "$cgroup_mount/$cgroup/cgroup.procs"
# systemd 257 refuses cgroup v1, so the host sees cgroup v2 only, whatever this machine uses.
umount -R /sys/fs/cgroup 2>/dev/null || umount -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
# nspawn's own lock and propagation folders: private, so that nothing is left behind.
mkdir -p /run/systemd/nspawn
mount -t tmpfs -o mode=0755 none /run/systemd/nspawn
mount -t overlay overlay -o "lowerdir=$image,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"

export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
stopping=
trap 'stopping=1; kill -TERM "$child" 2>/dev/null || :' TERM
while :; do
    systemd-nspawn --quiet --settings=no --register=no --keep-unit --directory="$folder/root" \
        --machine="$machine" --hostname="$hostname" --network-bridge="$bridge" \
        --resolv-conf=off --timezone=off --link-journal=no --console=read-only --boot </dev/null &
    child=$!
    while :; do
        code=0
        wait "$child" || code=$?
        kill -0 "$child" 2>/dev/null || break # a signal ends `wait` early, the host's end does not
    done
    # 133: the host asked for a reboot.
    [ "$code" -eq 133 ] && [ -z "$stopping" ] || exit "$code"
done
