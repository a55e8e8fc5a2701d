// An evhttp client under test, and a server that is plain sockets: whatever ends a request early, the next one goes out
// whole, over a connection that works.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_ASKING_H
#define LIBEVENT_IOCP_REGRESS_PARITY_ASKING_H

#include "peer.h"
#include "script.h"

#include <event2/event.h>
#include <event2/http.h>

#include <list>

namespace parity {

enum class request_state { waits, answered, failed, cancelled };

struct asking;

struct request {
    asking *of;
    int number;
    size_t size; // of its body
    struct evhttp_request *made;
    request_state at;
    bool logged;
};

struct asking {
    struct evhttp_connection *client; // NULL: there is none in this script
    SOCKET listening;
    std::list<request> requests;
    std::vector<connection> served; // far_end is the server's
    std::vector<std::string> got;   // from each, what has not been parsed
    bool stalled;                   // the server reads nothing
    std::string wrong;
};

bool asking_start(asking *self, struct event_base *base);
void asking_apply(asking *self, struct event_base *base, const operation &what);
// The server does what it can. True if nothing more can happen.
bool asking_is_quiet(asking *self);
std::string asking_log(asking *self);
void asking_end(asking *self);

} // namespace parity

#endif
