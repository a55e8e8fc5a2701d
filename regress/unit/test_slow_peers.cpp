// Peers that took long sends quickly and turn slow, on the fake kernel: who waits for the end of a send, a write
// timeout or the limit of a socket that was closed, asks for no more of them than it would of short sends, or than
// slowest_peer_rate.
#include "support/check.h"

#include "support/long_outputs.h"

#include "backend/socket_lingering.h"

#include "event2/iocp.h"

using namespace iocp;

namespace {

constexpr int64_t step_ms = 250;
constexpr int64_t http_timeout_s = 50; // of evhttp's clients
constexpr int64_t limit_s = EVENT_IOCP_DEFAULT_LINGER_MS / 1000;
constexpr size_t max_pieces = max_grown_size / default_send_size;
constexpr int64_t late_s = limit_s / linger_looks + 1;

// Time goes by in which the peer takes `rate` bytes a second. A send ends when its peer has taken all of it, and of the
// next nothing has gone by then. Ends early when the program was told of an event, or the socket was closed. Returns the
// time.
int64_t go_on_for(const connection *one, int64_t seconds, size_t rate)
{
    size_t taken = 0; // of what is in flight, in thousandths
    fake::set_send_room(one->socket, 0);
    int64_t ms = 0;
    for (; ms < seconds * 1000 && one->told == 0 && fake::is_open(one->socket); ms += step_ms) {
        size_t length = one->bev != nullptr ? in_flight(one) : one->written - fake::sent(one->socket).size();
        fake::advance_us(step_ms * 1000);
        taken += rate * step_ms;
        if (length > 0 && taken >= length * 1000) {
            fake::set_send_room(one->socket, 1); // all of it
            taken = 0;
        }
        for (int turns = 0; turns < 4; ++turns)
            turn(base);
    }
    return ms / 1000;
}

void set_write_timeout(const connection *one, int64_t seconds)
{
    struct timeval timeout = {static_cast<long>(seconds), 0};
    bufferevent_set_timeouts(one->bev, nullptr, &timeout);
}

connection *connect_quick(int64_t timeout_s)
{
    connection *one = connect_one();
    set_write_timeout(one, timeout_s);
    write_long(one);
    for (int i = 0; i < 8; ++i)
        assert_true(next_send(one) >= piece);
    return one;
}

// What 16 KiB at once ask for, or what growth may; a step's more, in which its end is seen.
size_t least_rate(int64_t timeout_s)
{
    size_t short_sends = piece / static_cast<size_t>(timeout_s);
    return (short_sends > slowest_peer_rate ? short_sends : slowest_peer_rate) * 11 / 10 + 1;
}

void who_turns_slow_is_not_timed_out(void **)
{
    for (int64_t timeout_s : {3, 15, 16, 31, 32, 47, int{http_timeout_s}, 100, 256, 3600}) {
        connection *one = connect_quick(timeout_s);
        size_t before = fake::sent(one->socket).size();
        assert_int_equal(go_on_for(one, 5 * timeout_s, least_rate(timeout_s)), 5 * timeout_s);
        assert_int_equal(one->told, 0);
        assert_true(fake::sent(one->socket).size() >= before + 2 * piece);
        free_one(one);
    }
}

// And no more is in flight than such a peer takes in time, whatever the timeout.
void a_timeout_bounds_what_is_in_flight(void **)
{
    for (uint64_t seconds = 0; seconds < 1000; ++seconds) {
        size_t most = send_growth_within(seconds);
        assert_true(most >= piece && most <= max_grown_size && most % piece == 0);
        assert_true(most == piece || most <= seconds * slowest_peer_rate);
    }
    assert_int_equal(send_growth_within(http_timeout_s), 3 * piece);
    assert_int_equal(send_growth_within(UINT64_MAX), max_grown_size);
}

// The mend is no later timeout: who takes nothing is told of when its time is up.
void who_takes_nothing_is_timed_out_in_time(void **)
{
    connection *one = connect_quick(http_timeout_s);
    assert_int_equal(go_on_for(one, 1000, 0), http_timeout_s);
    assert_int_equal(one->told, BEV_EVENT_WRITING | BEV_EVENT_TIMEOUT);
}

// Closed over a send as long as they may be, and one that is not started.
connection *close_over_long_send()
{
    connection *one = connect_one();
    grow(one);
    fake::set_send_room(one->socket, 0);
    size_t length = next_send(one);
    assert_int_equal(length, max_grown_size);
    one->written -= left_of(one);
    free_one(one);
    assert_true(fake::is_open(one->socket));
    return one;
}

// As many bytes a second as of short sends: 16 KiB a minute.
void who_is_closed_and_slow_gets_all(void **)
{
    connection *one = close_over_long_send();
    size_t rate = piece / limit_s + 1;
    int64_t took_s = go_on_for(one, 2 * static_cast<int64_t>(max_pieces) * limit_s, rate);
    assert_false(fake::is_open(one->socket));
    assert_true(took_s > limit_s);
    assert_false(fake::last_closed().was_reset);
    assert_int_equal(fake::last_closed().delivered.size(), one->written);
}

void who_is_closed_and_takes_nothing_is_reset(void **)
{
    connection *one = close_over_long_send();
    int64_t took_s = go_on_for(one, 10000, 0), due_s = static_cast<int64_t>(max_pieces) * limit_s;
    assert_false(fake::is_open(one->socket));
    assert_true(fake::last_closed().was_reset);
    assert_true(took_s >= due_s - 1 && took_s <= due_s + late_s);
}

// Those that may linger longer hold up nobody who was closed after them.
void others_linger_no_longer(void **)
{
    connection *longer = close_over_long_send();
    go_on_for(longer, 2 * limit_s, 0);
    connection *brief = connect_one();
    fake::set_send_room(brief->socket, 0);
    write_long(brief, piece);
    next_send(brief);
    free_one(brief);
    int64_t took_s = go_on_for(brief, 10000, 0);
    assert_false(fake::is_open(brief->socket));
    assert_true(took_s >= limit_s - 1 && took_s <= limit_s + late_s);
    assert_true(fake::is_open(longer->socket));
}

// And are not spared where bytes are short: who was closed first is reset first.
void bytes_are_bounded_as_before(void **)
{
    connection *first = close_over_long_send(), *second = close_over_long_send();
    go_on_for(first, 2 * limit_s, 0);
    struct timeval limit = {limit_s, 0};
    assert_int_equal(event_base_iocp_set_lingering(base, &limit, max_grown_size), 0);
    go_on_for(first, 1, 0);
    assert_false(fake::is_open(first->socket));
    assert_true(fake::is_open(second->socket));
}

void a_shorter_limit_holds_for_each_piece(void **)
{
    connection *one = close_over_long_send();
    go_on_for(one, 2, 0);
    struct timeval limit = {1, 0};
    assert_int_equal(event_base_iocp_set_lingering(base, &limit, SIZE_MAX), 0);
    int64_t took_s = 2 + go_on_for(one, 1000, 0), due_s = static_cast<int64_t>(max_pieces);
    assert_true(fake::last_closed().was_reset);
    assert_true(took_s >= due_s - 1 && took_s <= due_s + 1);
}

// Windows may have the long ones before it still, though they have ended: of the last few.
void a_short_send_behind_long_ones_lingers_longer(void **)
{
    for (int between : {0, 1, 8}) {
        connection *one = connect_one();
        write_long(one, 2 * max_grown_size - piece);
        while (left_of(one) > 0)
            next_send(one);
        assert_int_equal(fake::sent(one->socket).size(), one->written);
        for (int i = 0; i < between; ++i) {
            write_long(one, 1);
            assert_int_equal(next_send(one), 1);
        }
        fake::set_send_room(one->socket, 0);
        write_long(one, 1);
        assert_int_equal(next_send(one), 1);
        free_one(one);
        int64_t took_s = go_on_for(one, 10000, 0);
        assert_true(fake::last_closed().was_reset);
        if (between == 8)
            assert_true(took_s <= limit_s + late_s);
        else
            assert_true(took_s >= 4 * limit_s);
    }
}

// What its program has made long has the limit as it is.
void a_size_of_the_programs_lingers_no_longer(void **)
{
    connection *one = connect_one();
    bufferevent_set_max_single_write(one->bev, max_grown_size);
    fake::set_send_room(one->socket, 0);
    write_long(one, max_grown_size);
    assert_int_equal(next_send(one), max_grown_size);
    free_one(one);
    assert_true(go_on_for(one, 10000, 0) <= limit_s + late_s);
    assert_true(fake::last_closed().was_reset);
}

// A limit on what is read, say, which leaves libevent's default for what is written at once out of account.
struct ev_token_bucket_cfg *limit_reading(const connection *one)
{
    struct ev_token_bucket_cfg *limit = ev_token_bucket_cfg_new(1, 1, EV_RATE_LIMIT_MAX, EV_RATE_LIMIT_MAX, nullptr);
    assert_int_equal(bufferevent_set_rate_limit(one->bev, limit), 0);
    return limit;
}

// As many bytes a second as without one suffice.
void who_has_a_rate_limit_is_not_timed_out(void **)
{
    for (int64_t timeout_s : {3, 30, 100}) {
        connection *one = connect_one();
        set_write_timeout(one, timeout_s);
        struct ev_token_bucket_cfg *limit = limit_reading(one);
        fake::set_send_room(one->socket, 0);
        write_long(one);
        next_send(one);
        assert_int_equal(go_on_for(one, 5 * timeout_s, least_rate(timeout_s)), 5 * timeout_s);
        assert_int_equal(one->told, 0);
        free_one(one);
        ev_token_bucket_cfg_free(limit);
    }
}

void who_has_a_rate_limit_and_is_closed_gets_all(void **)
{
    connection *one = connect_one();
    struct ev_token_bucket_cfg *limit = limit_reading(one);
    fake::set_send_room(one->socket, 0);
    write_long(one);
    next_send(one);
    one->written -= left_of(one); // that is lost, as on select
    free_one(one);
    ev_token_bucket_cfg_free(limit);
    go_on_for(one, 10 * limit_s, piece / limit_s + 1);
    assert_false(fake::is_open(one->socket));
    assert_false(fake::last_closed().was_reset);
    assert_int_equal(fake::last_closed().delivered.size(), one->written);
}

// A descriptor taken back and used again: what has ended is no excuse for what comes next.
void is_forgotten_when_nothing_lingers(void **)
{
    connection *one = connect_one();
    grow(one);
    fake::set_send_room(one->socket, 0);
    assert_int_equal(next_send(one), max_grown_size);
    bufferevent_setfd(one->bev, -1);
    fake::set_send_room(one->socket, SIZE_MAX);
    for (int turns = 0; turns < 10; ++turns)
        turn(base);
    struct bufferevent *next =
        bufferevent_socket_new(base, static_cast<evutil_socket_t>(one->socket), BEV_OPT_CLOSE_ON_FREE);
    bufferevent_enable(next, EV_WRITE);
    fake::set_send_room(one->socket, 0);
    assert_int_equal(bufferevent_write(next, "x", 1), 0);
    turn(base);
    bufferevent_free(next);
    free_one(one);
    assert_true(go_on_for(one, 10000, 0) <= limit_s + late_s);
    assert_true(fake::last_closed().was_reset);
}

} // namespace

int main()
{
#define SLOW_PEER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_long_outputs, tear_down_long_outputs)
    const struct CMUnitTest tests[] = {
        SLOW_PEER_TEST(who_turns_slow_is_not_timed_out),
        SLOW_PEER_TEST(a_timeout_bounds_what_is_in_flight),
        SLOW_PEER_TEST(who_takes_nothing_is_timed_out_in_time),
        SLOW_PEER_TEST(who_is_closed_and_slow_gets_all),
        SLOW_PEER_TEST(who_is_closed_and_takes_nothing_is_reset),
        SLOW_PEER_TEST(others_linger_no_longer),
        SLOW_PEER_TEST(bytes_are_bounded_as_before),
        SLOW_PEER_TEST(a_shorter_limit_holds_for_each_piece),
        SLOW_PEER_TEST(a_short_send_behind_long_ones_lingers_longer),
        SLOW_PEER_TEST(a_size_of_the_programs_lingers_no_longer),
        SLOW_PEER_TEST(who_has_a_rate_limit_is_not_timed_out),
        SLOW_PEER_TEST(who_has_a_rate_limit_and_is_closed_gets_all),
        SLOW_PEER_TEST(is_forgotten_when_nothing_lingers),
    };
    return cmocka_run_group_tests_name("slow_peers", tests, nullptr, nullptr);
}
