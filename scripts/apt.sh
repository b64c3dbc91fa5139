# What the scripts share that deal with Debian's packages; sourced, not run.

# Makes apt's lists whole: an index that cannot be had is an error, which apt by itself only warns of, and worth
# another try, since mirrors are out of step with themselves for minutes. usage: apt_update [COMMAND BEFORE apt-get...]
apt_update() {
    for pause in 5 20 60 last; do
        "$@" apt-get update -qq -o APT::Update::Error-Mode=any -o Acquire::Retries=3 && return
        [ "$pause" = last ] || { echo "apt-get update failed; again in $pause seconds" >&2; sleep "$pause"; }
    done
    echo "apt's lists of packages are not whole: see above, and try later or with another mirror" >&2
    return 1
}

# The sources of a Debian, from the mirror that this machine has for its own, else from Debian's.
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

# Has apt-get and apt-cache know the packages of Debian 12 for every architecture, whatever the system is: lists and
# downloads are in target/apt, and nothing is installed. The tests' guests, and the compiler for their agents, come from
# there: later releases have no kernel for i386. It is the release as it was made, without its updates, for the fewer
# indexes there are, the fewer are out of step.
# usage: bookworm_apt, from the checkout's folder
bookworm_apt() {
    apt=$PWD/target/apt
    mkdir -p "$apt/lists" "$apt/cache" "$apt/sources.d"
    exec 9>"$apt/lock"
    flock 9
    # what is installed may be of another release: nothing is
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
    # "whole" is there only while the lists are those of one update that did not fail anywhere
    if [ -z "$(find "$apt/whole" -mtime -7 -print -quit 2>/dev/null)" ]; then
        rm -f "$apt/whole"
        apt_update || return
        : >"$apt/whole"
    fi
}
