# Functions for scripts that use Debian packages; sourced, not run.

# Updates apt's package lists completely. An index that cannot be downloaded is an error, about which apt itself only
# warns, and is retried, because mirrors can be inconsistent for minutes. usage: apt_update [COMMAND BEFORE apt-get...]
apt_update() {
    for pause in 5 20 60 last; do
        "$@" apt-get update -qq -o APT::Update::Error-Mode=any -o Acquire::Retries=3 && return
        [ "$pause" = last ] || { echo "apt-get update failed; trying again in $pause seconds" >&2; sleep "$pause"; }
    done
    echo "apt's package lists are incomplete: see above, and try again later or with another mirror" >&2
    return 1
}

# Prints apt sources for a Debian release, using this machine's own mirror if it has one, else Debian's.
# usage: debian_sources bookworm
debian_sources() {
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    for part in debian debian-security; do
        mirror=$(sed -nE "s,^(URIs:|deb( \[[^]]*\])?) +(https?://[^ ]*/$part)/?( .*)?\$,\3,p" \
            /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
        [ $part = debian ] && suites="$1 $1-updates" || suites=$1-security
        printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' \
            "${mirror:-http://deb.debian.org/$part}" "$suites" "$keyring"
    done
}

# Makes apt-get and apt-cache use the packages of Debian 12 for every architecture, on any system: lists and downloads
# are in target/apt, and nothing is installed. The tests' guests, and the compiler for their agents, come from there,
# because later releases have no kernel for i386. Only the release itself is used, without updates: the fewer indexes,
# the fewer can be inconsistent.
# usage: bookworm_apt, from the checkout's folder
bookworm_apt() {
    apt=$PWD/target/apt
    mkdir -p "$apt/lists" "$apt/cache" "$apt/sources.d"
    exec 9>"$apt/lock"
    flock 9
    # the system's own packages may be of another release: pretend that none are installed
    : >"$apt/installed"
    debian_sources bookworm | sed '/^$/q; s/^\(Suites: [^ ]*\).*/\1/' >"$apt/sources.d/debian.sources"
    cat >"$apt/apt.conf" <<-END
		APT::Architecture "amd64";
		APT::Architectures { "amd64"; "i386"; "armhf"; "arm64"; };
		APT::Sandbox::User "root";
		Dir::State::lists "$apt/lists";
		Dir::State::status "$apt/installed";
		Dir::Cache "$apt/cache";
		Dir::Etc::sourcelist "/dev/null";
		Dir::Etc::sourceparts "$apt/sources.d";
		Acquire::Languages "none";
	END
    export APT_CONFIG="$apt/apt.conf"
    # the file "whole" exists only if the lists are from a single update that succeeded completely
    if [ -z "$(find "$apt/whole" -mtime -7 -print -quit 2>/dev/null)" ]; then
        rm -f "$apt/whole"
        apt_update || return
        : >"$apt/whole"
    fi
}
