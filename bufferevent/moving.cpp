#include "bufferevent/moving.h"
#include "backend/orphans.h"
#include "backend/socket_interest.h"
#include "backend/socket_record.h"
#include "backend/socket_registry.h"
#include "bufferevent/receive_buffer.h"
#include "bufferevent/stream_receive.h"

#include <atomic>

namespace iocp {

namespace {

// By which libevent reads for its socket bufferevents: no other event is told of what is kept.
std::atomic<event_callback_fn> reader;

// Some event has been told of bytes that may not be its own.
std::atomic<bool> any_doubt;

enum class moving_to { own_reader, other_reader, other_base };

// Something is in flight on the socket for who had it before, or is to be told when it is closed: it stays with its
// base, which must be asked first, and so do the bytes, until somebody reads them.
bool moving_is_bound_to(const socket_record *record)
{
    return !LIST_EMPTY(&record->left_sends) || record->left_cancelled != 0 || record->resets;
}

// What that base has kept of the descriptor. Of a connection that is no more, whose number has come back, it is nothing;
// and what has no mark is for that base alone.
received_bytes *moving_take_from(backend *keeper, evutil_socket_t fd, moving_to whom)
{
    bool is_own = whom == moving_to::own_reader;
    if (backend_is_out_of_reach(keeper))
        return nullptr;
    uint32_t connection = sys::connection_mark(static_cast<SOCKET>(fd));
    base_locked held(keeper->base);
    socket_record *record = socket_find(keeper, fd);
    const received_bytes *early = record != nullptr ? socket_early(record) : nullptr;
    if (early == nullptr || (!is_own && early->connection == 0) || record->transport != sys::transport::socket)
        return nullptr;
    if (whom == moving_to::other_base && moving_is_bound_to(record))
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

void moving_give_back(backend *keeper, evutil_socket_t fd, received_bytes *rest)
{
    if (keeper != nullptr) {
        base_locked locked(keeper->base);
        moving_give(keeper, fd, nullptr, rest);
    } else if (!orphans_keep(fd, rest)) {
        moving_lose(fd, rest); // for want of memory
    }
}

// What comes next; NULL: there is no memory for it.
struct evbuffer *moving_copy(received_bytes *kept, int at_most)
{
    unsigned all = received_length(kept);
    unsigned length = at_most < 0 || static_cast<unsigned>(at_most) >= all ? all : static_cast<unsigned>(at_most);
    struct evbuffer *copied = evbuffer_new();
    if (copied == nullptr || evbuffer_add(copied, received_first(kept), length) != 0) {
        if (copied != nullptr)
            evbuffer_free(copied);
        return nullptr;
    }
    kept->begin += length;
    return copied;
}

// The base that keeps the bytes cannot be freed meanwhile, so nothing of the program's is called: the rest has been
// given back when it is. Or it has been freed already. False: there are none.
bool moving_take_part(const struct bufferevent *bev, int at_most, struct evbuffer **part, bool *is_rest)
{
    evutil_socket_t fd = event_get_fd(&bev->ev_read);
    registry_use held(fd);
    backend *keeper = held.owner;
    bool is_own = keeper != nullptr && bev->ev_base != nullptr && keeper == backend_of(bev->ev_base);
    received_bytes *kept = nullptr;
    if (keeper != nullptr)
        kept = moving_take_from(keeper, fd, is_own ? moving_to::own_reader : moving_to::other_reader);
    if (kept == nullptr) {
        keeper = nullptr;
        kept = orphans_take(fd);
    }
    if (kept == nullptr)
        return false;
    *part = moving_copy(kept, at_most);
    *is_rest = received_length(kept) > 0;
    if (*is_rest)
        moving_give_back(keeper, fd, kept);
    else
        received_free(kept);
    return true;
}

bool moving_is_on_another_base(struct event_base *base, evutil_socket_t fd)
{
    registry_use keeper(fd);
    return keeper.owner != nullptr && (base == nullptr || keeper.owner != backend_of(base));
}

// Where an event was told of bytes that were not its own, the kernel need not have any, and in a read of a socket that
// blocks the loop would wait for them.
bool moving_would_wait(const struct bufferevent *bev, bool had_orphans)
{
    evutil_socket_t fd = event_get_fd(&bev->ev_read);
    if (!any_doubt || (!had_orphans && !moving_is_on_another_base(bev->ev_base, fd)))
        return false;
    sys::look looked = {static_cast<SOCKET>(fd), true, false, false};
    return sys::look_now(&looked, 1) == 0 && !looked.reads;
}

} // namespace

received_bytes *moving_take(const backend *owner, evutil_socket_t fd)
{
    if (!sockets_keep_any())
        return nullptr;
    registry_use keeper(fd);
    received_bytes *moved = nullptr;
    if (keeper.owner != nullptr && keeper.owner != owner)
        moved = moving_take_from(keeper.owner, fd, moving_to::other_base);
    return moved != nullptr ? moved : orphans_take(fd);
}

void moving_give(backend *owner, evutil_socket_t fd, stream *own, received_bytes *moved)
{
    if (moved == nullptr)
        return;
    if (own != nullptr) {
        stream_receive_hold(own, moved);
        interest_take_over(&own->as_source);
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

void moving_lose_kept(const backend *owner, evutil_socket_t fd)
{
    if (!sockets_keep_any())
        return;
    registry_use keeper(fd);
    if (keeper.owner != nullptr && keeper.owner != owner)
        moving_lose(fd, moving_take_from(keeper.owner, fd, moving_to::other_reader));
    moving_lose(fd, orphans_take(fd));
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
    if (record != nullptr && (record->own != nullptr || record->keeps_early))
        return record->own == nullptr && record->transport == sys::transport::socket;
    // Another base may have it. This may be a false alarm: that base's lock cannot be taken under this one's.
    if (!moving_is_on_another_base(base, waiting->ev_fd) && !orphans_have(waiting->ev_fd))
        return false;
    any_doubt = true;
    return true;
}

int moving_read(struct bufferevent *bev, struct evbuffer *input, int at_most)
{
    struct evbuffer *part = nullptr;
    bool is_rest = false, had_orphans = orphans_have(event_get_fd(&bev->ev_read));
    if (!sockets_keep_any() || !moving_take_part(bev, at_most, &part, &is_rest)) {
        if (!moving_would_wait(bev, had_orphans))
            return 0;
        WSASetLastError(WSAEWOULDBLOCK);
        return -1;
    }
    // No backend knows of the rest. Before the input's callbacks, which may read no more, or no longer from here.
    if (is_rest && event_pending(&bev->ev_read, EV_READ, nullptr) != 0)
        event_active(&bev->ev_read, EV_READ, 1);
    int length = 0;
    if (part != nullptr) {
        length = static_cast<int>(evbuffer_get_length(part));
        int added = evbuffer_add_buffer(input, part);
        EVUTIL_ASSERT(added == 0); // libevent reads, and has not frozen its input
        evbuffer_free(part);
    }
    if (length == 0)
        WSASetLastError(WSAEWOULDBLOCK); // for want of memory: later
    return length > 0 ? length : -1;
}

} // namespace iocp
