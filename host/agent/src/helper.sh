# Functions for scripts of tasks, in any shell of POSIX. The agent puts this file as `helper` into the folder of each job, where
# scripts run:  . ./helper

# The command line, under the name that tasks of the ecosystem call it by.
command -v drpcli >/dev/null 2>&1 || drpcli() { "${RS_CLI:-formwork}" "$@"; }

# get_param NAME: prints the value that the machine has of a param from any source, as JSON.
get_param() {
  drpcli "${RS_MC_TYPE:-machines}" get "$RS_UUID" param "$1" --aggregate
}

# set_param NAME [VALUE]: sets a param of the machine to JSON or YAML; without a value to what is read.
set_param() {
  drpcli "${RS_MC_TYPE:-machines}" set "$RS_UUID" param "$1" to "${2:--}"
}

# addr_port ADDRESS PORT: prints both as URLs have them.
addr_port() {
  case $1 in
    *:*) printf '[%s]:%s' "$1" "$2" ;;
    *) printf '%s:%s' "$1" "$2" ;;
  esac
}

# Has the agent read exit codes as their sum: 16 stop, 32 power off, 64 reboot, 128 incomplete.
__sane_exit() {
  : >"$RS_TASK_DIR/.sane-exit-codes"
}

__exit() {
  __sane_exit
  exit "$1"
}

exit_stop() { __exit 16; }
exit_shutdown() { __exit 32; }
exit_reboot() { __exit 64; }
exit_incomplete() { __exit 128; }
exit_incomplete_stop() { __exit 144; }
exit_incomplete_shutdown() { __exit 160; }
exit_incomplete_reboot() { __exit 192; }
