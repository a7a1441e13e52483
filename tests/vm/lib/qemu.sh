# shellcheck shell=bash
# start_qemu: boots the guest in the background and leaves its process id in qemu_pid.
start_qemu() {
    local directory port=virtserialport,nr=2 output=file,path=$run/output
    local program=qemu-system-x86_64 machine=pc processor=max,la57=off,erms=off,fsrm=off console=ttyS0
    if [[ $(architecture_of "$kernel") == arm64 ]]; then
        # A common server's, without pointer authentication, which is slow under emulation.
        program=qemu-system-aarch64 machine=virt processor=neoverse-n1 console=ttyAMA0
    fi
    directory=$(kernel_dir "$kernel")
    [[ ! $interactive ]] || port=virtconsole,nr=0 output=stdio,signal=off

    # panic=-1 with -no-reboot: a panic ends QEMU. tsc=reliable: the clock's watchdog misjudges a guest on a
    # busy host, and what the kernel would fall back to is slow under emulation.
    local cmdline="console=$console panic=-1 oops=panic mitigations=off nokaslr tsc=reliable ublk_vm.job=$run/job"
    if [[ $systemd ]]; then
        # systemd-tmpfiles-setup would crawl through the whole shared root.
        cmdline+=" ublk_vm.init=/lib/systemd/systemd systemd.unit=ublk-vm.service fstab=no"
        cmdline+=" systemd.mask=systemd-tmpfiles-setup.service systemd.hostname=ublk-vm systemd.firstboot=no"
    fi

    # One thread of the host runs both processors in turn then: threads of their own could not share a count.
    local accelerator=(-accel "tcg,thread=multi")
    [[ ! $icount ]] || accelerator=(-accel "tcg,thread=single" -icount "shift=0,sleep=off")

    # shellcheck disable=SC2054  # the commas are QEMU's
    local command=(
        setpriv --pdeathsig KILL env QEMU_MODULE_DIR="$qemu_dir/usr/lib/x86_64-linux-gnu/qemu"
        "$qemu_dir/usr/bin/$program" -L "$qemu_dir/usr/share/seabios" -L "$qemu_dir/usr/share/qemu"
        -nodefaults -no-user-config -display none -no-reboot
        # KVM is seldom there, or unfit for stock kernels, on the machines this runs on.
        "${accelerator[@]}" -cpu "$processor" -smp 2
        -object "memory-backend-memfd,id=memory,size=$memory,share=on" -machine "$machine,memory-backend=memory" -m "$memory"
        -kernel "$directory/vmlinuz" -initrd "$run/initramfs" -append "$cmdline"
        -chardev "file,id=console,path=$results/console.log" -serial chardev:console
        -chardev "file,id=status,path=$run/status" -chardev "$output,id=output"
        -device virtio-serial-pci -device "$port,chardev=output" -device virtserialport,nr=1,chardev=status
        -chardev "socket,id=root,path=$run/root.sock" -device vhost-user-fs-pci,chardev=root,tag=root
        -chardev "socket,id=results,path=$run/results.sock" -device vhost-user-fs-pci,chardev=results,tag=results
    )
    "${command[@]}" <&0 2> "$results/qemu.log" &
    qemu_pid=$!
}
