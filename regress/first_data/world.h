// A base on a port with a listener, its peers as plain sockets, and what the connections brought.
#ifndef LIBEVENT_IOCP_REGRESS_FIRST_DATA_WORLD_H
#define LIBEVENT_IOCP_REGRESS_FIRST_DATA_WORLD_H

#include "support/check.h"

#include <functional>
#include <string>
#include <vector>

#include "compat/libevent.h"

#include "event2/iocp.h"

namespace world {

constexpr long deadline_seconds = 20;

// One accepted connection.
struct served {
    evutil_socket_t fd;
    struct bufferevent *bev; // NULL: not made, see `way`
    std::string got;
    int ends;
    int errors;
    bool was_early; // nothing was left to receive from the socket when the callback came
};

// What the listener's callback does with the descriptor.
enum class way { makes, sets, unowned, keeps_descriptor, closes };

extern struct event_base *base;
extern struct evconnlistener *listener;
extern std::vector<served *> all_served;
extern way next_way;

int set_up(void **);
int tear_down(void **);
void start();

struct event_base *new_base(bool on_port);
struct evconnlistener *listen_on(struct event_base *on);
// Frees what was served, and closes its sockets.
void forget_served();

// Turns the loop until `reached`; false when the deadline came first.
bool run_until(const std::function<bool()> &reached);
bool run_for(long milliseconds);
double seconds_now();

void set(size_t bytes, long patience_ms);

evutil_socket_t connect_peer(struct evconnlistener *to = nullptr);
void say(evutil_socket_t peer, const std::string &what);
// True if the other side has closed the connection.
bool was_closed(evutil_socket_t peer);

struct bufferevent *read_from(served *from, int options);

} // namespace world

#endif
