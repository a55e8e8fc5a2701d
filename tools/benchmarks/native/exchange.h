// What is asked, and what must come back.
#ifndef LIBEVENT_IOCP_NATIVE_EXCHANGE_H
#define LIBEVENT_IOCP_NATIVE_EXCHANGE_H

#include <stddef.h>

#include <memory>
#include <string>

namespace native {

enum class taken { part, all, wrong };

// One connection's requests and answers, one after the other.
class exchange {
public:
    virtual ~exchange() = default;
    // The bytes of the next request, which stay until the one after that.
    virtual const std::string &next_request() = 0;
    // The next bytes of its answer: whether they are as they must be, and the last of it. Bytes behind it are wrong.
    virtual taken take(const char *data, size_t length) = 0;
    // What is wrong, in words.
    const std::string &complaint() const { return wrong; }

protected:
    taken complain(std::string text)
    {
        wrong = std::move(text);
        return taken::wrong;
    }

private:
    std::string wrong;
};

// Messages of `size` bytes that come back as they are. No two messages are alike, on one connection or on two, so that
// an answer that belongs elsewhere is found.
std::unique_ptr<exchange> make_echo(size_t size, unsigned connection);

// GET / on a connection that stays; the answer is 200, with so many bytes of 'a'.
std::unique_ptr<exchange> make_http(size_t body_size);

} // namespace native

#endif
