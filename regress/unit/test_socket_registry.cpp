// Which base is asked when a descriptor is closed, while that base may be about to end in another thread.
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_kernel.h"
#include "support/guard.h"

#include "backend/backend.h"
#include "backend/socket_registry.h"

#include <algorithm>

using namespace iocp;

namespace {

constexpr int64_t long_after_us = 10 * 1000 * 1000;

// A descriptor that its program has back, with a send in flight.
evutil_socket_t given_back(struct event_base *base)
{
    SOCKET socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(socket);
    fake::set_send_room(socket, 0);
    auto fd = static_cast<evutil_socket_t>(socket);
    struct bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_enable(bev, EV_WRITE);
    bufferevent_write(bev, "in flight", 9);
    turn(base);
    turn(base);
    bufferevent_setfd(bev, -1);
    bufferevent_free(bev);
    turn(base);
    return fd;
}

bool leads_to_a_base(evutil_socket_t fd)
{
    return registry_use(fd).owner != nullptr;
}

// The one that looks at a base is in the middle of evutil_closesocket.
void a_base_ends_when_nobody_looks_at_it(void **)
{
    struct event_base *base = make_base(on_iocp);
    evutil_socket_t fd = given_back(base);
    auto *looks = new registry_use(fd);
    assert_ptr_equal(looks->owner, backend_of(base));
    bool has_looked = false;
    fake::at(fake::now_us() + long_after_us, [&] {
        has_looked = !leads_to_a_base(fd); // who comes now is not led to it
        delete looks;
    });
    event_base_free(base);
    assert_true(has_looked);
    fake::close_by_program(static_cast<SOCKET>(fd));
    assert_int_equal(check_nothing_is_left(), 0);
}

void one_that_is_gone_is_not_asked(void **)
{
    struct event_base *base = make_base(on_iocp);
    evutil_socket_t fd = given_back(base);
    assert_true(leads_to_a_base(fd));
    event_base_free(base);
    assert_false(leads_to_a_base(fd));
    assert_int_equal(evutil_closesocket(fd), 0);
    assert_int_equal(check_nothing_is_left(), 0);
}

constexpr int bases = 3;
constexpr evutil_socket_t shared_fd = 64;

// Several have it, and go in any order: of those that are left, who came last is asked first.
void who_came_last_is_asked_first(void **)
{
    struct event_base *all[bases];
    owned_descriptor have[bases];
    for (int i = 0; i < bases; ++i) {
        all[i] = make_base(on_iocp);
        have[i].fd = shared_fd;
        have[i].owner = backend_of(all[i]);
    }
    int order[bases] = {0, 1, 2};
    do {
        bool is_in[bases];
        for (int i = 0; i < bases; ++i)
            is_in[i] = registry_add(&have[i]);
        for (int goes : order) {
            unsigned later = 0;
            for (int i = bases - 1; i >= 0; --i)
                if (is_in[i])
                    assert_ptr_equal(registry_use(shared_fd, later++).owner, have[i].owner);
            assert_null(registry_use(shared_fd, later).owner);
            assert_int_equal(registry_use(shared_fd).has_earlier, later > 1);
            registry_remove(&have[goes]);
            registry_remove(&have[goes]); // nothing
            is_in[goes] = false;
        }
        assert_false(leads_to_a_base(shared_fd));
    } while (std::next_permutation(order, order + bases));
    for (struct event_base *each : all)
        event_base_free(each);
    assert_int_equal(check_nothing_is_left(), 0);
}

// Who had it has it still.
void another_is_refused_without_memory(void **)
{
    struct event_base *base = make_base(on_iocp);
    owned_descriptor one = {{shared_fd}, backend_of(base)}, other = one;
    assert_true(registry_add(&one));
    unsigned refused = 0;
    for (bool is_in = false; !is_in; ++refused) {
        guard::fail_allocations(refused, 1);
        is_in = registry_add(&other);
        guard::fail_allocations(0, 0);
        assert_int_equal(registry_use(shared_fd, 1).owner != nullptr, is_in);
        assert_true(leads_to_a_base(shared_fd));
    }
    assert_int_equal(refused, 3); // its entry, the table of such; the last try was not
    registry_remove(&one);
    registry_remove(&other);
    event_base_free(base);
    assert_int_equal(check_nothing_is_left(), 0);
}

// Descriptors share counters of closes.
void a_close_of_another_loses_no_event(void **)
{
    struct event_base *base = make_base(on_iocp);
    SOCKET socket = fake::open_socket(fake::kind::stream, sys::afd_send);
    auto fd = static_cast<evutil_socket_t>(socket);
    counted *writer = count_events(base, fd, EV_WRITE);
    counted *timer = count_events(base, -1, 0);
    struct timeval later = {1, 0};
    event_add(timer->registered, &later);
    event_add(writer->registered, nullptr);
    fake::within(fake::call::afd_poll, [=] { registry_note_close(fd); });
    event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(writer->count, 1);
    assert_int_equal(timer->count, 0);
    free_counted(writer);
    free_counted(timer);
    event_base_free(base);
    fake::close_by_program(socket);
    assert_int_equal(check_nothing_is_left(), 0);
}

// Each that is open at a time has its own, in all but the largest processes.
void descriptors_near_each_other_share_none(void **)
{
    unsigned before = registry_closes(64);
    for (evutil_socket_t other = 68; other < 60000; other += 4)
        registry_note_close(other);
    assert_int_equal(registry_closes(64), before);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_base_ends_when_nobody_looks_at_it, set_up_kernel),
        cmocka_unit_test_setup(one_that_is_gone_is_not_asked, set_up_kernel),
        cmocka_unit_test_setup(who_came_last_is_asked_first, set_up_kernel),
        cmocka_unit_test_setup(another_is_refused_without_memory, set_up_kernel),
        cmocka_unit_test_setup(a_close_of_another_loses_no_event, set_up_kernel),
        cmocka_unit_test(descriptors_near_each_other_share_none),
    };
    return cmocka_run_group_tests_name("socket_registry", tests, nullptr, nullptr);
}
