# Makes the .deb from the tree; sourced by scripts/package.
deb=$work/deb
mkdir -p "$deb/DEBIAN" "$deb/usr"
cp -a "$tree/." "$deb/usr/"
docs=$deb/usr/share/doc/pandacap
# Debian has these licences, and copyright says which part is under which
rm "$docs"/LICENSE-*
sed 's/^ *$/./; s/^/ /' "$docs/THIRD-PARTY.txt" | cat packaging/deb/copyright - >"$docs/copyright"
rm "$docs/THIRD-PARTY.txt"
mv "$docs/CHANGELOG.md" "$docs/changelog"
cat >"$docs/changelog.Debian" <<END
pandacap ($version-1) unstable; urgency=medium

  * This version: see changelog.gz.

 -- $(sed -n 's/^Maintainer: //p' packaging/deb/control)  $(date -R -d "@$SOURCE_DATE_EPOCH")
END
gzip -9n "$docs/changelog" "$docs/changelog.Debian" "$deb"/usr/share/man/man1/*
install -m 644 -D packaging/deb/lintian-overrides "$deb/usr/share/lintian/overrides/pandacap"
sed "s/@VERSION@/$version-1/; s/@GLIBC@/$glibc/; s/@SIZE@/$(du -ks --apparent-size "$deb/usr" | cut -f 1)/" \
    packaging/deb/control >"$deb/DEBIAN/control"
(cd "$deb" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$deb/DEBIAN/md5sums"
find "$deb" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$deb" "$out/pandacap_$version-1_amd64.deb" >&2
