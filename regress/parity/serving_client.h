// A client of the server under test: a plain socket, what it has yet to send, and what it has understood of the
// replies.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_SERVING_CLIENT_H
#define LIBEVENT_IOCP_REGRESS_PARITY_SERVING_CLIENT_H

#include "peer.h"

#include <deque>

namespace parity {

struct piece_to_send {
    std::string text;
    bool after_100; // only if the server says so
    bool ends_request;
    bool to_be_completed; // by the next request: not sent yet
};

struct serving_client {
    connection line; // far_end is the client's socket; INVALID_SOCKET: not connected
    std::deque<piece_to_send> unsent;
    std::string got; // not understood yet
    int asked;       // requests that were sent whole, on this connection
    int answered;
    int continues; // 100 Continue that no piece has used
    bool asked_to_close;
    bool server_closes; // it has said so
    bool reads_nothing;
    std::string log;
};

// A new connection, if there is none.
bool client_open(serving_client *self, const any_address &server, bool *is_new);
void client_close(serving_client *self, bool reset);
// `is_last`: the server ends the connection after it.
void client_ask(serving_client *self, const std::string &head, const std::string &body, int form, bool is_last);
// Sends and reads what it can.
void client_go_on(serving_client *self);
// Nothing more will come, but for a request that the server holds.
bool client_is_content(const serving_client *self);

} // namespace parity

#endif
