# Configuring the tested build. Sourced; needs $root (the project) and $build (its build folder).

# Configures anew only when that has never worked or another source tree is asked for: libevent's
# checks take a minute. Ninja itself configures again when a CMake file has changed.
configure_build() {
    local source=${LIBEVENT_SOURCE_DIR:-$root/build/deps/libevent}
    if [[ -f $build/build.ninja ]] &&
        grep -qxF "LIBEVENT_SOURCE_DIR:PATH=$source" "$build/CMakeCache.txt"; then
        return
    fi
    (cd "$root" && cmake --preset mingw -D "LIBEVENT_SOURCE_DIR:PATH=$source")
}
