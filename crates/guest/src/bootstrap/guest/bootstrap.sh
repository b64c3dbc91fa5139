#!/bin/sh
# Runs this folder's scripts in the order of their numbers, with the environment from bootstrap.env. Stops at the first
# script that fails. Needs only a POSIX shell, in PANDA or in a container.
BOOTSTRAP_DIR=$(cd "$(dirname "$0")" && pwd) || exit 1
BOOTSTRAP_FILES_DIR=$BOOTSTRAP_DIR/files
: "${HOME:=/root}"
export BOOTSTRAP_DIR BOOTSTRAP_FILES_DIR HOME
cd / || exit 1

# Outside PANDA, or without recctrlu, messages go only to the console.
tell() {
    echo "$1"
    recctrlu message "$1" >/dev/null 2>&1 || :
}

step=bootstrap.env
trap 'status=$?; [ $status = 0 ] || tell "bootstrap failed: $step status $status"' EXIT
if [ -f "$BOOTSTRAP_DIR/bootstrap.env" ]; then
    set -a
    . "$BOOTSTRAP_DIR/bootstrap.env"
    set +a
fi

for script in "$BOOTSTRAP_DIR"/scripts/[0-9][0-9]_*.sh; do
    [ -e "$script" ] || continue
    step=${script##*/}
    tell "bootstrap: $step"
    "$script" || exit
done
tell "bootstrap: done"

step=command.sh
[ ! -e "$BOOTSTRAP_DIR/command.sh" ] || "$BOOTSTRAP_DIR/command.sh"
