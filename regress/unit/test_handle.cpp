// Bufferevents over files on the fake kernel, which keeps to what Windows does with pipes and serial ports: what waits
// without a buffer and what cannot, what fails in its call and yet sends a packet, what is nothing and no end.
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_file.h"
#include "support/fake_kernel.h"

#include "backend/backend.h"
#include "bufferevent/receive_operation.h"
#include "bufferevent/send_operation.h"

#include "event2/iocp.h"

using namespace iocp;

namespace {

constexpr int max_turns = 200;
constexpr sys::transport kinds[] = {sys::transport::pipe, sys::transport::messages, sys::transport::device};

struct event_base *base;

struct user {
    HANDLE file;
    struct bufferevent *bev;
    std::string heard;
    short what;
    int error;
};

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
    assert_null(fake::complaint_after_free());
    return 0;
}

void on_read(struct bufferevent *bev, void *argument)
{
    char bytes[4096];
    while (size_t got = bufferevent_read(bev, bytes, sizeof(bytes)))
        static_cast<user *>(argument)->heard.append(bytes, got);
}

void on_event(struct bufferevent *, short what, void *argument)
{
    auto *self = static_cast<user *>(argument);
    self->error = EVUTIL_SOCKET_ERROR();
    self->what = what;
}

void open_user(user *self, sys::transport by, int options = BEV_OPT_CLOSE_ON_FREE)
{
    *self = user();
    self->file = fake::open_file(by);
    self->bev = bufferevent_iocp_handle_new(base, self->file, options);
    assert_non_null(self->bev);
    bufferevent_setcb(self->bev, on_read, nullptr, on_event, self);
    assert_int_equal(bufferevent_enable(self->bev, EV_READ | EV_WRITE), 0);
    turn_to_port(base);
}

void turns(int count)
{
    for (int i = 0; i < count; ++i) {
        fake::advance_us(1000);
        turn(base);
    }
}

void free_user(user *self)
{
    bufferevent_free(self->bev);
    for (int i = 0; i < max_turns && fake::file_is_open(self->file); ++i)
        turns(1);
    assert_false(fake::file_is_open(self->file));
}

void say(user *self, const std::string &bytes)
{
    bufferevent_write(self->bev, bytes.data(), bytes.size());
}

uint64_t buffer_bytes()
{
    struct event_iocp_stats stats;
    assert_int_equal(event_iocp_get_stats(base, &stats, sizeof(stats)), 0);
    return stats.receive_buffer_bytes;
}

void an_idle_one_has_no_buffer_or_a_small_one(void **)
{
    for (sys::transport by : kinds) {
        user one;
        open_user(&one, by);
        turns(3);
        assert_int_equal(fake::operations_in_flight(), 1);
        assert_int_equal(buffer_bytes(), sys::waits_without_buffer(by) ? 0 : cold_receive_size);
        free_user(&one);
    }
}

// To call one back would make no room: it needs its small buffer again.
void a_small_buffer_is_not_called_back(void **)
{
    for (sys::transport by : {sys::transport::messages, sys::transport::device}) {
        user quiet, busy;
        open_user(&quiet, by);
        turns(100);
        open_user(&busy, sys::transport::pipe);
        size_t *spent = &backend_of(base)->streams.budget.spent;
        *spent += receive_budget_bytes;
        uint64_t cancels = fake::calls(fake::call::cancel);
        fake::file_peer_writes(busy.file, "x");
        turns(3);
        assert_string_equal(busy.heard.c_str(), "x");
        assert_int_equal(fake::calls(fake::call::cancel), cancels);
        *spent -= receive_budget_bytes;
        free_user(&busy);
        free_user(&quiet);
    }
}

void bytes_come_and_then_the_end(void **)
{
    for (sys::transport by : kinds) {
        user one;
        open_user(&one, by);
        std::string all;
        for (size_t length : {1u, 5000u, 100u, 70000u}) {
            all += std::string(length, 'a');
            fake::file_peer_writes(one.file, std::string(length, 'a'));
            turns(3);
        }
        fake::file_peer_closes(one.file);
        turns(60);
        assert_true(one.heard == all);
        assert_int_equal(one.what, BEV_EVENT_EOF | BEV_EVENT_READING);
        free_user(&one);
    }
}

void each_of_three_statuses_is_an_end(void **)
{
    for (ULONG status : {0xC000014Bul, 0xC00000B0ul, 0xC0000011ul}) {
        user one;
        open_user(&one, sys::transport::pipe);
        fake::set_next_status(static_cast<nt_status>(status));
        fake::file_peer_writes(one.file, "");
        turns(3);
        assert_int_equal(one.what, BEV_EVENT_EOF | BEV_EVENT_READING);
        free_user(&one);
    }
}

void another_status_is_an_error_by_its_win32_code(void **)
{
    user one;
    open_user(&one, sys::transport::pipe);
    fake::set_next_status(static_cast<nt_status>(0xC0000022));
    fake::file_peer_writes(one.file, "");
    turns(3);
    assert_int_equal(one.what, BEV_EVENT_ERROR | BEV_EVENT_READING);
    assert_int_equal(one.error, ERROR_ACCESS_DENIED);
    free_user(&one);
}

void a_part_of_a_message_is_no_error(void **)
{
    user one;
    open_user(&one, sys::transport::messages);
    std::string message(cold_receive_size * 40, 'm');
    fake::file_peer_writes(one.file, message);
    fake::file_peer_writes(one.file, "next");
    turns(30);
    assert_true(one.heard == message + "next");
    assert_int_equal(one.what, 0);
    free_user(&one);
}

void nothing_is_no_end(void **)
{
    for (sys::transport by : kinds) {
        user one;
        open_user(&one, by);
        for (int i = 0; i < 5; ++i) {
            fake::file_peer_writes(one.file, "");
            turns(15);
        }
        fake::file_peer_writes(one.file, "something");
        turns(30);
        assert_int_equal(one.what, 0);
        assert_string_equal(one.heard.c_str(), "something");
        assert_true(fake::calls(fake::call::file_receive) < 60);
        free_user(&one);
    }
}

void a_quiet_device_is_not_asked_over_and_over(void **)
{
    user one;
    open_user(&one, sys::transport::device);
    uint64_t before = fake::calls(fake::call::file_receive);
    turns(100);
    assert_int_equal(fake::calls(fake::call::file_receive), before);
    free_user(&one);
}

// Of one that ends its reads at once, whatever it is told: a loop that sleeps asks it some hundred times a second.
void a_device_that_does_not_wait_is_asked_now_and_then(void **)
{
    user one;
    one = user();
    one.file = fake::open_file(sys::transport::device);
    fake::refuse_time_outs(one.file);
    one.bev = bufferevent_iocp_handle_new(base, one.file, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(one.bev, on_read, nullptr, on_event, &one);
    bufferevent_enable(one.bev, EV_READ);
    struct timeval second = {1, 0};
    event_base_loopexit(base, &second);
    event_base_dispatch(base);
    assert_in_range(fake::calls(fake::call::file_receive), 20, 220);
    fake::file_peer_writes(one.file, "at last");
    event_base_loopexit(base, &second);
    event_base_dispatch(base);
    assert_string_equal(one.heard.c_str(), "at last");
    assert_int_equal(one.what, 0);
    free_user(&one);
}

// As a serial port with fAbortOnError does after an error on the line.
void a_device_that_aborts_in_its_call_is_an_error(void **)
{
    user one;
    open_user(&one, sys::transport::device);
    fake::fail_calls(fake::call::file_receive, ERROR_OPERATION_ABORTED);
    fake::file_peer_writes(one.file, "before");
    turns(5);
    assert_string_equal(one.heard.c_str(), "before");
    assert_int_equal(one.what, BEV_EVENT_ERROR | BEV_EVENT_READING);
    assert_int_equal(one.error, ERROR_OPERATION_ABORTED);
    fake::file_peer_writes(one.file, "after");
    assert_int_equal(bufferevent_enable(one.bev, EV_READ), 0);
    turns(5);
    assert_string_equal(one.heard.c_str(), "beforeafter");
    free_user(&one);
}

void a_device_that_aborts_by_packets_is_asked_now_and_then(void **)
{
    user one;
    open_user(&one, sys::transport::device);
    uint64_t before = fake::calls(fake::call::file_receive);
    std::function<void()> abort = [&abort] {
        fake::end_starting_thread();
        fake::at(fake::now_us() + 100, abort);
    };
    abort();
    struct timeval second = {1, 0};
    event_base_loopexit(base, &second);
    event_base_dispatch(base);
    assert_in_range(fake::calls(fake::call::file_receive) - before, 20, 220);
    assert_int_equal(one.what, 0);
    abort = [] {};
    free_user(&one);
}

// A read that was to find bytes would wait: it is called back, and the next one waits as it should.
void bytes_that_somebody_else_has_taken(void **)
{
    user one;
    open_user(&one, sys::transport::pipe);
    fake::hold_packets(true);
    fake::file_peer_writes(one.file, "theirs");
    fake::another_reader_takes_all(one.file);
    fake::hold_packets(false);
    fake::release_all();
    turns(5);
    assert_string_equal(one.heard.c_str(), "");
    fake::file_peer_writes(one.file, "ours");
    turns(5);
    assert_string_equal(one.heard.c_str(), "ours");
    free_user(&one);
}

void small_pieces_leave_as_one_write(void **)
{
    user one;
    open_user(&one, sys::transport::pipe);
    std::string all;
    for (int i = 0; i < 40; ++i) {
        std::string piece(100, static_cast<char>('a' + i % 26));
        all += piece;
        struct evbuffer *made = evbuffer_new();
        evbuffer_add(made, piece.data(), piece.size());
        bufferevent_write_buffer(one.bev, made);
        evbuffer_free(made);
    }
    turns(3);
    assert_int_equal(fake::calls(fake::call::file_send), 1);
    assert_true(fake::file_peer_reads(one.file) == all);
    free_user(&one);
}

const char *memory_in_flight(HANDLE file)
{
    for (const auto &entry : fake::k().operations)
        if (entry.second.file == file && entry.second.what == fake::work::send)
            return entry.second.buffers[0].buf;
    return nullptr;
}

// The first chain is large enough: the kernel is given it as it is.
void a_large_piece_is_not_copied(void **)
{
    user one;
    open_user(&one, sys::transport::pipe);
    fake::set_file_room(one.file, 0);
    bufferevent_set_max_single_write(one.bev, 1024 * 1024);
    struct evbuffer *made = evbuffer_new();
    std::string large(max_coalesced, 'l');
    evbuffer_add(made, large.data(), large.size());
    const unsigned char *memory = evbuffer_pullup(made, -1);
    bufferevent_write_buffer(one.bev, made);
    evbuffer_free(made);
    say(&one, std::string(max_coalesced, 'm'));
    turns(3);
    assert_ptr_equal(memory_in_flight(one.file), memory);
    fake::set_file_room(one.file, SIZE_MAX);
    turns(5);
    assert_true(fake::file_peer_reads(one.file) == large + std::string(max_coalesced, 'm'));
    free_user(&one);
}

void a_write_to_nobody_is_an_error(void **)
{
    user one;
    open_user(&one, sys::transport::pipe);
    bufferevent_disable(one.bev, EV_READ);
    fake::file_peer_closes(one.file);
    say(&one, "anybody?");
    turns(5);
    say(&one, "hello?");
    turns(5);
    assert_int_equal(one.what, BEV_EVENT_ERROR | BEV_EVENT_WRITING);
    assert_int_equal(one.error, ERROR_NO_DATA);
    free_user(&one);
}

// What it had sent by then nobody knows: to repeat it would send a part twice.
void a_write_that_was_cancelled_is_not_repeated(void **)
{
    user one;
    open_user(&one, sys::transport::pipe);
    fake::set_file_room(one.file, 600);
    say(&one, std::string(1000, 'x'));
    turns(3);
    fake::end_starting_thread();
    fake::set_file_room(one.file, SIZE_MAX);
    turns(5);
    say(&one, "y");
    turns(5);
    assert_int_equal(one.what, BEV_EVENT_ERROR | BEV_EVENT_WRITING);
    assert_int_equal(one.error, ERROR_OPERATION_ABORTED);
    assert_true(fake::file_peer_reads(one.file).find('y') == std::string::npos);
    free_user(&one);
}

void a_plain_event_is_refused(void **)
{
    HANDLE file = fake::open_file(sys::transport::pipe);
    struct counted *plain = count_events(base, reinterpret_cast<evutil_socket_t>(file), EV_READ);
    assert_int_equal(event_add(plain->registered, nullptr), -1);
    assert_int_equal(WSAGetLastError(), WSAENOTSOCK);
    free_counted(plain);
    fake::close_file_by_program(file);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_idle_one_has_no_buffer_or_a_small_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_small_buffer_is_not_called_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_come_and_then_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_of_three_statuses_is_an_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_status_is_an_error_by_its_win32_code, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_part_of_a_message_is_no_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_no_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_quiet_device_is_not_asked_over_and_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_device_that_does_not_wait_is_asked_now_and_then, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_device_that_aborts_in_its_call_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_device_that_aborts_by_packets_is_asked_now_and_then, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_that_somebody_else_has_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(small_pieces_leave_as_one_write, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_large_piece_is_not_copied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_write_to_nobody_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_write_that_was_cancelled_is_not_repeated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_plain_event_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("handle", tests, nullptr, nullptr);
}
