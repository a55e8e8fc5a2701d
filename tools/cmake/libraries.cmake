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
        # A source's properties are those of its directory: what libevent has set there is set here too.
        get_source_file_property(flags "${file}" DIRECTORY "${LIBEVENT_SOURCE_DIR}" COMPILE_FLAGS)
        if(flags)
            set_source_files_properties("${file}" PROPERTIES COMPILE_FLAGS "${flags}")
        endif()
        list(APPEND kept "${file}")
    endforeach()
    set(${result} "${kept}" PARENT_SCOPE)
endfunction()

# Gives a target of ours the flags and definitions that libevent compiled its own sources with: those
# of its target, and those of its directory (add_definitions), which CMake keeps apart.
function(libevent_flags target)
    get_target_property(definitions event_core_static COMPILE_DEFINITIONS)
    get_property(directory_definitions DIRECTORY "${LIBEVENT_SOURCE_DIR}" PROPERTY COMPILE_DEFINITIONS)
    get_target_property(options event_core_static COMPILE_OPTIONS)
    if(definitions)
        target_compile_definitions(${target} PRIVATE ${definitions})
    endif()
    target_compile_definitions(${target} PRIVATE ${directory_definitions} ${LIBEVENT_FEATURE_MACROS})
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
        "${LIBEVENT_IOCP_DIR}/bufferevent/include")
    # What a compiler says of libevent's headers is not our business.
    target_include_directories(${target} SYSTEM PRIVATE
        "${LIBEVENT_BINARY_DIR}/include"
        "${LIBEVENT_SOURCE_DIR}"
        "${LIBEVENT_SOURCE_DIR}/compat"
        "${LIBEVENT_SOURCE_DIR}/include"
        "${LIBEVENT_SOURCE_DIR}/WIN32-Code")
    target_compile_features(${target} PRIVATE cxx_std_17)
    set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
endfunction()

include("${CMAKE_CURRENT_LIST_DIR}/dlls.cmake")
if(MSVC)
    set(library_prefix "")
else()
    set(library_prefix lib)
endif()
if(BUILD_SHARED_LIBS)
    set(library_type SHARED)
else()
    set(library_type STATIC)
endif()

# libevent_iocp_target(<name> <source>...): one library of ours, by the name of libevent's.
function(libevent_iocp_target name)
    set(target libevent_iocp_${name})
    string(REGEX REPLACE "^event_event$" "event" output_name event_${name})
    add_library(${target} ${library_type} ${ARGN})
    add_library(libevent_iocp::${name} ALIAS ${target})
    target_include_directories(${target} PUBLIC
        "$<BUILD_INTERFACE:${LIBEVENT_IOCP_DIR}/bufferevent/include>"
        "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
    target_include_directories(${target} SYSTEM PUBLIC
        "$<BUILD_INTERFACE:${LIBEVENT_BINARY_DIR}/include>"
        "$<BUILD_INTERFACE:${LIBEVENT_SOURCE_DIR}/include>")
    set_target_properties(${target} PROPERTIES
        EXPORT_NAME ${name}
        OUTPUT_NAME ${output_name}
        PREFIX "${library_prefix}"
        ARCHIVE_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib/iocp")
endfunction()

# libevent_iocp_library(<name> <libevent's target> [further sources]): one compiled from the sources of
# libevent's target, but for what we replace, and ours.
function(libevent_iocp_library name stock)
    libevent_sources(${stock} sources)
    libevent_iocp_target(${name} ${sources} ${ARGN})
    libevent_flags(libevent_iocp_${name})
endfunction()

set(system_libraries ${LIBEVENT_LIB_PLATFORM} iphlpapi)
libevent_iocp_library(core event_core_static ${SEAM_SOURCES})
target_link_libraries(libevent_iocp_core PUBLIC ${system_libraries})

libevent_iocp_library(extra event_extra_static)
target_link_libraries(libevent_iocp_extra PUBLIC libevent_iocp_core)

# Core and extra in one library, as -levent has it.
libevent_iocp_target(event $<TARGET_OBJECTS:libevent_iocp_core> $<TARGET_OBJECTS:libevent_iocp_extra>)
set_target_properties(libevent_iocp_event PROPERTIES LINKER_LANGUAGE C)
target_link_libraries(libevent_iocp_event PUBLIC ${system_libraries})

if(LIBEVENT_IOCP_OPENSSL)
    libevent_iocp_library(openssl event_openssl_static ${SEAM_OPENSSL_SOURCES})
    target_include_directories(libevent_iocp_openssl PRIVATE ${OPENSSL_INCLUDE_DIR})
    target_link_libraries(libevent_iocp_openssl PUBLIC
        libevent_iocp_core OpenSSL::SSL OpenSSL::Crypto crypt32)
endif()
seam_apply()

if(BUILD_SHARED_LIBS)
    set(callers)
    if(LIBEVENT_IOCP_OPENSSL)
        # Compiled once more, since core cannot wait for objects of a DLL that waits for core.
        add_library(libevent_iocp_openssl_callers OBJECT ${SEAM_OPENSSL_SOURCES})
        libevent_flags(libevent_iocp_openssl_callers)
        target_include_directories(libevent_iocp_openssl_callers PRIVATE ${OPENSSL_INCLUDE_DIR}
            "${LIBEVENT_IOCP_DIR}/bufferevent/include")
        set(callers $<TARGET_OBJECTS:libevent_iocp_openssl_callers>)
        libevent_iocp_dll(libevent_iocp_openssl openssl)
    endif()
    libevent_iocp_dll(libevent_iocp_core core ${callers})
    libevent_iocp_dll(libevent_iocp_extra extra)
    libevent_iocp_dll(libevent_iocp_event event)
endif()
