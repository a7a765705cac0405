#!/bin/bash
# First process of the guest: builds the root, then runs the agent.
# The kernel hands over its unknown words as variables: lab_folder (the channel), lab_checkout.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
root=/mnt/root
mount -n -t proc proc /proc
read -r release </proc/sys/kernel/osrelease
modules=/usr/lib/uml/modules/$release
# /mnt is an empty folder of every Debian system; the host's own is not touched.
mount -n -t tmpfs -o size=400m upper /mnt
insmod "$modules/kernel/fs/overlayfs/overlay.ko"
mkdir /mnt/up /mnt/work $root
mount -n -t overlay -o lowerdir=/,upperdir=/mnt/up,workdir=/mnt/work overlay $root
mkdir -p $root/lib/modules/"$release" $root/chan $root/proc $root/sys $root/dev $root/run $root/tmp
mount -n --bind "$modules" $root/lib/modules/"$release"
mount -n -t proc proc $root/proc
mount -n -t sysfs sys $root/sys
mount -n -t devtmpfs dev $root/dev
mkdir -p $root/dev/pts $root/dev/shm
mount -n -t devpts pts $root/dev/pts
mount -n -t tmpfs shm $root/dev/shm
mount -n -t tmpfs run $root/run
mount -n -t tmpfs tmp $root/tmp
mkdir -p $root/run/lock/iscsi $root/run/lvm $root/run/udev $root"$lab_checkout"
mount -n -t hostfs -o "$lab_folder" none $root/chan
# Its own mount, so that a checkout below /tmp is seen too.
mount -n -t hostfs -o "ro,$lab_checkout" none $root"$lab_checkout"
exec chroot $root /bin/bash "$lab_checkout/tests/lab/inside/agent.sh"
