// The load against a server of this very process.
#include "tools/benchmarks/native/self_test.h"

#include "tools/benchmarks/native/load.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

namespace native {

namespace {

// One connection's echo, which pauses before it sends back the message after the first.
class slow_echo {
public:
    explicit slow_echo(unsigned pause_us)
    {
        listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        auto *generic = reinterpret_cast<sockaddr *>(&address);
        socklen_t length = sizeof(address);
        if (bind(listener, generic, length) != 0 || listen(listener, 1) != 0 ||
            getsockname(listener, generic, &length) != 0)
            fail("self-test: no listener: %s", strerror(errno));
        port = ntohs(address.sin_port);
        worker = std::thread([this, pause_us] { serve(pause_us); });
    }
    ~slow_echo()
    {
        worker.join();
        close(listener);
    }

    int port = 0;

private:
    void serve(unsigned pause_us) const
    {
        int taken = accept(listener, nullptr, nullptr);
        char buffer[4096];
        int messages = 0;
        for (ssize_t count; (count = recv(taken, buffer, sizeof(buffer), 0)) > 0;) {
            if (++messages == 2)
                usleep(pause_us);
            if (send(taken, buffer, static_cast<size_t>(count), MSG_NOSIGNAL) != count)
                fail("self-test: send: %s", strerror(errno));
        }
        close(taken);
    }

    int listener;
    std::thread worker;
};

} // namespace

// Whoever was due during the pause has waited to its end: a generator that waits too, and counts from the moment at
// which it sends, sees one slow answer. A pause that lasts longer on a busy machine changes nothing.
void self_test_load()
{
    constexpr unsigned pause_us = 200000;
    slow_echo server(pause_us);
    plan wanted;
    wanted.port = server.port;
    load carried(wanted); // the first message
    // The last is due after 150 ms, the middle one after 75.
    outcome open = carried.open(1000, 150);
    if (open.latency.percentile(0.5) < (pause_us - 75000) * 1000 || open.most_waiting < 140)
        fail("self-test: an open load has not counted from when requests were due");
    outcome closed = carried.closed_count(100);
    if (open.answers != 150 || closed.answers != 100 || closed.latency.count() != 100)
        fail("self-test: other numbers of answers");
    carried.check_quiet();
}

} // namespace native
