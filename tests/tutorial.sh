#!/bin/bash
# tests/tutorial.sh FOLDER: runs the shell commands of docs/tutorial.md in a new folder, as they stand. Its PowerShell is run by
# Plugin.Tests.ps1, where the driver is.
set -euo pipefail
root=$(dirname "$(dirname "$(realpath "$0")")")
folder=$(realpath -m "$1")
rm -rf "$folder"
mkdir -p "$folder/home"
cd "$folder"

# As if it were in no source tree, whose settings would hold for what is made here.
for file in Directory.Build.props Directory.Build.targets Directory.Packages.props; do
    echo '<Project />' > $file
done
echo 'root = true' > .editorconfig

# The user's templates and settings stay as they are; packages he has need not be fetched again. An engine of this version may be an older one.
packages=${NUGET_PACKAGES:-$HOME/.nuget/packages}
rm -rf "$packages/ublk.engine"
export NUGET_PACKAGES=$packages DOTNET_CLI_HOME=$folder/home UBLK=$root
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 MSBUILDDISABLENODEREUSE=1

sed -n '/^```bash$/,/^```$/{ /^```/d; p }' "$root/docs/tutorial.md" > commands.sh
bash -euo pipefail commands.sh
