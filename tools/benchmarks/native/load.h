// Many connections to one server, and the load that they carry.
#ifndef LIBEVENT_IOCP_NATIVE_LOAD_H
#define LIBEVENT_IOCP_NATIVE_LOAD_H

#include "tools/benchmarks/native/connection.h"
#include "tools/benchmarks/native/histogram.h"

#include <deque>
#include <functional>
#include <memory>
#include <vector>

namespace native {

struct plan {
    enum class protocol { echo, http, https } spoken = protocol::echo;
    int port = 0;
    int connections = 1;
    size_t size = 64; // bytes of a message, or of an answer's body
};

// What a stretch of load has seen. Latencies are in ns.
struct outcome {
    uint64_t answers = 0;
    uint64_t ns = 0;
    histogram latency;
    histogram late;            // open: how late the generator itself sent what it could have sent when it was due
    uint64_t most_waiting = 0; // open: requests that were due at once and found no connection free
};

class load {
public:
    explicit load(const plan &);
    ~load();
    load(const load &) = delete;
    load &operator=(const load &) = delete;

    // Closed: each connection asks again as soon as it has its answer, until there are so many, or for so long.
    outcome closed_count(uint64_t requests);
    outcome closed_for(uint64_t ns);
    // Open: so many requests are due, evenly spaced, whatever has become of those before, on whatever connection is
    // free. A latency counts from the moment at which the request was due: one that had to wait for a connection has
    // waited.
    outcome open(double per_second, uint64_t requests);
    // Nothing has come that was not asked for.
    void check_quiet();

private:
    using callback = std::function<void(connection &)>;

    void open_connections(const plan &);
    outcome closed(const std::function<bool()> &may_ask);
    void wake_at(uint64_t when);
    // Waits, and calls back for each answer and each connection made. A server that does not answer for long ends the
    // program.
    void turn(const callback &on_ready, bool wait);

    int poll = -1;
    int timer = -1;
    uint64_t last_progress = 0;
    SSL_CTX *tls = nullptr;
    std::vector<std::unique_ptr<connection>> connections;
};

} // namespace native

#endif
