#include "support/long_outputs.h"

#include "support/check.h"

namespace iocp {

struct event_base *base;
std::vector<connection *> all;

namespace {

void on_write(struct bufferevent *bev, void *argument)
{
    static_cast<connection *>(argument)->told_at.push_back(evbuffer_get_length(bufferevent_get_output(bev)));
}

void on_event(struct bufferevent *, short what, void *argument)
{
    static_cast<connection *>(argument)->told |= what;
}

} // namespace

int set_up_long_outputs(void **)
{
    fake::boot(1);
    catch_log();
    base = make_base(on_iocp);
    return 0;
}

int tear_down_long_outputs(void **)
{
    for (connection *one : all) {
        if (one->bev != nullptr) {
            fake::set_send_room(one->socket, SIZE_MAX);
            bufferevent_free(one->bev);
        }
        delete one;
    }
    all.clear();
    turn(base);
    event_base_free(base);
    return check_nothing_is_left();
}

connection *connect_one()
{
    auto *made = new connection();
    made->socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(made->socket);
    made->bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(made->socket), BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(made->bev, nullptr, on_write, on_event, made);
    bufferevent_enable(made->bev, EV_WRITE);
    all.push_back(made);
    return made;
}

void free_one(connection *one)
{
    bufferevent_free(one->bev);
    one->bev = nullptr;
    for (int turns = 0; turns < 10; ++turns)
        turn(base);
}

void write_long(connection *one, size_t length)
{
    std::vector<char> bytes(length, 'x');
    assert_int_equal(bufferevent_write(one->bev, bytes.data(), bytes.size()), 0);
    one->written += length;
}

size_t left_of(const connection *one)
{
    return evbuffer_get_length(bufferevent_get_output(one->bev));
}

size_t in_flight(const connection *one)
{
    return one->written - left_of(one) - fake::sent(one->socket).size();
}

size_t next_send(const connection *one)
{
    size_t before = left_of(one);
    for (int tries = 0; tries < 10 && left_of(one) == before; ++tries)
        turn(base);
    return before - left_of(one);
}

void grow(connection *one)
{
    write_long(one);
    for (size_t expected = piece; expected < max_grown_size; expected *= 2)
        assert_int_equal(next_send(one), expected);
    assert_int_equal(next_send(one), max_grown_size);
    assert_int_equal(next_send(one), max_grown_size);
}

} // namespace iocp
