// evutil_closesocket: where a descriptor's life ends.
#include "backend/orphans.h"
#include "backend/socket_lingering.h"
#include "backend/socket_registry.h"
#include "backend/transport.h"
#include "bufferevent/stream.h"
#include "bufferevent/stream_queue.h"

#include "compat/http_slot.h"

using namespace iocp;

namespace {

struct closing {
    sys::transport by; // what it is, as the base that came last knows it
    bool is_asked;     // that one has been
    bool waits;        // the socket is closed by the last operation on it
    // Who has it on its port has been asked. A socket is on one port: others know one that had the number before.
    bool is_settled;
};

// True if the base is led to by the descriptor still.
bool closing_ask(backend *owner, evutil_socket_t fd, closing *self)
{
    base_locked held(owner->base);
    stream *own = self->is_settled ? nullptr : stream_find(owner, fd);
    if (own != nullptr) {
        stream_will_close_under(own);
        stream_release(own, true);
    }
    socket_record *record = socket_find(owner, fd);
    if (record == nullptr)
        return true;
    if (self->is_settled) {
        if (record->own == nullptr)
            socket_begin_life(record);
        return record->registered;
    }
    socket_forget_file(record);
    if (!self->is_asked)
        self->by = record->transport;
    self->is_asked = true;
    self->is_settled = record->bound;
    self->waits = linger_close(record);
    return record->registered;
}

closing closing_ask_all(evutil_socket_t fd)
{
    closing outcome = {sys::transport::socket, false, false, false};
    bool are_more = true;
    // Who waits may close it at once, and then the number is another's.
    for (unsigned stay = 0; are_more && !outcome.waits;) {
        registry_use held(fd, stay);
        are_more = held.has_earlier;
        if (held.owner != nullptr && (backend_is_out_of_reach(held.owner) || closing_ask(held.owner, fd, &outcome)))
            ++stay;
    }
    return outcome;
}

bool closing_shutdown_waits(backend *owner, evutil_socket_t fd)
{
    base_locked held(owner->base);
    stream *own = stream_find(owner, fd);
    socket_record *record = socket_find(owner, fd);
    if (record == nullptr)
        return false;
    // One that has lost bytes is not shut down: its peer would have a part and the end. Its close tells.
    return linger_has_lost_bytes(record) || (own == nullptr && linger_shutdown(record));
}

} // namespace

extern "C" {

int evutil_closesocket(evutil_socket_t fd)
{
    registry_note_close(fd);
    orphans_forget(fd);
    closing outcome = closing_ask_all(fd);
    if (outcome.waits)
        return 0;
    int error = transport_close(outcome.by, fd);
    if (error != 0)
        WSASetLastError(error);
    return error == 0 ? 0 : -1;
}

int iocp_http_shutdown(evutil_socket_t fd, int how)
{
    registry_use held(fd);
    if (held.owner != nullptr && !backend_is_out_of_reach(held.owner) && closing_shutdown_waits(held.owner, fd))
        return 0;
    return shutdown(static_cast<SOCKET>(fd), how);
}
}
