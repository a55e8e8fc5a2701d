# libevent's own build: its static libraries as targets event_core_static and so on, without
# anything of ours, and its configure checks, whose results our libraries share.

# libevent's CMakeLists.txt speaks CMake 3.1. These let it see the plain variables set below, and
# let a CMake 4 read it at all; and its targets get MSVC's runtime (/MD, /MT) as ours do.
set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)
set(CMAKE_POLICY_DEFAULT_CMP0091 NEW)
set(CMAKE_POLICY_DEFAULT_CMP0126 NEW)
set(CMAKE_POLICY_VERSION_MINIMUM 3.5)

set(EVENT__LIBRARY_TYPE STATIC)
set(EVENT__DISABLE_SAMPLES ON)
set(EVENT__DISABLE_BENCHMARK ON)
set(EVENT__DISABLE_TESTS ON)
foreach(name IN LISTS LIBEVENT_SWITCHES_OFF)
    set(${name} ON)
endforeach()
set(EVENT__DISABLE_GCC_WARNINGS ON) # what a newer gcc says of libevent's code is not our business
set(CMAKE_EXPORT_NO_PACKAGE_REGISTRY ON)
if(LIBEVENT_IOCP_OPENSSL)
    find_package(OpenSSL REQUIRED) # here too, since imported targets end with their directory
    set(EVENT__DISABLE_OPENSSL OFF)
else()
    set(EVENT__DISABLE_OPENSSL ON)
endif()

# Its programs are built by tools/cmake/programs.cmake, twice; zlib is for them alone.
if(LIBEVENT_IOCP_BUILD_TESTS)
    find_package(ZLIB)
    if(ZLIB_FOUND)
        set(EVENT__HAVE_LIBZ 1)
    endif()
endif()

# libevent overwrites this list in the cache, and the build type where there is none: the cache is that of a project that
# includes us too, which has said nothing of the kind. A plain variable keeps libevent from the second.
set(saved_configuration_types "$CACHE{CMAKE_CONFIGURATION_TYPES}")
set(lends_build_type FALSE)
if(NOT PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE)
    set(lends_build_type TRUE)
endif()

set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib/stock")
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin/stock")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib/stock")

# libevent's checks take a minute and depend on the compiler alone, so one build keeps the results
# for the next: those under build/ of this source tree, which is thrown away with it. Whoever builds
# elsewhere, as packagers do, may not be allowed to write there.
cmake_path(IS_PREFIX LIBEVENT_IOCP_DIR "${PROJECT_BINARY_DIR}" keeps_checks)
if(NOT PROJECT_IS_TOP_LEVEL)
    set(keeps_checks FALSE)
endif()
if(keeps_checks)
    include("${CMAKE_CURRENT_LIST_DIR}/checks_key.cmake")
    libevent_checks_key("${LIBEVENT_SOURCE_DIR}/CMakeLists.txt" checks_key)
    set(checks_file "${LIBEVENT_IOCP_DIR}/build/checks/${checks_key}.cmake")
    if(NOT EVENT__SIZEOF_SIZE_T)
        include("${checks_file}" OPTIONAL)
    endif()
endif()
if(NOT EVENT__SIZEOF_SIZE_T)
    message(STATUS "Configuring libevent ${LIBEVENT_VERSION}: about a minute, this time only")
endif()
set(saved_log_level "${CMAKE_MESSAGE_LOG_LEVEL}")
if(NOT CMAKE_MESSAGE_LOG_LEVEL)
    set(CMAKE_MESSAGE_LOG_LEVEL WARNING)
endif()
if(lends_build_type)
    set(CMAKE_BUILD_TYPE Release)
endif()
add_subdirectory("${LIBEVENT_SOURCE_DIR}" libevent EXCLUDE_FROM_ALL)
if(lends_build_type)
    unset(CMAKE_BUILD_TYPE) # our libraries are built as the project's own
endif()
set(CMAKE_MESSAGE_LOG_LEVEL "${saved_log_level}")

if(TARGET event_openssl_static)
    # libevent exports OpenSSL's folder as it is, which CMake refuses where it lies below ours.
    get_target_property(folders event_openssl_static INTERFACE_INCLUDE_DIRECTORIES)
    set(exported)
    foreach(folder IN LISTS folders)
        if(folder STREQUAL OPENSSL_INCLUDE_DIR)
            set(folder "$<BUILD_INTERFACE:${folder}>")
        endif()
        list(APPEND exported "${folder}")
    endforeach()
    set_target_properties(event_openssl_static PROPERTIES
        INTERFACE_INCLUDE_DIRECTORIES "${exported}")
endif()

# The results of the checks, for 'cmake -C' in another project with the same compiler too.
get_cmake_property(names CACHE_VARIABLES)
list(FILTER names INCLUDE REGEX "^(EVENT__|HAVE_|check_c_compiler_flag_|_GNU_SOURCE)")
set(checks)
foreach(name IN LISTS names)
    get_property(type CACHE ${name} PROPERTY TYPE)
    if(type STREQUAL "INTERNAL")
        string(APPEND checks "set(${name} [==[${${name}}]==] CACHE INTERNAL \"\")\n")
    endif()
endforeach()
file(WRITE "${PROJECT_BINARY_DIR}/libevent-checks.cmake" "${checks}")
if(keeps_checks AND NOT EXISTS "${checks_file}")
    file(COPY_FILE "${PROJECT_BINARY_DIR}/libevent-checks.cmake" "${PROJECT_BINARY_DIR}/checks.new")
    file(MAKE_DIRECTORY "${LIBEVENT_IOCP_DIR}/build/checks")
    file(RENAME "${PROJECT_BINARY_DIR}/checks.new" "${checks_file}")
endif()

if(saved_configuration_types)
    set(CMAKE_CONFIGURATION_TYPES "${saved_configuration_types}" CACHE STRING
        "Build configurations" FORCE)
else()
    unset(CMAKE_CONFIGURATION_TYPES CACHE)
endif()

# What libevent decided, for our libraries: flags, header lists, where its generated headers are.
foreach(variable CMAKE_C_FLAGS HDR_COMPAT HDR_PUBLIC WIN32_GETOPT LIB_PLATFORM)
    get_directory_property(LIBEVENT_${variable}
        DIRECTORY "${LIBEVENT_SOURCE_DIR}" DEFINITION ${variable})
endforeach()
set(LIBEVENT_BINARY_DIR "${CMAKE_CURRENT_BINARY_DIR}/libevent")
