#include "accepting.h"
#include "peer.h"

#include <algorithm>
#include <string.h>

namespace parity {

namespace {

// Far below any backlog, so that no connect waits for an accept.
constexpr size_t max_peers = 24;

void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length,
               void *argument)
{
    auto *self = static_cast<accepting *>(argument);
    if (GetCurrentThreadId() != self->loop_thread)
        self->wrong += " not the loop's thread;";
    if (self->listener == nullptr || !self->enabled)
        self->wrong += " accepted after disable or free;";
    int port = ntohs(reinterpret_cast<struct sockaddr_in *>(address)->sin_port);
    any_address name = {{}, static_cast<int>(sizeof(name.storage))};
    auto accepted = static_cast<SOCKET>(fd);
    if (getpeername(accepted, name.get(), &name.length) != 0 || name.port() != port || name.length != length ||
        name.storage.ss_family != address->sa_family)
        self->wrong += " wrong peer name;";
    auto found = std::find(self->ports.begin(), self->ports.end(), port);
    if (found == self->ports.end())
        self->wrong += " unknown peer;";
    self->accepted.push_back(static_cast<int>(found - self->ports.begin()));
    ++self->accepted_count;
    if (send(accepted, "!", 1, 0) != 1)
        self->wrong += " cannot send;";
    evutil_closesocket(fd);
    if (self->hook == 1) {
        self->enabled = false;
        evconnlistener_disable(listener);
    } else if (self->hook == 2) {
        self->listener = nullptr;
        evconnlistener_free(listener);
    }
    self->hook = 0;
}

void connect_one(accepting *self)
{
    any_address address = self->address;
    SOCKET peer = socket(address.storage.ss_family, SOCK_STREAM, 0);
    if (connect(peer, address.get(), address.length) != 0) {
        closesocket(peer);
        self->wrong += " cannot connect;";
        return;
    }
    getsockname(peer, address.get(), &address.length);
    self->peers.push_back(peer);
    self->ports.push_back(address.port());
}

} // namespace

bool accepting_start(accepting *self, const script &of, struct event_base *base)
{
    self->address = open_address_of(of.listens_ipv6 && has_ipv6());
    reinterpret_cast<struct sockaddr_in *>(&self->address.storage)->sin_port = 0;
    self->loop_thread = GetCurrentThreadId();
    self->listener = evconnlistener_new_bind(base, on_accept, self, of.listener_flags, -1, self->address.get(),
                                             self->address.length);
    if (self->listener == nullptr)
        return false;
    self->fd = static_cast<SOCKET>(evconnlistener_get_fd(self->listener));
    self->enabled = (of.listener_flags & LEV_OPT_DISABLED) == 0;
    self->closes = (of.listener_flags & LEV_OPT_CLOSE_ON_FREE) != 0;
    getsockname(self->fd, self->address.get(), &self->address.length);
    return true;
}

void accepting_apply(accepting *self, const operation &what)
{
    if (self->listener == nullptr)
        return;
    switch (what.kind) {
    case op_kind::listener_connect:
        for (int i = 0; i < what.a && self->peers.size() < max_peers; ++i)
            connect_one(self);
        break;
    case op_kind::listener_enable:
        self->enabled = what.a != 0;
        if (self->enabled ? evconnlistener_enable(self->listener) : evconnlistener_disable(self->listener))
            self->wrong += " cannot enable or disable;";
        break;
    case op_kind::listener_hook:
        self->hook = what.a;
        break;
    default: {
        struct evconnlistener *freed = self->listener;
        self->listener = nullptr;
        evconnlistener_free(freed);
        break;
    }
    }
}

bool accepting_is_quiet(const accepting *self)
{
    return self->listener == nullptr || !self->enabled || self->accepted_count == self->peers.size();
}

std::string accepting_log(accepting *self)
{
    std::string log = self->listener == nullptr ? " freed" : self->enabled ? " enabled" : " disabled";
    std::sort(self->accepted.begin(), self->accepted.end());
    for (int peer : self->accepted)
        log += " " + std::to_string(peer);
    self->accepted.clear();
    if (!self->wrong.empty())
        log += " WRONG:" + self->wrong;
    return log;
}

void accepting_end(accepting *self)
{
    if (self->listener != nullptr)
        evconnlistener_free(self->listener);
    self->listener = nullptr;
    for (SOCKET peer : self->peers)
        closesocket(peer);
    self->peers.clear();
}

} // namespace parity
