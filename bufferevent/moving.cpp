#include "bufferevent/moving.h"
#include "backend/socket_record.h"
#include "backend/socket_registry.h"
#include "bufferevent/receive_buffer.h"
#include "bufferevent/stream_receive.h"

#include <atomic>

namespace iocp {

namespace {

// By which libevent reads for its socket bufferevents: no other event is told of what is kept.
std::atomic<event_callback_fn> reader;

// What that base has kept of the descriptor. Of a connection that is no more, whose number has come back, it is nothing;
// and what has no mark is for that base alone.
received_bytes *moving_take_from(backend *keeper, evutil_socket_t fd, bool is_own)
{
    if (backend_is_out_of_reach(keeper))
        return nullptr;
    uint32_t connection = sys::connection_mark(static_cast<SOCKET>(fd));
    base_locked held(keeper->base);
    socket_record *record = socket_find(keeper, fd);
    const received_bytes *early = record != nullptr ? socket_early(record) : nullptr;
    if (early == nullptr || (!is_own && early->connection == 0) || record->transport != sys::transport::socket)
        return nullptr;
    received_bytes *moved = socket_take_early(keeper, fd);
    if (moved->connection != 0 && moved->connection != connection) {
        received_free(moved);
        return nullptr;
    }
    if (!is_own)
        socket_leave_port(record);
    return moved;
}

} // namespace

received_bytes *moving_take(const backend *owner, evutil_socket_t fd)
{
    if (!sockets_keep_any())
        return nullptr;
    registry_use keeper(fd);
    return keeper.owner != nullptr && keeper.owner != owner ? moving_take_from(keeper.owner, fd, false) : nullptr;
}

void moving_give(backend *owner, evutil_socket_t fd, stream *own, received_bytes *moved)
{
    if (moved == nullptr)
        return;
    if (own != nullptr) {
        stream_receive_hold(own, moved);
        source_queue(&own->as_source);
    } else if (!socket_keep_moved(owner, fd, moved)) {
        moving_lose(fd, moved); // for want of memory
    }
}

void moving_lose(evutil_socket_t fd, received_bytes *moved)
{
    if (moved == nullptr)
        return;
    received_free(moved);
    sys::end_connection(static_cast<SOCKET>(fd));
}

void moving_note_reader(const struct bufferevent *bev)
{
    if (reader == nullptr)
        reader = event_get_callback(&bev->ev_read);
}

bool moving_is_ready(struct event_base *base, const struct event *waiting)
{
    if (!sockets_keep_any() || event_get_callback(waiting) != reader)
        return false;
    backend *owner = backend_of(base);
    const socket_record *record = owner != nullptr ? socket_find(owner, waiting->ev_fd) : nullptr;
    bool is_here = record != nullptr && record->own == nullptr && record->keeps_early &&
                   record->transport == sys::transport::socket;
    // The base that has it is another one, whose lock is not taken with this one's: be it in vain.
    return is_here || (owner == nullptr && registry_has(waiting->ev_fd));
}

int moving_read(struct bufferevent *bev, struct evbuffer *input, int at_most)
{
    evutil_socket_t fd = event_get_fd(&bev->ev_read);
    if (!sockets_keep_any())
        return 0;
    registry_use held(fd);
    backend *keeper = held.owner;
    bool is_own = keeper != nullptr && bev->ev_base != nullptr && keeper == backend_of(bev->ev_base);
    received_bytes *kept = keeper != nullptr ? moving_take_from(keeper, fd, is_own) : nullptr;
    if (kept == nullptr)
        return 0;
    unsigned all = received_length(kept);
    unsigned length = at_most < 0 || static_cast<unsigned>(at_most) >= all ? all : static_cast<unsigned>(at_most);
    if (evbuffer_add(input, received_first(kept), length) != 0)
        length = 0;
    kept->begin += length;
    if (length == all) {
        received_free(kept);
    } else {
        base_locked locked(keeper->base);
        moving_give(keeper, fd, nullptr, kept);
    }
    if (length < all)
        event_active(&bev->ev_read, EV_READ, 1); // no backend knows of the rest
    if (length == 0)
        WSASetLastError(WSAEWOULDBLOCK); // for want of memory: later
    return length > 0 ? static_cast<int>(length) : -1;
}

} // namespace iocp
