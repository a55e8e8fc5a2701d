// What a descriptor costs on the fake kernel: a record, and a poll only where interest falls to it. Where there is no
// memory for one, nobody who waits is forgotten.
#include "support/check.h"

#include "support/bases.h"
#include "support/fake_kernel.h"
#include "support/guard.h"

#include "backend/backend.h"
#include "backend/socket_record.h"

using namespace iocp;

namespace {

constexpr unsigned for_ever = 1000000;

struct event_base *base;
SOCKET socket_of_bev;
struct bufferevent *bev;

evutil_socket_t descriptor()
{
    return static_cast<evutil_socket_t>(socket_of_bev);
}

const socket_record *record()
{
    return socket_find(backend_of(base), descriptor());
}

struct counted *waiting(short flags)
{
    struct counted *made = count_events(base, descriptor(), flags);
    assert_int_equal(event_add(made->registered, nullptr), 0);
    return made;
}

int set_up(void **)
{
    fake::boot(1);
    catch_log();
    base = make_base(on_iocp);
    socket_of_bev = fake::open_socket(fake::kind::stream);
    fake::connect_now(socket_of_bev);
    bev = bufferevent_socket_new(base, descriptor(), BEV_OPT_CLOSE_ON_FREE);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    return 0;
}

int tear_down(void **)
{
    bufferevent_free(bev);
    event_base_free(base);
    return check_nothing_is_left();
}

void turns(int count)
{
    for (int i = 0; i < count; ++i) {
        fake::advance_us(1000);
        turn(base);
    }
}

void a_stream_alone_has_no_poll(void **)
{
    static_assert(sizeof(socket_record) <= 48, "there is one for each descriptor that a base has ever used");
    turns(3);
    fake::peer_sends(socket_of_bev, "abc");
    bufferevent_write(bev, "def", 3);
    turns(3);
    assert_int_equal(evbuffer_get_length(bufferevent_get_input(bev)), 3);
    assert_null(record()->poll);
}

// So that the next one needs memory.
void fill_block_of_records()
{
    backend *owner = backend_of(base);
    for (evutil_socket_t fd = 1 << 20; owner->sockets.blocks->used < records_in_block; fd += 4)
        assert_non_null(socket_obtain(owner, fd));
}

void an_event_is_refused_without_memory(void **)
{
    SOCKET other = fake::open_socket(fake::kind::stream);
    fake::connect_now(other);
    fill_block_of_records();
    struct event *waits = event_new(
        base, static_cast<evutil_socket_t>(other), EV_READ, [](evutil_socket_t, short, void *) {}, nullptr);
    int failures = 0;
    for (unsigned after = 0; after < 10; ++after) {
        guard::fail_allocations(after, 1);
        bool added = event_add(waits, nullptr) == 0;
        guard::fail_allocations(0, 0);
        if (added)
            break;
        ++failures;
    }
    assert_true(failures >= 2); // the record, the poll
    forget_warnings();
    turns(2);
    assert_true(fake::polls_waiting(other) > 0);
    event_free(waits);
    fake::close_by_program(other);
}

// Each has its own, whose place does not change.
void records_of_many(void **)
{
    backend *owner = backend_of(base);
    constexpr int many = 5 * records_in_block;
    static socket_record *made[many];
    for (int i = 0; i < many; ++i) {
        evutil_socket_t fd = (1 << 20) + 4 * i;
        made[i] = socket_obtain(owner, fd);
        assert_int_equal(made[i]->fd, fd);
        assert_ptr_equal(made[i]->owner, owner);
        assert_null(made[i]->own);
    }
    for (int i = 0; i < many; ++i)
        assert_ptr_equal(socket_find(owner, (1 << 20) + 4 * i), made[i]);
}

// A handle has 32 bits that mean something.
void what_is_no_handle_is_refused(void **)
{
    auto number = static_cast<evutil_socket_t>(descriptor() + (int64_t{1} << 32));
    struct event *waits = event_new(
        base, number, EV_READ, [](evutil_socket_t, short, void *) {}, nullptr);
    assert_int_equal(event_add(waits, nullptr), -1);
    assert_int_equal(WSAGetLastError(), WSAENOTSOCK);
    forget_warnings();
    event_free(waits);
}

enum class how { leaves, gives_way };

// An event of the program's own, on a descriptor that its bufferevent leaves, or whose stream gives way to the event, while
// there is no memory.
struct counted *left_without_memory(how by)
{
    struct counted *told = waiting(EV_READ | EV_PERSIST);
    guard::fail_allocations(0, for_ever);
    if (by == how::gives_way)
        turns(3);
    bufferevent_setfd(bev, -1);
    turns(3);
    assert_int_equal(record()->unwatched & EV_READ, EV_READ);
    assert_int_equal(told->count, 0);
    return told;
}

void leave()
{
    guard::fail_allocations(0, 0);
    fake::close_by_program(socket_of_bev);
}

void check_who_waits_is_not_forgotten(how by)
{
    struct counted *told = left_without_memory(by);
    guard::fail_allocations(0, 0);
    turns(3);
    assert_int_equal(record()->unwatched, 0);
    assert_int_equal(fake::polls_waiting(socket_of_bev), 1);
    fake::peer_sends(socket_of_bev, "abc");
    turns(2);
    assert_true(told->count > 0);
    free_counted(told);
    leave();
}

void who_waits_is_not_forgotten(void **)
{
    check_who_waits_is_not_forgotten(how::leaves);
}

void nor_where_the_stream_gives_way(void **)
{
    check_who_waits_is_not_forgotten(how::gives_way);
}

void one_more_brings_it_back(void **)
{
    struct counted *told = left_without_memory(how::leaves);
    guard::fail_allocations(0, 0);
    struct counted *writes = waiting(EV_WRITE);
    assert_int_equal(record()->unwatched, 0);
    assert_int_equal(record()->poll->as_source.wanted, EV_READ | EV_WRITE);
    fake::peer_sends(socket_of_bev, "abc");
    turns(3);
    assert_true(told->count > 0);
    assert_int_equal(writes->count, 1);
    free_counted(writes);
    free_counted(told);
    leave();
}

void who_waits_no_more_is_forgotten(void **)
{
    struct counted *told = left_without_memory(how::leaves);
    free_counted(told);
    assert_int_equal(record()->unwatched, 0);
    guard::fail_allocations(0, 0);
    turns(3);
    assert_null(record()->poll);
    leave();
}

// Whoever waits for a socket that is closed is told once.
void a_close_is_told_without_memory(void **)
{
    struct counted *told = waiting(EV_READ | EV_PERSIST);
    guard::fail_allocations(0, for_ever);
    evutil_closesocket(descriptor());
    turns(3);
    guard::fail_allocations(0, 0);
    turns(3);
    assert_int_equal(told->count, 1);
    free_counted(told);
    bufferevent_setfd(bev, -1);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_stream_alone_has_no_poll, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_event_is_refused_without_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(records_of_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_handle_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_waits_is_not_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nor_where_the_stream_gives_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_more_brings_it_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_waits_no_more_is_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_close_is_told_without_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
