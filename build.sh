#!/bin/bash
# ./build.sh TASK [ARGUMENT...]: runs build.ps1 in pwsh, or where there is none in a small host of its own.
set -euo pipefail
root=$(dirname "$(realpath "$0")")
shell=$(command -v pwsh || true)

version=$([[ -z $shell ]] || "$shell" --version)
if [[ ! $version =~ ([0-9]+)\.([0-9]+) ]] || ((BASH_REMATCH[1] * 100 + BASH_REMATCH[2] < 704)); then
    shell=$root/out/pwsh-host/pwsh-host
    if [[ ! -x $shell || -n $(find "$root/tools/PwshHost" "$root"/Directory.* "$root/global.json" \
        \( -name obj -o -name bin -o -name tests \) -prune -o -type f -newer "$shell" -print -quit) ]]; then
        echo "no pwsh here: building tools/PwshHost" >&2
        dotnet publish "$root/tools/PwshHost" --configuration Release --output "${shell%/*}" \
            --verbosity quiet --tl:off -maxcpucount:2 -nodeReuse:false
        touch "$shell"
    fi
fi

exec "$shell" -NoProfile -NonInteractive -File "$root/build.ps1" -Task "${1:-Build}" "${@:2}"
