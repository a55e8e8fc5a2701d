# Finds libevent's source tree, or fetches it, and refuses one that we do not know, before anything
# else is tried.
include("${CMAKE_CURRENT_LIST_DIR}/versions.cmake")

set(LIBEVENT_SOURCE_DIR "" CACHE PATH
    "libevent's source tree (empty: ${LIBEVENT_IOCP_DEFAULT_VERSION}, from build/deps or fetched)")
set(LIBEVENT_IOCP_URL "${LIBEVENT_IOCP_DEFAULT_URL}" CACHE STRING
    "Where libevent ${LIBEVENT_IOCP_DEFAULT_VERSION} is fetched if no tree is given (its hash is known)")
mark_as_advanced(LIBEVENT_IOCP_URL)

# The leading blank keeps CMake from breaking the line.
macro(libevent_refuse)
    string(CONCAT refusal ${ARGN})
    message(FATAL_ERROR " ${refusal}")
endmacro()

# The backend is written for a base that can be locked, whether its program asks for that or not.
if(EVENT__DISABLE_THREAD_SUPPORT)
    libevent_refuse("EVENT__DISABLE_THREAD_SUPPORT=${EVENT__DISABLE_THREAD_SUPPORT} leaves out the locks of libevent's bases, "
        "and this project needs them: take it back (-U EVENT__DISABLE_THREAD_SUPPORT)")
endif()

# Unpacks the default archive below the build folder: fetched once, checked by its hash.
function(libevent_fetch folder)
    if(EXISTS "${folder}/event.c")
        return()
    endif()
    message(STATUS "Fetching libevent ${LIBEVENT_IOCP_DEFAULT_VERSION}")
    set(archive "${folder}.tar.gz")
    file(DOWNLOAD "${LIBEVENT_IOCP_URL}" "${archive}" STATUS status)
    list(GET status 0 code)
    list(GET status 1 text)
    set(hash)
    if(code EQUAL 0)
        file(SHA256 "${archive}" hash)
    endif()
    if(NOT hash STREQUAL LIBEVENT_IOCP_DEFAULT_SHA256)
        file(REMOVE "${archive}")
        if(code EQUAL 0)
            set(text "what is there is not libevent's archive")
        endif()
        libevent_refuse("Cannot fetch libevent ${LIBEVENT_IOCP_DEFAULT_VERSION} from "
            "${LIBEVENT_IOCP_URL} (${text}): name a source tree by -D LIBEVENT_SOURCE_DIR=...")
    endif()
    file(REMOVE_RECURSE "${folder}.unpack")
    file(ARCHIVE_EXTRACT INPUT "${archive}" DESTINATION "${folder}.unpack")
    file(GLOB unpacked "${folder}.unpack/libevent-*")
    file(RENAME "${unpacked}" "${folder}")
    file(REMOVE_RECURSE "${folder}.unpack" "${archive}")
endfunction()

if(NOT LIBEVENT_SOURCE_DIR)
    set(LIBEVENT_SOURCE_DIR "${LIBEVENT_IOCP_DIR}/build/deps/libevent-${LIBEVENT_IOCP_DEFAULT_VERSION}")
    if(NOT IS_DIRECTORY "${LIBEVENT_SOURCE_DIR}")
        set(LIBEVENT_SOURCE_DIR "${CMAKE_CURRENT_BINARY_DIR}/libevent-${LIBEVENT_IOCP_DEFAULT_VERSION}")
        libevent_fetch("${LIBEVENT_SOURCE_DIR}")
    endif()
endif()
get_filename_component(LIBEVENT_SOURCE_DIR "${LIBEVENT_SOURCE_DIR}" ABSOLUTE
    BASE_DIR "${CMAKE_SOURCE_DIR}")

if(NOT IS_DIRECTORY "${LIBEVENT_SOURCE_DIR}")
    libevent_refuse("LIBEVENT_SOURCE_DIR=${LIBEVENT_SOURCE_DIR} is no folder: name a libevent source tree, "
        "or leave it empty to have ${LIBEVENT_IOCP_DEFAULT_VERSION} fetched")
endif()
foreach(file event.c event-config.h.cmake CMakeLists.txt)
    if(NOT EXISTS "${LIBEVENT_SOURCE_DIR}/${file}")
        libevent_refuse("LIBEVENT_SOURCE_DIR=${LIBEVENT_SOURCE_DIR} holds no libevent sources (no ${file})")
    endif()
endforeach()

# EVENT_NUMERIC_VERSION is 0xMMmmppss: one byte each for major, minor, patch and stage.
file(STRINGS "${LIBEVENT_SOURCE_DIR}/CMakeLists.txt" version_line
    REGEX "^set\\(EVENT_NUMERIC_VERSION 0x[0-9a-fA-F]+\\)" LIMIT_COUNT 1)
if(NOT version_line MATCHES "0x([0-9a-fA-F][0-9a-fA-F])([0-9a-fA-F][0-9a-fA-F])([0-9a-fA-F][0-9a-fA-F])")
    libevent_refuse("LIBEVENT_SOURCE_DIR=${LIBEVENT_SOURCE_DIR}: cannot read libevent's version there")
endif()
math(EXPR version_major "0x${CMAKE_MATCH_1}")
math(EXPR version_minor "0x${CMAKE_MATCH_2}")
math(EXPR version_patch "0x${CMAKE_MATCH_3}")
set(LIBEVENT_VERSION ${version_major}.${version_minor}.${version_patch})
if(LIBEVENT_VERSION VERSION_LESS LIBEVENT_IOCP_OLDEST OR
   NOT LIBEVENT_VERSION VERSION_LESS LIBEVENT_IOCP_TOO_NEW)
    libevent_refuse("LIBEVENT_SOURCE_DIR=${LIBEVENT_SOURCE_DIR} is libevent ${LIBEVENT_VERSION}, and this project "
        "takes ${LIBEVENT_IOCP_OLDEST} and later, before ${LIBEVENT_IOCP_TOO_NEW}")
endif()
libevent_find_features("${LIBEVENT_SOURCE_DIR}")
