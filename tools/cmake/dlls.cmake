# Our libraries as DLLs that take the place of libevent's: the same names, and exports of the same names.
#
# With MinGW-w64 libevent exports all that it defines, a few names of the C library's among it. So do we,
# but for our C++, of which the DLLs beside core call some functions: those alone are exported too.
if(MSVC)
    set(suffix "")
else()
    set(suffix -7)
endif()
set(LIBEVENT_IOCP_DLL_SUFFIX "${suffix}" CACHE STRING
    "What follows a DLL's name: -7 as with MSYS2's, -2-1-7 as with libtool's, nothing as with CMake's, and so MSVC's")
mark_as_advanced(LIBEVENT_IOCP_DLL_SUFFIX)

if(BUILD_SHARED_LIBS AND NOT MSVC)
    include(CheckLinkerFlag)
    set(script "${PROJECT_BINARY_DIR}/exports/nothing.ver")
    file(WRITE "${script}" "{ global: *; };\n")
    check_linker_flag(C "-Wl,--version-script=${script}" LIBEVENT_IOCP_HAS_VERSION_SCRIPT)
    if(NOT LIBEVENT_IOCP_HAS_VERSION_SCRIPT)
        libevent_refuse("BUILD_SHARED_LIBS: this linker takes no --version-script, which says what the DLLs export. "
            "With MinGW-w64 they need GNU's, and static libraries do without")
    endif()
endif()

# libevent_dll_name(<target> <name> <folder>): the file libevent_<name>-7.dll there.
function(libevent_dll_name target name folder)
    string(REGEX REPLACE "^event_event$" "event" output_name event_${name})
    set_target_properties(${target} PROPERTIES
        OUTPUT_NAME ${output_name}
        RUNTIME_OUTPUT_NAME ${output_name}${LIBEVENT_IOCP_DLL_SUFFIX}
        RUNTIME_OUTPUT_DIRECTORY "${folder}"
        DEFINE_SYMBOL "" # MinGW-w64's linker exports all
        LINKER_LANGUAGE C) # no runtime of C++ can get in
    if(MSVC)
        set_target_properties(${target} PROPERTIES DEFINE_SYMBOL ${output_name}_shared_EXPORTS)
    endif()
endfunction()

# libevent_iocp_dll(<target> <core, extra, event or openssl> [object...]): makes that shared library a
# DLL in libevent's place. The objects are those of other DLLs, whose calls into this one are exported.
function(libevent_iocp_dll target name)
    libevent_dll_name(${target} ${name} "${PROJECT_BINARY_DIR}/bin/iocp-dll")
    # Where the DLLs are not of one build, the loader says so: extra and openssl ask for a function of
    # core's whose name is the message. (event has both, among the objects of core and extra.)
    if(name STREQUAL "core")
        target_sources(${target} PRIVATE "${LIBEVENT_IOCP_DIR}/compat/dll/core_dll.c")
    elseif(NOT name STREQUAL "event")
        target_sources(${target} PRIVATE "${LIBEVENT_IOCP_DIR}/compat/dll/other_dll.c")
    endif()
    libevent_flags(${target})
    if(MSVC)
        # Its linker exports what is marked, which our functions for openssl are not.
        set_target_properties(${target} PROPERTIES WINDOWS_EXPORT_ALL_SYMBOLS ON)
        return()
    endif()
    if(name MATCHES "core|event")
        # The seam compiles the select backend under another name; programs may know the old one.
        target_sources(${target} PRIVATE "${LIBEVENT_IOCP_DIR}/tools/cmake/aliases.def")
        # Of the C library, in6addr_any and, of the same object, in6addr_loopback: libevent's own IOCP, which
        # we leave out, brought them in, and programs import them.
        target_link_options(${target} PRIVATE -Wl,--undefined=in6addr_any)
    endif()
    set(script "${PROJECT_BINARY_DIR}/exports/${target}.ver")
    add_custom_command(OUTPUT "${script}"
        COMMAND ${CMAKE_COMMAND} -D "NM=${CMAKE_NM}" -D "OUTPUT=${script}" -D "OBJECTS=${ARGN}"
            -P "${LIBEVENT_IOCP_DIR}/tools/cmake/write_exports.cmake"
        DEPENDS ${ARGN} "${LIBEVENT_IOCP_DIR}/tools/cmake/write_exports.cmake"
        VERBATIM)
    add_custom_target(exports_${target} DEPENDS "${script}")
    add_dependencies(${target} exports_${target})
    target_link_options(${target} PRIVATE
        -Wl,--export-all-symbols "-Wl,--version-script=${script}" -static-libgcc)
    set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS "${script}")
endfunction()
