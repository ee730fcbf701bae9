# What the scripts of this folder share; sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# Tools sort, print and parse alike on every machine, and those that insist on a home have one.
export LC_ALL=C.UTF-8
if [ -z "${HOME:-}" ] || [ ! -d "${HOME:-/nonexistent}" ]; then
  export HOME=$root/build/home
  mkdir -p "$HOME"
fi
# Servers under test are on this machine: a proxy never stands in between.
export NO_PROXY=127.0.0.1,localhost,::1${NO_PROXY:+,$NO_PROXY}
export no_proxy=$NO_PROXY

note() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
die() {
  note "$*"
  exit 1
}
