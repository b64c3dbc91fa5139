#!/bin/sh
# Runs in machines and in containers.
set -eu
cp "$BOOTSTRAP_FILES_DIR/motd" /etc/motd
