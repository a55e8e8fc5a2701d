# Finds libevent's source tree and refuses one that we do not know, before anything else is tried.
set(LIBEVENT_IOCP_SUPPORTED 2.1.12)
set(LIBEVENT_SOURCE_DIR "${LIBEVENT_IOCP_DIR}/build/deps/libevent" CACHE PATH
    "libevent's source tree (by default the Debian source package that tools/setup fetches)")
get_filename_component(LIBEVENT_SOURCE_DIR "${LIBEVENT_SOURCE_DIR}" ABSOLUTE
    BASE_DIR "${CMAKE_SOURCE_DIR}")

if(NOT IS_DIRECTORY "${LIBEVENT_SOURCE_DIR}")
    message(FATAL_ERROR "LIBEVENT_SOURCE_DIR=${LIBEVENT_SOURCE_DIR} is no folder: "
        "run tools/setup to fetch libevent ${LIBEVENT_IOCP_SUPPORTED}, or name a source tree.")
endif()
if(NOT EXISTS "${LIBEVENT_SOURCE_DIR}/event.c" OR
   NOT EXISTS "${LIBEVENT_SOURCE_DIR}/event-config.h.cmake" OR
   NOT EXISTS "${LIBEVENT_SOURCE_DIR}/CMakeLists.txt")
    message(FATAL_ERROR "LIBEVENT_SOURCE_DIR=${LIBEVENT_SOURCE_DIR} holds no libevent sources.")
endif()

# EVENT_NUMERIC_VERSION is 0xMMmmppss: one byte each for major, minor, patch and stage.
file(STRINGS "${LIBEVENT_SOURCE_DIR}/CMakeLists.txt" version_line
    REGEX "^set\\(EVENT_NUMERIC_VERSION 0x[0-9a-fA-F]+\\)" LIMIT_COUNT 1)
if(NOT version_line MATCHES "0x([0-9a-fA-F][0-9a-fA-F])([0-9a-fA-F][0-9a-fA-F])([0-9a-fA-F][0-9a-fA-F])")
    message(FATAL_ERROR
        "LIBEVENT_SOURCE_DIR=${LIBEVENT_SOURCE_DIR}: cannot read libevent's version there.")
endif()
math(EXPR version_major "0x${CMAKE_MATCH_1}")
math(EXPR version_minor "0x${CMAKE_MATCH_2}")
math(EXPR version_patch "0x${CMAKE_MATCH_3}")
set(LIBEVENT_VERSION ${version_major}.${version_minor}.${version_patch})
if(NOT LIBEVENT_VERSION IN_LIST LIBEVENT_IOCP_SUPPORTED)
    message(FATAL_ERROR "LIBEVENT_SOURCE_DIR=${LIBEVENT_SOURCE_DIR} is libevent "
        "${LIBEVENT_VERSION}; this project supports ${LIBEVENT_IOCP_SUPPORTED}.")
endif()
