// What TLS puts into a stream while nothing leaves: how much is taken, and who is told when. On the fake kernel.
#include "support/check.h"

#include "support/bases.h"

#include "bufferevent/stream_queue.h"

using namespace iocp;

namespace {

constexpr int max_settling_turns = 2000;

struct event_base *base;
SOCKET socket_fd;
stream *self;
counted *writer;

int set_up(void **)
{
    fake::boot(1);
    catch_log();
    base = make_base(on_iocp);
    base->th_owner_id = loop_thread;
    socket_fd = fake::open_socket(fake::kind::stream);
    fake::connect_now(socket_fd);
    self = stream_attach(backend_of(base), static_cast<evutil_socket_t>(socket_fd), &socket_fd, false);
    writer = count_events(base, static_cast<evutil_socket_t>(socket_fd), EV_WRITE | EV_PERSIST);
    return self != nullptr ? 0 : -1;
}

int tear_down(void **)
{
    free_counted(writer);
    if (fake::is_open(socket_fd))
        evutil_closesocket(static_cast<evutil_socket_t>(socket_fd));
    event_base_free(base);
    assert_null(fake::complaint_after_free());
    return 0;
}

// As in a callback.
int put(const std::string &bytes, bool is_last = false)
{
    base->running_loop = 1;
    int result = stream_put(self, bytes.data(), static_cast<int>(bytes.size()), is_last);
    base->running_loop = 0;
    return result;
}

bool settles(bool (*condition)())
{
    for (int turns = 0; turns < max_settling_turns && !condition(); ++turns) {
        fake::advance_us(1000);
        turn(base);
    }
    return condition();
}

void would_block_when_full(void **)
{
    fake::set_send_room(socket_fd, 0);
    std::string all(max_queued / 2, 'a');
    put(all);
    assert_int_equal(stream_flush(self), 0);
    std::string more(max_queued / 2, 'b'); // while a send is in flight
    assert_int_equal(put(more), more.size());
    assert_int_equal(put("second"), -1);
    assert_int_equal(WSAGetLastError(), WSAEWOULDBLOCK);
    event_add(writer->registered, nullptr);
    for (int i = 0; i < 5; ++i)
        turn(base);
    assert_int_equal(writer->count, 0);
    fake::set_send_room(socket_fd, SIZE_MAX);
    assert_true(settles([] { return writer->count > 0; }));
    assert_int_equal(put("second"), 6);
    assert_true(settles([] { return fake::sent(socket_fd).size() >= max_queued + 6; }));
    assert_true(fake::sent(socket_fd) == all + more + "second");
}

// So that what leaves an output is with the kernel. What OpenSSL has to say by itself is taken all the same.
void not_writable_beside_a_send_in_flight(void **)
{
    fake::set_send_room(socket_fd, 0);
    put("in flight");
    assert_int_equal(stream_flush(self), 0);
    event_add(writer->registered, nullptr);
    for (int i = 0; i < 5; ++i)
        turn(base);
    assert_int_equal(writer->count, 0);
    assert_int_equal(put(" and this"), 9);
    fake::set_send_room(socket_fd, SIZE_MAX);
    assert_true(settles([] { return writer->count > 0 && fake::sent(socket_fd) == "in flight and this"; }));
}

// However short its records.
void a_full_queue_is_one_send(void **)
{
    constexpr size_t sizes[] = {23, 400, 977, 2001, 4070, 4096, 6000, 8177, 8200, 16384, 16406, 30000};
    for (size_t size : sizes) {
        tear_down(nullptr);
        assert_int_equal(set_up(nullptr), 0);
        fake::set_send_room(socket_fd, 0);
        std::string record(size, 'r');
        size_t length = size % 100;
        put(record.substr(0, length));
        for (; length < max_queued; length += size)
            assert_int_equal(put(record), size);
        assert_int_equal(stream_flush(self), 0);
        assert_int_equal(fake::calls(fake::call::send), 1);
        fake::set_send_room(socket_fd, SIZE_MAX);
        if (fake::sent(socket_fd).size() != length)
            fail_msg("records of %u: %u bytes of %u in the first send", static_cast<unsigned>(size),
                     static_cast<unsigned>(fake::sent(socket_fd).size()), static_cast<unsigned>(length));
    }
}

void much_is_sent_before_more_is_taken(void **)
{
    std::string half(max_queued / 2, 'x');
    put(half);
    put(half);
    assert_int_equal(fake::calls(fake::call::send), 0);
    put("more");
    assert_int_equal(fake::sent(socket_fd).size(), max_queued);
}

// But not without end.
void last_words_are_taken_when_it_is_full(void **)
{
    fake::set_send_room(socket_fd, 0);
    put(std::string(max_queued, 'a'));
    assert_int_equal(stream_flush(self), 0);
    assert_int_equal(put("more"), -1);
    assert_int_equal(put("bye", true), 3);
    while (put(std::string(1000, 'b'), true) > 0)
        continue;
    assert_int_equal(WSAGetLastError(), WSAEWOULDBLOCK);
    fake::set_send_room(socket_fd, SIZE_MAX);
    assert_true(settles([] { return fake::sent(socket_fd).size() >= max_queued_at_last; }));
    assert_true(fake::sent(socket_fd).size() < max_queued_at_last + 1000);
    assert_true(fake::sent(socket_fd).substr(max_queued, 4) == "byeb");
}

// So that a peer which takes 16 KiB a minute has it all, as of a plain connection.
void it_lingers_for_each_16_kib(void **)
{
    constexpr int limit_s = 60;
    fake::set_send_room(socket_fd, 0);
    assert_int_equal(put(std::string(max_queued, 'a')), max_queued);
    assert_int_equal(stream_flush(self), 0);
    evutil_closesocket(static_cast<evutil_socket_t>(socket_fd));
    int lingered_s = 0;
    for (; fake::is_open(socket_fd) && lingered_s < 10 * limit_s; ++lingered_s) {
        fake::advance_us(1000 * 1000);
        turn(base);
    }
    assert_true(fake::last_closed().was_reset);
    assert_in_range(lingered_s, 4 * limit_s, 4 * limit_s + limit_s / 4);
}

} // namespace

int main()
{
    use_fake_threads();
#define FULL_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        FULL_TEST(would_block_when_full),      FULL_TEST(not_writable_beside_a_send_in_flight),
        FULL_TEST(a_full_queue_is_one_send),   FULL_TEST(last_words_are_taken_when_it_is_full),
        FULL_TEST(it_lingers_for_each_16_kib), FULL_TEST(much_is_sent_before_more_is_taken),
    };
    return cmocka_run_group_tests_name("stream_queue_full", tests, nullptr, nullptr);
}
