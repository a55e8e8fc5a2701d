// A bufferevent that connects on the fake kernel, and what it was told.
#ifndef LIBEVENT_IOCP_REGRESS_SUPPORT_CONNECTING_H
#define LIBEVENT_IOCP_REGRESS_SUPPORT_CONNECTING_H

#include "support/bases.h"
#include "support/fake_kernel.h"

namespace iocp {

struct outcome {
    nt_status status;
    int error; // what the program is told; 0: it is connected
};

struct attempt {
    struct event_base *base;
    struct bufferevent *bev; // NULL: freed
    SOCKET socket;
    bool owned;
    bool asked;    // since it has this socket
    int expected;  // error
    int connected; // how often told, of this socket
    int failed;
    int error;
    bool was_whole;
    bool free_when_told;
    std::string delivered; // to sockets that it had before
    std::string written;   // into the bufferevent, ever
    std::string peer_sent; // on the present socket
    std::string read;
};

// The seed that runs, and the end of the test with it.
extern uint64_t running_seed;
void fails(const char *what);

SOCKET new_socket();
void open_attempt(attempt *one, struct event_base *base, int options);
// Connects with that outcome. `asked` says whether the connect could be started, `error` why not.
void ask(attempt *one, const outcome &next);
// Another socket, not connected, in place of the present one, of whose connect nothing is heard any more. What was
// written and not sent goes there.
void replace_socket(attempt *one);
// Frees the bufferevent, and closes the socket if it has not.
void let_go(attempt *one);

} // namespace iocp

#endif
