# shellcheck shell=bash
# Where things are, for setup.sh and run.sh alike.

# The kernel series this VM offers, newest first; each is a directory of the cache.
kernel_series=(7.3 6.12)

vm=$(realpath "${BASH_SOURCE[0]%/*}/..")
project=$(realpath "$vm/../..")
cache=${UBLK_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ublk-vm}
qemu_dir=$cache/qemu

# The directory of one kernel: vmlinuz, and modules/ as the guest's /lib/modules/VERSION.
kernel_dir() { printf '%s/kernel-%s\n' "$cache" "$1"; }

say() { printf 'tests/vm: %s\n' "$*" >&2; }
# 125 is what a command's own failure is least likely to be.
die() { say "$@"; exit 125; }
