#include "sharing.h"
#include "sharer.h"

#include <algorithm>
#include <memory>

namespace parity {

namespace {

// Far below any backlog, so that no connect waits for an accept.
constexpr size_t max_peers = 40;
constexpr ULONGLONG patience_ms = 10000;
constexpr int turns_at_once = 6;

struct sharing {
    shared_socket socket;
    sharer sharers[max_sharers];
    int count;
    bool threads;
    std::vector<SOCKET> peers;
    bool is_over; // all go on
    std::vector<int> ports;
    trace out;
};

bool open_socket(shared_socket *self, bool ipv6)
{
    self->address = open_address_of(ipv6);
    reinterpret_cast<struct sockaddr_in *>(&self->address.storage)->sin_port = 0;
    self->listening = socket(self->address.storage.ss_family, SOCK_STREAM, 0);
    self->news = CreateEventW(nullptr, FALSE, FALSE, nullptr);
    self->the_end = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    InitializeSRWLock(&self->lock);
    evutil_make_socket_nonblocking(static_cast<evutil_socket_t>(self->listening));
    return bind(self->listening, self->address.get(), self->address.length) == 0 &&
           listen(self->listening, SOMAXCONN) == 0 &&
           getsockname(self->listening, self->address.get(), &self->address.length) == 0;
}

void connect_one(sharing *self)
{
    if (self->peers.size() == max_peers)
        return;
    any_address address = self->socket.address;
    SOCKET peer = socket(address.storage.ss_family, SOCK_STREAM, 0);
    if (connect(peer, address.get(), address.length) != 0) {
        self->out.lines.push_back("WRONG: cannot connect");
        closesocket(peer);
        return;
    }
    getsockname(peer, address.get(), &address.length);
    self->peers.push_back(peer);
    self->ports.push_back(address.port());
}

bool is_accepted(const sharing *self, size_t peer)
{
    const std::vector<int> &by = self->socket.accepted;
    return std::find(by.begin(), by.end(), self->ports[peer]) != by.end();
}

bool has_all(sharing *self)
{
    size_t count = 0;
    AcquireSRWLockExclusive(&self->socket.lock);
    for (size_t i = 0; i < self->peers.size(); ++i)
        count += is_accepted(self, i);
    ReleaseSRWLockExclusive(&self->socket.lock);
    return count == self->peers.size();
}

size_t accepted_count(sharing *self)
{
    AcquireSRWLockExclusive(&self->socket.lock);
    size_t count = self->socket.accepted.size();
    ReleaseSRWLockExclusive(&self->socket.lock);
    return count;
}

bool is_settled(sharing *self)
{
    if (self->is_over)
        return has_all(self);
    for (int i = 0; i < self->count; ++i)
        if (!sharer_has_done_all(&self->sharers[i]))
            return false;
    if (has_all(self))
        return true;
    for (int i = 0; i < self->count; ++i)
        if (sharer_could_accept(&self->sharers[i]))
            return false;
    return true;
}

void turn_all(sharing *self)
{
    for (int i = 0; i < self->count; ++i)
        if (!self->threads && self->sharers[i].base != nullptr && !self->sharers[i].stands_still)
            event_base_loop(self->sharers[i].base, EVLOOP_NONBLOCK);
}

void settle(sharing *self)
{
    ULONGLONG end = GetTickCount64() + patience_ms;
    turn_all(self);
    for (int i = 0; !is_settled(self); ++i) {
        if (GetTickCount64() > end) {
            self->out.hung = true;
            self->out.lines.push_back("HANGS: " + std::to_string(accepted_count(self)) + " of " +
                                      std::to_string(self->peers.size()) + " accepted");
            return;
        }
        turn_all(self);
        if (i > turns_at_once || self->threads)
            WaitForSingleObject(self->socket.news, 1);
    }
    self->out.lines.push_back("settled");
}

void carry_out(sharing *self, const operation &what)
{
    sharer *one = &self->sharers[what.subject % self->count];
    if (what.kind == op_kind::share_leave && one->owns)
        return;
    switch (what.kind) {
    case op_kind::sync:
        settle(self);
        break;
    case op_kind::share_connect:
        for (int i = 0; i < what.a; ++i)
            connect_one(self);
        break;
    case op_kind::share_resume:
        sharer_resume(one);
        break;
    default:
        sharer_tell(one, what);
        break;
    }
}

bool end_from(sharing *self, int first, int count)
{
    bool all = true;
    for (int i = first; i < count; ++i)
        sharer_tell(&self->sharers[i], {op_kind::share_leave, i, 0, 0, 0});
    for (int i = first; i < count; ++i)
        all = sharer_end(&self->sharers[i], static_cast<DWORD>(patience_ms)) && all;
    return all;
}

// Their listeners are freed; the connections that none has taken are the program's to take. An owner has all.
bool end_sharers(sharing *self)
{
    self->is_over = true;
    SetEvent(self->socket.the_end);
    for (int i = 0; i < self->count; ++i)
        sharer_resume(&self->sharers[i]);
    bool others = end_from(self, 1, self->count);
    if (self->socket.owned && !self->out.hung)
        settle(self);
    return end_from(self, 0, 1) && others;
}

void take_the_rest(sharing *self)
{
    std::vector<int> *accepted = &self->socket.accepted;
    for (ULONGLONG end = GetTickCount64() + patience_ms; !has_all(self);) {
        any_address name = {{}, static_cast<int>(sizeof(name.storage))};
        SOCKET taken = accept(self->socket.listening, name.get(), &name.length);
        if (taken != INVALID_SOCKET) {
            send(taken, "!", 1, 0);
            closesocket(taken);
            accepted->push_back(name.port());
            continue;
        }
        fd_set set;
        FD_ZERO(&set);
        FD_SET(self->socket.listening, &set);
        struct timeval limit = {1, 0};
        if (select(0, &set, nullptr, nullptr, &limit) != 1 || GetTickCount64() > end)
            break;
    }
}

// Each was accepted once, by somebody who greeted it.
void judge(sharing *self)
{
    int lost = 0, twice = 0, not_greeted = 0;
    for (size_t i = 0; i < self->peers.size(); ++i) {
        auto times = std::count(self->socket.accepted.begin(), self->socket.accepted.end(), self->ports[i]);
        char greeting = 0;
        lost += times == 0;
        twice += times > 1;
        not_greeted += times == 1 && (recv(self->peers[i], &greeting, 1, 0) != 1 || greeting != '!');
    }
    if (lost + twice + not_greeted != 0)
        self->out.lines.push_back("WRONG: of " + std::to_string(self->peers.size()) + ", " + std::to_string(lost) +
                                  " lost, " + std::to_string(twice) + " accepted twice, " +
                                  std::to_string(not_greeted) + " not greeted");
    if (!self->socket.wrong.empty())
        self->out.lines.push_back("WRONG:" + self->socket.wrong);
}

void close_all(sharing *self)
{
    for (SOCKET peer : self->peers)
        closesocket(peer);
    if (!self->socket.owned)
        closesocket(self->socket.listening);
    CloseHandle(self->socket.news);
    CloseHandle(self->socket.the_end);
}

} // namespace

trace run_sharing(const script &of, base_kind kind)
{
    auto self = std::make_unique<sharing>();
    self->count = of.bases;
    self->threads = of.threads;
    self->socket.owned = self->sharers[0].owns = of.owned;
    bool begun = open_socket(&self->socket, of.listens_ipv6 && has_ipv6());
    for (int i = 0; begun && i < of.bases; ++i)
        begun = sharer_start(&self->sharers[i], &self->socket, of, kind);
    if (!begun) {
        self->out.hung = true;
        self->out.lines.push_back("cannot begin");
        return self->out;
    }
    if (of.owned)
        sharer_tell(&self->sharers[0], {op_kind::share_listen, 0, 0, 0, 0});
    for (const operation &next : of.operations)
        if (!self->out.hung)
            carry_out(self.get(), next);
    if (!end_sharers(self.get())) {
        self->out.hung = true;
        self->out.lines.push_back("HANGS: a thread does not end");
        trace out = self->out;
        self.release(); // that thread still has it
        return out;
    }
    take_the_rest(self.get());
    judge(self.get());
    close_all(self.get());
    return self->out;
}

} // namespace parity
