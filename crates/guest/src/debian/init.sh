#!/bin/busybox sh
# The Debian guest's initramfs: loads what the disk and the network need, and goes over to the disk.
/bin/busybox mount -t devtmpfs dev /dev
for module in /modules/*; do /bin/busybox insmod "$module"; done
# The disk is looked for in the background.
until [ -b /dev/sda ]; do /bin/busybox usleep 10000; done
/bin/busybox mount -t ext4 -o rw,noatime /dev/sda /disk
/bin/busybox mount -o move /dev /disk/dev
exec /bin/busybox switch_root /disk /sbin/init
