#!/bin/bash
# setup.sh [KERNEL...]: prepares a Debian 12 machine for run.sh. Safe to run again: what is there is left alone.
set -euo pipefail
# shellcheck source=lib/paths.sh
source "$(dirname "$(realpath "$0")")/lib/paths.sh"
# shellcheck source=lib/private-apt.sh
source "$vm/lib/private-apt.sh"

# Debian 12's own QEMU is here for virtiofsd and for the libraries the private QEMU needs.
host_packages=(qemu-system-x86 busybox-static cpio kmod xz-utils util-linux debian-archive-keyring)
# The guest runs from the machine's own root, so the tests' tools are installed here.
guest_packages=(fio e2fsprogs xfsprogs btrfs-progs fdisk qemu-utils nbd-client nbdkit ceph-mon ceph-osd ceph-common mdadm
    procps iproute2 systemd dbus udev apparmor)

# What an arm64 guest has in place of the machine's root.
arm64_packages=(base-passwd bash busybox-static coreutils dash diffutils dpkg e2fsprogs findutils grep kmod libc-bin libssl3 libstdc++6
    mount procps qemu-utils sed tar udev util-linux)

as_root() { if ((EUID == 0)); then "$@"; else sudo "$@"; fi; }

install_packages() {
    local package missing=()
    for package in "${host_packages[@]}" "${guest_packages[@]}"; do
        [[ $(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2> /dev/null) == installed ]] ||
            missing+=("$package")
    done
    ((${#missing[@]})) || return 0

    say "installing ${missing[*]}"
    retry as_root apt-get update --quiet=2
    # The keyring comes along for its newest keys: an old one can't verify the newer suites.
    retry as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends \
        -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 \
        debian-archive-keyring "${missing[@]}" > /dev/null
}

listed=
list_once() {
    [[ $listed != "$1" ]] || return 0
    # A machine that never updated its lists (a fresh container) has no mirror yet.
    [[ $(mirror_of bookworm) ]] || retry as_root apt-get update --quiet=2
    private_apt_update "$1"
    listed=$1
}

# Debian 12's QEMU 7.2 panics the guest now and then under emulation; the backported 10.0 does not.
download_qemu() {
    say "downloading QEMU"
    rm -rf "$qemu_dir.partial"
    unpack "$qemu_dir.partial" {qemu-system-x86,qemu-system-common,qemu-system-data,seabios}/bookworm-backports
    mv "$qemu_dir.partial" "$qemu_dir"
}

download_arm64_qemu() {
    say "downloading QEMU for arm64"
    rm -rf "$qemu_dir.arm64"
    unpack "$qemu_dir.arm64" qemu-system-arm/bookworm-backports
    mv "$qemu_dir.arm64/usr/bin/qemu-system-aarch64" "$qemu_dir/usr/bin"
    rm -r "$qemu_dir.arm64"
}

download_arm64_root() {
    say "downloading ${arm64_packages[*]} for arm64"
    rm -rf "$arm64_root.partial"
    unpack_root "$arm64_root.partial" "${arm64_packages[@]}"
    cp "$arm64_root.partial/usr/share/base-passwd/passwd.master" "$arm64_root.partial/etc/passwd"
    cp "$arm64_root.partial/usr/share/base-passwd/group.master" "$arm64_root.partial/etc/group"
    mv "$arm64_root.partial" "$arm64_root"
}

download_kernel() {
    local kernel=$1 series=${1%%-*} flavour image version packages directory unpacked
    case $kernel in
        *-arm64-16k) flavour=arm64-16k ;;
        *) flavour=cloud-$(architecture_of "$kernel") ;;
    esac
    image=$(newest_package "^linux-image-${series//./\\.}\\..*-$flavour$")
    [[ $image ]] || die "the mirror has no linux-image-$series.*-$flavour"
    version=${image#linux-image-}
    say "downloading the kernel $version"

    # Newer packaging splits the kernel; its linux-image-* is then an empty package that depends on the parts.
    packages=("$image")
    [[ ! $(newest_package "^linux-modules-${version//[.+]/\\&}$") ]] ||
        packages=("linux-"{base,binary,modules}"-$version")

    directory=$(kernel_dir "$kernel")
    unpacked=$directory.unpacked
    rm -rf "$unpacked" "$directory.partial"
    unpack "$unpacked" "${packages[@]}"
    mkdir "$directory.partial"
    if [[ -d $unpacked/usr/lib/modules ]]; then
        mv "$unpacked/usr/lib" "$directory.partial/lib"
        mv "$directory.partial/lib/modules/$version/vmlinuz" "$directory.partial/vmlinuz"
    else
        mv "$unpacked/lib" "$directory.partial/lib"
        mv "$unpacked/boot/vmlinuz-$version" "$directory.partial/vmlinuz"
    fi
    PATH=$PATH:/sbin:/usr/sbin depmod --basedir "$directory.partial" "$version"
    mv "$directory.partial/lib/modules/$version" "$directory.partial/modules"
    rm -r "$unpacked" "$directory.partial/lib"
    mv "$directory.partial" "$directory"
}

[[ $(dpkg --print-architecture) == amd64 ]] || die "only amd64 machines are supported"
mkdir -p "$cache"
exec 9> "$cache/lock"
flock 9

(($#)) || set -- "${kernels[@]}"
install_packages
if [[ ! -d $qemu_dir ]]; then
    list_once amd64
    download_qemu
fi
if [[ $* == *-arm64* && ! -x $qemu_dir/usr/bin/qemu-system-aarch64 ]]; then
    list_once amd64
    download_arm64_qemu
fi
if [[ $* == *-arm64* && ! -d $arm64_root ]]; then
    list_once arm64
    download_arm64_root
fi
for kernel; do
    [[ ! -d $(kernel_dir "$kernel") ]] || continue
    list_once "$(architecture_of "$kernel")"
    download_kernel "$kernel"
done
say "ready in $cache"
