#!/bin/sh
# Boots systemd as the first process of a system of its own: this machine's files beneath a layer in memory, new
# namespaces of every kind but user, a version 2 cgroup tree. To be started by
#   unshare --mount --pid --fork --net --uts --ipc --cgroup sh boot-systemd.sh FOLDER PROGRAM...
# FOLDER is for the layer; each PROGRAM is copied into the system's /usr/local/bin.
set -e
mem=$1
shift
root=$mem/root
mount --make-rprivate /
mount -t tmpfs none "$mem"
mkdir "$mem/upper" "$mem/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$mem/upper,workdir=$mem/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
for folder in run tmp var/lib/proa; do
    mkdir -p "$root/$folder"
    mount -t tmpfs tmpfs "$root/$folder"
done
mkdir -p "$root/usr/local/bin"
cp "$@" "$root/usr/local/bin/"
# Only what every system has is started.
units=$root/etc/systemd/system
rm -rf "$units"/*.wants "$units"/proa*
ln -sf /lib/systemd/system/multi-user.target "$units/default.target"
for unit in getty.target systemd-logind.service systemd-udevd.service systemd-udev-trigger.service \
    firewalld.service ufw.service ssh.service docker.service containerd.service; do
    ln -sf /dev/null "$units/$unit"
done
ip link set lo up
cd "$root"
exec env -i container=other PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    SYSTEMD_PROC_CMDLINE=systemd.unified_cgroup_hierarchy=1 \
    "$(command -v chroot)" "$root" /lib/systemd/systemd --system --show-status=0
