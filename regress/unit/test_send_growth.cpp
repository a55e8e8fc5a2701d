// Sends of a long output on the fake kernel: they grow while their peer takes them soon, and only where a program sees
// no difference; a base's bounds hold whatever its peers do.
#include "support/check.h"

#include "support/guard.h"
#include "support/long_outputs.h"

#include "backend/backend.h"

using namespace iocp;

namespace {

// The send that is next, or in flight, has waited for its peer so long when it ends. Returns what it took.
size_t next_send_taking(const connection *one, int64_t ms)
{
    fake::set_send_room(one->socket, 0);
    while (in_flight(one) == 0)
        turn(base);
    size_t length = in_flight(one), before = fake::sent(one->socket).size();
    fake::advance_us(ms * 1000);
    fake::set_send_room(one->socket, 1); // all of it; the next waits
    while (fake::sent(one->socket).size() == before || in_flight(one) == 0)
        turn(base);
    assert_int_equal(fake::sent(one->socket).size(), before + length);
    return length;
}

void assert_stays_small(connection *one)
{
    write_long(one);
    for (int i = 0; i < 10; ++i)
        assert_int_equal(next_send(one), piece);
}

void grows_up_to_its_bound(void **)
{
    connection *one = connect_one();
    grow(one);
    while (left_of(one) > 0)
        assert_true(next_send(one) <= max_grown_size);
    assert_int_equal(fake::sent(one->socket).size(), long_output);
    assert_int_equal(one->told_at.size(), 1);
}

void grows_where_a_packet_comes_soon(void **)
{
    connection *one = connect_one();
    write_long(one);
    assert_int_equal(next_send_taking(one, quick_send_ms), piece);
    assert_int_equal(next_send_taking(one, quick_send_ms), 2 * piece);
    assert_int_equal(next_send_taking(one, slow_send_ms), 4 * piece); // neither soon nor late
    assert_int_equal(next_send_taking(one, slow_send_ms), 4 * piece);
}

void is_short_again_after_a_slow_one(void **)
{
    connection *one = connect_one();
    grow(one);
    assert_int_equal(next_send_taking(one, slow_send_ms + 1), max_grown_size);
    assert_int_equal(next_send_taking(one, slow_send_ms + 1), piece);
    assert_int_equal(next_send_taking(one, slow_send_ms + 1), piece);
}

// What there is no memory for in one piece may go in short ones.
void is_short_again_after_a_shortage(void **)
{
    connection *one = connect_one();
    grow(one);
    fake::fail_calls(fake::call::send, WSAENOBUFS);
    assert_int_equal(next_send(one), piece);
    for (size_t expected = 2 * piece; expected <= max_grown_size; expected *= 2)
        assert_int_equal(next_send(one), expected);
    guard::fail_allocations(0, 1); // of its copy
    assert_int_equal(next_send(one), piece);
    assert_int_equal(guard::failed_allocations(), 1);
    guard::fail_allocations(0, 0);
}

// The send of what is left says nothing of the peer.
void a_short_send_changes_nothing(void **)
{
    connection *one = connect_one();
    for (int i = 0; i < 10; ++i) {
        write_long(one, piece - 1);
        assert_int_equal(next_send(one), piece - 1);
    }
    write_long(one);
    assert_int_equal(next_send(one), piece);
}

void not_with_a_limit_of_the_programs(void **)
{
    connection *one = connect_one();
    bufferevent_set_max_single_write(one->bev, piece - 1);
    write_long(one);
    for (int i = 0; i < 10; ++i)
        assert_int_equal(next_send(one), piece - 1);
    connection *large = connect_one();
    bufferevent_set_max_single_write(large->bev, 2 * piece);
    write_long(large);
    for (int i = 0; i < 10; ++i)
        assert_int_equal(next_send(large), 2 * piece);
}

void assert_keeps_its_rate(connection *one, size_t rate)
{
    write_long(one);
    assert_int_equal(next_send(one), rate);
    assert_int_equal(next_send(one), 0); // libevent counts seconds of its own
}

void not_with_a_rate_limit(void **)
{
    constexpr size_t rate = piece - 1;
    struct ev_token_bucket_cfg *limit = ev_token_bucket_cfg_new(rate, rate, rate, rate, nullptr);
    connection *one = connect_one();
    bufferevent_set_rate_limit(one->bev, limit);
    assert_keeps_its_rate(one, rate);
    bufferevent_set_rate_limit(one->bev, nullptr);
    struct bufferevent_rate_limit_group *group = bufferevent_rate_limit_group_new(base, limit);
    connection *member = connect_one();
    bufferevent_add_to_rate_limit_group(member->bev, group);
    assert_keeps_its_rate(member, rate);
    bufferevent_remove_from_rate_limit_group(member->bev);
    bufferevent_rate_limit_group_free(group);
    ev_token_bucket_cfg_free(limit);
}

// One that limits reading alone, or allows for more than a piece: libevent's bucket takes the place of what it writes at
// once by default, and would let all go that is in it.
void nor_longer_by_a_rate_limit(void **)
{
    struct ev_token_bucket_cfg *reading = ev_token_bucket_cfg_new(1, 1, EV_RATE_LIMIT_MAX, EV_RATE_LIMIT_MAX, nullptr);
    struct ev_token_bucket_cfg *wide =
        ev_token_bucket_cfg_new(EV_RATE_LIMIT_MAX, EV_RATE_LIMIT_MAX, EV_RATE_LIMIT_MAX, EV_RATE_LIMIT_MAX, nullptr);
    for (struct ev_token_bucket_cfg *limit : {reading, wide}) {
        connection *one = connect_one();
        bufferevent_set_rate_limit(one->bev, limit);
        assert_stays_small(one);
        bufferevent_set_max_single_write(one->bev, 2 * piece); // its program's own
        assert_int_equal(next_send(one), 2 * piece);
        bufferevent_set_max_single_write(one->bev, piece / 2); // which libevent does not heed then
        assert_int_equal(next_send(one), piece);
        free_one(one);
        ev_token_bucket_cfg_free(limit);
    }
}

void not_where_a_callback_sees_it(void **)
{
    connection *one = connect_one();
    evbuffer_add_cb(
        bufferevent_get_output(one->bev), [](struct evbuffer *, const struct evbuffer_cb_info *, void *) {}, nullptr);
    assert_stays_small(one);
}

// Returns how many sends that were. Write callbacks come where they come on select: at each piece below the watermark.
size_t sends_to_a_low_watermark(connection *one)
{
    constexpr size_t low = 5 * piece + 100;
    bufferevent_setwatermark(one->bev, EV_WRITE, low, 0);
    write_long(one, 40 * piece);
    size_t sends = 0;
    for (; left_of(one) > 0; ++sends)
        assert_true(next_send(one) > 0);
    std::vector<size_t> expected = {5 * piece, 4 * piece, 3 * piece, 2 * piece, piece, 0};
    assert_true(one->told_at == expected);
    return sends;
}

void keeps_to_a_low_watermark(void **)
{
    assert_true(sends_to_a_low_watermark(connect_one()) < 20);
}

void so_does_one_with_a_rate_limit(void **)
{
    struct ev_token_bucket_cfg *limit =
        ev_token_bucket_cfg_new(EV_RATE_LIMIT_MAX, EV_RATE_LIMIT_MAX, EV_RATE_LIMIT_MAX, EV_RATE_LIMIT_MAX, nullptr);
    connection *one = connect_one();
    bufferevent_set_rate_limit(one->bev, limit);
    assert_int_equal(sends_to_a_low_watermark(one), 40);
    free_one(one);
    ev_token_bucket_cfg_free(limit);
}

// 16 s of a write timeout for each piece.
void keeps_to_a_write_timeout(void **)
{
    struct timeval http_clients = {50, 0}, long_enough = {256, 0}, too_short = {31, 999999}, half = {0, 500000};
    connection *one = connect_one();
    bufferevent_set_timeouts(one->bev, nullptr, &http_clients);
    write_long(one);
    next_send(one);
    next_send(one);
    for (int i = 0; i < 10; ++i)
        assert_int_equal(next_send(one), 3 * piece);
    bufferevent_set_timeouts(one->bev, nullptr, &long_enough);
    assert_int_equal(next_send(one), max_grown_size);
    for (const struct timeval *limit : {&too_short, &half}) {
        connection *hasty = connect_one();
        bufferevent_set_timeouts(hasty->bev, nullptr, limit);
        assert_stays_small(hasty);
    }
}

void a_turn_has_a_bound(void **)
{
    constexpr size_t count = 12;
    for (size_t i = 0; i < count; ++i)
        write_long(connect_one());
    size_t most = 0;
    for (int turns = 0; turns < 12; ++turns) {
        size_t before = 0, after = 0;
        for (const connection *one : all)
            before += left_of(one);
        turn(base);
        for (const connection *one : all)
            after += left_of(one);
        most = before - after > most ? before - after : most;
    }
    assert_true(most > max_grown_in_turn);
    assert_true(most <= max_grown_in_turn + count * piece);
}

// The packets of others wait for no second turn of long sends.
void others_have_their_turn_after_it(void **)
{
    connection *quiet = connect_one(), *one = connect_one();
    bufferevent_enable(quiet->bev, EV_READ);
    grow(one);
    fake::set_look_cost_us(100); // looks are rare by themselves
    for (int i = 0; i < 5; ++i)
        event_base_loop(base, EVLOOP_ONCE);
    fake::peer_sends(quiet->socket, "x");
    size_t before = left_of(one);
    for (int i = 0; i < 2; ++i)
        event_base_loop(base, EVLOOP_ONCE);
    assert_true(left_of(one) > 0 && before - left_of(one) >= max_grown_size); // it went on
    assert_int_equal(evbuffer_get_length(bufferevent_get_input(quiet->bev)), 1);
}

// Peers that were quick, and take nothing any more. Returns how much they have in flight.
size_t stall(size_t count)
{
    size_t stalled = 0;
    for (size_t i = 0; i < count; ++i) {
        connection *one = connect_one();
        write_long(one, 2 * max_grown_size + 32 * piece);
        for (unsigned char sends = 0; sends <= max_doublings; ++sends)
            next_send(one);
        fake::set_send_room(one->socket, 0);
        size_t length = next_send(one);
        assert_true(length >= piece && length <= max_grown_size);
        stalled += length;
    }
    return stalled;
}

void what_stalls_has_a_bound(void **)
{
    constexpr size_t count = 100;
    size_t stalled = stall(count);
    const send_growth *growth = &backend_of(base)->streams.growth;
    assert_true(growth->in_flight <= max_grown_in_flight && growth->in_flight > max_grown_in_flight - max_grown_size);
    assert_int_equal(stalled, growth->in_flight + count * piece);
    // They are let go, and give it back when they have ended.
    for (connection *one : all) {
        bufferevent_free(one->bev);
        fake::set_send_room(one->socket, SIZE_MAX);
        delete one;
    }
    all.clear();
    for (int turns = 0; turns < 20; ++turns)
        turn(base);
    assert_int_equal(growth->in_flight, 0);
}

void what_may_linger_bounds_it(void **)
{
    struct timeval limit = {60, 0};
    assert_int_equal(event_base_iocp_set_lingering(base, &limit, 64 * piece), 0);
    size_t stalled = stall(10);
    const send_growth *growth = &backend_of(base)->streams.growth;
    assert_int_equal(growth->in_flight, 32 * piece);
    assert_int_equal(stalled, growth->in_flight + 10 * piece);
    assert_int_equal(event_base_iocp_set_lingering(base, &limit, 0), 0);
    connection *one = connect_one();
    assert_stays_small(one);
}

// As many sockets may be closed over a send as if none had grown.
void who_is_closed_is_not_reset_for_it(void **)
{
    stall(100);
    std::vector<SOCKET> closed;
    for (connection *one : all) {
        closed.push_back(one->socket);
        bufferevent_free(one->bev);
        delete one;
    }
    all.clear();
    for (int turns = 0; turns < 20; ++turns)
        turn(base);
    for (SOCKET socket : closed) {
        assert_true(fake::is_open(socket));
        fake::set_send_room(socket, SIZE_MAX);
    }
    for (int turns = 0; turns < 20; ++turns)
        turn(base);
    assert_int_equal(fake::sockets_open(), 0);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(grows_up_to_its_bound, set_up_long_outputs, tear_down_long_outputs),
        cmocka_unit_test_setup_teardown(grows_where_a_packet_comes_soon, set_up_long_outputs, tear_down_long_outputs),
        cmocka_unit_test_setup_teardown(is_short_again_after_a_slow_one, set_up_long_outputs, tear_down_long_outputs),
        cmocka_unit_test_setup_teardown(is_short_again_after_a_shortage, set_up_long_outputs, tear_down_long_outputs),
        cmocka_unit_test_setup_teardown(a_short_send_changes_nothing, set_up_long_outputs, tear_down_long_outputs),
        cmocka_unit_test_setup_teardown(not_with_a_limit_of_the_programs, set_up_long_outputs, tear_down_long_outputs),
        cmocka_unit_test_setup_teardown(not_with_a_rate_limit, set_up_long_outputs, tear_down_long_outputs),
        cmocka_unit_test_setup_teardown(nor_longer_by_a_rate_limit, set_up_long_outputs, tear_down_long_outputs),
        cmocka_unit_test_setup_teardown(not_where_a_callback_sees_it, set_up_long_outputs, tear_down_long_outputs),
        cmocka_unit_test_setup_teardown(keeps_to_a_low_watermark, set_up_long_outputs, tear_down_long_outputs),
        cmocka_unit_test_setup_teardown(so_does_one_with_a_rate_limit, set_up_long_outputs, tear_down_long_outputs),
        cmocka_unit_test_setup_teardown(keeps_to_a_write_timeout, set_up_long_outputs, tear_down_long_outputs),
        cmocka_unit_test_setup_teardown(a_turn_has_a_bound, set_up_long_outputs, tear_down_long_outputs),
        cmocka_unit_test_setup_teardown(others_have_their_turn_after_it, set_up_long_outputs, tear_down_long_outputs),
        cmocka_unit_test_setup_teardown(what_stalls_has_a_bound, set_up_long_outputs, tear_down_long_outputs),
        cmocka_unit_test_setup_teardown(what_may_linger_bounds_it, set_up_long_outputs, tear_down_long_outputs),
        cmocka_unit_test_setup_teardown(who_is_closed_is_not_reset_for_it, set_up_long_outputs, tear_down_long_outputs),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
