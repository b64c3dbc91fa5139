#!/bin/sh
# Runs in containers only, before anything else there, as the container's user.
set -eu
echo "the container is for $BOOTSTRAP_USER, and runs as user $(id -u)"
