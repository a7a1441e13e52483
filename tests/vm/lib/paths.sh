# shellcheck shell=bash
# Where things are, for setup.sh and run.sh alike.

# The kernels that setup.sh prepares if none is named, the default of run.sh first. 7.3-arm64 and 7.3-arm64-16k, with pages of 4 and 16 KiB, are
# those of other machines.
kernels=(7.3 6.12)

vm=$(realpath "${BASH_SOURCE[0]%/*}/..")
project=$(realpath "$vm/../..")
cache=${UBLK_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ublk-vm}
qemu_dir=$cache/qemu

arm64_root=$cache/root-arm64

# The directory of one kernel: vmlinuz, and modules/ as the guest's /lib/modules/VERSION.
kernel_dir() { printf '%s/kernel-%s\n' "$cache" "$1"; }

# The architecture that a kernel is for, as Debian names it.
architecture_of() { if [[ $1 == *-arm64* ]]; then echo arm64; else echo amd64; fi; }

say() { printf 'tests/vm: %s\n' "$*" >&2; }
# 125 is what a command's own failure is least likely to be.
die() { say "$@"; exit 125; }
