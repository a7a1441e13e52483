# shellcheck shell=bash
# build_initramfs KERNEL FILE: busybox, overlayfs and our init; the rest of the guest is the host's root, or that for arm64.
build_initramfs() {
    local tree busybox
    busybox=$(command -v busybox)
    [[ $(architecture_of "$1") == amd64 ]] || busybox=$arm64_root/bin/busybox
    tree=$(mktemp -d "$run/initramfs.XXXXXX")
    mkdir "$tree"/{bin,dev,proc,sys,lower,upper,root}
    cp "$busybox" "$tree/bin/busybox"
    ln -s busybox "$tree/bin/sh"
    xz --decompress --stdout "$(kernel_dir "$1")/modules/kernel/fs/overlayfs/overlay.ko.xz" > "$tree/overlay.ko"
    cp "$vm/guest/init" "$tree/init"
    (cd "$tree" && find . | cpio --quiet --create --format=newc --owner=0:0) > "$2"
    rm -r "$tree"
}
