// From a bufferevent to its base's backend and its descriptor's stream.
//
// event_openssl is compiled with this too, and may be a DLL beside core's: functions cross that border, but data of
// core's does not (MSVC exports no constants, and would have to be told of each that another DLL names). So what looks at
// core's data is not inline here.
#ifndef LIBEVENT_IOCP_BUFFEREVENT_BUFFEREVENT_STREAM_H
#define LIBEVENT_IOCP_BUFFEREVENT_BUFFEREVENT_STREAM_H

#include "bufferevent/stream.h"

namespace iocp {

// The backend of a bufferevent's base, if that runs on a port, or NULL.
backend *backend_for(const struct bufferevent *bev);

// Says which table TLS bufferevents on a port have (event_openssl need not be linked).
void bufferevent_connect_know_tls(const struct bufferevent_ops *ops);

// An option of ours beside libevent's: nobody but the bufferevent's maker uses its descriptor, and closes it.
constexpr int option_keeps_descriptor = 1 << 24;

// Another: its descriptor is a file's HANDLE (see handle_bufferevent.cpp).
constexpr int option_has_file = 1 << 25;

// Between two of libevent's questions: its connect is refused, since it is connected, or is about to be.
constexpr int option_refuses_connect = 1 << 26;
constexpr int option_is_connecting = 1 << 27;

// Or it is not refused: its next descriptor is about to be connected, and libevent has made that.
constexpr int option_connects_next = 1 << 28;
constexpr int option_has_made_socket = 1 << 29;
// And what it waited for before that.
constexpr int option_waited_to_read = 1 << 22;
constexpr int option_waited_to_write = 1 << 23;

// Its descriptor was last changed amid the call that writes, by a callback of its program's.
constexpr int option_left_amid_write = 1 << 21;

inline void change_options(struct bufferevent *bev, int away, int added)
{
    int options = (BEV_UPCAST(bev)->options & ~away) | added;
    BEV_UPCAST(bev)->options = static_cast<enum bufferevent_options>(options);
}

// It had the option, which it has no more.
inline bool take_option(struct bufferevent *bev, int option)
{
    bool had = (BEV_UPCAST(bev)->options & option) != 0;
    change_options(bev, option, 0);
    return had;
}

// As event_get_fd, which also looks whether libevent's debug mode knows the event.
inline evutil_socket_t descriptor_of(const struct bufferevent *bev)
{
    return bev->ev_read.ev_fd;
}

inline bool has_file(const struct bufferevent *bev)
{
    return (BEV_UPCAST(bev)->options & option_has_file) != 0;
}

// By evhttp, once it has freed it, whoever has a reference then; a file, which libevent cannot close, by ours.
inline bool is_closed_by_maker(const struct bufferevent *bev)
{
    return (BEV_UPCAST(bev)->options & option_keeps_descriptor) != 0;
}

// Its descriptor is closed by libevent, and so by evutil_closesocket, and used by nobody else meanwhile.
inline bool owns_descriptor(const struct bufferevent *bev)
{
    return (BEV_UPCAST(bev)->options & (BEV_OPT_CLOSE_ON_FREE | option_keeps_descriptor)) != 0;
}

// bufferevent_socket_connect is about to fail: the descriptor that it sets before is the one that is there, and stays as it
// is.
inline bool connect_is_refused(const struct bufferevent *bev)
{
    return (BEV_UPCAST(bev)->options & option_refuses_connect) != 0;
}

// Its descriptor is about to be closed when it goes. (evhttp's, too: by evhttp.)
inline bool closes_descriptor(const struct bufferevent *bev)
{
    return has_file(bev) ? (BEV_UPCAST(bev)->options & BEV_OPT_CLOSE_ON_FREE) != 0 : owns_descriptor(bev);
}

// Of one with a file: gives it another, or none (-1). False with the socket error set: it cannot be had, and nothing has
// changed.
bool handle_attach(struct bufferevent *bev, evutil_socket_t fd);

// Its descriptor, that its program gave it: a stream is made for it, if it can have one. `to_connect` as for stream_attach.
void socket_bufferevent_attach(struct bufferevent *bev, evutil_socket_t fd, bool to_connect);

// The bufferevent's own stream, with its base's lock held for the scope, unless it can have none. (A bufferevent is
// destroyed some turns after it was freed, and by then another may have its descriptor.)
//
// Nobody but the loop's thread may use it beyond the scope: the packet of its connect, or a close in another thread,
// lets go of a stream without the bufferevent's lock, and what is let go of lives to the loop's next turn
// (source_free_later).
class stream_use {
public:
    explicit stream_use(const struct bufferevent *bev);
    stream_use(const stream_use &) = delete;
    stream_use &operator=(const stream_use &) = delete;

private:
    stream_use(const struct bufferevent *bev, backend *owner);

    base_locked held;

public:
    stream *const own; // NULL: it has none
};

// Its stream, if events on its descriptor go by it. (They go by a poll, if the program had events of its own there
// first.)
inline stream *stream_in_use(const stream_use &held)
{
    return held.own != nullptr && held.own->as_source.in_use ? held.own : nullptr;
}

// It has none any more: as stream_release, under the same lock as it is found. With no lock of the base held.
void stream_detach(const struct bufferevent *bev, bool closing);

} // namespace iocp

#endif
