// What TLS puts into a stream and takes out of it, on the fake kernel.
#include "support/check.h"

#include "support/bases.h"

#include "backend/socket_record.h"
#include "bufferevent/stream_queue.h"

using namespace iocp;

namespace {

constexpr int seeds = 1500;
constexpr int steps = 120;
constexpr int max_settling_turns = 2000;

struct event_base *base;
SOCKET socket_fd;
stream *self;
counted *writer;

stream *attach(SOCKET socket, bool to_connect)
{
    stream *attached = stream_attach(backend_of(base), static_cast<evutil_socket_t>(socket), &socket_fd, to_connect);
    assert_non_null(attached);
    return attached;
}

void open_world(uint64_t seed, const fake::chances &odds)
{
    fake::boot(seed, odds);
    base = make_base(on_iocp);
    base->th_owner_id = loop_thread;
    socket_fd = fake::open_socket(fake::kind::stream);
    fake::connect_now(socket_fd);
    self = attach(socket_fd, false);
    writer = count_events(base, static_cast<evutil_socket_t>(socket_fd), EV_WRITE | EV_PERSIST);
}

// Its life ends with that of its descriptor.
void close_socket()
{
    if (self != nullptr || fake::is_open(socket_fd))
        assert_int_equal(evutil_closesocket(static_cast<evutil_socket_t>(socket_fd)), 0);
    self = nullptr;
}

void close_world()
{
    free_counted(writer);
    close_socket();
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

int set_up(void **)
{
    open_world(1, fake::no_chances);
    catch_log();
    return 0;
}

int tear_down(void **)
{
    close_world();
    return 0;
}

int put_between_runs(const std::string &bytes)
{
    return stream_put(self, bytes.data(), static_cast<int>(bytes.size()));
}

// As in a callback.
int put(const std::string &bytes)
{
    base->running_loop = 1;
    int result = put_between_runs(bytes);
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

// --- sending --------------------------------------------------------------------------------------------------------

void one_send_for_what_is_put_in_one_turn(void **)
{
    for (const char *record : {"one ", "two ", "three"})
        assert_int_equal(put(record), strlen(record));
    assert_int_equal(fake::calls(fake::call::send), 0);
    assert_int_equal(stream_flush(self), 0);
    assert_int_equal(fake::calls(fake::call::send), 1);
    assert_string_equal(fake::sent(socket_fd).c_str(), "one two three");
}

void what_nobody_flushes_goes_with_the_next_turn(void **)
{
    put("late");
    turn(base);
    assert_string_equal(fake::sent(socket_fd).c_str(), "late");
}

void sent_at_once_while_no_loop_runs(void **)
{
    assert_int_equal(put_between_runs("last"), 4);
    assert_string_equal(fake::sent(socket_fd).c_str(), "last");
}

// The loop sleeps, and nothing else wakes it soon.
void another_threads_are_sent_at_once(void **)
{
    static std::string soon;
    soon.clear();
    struct timeval limit = {1, 0};
    event_base_loopexit(base, &limit);
    fake::at(fake::now_us() + 1000, [] {
        become_thread(other_thread);
        put_between_runs("from beside");
        become_thread(loop_thread);
    });
    fake::at(fake::now_us() + 2000, [] { soon = fake::sent(socket_fd); });
    event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
    assert_string_equal(soon.c_str(), "from beside");
}

void an_error_is_told_to_the_next_put(void **)
{
    put("lost");
    fake::peer_resets(socket_fd);
    assert_int_equal(stream_flush(self), 0); // its packet says it
    assert_true(settles([] { return put("more") == -1 && WSAGetLastError() != WSAEWOULDBLOCK; }));
    assert_int_equal(WSAGetLastError(), WSAECONNRESET);
}

// Whatever the order: all that was taken is sent, once and in order.
void every_byte_in_order(void **)
{
    close_world();
    for (uint64_t seed = 1; seed <= seeds; ++seed) {
        open_world(seed, fake::all_chances);
        static std::string taken;
        taken.clear();
        for (int step = 0; step < steps; ++step) {
            std::string bytes(1 + fake::random() % 5000, static_cast<char>('a' + step % 26));
            if (fake::happens(500) && put(bytes) > 0)
                taken += bytes;
            if (fake::happens(300))
                stream_flush(self);
            if (fake::happens(200))
                fake::set_send_room(socket_fd, fake::happens(500) ? 0 : SIZE_MAX);
            if (fake::happens(400))
                turn(base);
        }
        fake::set_send_room(socket_fd, SIZE_MAX);
        event_add(writer->registered, nullptr);
        bool sent = settles([] { return fake::sent(socket_fd).size() >= taken.size(); });
        if (!sent || fake::sent(socket_fd) != taken)
            fail_msg("seed %u: %u bytes of %u were sent", static_cast<unsigned>(seed),
                     static_cast<unsigned>(fake::sent(socket_fd).size()), static_cast<unsigned>(taken.size()));
        close_world();
    }
    open_world(1, fake::no_chances);
}

// --- going ----------------------------------------------------------------------------------------------------------

void a_closed_socket_lives_until_its_send_has_ended(void **)
{
    fake::set_send_room(socket_fd, 0);
    put("the last words");
    close_socket();
    assert_true(fake::is_open(socket_fd));
    fake::set_send_room(socket_fd, SIZE_MAX);
    assert_string_equal(fake::sent(socket_fd).c_str(), "the last words");
    assert_true(settles([] { return !fake::is_open(socket_fd); }));
    assert_int_equal(fake::calls(fake::call::cancel), 0);
}

void a_base_that_is_freed_closes_it_too(void **)
{
    fake::set_send_room(socket_fd, 0);
    put("the last words");
    close_socket();
    free_counted(writer);
    event_base_free(base);
    assert_false(fake::is_open(socket_fd));
    assert_null(fake::complaint_after_free());
    open_world(1, fake::no_chances);
}

// What was put after the send in flight goes too, and the socket is closed after the last.
void the_rest_of_the_queue_lingers_too(void **)
{
    fake::set_send_room(socket_fd, 0);
    put("first ");
    stream_flush(self);
    put("second");
    close_socket();
    fake::set_send_room(socket_fd, SIZE_MAX);
    assert_string_equal(fake::sent(socket_fd).c_str(), "first ");
    assert_true(settles([] { return !fake::is_open(socket_fd); }));
    assert_string_equal(fake::last_closed().sent.c_str(), "first second");
    assert_false(fake::last_closed().was_reset);
}

// They are lost, though whoever put them took them for sent: the peer is told so.
void without_memory_for_the_last_send_it_is_reset(void **)
{
    fake::fail_calls(fake::call::send, WSAENOBUFS, 1);
    put("the last words");
    close_socket();
    assert_true(settles([] { return !fake::is_open(socket_fd); }));
    assert_string_equal(fake::last_closed().sent.c_str(), "");
    assert_true(fake::last_closed().was_reset);
}

// The stream went first, and the program closes the socket itself.
void a_socket_closed_after_its_stream_lingers_too(void **)
{
    fake::set_send_room(socket_fd, 0);
    put("the last words");
    stream_flush(self);
    stream_release(self, false);
    self = nullptr;
    evutil_closesocket(static_cast<evutil_socket_t>(socket_fd));
    assert_true(fake::is_open(socket_fd));
    fake::set_send_room(socket_fd, SIZE_MAX);
    assert_string_equal(fake::sent(socket_fd).c_str(), "the last words");
    assert_true(settles([] { return !fake::is_open(socket_fd); }));
}

void a_stream_that_goes_leaves_its_send_alone(void **)
{
    fake::set_send_room(socket_fd, 0);
    put("on its way");
    stream_flush(self);
    stream_release(self, false);
    self = nullptr;
    assert_int_equal(fake::calls(fake::call::cancel), 0);
    fake::set_send_room(socket_fd, SIZE_MAX);
    assert_string_equal(fake::sent(socket_fd).c_str(), "on its way");
    turn_to_port(base);
    assert_true(fake::is_open(socket_fd));
}

// Who keeps a pointer to it knows whether what it had to say may be overtaken, and what it had heard is missing.
void who_sees_it_knows_how_it_went(void **)
{
    for (size_t room : {size_t{0}, SIZE_MAX}) {
        stream_sight sight = {};
        assert_true(stream_set_seen_by(self, &sight));
        assert_ptr_equal(sight.used.load(), self);
        fake::set_send_room(socket_fd, room);
        put("the last words");
        stream_flush(self);
        close_socket();
        assert_null(sight.used.load());
        assert_true(sight.is_closed);
        assert_int_equal(sight.leaves_rest, room == 0);
        close_world();
        open_world(1, fake::no_chances);
    }
    stream_sight sight = {};
    assert_true(stream_set_seen_by(self, &sight));
    stream_release(self, false);
    self = nullptr;
    assert_null(sight.used.load());
    assert_false(sight.is_closed);
}

// --- taking ---------------------------------------------------------------------------------------------------------

void takes_in_pieces_what_one_receive_brought(void **)
{
    counted *reader = count_events(base, static_cast<evutil_socket_t>(socket_fd), EV_READ | EV_PERSIST);
    event_add(reader->registered, nullptr);
    char bytes[8];
    assert_int_equal(stream_take(self, bytes, 5), -1);
    assert_int_equal(WSAGetLastError(), WSAEWOULDBLOCK);
    assert_int_equal(fake::calls(fake::call::receive_now), 0);
    fake::peer_sends(socket_fd, "headbody");
    for (int tries = 0; tries < 20 && reader->count == 0; ++tries)
        turn(base);
    assert_int_equal(stream_take(self, bytes, 4), 4);
    assert_memory_equal(bytes, "head", 4);
    int before = reader->count;
    turn(base);
    assert_true(reader->count > before); // there is more
    assert_int_equal(stream_take(self, bytes, 8), 4);
    assert_memory_equal(bytes, "body", 4);
    assert_true(fake::calls(fake::call::receive_now) <= 1);
    fake::peer_finishes(socket_fd);
    before = reader->count;
    for (int tries = 0; tries < 20 && reader->count == before; ++tries)
        turn(base);
    assert_int_equal(stream_take(self, bytes, 8), 0);
    assert_int_equal(stream_take(self, bytes, 8), 0);
    free_counted(reader);
}

// --- stepping aside -------------------------------------------------------------------------------------------------

// A connect goes on when the program puts a way of its own to the socket in place of ours.
void check_step_aside(nt_status outcome)
{
    close_world();
    fake::boot(1);
    base = make_base(on_iocp);
    socket_fd = fake::open_socket(fake::kind::stream, 0);
    self = attach(socket_fd, true);
    writer = count_events(base, static_cast<evutil_socket_t>(socket_fd), EV_WRITE | EV_PERSIST);
    struct sockaddr_in address = {};
    address.sin_family = AF_INET;
    fake::set_connect_result(0x00000103); // pending
    assert_int_equal(stream_connect(self, reinterpret_cast<struct sockaddr *>(&address), sizeof(address)), 0);
    event_add(writer->registered, nullptr);
    turn_to_port(base);
    stream_step_aside(self);
    assert_int_equal(fake::calls(fake::call::cancel), 0);
    fake::set_connect_result(outcome);
    if (outcome == 0)
        fake::set_level(socket_fd, sys::afd_send);
    assert_true(settles([] { return writer->count > 0; }));
    self = nullptr; // it has freed itself
    assert_true(stream_find(backend_of(base), static_cast<evutil_socket_t>(socket_fd)) == nullptr);
}

void steps_aside_after_its_connect(void **)
{
    check_step_aside(0);
    assert_true(fake::polls_waiting(socket_fd) > 0 || fake::calls(fake::call::afd_poll) > 0);
}

void steps_aside_after_a_failed_connect(void **)
{
    check_step_aside(static_cast<nt_status>(0xC0000236)); // refused
}

} // namespace

int main()
{
    use_fake_threads();
#define QUEUE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(one_send_for_what_is_put_in_one_turn),
        QUEUE_TEST(what_nobody_flushes_goes_with_the_next_turn),
        QUEUE_TEST(sent_at_once_while_no_loop_runs),
        QUEUE_TEST(another_threads_are_sent_at_once),
        QUEUE_TEST(an_error_is_told_to_the_next_put),
        QUEUE_TEST(every_byte_in_order),
        QUEUE_TEST(a_closed_socket_lives_until_its_send_has_ended),
        QUEUE_TEST(a_base_that_is_freed_closes_it_too),
        QUEUE_TEST(the_rest_of_the_queue_lingers_too),
        QUEUE_TEST(without_memory_for_the_last_send_it_is_reset),
        QUEUE_TEST(a_socket_closed_after_its_stream_lingers_too),
        QUEUE_TEST(a_stream_that_goes_leaves_its_send_alone),
        QUEUE_TEST(who_sees_it_knows_how_it_went),
        QUEUE_TEST(takes_in_pieces_what_one_receive_brought),
        QUEUE_TEST(steps_aside_after_its_connect),
        QUEUE_TEST(steps_aside_after_a_failed_connect),
    };
    return cmocka_run_group_tests_name("stream_queue", tests, nullptr, nullptr);
}
