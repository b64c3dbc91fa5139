cd "$HOME"
output=/dev/console
# Raw mode keeps line endings as they are. Linux also names ports that do not exist; those accept no settings.
! stty -F /dev/ttyS1 raw 2>/dev/null || output=/dev/ttyS1
recctrlu run "$recording" -- "$@" </dev/null >"$output" 2>&1
recctrlu message "exit=$?"
