// event2/iocp.h: what a base on a port has done, and has in flight.
#include "backend/backend.h"

#include "event2/iocp.h"

using namespace iocp;

namespace {

const struct event_iocp_operation_stats &stats_of(const backend *self, operation_kind kind)
{
    return self->port->counts.of[static_cast<int>(kind)];
}

struct event_iocp_stats stats_collect(const backend *self)
{
    struct event_iocp_stats stats = {};
    stats.turns = self->loop.turn;
    stats.waits = self->loop.waits;
    stats.looks = self->loop.looks;
    stats.looks_together = self->loop.looks_together;
    stats.packets = self->loop.packets;
    stats.polls = stats_of(self, operation_kind::poll);
    stats.receives = stats_of(self, operation_kind::receive);
    stats.sends = stats_of(self, operation_kind::send);
    stats.connects = stats_of(self, operation_kind::connect);
    stats.accepts = stats_of(self, operation_kind::accept);
    stats.sockets = self->sockets.by_descriptor.used;
    stats.receive_buffer_bytes = self->streams.budget.spent;
    stats.lingering_bytes = self->lingering.bytes_on_the_way;
    stats.directories = stats_of(self, operation_kind::directory);
    stats.handle_waits = stats_of(self, operation_kind::wait);
    return stats;
}

} // namespace

int event_iocp_get_stats(struct event_base *base, struct event_iocp_stats *into, size_t size)
{
    backend *self = base != nullptr ? backend_of(base) : nullptr;
    if (self == nullptr || into == nullptr || size == 0) {
        WSASetLastError(self == nullptr ? WSAEOPNOTSUPP : WSAEINVAL);
        return -1;
    }
    struct event_iocp_stats stats;
    {
        base_locked held(base);
        stats = stats_collect(self);
    }
    memset(into, 0, size);
    memcpy(into, &stats, size < sizeof(stats) ? size : sizeof(stats));
    return 0;
}
