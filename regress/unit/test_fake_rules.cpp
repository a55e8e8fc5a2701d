// The fake kernel holds its callers to the rules of transfers, connects and accepts: each test breaks one, and expects
// the complaint. (test_completion.cpp has those of polls.)
#include "support/check.h"

#include "support/fake_kernel.h"
#include "support/guard.h"

#include "backend/port.h"

using namespace iocp;

namespace {

constexpr size_t buffer_size = 64;
constexpr DWORD address_room = sizeof(struct sockaddr_storage) + 16;

struct transfer {
    completion operation; // first
    int error;
    DWORD bytes;
};

port *on;
SOCKET socket_used;
transfer *one;
char *buffer;

void on_ended(completion *operation, int error, DWORD bytes)
{
    auto *ended = reinterpret_cast<transfer *>(operation);
    ended->error = error;
    ended->bytes = bytes;
}

const completion_ops transfer_ops = {operation_kind::receive, on_ended, on_ended};

SOCKET open_on_port(fake::kind which)
{
    SOCKET opened = fake::open_socket(which);
    port_associate(on, reinterpret_cast<HANDLE>(opened));
    sys::skip_packet_on_success(reinterpret_cast<HANDLE>(opened), sys::handle_signal::never);
    return opened;
}

void open_world(fake::kind which)
{
    fake::boot(1);
    on = port_open();
    socket_used = open_on_port(which);
    one = static_cast<transfer *>(mm_calloc(1, sizeof(transfer)));
    completion_init(&one->operation, &transfer_ops);
    buffer = static_cast<char *>(mm_malloc(buffer_size + 2 * address_room));
    memset(buffer, 'b', buffer_size);
}

OVERLAPPED *begin()
{
    return completion_begin(&one->operation, static_cast<evutil_socket_t>(socket_used));
}

sys::start_result start_transfer(bool sends)
{
    WSABUF part = {buffer_size, buffer};
    OVERLAPPED *overlapped = begin();
    return completion_settle_start(on, &one->operation,
                                   sends ? sys::send(socket_used, &part, 1, overlapped, true)
                                         : sys::receive(socket_used, &part, 1, overlapped, true));
}

SOCKET start_accept()
{
    SOCKET accepted = fake::open_socket(fake::kind::stream);
    OVERLAPPED *overlapped = begin();
    completion_settle_start(on, &one->operation,
                            sys::accept(socket_used, accepted, buffer, 0, address_room, overlapped, true));
    return accepted;
}

void collect()
{
    OVERLAPPED_ENTRY entries[max_packets];
    ULONG count = 0;
    sys::port_dequeue(on->for_libevent.port, entries, max_packets, 0, sys::wait_kind::plain, &count);
    port_deliver(on, entries, count);
}

void complains()
{
    assert_non_null(fake::complaint());
    fake::boot(1);
}

// Memory is the kernel's until the packet has been taken, whether it has ended with it before or not.
void buffers_that_are_freed(void **)
{
    for (int sends = 0; sends < 2; ++sends)
        for (int ended = 0; ended < 2; ++ended) {
            open_world(fake::kind::stream);
            fake::connect_now(socket_used);
            fake::set_send_room(socket_used, 0);
            start_transfer(sends != 0);
            auto end = [=] {
                sends != 0 ? fake::set_send_room(socket_used, SIZE_MAX) : fake::peer_sends(socket_used, "late");
            };
            if (ended != 0)
                end();
            assert_null(fake::complaint());
            mm_free(buffer);
            if (ended == 0)
                end();
            collect();
            complains();
        }
    open_world(fake::kind::listener);
    start_accept();
    mm_free(buffer);
    fake::client_arrives(socket_used, {1, fake::fate_taken, ""});
    complains();
    open_world(fake::kind::stream);
    fake::connect_now(socket_used);
    mm_free(buffer);
    start_transfer(false);
    complains();
}

// What somebody writes to freed memory is seen, and what is not the kernel's is left alone.
void late_writes(void **)
{
    open_world(fake::kind::stream);
    char *freed = buffer;
    mm_free(buffer);
    assert_true(guard::freed_blocks_untouched());
    freed[1] = 'x';
    assert_false(guard::freed_blocks_untouched());
    fake::boot(1); // complains of it
    complains();
}

// The kernel may write to a receive's memory from the start, and does.
void bytes_come_with_the_packet(void **)
{
    open_world(fake::kind::stream);
    fake::k().odds.written_late = 1000;
    fake::connect_now(socket_used);
    start_transfer(false);
    assert_int_not_equal(buffer[0], 'b');
    fake::peer_sends(socket_used, "word");
    assert_int_not_equal(buffer[0], 'w');
    collect();
    assert_memory_equal(buffer, "word", 4);
    assert_int_equal(one->bytes, 4);
    assert_null(fake::complaint());
}

void connections_that_are_not_finished(void **)
{
    for (int finished = 0; finished < 2; ++finished) {
        open_world(fake::kind::stream);
        OVERLAPPED *overlapped = begin();
        sys::bind_any(socket_used, AF_INET);
        completion_settle_start(on, &one->operation, sys::connect(socket_used, nullptr, 0, overlapped, true));
        assert_false(sys::is_connected(socket_used));
        if (finished != 0)
            assert_int_equal(sys::finish_connect(socket_used), 0);
        start_transfer(true);
        assert_int_equal(fake::complaint() == nullptr, finished);
        assert_int_equal(sys::is_connected(socket_used), finished);
    }
    for (int finished = 0; finished < 2; ++finished) {
        open_world(fake::kind::listener);
        SOCKET listener = socket_used;
        SOCKET accepted = start_accept();
        fake::client_arrives(listener, {1, fake::fate_taken, ""});
        collect();
        assert_false(sys::is_connected(accepted));
        if (finished != 0)
            assert_int_equal(sys::finish_accept(listener, accepted), 0);
        assert_int_equal(sys::is_connected(accepted), finished);
        sys::end_connection(accepted);
        assert_int_equal(fake::complaint() == nullptr, finished);
    }
    open_world(fake::kind::listener);
    SOCKET accepted = start_accept();
    fake::client_arrives(socket_used, {1, fake::fate_taken, ""});
    collect();
    assert_int_not_equal(sys::finish_accept(open_on_port(fake::kind::listener), accepted), 0);
    complains();
}

// accept() takes what no accept in flight has taken, and does not wait.
void accepts_that_would_wait(void **)
{
    struct sockaddr_storage peer;
    auto *name = reinterpret_cast<struct sockaddr *>(&peer);
    SOCKET accepted;
    for (int blocks = 0; blocks < 2; ++blocks) {
        open_world(fake::kind::listener);
        if (blocks == 0)
            sys::set_blocking(socket_used, false);
        start_accept();
        for (uint16_t port = 1; port <= 3; ++port)
            fake::client_arrives(socket_used, {port, port == 2 ? fake::fate_deleted : fake::fate_taken, ""});
        int length = sizeof(peer);
        assert_int_equal(sys::accept_now(socket_used, &accepted, name, &length), WSAECONNABORTED);
        assert_int_equal(sys::accept_now(socket_used, &accepted, name, &length), 0);
        assert_int_equal(reinterpret_cast<struct sockaddr_in *>(&peer)->sin_port, htons(3));
        assert_true(sys::is_connected(accepted) && fake::is_inherited(accepted));
        assert_int_equal(fake::never_blocks(accepted), fake::never_blocks(socket_used));
        assert_null(fake::complaint());
        assert_int_equal(sys::accept_now(socket_used, &accepted, name, &length), WSAEWOULDBLOCK);
        assert_int_equal(fake::complaint() == nullptr, blocks == 0);
    }
    complains();
}

void connects_that_are_not_bound(void **)
{
    open_world(fake::kind::stream);
    OVERLAPPED *overlapped = begin();
    sys::start_result result =
        completion_settle_start(on, &one->operation, sys::connect(socket_used, nullptr, 0, overlapped, true));
    assert_int_equal(result.error, WSAEINVAL);
    complains();
}

// A cancel loses to what was on the way, and to nothing else.
void cancels_that_lose(void **)
{
    for (int comes = 0; comes < 2; ++comes) {
        open_world(fake::kind::stream);
        fake::k().odds.delayed = 1000;
        fake::k().odds.max_delay_us = 1000;
        fake::set_cancel_way(fake::cancel_way::loses);
        fake::connect_now(socket_used);
        start_transfer(false);
        if (comes != 0)
            fake::peer_sends(socket_used, "just in time");
        completion_cancel(&one->operation);
        fake::advance_us(1000);
        collect();
        assert_int_equal(one->error, comes != 0 ? 0 : WSA_OPERATION_ABORTED);
        assert_int_equal(one->bytes, comes != 0 ? 12 : 0);
        assert_null(fake::complaint());
    }
}

// What would wait on a socket that blocks; a send would, until all of its bytes have gone.
void transfers_that_would_wait(void **)
{
    for (int blocks = 0; blocks < 2; ++blocks)
        for (int sends = 0; sends < 2; ++sends) {
            open_world(fake::kind::stream);
            fake::connect_now(socket_used);
            fake::set_never_blocks(socket_used, blocks == 0);
            fake::set_send_room(socket_used, 1);
            WSABUF part = {buffer_size, buffer};
            DWORD bytes;
            int error = sends != 0 ? sys::send_now(socket_used, &part, 1, &bytes)
                                   : sys::receive_now(socket_used, &part, 1, &bytes);
            assert_int_equal(error, sends != 0 ? 0 : WSAEWOULDBLOCK);
            assert_int_equal(fake::complaint() == nullptr, blocks == 0);
            fake::boot(1);
        }
}

// One that the kernel still has, as it has neither ended nor been cancelled. The peer loses what it has not read by then.
void closes_over_operations(void **)
{
    enum state { pending, cancelled, ended };
    for (state is : {pending, cancelled, ended}) {
        open_world(fake::kind::stream);
        fake::connect_now(socket_used);
        fake::find_socket(socket_used)->sent = "read";
        fake::peer_reads(socket_used);
        fake::find_socket(socket_used)->sent += " and unread";
        start_transfer(false);
        if (is == cancelled)
            completion_cancel(&one->operation);
        else if (is == ended)
            fake::peer_sends(socket_used, "word");
        sys::close_socket(socket_used);
        bool resets = is == pending;
        assert_true((fake::complaint() != nullptr) == resets && fake::last_closed().was_reset == resets);
        assert_string_equal(fake::last_closed().delivered.c_str(), resets ? "read" : "read and unread");
    }
}

// An end behind unread data is told of at once by some kernels, and by others once the data have been read.
void ends_behind_data(void **)
{
    int early = 0, late = 0;
    for (uint64_t seed = 1; seed <= 50; ++seed) {
        fake::boot(seed);
        SOCKET socket = fake::open_socket(fake::kind::stream);
        fake::peer_sends(socket, "last words");
        fake::peer_finishes(socket);
        ((fake::level(socket) & sys::afd_disconnect) != 0 ? early : late) += 1;
    }
    assert_true(early > 0 && late > 0);
}

void refused_connects_that_take_their_time(void **)
{
    int at_once = 0, late = 0;
    for (uint64_t seed = 1; seed <= 50; ++seed) {
        open_world(fake::kind::stream);
        fake::k().random_state = seed;
        fake::set_connect_result(fake::status_refused);
        OVERLAPPED *overlapped = begin();
        sys::bind_any(socket_used, AF_INET);
        completion_settle_start(on, &one->operation, sys::connect(socket_used, nullptr, 0, overlapped, true));
        fake::advance_us(fake::refusal_us - 1);
        collect();
        bool told = !one->operation.pending;
        fake::advance_us(1);
        collect();
        assert_false(one->operation.pending);
        assert_int_equal(one->error, WSAECONNREFUSED);
        (told ? at_once : late) += 1;
    }
    assert_true(at_once > 0 && late > 0);
    fake::boot(1);
}

sys::start_result start_ready(fake::work what, bool skips)
{
    open_world(what == fake::work::accept ? fake::kind::listener : fake::kind::stream);
    fake::find_socket(socket_used)->to.skips = skips;
    WSABUF part = {buffer_size, buffer};
    if (what == fake::work::accept) {
        SOCKET accepted = fake::open_socket(fake::kind::stream);
        fake::client_arrives(socket_used, {1, fake::fate_taken, ""});
        return sys::accept(socket_used, accepted, buffer, 0, address_room, begin(), skips);
    }
    if (what == fake::work::connect) {
        sys::bind_any(socket_used, AF_INET);
        return sys::connect(socket_used, nullptr, 0, begin(), skips);
    }
    fake::connect_now(socket_used);
    fake::peer_sends(socket_used, "word");
    return what == fake::work::send ? sys::send(socket_used, &part, 1, begin(), skips)
                                    : sys::receive(socket_used, &part, 1, begin(), skips);
}

// Success in its call means a packet, or none: each call has both.
void successes_at_once(void **)
{
    for (fake::work what : {fake::work::receive, fake::work::send, fake::work::connect, fake::work::accept})
        for (int skips = 0; skips < 2; ++skips) {
            sys::start_result result = start_ready(what, skips != 0);
            assert_int_equal(result.how == sys::started::done, skips);
            assert_int_equal(fake::packets_queued(), 1 - skips);
            assert_null(fake::complaint());
        }
    open_world(fake::kind::stream); // on a handle that skips packets, which the caller does not know
    WSABUF part = {buffer_size, buffer};
    fake::connect_now(socket_used);
    sys::send(socket_used, &part, 1, begin(), false);
    complains();
}

// Off its port only when nothing is in flight.
void leaving_a_port(void **)
{
    for (int idle = 0; idle < 2; ++idle) {
        open_world(fake::kind::stream);
        fake::connect_now(socket_used);
        start_transfer(false);
        if (idle != 0) {
            fake::peer_sends(socket_used, "word");
            collect();
        }
        assert_int_equal(sys::leave_port(socket_used), 0);
        assert_false(fake::is_on_port(socket_used));
        assert_int_equal(fake::complaint() == nullptr, idle);
        fake::boot(1);
    }
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_that_are_freed),
        cmocka_unit_test(late_writes),
        cmocka_unit_test(bytes_come_with_the_packet),
        cmocka_unit_test(connections_that_are_not_finished),
        cmocka_unit_test(connects_that_are_not_bound),
        cmocka_unit_test(cancels_that_lose),
        cmocka_unit_test(accepts_that_would_wait),
        cmocka_unit_test(transfers_that_would_wait),
        cmocka_unit_test(closes_over_operations),
        cmocka_unit_test(ends_behind_data),
        cmocka_unit_test(successes_at_once),
        cmocka_unit_test(refused_connects_that_take_their_time),
        cmocka_unit_test(leaving_a_port),
    };
    return cmocka_run_group_tests_name("fake rules", tests, nullptr, nullptr);
}
