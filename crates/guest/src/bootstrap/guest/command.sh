cd "$HOME"
output=/dev/console
# Raw: line ends stay as they are. Linux has names for ports that the machine has not; those take no settings.
! stty -F /dev/ttyS1 raw 2>/dev/null || output=/dev/ttyS1
recctrlu run "$recording" -- "$@" </dev/null >"$output" 2>&1
recctrlu message "exit=$?"
