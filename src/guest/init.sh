#!/bin/busybox sh
# The tiny guest's first process: runs one command, recorded, and powers off.
/bin/busybox --install -s /bin
export HOME=/root PATH=/bin TERM=dumb
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
stty -F /dev/ttyS1 raw
cd /root
# Sets $recording and the command as "$@".
. /pandacap/command
recctrlu run "$recording" -- "$@" </dev/null >/dev/ttyS1 2>&1
recctrlu message "exit=$?"
poweroff -f
