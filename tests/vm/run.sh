#!/bin/bash
# Boots a throw-away VM with the ublk driver and runs one command in it.
set -euo pipefail
# shellcheck source=lib/paths.sh
source "$(dirname "$(realpath "$0")")/lib/paths.sh"
# shellcheck source=lib/initramfs.sh
source "$vm/lib/initramfs.sh"
# shellcheck source=lib/job.sh
source "$vm/lib/job.sh"
# shellcheck source=lib/shares.sh
source "$vm/lib/shares.sh"
# shellcheck source=lib/qemu.sh
source "$vm/lib/qemu.sh"
# shellcheck source=lib/watch.sh
source "$vm/lib/watch.sh"

usage="usage: run.sh [--kernel 7.3|6.12|7.3-arm64|7.3-arm64-16k] [--systemd] [--icount] [--results DIR] [--timeout SECONDS] [--memory SIZE] -- COMMAND [ARG...]
Runs COMMAND as root in the guest, in the project's root, and exits with its status; 125 if the guest
panicked, hung or ran out of time. Files written to \$UBLK_RESULTS end up in DIR, with the console's log.
With --icount the guest's clock counts instructions, a nanosecond each, so that what it times repeats."

# Only root can share the machine's root with the guest.
((EUID == 0)) || exec sudo --preserve-env env "HOME=$HOME" "PATH=$PATH" "$0" "$@"

kernel=${kernels[0]} systemd='' icount='' results='' timeout=1800 memory=6G
while (($#)); do
    case $1 in
        --kernel) kernel=$2 && shift 2 ;;
        --results) results=$2 && shift 2 ;;
        --timeout) timeout=$2 && shift 2 ;;
        --memory) memory=$2 && shift 2 ;;
        --systemd) systemd=yes && shift ;;
        --icount) icount=yes && shift ;;
        --) shift && break ;;
        *) die "$usage" ;;
    esac
done
(($#)) || die "$usage"
[[ -x $qemu_dir/usr/bin/qemu-system-x86_64 && -d $(kernel_dir "$kernel") ]] ||
    die "no QEMU or no kernel $kernel in $cache: run $vm/setup.sh $kernel first"
interactive=
[[ ! -t 0 || ! -t 1 ]] || interactive=yes

run=$(mktemp -d /tmp/ublk-vm.XXXXXX)
qemu_pid='' reader_pid='' guest_end='' exit_status='' terminal=''
[[ ! $interactive ]] || terminal=$(stty -g)

# shellcheck disable=SC2317  # a trap calls it
cleanup() {
    trap '' INT TERM HUP
    for pid in $qemu_pid "${share_pids[@]}" $reader_pid; do
        kill "$pid" 2> /dev/null || true
    done
    wait
    [[ ! $terminal ]] || stty "$terminal"
    rm -rf --one-file-system "$run"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

results=${results:-$run/results}
mkdir -p "$results"
results=$(realpath "$results")

write_job "$@"
build_initramfs "$kernel" "$run/initramfs"
[[ $interactive ]] || mkfifo "$run/output"

boot() {
    guest_end=''
    share_root
    share_results
    if [[ ! $interactive ]]; then
        cat "$run/output" &
        reader_pid=$!
    fi
    start_qemu
    wait_for_guest
    kill "$qemu_pid" 2> /dev/null || true
    wait "$qemu_pid" $reader_pid || true
    qemu_pid='' reader_pid=''
}

# Where a kernel patches its own code while it boots, emulation trips now and then. The command has not run by then.
boot
for _ in 1 2; do
    [[ $guest_end && ! $started ]] || break
    say "$guest_end; it is booted again"
    boot
done
if [[ $guest_end ]]; then
    say "$guest_end; the console's last lines:"
    tail -n 40 "$results/console.log" "$results/qemu.log" >&2
    exit 125
fi
exit "$exit_status"
