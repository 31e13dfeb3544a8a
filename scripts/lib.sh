# Shared by the scripts; source it: . "$(dirname "$0")/lib.sh". Sets ROOT (the checkout), goes there, and
# keeps where the caller was in CALLER.
# shellcheck shell=bash

set -euo pipefail
# shellcheck disable=SC2034 # used by the scripts that source this
CALLER=$PWD
SELF=$(cd "$(dirname "$0")" && pwd -P)/$(basename "$0")
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$ROOT"

say() { printf '%s\n' "$*"; }
warn() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
die() {
    warn "$*"
    exit 1
}

# Prints the comment at the head of the calling script (without "#!" and "# "): its --help.
usage() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$SELF"; }

# Processors this process may use: affinity, and the container's quota (cgroup v2) rounded down.
cores() {
    local n quota period
    n=$(nproc)
    if read -r quota period 2>/dev/null </sys/fs/cgroup/cpu.max && [ "$quota" != max ] && [ $((quota / period)) -lt "$n" ]; then
        n=$((quota / period))
    fi
    [ "$n" -ge 1 ] || n=1
    say "$n"
}

# build_preset PRESET: installs what is missing, configures, builds.
build_preset() {
    local log
    scripts/install-deps
    log=$(mktemp)
    if ! cmake --preset "$1" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        die "cmake --preset $1 failed; its output is above"
    fi
    rm -f "$log"
    cmake --build --preset "$1" -j "$(cores)"
}
