# libuv, for the test that runs a base inside its loop and for the benchmarks.
set(LIBUV_DIR "${LIBEVENT_IOCP_DIR}/build/deps/libuv" CACHE PATH
    "Where libuv is installed (tools/setup-libuv builds it there)")
find_library(LIBUV_LIBRARY NAMES libuv.a uv_a uv PATHS "${LIBUV_DIR}/lib"
    NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
