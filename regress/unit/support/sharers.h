// Listeners of several bases on one listening socket, and plain events whose program calls accept(), on the fake
// kernel: who of them was told of which client. One world at a time.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_SHARERS_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_SHARERS_H

#include <functional>

#include "support/bases.h"
#include "support/fake_kernel.h"

namespace iocp {

constexpr unsigned max_bases = 4;
constexpr unsigned max_listeners = 6;
constexpr int max_clients = 60;

struct sharer {
    struct evconnlistener *listener; // NULL: there is none
    unsigned base;
    bool enabled;
    int accepted;
};

struct sharing_world {
    uint64_t seed;                       // to be told of when something is wrong
    struct event_base *bases[max_bases]; // NULL: freed
    sharer sharers[max_listeners];
    unsigned owner;               // max_listeners: none
    struct event *own[max_bases]; // NULL: freed
    int accepted_by_own;
    int own_told; // how often, whether somebody waited or not
    SOCKET socket;
    int clients;
    int times[max_clients + 1]; // accepted, by the client's port
    bool asleep[max_bases];     // its loop waits, or turns again already
    void (*in_callback)();      // what else is done there, when a listener has had a client; NULL: nothing
};

extern sharing_world w;

void sharing_fails(const char *what);

// For cmocka: a new kernel, and libevent's log is caught.
int set_up_sharers(void **);

void open_world(unsigned bases);
// Each has gone by then, and nothing is left of them.
void close_world();

void add_listener(unsigned which, unsigned base, unsigned flags = 0);
// Alone, it has accepts in flight. It is freed last, with the socket.
void add_owner(unsigned which, unsigned base);
void remove_listener(unsigned which);
void set_enabled(unsigned which, bool enabled);
// A plain event of that base.
void add_own(unsigned base);
void remove_own(unsigned base);
void clients_come(int count);
// By that listener, and by all.
int accepted(unsigned which);
int all_accepted();
void turns(unsigned base, int count);
// Lets the base's loop wait, and does that meanwhile, as other threads would. It wakes by a packet, or after a second.
void sleep_while(unsigned base, const std::function<void()> &meanwhile);

} // namespace iocp

#endif
