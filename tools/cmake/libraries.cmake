# Our libraries: libevent's source lists, flags and definitions, with the seam applied.

# Reads a source list of one of libevent's targets as absolute paths, without what we replace.
function(libevent_sources target result)
    get_target_property(files ${target} SOURCES)
    set(kept)
    foreach(file IN LISTS files)
        if(file IN_LIST SEAM_DROP)
            continue()
        endif()
        cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY "${LIBEVENT_SOURCE_DIR}")
        list(APPEND kept "${file}")
    endforeach()
    set(${result} "${kept}" PARENT_SCOPE)
endfunction()

# Gives a target of ours the flags and definitions that libevent compiled its own sources with.
function(libevent_flags target)
    get_target_property(definitions event_core_static COMPILE_DEFINITIONS)
    get_target_property(options event_core_static COMPILE_OPTIONS)
    if(definitions)
        target_compile_definitions(${target} PRIVATE ${definitions})
    endif()
    if(options)
        target_compile_options(${target} PRIVATE ${options})
    endif()
    separate_arguments(c_flags NATIVE_COMMAND "${LIBEVENT_CMAKE_C_FLAGS}")
    separate_arguments(own_c_flags NATIVE_COMMAND "${CMAKE_C_FLAGS}")
    list(REMOVE_ITEM c_flags ${own_c_flags} "")
    foreach(flag IN LISTS c_flags)
        target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:C>:${flag}>")
    endforeach()
    target_compile_options(${target} PRIVATE
        "$<$<COMPILE_LANGUAGE:CXX>:${SEAM_CXX_OPTIONS}>")
    target_include_directories(${target} PRIVATE
        "${LIBEVENT_IOCP_DIR}"
        "${LIBEVENT_BINARY_DIR}/include"
        "${LIBEVENT_SOURCE_DIR}"
        "${LIBEVENT_SOURCE_DIR}/compat"
        "${LIBEVENT_SOURCE_DIR}/include"
        "${LIBEVENT_SOURCE_DIR}/WIN32-Code")
    target_compile_features(${target} PRIVATE cxx_std_17)
    set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
endfunction()

# libevent_iocp_library(<name> <libevent's target> [further sources]): one library of ours.
function(libevent_iocp_library name stock)
    set(target libevent_iocp_${name})
    libevent_sources(${stock} sources)
    add_library(${target} STATIC ${sources} ${ARGN})
    add_library(libevent_iocp::${name} ALIAS ${target})
    libevent_flags(${target})
    target_include_directories(${target} PUBLIC
        "$<BUILD_INTERFACE:${LIBEVENT_IOCP_DIR}/bufferevent/include>"
        "$<BUILD_INTERFACE:${LIBEVENT_BINARY_DIR}/include>"
        "$<BUILD_INTERFACE:${LIBEVENT_SOURCE_DIR}/include>"
        "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
    set_target_properties(${target} PROPERTIES
        OUTPUT_NAME event_${name}
        EXPORT_NAME ${name}
        PREFIX lib
        ARCHIVE_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib/iocp")
    if(MSVC)
        set_target_properties(${target} PROPERTIES PREFIX "")
    endif()
endfunction()

libevent_iocp_library(core event_core_static ${SEAM_SOURCES})
target_link_libraries(libevent_iocp_core PUBLIC
    ${LIBEVENT_LIB_PLATFORM} iphlpapi ${SEAM_SYSTEM_LIBRARIES})

libevent_iocp_library(extra event_extra_static)
target_link_libraries(libevent_iocp_extra PUBLIC libevent_iocp_core)

if(LIBEVENT_IOCP_OPENSSL)
    libevent_iocp_library(openssl event_openssl_static ${SEAM_OPENSSL_SOURCES})
    target_include_directories(libevent_iocp_openssl PRIVATE ${OPENSSL_INCLUDE_DIR})
    target_link_libraries(libevent_iocp_openssl PUBLIC
        libevent_iocp_core OpenSSL::SSL OpenSSL::Crypto crypt32)
endif()
seam_apply()
