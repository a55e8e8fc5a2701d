# libevent_checks_key(<libevent's CMakeLists.txt> <result>): names what the results of libevent's checks depend on: the checks,
# CMake, the compiler, and which machine it compiles for, which for clang is neither in its name nor in its version.
function(libevent_checks_key lists result)
    file(READ "${lists}" key)
    # Versions that differ in their number alone check the same.
    string(REGEX REPLACE "set\\(EVENT_(NUMERIC_VERSION|ABI_LIBVERSION)[^)]*\\)" "" key "${key}")
    foreach(name CMAKE_VERSION CMAKE_GENERATOR CMAKE_C_FLAGS CMAKE_C_COMPILER CMAKE_C_COMPILER_VERSION
            CMAKE_C_COMPILER_TARGET CMAKE_C_COMPILER_ARCHITECTURE_ID CMAKE_SIZEOF_VOID_P CMAKE_EXE_LINKER_FLAGS)
        string(APPEND key ";${${name}}")
    endforeach()
    string(SHA256 key "${key}")
    string(SUBSTRING ${key} 0 12 key)
    set(${result} ${key} PARENT_SCOPE)
endfunction()
