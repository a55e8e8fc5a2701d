// One connection to the server, plain or over TLS, on which one request is under way at a time.
#ifndef LIBEVENT_IOCP_NATIVE_CONNECTION_H
#define LIBEVENT_IOCP_NATIVE_CONNECTION_H

#include "tools/benchmarks/native/exchange.h"

#include <openssl/ssl.h>
#include <stdint.h>

namespace native {

// Ends the program: what it has found is of no use once an answer is wrong.
[[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint64_t now_ns(); // of CLOCK_MONOTONIC

class connection {
public:
    // Begins to connect to 127.0.0.1; `tls` is null for plain TCP. It tells `poll` of all that happens.
    connection(int poll, int port, SSL_CTX *tls, std::unique_ptr<exchange> spoken);
    ~connection();
    connection(const connection &) = delete;
    connection &operator=(const connection &) = delete;

    // Sends the next request. Its latency counts from `due`.
    void ask(uint64_t due);
    // Does what can be done now; true if that completes an answer, or the connecting. Whatever must not be ends the
    // program, such as bytes or an end that nobody has asked for.
    bool proceed();

    uint64_t due() const { return asked_from; }
    uint64_t idle_since() const { return answered_at; }

private:
    enum class stage { connecting, shaking_hands, idle, asking };

    bool finish_connect();
    bool shake_hands();
    void send_rest();
    bool receive();
    // Bytes, 0 for "not now".
    size_t send_some(const char *data, size_t length);
    size_t receive_some(char *data, size_t length);

    int socket = -1;
    SSL *tls = nullptr;
    std::unique_ptr<exchange> speech;
    stage at = stage::connecting;
    const std::string *request = nullptr;
    size_t sent = 0;
    uint64_t asked_from = 0;
    uint64_t answered_at = 0;
};

} // namespace native

#endif
