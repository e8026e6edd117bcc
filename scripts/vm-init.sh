#!/bin/sh
# The first process of the guest that scripts/vm.sh boots: mounts what a system has, runs /command, tells its exit
# status on the second serial line and turns the machine off.
export PATH=/product:/bin:/sbin:/usr/bin HOME=/root PROA_BIN_DIR=/product RUST_BACKTRACE=1 TERM=dumb
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -sf /proc/self/fd /dev/fd
while read -r module; do insmod "/lib/modules/$module" 2>/dev/null; done < /lib/modules/order
ifconfig lo 127.0.0.1 up
hostname guest
ulimit -n 65536
stty -onlcr <>/dev/ttyS1
sh /command >/dev/ttyS1 2>&1 </dev/null
printf '\nguest: exit %s\n' "$?" >/dev/ttyS1
sync
poweroff -f
