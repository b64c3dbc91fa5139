#!/bin/sh
# Turns a fresh Debian into a guest: runs in it with chroot, once, when the guest is built. Files that belong beside
# the disk are left in /pandacap.
set -eu
export PATH=/usr/local/sbin:/usr/sbin:/usr/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C
SOURCE_DATE_EPOCH=$(date -d "$(sed -n 's/^Date: //p' /var/lib/apt/lists/*_Release | head -n 1)" +%s)
export SOURCE_DATE_EPOCH
cd /pandacap

# The kernel, without drivers for hardware that PANDA does not emulate. Its package is unpacked instead of installed,
# because its scripts would make an initramfs and a boot loader menu, which are not needed.
apt-get -q update
package=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p' | head -n 1)
version=${package#linux-image-}
apt-get -q download "$package" busybox-static
for deb in *.deb; do
    dpkg-deb -x "$deb" unpacked
    dpkg-deb -W --showformat='${Package} ${Version}\n' "$deb" >> packages
done
mv "unpacked/boot/vmlinuz-$version" vmlinuz
mv unpacked/bin/busybox busybox
mkdir -p /usr/lib/modules modules
mv "unpacked/lib/modules/$version" /usr/lib/modules/
(
    cd "/usr/lib/modules/$version/kernel"
    rm -rf sound drivers/gpu drivers/media drivers/infiniband drivers/iio drivers/staging drivers/comedi \
        drivers/hwmon drivers/net/wireless
    find drivers/net/ethernet -mindepth 1 -maxdepth 2 ! -path '*/intel' ! -path '*/intel/e1000' \
        -exec rm -rf {} +
)
depmod "$version"
rm -rf ./*.deb unpacked

# The modules that the initramfs loads, in this order: for the disk, and for the network card, so that nothing waits
# for it.
count=10
for module in ata_piix sd_mod crc32c_generic ext4 e1000; do modprobe -S "$version" --show-depends "$module"; done |
    sed -n 's/^insmod \([^ ]*\).*/\1/p' | grep -v /arch/ | awk '!seen[$0]++' |
    while read -r module; do
        cp "$module" "modules/$count-${module##*/}"
        count=$((count + 1))
    done

# Access: a key that is generated for this guest alone logs in as root or panda. Passwords do not work. The console is
# logged in as root.
useradd --create-home --shell /bin/bash panda
ssh-keygen -q -t ed25519 -N '' -C 'pandacap guest' -f ssh_key
for home in /root /home/panda; do
    mkdir -p -m 700 "$home/.ssh"
    cp ssh_key.pub "$home/.ssh/authorized_keys"
done
rm ssh_key.pub
chown -R panda:panda /home/panda/.ssh
cat > /etc/ssh/sshd_config.d/pandacap.conf <<CONFIG
PermitRootLogin prohibit-password
PasswordAuthentication no
UseDNS no
HostKey /etc/ssh/ssh_host_ed25519_key
CONFIG
mkdir -p /etc/systemd/system/serial-getty@ttyS0.service.d
cat > /etc/systemd/system/serial-getty@ttyS0.service.d/autologin.conf <<UNIT
[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --keep-baud 115200,57600,38400,9600 %I vt100
UNIT

# In a run that counts sessions, each login over SSH is one; otherwise, this does nothing.
recctrlu-setup pam sshd

# The network, as PANDA's user network assigns it.
echo debian > /etc/hostname
printf '127.0.0.1\tlocalhost debian\n::1\tlocalhost\n' > /etc/hosts
printf 'auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet dhcp\n' > /etc/network/interfaces

# Boot fast, and run nothing in the background during recordings. At boot, udev only handles devices that a PANDA
# machine can have; devices that are plugged in later are handled as usual.
mkdir -p /etc/systemd/system/systemd-udev-trigger.service.d
cat > /etc/systemd/system/systemd-udev-trigger.service.d/pandacap.conf <<UNIT
[Service]
ExecStart=
ExecStart=-udevadm trigger --action=add --subsystem-match=pci --subsystem-match=block
ExecStart=-udevadm trigger --action=add --sysname-match=ttyS0
UNIT
systemctl --quiet mask \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer systemd-tmpfiles-clean.timer systemd-pstore.service remote-fs.target \
    getty@tty1.service getty-static.service systemd-logind.service systemd-ask-password-wall.path \
    systemd-ask-password-console.path cryptsetup.target integritysetup.target veritysetup.target \
    ifupdown-pre.service kmod-static-nodes.service systemd-modules-load.service systemd-remount-fs.service \
    modprobe@configfs.service modprobe@dm_mod.service modprobe@drm.service modprobe@efi_pstore.service \
    modprobe@fuse.service modprobe@loop.service dev-hugepages.mount dev-mqueue.mount \
    sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    proc-sys-fs-binfmt_misc.automount systemd-binfmt.service systemd-repart.service systemd-pcrphase.service \
    systemd-pcrphase-sysinit.service systemd-journal-flush.service systemd-random-seed.service \
    systemd-update-utmp.service systemd-update-utmp-runlevel.service
mkdir -p /etc/systemd/journald.conf.d /etc/systemd/system.conf.d
printf '[Journal]\nStorage=volatile\n' > /etc/systemd/journald.conf.d/pandacap.conf
printf '[Manager]\nDefaultTimeoutStopSec=5s\n' > /etc/systemd/system.conf.d/pandacap.conf
systemctl --quiet disable cron.service
systemctl --quiet set-default multi-user.target
systemctl --quiet enable pandacap-bootstrap.service

# Every machine is a copy of this one.
echo 70616e64616361702d6775657374210a > /etc/machine-id
dpkg-query -W --showformat='${Package} ${Version}\n' >> packages
apt-get -q clean
rm -rf /var/lib/apt/lists/* /var/log/*.log /var/log/apt /var/cache/ldconfig/aux-cache /var/cache/apt/*.bin \
    /var/cache/debconf/*-old /var/lib/dpkg/*-old /etc/*- /usr/share/doc/* /usr/share/man/* /usr/share/locale/*
rm -f /etc/resolv.conf
echo 'nameserver 10.0.2.3' > /etc/resolv.conf

# The same packages give the same files, except for the keys.
days=$((SOURCE_DATE_EPOCH / 86400))
sed -i "s/^\([^:]*:[^:]*\):[0-9]*:/\1:$days:/" /etc/shadow
touch /etc/.updated /var/.updated
find / -xdev -path /pandacap -prune -o -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
echo "$SOURCE_DATE_EPOCH" > epoch
