#!/bin/sh
# Runs in machines only: creates a user who can log in without a password.
set -eu
useradd --create-home --uid "$BOOTSTRAP_UID" --shell /bin/sh "$BOOTSTRAP_USER"
passwd --delete "$BOOTSTRAP_USER"
