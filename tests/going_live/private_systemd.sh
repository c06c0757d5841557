#!/bin/bash
# A systemd of its own, which touches nothing of this machine: /etc, /opt, /var, /run and the control groups are private and
# are gone with it. Loopback is shared. Only what is asked of it is started. As root, inside:
#   unshare --pid --fork --mount --uts --ipc --cgroup --mount-proc --kill-child private_systemd.sh FOLDER
# FOLDER is seen inside as /mnt.
set -eu
mount --make-rprivate /
mount --bind "$1" /mnt
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/lock
for folder in etc opt var; do
    mkdir -p "/run/layers/$folder/above" "/run/layers/$folder/work"
    mount -t overlay overlay -o "lowerdir=/$folder,upperdir=/run/layers/$folder/above,workdir=/run/layers/$folder/work" "/$folder"
done
umount --lazy /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
printf '[Unit]\nDefaultDependencies=no\n' > /run/systemd/system/alone.target
container=other exec /lib/systemd/systemd --system --unit=alone.target --log-target=console --show-status=no
