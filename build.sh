#!/bin/bash
# ./build.sh TASK [ARGUMENT...]: runs build.ps1 in the pwsh on PATH if it is 7.6 or newer, else in one made of PowerShell's packages.
set -euo pipefail
root=$(dirname "$(realpath "$0")")
export POWERSHELL_TELEMETRY_OPTOUT=1 POWERSHELL_UPDATECHECK=Off

# PowerShell takes a bracket for a wildcard, and the compilers fail on an apostrophe. A folder with such a name gets another one, which
# this script's processes alone see.
if [[ $root == *[][\'\"\`\$\;\,\*\?\\%]* ]]; then
    name=$(mktemp -d)/'the clone'
    mkdir "$name"
    trap 'rmdir "$name" "${name%/*}"' EXIT
    as_root=()
    ((EUID == 0)) || as_root=(sudo --preserve-env env "HOME=$HOME" "PATH=$PATH")
    # shellcheck disable=SC2016  # the inner shell expands these
    "${as_root[@]}" unshare --mount bash -euc \
        'mount --bind "$1" "$2"; exec setpriv --reuid="$3" --regid="$4" --init-groups "$2/build.sh" "${@:5}"' \
        - "$root" "$name" "$(id -u)" "$(id -g)" "$@"
    exit
fi

shell=$(command -v pwsh || true)
version=$([[ -z $shell ]] || "$shell" --version)
if [[ ! $version =~ ([0-9]+)\.([0-9]+) ]] || ((BASH_REMATCH[1] * 100 + BASH_REMATCH[2] < 706)); then
    shell=$root/out/pwsh/pwsh
    if [[ ! -x $shell || -n $(find "$root/tools/Pwsh" "$root"/Directory.* "$root/global.json" \
        \( -name obj -o -name bin \) -prune -o -type f -newer "$shell" -print -quit) ]]; then
        echo "no pwsh 7.6 here: building tools/Pwsh" >&2
        dotnet publish "$root/tools/Pwsh" --configuration Release --output "$root/out/pwsh" \
            --verbosity quiet --tl:off -maxcpucount:2 -nodeReuse:false
        # Specs run it as ordinary users, too, whatever the umask.
        chmod -R go=u-w "$root/out/pwsh"
        touch "$shell"
    fi
fi

exec "$shell" -NoProfile -NonInteractive -File "$root/build.ps1" -Task "${1:-Build}" "${@:2}"
