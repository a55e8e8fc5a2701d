// Each operation ends exactly once: done in its call, by its packet, or let go; whatever the kernel does meanwhile.
#include "support/check.h"

#include <vector>

#include "support/fake_sys.h"

#include "backend/afd_device.h"

using namespace iocp;

namespace {

constexpr int operations = 500;
constexpr int steps = 5000;
constexpr uint64_t seeds = 50;

// A poll with nobody behind it but this test.
struct probe {
    completion operation; // first: a completion is cast to its probe
    sys::afd_poll_info info;
    HANDLE device; // that it was started on
    int number;
};

struct tally {
    probe *of;
    int started;
    int ended;
    bool let_go;
    bool freed;
};

tally tallies[operations];

probe *from(completion *operation)
{
    return reinterpret_cast<probe *>(operation);
}

void on_ended(completion *operation, int error, DWORD)
{
    tally *mine = &tallies[from(operation)->number];
    assert_false(mine->let_go);
    assert_false(operation->pending);
    assert_true(error == 0 || error == WSA_OPERATION_ABORTED);
    ++mine->ended;
}

void on_disowned(completion *operation, int, DWORD)
{
    tally *mine = &tallies[from(operation)->number];
    assert_true(mine->let_go);
    assert_false(mine->freed);
    mine->freed = true;
    mine->of = nullptr;
    mm_free(operation);
}

void cancel_at_device(completion *operation)
{
    sys::cancel(from(operation)->device, &operation->overlapped);
}

const completion_ops probe_ops = {operation_kind::poll, on_ended, on_disowned, cancel_at_device};

void start(port *on, HANDLE device, tally *mine, SOCKET socket)
{
    probe *one = mine->of;
    one->device = device;
    one->info.count = 1;
    one->info.socket = reinterpret_cast<HANDLE>(socket);
    one->info.events = sys::afd_receive | sys::afd_local_close;
    OVERLAPPED *overlapped = completion_begin(&one->operation, -1);
    sys::start_result result =
        completion_settle_start(on, &one->operation, sys::afd_poll(device, &one->info, overlapped));
    assert_int_equal(one->operation.pending, result.how == sys::started::pending);
    mine->started += result.how == sys::started::pending;
}

void make(int number)
{
    auto *one = static_cast<probe *>(mm_calloc(1, sizeof(probe)));
    completion_init(&one->operation, &probe_ops);
    one->number = number;
    tallies[number] = {one, 0, 0, false, false};
}

void take_some(port *on)
{
    OVERLAPPED_ENTRY entries[max_packets];
    ULONG count = 0;
    assert_int_equal(sys::port_dequeue(on->for_libevent.port, entries, max_packets, 0, sys::wait_kind::plain, &count),
                     0);
    port_deliver(on, entries, count);
}

// Each has a socket of its own: two polls of one are mixed up.
void step(port *on, HANDLE device, const SOCKET *sockets)
{
    uint64_t which = fake::random() % operations;
    tally *mine = &tallies[which];
    SOCKET socket = sockets[which];
    switch (fake::random() % 8) {
    case 0:
    case 1:
    case 2:
        if (mine->of != nullptr && !mine->let_go && !mine->of->operation.pending)
            start(on, device, mine, socket);
        return;
    case 3:
        if (mine->of != nullptr && !mine->let_go)
            completion_cancel(&mine->of->operation);
        return;
    case 4:
        if (mine->of != nullptr && !mine->let_go && fake::happens(300)) {
            mine->let_go = true;
            completion_disown(&mine->of->operation);
        }
        return;
    case 5:
        fake::set_level(socket, fake::happens(300) ? ULONG{sys::afd_receive} : 0);
        return;
    case 6:
        fake::advance_us(500);
        return;
    default:
        take_some(on);
    }
}

void run(uint64_t seed)
{
    fake::boot(seed, fake::all_chances);
    port *on = port_open();
    assert_non_null(on);
    HANDLE device;
    assert_int_equal(sys::afd_open(&device), 0);
    assert_int_equal(port_associate(on, device), 0);
    assert_int_equal(sys::skip_packet_on_success(device, sys::handle_signal::never), 0);
    SOCKET sockets[operations];
    for (int i = 0; i < operations; ++i) {
        sockets[i] = fake::open_socket(fake::kind::stream);
        make(i);
    }
    for (int i = 0; i < steps; ++i) {
        step(on, device, sockets);
        assert_int_equal(on->in_flight.count, fake::operations_in_flight());
    }
    assert_true(port_drain(on));
    for (tally &one : tallies) {
        if (!one.let_go)
            assert_int_equal(one.started, one.ended);
        else
            assert_true(one.freed);
        if (one.of == nullptr)
            continue;
        one.let_go = true;
        completion_disown(&one.of->operation); // idle: freed at once
        assert_true(one.freed);
    }
    sys::close_handle(device);
    port_close(on);
    if (fake::complaint_after_free() != nullptr)
        fail_msg("%s, seed %u", fake::complaint(), static_cast<unsigned>(seed));
}

void each_ends_once(void **)
{
    for (uint64_t seed = 1; seed <= seeds; ++seed)
        run(seed);
}

// Without skip-on-success a call that is done at once sends its packet as well: the fake says so, and nobody may take
// such a call for the end. Our handles always skip, so that this is only about the fake itself.
void fake_knows_the_rules(void **)
{
    fake::boot(1);
    port *on = port_open();
    HANDLE device;
    sys::afd_open(&device);
    port_associate(on, device);
    SOCKET socket = fake::open_socket(fake::kind::stream, sys::afd_receive);
    make(0);
    probe *one = tallies[0].of;
    one->info = {};
    one->info.count = 1;
    one->info.socket = reinterpret_cast<HANDLE>(socket);
    one->info.events = sys::afd_receive;
    OVERLAPPED *overlapped = completion_begin(&one->operation, -1);
    completion_settle_start(on, &one->operation, sys::afd_poll(device, &one->info, overlapped));
    assert_non_null(fake::complaint());

    // Memory that is freed under an operation.
    fake::boot(1);
    on = port_open();
    sys::afd_open(&device);
    port_associate(on, device);
    sys::skip_packet_on_success(device, sys::handle_signal::never);
    socket = fake::open_socket(fake::kind::stream);
    make(0);
    one = tallies[0].of;
    start(on, device, &tallies[0], socket);
    assert_null(fake::complaint());
    mm_free(one);
    fake::set_level(socket, sys::afd_receive);
    assert_non_null(fake::complaint());

    fake::boot(1);
    assert_int_equal(sys::port_post(nullptr, 0, 0, nullptr), ERROR_INVALID_HANDLE);
    assert_non_null(fake::complaint()); // before startup
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_ends_once),
        cmocka_unit_test(fake_knows_the_rules),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
