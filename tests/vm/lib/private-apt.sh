# shellcheck shell=bash
# An apt of our own: packages of other suites are found, verified and downloaded without the machine's
# apt ever hearing of those suites, so nothing of them can get installed.

# Runs a command up to three times: mirrors hiccup.
retry() {
    local attempt
    for attempt in 1 2 3; do
        "$@" && return
        say "attempt $attempt failed: $*"
        sleep $((attempt * 5))
    done
    return 1
}

# The address the machine's own apt sources give for a suite.
mirror_of() {
    # shellcheck disable=SC2016  # apt and awk expand these
    apt-get indextargets --format '$(RELEASE) $(REPO_URI)' | awk -v suite="$1" '$1 == suite { print $2; exit }'
}

# private_source URI SUITE...: one stanza of the private sources.
private_source() {
    printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n' "$1" "${*:2}"
    printf 'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n'
}

# private_apt_update ARCHITECTURE: writes the private configuration and fetches its package lists. The functions below use them.
# Everything of the machine's own configuration that is not overridden (a proxy, say) stays in force.
private_apt_update() {
    local main security
    apt=$cache/apt-$1
    main=$(mirror_of bookworm)
    security=$(mirror_of bookworm-security)
    [[ $main ]] || die "apt has no source for bookworm: this needs Debian 12"

    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    : > "$apt/status"
    {
        private_source "$main" bookworm bookworm-backports trixie-backports
        [[ -z $security ]] || private_source "$security" bookworm-security
    } > "$apt/private.sources"
    cat > "$apt/apt.conf" <<-END
		APT::Architecture "$1";
		APT::Architectures "$1";
		Dir::State::Lists "$apt/lists";
		Dir::State::status "$apt/status";
		Dir::Cache "$apt/cache";
		Dir::Etc::sourcelist "$apt/private.sources";
		Dir::Etc::sourceparts "-";
		Acquire::Retries "3";
		APT::Sandbox::User "root";
		APT::Update::Error-Mode "any";
	END
    retry private_apt apt-get update --quiet=2
}

private_apt() { APT_CONFIG=$apt/apt.conf "$@"; }

# The newest package whose name matches a regular expression.
newest_package() {
    private_apt apt-cache search --names-only "$1" | cut -d ' ' -f 1 | sort --version-sort | tail -n 1
}

# unpack DIRECTORY PACKAGE[/SUITE]...: downloads packages and unpacks them there, installing nothing.
unpack() {
    local debs deb
    debs=$(mktemp -d "$apt/debs.XXXXXX")
    (cd "$debs" && retry private_apt apt-get download --quiet=2 "${@:2}")
    mkdir -p "$1"
    for deb in "$debs"/*.deb; do
        dpkg --extract "$deb" "$1"
    done
    rm -r "$debs"
}

# unpack_root DIRECTORY PACKAGE...: the same with all packages that those depend on. Their scripts do not run.
unpack_root() {
    local deb
    retry private_apt apt-get install --download-only --yes --quiet=2 --no-install-recommends "${@:2}" > /dev/null
    mkdir -p "$1"
    for deb in "$apt"/cache/archives/*.deb; do
        dpkg --extract "$deb" "$1"
    done
    rm "$apt"/cache/archives/*.deb
}
