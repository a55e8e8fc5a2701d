// Listeners of several bases that share a listening socket: whose turn it is to have the next connection.
//
// Windows wakes whom it likes, most often the same one. So whoever is told that somebody waits accepts, and gives each
// connection to the base that has had the fewest among those that can take it at once: its own, and those that sleep in
// their wait, who are called by a packet. A base that computes is given nothing.
//
// What was given is its base's until that tells its program, which it does first of all when it wakes. Should something
// else come first there, or its callback take long, what is left goes to another that sleeps, or to whoever goes to sleep
// next. So no connection waits for a base that stalls while another one could take it, and none is lost with a listener
// that is disabled or freed.
//
// No AcceptEx is in flight on such a socket: its packet would come to one base alone, however busy that is.
//
// Threads: a base's state with that base's lock held; what sharers have, with the socket's accepts lock. A base without
// listeners looks at one field before it sleeps; one with some writes a field of its own then, and takes no lock but when
// it is called, or something is left.
#ifndef LIBEVENT_IOCP_BACKEND_LISTENING_ROUND_H
#define LIBEVENT_IOCP_BACKEND_LISTENING_ROUND_H

#include "backend/listening_socket.h"

namespace iocp {

// Connections that a base is given before it has told of the first.
constexpr unsigned max_given = 4;

// How often one is given before it waits for whoever comes first.
constexpr unsigned max_passes = 4;

// A base that took no part for long has this many before the others in the end, and not all that they had meanwhile.
constexpr unsigned max_behind = 16;

// Accepted and given to others in one go, before the caller gets one or goes back to its loop.
constexpr unsigned max_given_at_once = 64;

// Whether a base's thread will see at once what it is given.
enum class attention : unsigned char { awake, asleep, called };

// Told when the base is freed, and no guest of it from then on.
struct round_guest {
    LIST_ENTRY(round_guest) in_base;
    void (*base_ends)(round_guest *self);
};

struct base_rounds {
    LIST_HEAD(, listening_sharer) sharers;
    LIST_HEAD(, round_guest) guests;
    std::atomic<attention> state;
    std::atomic<unsigned> connections; // that are open
    struct event_overlapped call;      // posted by whoever gives
};

void rounds_init(base_rounds *self);
// One connection more or less is open, with the base's lock held.
void rounds_count(base_rounds *self, int more);
// Nobody gives it anything from now on.
void rounds_end(backend *owner);

// For one more listener of the base; NULL for want of memory: it takes no part.
listening_sharer *round_join(backend *owner, listening_socket *socket);
// A listener is freed, before listening_end. With the base's lock held, if there still is one.
void round_leave(listening_sharer *self);
// Its listeners on a socket are enabled or disabled: nothing, if it has none there.
void rounds_listen(backend *owner, evutil_socket_t fd, bool listens);
// NULL: the base has no listener there that takes part, or connections are not handed round at present.
listening_sharer *round_find(backend *owner, evutil_socket_t fd);
// As accept(): a connection for this base, or an error, WSAEWOULDBLOCK if there is none. In the loop's thread.
int round_accept(listening_sharer *self, left_connection *taken);

// In a turn that does not sleep. True: there is something for the base, whose listeners have been activated.
bool rounds_look(backend *owner);
// Before the loop sleeps. False: there is something for it, whose listeners have been activated.
bool rounds_sleep(backend *owner);
// It has slept, and its packets have not been delivered. True: it was called, and its listeners have been activated.
bool rounds_wake(backend *owner);
// Something else has been activated that may come first: what it was given goes to others that sleep.
void rounds_pass_on(backend *owner);

} // namespace iocp

#endif
