#!/bin/sh
# Puts the image's files into /image: the context's, and of this Debian only what they need. Runs in the image's build.
set -eu
context=/pandacap image=/image
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

# GLib's and GnuTLS's packages have another name since Debian 13.
either() { for package; do apt-cache show "$package" >/dev/null 2>&1 && echo "$package" && return; done; echo "$1"; }
there() { command -v qemu-img && command -v mke2fs && command -v debugfs && command -v busybox &&
    for library in libglib-2.0.so.0 libgnutls.so.30 libpixman-1.so.0 libfdt.so.1 libstdc++.so.6; do
        [ -e "/usr/lib/x86_64-linux-gnu/$library" ] || [ -e "/lib/x86_64-linux-gnu/$library" ] || return 1
    done; }
if ! there >/dev/null; then
    apt-get update
    # shellcheck disable=SC2046 # one word for each package
    apt-get install -y --no-install-recommends busybox-static e2fsprogs qemu-utils libfdt1 libpixman-1-0 libstdc++6 \
        $(either libglib2.0-0t64 libglib2.0-0) $(either libgnutls30t64 libgnutls30)
fi

mkdir -p $image/usr/bin $image/usr/sbin $image/usr/lib64 $image/usr/lib/x86_64-linux-gnu $image/etc $image/tmp $image/work
chmod 1777 $image/tmp $image/work
for folder in bin sbin lib lib64; do ln -s usr/$folder $image/$folder; done
cp -a $context/usr/. $image/usr/
chmod -R go+rX $image/usr

# PANDA's stand-ins are for the libraries that are not here.
home=$image/usr/lib/pandacap/home
# shellcheck disable=SC2086 # one option for each target
$image/usr/bin/pandacap --home $home panda install $(for target in $TARGETS; do echo --target "$target"; done)

# The libraries of a program, as the dynamic loader finds them.
loader=/lib64/ld-linux-x86-64.so.2
libraries() { LD_TRACE_LOADED_OBJECTS=1 $loader "$1" 2>/dev/null | sed -n 's/.* => \(\/[^ ]*\) (0x.*/\1/p'; }
take() { # FILE FOLDER: copies a file of this Debian, and remembers its package
    cp -L "$1" "$image/$2/"
    real=$(readlink -f "$1")
    { dpkg -S "$real" || dpkg -S "/lib/${real#/usr/lib/}" || dpkg -S "/${real#/usr/}" || dpkg -S "$1"; } 2>/dev/null |
        sed 's/: .*//; s/:.*//' >>/packages
}
take $loader usr/lib64
for program in qemu-img mke2fs debugfs busybox; do
    path=$(command -v $program)
    case $path in */sbin/*) take "$path" usr/sbin ;; *) take "$path" usr/bin ;; esac
done
for file in $image/usr/bin/pandacap $image/usr/bin/qemu-img $image/usr/sbin/mke2fs $image/usr/sbin/debugfs \
    "$home"/panda/*/*-softmmu/libpanda-*.so $image/usr/lib/pandacap/*/panda_*.so; do
    libraries "$file"
done | sort -u | while read -r library; do
    case $library in $image/* | $context/*) ;; *) take "$library" usr/lib/x86_64-linux-gnu ;; esac
done
[ ! -e /etc/mke2fs.conf ] || cp /etc/mke2fs.conf $image/etc/
for applet in $(busybox --list); do
    case $applet in busybox | dpkg | dpkg-deb | rpm | rpm2cpio | mke2fs | mkfs.ext2) ;; *) [ -e "$image/usr/bin/$applet" ] || ln -s busybox "$image/usr/bin/$applet" ;; esac
done
printf 'root:x:0:0:root:/root:/bin/sh\npandacap:x:1000:1000::/work:/bin/sh\n' >$image/etc/passwd
printf 'root:x:0:\npandacap:x:1000:\n' >$image/etc/group

# What is in the image, and under which licences.
doc=$image/usr/share/doc
for package in $(sort -u /packages); do
    mkdir -p "$doc/$package"
    cp -L "/usr/share/doc/$package/copyright" "$doc/$package/"
    dpkg-query -W -f='${binary:Package} ${Version}\n' "$package" | sed 's/:[a-z0-9]* / /; s/^/deb\/debian\//' >>/components
done
cat $context/components >>/components
sort -u /components | awk '
    BEGIN { print "{\n  \"bomFormat\": \"CycloneDX\",\n  \"specVersion\": \"1.5\",\n  \"version\": 1,\n  \"components\": [" }
    { count = split($1, part, "/"); name = part[count]
      version = $2; gsub(/\+/, "%2B", version); gsub(/:/, "%3A", version)
      printf "%s    { \"type\": \"library\", \"name\": \"%s\", \"version\": \"%s\", \"purl\": \"pkg:%s@%s\" }", (NR > 1 ? ",\n" : ""), name, $2, $1, version }
    END { print "\n  ]\n}" }' >$doc/pandacap/image.cdx.json

find $image -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
