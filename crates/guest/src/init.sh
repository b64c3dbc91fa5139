#!/bin/busybox sh
# The tiny guest's first process: runs one command, recorded, and powers off.
/bin/busybox --install -s /bin
export HOME=/root PATH=/bin TERM=dumb
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
# Keep the port open, because it drops input while no process has it open.
exec 3<>/dev/ttyS1
stty -F /dev/ttyS1 raw -echo
if [ ! -e /pandacap/command ]; then
    # The warm state is saved here, and every machine that resumes from it gets its own command.
    echo 'pandacap: ready' >/dev/ttyS0
    while [ -z "$length" ]; do read -r length <&3; done
    head -c "$length" <&3 >/pandacap/command
fi
cd /root
# Sets $recording and the command as "$@".
. /pandacap/command
recctrlu run "$recording" -- "$@" </dev/null >&3 2>&1 3>&-
recctrlu message "exit=$?"
poweroff -f
