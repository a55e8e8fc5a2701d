# Configuring the tested build. Sourced; needs $root (the project) and $build (its build folder).
source "$root/tools/lib/libevent.sh"

# The tree to build: the one asked for, or the default that tools/setup has fetched.
source_dir() {
    echo "${LIBEVENT_SOURCE_DIR:-$root/build/deps/libevent-$(libevent_default)}"
}

# A build that was configured before libuv was there does not know of it.
find_libuv() {
    [[ ! -d $root/build/deps/libuv ]] || grep -q '^LIBUV_LIBRARY:FILEPATH=/' "$build/CMakeCache.txt" || cmake "$build"
}

# Configures anew only when that has never worked or another source tree is asked for: libevent's
# checks take a minute. Ninja itself configures again when a CMake file has changed.
configure_build() {
    local source
    source=$(source_dir)
    if [[ -f $build/build.ninja ]] &&
        grep -qxF "LIBEVENT_SOURCE_DIR:PATH=$source" "$build/CMakeCache.txt"; then
        find_libuv
        return
    fi
    (cd "$root" && cmake --preset mingw -B "$build" -D "LIBEVENT_SOURCE_DIR:PATH=$source")
}
