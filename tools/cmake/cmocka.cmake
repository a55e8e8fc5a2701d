# CMocka from its own site, built beside us, where there is none to be found: its sources are those of Debian's package.
include(FetchContent)

set(WITH_STATIC_LIB ON CACHE INTERNAL "")
set(WITH_EXAMPLES OFF CACHE INTERNAL "")
set(UNIT_TESTING OFF CACHE INTERNAL "")
set(CMAKE_POLICY_VERSION_MINIMUM 3.5) # CMocka asks for less than CMake 4 has
FetchContent_Declare(cmocka
    URL https://cmocka.org/files/1.1/cmocka-1.1.5.tar.xz
    URL_HASH SHA256=f0ccd8242d55e2fd74b16ba518359151f6f8383ff8aef4976e48393f77bba8b6)
FetchContent_MakeAvailable(cmocka)
file(MAKE_DIRECTORY "${cmocka_BINARY_DIR}/installed/include")
file(COPY "${cmocka_SOURCE_DIR}/include/cmocka.h" DESTINATION "${cmocka_BINARY_DIR}/installed/include")
set(CMOCKA_DIR "${cmocka_BINARY_DIR}/installed")
set(CMOCKA_LIBRARY cmocka-static)
