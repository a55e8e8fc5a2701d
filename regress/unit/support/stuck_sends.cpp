#include "support/stuck_sends.h"

#include <string>

#include "event2/iocp.h"

namespace iocp {
namespace stuck_sends {

struct event_base *base;

namespace {

constexpr int max_turns = 400;

} // namespace

int set_up(void **)
{
    fake::boot(1);
    catch_log();
    base = make_base(on_iocp);
    return 0;
}

int tear_down(void **)
{
    event_base_free(base);
    return check_nothing_is_left();
}

stuck make_stuck(size_t bytes, int options)
{
    stuck made;
    made.socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(made.socket);
    fake::set_send_room(made.socket, 0);
    made.bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(made.socket), options);
    bufferevent_enable(made.bev, EV_READ | EV_WRITE);
    std::string all(bytes, 'x');
    bufferevent_write(made.bev, all.data(), all.size());
    turn(base);
    return made;
}

bool settles(SOCKET socket, int64_t step_us)
{
    for (int turns = 0; turns < max_turns && fake::is_open(socket); ++turns) {
        fake::advance_us(step_us);
        turn(base);
    }
    return !fake::is_open(socket);
}

void set_limits(long ms, size_t bytes)
{
    struct timeval limit = {ms / 1000, ms % 1000 * 1000};
    assert_int_equal(event_base_iocp_set_lingering(base, &limit, bytes), 0);
}

} // namespace stuck_sends
} // namespace iocp
