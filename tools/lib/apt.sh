# Debian's packages and source packages, without changing how the machine uses apt.
# Sourced by tools/setup and tools/setup-openssl, which set $deps.

apt_die() {
    echo "setup: $*" >&2
    exit 1
}

# apt_no_services [sudo]: until the shell that calls this ends, no package starts the service that it
# brings; we want its program alone. Debian's scripts ask this file, and one that is there already is
# the machine's own word.
apt_no_services() {
    local policy=/usr/sbin/policy-rc.d
    [[ ! -e $policy ]] || return 0
    # shellcheck disable=SC2064
    trap "$(printf '%q ' "$@" rm -f "$policy")" EXIT
    printf '#!/bin/sh\nexit 101\n' | "$@" install -m 755 /dev/stdin "$policy"
}

# apt_install <package>...: as root at once, as anyone else through sudo and after a question.
apt_install() {
    local as_root=() answer
    command -v apt-get >/dev/null ||
        apt_die "no apt-get here: install by hand: $*"
    if ((EUID != 0)); then
        command -v sudo >/dev/null || apt_die "not root and no sudo: have root install: $*"
        as_root=(sudo)
        if [[ -z ${CI:-} ]]; then
            [[ -t 0 ]] || apt_die "not root and nobody to ask: have root install: $*"
            read -r -p "setup: install with apt: $* [y/N] " answer
            [[ $answer == [yY]* ]] || apt_die "nothing installed; these are needed: $*"
        fi
    fi
    echo "setup: installing with apt: $*"
    local log
    log=$(mktemp)
    if ! (
        apt_no_services "${as_root[@]}"
        "${as_root[@]}" apt-get update
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install --yes --no-install-recommends "$@"
    ) </dev/null >"$log" 2>&1; then
        grep -E '^(E|W|Err)' "$log" | tail -n 5 >&2 || true
        apt_die "apt could not install $* (no network?); see $log"
    fi
    rm -f "$log"
}

# Prints, as deb-src, those of the machine's apt sources that are Debian's own: signed with Debian's
# archive key, or with whatever the machine trusts, and having the component main.
apt_debian_sources() {
    local file
    for file in /etc/apt/sources.list.d/*.sources; do
        [[ -f $file ]] || continue
        awk 'BEGIN { RS = ""; ORS = "\n\n" }
            {
                text = "\n" tolower($0) "\n"
                if (text ~ /\nenabled:[ \t]*(no|false|0)/) next
                if (text !~ /\ncomponents:[^\n]*[ \t]main[ \t\n]/) next
                if (text ~ /\nsigned-by:/ && text !~ /debian-archive/) next
                sub(/(^|\n)[Tt]ypes:[^\n]*/, "\nTypes: deb-src")
                sub(/^\n+/, "")
                print
            }' "$file"
    done
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [[ -f $file ]] || continue
        sed -nE 's/[ \t]*#.*//; /signed-by=/{/debian-archive/!d}
            /^deb(-src)?[ \t].*[ \t]main([ \t]|$)/s/^deb(-src)?/deb-src/p' "$file" | sort -u |
            apt_list_to_deb822
    done
}

# One-line sources as deb822 stanzas, since one file cannot hold both.
apt_list_to_deb822() {
    sed -E 's/\[[ \t]+/[/; s/[ \t]+\]/]/' | awk '{
        signed = ""
        first = 2
        if ($2 ~ /^\[/) {
            while ($first !~ /\]$/) first++
            first++
            if (match($0, /signed-by=[^] \t]+/))
                signed = "Signed-By: " substr($0, RSTART + 10, RLENGTH - 10) "\n"
        }
        components = ""
        for (i = first + 2; i <= NF; i++) components = components " " $i
        printf "Types: deb-src\nURIs: %s\nSuites: %s\nComponents:%s\n%s\n", \
            $first, $(first + 1), components, signed
    }'
}

# Points APT_CONFIG at a configuration of our own under $deps/apt and reads the source index once.
# apt_private <release>: that of another Debian release (trixie), in a folder of its own, from the
# same places as this machine's.
apt_private() {
    local release=${1:-} dir=$deps/apt
    command -v apt-get >/dev/null ||
        apt_die "no apt-get here: set LIBEVENT_SOURCE_DIR to a libevent source tree"
    mkdir -p "$deps"
    [[ -z $release ]] || dir=$deps/apt-$release
    export APT_CONFIG=$dir/apt.conf
    apt_log=$dir/log
    if [[ -f $dir/complete ]]; then
        return
    fi
    rm -rf "$dir"
    mkdir -p "$dir/sources" "$dir/lists/partial" "$dir/cache/archives/partial"
    apt_debian_sources | apt_of_release "$release" >"$dir/sources/debian.sources"
    [[ -s $dir/sources/debian.sources ]] || apt_die "apt has no Debian sources in /etc/apt here"
    cat >"$APT_CONFIG" <<TEXT
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$dir/sources";
Dir::State::lists "$dir/lists";
Dir::Cache "$dir/cache";
Acquire::Languages "none";
APT::Sandbox::User "root";
TEXT
    if apt-get update -o APT::Update::Error-Mode=any >"$dir/log" 2>&1; then
        : >"$dir/complete"
    elif ! apt-cache showsrc --only-source libevent 2>/dev/null | grep -q .; then
        # One index of several that is out of reach does no harm, as long as ours came through.
        grep -E '^(E|W|Err)' "$dir/log" | tail -n 3 >&2 || true
        apt_die "cannot read Debian's source index (no network?); see ${dir#"${deps%/*/*}/"}/log"
    fi
}

# apt_of_release <release>: the stanzas that come in, with this machine's own release, such as in
# "bookworm-security", replaced; all of them as they are where no release is named.
apt_of_release() {
    local own
    own=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}")
    if [[ -z $1 || -z $own ]]; then
        cat
    else
        sed -E "/^[Ss]uites:/s/([ \t:])(stable|$own)/\1$1/g"
    fi
}

# apt_versions <package> <pattern>: versions on offer that match, newest first.
apt_versions() {
    local version
    apt-cache showsrc --only-source "$1" 2>/dev/null | sed -n 's/^Version: //p' | sort -Vru |
        while read -r version; do
            # shellcheck disable=SC2053
            [[ $version != $2 ]] || echo "$version"
        done
}

# apt_source <package> <version wanted, may be empty> <pattern of others> <folder>: unpacks a source
# package, whose files apt has verified. The folder appears only when it is complete.
apt_source() {
    local package=$1 wanted=$2 pattern=$3 folder=$4
    apt_private
    local versions version work=$folder.unpack found
    versions=$(apt_versions "$package" "$pattern")
    [[ -n $versions ]] || apt_die "Debian's index here offers no $package $pattern"
    if [[ -n $wanted ]] && grep -qxF "$wanted" <<<"$versions"; then
        versions=$wanted$'\n'$(grep -vxF "$wanted" <<<"$versions" || true)
    fi
    for version in $versions; do
        rm -rf "$work"
        mkdir -p "$work"
        # An index may name a version whose files are already gone; then an older one will do.
        if (cd "$work" && apt-get source "$package=$version") >"$apt_log" 2>&1; then
            if [[ -n $wanted && $version != "$wanted" ]]; then
                echo "setup: $package $wanted is not on offer, taking $version"
            fi
            found=$(find "$work" -mindepth 1 -maxdepth 1 -type d)
            mv -T "$found" "$folder"
            rm -rf "$work"
            return
        fi
    done
    apt_die "cannot fetch $package (tried:" $versions"); see ${apt_log#"${deps%/*/*}/"}"
}

# apt_original <package> <pattern> <file>: the archive of the package's authors, as Debian carries it,
# by this machine's index or by that of Debian 13. Fails quietly: there may be other places.
apt_original() {
    local package=$1 pattern=$2 file=$3 release version work=$3.unpack
    for release in '' trixie; do
        # apt_private ends the shell that it fails in.
        (apt_private $release) 2>/dev/null || continue
        apt_private $release
        for version in $(apt_versions "$package" "$pattern"); do
            rm -rf "$work"
            mkdir -p "$work"
            # Without the .dsc, which may be gone while the archive is still served.
            (cd "$work" && apt-get source --download-only --tar-only "$package=$version") \
                >"$apt_log" 2>&1 || continue
            mv "$work"/*.orig.tar.* "$file"
            rm -rf "$work"
            return
        done
    done
    rm -rf "$work"
    return 1
}
