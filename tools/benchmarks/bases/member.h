// One of the bases: its thread, its evhttp on the socket that all listen on, and its part of the clients.
#ifndef LIBEVENT_IOCP_BENCH_BASES_MEMBER_H
#define LIBEVENT_IOCP_BENCH_BASES_MEMBER_H

#include "tools/benchmarks/common/bench.h"

#include <openssl/ssl.h>

#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>

#include <atomic>
#include <vector>

namespace bench {

struct tls_contexts {
    SSL_CTX *server = nullptr; // nullptr: plain HTTP
    SSL_CTX *client = nullptr;
};

// What all members share but the socket: who is still at work in this phase.
struct phase {
    std::atomic<int> working{0};
    HANDLE done = nullptr;
};

event_base *make_member_base(const scenario &);

class member {
public:
    member(event_base *of, SOCKET listening, int clients, const tls_contexts &contexts, phase *shared);
    void start_thread(int number);
    // From the main thread: its clients make so many requests, and the last of all members ends the phase.
    void begin(long units);

    std::atomic<long> accepted{0}; // connections, by its listener
    std::atomic<long> answered{0}; // requests, by its server

private:
    struct client {
        member *owner;
        evhttp_connection *connection;
    };

    static DWORD WINAPI loop(void *);
    static void on_begin(evutil_socket_t, short, void *);
    static bufferevent *on_accepted(event_base *, void *);
    static void on_request(evhttp_request *, void *);
    static void on_reply(evhttp_request *, void *);
    void connect(client *);
    void ask(client *);

    event_base *base;
    tls_contexts tls;
    phase *all;
    unsigned short port;
    evhttp *http;
    event *beginning;
    std::vector<client> clients;
    std::atomic<long> wanted{0};
    long to_ask = 0, left = 0;
};

} // namespace bench

#endif
