# shellcheck shell=bash
# write_job COMMAND [ARG...]: what the guest needs to know, as files it copies to its /run/ublk-vm.
write_job() {
    local job=$run/job
    mkdir "$job"
    cp "$vm/guest/run-job" "$vm/guest/ublk-vm.service" "$job"
    printf '%s' "$project" > "$job/project"
    printf '%s' "$(kernel_dir "$kernel")/modules" > "$job/modules"
    [[ ! $interactive ]] || stty size > "$job/terminal"
    [[ ${1##*/} != pwsh ]] || dotnet_folders > "$job/dotnet-folders"
    {
        passed_environment
        printf 'export UBLK_RESULTS=/results\n'
        printf 'umask %s\n' "$(umask)"
        # Under emulation .NET spends most of its time compiling: methods are compiled once, without optimization. AVX is slower than SSE.
        printf 'export DOTNET_TC_CallCounting=0 DOTNET_JITMinOpts=1 DOTNET_EnableAVX=0\n'
        printf 'cd %q\n' "$project"
        printf 'exec'
        printf ' %q' "$@"
        printf '\n'
    } > "$job/command.sh"
}

# The folders of what runs in a PowerShell, one a line.
dotnet_folders() {
    local folder
    for folder in "$project/out/"{pwsh,Ublk,pester} "$(dirname "$(realpath "$(command -v dotnet)")")/shared/Microsoft.NETCore.App"; do
        [[ ! -d $folder ]] || printf '%s\n' "$folder"
    done
}

# The variables of the caller that also mean something in the guest.
passed_environment() {
    local name
    while read -r name; do
        case $name in
            HOME | PATH | LANG | LC_* | TZ | TERM | CI | CI_* | GITHUB_ACTIONS) ;;
            DOTNET_* | NUGET_* | MSBUILD* | POWERSHELL_* | PSModulePath | UBLK_*) ;;
            *) continue ;;
        esac
        printf 'export %s=%q\n' "$name" "${!name}"
    done < <(compgen -e)
}
