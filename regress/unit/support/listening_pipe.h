// A listener on a pipe of the fake kernel, and what it has told.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_LISTENING_PIPE_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_LISTENING_PIPE_H

#include <functional>
#include <vector>

#include "support/bases.h"
#include "support/fake_pipe_listen.h"

#include "event2/iocp.h"

namespace iocp {
namespace listening_pipe {

constexpr char name[] = R"(\\.\pipe\of-a-test)";
constexpr wchar_t path[] = LR"(\\.\pipe\of-a-test)";

struct world {
    struct event_base *base;
    struct evpipelistener *listener; // NULL: it was refused, or is freed
    std::vector<HANDLE> told;
    std::vector<int> errors;
    std::function<void()> when_told;
};

extern world the;

void on_client(struct evpipelistener *, void *handle, void *);
void begin(const fake::chances &odds = fake::no_chances, uint64_t seed = 1);
void listen(int instances = 0);
void free_listener();
void close_told();
// A bufferevent that connects to it; NULL: there is no memory.
struct bufferevent *start_connect(const struct timeval *patience = nullptr, int options = BEV_OPT_CLOSE_ON_FREE);
// Frees all of it, and nothing may be left.
void end();
// Of 10 ms each.
void turns(int count);
// No listener is made, for that reason.
void refused(struct event_base *base, const char *called, int instances, evpipelistener_cb cb, int error);

} // namespace listening_pipe
} // namespace iocp

#endif
