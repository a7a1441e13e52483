# shellcheck shell=bash
# build_initramfs SERIES FILE: busybox, overlayfs and our init; the rest of the guest is the host's root.
build_initramfs() {
    local tree
    tree=$(mktemp -d "$run/initramfs.XXXXXX")
    mkdir "$tree"/{bin,dev,proc,sys,lower,upper,root}
    cp "$(command -v busybox)" "$tree/bin/busybox"
    ln -s busybox "$tree/bin/sh"
    xz --decompress --stdout "$(kernel_dir "$1")/modules/kernel/fs/overlayfs/overlay.ko.xz" > "$tree/overlay.ko"
    cp "$vm/guest/init" "$tree/init"
    (cd "$tree" && find . | cpio --quiet --create --format=newc --owner=0:0) > "$2"
    rm -r "$tree"
}
