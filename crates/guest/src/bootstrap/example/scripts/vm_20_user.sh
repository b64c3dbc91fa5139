#!/bin/sh
# Runs in machines only, as root: creates a user who can log in without a password, and is greeted.
set -eu
useradd --create-home --uid "$BOOTSTRAP_UID" --shell /bin/sh "$BOOTSTRAP_USER"
passwd --delete "$BOOTSTRAP_USER"
cp "$BOOTSTRAP_FILES_DIR/motd" /etc/motd
