// One way: the client sends blocks as fast as they go, the server takes them.
#include "tools/benchmarks/libevent/base.h"

namespace bench {

namespace {

// Blocks in the output buffer at a time: one on its way, one behind it.
constexpr int blocks_ahead = 2;

class bulk final : public work {
public:
    explicit bulk(const scenario &);
    void run(long units) override;
    void send_next();
    void received(evbuffer *input);

private:
    size_t size;
    event_base *base;
    bufferevent *client;
    message_check check;
    long to_send = 0;
    long to_receive = 0;
};

void on_server_read(bufferevent *server, void *context)
{
    static_cast<bulk *>(context)->received(bufferevent_get_input(server));
}

// The block stays where it is. That is asked for, since memory without a cleanup is its program's again as soon as the
// output is empty, and so is copied.
void on_block_sent(const void *, size_t, void *)
{
}

void on_client_read(bufferevent *, void *)
{
    fail("bytes came back", 0);
}

void on_client_written(bufferevent *, void *context)
{
    static_cast<bulk *>(context)->send_next();
}

bulk::bulk(const scenario &what) : size(what.size), base(make_base(what))
{
    socket_pair pair;
    connect_pair(&pair);
    client = make_bufferevent(base, pair.client, what, on_client_read, this);
    bufferevent_setcb(client, on_client_read, on_client_written, on_unwanted_event, this);
    bufferevent_setwatermark(client, EV_WRITE, size * (blocks_ahead - 1), 0);
    make_bufferevent(base, pair.server, what, on_server_read, this);
}

// The block stays where it is while it is sent, which libuv asks of its users as well: no peer copies it.
void bulk::send_next()
{
    evbuffer *output = bufferevent_get_output(client);
    while (to_send > 0 && evbuffer_get_length(output) <= size * (blocks_ahead - 1)) {
        --to_send;
        evbuffer_add_reference(output, message_bytes(), size, on_block_sent, nullptr);
    }
}

void bulk::received(evbuffer *input)
{
    to_receive -= take_input(input, &check);
    if (to_receive == 0)
        event_base_loopbreak(base);
}

void bulk::run(long units)
{
    to_send = to_receive = units;
    send_next();
    event_base_dispatch(base);
    if (to_receive != 0)
        fail("the loop has ended early", 0);
}

} // namespace

work *set_up_bulk(const scenario &what)
{
    return new bulk(what);
}

} // namespace bench
