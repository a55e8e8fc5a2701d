# Fetching libevent's sources. Sourced by tools/setup, which sets $deps and has read apt.sh; which
# versions there are, and what they weigh, stands in tools/cmake/versions.cmake.
libevent_versions=${BASH_SOURCE[0]%/*}/../cmake/versions.cmake

# libevent_value <name>: what "set(LIBEVENT_IOCP_<name> value)" says in versions.cmake.
libevent_value() {
    sed -n "s/^set(LIBEVENT_IOCP_$1 \([^ )]*\).*)\$/\1/p" "$libevent_versions"
}

libevent_default() {
    libevent_value DEFAULT_VERSION
}

# libevent_fetch <version>: unpacks a tree to build/deps/libevent-<version>. The default is libevent's
# own archive, from Debian or from where libevent publishes it; any other one is Debian's package.
libevent_fetch() {
    local version=$1 folder=$deps/libevent-$1
    [[ ! -d $folder ]] || return 0
    echo "setup: fetching libevent $version"
    if [[ $version == "$(libevent_default)" ]]; then
        libevent_fetch_default "$folder"
    else
        libevent_fetch_package "$version" "$folder"
    fi
}

libevent_fetch_default() {
    local folder=$1 file=$1.tar.gz work=$1.unpack version url hash
    version=$(libevent_default)
    url=$(libevent_value DEFAULT_URL)
    hash=$(libevent_value DEFAULT_SHA256)
    apt_original libevent "$version-*" "$file" ||
        curl --silent --show-error --fail --location --output "$file" "$url" ||
        apt_die "libevent $version is neither in Debian's index here nor at $url"
    sha256sum --check --status <<<"$hash  $file" ||
        apt_die "the archive of libevent $version is not the one that we know: $file"
    rm -rf "$work"
    mkdir -p "$work"
    tar -xzf "$file" -C "$work" --strip-components=1
    mv -T "$work" "$folder" # the archive stays, for the test that fetches it
}

libevent_fetch_package() {
    local version=$1 folder=$2
    if ! (apt_private && [[ -n $(apt_versions libevent "$version-*") ]]); then
        echo "setup: no libevent $version is on offer here" >&2
        exit 77
    fi
    apt_source libevent "$(libevent_value DEBIAN_VERSION)" "$version-*" "$folder"
}
