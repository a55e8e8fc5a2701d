// The sockets of plain events, which their program reads, writes and closes itself.
#include "watcher.h"

namespace parity {

int descriptor_send(plain_world *w, plain_descriptor *on, int bytes)
{
    std::string data(static_cast<size_t>(bytes), '\0');
    for (size_t i = 0; i < data.size(); ++i)
        data[i] = stream_byte(60, on->written + i);
    int sent = send(on->on.near_end, data.data(), bytes, 0);
    if (sent <= 0)
        return 0;
    ++w->changes;
    on->written += static_cast<size_t>(sent);
    on->expected.append(data, 0, static_cast<size_t>(sent));
    return sent;
}

// (Closed past libevent, and with an event that waits, it may be told once more of what the old socket had.)
void descriptor_reuse(plain_world *w, plain_descriptor *on, bool deletes, bool by_libevent)
{
    by_libevent = by_libevent || !deletes;
    for (watcher &one : w->watchers)
        if (deletes && one.made != nullptr && &w->descriptors[one.descriptor] == on)
            watcher_del(&one);
    ++w->changes;
    connection old = on->on;
    if (by_libevent)
        evutil_closesocket(static_cast<evutil_socket_t>(old.near_end));
    else
        closesocket(old.near_end);
    on->on = {};
    if (!connection_make_as(&on->on, w->next_connection++, old.near_end)) {
        w->wrong += " the number has not come back;";
        return;
    }
    if (old.far_end != INVALID_SOCKET) {
        peer_receive_to_the_end(&old, &on->got);
        bool all = old.read == old.sent && !old.was_reset && !on->was_stalled;
        if (all && (old.far_reset || on->got != on->expected))
            w->wrong += " the peer has not received all;";
        closesocket(old.far_end);
    }
    on->got.clear();
    on->expected.clear();
    on->checked = 0;
    on->was_stalled = false;
}

int descriptor_receive(plain_world *w, plain_descriptor *on, int bytes, bool *ended, std::string *into)
{
    std::string buffer(static_cast<size_t>(bytes), '\0');
    int got = recv(on->on.near_end, &buffer[0], bytes, 0);
    *ended = got == 0 || (got < 0 && WSAGetLastError() != WSAEWOULDBLOCK);
    if (got <= 0)
        return 0;
    ++w->changes;
    for (int i = 0; i < got; ++i)
        if (buffer[static_cast<size_t>(i)] != stream_byte(on->on.id, on->on.read + static_cast<size_t>(i))) {
            w->wrong += " wrong bytes;";
            break;
        }
    on->on.read += static_cast<size_t>(got);
    if (into != nullptr)
        into->append(buffer, 0, static_cast<size_t>(got));
    return got;
}

} // namespace parity
