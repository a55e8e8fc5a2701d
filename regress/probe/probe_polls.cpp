// AFD polls: readiness of plain events.
#include "probe_poller.h"

namespace probe {

namespace {

std::string ready_at_once()
{
    poller self;
    open(&self);
    pair both = connected();
    std::string seen = poll_once(&self, both.here, iocp::sys::afd_send, soon_us);
    seen += "; then " + end_of(&self, at_once_us);
    close(both);
    close(&self);
    return seen;
}

// Of two bases, each with an AFD handle and a port.
std::string two_polls()
{
    poller one, other;
    open(&one);
    open(&other);
    pair both = connected();
    start(&one, 0, both.here, iocp::sys::afd_receive);
    start(&other, 0, both.here, iocp::sys::afd_receive | iocp::sys::afd_disconnect);
    send(both.there, "x", 1, 0);
    std::string seen = end_of(&one, soon_us);
    seen += "; " + end_of(&other, soon_us);
    close(both);
    close(&one);
    close(&other);
    return seen;
}

void fill(SOCKET socket)
{
    static const char data[65536] = {};
    for (int i = 0; i < 10000 && send(socket, data, sizeof(data), 0) > 0; ++i)
        continue;
}

// Of one base, one for each direction, in the order in which Windows mixes them up, says python-trio.
std::string two_directions()
{
    poller self;
    open(&self);
    pair both = connected();
    u_long never_blocks = 1;
    ioctlsocket(both.here, FIONBIO, &never_blocks);
    fill(both.here);
    start(&self, 0, both.here, iocp::sys::afd_send);
    start(&self, 1, both.here, iocp::sys::afd_receive);
    send(both.there, "x", 1, 0);
    OVERLAPPED *of = nullptr;
    nt_status status;
    bool came = packet(self.port, soon_us, &of, &status);
    std::string seen = !came ? "no packet" : of == &self.overlapped[1] ? "the one that asked" : "the other one";
    seen += "; " + end_of(&self, at_once_us);
    close(both);
    close(&self);
    return seen;
}

std::string wider_poll()
{
    poller self;
    open(&self);
    pair both = connected();
    start(&self, 0, both.here, iocp::sys::afd_receive);
    iocp::sys::cancel(self.afd, &self.overlapped[0]);
    iocp::sys::start_result wider = start(&self, 1, both.here, iocp::sys::afd_receive | iocp::sys::afd_disconnect);
    send(both.there, "x", 1, 0);
    std::string seen = wider.how == iocp::sys::started::pending ? end_of(&self, soon_us) : "at once";
    seen += "; " + end_of(&self, soon_us);
    close(both);
    close(&self);
    return seen;
}

std::string look_beside_poll()
{
    poller self;
    open(&self);
    pair both = connected();
    start(&self, 0, both.here, iocp::sys::afd_receive);
    iocp::sys::look seen_now = {both.here, false, true, false};
    iocp::sys::look_now(&seen_now, 1);
    std::string seen = seen_now.writes ? "can be written; " : "cannot be written; ";
    seen += end_of(&self, at_once_us) + "; ";
    send(both.there, "x", 1, 0);
    seen += end_of(&self, soon_us);
    close(both);
    close(&self);
    return seen;
}

std::string cancelled()
{
    poller self;
    open(&self);
    pair both = connected();
    start(&self, 0, both.here, iocp::sys::afd_receive);
    int error = iocp::sys::cancel(self.afd, &self.overlapped[0]);
    std::string seen = text("cancel %d, ", error) + end_of(&self, soon_us);
    close(both);
    close(&self);
    return seen;
}

std::string socket_closed()
{
    poller self;
    open(&self);
    pair both = connected();
    start(&self, 0, both.here, iocp::sys::afd_receive | iocp::sys::afd_local_close);
    closesocket(both.here);
    std::string seen = end_of(&self, soon_us);
    closesocket(both.there);
    close(&self);
    return seen;
}

std::string end_behind_data()
{
    poller self;
    open(&self);
    pair both = connected();
    send(both.there, "x", 1, 0);
    shutdown(both.there, SD_SEND);
    Sleep(100);
    std::string seen = poll_once(&self, both.here, iocp::sys::afd_receive | iocp::sys::afd_disconnect, soon_us);
    close(both);
    close(&self);
    return seen;
}

std::string reset()
{
    poller self;
    open(&self);
    pair both = connected();
    struct linger hard = {1, 0};
    setsockopt(both.there, SOL_SOCKET, SO_LINGER, reinterpret_cast<char *>(&hard), sizeof(hard));
    start(&self, 0, both.here, all_events_but_send);
    closesocket(both.there);
    std::string seen = end_of(&self, soon_us);
    closesocket(both.here);
    close(&self);
    return seen;
}

std::string refused()
{
    poller self;
    open(&self);
    struct sockaddr_in address;
    closesocket(listener(&address));
    SOCKET made = socket(AF_INET, SOCK_STREAM, 0);
    u_long on = 1;
    ioctlsocket(made, FIONBIO, &on);
    int64_t began_us = now_us();
    connect(made, reinterpret_cast<struct sockaddr *>(&address), sizeof(address));
    std::string seen = poll_once(&self, made, iocp::sys::afd_connect_failed, patient_us);
    seen = seen.substr(seen.find("events") == std::string::npos ? 0 : seen.find("events"));
    seen += now_us() - began_us > soon_us ? ", after seconds" : ", at once";
    closesocket(made);
    close(&self);
    return seen;
}

std::string no_socket()
{
    poller self;
    open(&self);
    HANDLE event = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    std::string seen = poll_once(&self, reinterpret_cast<SOCKET>(event), iocp::sys::afd_receive, at_once_us);
    CloseHandle(event);
    close(&self);
    return seen;
}

const question all[] = {
    {"poll.at-once", "a poll that is ready at once, on a handle that skips packets on success",
     "at once, events 004; then no packet", "backend/poll_socket, backend/afd_device", ready_at_once},
    {"poll.two", "two polls of one socket on two AFD handles, not exclusive", "packet, events 001; packet, events 001",
     "several bases that watch one socket", two_polls},
    {"poll.directions", "polls for room and for data on one AFD handle, and data come: which ends, and does another",
     nullptr, "backend/poll_socket: why there is one a socket", two_directions},
    {"poll.wider", "a poll is cancelled, and a wider one started at once", "packet with 995; packet, events 001",
     "backend/poll_socket: interest that grows", wider_poll},
    {"poll.look", "a select() for room beside a poll for data, which come then",
     "can be written; no packet; packet, events 001", "backend/poll_socket: poll_look_beside", look_beside_poll},
    {"poll.cancel", "CancelIoEx of one poll", "cancel 0, packet with 995", "backend/completion", cancelled},
    {"poll.close", "closesocket under a poll", "packet, events 020",
     "backend/poll_socket: a socket closed without event_del", socket_closed},
    {"poll.end-behind-data", "an end that has come behind unread data", "at once, events 009",
     "backend/poll_socket: EV_CLOSED", end_behind_data},
    {"poll.reset", "a reset by the peer", "packet, events 010", "backend/poll_socket", reset},
    {"poll.refused", "a refused connect", "events 100, after seconds", "backend/poll_socket", refused},
    {"poll.no-socket", "a poll of a handle that is no socket", "fails with 10038",
     "event_add, which fails with WSAENOTSOCK", no_socket},
};

} // namespace

questions about_polls()
{
    return {all, sizeof(all) / sizeof(all[0])};
}

} // namespace probe
