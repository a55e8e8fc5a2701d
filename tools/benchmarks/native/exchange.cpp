#include "tools/benchmarks/native/exchange.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <algorithm>

namespace native {

namespace {

constexpr size_t most_head_bytes = 8 * 1024;

class echo final : public exchange {
public:
    echo(size_t size, unsigned connection) : message(size, '\0'), state(connection * 2654435761u + 1) {}

    const std::string &next_request() override
    {
        for (char &byte : message) {
            state = state * 1664525 + 1013904223;
            byte = static_cast<char>(state >> 24);
        }
        offset = 0;
        return message;
    }

    taken take(const char *data, size_t length) override
    {
        if (length > message.size() - offset)
            return complain("more bytes than were sent");
        if (memcmp(data, message.data() + offset, length) != 0)
            return complain("other bytes than were sent");
        offset += length;
        return offset == message.size() ? taken::all : taken::part;
    }

private:
    std::string message;
    size_t offset = 0;
    unsigned state;
};

class http final : public exchange {
public:
    explicit http(size_t size) : body_size(size) {}

    const std::string &next_request() override
    {
        head.clear();
        in_body = false;
        body_seen = 0;
        return request;
    }

    taken take(const char *data, size_t length) override
    {
        if (in_body)
            return take_body(data, length);
        size_t before = head.size();
        head.append(data, length);
        size_t end = head.find(blank_line, before < 3 ? 0 : before - 3);
        if (end == std::string::npos)
            return head.size() > most_head_bytes ? complain("headers without an end") : taken::part;
        size_t head_size = end + strlen(blank_line);
        std::string rest = head.substr(head_size);
        head.resize(head_size);
        in_body = true;
        const char *fault = find_fault();
        return fault != nullptr ? complain(fault) : take_body(rest.data(), rest.size());
    }

private:
    static constexpr const char *blank_line = "\r\n\r\n";

    taken take_body(const char *data, size_t length)
    {
        if (length > body_size - body_seen)
            return complain("a longer answer than its length says");
        if (std::any_of(data, data + length, [](char byte) { return byte != 'a'; }))
            return complain("wrong bytes in a body");
        body_seen += length;
        return body_seen == body_size ? taken::all : taken::part;
    }

    const char *find_fault() const
    {
        if (head.compare(0, 13, "HTTP/1.1 200 ") != 0)
            return "another status than 200";
        const char *length = value_of("Content-Length");
        if (length == nullptr || strtoull(length, nullptr, 10) != body_size)
            return "a body of another length";
        const char *connection = value_of("Connection");
        if (connection != nullptr && strncasecmp(connection, "close", 5) == 0)
            return "the server does not keep the connection";
        return nullptr;
    }

    // Of a header, or null.
    const char *value_of(const char *name) const
    {
        size_t length = strlen(name);
        for (size_t line = head.find("\r\n"); line != std::string::npos; line = head.find("\r\n", line)) {
            line += 2;
            const char *start = head.data() + line;
            if (strncasecmp(start, name, length) == 0 && start[length] == ':') {
                start += length + 1;
                return start + strspn(start, " \t");
            }
        }
        return nullptr;
    }

    size_t body_size;
    const std::string request = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    std::string head;
    bool in_body = false;
    size_t body_seen = 0;
};

} // namespace

std::unique_ptr<exchange> make_echo(size_t size, unsigned connection)
{
    return std::make_unique<echo>(size, connection);
}

std::unique_ptr<exchange> make_http(size_t body_size)
{
    return std::make_unique<http>(body_size);
}

} // namespace native
