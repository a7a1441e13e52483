# shellcheck shell=bash

# Seconds until the command must have started. A boot takes about 5 (15 with systemd) on an idle machine.
boot_limit=180

# wait_for_guest: returns when the guest has reported the command's exit status, or leaves in guest_end
# why it never will.
wait_for_guest() {
    local start=$SECONDS
    while
        read_status
        [[ ! $exit_status ]]
    do
        if ! kill -0 "$qemu_pid" 2> /dev/null; then
            # What it wrote last counts.
            read_status
            [[ $exit_status ]] || guest_end="the guest ended before the command did"
            return
        elif ((SECONDS - start >= timeout)); then
            guest_end="the command was still running after $timeout s"
            return
        elif [[ ! $started ]] && ((SECONDS - start >= boot_limit)); then
            guest_end="the guest did not boot within $boot_limit s"
            return
        fi
        sleep 0.5
    done
}

# The guest writes a line when it starts the command, and its exit status after it.
read_status() {
    started='' exit_status=''
    [[ ! -s $run/status ]] || { read -r started && read -r exit_status; } < "$run/status" || true
}
