#!/bin/bash
# Runs the test suite of the reference server, ublksrv, with this project's ublk in the place of its own.
# Needs root, the driver, fio, nbdkit and a checkout of ublksrv, of which it changes nothing.
set -euo pipefail

usage="usage: run.sh [--ublk PROGRAM] [--seconds N] CHECKOUT [GROUP/TEST...]
Runs the scripts in CHECKOUT/tests, all that apply by default, and exits with 1 if one fails.
Each run of fio takes N seconds (5 by default) at most."

root=$(realpath "$(dirname "$0")/../..")
program=$root/out/Ublk/worker/linux-x64/ublk seconds=5
while (($#)); do
    case $1 in
        --ublk) program=$(realpath "$2") && shift 2 ;;
        --seconds) seconds=$2 && shift 2 ;;
        -*) echo "$usage" >&2 && exit 2 ;;
        *) break ;;
    esac
done
(($#)) || { echo "$usage" >&2 && exit 2; }
checkout=$(realpath "$1") && shift

declare -A reasons=(
    [null/012]='batch commands' [loop/012]='batch commands' [nbd/024]='batch commands'
    [loop/003]='the kernel'\''s loop driver, no ublk' [loop/013]='memory shared with clients'
    [nbd/001]='the kernel'\''s nbd driver, no ublk' [nbd/002]='the kernel'\''s nbd driver, no ublk'
    [nbd/003]='the kernel'\''s nbd driver, no ublk'
    [nbd/041]='--send_zc' [nbd/042]='--send_zc' [nbd/043]='--send_zc' [nbd/046]='--send_zc'
    [nbd/045]='zero copy by the driver'\''s automatic buffers'
)

# What a script prints when something is wrong; most exit with 0 all the same.
failure="failed|isn't|incorrect|unexpectedly|did not succeed|I/O error (while|after)|FAIL|not in IO_FLUSHER|ublkb-unknown|iops ,|\
command not found"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$checkout/tests" "$checkout/utils" "$work"
mkdir "$work/bin" "$work/images"

# The scripts run fio for 20 s where they warm up, and make a file system of the root's type, which may be one that has no mkfs.
cat > "$work/bin/fio" << END
#!/bin/bash
exec $(command -v fio) "\${@/--runtime=20/--runtime=$seconds}"
END
cat > "$work/bin/findmnt" << END
#!/bin/bash
type=\$($(command -v findmnt) "\$@")
[[ \$type != overlay ]] || type=ext4
echo "\$type"
END
chmod +x "$work/bin"/*

cd "$work/tests"
export PATH=$work/bin:$PATH TEST_DIR=$PWD TRUNTIME=$seconds UBLK_TMP=$work/output UBLK_TMP_DIR=$work/images
# The targets whose disks generic/005 recovers; an NBD disk outlives its worker only if it is read-only.
export UBLK=$program ALL_TGTS='null loop' T_TYPE_PARAMS=''

(($#)) || set -- {generic,null,loop,nbd}/[0-9]*
failed=0
for script; do
    if [[ ${reasons[$script]+set} ]]; then
        echo "n/a   $script: ${reasons[$script]}"
        continue
    fi
    start=$SECONDS status=0
    timeout 600 bash "$script" > "$work/log" 2>&1 || status=$?
    # A device without recovery is expected not to recover.
    if ((status)) || sed '/failed to recover device!/{N;/forgiving/d}' "$work/log" | grep -qE "$failure"; then
        echo "FAIL  $script ($((SECONDS - start)) s, exit status $status)"
        sed 's/^/      /' "$work/log"
        failed=1
    else
        echo "ok    $script ($((SECONDS - start)) s)"
    fi
    "$program" del -a
done
exit "$failed"
