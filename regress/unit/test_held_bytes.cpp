// Bytes that a stream holds, on the fake kernel: they are read once, whatever the program does while they change hands,
// and kept for the next reader of the same connection, and for no other.
#include <string>

#include "support/check.h"

#include "support/bases.h"
#include "support/fake_kernel.h"
#include "support/guard.h"

#include "backend/backend.h"

using namespace iocp;

namespace {

struct event_base *base, *other;
struct bufferevent *bev;
SOCKET fd;
std::string said, heard;

void turns(struct event_base *whose, int count)
{
    for (int i = 0; i < count; ++i) {
        fake::advance_us(1000);
        turn_to_port(whose);
    }
}

void say(size_t length)
{
    std::string bytes(length, ' ');
    for (char &byte : bytes)
        byte = static_cast<char>(fake::random());
    said += bytes;
    fake::peer_sends(fd, bytes);
}

void hear(struct evbuffer *input)
{
    std::string bytes(evbuffer_get_length(input), ' ');
    evbuffer_remove(input, &bytes[0], bytes.size());
    heard += bytes;
}

void on_read(struct bufferevent *from, void *)
{
    hear(bufferevent_get_input(from));
}

void open_on(struct event_base *whose, int options)
{
    bev = bufferevent_socket_new(whose, static_cast<evutil_socket_t>(fd), options);
    bufferevent_setcb(bev, on_read, nullptr, nullptr, nullptr);
    bufferevent_enable(bev, EV_READ);
}

void connect_new()
{
    fd = fake::open_socket(fake::kind::stream);
    fake::connect_now(fd);
}

int set_up(void **)
{
    fake::boot(1);
    catch_log();
    said.clear();
    heard.clear();
    base = make_base(on_iocp);
    other = make_base(on_iocp);
    connect_new();
    open_on(base, BEV_OPT_CLOSE_ON_FREE);
    return 0;
}

int tear_down(void **)
{
    if (bev != nullptr)
        bufferevent_free(bev);
    bev = nullptr;
    event_base_free(base);
    event_base_free(other);
    return check_nothing_is_left();
}

// So that its receives have a buffer which is handed to the input as it is.
void grow_receives()
{
    turns(base, 1);
    for (int i = 0; i < 4; ++i) {
        say(64 * 1024);
        turns(base, 40);
    }
    assert_true(heard == said);
}

void hear_at_once(struct evbuffer *input, const struct evbuffer_cb_info *info, void *)
{
    if (info->n_added > 0)
        hear(input);
}

// The memory that was handed over is freed before it has been handed over.
void a_callback_drains_the_input(void **)
{
    grow_receives();
    evbuffer_add_cb(bufferevent_get_input(bev), hear_at_once, nullptr);
    say(16 * 1024);
    turns(base, 4);
    assert_true(heard == said);
    say(100);
    turns(base, 4);
    assert_true(heard == said);
}

void free_at_once(struct evbuffer *, const struct evbuffer_cb_info *info, void *)
{
    if (info->n_added == 0 || bev == nullptr)
        return;
    bufferevent_free(bev);
    bev = nullptr;
}

// A bufferevent may be freed by a callback of its input, as on select.
void a_callback_frees_the_bufferevent(void **)
{
    for (size_t limit : {0, 10}) // by a reference to all, or by a copy of a part
        for (size_t length : {16 * 1024, 100}) {
            if (bev == nullptr) {
                connect_new();
                open_on(base, BEV_OPT_CLOSE_ON_FREE);
            }
            grow_receives();
            if (limit != 0)
                bufferevent_set_max_single_read(bev, limit);
            evbuffer_add_cb(bufferevent_get_input(bev), free_at_once, nullptr);
            fake::peer_sends(fd, std::string(length, 'x'));
            turns(base, 4);
            assert_null(bev);
        }
}

void move_at_once(struct evbuffer *, const struct evbuffer_cb_info *info, void *)
{
    if (info->n_added > 0)
        bufferevent_setfd(bev, -1);
}

// What is in the input already does not come again.
void a_callback_takes_the_descriptor(void **)
{
    for (int limit : {0, 10})
        for (size_t length : {16 * 1024, 100}) {
            grow_receives();
            if (limit != 0)
                bufferevent_set_max_single_read(bev, static_cast<size_t>(limit));
            struct evbuffer_cb_entry *moves = evbuffer_add_cb(bufferevent_get_input(bev), move_at_once, nullptr);
            say(length);
            turns(base, 4);
            evbuffer_remove_cb_entry(bufferevent_get_input(bev), moves);
            assert_int_equal(bufferevent_getfd(bev), -1);
            bufferevent_set_max_single_read(bev, 0);
            bufferevent_setfd(bev, static_cast<evutil_socket_t>(fd));
            turns(base, 4);
            hear(bufferevent_get_input(bev));
            assert_int_equal(heard.size(), said.size());
            assert_true(heard == said);
        }
}

// Kept by a base that has it by readiness, then held by a stream of that base, and given back unread.
void moved_twice(void **)
{
    grow_receives();
    say(100);
    bufferevent_disable(bev, EV_READ);
    bufferevent_setfd(bev, -1);
    bufferevent_free(bev);
    turns(base, 2);
    open_on(other, 0);
    bufferevent_free(bev);
    open_on(other, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setfd(bev, -1);
    bufferevent_free(bev);
    turns(other, 2);
    open_on(other, BEV_OPT_CLOSE_ON_FREE);
    say(10);
    turns(other, 4);
    assert_int_equal(heard.size(), said.size());
    assert_true(heard == said);
}

// Its program has closed the socket by itself, and tells of the next one of that number.
void not_those_of_an_earlier_connection(void **)
{
    grow_receives();
    heard.clear();
    fake::peer_sends(fd, std::string(100, 'x'));
    bufferevent_disable(bev, EV_READ);
    turns(base, 3);
    SOCKET before = fd;
    fake::close_by_program(fd);
    connect_new();
    assert_int_equal(fd, before);
    bufferevent_setfd(bev, static_cast<evutil_socket_t>(fd));
    bufferevent_enable(bev, EV_READ);
    fake::peer_sends(fd, "new");
    turns(base, 5);
    assert_string_equal(heard.c_str(), "new");
}

// 4 of 100 bytes have been read, the stream holds the others, and its bufferevent may have no more.
struct bufferevent *holding()
{
    turns(base, 1);
    say(10);
    turns(base, 4);
    bufferevent_setcb(bev, nullptr, nullptr, nullptr, nullptr);
    bufferevent_setwatermark(bev, EV_READ, 0, 4);
    say(100);
    turns(base, 4);
    struct bufferevent *held = bev;
    hear(bufferevent_get_input(held));
    assert_int_equal(heard.size(), 14);
    bufferevent_setwatermark(bev, EV_READ, 0, 0);
    return held;
}

// The next one is made, and reads, before its program takes the descriptor from the last one.
void the_next_is_made_first(void **)
{
    for (int options : {int(BEV_OPT_CLOSE_ON_FREE), 0})
        for (bool reads_on : {false, true}) {
            heard.clear();
            said.clear();
            struct bufferevent *last = holding();
            if (!reads_on)
                bufferevent_disable(last, EV_READ);
            open_on(base, options);
            if (!reads_on) { // and goes on for a while
                say(5);
                turns(base, 4);
                assert_true(heard == said);
            }
            bufferevent_setfd(last, -1);
            bufferevent_free(last);
            turns(base, 4);
            assert_int_equal(heard.size(), said.size());
            say(20);
            bufferevent_write(bev, "answer", 6);
            turns(base, 6);
            assert_true(heard == said);
            assert_string_equal(fake::sent(fd).c_str(), "answer");
            bufferevent_free(bev);
            if (options == 0)
                fake::close_by_program(fd);
            turns(base, 2);
            connect_new();
            open_on(base, BEV_OPT_CLOSE_ON_FREE);
        }
}

// And the last one goes on to read, while the next only writes.
void two_share_the_descriptor(void **)
{
    struct bufferevent *last = holding();
    bufferevent_setcb(last, on_read, nullptr, nullptr, nullptr);
    struct bufferevent *writes = bufferevent_socket_new(base, static_cast<evutil_socket_t>(fd), 0);
    bufferevent_write(writes, "answer", 6);
    turns(base, 4);
    assert_int_equal(heard.size(), said.size());
    say(20);
    turns(base, 4);
    assert_true(heard == said);
    assert_string_equal(fake::sent(fd).c_str(), "answer");
    bufferevent_free(writes);
    turns(base, 2);
    assert_true(fake::is_open(fd));
}

// The last one has given them back, and an event of the program's own is there before the next reader is.
counted *watched_with_kept_bytes(short what)
{
    struct bufferevent *last = holding();
    bufferevent_setfd(last, -1);
    bufferevent_free(last);
    turns(base, 2);
    counted *watching = count_events(base, static_cast<evutil_socket_t>(fd), static_cast<short>(what | EV_PERSIST));
    event_add(watching->registered, nullptr);
    turns(base, 2);
    return watching;
}

void past_an_event_of_the_programs(void **)
{
    counted *closes = watched_with_kept_bytes(EV_CLOSED);
    open_on(base, BEV_OPT_CLOSE_ON_FREE);
    say(20);
    turns(base, 6);
    assert_int_equal(heard.size(), said.size());
    assert_true(heard == said);
    assert_int_equal(closes->count, 0);
    free_counted(closes);
}

// The loop sleeps, with an event of the program's own that nothing comes for.
void for_one_that_another_thread_makes(void **)
{
    counted *reads = watched_with_kept_bytes(EV_READ);
    static size_t soon;
    soon = 0;
    struct timeval limit = {1, 0};
    event_base_loopexit(base, &limit);
    fake::at(fake::now_us() + 1000, [] {
        become_thread(other_thread);
        open_on(base, BEV_OPT_CLOSE_ON_FREE);
        become_thread(loop_thread);
    });
    fake::at(fake::now_us() + 2000, [] { soon = heard.size(); });
    event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
    assert_int_equal(soon, said.size());
    free_counted(reads);
}

short ended;

void on_event(struct bufferevent *, short what, void *)
{
    ended = what;
}

// It stays for its program's answers, and so may thousands: what it received with is for others.
void one_that_has_ended_has_no_buffer(void **)
{
    struct event_iocp_stats stats;
    grow_receives();
    assert_int_equal(event_iocp_get_stats(base, &stats, sizeof(stats)), 0);
    assert_true(stats.receive_buffer_bytes > 0);
    fake::peer_finishes(fd);
    turns(base, 5);
    assert_int_equal(event_iocp_get_stats(base, &stats, sizeof(stats)), 0);
    assert_int_equal(stats.receive_buffer_bytes, 0);
}

// What cannot be kept for the next reader is not passed over in silence.
void no_memory_to_keep_them(void **)
{
    for (unsigned allowed = 0; allowed < 4; ++allowed) {
        grow_receives();
        heard.clear();
        said.clear();
        ended = 0;
        say(100);
        bufferevent_disable(bev, EV_READ);
        turns(base, 3);
        guard::fail_allocations(allowed, 1);
        bufferevent_setfd(bev, -1);
        guard::fail_allocations(0, 0);
        bufferevent_setcb(bev, on_read, nullptr, on_event, nullptr);
        bufferevent_setfd(bev, static_cast<evutil_socket_t>(fd));
        bufferevent_enable(bev, EV_READ);
        say(3);
        turns(base, 5);
        assert_true(heard == said || (heard.empty() && ended != 0));
        bufferevent_free(bev);
        turns(base, 2);
        connect_new();
        open_on(base, BEV_OPT_CLOSE_ON_FREE);
        heard.clear();
        said.clear();
    }
}

} // namespace

int main()
{
    use_fake_threads();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_callback_drains_the_input, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_callback_frees_the_bufferevent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_callback_takes_the_descriptor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(moved_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(not_those_of_an_earlier_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_next_is_made_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_share_the_descriptor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(past_an_event_of_the_programs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(for_one_that_another_thread_makes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_has_ended_has_no_buffer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_memory_to_keep_them, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("held bytes", tests, nullptr, nullptr);
}
