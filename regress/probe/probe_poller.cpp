#include "probe_poller.h"

namespace probe {

void open(poller *self)
{
    *self = {};
    iocp::sys::port_create(&self->port, 0);
    if (iocp::sys::afd_open(&self->afd) != 0)
        return;
    iocp::sys::port_associate(self->port, self->afd, 0);
    iocp::sys::skip_packet_on_success(self->afd, iocp::sys::handle_signal::never);
}

void close(poller *self)
{
    CloseHandle(self->afd);
    CloseHandle(self->port);
}

static std::string events(const iocp::sys::afd_poll_info &info)
{
    return text("events %03lx", info.count != 0 ? info.events : 0);
}

iocp::sys::start_result start(poller *self, int which, SOCKET socket, ULONG wanted, bool exclusive)
{
    iocp::sys::afd_poll_info *info = &self->info[which];
    *info = {};
    info->timeout.QuadPart = INT64_MAX;
    info->count = 1;
    info->exclusive = exclusive;
    info->socket = reinterpret_cast<HANDLE>(socket);
    info->events = wanted;
    return iocp::sys::afd_poll(self->afd, info, &self->overlapped[which]);
}

std::string end_of(poller *self, int64_t wait_us)
{
    OVERLAPPED *of;
    nt_status status;
    if (!packet(self->port, wait_us, &of, &status))
        return "no packet";
    if (status != 0)
        return text("packet with %d", iocp::sys::status_to_error(status));
    return "packet, " + events(self->info[of - self->overlapped]);
}

std::string poll_once(poller *self, SOCKET socket, ULONG wanted, int64_t wait_us)
{
    iocp::sys::start_result result = start(self, 0, socket, wanted);
    if (result.how == iocp::sys::started::done)
        return "at once, " + events(self->info[0]);
    return result.how == iocp::sys::started::failed ? text("fails with %d", result.error) : end_of(self, wait_us);
}

} // namespace probe
