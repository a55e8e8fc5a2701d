// One base that shares a listening socket with others, and its listeners. Its loop's thread, which may be its own, does
// what it is told to; the script's thread tells it, and looks at what is atomic.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_SHARER_H
#define LIBEVENT_IOCP_REGRESS_PARITY_SHARER_H

#include "peer.h"
#include "script.h"
#include "world.h"

#include <event2/event.h>
#include <event2/listener.h>

#include <atomic>
#include <deque>

namespace parity {

constexpr int max_sharers = 4;
constexpr int listeners_each = 2;

// Of all who share. If it is owned, the first base has a listener on it from the beginning that closes it (alone, that
// has accepts in flight), and is neither disabled nor freed before all others have gone.
struct shared_socket {
    SOCKET listening;
    bool owned;
    any_address address;
    HANDLE news;    // something has happened in one of the threads
    HANDLE the_end; // nobody stands still any more
    std::atomic<int> listeners;
    SRWLOCK lock;              // of the rest
    std::vector<int> accepted; // the peers' ports
    std::string wrong;
};

enum class hook_of_listener { none, disables, frees, frees_the_other, stands_still };

struct sharer;

struct shared_listener {
    sharer *of;
    struct evconnlistener *listener; // NULL: none, or freed
    bool enabled;
    bool is_owner; // of the socket
    hook_of_listener hook;
};

struct sharer {
    shared_socket *on;
    struct event_base *base; // NULL: it has left
    shared_listener listeners[listeners_each];
    HANDLE thread; // NULL: the script's
    DWORD loop_thread;
    HANDLE go_on;
    struct event *bell;
    connection bell_line; // on which the bell is rung where the base has no locks
    bool has_locks;
    bool is_on_port;
    bool owns;
    bool leaves;
    bool told_to_leave;
    std::deque<operation> told; // under the socket's lock
    std::atomic<int> untold;    // what it has not done yet
    std::atomic<int> open;      // listeners that are enabled
    std::atomic<bool> stands_still;
    std::atomic<bool> left;
};

bool sharer_start(sharer *self, shared_socket *on, const script &of, base_kind kind);
// Done by its thread, or at once if that is the script's.
void sharer_tell(sharer *self, const operation &what);
void sharer_resume(sharer *self);
// All that it was told is done, or has to wait until it goes on.
bool sharer_has_done_all(const sharer *self);
bool sharer_could_accept(const sharer *self);
// True if its thread has ended.
bool sharer_end(sharer *self, DWORD patience_ms);

} // namespace parity

#endif
