// A descriptor moves from a bufferevent of one base to one of another, on the real kernel: bytes that the first has
// received and its program has not read come with it, to a base on a port and to one on select.
#include "real/real_base.h"

using namespace real;

namespace {

char heard[32];
size_t heard_length;

void on_read(struct bufferevent *bev, void *argument)
{
    heard_length += bufferevent_read(bev, heard + heard_length, sizeof(heard) - heard_length);
    if (heard_length >= strlen(static_cast<const char *>(argument)))
        event_base_loopbreak(bufferevent_get_base(bev));
}

void too_late(evutil_socket_t, short, void *argument)
{
    print_error("out of time\n");
    event_base_loopbreak(static_cast<struct event_base *>(argument));
}

// Until all of that is heard.
void hear(struct event_base *whose, struct bufferevent *bev, const char *expected)
{
    heard_length = 0;
    bufferevent_setcb(bev, on_read, nullptr, nullptr, const_cast<char *>(expected));
    bufferevent_enable(bev, EV_READ);
    struct event *deadline = evtimer_new(whose, too_late, whose);
    struct timeval limit = {deadline_seconds, 0};
    event_add(deadline, &limit);
    event_base_dispatch(whose);
    event_free(deadline);
    assert_int_equal(heard_length, strlen(expected));
    assert_memory_equal(heard, expected, heard_length);
}

void say(evutil_socket_t peer, const char *word)
{
    assert_int_equal(send(static_cast<SOCKET>(peer), word, static_cast<int>(strlen(word)), 0), strlen(word));
}

// The receive in flight has taken "kept" when its program takes the descriptor back, or, where it was just not quick
// enough, the socket has it still: both must look alike.
void move_to(struct event_base *second)
{
    evutil_socket_t pair[2];
    make_pair(pair);
    struct bufferevent *bev = bufferevent_socket_new(base, pair[0], BEV_OPT_CLOSE_ON_FREE);
    say(pair[1], "warm");
    hear(base, bev, "warm");
    event_base_loop(base, EVLOOP_NONBLOCK); // the next receive has a buffer
    event_base_loop(base, EVLOOP_NONBLOCK);
    bufferevent_disable(bev, EV_READ);
    say(pair[1], "kept");
    bufferevent_setfd(bev, -1);
    bufferevent_free(bev);
    event_base_loop(base, EVLOOP_NONBLOCK);
    bev = bufferevent_socket_new(second, pair[0], BEV_OPT_CLOSE_ON_FREE);
    hear(second, bev, "kept");
    say(pair[1], "new");
    hear(second, bev, "new");
    bufferevent_free(bev);
    event_base_loop(second, EVLOOP_NONBLOCK);
    evutil_closesocket(pair[1]);
}

void to_a_base_on_a_port(void **)
{
    struct event_base *first = base;
    assert_int_equal(set_up(nullptr), 0);
    struct event_base *second = base;
    base = first;
    move_to(second);
    event_base_free(second);
}

void to_a_base_on_select(void **)
{
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
    struct event_base *second = event_base_new_with_config(config);
    event_config_free(config);
    assert_string_equal(event_base_get_method(second), "win32");
    move_to(second);
    event_base_free(second);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(to_a_base_on_a_port, set_up, tear_down),
        cmocka_unit_test_setup_teardown(to_a_base_on_select, set_up, tear_down),
    };
    start();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
