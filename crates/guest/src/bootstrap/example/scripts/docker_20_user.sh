#!/bin/sh
# Runs in containers only: creates the user.
set -eu
useradd --create-home --uid "$BOOTSTRAP_UID" --shell /bin/sh "$BOOTSTRAP_USER"
