# shellcheck shell=bash
# The two virtiofs shares. A daemon ends with the QEMU it served, or with this shell.

virtiofsd=/usr/lib/qemu/virtiofsd
share_pids=()

# The host's / as the guest's read-only lower layer. The daemon sees it through a read-only mount
# in a mount namespace of its own, so that not even a misbehaving guest can write to it.
share_root() {
    mkdir -p "$run/root"
    # shellcheck disable=SC2016  # expanded by the inner shell
    start_share root unshare --mount --propagation private bash -euc \
        'mount --rbind / "$1"; mount -o remount,bind,ro "$1"; exec "${@:2}"' - "$run/root" \
        "$virtiofsd" -o source="$run/root" -o cache=always
}

share_results() {
    start_share results "$virtiofsd" -o source="$results" -o cache=auto
}

# start_share NAME COMMAND...: starts a daemon and waits until its socket is there.
start_share() {
    local socket=$run/$1.sock log=$results/$1-share.log
    rm -f "$socket"
    setpriv --pdeathsig TERM "${@:2}" --socket-path="$socket" -o log_level=warn > "$log" 2>&1 &
    share_pids+=("$!")
    until [[ -S $socket ]]; do
        kill -0 "$!" 2> /dev/null || { cat "$log" >&2; die "virtiofsd did not start"; }
        sleep 0.02
    done
}
