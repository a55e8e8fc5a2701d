# Where libevent's code and ours meet. Nothing of libevent is edited or copied: some files are left
# out because ours take their place, some are compiled with one header forced in front of them.
# What differs between libevent's versions stands in versions.cmake.

# libevent's files that are not in our libraries (buffer_iocp.c stays: it is plain evbuffer code).
set(SEAM_DROP
    event_iocp.c
    bufferevent_async.c)

# libevent's files compiled with a header of ours forced in front: "file header".
set(SEAM_SLOTS
    "event.c             compat/event_slot.h"
    "bufferevent_sock.c  compat/bufferevent_slot.h"
    "listener.c          compat/listener_slot.h"
    "http.c              compat/http_slot.h"
    "bufferevent_openssl.c compat/openssl_slot.h")
libevent_feature_lines("${LIBEVENT_FEATURE_SLOTS}" more)
list(APPEND SEAM_SLOTS ${more})

# libevent's files compiled with a macro: "file macro". Renaming the select backend leaves its name
# free, so that event.c's table can hold our second entry behind it.
set(SEAM_DEFINES
    "win32select.c win32ops=iocp_stock_select_ops"
    "evutil.c evutil_closesocket=iocp_stock_evutil_closesocket")
libevent_feature_lines("${LIBEVENT_FEATURE_DEFINES}" more)
list(APPEND SEAM_DEFINES ${more})

# Our own sources of event_core, and of event_openssl.
file(GLOB SEAM_SOURCES CONFIGURE_DEPENDS
    ${LIBEVENT_IOCP_DIR}/backend/*.cpp
    ${LIBEVENT_IOCP_DIR}/backend/handles/*.cpp
    ${LIBEVENT_IOCP_DIR}/bufferevent/*.cpp
    ${LIBEVENT_IOCP_DIR}/bufferevent/pipes/*.cpp
    ${LIBEVENT_IOCP_DIR}/compat/*.cpp)
file(GLOB SEAM_OPENSSL_SOURCES CONFIGURE_DEPENDS
    ${LIBEVENT_IOCP_DIR}/bufferevent/openssl/*.cpp)

# Public headers that we add to libevent's.
file(GLOB SEAM_PUBLIC_HEADERS CONFIGURE_DEPENDS
    ${LIBEVENT_IOCP_DIR}/bufferevent/include/event2/*.h)


# Flags of our own C++: no exceptions and no run-time types, since C programs link this code and
# may have no C++ runtime at hand.
if(MSVC)
    set(SEAM_CXX_OPTIONS /W4 /EHs-c- /GR- /D_HAS_EXCEPTIONS=0)
    set(warnings_are_errors /WX)
else()
    set(SEAM_CXX_OPTIONS -Wall -Wextra -fno-exceptions -fno-rtti)
    set(warnings_are_errors -Werror)
endif()
if(LIBEVENT_IOCP_WERROR)
    list(APPEND SEAM_CXX_OPTIONS ${warnings_are_errors})
endif()

# seam_apply(): sets the options of libevent's files for the targets of the calling directory.
function(seam_apply)
    foreach(slot IN LISTS SEAM_SLOTS)
        string(REGEX MATCH "^([^ ]+) +([^ ]+)$" matched "${slot}")
        set(file "${LIBEVENT_SOURCE_DIR}/${CMAKE_MATCH_1}")
        set(header "${LIBEVENT_IOCP_DIR}/${CMAKE_MATCH_2}")
        if(NOT EXISTS "${header}" OR NOT EXISTS "${file}")
            message(FATAL_ERROR "The seam names a missing file: ${slot}")
        endif()
        if(MSVC)
            set(force "/FI${header}")
        else()
            set(force -include "${header}")
        endif()
        set_source_files_properties("${file}" PROPERTIES
            COMPILE_OPTIONS "${force}" OBJECT_DEPENDS "${header}")
    endforeach()
    foreach(define IN LISTS SEAM_DEFINES)
        string(REGEX MATCH "^([^ ]+) +([^ ]+)$" matched "${define}")
        set_source_files_properties("${LIBEVENT_SOURCE_DIR}/${CMAKE_MATCH_1}" PROPERTIES
            COMPILE_DEFINITIONS "${CMAKE_MATCH_2}")
    endforeach()
endfunction()
