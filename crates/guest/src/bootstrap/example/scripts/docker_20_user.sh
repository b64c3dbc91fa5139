#!/bin/sh
# Runs in containers only: a user for those who watch.
set -eu
useradd --create-home --uid "$BOOTSTRAP_UID" --shell /bin/sh "$BOOTSTRAP_USER"
