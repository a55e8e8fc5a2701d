// Waits for handles in each order of signal, packet, delete, free and the base's end. What is consumed is told, unless the
// program has deleted the wait.
#include "support/handle_waits.h"
#include "support/strict_locks.h"

using namespace iocp;
using namespace iocp::waits;

namespace {

// How far a signal has come when something else happens.
enum stage { before_the_signal, before_the_thread_posts, packet_on_its_way, stages };

HANDLE brought_to(stage where, short events, told *to)
{
    HANDLE handle = fake::open_waitable(fake::waitable_kind::automatic);
    added(handle, events, to);
    fake::hold_wait_threads(where == before_the_thread_posts);
    fake::hold_packets(where == packet_on_its_way);
    if (where != before_the_signal)
        fake::signal(handle);
    return handle;
}

void let_go()
{
    fake::hold_wait_threads(false);
    fake::hold_packets(false);
    fake::release_all();
}

void nothing_is_told_once_it_is_deleted(void **)
{
    for (int where = 0; where < stages; ++where) {
        for (bool frees : {false, true}) {
            told to = {};
            HANDLE handle = brought_to(static_cast<stage>(where), where % 2 != 0 ? EV_PERSIST : 0, &to);
            if (frees)
                evwait_iocp_free(to.wait);
            else
                evwait_iocp_del(to.wait);
            let_go();
            if (where == before_the_signal)
                fake::signal(handle);
            turns(3);
            assert_int_equal(to.count, 0);
            assert_int_equal(fake::operations_in_flight(), 0);
            assert_int_equal(fake::is_signalled(handle), where == before_the_signal);
            if (!frees) {
                fake::signal(handle);
                assert_int_equal(evwait_iocp_add(to.wait, nullptr), 0);
                turns(3);
                assert_int_equal(to.count, 1);
                evwait_iocp_free(to.wait);
            }
            fake::close_waitable(handle);
        }
    }
}

// The packet of the wait before is on its way when the next one begins.
void deleted_and_added_again(void **)
{
    for (int where = 0; where < stages; ++where) {
        told to = {};
        HANDLE handle = brought_to(static_cast<stage>(where), EV_PERSIST, &to);
        evwait_iocp_del(to.wait);
        assert_int_equal(evwait_iocp_add(to.wait, nullptr), 0);
        let_go();
        turns(3);
        assert_int_equal(to.count, 0);
        fake::signal(handle);
        turns(3);
        assert_int_equal(to.count, 1);
        end(handle, &to);
    }
}

void a_base_is_freed_first(void **state)
{
    for (int where = 0; where < stages; ++where) {
        told to = {}, idle = {};
        HANDLE handle = brought_to(static_cast<stage>(where), EV_PERSIST, &to);
        wait_for(handle, 0, &idle);
        fake::hold_packets(false);
        fake::release_all();
        free_base();
        assert_int_equal(to.count, 0);
        assert_int_equal(fake::operations_in_flight(), 0);
        assert_int_equal(evwait_iocp_add(to.wait, nullptr), -1);
        assert_int_equal(EVUTIL_SOCKET_ERROR(), WSAEINVAL);
        assert_int_equal(evwait_iocp_del(to.wait), 0);
        assert_false(evwait_iocp_pending(to.wait));
        assert_int_equal(evwait_iocp_priority_set(to.wait, 0), -1);
        base = make_base(on_iocp); // handles are closed before the library is
        evwait_iocp_free(to.wait);
        evwait_iocp_free(idle.wait);
        fake::close_waitable(handle);
        free_base();
        assert_null(fake::complaint_after_free());
        set_up(state);
    }
}

void it_is_due_when_its_base_is_freed(void **)
{
    HANDLE handle = fake::open_waitable(fake::waitable_kind::automatic, true);
    told to = {};
    added(handle, EV_PERSIST, &to);
    struct event *breaks = evtimer_new(
        base, [](evutil_socket_t, short, void *) { event_base_loopbreak(base); }, nullptr);
    event_active(breaks, EV_TIMEOUT, 1);
    event_base_loop(base, EVLOOP_NONBLOCK);
    event_free(breaks);
    struct event_base *keeps = make_base(on_iocp);
    free_base();
    assert_int_equal(to.count, 0);
    evwait_iocp_free(to.wait);
    event_base_free(keeps);
    fake::close_waitable(handle);
}

// Its packet is taken while a base that is freed lets bytes go.
void it_is_signalled_when_its_base_is_freed_with_bytes_on_the_way(void **)
{
    HANDLE handle = fake::open_waitable(fake::waitable_kind::automatic);
    told to = {};
    added(handle, EV_PERSIST, &to);
    SOCKET socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(socket);
    fake::set_send_room(socket, 0);
    struct bufferevent *bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(socket), BEV_OPT_CLOSE_ON_FREE);
    bufferevent_write(bev, "late", 4);
    turns(1);
    bufferevent_free(bev);
    turns(1);
    assert_true(fake::is_open(socket));
    fake::signal(handle);
    struct event_base *keeps = make_base(on_iocp);
    free_base();
    assert_false(fake::is_open(socket));
    assert_int_equal(to.count, 0);
    evwait_iocp_free(to.wait);
    event_base_free(keeps);
    fake::close_waitable(handle);
}

void freed_by_its_callback(void **)
{
    for (short events : {short{0}, short{EV_PERSIST}}) {
        HANDLE handle = fake::open_waitable(fake::waitable_kind::manual, true);
        told to = {};
        to.and_then = [](told *self) { evwait_iocp_free(self->wait); };
        added(handle, events, &to);
        turns(4);
        assert_int_equal(to.count, 1);
        assert_int_equal(fake::operations_in_flight(), 0);
        fake::close_waitable(handle);
    }
}

void deleted_or_added_by_its_callback(void **)
{
    HANDLE handle = fake::open_waitable(fake::waitable_kind::manual, true);
    told to = {};
    to.and_then = [](told *self) { evwait_iocp_del(self->wait); };
    added(handle, EV_PERSIST, &to);
    turns(4);
    assert_int_equal(to.count, 1);
    evwait_iocp_free(to.wait);
    told again = {};
    again.and_then = [](told *self) {
        if (self->count < 3)
            assert_int_equal(evwait_iocp_add(self->wait, nullptr), 0);
    };
    added(handle, 0, &again);
    turns(8);
    assert_int_equal(again.count, 3);
    end(handle, &again);
}

// A finalizer runs when the base has none of its waits any more.
void none_is_made_while_its_base_is_freed(void **)
{
    static HANDLE handle;
    static int error;
    handle = fake::open_waitable(fake::waitable_kind::automatic);
    error = 0;
    struct event *last = evtimer_new(
        base, [](evutil_socket_t, short, void *) {}, nullptr);
    event_free_finalize(0, last, [](struct event *, void *) {
        if (evwait_iocp_new(base, handle, 0, on_wait, nullptr) == nullptr)
            error = WSAGetLastError();
    });
    struct event_base *keeps = make_base(on_iocp);
    free_base();
    assert_int_equal(error, WSAEOPNOTSUPP);
    event_base_free(keeps);
    fake::close_waitable(handle);
}

constexpr int scripts = 400, steps = 60;

// A random script: each signal that was consumed is told, but for those that a delete may have lost.
void run_script(uint64_t seed, bool packets)
{
    fake::boot(seed, fake::all_chances);
    fake::set_wait_packets(packets);
    base = make_base(on_iocp);
    if (base == nullptr)
        return;
    bool deletes = seed % 3 == 0;
    HANDLE handle = fake::open_waitable(fake::waitable_kind::semaphore);
    told to = {};
    wait_for(handle, seed % 2 != 0 ? EV_PERSIST : 0, &to);
    int signals = 0, told_before = 0, not_told = 0;
    for (int i = 0; i < steps; ++i) {
        struct timeval timeout = {0, static_cast<long>(fake::random() % 4000 + 1)};
        switch (fake::random() % (deletes ? 7 : 6)) {
        case 0:
            fake::signal(handle);
            ++signals;
            break;
        case 1:
            evwait_iocp_add(to.wait, nullptr);
            break;
        case 2:
            evwait_iocp_add(to.wait, &timeout);
            break;
        case 3:
            fake::hold_wait_threads(fake::random() % 2 != 0);
            break;
        case 6:
            evwait_iocp_del(to.wait);
            told_before = to.count;
            turn(base);
            not_told += to.count - told_before;
            break;
        default:
            fake::advance_us(static_cast<int64_t>(fake::random() % 3000));
            turn(base);
        }
    }
    assert_int_equal(not_told, 0);
    fake::hold_wait_threads(false);
    for (int i = 0; i < 200 && fake::is_signalled(handle); ++i) {
        evwait_iocp_add(to.wait, nullptr);
        fake::advance_us(20 * 1000);
        turn(base);
    }
    fake::advance_us(100 * 1000);
    turns(5);
    if (deletes)
        assert_true(to.signals <= signals);
    else
        assert_int_equal(to.signals, signals);
    if (seed % 5 == 0)
        evwait_iocp_free(to.wait);
    struct event_base *keeps = make_base(on_iocp);
    event_base_free(base);
    if (seed % 5 != 0)
        evwait_iocp_free(to.wait);
    event_base_free(keeps);
    base = nullptr;
    fake::close_waitable(handle);
    assert_null(fake::complaint_after_free());
}

void what_is_consumed_is_told(void **state)
{
    free_base();
    for (int seed = 1; seed <= scripts; ++seed)
        run_script(static_cast<uint64_t>(seed), *static_cast<bool *>(*state));
}

} // namespace

int main()
{
    strict_locks_start();
    const struct CMUnitTest tests[] = {
        WAIT_TEST(nothing_is_told_once_it_is_deleted),
        WAIT_TEST(deleted_and_added_again),
        WAIT_TEST(a_base_is_freed_first),
        WAIT_TEST(it_is_due_when_its_base_is_freed),
        WAIT_TEST(it_is_signalled_when_its_base_is_freed_with_bytes_on_the_way),
        WAIT_TEST(freed_by_its_callback),
        WAIT_TEST(deleted_or_added_by_its_callback),
        WAIT_TEST(none_is_made_while_its_base_is_freed),
        WAIT_TEST(what_is_consumed_is_told),
    };
    return cmocka_run_group_tests_name("handle_wait_ends", tests, nullptr, nullptr);
}
