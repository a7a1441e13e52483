# shellcheck shell=bash
# The two virtiofs shares. A daemon ends with the QEMU it served, or with this shell.

virtiofsd=/usr/lib/qemu/virtiofsd
share_pids=()

# The guest's read-only lower layer: the host's /, or the root for arm64 with the folders of the host that the guest needs. The daemon
# sees it through a read-only mount in a mount namespace of its own, so that not even a misbehaving guest can write to it.
share_root() {
    local root=/ folders=()
    if [[ $(architecture_of "$kernel") == arm64 ]]; then
        root=$arm64_root folders=("$project" "$cache" "$run")
        mkdir -p "${folders[@]/#/$root}"
    fi
    mkdir -p "$run/root"
    # shellcheck disable=SC2016  # expanded by the inner shell
    start_share root unshare --mount --propagation private bash -euc '
        mount --rbind "$1" "$2"
        shift
        while [[ $2 != -- ]]; do
            mount -o bind,ro "$2" "$1$2"
            set -- "$1" "${@:3}"
        done
        mount -o remount,bind,ro "$1"
        exec "${@:3}"' - "$root" "$run/root" "${folders[@]}" -- \
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
