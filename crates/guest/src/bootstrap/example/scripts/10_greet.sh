#!/bin/sh
# Runs in machines and in containers.
set -eu
cat "$BOOTSTRAP_FILES_DIR/motd"
