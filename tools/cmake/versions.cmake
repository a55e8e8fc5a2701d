# libevent's versions: which one is taken, which are known, and what differs between them. This table
# and compat/versions.h are the only places that know of a version.

# The tree that is fetched where none is given. tools/lib/libevent.sh reads these lines too.
set(LIBEVENT_IOCP_DEFAULT_VERSION 2.1.13)
set(LIBEVENT_IOCP_DEFAULT_URL https://github.com/libevent/libevent/releases/download/release-2.1.13-stable/libevent-2.1.13-stable.tar.gz)
set(LIBEVENT_IOCP_DEFAULT_SHA256 f7e9383b8c0baa81b687e5b5eecc01beefaf1b19b64151d95ed61647fe7a315c)
# The other one that is tested: Debian 12's package, 2.1.12 with its patches.
set(LIBEVENT_IOCP_DEBIAN_VERSION 2.1.12-stable-8+deb12u1)

# Trees from the first of these to before the second are taken: 2.1.12, 2.1.13, and 2.2 as it is
# on libevent's master branch.
set(LIBEVENT_IOCP_OLDEST 2.1.12)
set(LIBEVENT_IOCP_TOO_NEW 2.3)

# What a tree has, by what is found in it: "name file text". Each becomes the variable
# LIBEVENT_HAS_<name>, and a macro of that name for compat/versions.h, TRUE or FALSE, 1 or 0.
set(LIBEVENT_FEATURES
    "SHARED_TLS   bufferevent_ssl.c       bufferevent_ops_ssl"  # OpenSSL and Mbed TLS share a file
    "WEPOLL       event.c                 EVENT__HAVE_WEPOLL"   # a third backend on Windows
    "WEBSOCKETS   include/event2/ws.h     evws_new_session"
    "WEBSOCKET_KINDS include/event2/ws.h  evws_send_binary"    # text and binary are told apart, not all sent as text
    "WATCHERS     include/event2/watch.h  evwatch_prepare_new"
    "DNS_OVER_TCP include/event2/dns.h    DNS_QUERY_USEVC"
    "MAX_READ     include/event2/buffer.h evbuffer_set_max_read"
    # With OpenSSL 3 an end without close_notify is an error of the protocol; taken for a dirty shutdown all the same.
    "DIRTY_ENDS   bufferevent_openssl.c   possibly.a.dirty.shutdown")

# Lines of the seam (tools/cmake/seam.cmake) for trees with a feature: "feature line".
set(LIBEVENT_FEATURE_SLOTS
    "SHARED_TLS bufferevent_ssl.c compat/openssl_slot.h")
set(LIBEVENT_FEATURE_DEFINES
    "WEPOLL epoll.c wepollops=iocp_stock_wepoll_ops")

# Files of libevent's regress suite that not every tree has, and what has to be there for them.
set(LIBEVENT_REGRESS_FILES timer_timeout watch ws)

# Before anything of libevent's is read: switches that one version has and another does not.
set(LIBEVENT_SWITCHES_OFF EVENT__DISABLE_MBEDTLS) # 2.2 has bufferevents on Mbed TLS, which we do not know

# libevent_feature_lines(<list of "feature line"> <result>): the lines whose feature the tree has.
function(libevent_feature_lines lines result)
    set(kept)
    foreach(line IN LISTS lines)
        string(REGEX MATCH "^([^ ]+) +(.*)$" matched "${line}")
        if(LIBEVENT_HAS_${CMAKE_MATCH_1})
            list(APPEND kept "${CMAKE_MATCH_2}")
        endif()
    endforeach()
    set(${result} "${kept}" PARENT_SCOPE)
endfunction()

# libevent_find_features(<folder>): sets LIBEVENT_HAS_... and LIBEVENT_FEATURE_MACROS by the tree there.
function(libevent_find_features folder)
    set(macros)
    foreach(feature IN LISTS LIBEVENT_FEATURES)
        string(REGEX MATCH "^([^ ]+) +([^ ]+) +([^ ]+)$" matched "${feature}")
        set(name LIBEVENT_HAS_${CMAKE_MATCH_1})
        set(text "${CMAKE_MATCH_3}")
        set(found)
        if(EXISTS "${folder}/${CMAKE_MATCH_2}")
            file(STRINGS "${folder}/${CMAKE_MATCH_2}" found REGEX "${text}" LIMIT_COUNT 1)
        endif()
        if(found)
            set(${name} TRUE PARENT_SCOPE)
            list(APPEND macros ${name}=1)
        else()
            set(${name} FALSE PARENT_SCOPE)
            list(APPEND macros ${name}=0)
        endif()
    endforeach()
    set(LIBEVENT_FEATURE_MACROS "${macros}" PARENT_SCOPE)
endfunction()
