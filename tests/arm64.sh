#!/bin/bash
# arm64.sh PACKAGE PWSH MODULE: installs the Debian package of the command on an arm64 machine and makes disks with it, and with the module.
#
#     tests/vm/run.sh --kernel 7.3-arm64 -- tests/arm64.sh out/packages/ublk_0.1.0_arm64.deb out/pwsh-arm64/pwsh out/portable/Ublk
#
# Prints each result, and writes the counts to $UBLK_RESULTS/specs.json, as the specs do.
set -uo pipefail
package=$PWD/$1 pwsh=$PWD/$2 module=$PWD/$3
place=$(mktemp -d)
cd "$place" || exit
passed=0 failures=()

# check NAME FUNCTION [ARGUMENT...]: the function fails with its first command that fails.
check() {
    (set -euo pipefail; "${@:2}") > output 2>&1
    local status=$?
    if ((status == 0)); then
        passed=$((passed + 1))
        echo "  [+] $1"
    else
        failures+=("$1")
        echo "  [-] $1"
        sed 's/^/      /' output
        ublk del -a > /dev/null 2>&1
    fi
}

random() { dd if=/dev/urandom of="$1" bs=1M count=16 status=none; }

# write_all FILE DISK: the content of a file to a disk, which is then read.
write_all() {
    dd if="$1" of="$2" bs=256k oflag=direct conv=fsync status=none
    dd if="$2" bs=256k iflag=direct status=none | cmp - "$1"
}

is_installed() {
    # The root has no database of its packages.
    dpkg --force-depends --install "$package"
    ublk --version
    ublk features
}

null_is_made() {
    ublk add -t null -q 2
    [[ $(blockdev --getsize64 /dev/ublkb0) == $((250 << 30)) ]]
    dd if=/dev/ublkb0 of=/dev/null bs=1M count=64 iflag=direct
    dd if=/dev/zero of=/dev/ublkb0 bs=1M count=64 oflag=direct
    ublk list -n 0
    ublk del -n 0
    [[ ! -e /dev/ublkb0 && ! -e /dev/ublkc0 ]]
}

# loop_keeps_data OPTION...
loop_keeps_data() {
    random data
    truncate -s 16M disk
    ublk add -t loop -f "$place/disk" "$@"
    write_all data /dev/ublkb0
    ublk del -n 0
    cmp data disk
}

loop_takes_a_file_system() {
    truncate -s 64M disk
    ublk add -t loop -f "$place/disk"
    mkfs.ext4 -q /dev/ublkb0
    mkdir -p mnt
    mount /dev/ublkb0 mnt
    cp data mnt
    umount mnt
    ublk del -n 0
    e2fsck -fn disk
    debugfs -R "dump data copy" disk
    cmp data copy
}

# qcow2_keeps_data CLUSTER
qcow2_keeps_data() {
    random data
    qemu-img create -q -f qcow2 -o "cluster_size=$1" disk.qcow2 16M
    ublk add -t qcow2 -f "$place/disk.qcow2"
    write_all data /dev/ublkb0
    ublk del -n 0
    qemu-img check -q disk.qcow2
    qemu-img compare -q -f raw -F qcow2 data disk.qcow2
}

worker_is_replaced() {
    random data
    truncate -s 16M disk
    ublk add -t loop -f "$place/disk" -i 1
    write_all data /dev/ublkb0
    kill -KILL "$(pgrep -x ublk-worker)"
    until ublk list -n 0 | grep -qi quiesced; do sleep 0.1; done
    ublk recover -n 0
    cmp -n $((16 << 20)) data /dev/ublkb0
    ublk del -n 0
}

cmdlets_install_the_rules() {
    cp data own
    "$pwsh" -NoProfile -NonInteractive -Command "Import-Module '$module'; Install-UblkUdevRule"
    # Without the rules an ordinary user can neither make a disk nor read it.
    chown -R nobody: .
    XDG_RUNTIME_DIR=$place setpriv --reuid nobody --regid nogroup --clear-groups --inh-caps -all --bounding-set -all \
        bash -euc 'ublk add -t loop -f "$1"; cmp "$1" /dev/ublkb0; ublk del -n 0' - "$place/own"
}

cmdlets_make_disks() {
    random data
    "$pwsh" -NoProfile -NonInteractive -Command "
        \$ErrorActionPreference = 'Stop'
        Import-Module '$module'
        New-UblkDevice '$place/data' | Format-Table
        cmp '$place/data' /dev/ublkb0 || exit 1
        Get-UblkDevice | Remove-UblkDevice -Confirm:\$false
        Uninstall-UblkUdevRule"
    [[ ! -e /dev/ublkb0 && ! -e /etc/udev/rules.d/59-ublk.rules ]]
}

nothing_is_left() {
    [[ ! $(pgrep ublk-worker) ]]
    dpkg --purge ublk
    [[ ! -e /usr/bin/ublk && ! -e /usr/lib/ublk ]]
}

/lib/systemd/systemd-udevd --daemon
echo "$(uname -m), Linux $(uname -r), pages of $(getconf PAGE_SIZE) bytes"
check 'The package is installed' is_installed
check 'A null disk is made, read, written and removed' null_is_made
check 'A loop disk has what is written to it' loop_keeps_data
check 'A loop disk that can be recovered has what is written to it' loop_keeps_data -r 1
check 'A loop disk with user copy has what is written to it' loop_keeps_data --usercopy
check 'A loop disk with zero copy has what is written to it' loop_keeps_data -z
check 'A loop disk with buffered I/O has what is written to it' loop_keeps_data --buffered_io
check 'A loop disk takes a file system' loop_takes_a_file_system
check 'A qcow2 disk has what is written to it, with clusters of 512 bytes' qcow2_keeps_data 512
check 'A qcow2 disk has what is written to it, with clusters of 64 KiB' qcow2_keeps_data 64k
check 'A disk whose worker is killed is recovered' worker_is_replaced
check 'The cmdlets install the rules of udev, which give users their disks' cmdlets_install_the_rules
check 'The cmdlets make and remove a disk, and the rules' cmdlets_make_disks
check 'Nothing is left, and the package is removed' nothing_is_left

quoted=$(printf ', "%s"' "${failures[@]}")
printf '{ "passed": %d, "failed": %d, "skipped": 0, "failures": [%s] }\n' \
    "$passed" "${#failures[@]}" "${failures:+${quoted#, }}" > "$UBLK_RESULTS/specs.json"
((${#failures[@]} == 0))
