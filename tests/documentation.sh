#!/bin/bash
# tests/documentation.sh FOLDER: runs the shell commands of docs/tutorial.md in a new folder, and builds the programs of docs/library.md, as
# they stand. The PowerShell of both is run by specs, where the driver is.
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

# The user's templates and settings stay as they are, and the packages in the cache are used. An engine of this version may be an older one.
packages=${NUGET_PACKAGES:-$HOME/.nuget/packages}
rm -rf "$packages/ublk.engine"
export NUGET_PACKAGES=$packages DOTNET_CLI_HOME=$folder/home UBLK=$root
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 MSBUILDDISABLENODEREUSE=1

sed -n '/^```bash$/,/^```$/{ /^```/d; p }' "$root/docs/tutorial.md" > commands.sh
bash -euo pipefail commands.sh

# code LANGUAGE N: the Nth piece of that language in docs/library.md.
code() {
    awk -v start="\`\`\`$1" -v wanted="$2" '/^```$/ { inside = 0 } inside && n == wanted; $0 == start { inside = 1; n++ }' "$root/docs/library.md"
}

# project FOLDER KIND: a project with the source that comes in.
project() {
    mkdir "$1"
    cat > "$1/$1.cs"
    cat > "$1/$1.csproj" <<EOF
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>$2</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <ImplicitUsings>enable</ImplicitUsings>
    <Nullable>enable</Nullable>
  </PropertyGroup>
  <ItemGroup>
    $(code xml 1)
  </ItemGroup>
</Project>
EOF
    dotnet build "$1" --configuration Release --output "$1/plugin"
}

cp Secret/nuget.config .
code csharp 1 | project ZeroDisk Exe
code csharp 2 | project Zero Library
code csharp 3 | project Remote Library
