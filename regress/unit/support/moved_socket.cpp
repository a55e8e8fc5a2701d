#include "support/moved_socket.h"

#include "support/check.h"

#include "support/bases.h"
#include "support/fake_kernel.h"

namespace iocp {

struct event_base *first, *second;
std::string heard;
short ended;

namespace {

void on_read(struct bufferevent *bev, void *)
{
    char bytes[64];
    for (size_t got = bufferevent_read(bev, bytes, sizeof(bytes)); got > 0;
         got = bufferevent_read(bev, bytes, sizeof(bytes)))
        heard.append(bytes, got);
}

void on_event(struct bufferevent *, short what, void *)
{
    ended = what;
}

} // namespace

void hear(struct bufferevent *bev)
{
    bufferevent_setcb(bev, on_read, nullptr, on_event, nullptr);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

struct bufferevent *on(struct event_base *whose, SOCKET socket, int options)
{
    struct bufferevent *bev = bufferevent_socket_new(whose, static_cast<evutil_socket_t>(socket), options);
    hear(bev);
    return bev;
}

void turns(struct event_base *whose, int count)
{
    for (int i = 0; i < count; ++i) {
        fake::advance_us(1000);
        turn_to_port(whose);
    }
}

int set_up_two_bases(void **)
{
    fake::boot(1);
    catch_log();
    heard.clear();
    ended = 0;
    first = make_base(on_iocp);
    second = make_base(on_iocp);
    return 0;
}

int tear_down_two_bases(void **)
{
    if (first != nullptr)
        event_base_free(first);
    event_base_free(second);
    return check_nothing_is_left();
}

SOCKET taken_from_the_first(const char *in_flight)
{
    SOCKET socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(socket);
    struct bufferevent *bev = on(first, socket, BEV_OPT_CLOSE_ON_FREE);
    fake::peer_sends(socket, "warm");
    turns(first, 3);
    assert_string_equal(heard.c_str(), "warm");
    heard.clear();
    if (in_flight != nullptr) {
        fake::set_send_room(socket, 0);
        bufferevent_write(bev, in_flight, strlen(in_flight));
        turns(first, 2);
        assert_int_equal(evbuffer_get_length(bufferevent_get_output(bev)), 0);
    }
    fake::peer_sends(socket, "kept");
    bufferevent_disable(bev, EV_READ);
    bufferevent_setfd(bev, -1);
    bufferevent_free(bev);
    turns(first, 2);
    return socket;
}

void check_closed_when_sent(struct event_base *whose, SOCKET socket, const char *sent)
{
    assert_true(fake::is_open(socket));
    fake::set_send_room(socket, SIZE_MAX);
    turns(whose, 3);
    assert_false(fake::is_open(socket));
    assert_string_equal(fake::last_closed().sent.c_str(), sent);
    assert_false(fake::last_closed().was_reset);
}

} // namespace iocp
