// One way: the client sends blocks as fast as they go, the server takes them.
#include "tools/benchmarks/floor/port.h"

#include <vector>

namespace bench {

namespace {

class bulk final : public work {
public:
    explicit bulk(const scenario &);
    void run(long units) override;
    void send_next();
    void sent();
    void received(DWORD bytes);

private:
    size_t size;
    port completions;
    socket_pair pair;
    operation sending = {};
    task next_send = {};
    receive_operation receiving = {};
    std::vector<char> buffer;
    message_check check;
    long to_send = 0;
    long to_receive = 0;
};

void start_send(task *queued)
{
    static_cast<bulk *>(queued->context)->send_next();
}

void send_ended(operation *ended, DWORD)
{
    static_cast<bulk *>(ended->context)->sent();
}

void receive_ended(operation *ended, DWORD bytes)
{
    static_cast<bulk *>(ended->context)->received(bytes);
}

bulk::bulk(const scenario &what) : size(what.size), buffer(what.size)
{
    connect_pair(&pair);
    completions.add(pair.client);
    completions.add(pair.server);
    next_send.start = start_send;
    sending.ended = send_ended;
    receiving.common.ended = receive_ended;
    receiving.socket = pair.server;
    receiving.buffer = buffer.data();
    receiving.capacity = static_cast<DWORD>(size);
    next_send.context = sending.context = receiving.common.context = this;
}

// One block a turn, so that the server takes its part in between.
void bulk::send_next()
{
    WSABUF block = {static_cast<ULONG>(size), const_cast<char *>(message_bytes())};
    if (completions.send(pair.client, &block, 1, &sending))
        sent();
}

void bulk::sent()
{
    if (--to_send > 0)
        completions.start_soon(&next_send);
}

void bulk::received(DWORD bytes)
{
    if (bytes == 0)
        fail("a connection has ended", 0);
    to_receive -= check.take(buffer.data(), bytes);
    if (to_receive == 0)
        completions.stop();
    else
        completions.receive_soon(&receiving);
}

void bulk::run(long units)
{
    to_send = to_receive = units;
    completions.start_soon(&next_send);
    completions.receive_soon(&receiving);
    completions.run();
}

} // namespace

work *set_up_bulk(const scenario &what)
{
    return new bulk(what);
}

} // namespace bench
