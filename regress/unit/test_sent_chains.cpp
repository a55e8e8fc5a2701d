// The program's own memory that was sent: its cleanup is called once, by the loop's thread or by who frees the base, with
// no lock held, whatever becomes of the send.
#include "support/check.h"

#include "support/bases.h"
#include "support/guard.h"
#include "support/strict_locks.h"

#include "backend/backend.h"

using namespace iocp;

namespace {

constexpr size_t owned_size = 3000;

struct event_base *base;
struct bufferevent *bev;
struct bufferevent *quiet; // whose setfd waits for a packet: any that come are taken then
SOCKET socket_of_bev;
int cleanups;
int cleanups_under_lock;
unsigned long cleaned_by;
void (*on_cleanup)();

unsigned long current;

void become(unsigned long thread)
{
    current = thread;
    become_thread(thread);
}

void clean(const void *owned, size_t, void *)
{
    mm_free(const_cast<void *>(owned));
    ++cleanups;
    cleanups_under_lock += strict_locks_held() != 0 ? 1 : 0;
    cleaned_by = current;
    void (*next)() = on_cleanup;
    on_cleanup = nullptr;
    if (next != nullptr)
        next();
}

struct bufferevent *connected(SOCKET *socket)
{
    *socket = fake::open_socket(fake::kind::stream);
    fake::connect_now(*socket);
    struct bufferevent *made =
        bufferevent_socket_new(base, static_cast<evutil_socket_t>(*socket), BEV_OPT_CLOSE_ON_FREE);
    bufferevent_enable(made, EV_READ | EV_WRITE);
    return made;
}

int set_up(void **)
{
    fake::boot(1);
    catch_log();
    become(loop_thread);
    cleanups = cleanups_under_lock = 0;
    on_cleanup = nullptr;
    strict_locks_when_free(nullptr);
    base = make_base(on_iocp);
    SOCKET other;
    bev = connected(&socket_of_bev);
    quiet = connected(&other);
    return 0;
}

int tear_down(void **)
{
    if (bev != nullptr)
        bufferevent_free(bev);
    if (quiet != nullptr)
        bufferevent_free(quiet);
    if (base != nullptr)
        event_base_free(base);
    return check_nothing_is_left();
}

void add_owned_to(struct evbuffer *output)
{
    assert_int_equal(evbuffer_add_reference(output, mm_calloc(1, owned_size), owned_size, clean, nullptr), 0);
}

void add_owned()
{
    add_owned_to(bufferevent_get_output(bev));
}

void send_owned()
{
    fake::set_send_room(socket_of_bev, 0);
    add_owned();
    turn_to_port(base);
    assert_int_equal(evbuffer_get_length(bufferevent_get_output(bev)), 0);
    assert_int_equal(cleanups, 0);
}

// Who waits for a packet of `quiet` takes that of the send as well.
void packet_is_taken_elsewhere()
{
    fake::set_send_room(socket_of_bev, SIZE_MAX);
    bufferevent_setfd(quiet, -1);
}

void assert_cleaned_once()
{
    assert_int_equal(cleanups, 1);
    assert_int_equal(cleanups_under_lock, 0);
    assert_int_equal(cleaned_by, loop_thread);
}

void by_its_packet(void **)
{
    send_owned();
    fake::set_send_room(socket_of_bev, SIZE_MAX);
    turn_to_port(base);
    assert_cleaned_once();
    assert_int_equal(fake::sent(socket_of_bev).size(), owned_size);
}

void of_a_source_that_others_have(void **)
{
    struct evbuffer *source = evbuffer_new();
    add_owned_to(source);
    fake::set_send_room(socket_of_bev, 0);
    evbuffer_add_buffer_reference(bufferevent_get_output(bev), source);
    evbuffer_free(source);
    turn_to_port(base);
    fake::set_send_room(socket_of_bev, SIZE_MAX);
    turn_to_port(base);
    assert_cleaned_once();
}

void after_a_failed_send(void **)
{
    send_owned();
    fake::peer_resets(socket_of_bev);
    turn_to_port(base);
    turn_to_port(base);
    assert_cleaned_once();
}

void after_it_was_let_go(void **)
{
    send_owned();
    bufferevent_free(bev);
    bev = nullptr;
    turn_to_port(base);
    assert_int_equal(cleanups, 0);
    fake::set_send_room(socket_of_bev, SIZE_MAX);
    turn_to_port(base);
    turn_to_port(base);
    assert_cleaned_once();
    assert_int_equal(fake::last_closed().delivered.size(), owned_size);
}

void of_a_packet_that_another_thread_takes(void **)
{
    send_owned();
    become(other_thread);
    packet_is_taken_elsewhere();
    assert_int_equal(cleanups, 0);
    become(loop_thread);
    turn(base);
    assert_cleaned_once();
}

// Between a start and the moment when the bytes leave the output, the base's lock is free.
const struct evbuffer_chain *leaving;
bool stays_pinned;

void take_packet_amid_write()
{
    leaving = bufferevent_get_output(bev)->first;
    if (leaving == nullptr || (leaving->flags & EVBUFFER_MEM_PINNED_W) == 0) {
        strict_locks_when_free(take_packet_amid_write); // not started yet
        return;
    }
    become(other_thread);
    packet_is_taken_elsewhere();
    become(loop_thread);
    stays_pinned = (leaving->flags & EVBUFFER_MEM_PINNED_W) != 0;
}

void of_a_packet_that_comes_before_the_bytes_have_left(void **)
{
    turn_to_port(base); // the receive of `quiet` is in flight
    fake::set_send_room(socket_of_bev, 0);
    stays_pinned = false;
    std::string plain(owned_size, 'p');
    bufferevent_write(bev, plain.data(), plain.size());
    strict_locks_when_free(take_packet_amid_write);
    turn_to_port(base);
    assert_true(stays_pinned); // only one thread may write to its flags
    turn_to_port(base);
    assert_int_equal(fake::sent(socket_of_bev).size(), owned_size);
}

void when_the_base_is_freed_first(void **)
{
    send_owned();
    packet_is_taken_elsewhere();
    assert_int_equal(cleanups, 0);
    bufferevent_free(bev);
    bufferevent_free(quiet);
    bev = quiet = nullptr;
    event_base_free(base);
    base = nullptr;
    assert_cleaned_once();
}

void when_the_base_is_freed_over_the_send(void **)
{
    send_owned();
    bufferevent_free(bev);
    bufferevent_free(quiet);
    bev = quiet = nullptr;
    event_base_free(base);
    base = nullptr;
    assert_cleaned_once();
}

// Nothing is allocated to hand it on, nor for the next send, which has its operation.
void without_memory(void **)
{
    send_owned();
    add_owned();
    fake::set_send_room(socket_of_bev, SIZE_MAX);
    guard::fail_allocations(0, 1000);
    turn_to_port(base);
    turn_to_port(base);
    guard::fail_allocations(0, 0);
    assert_int_equal(cleanups, 2);
    assert_int_equal(fake::sent(socket_of_bev).size(), 2 * owned_size);
}

// A first send that finds no memory is made up for.
void a_send_without_memory(void **)
{
    add_owned();
    guard::fail_allocations(0, 1000);
    turn_to_port(base);
    guard::fail_allocations(0, 0);
    assert_int_equal(evbuffer_get_length(bufferevent_get_output(bev)), owned_size);
    for (int i = 0; i < 10 && cleanups < 1; ++i) {
        fake::advance_us(20 * 1000);
        turn_to_port(base);
    }
    assert_cleaned_once();
    assert_int_equal(fake::sent(socket_of_bev).size(), owned_size);
}

void free_the_bufferevent()
{
    bufferevent_free(bev);
    bev = nullptr;
}

void that_frees_the_bufferevent(void **)
{
    send_owned();
    on_cleanup = free_the_bufferevent;
    fake::set_send_room(socket_of_bev, SIZE_MAX);
    turn_to_port(base);
    turn_to_port(base);
    assert_cleaned_once();
    assert_false(fake::is_open(socket_of_bev));
}

void that_sends_more_of_the_kind(void **)
{
    send_owned();
    on_cleanup = add_owned;
    fake::set_send_room(socket_of_bev, SIZE_MAX);
    for (int i = 0; i < 4; ++i)
        turn_to_port(base);
    assert_int_equal(cleanups, 2);
    assert_int_equal(cleanups_under_lock, 0);
}

void take_other_packets()
{
    bufferevent_setfd(quiet, -1);
}

void that_waits_for_a_packet(void **)
{
    send_owned();
    on_cleanup = take_other_packets;
    fake::set_send_room(socket_of_bev, SIZE_MAX);
    turn_to_port(base);
    assert_cleaned_once();
}

// A cleanup is no event: on select it is part of a callback.
void no_event_to_the_program(void **)
{
    struct timeval later = {1, 0};
    counted *timer = count_events(base, -1, 0);
    event_add(timer->registered, &later);
    send_owned();
    bufferevent_free(bev);
    bev = nullptr;
    turn_to_port(base);
    int before = event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED);
    packet_is_taken_elsewhere();
    assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), before - 1); // that of `quiet`
    assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
    assert_cleaned_once();
    assert_int_equal(timer->count, 1);
    free_counted(timer);
}

// What is memory alone is freed as its packet comes, that of an echo included, and no callback is asked for.
void never_for_plain_memory(void **)
{
    std::string large(200 * 1000, 'e');
    for (int i = 0; i < 20; ++i) {
        fake::peer_sends(socket_of_bev, large);
        for (int turns = 0; turns < 10; ++turns) {
            turn_to_port(base);
            fake::set_send_room(socket_of_bev, 0);
            bufferevent_write_buffer(bev, bufferevent_get_input(bev));
            turn(base);
            fake::set_send_room(socket_of_bev, SIZE_MAX);
        }
    }
    assert_true(fake::sent(socket_of_bev).size() >= 20 * large.size());
    assert_null(backend_of(base)->streams.sent.free_all);
}

} // namespace

int main()
{
    use_fake_threads();
    strict_locks_start();
#define CLEANUP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLEANUP_TEST(by_its_packet),
        CLEANUP_TEST(of_a_source_that_others_have),
        CLEANUP_TEST(after_a_failed_send),
        CLEANUP_TEST(after_it_was_let_go),
        CLEANUP_TEST(of_a_packet_that_another_thread_takes),
        CLEANUP_TEST(of_a_packet_that_comes_before_the_bytes_have_left),
        CLEANUP_TEST(when_the_base_is_freed_first),
        CLEANUP_TEST(when_the_base_is_freed_over_the_send),
        CLEANUP_TEST(without_memory),
        CLEANUP_TEST(a_send_without_memory),
        CLEANUP_TEST(that_frees_the_bufferevent),
        CLEANUP_TEST(that_sends_more_of_the_kind),
        CLEANUP_TEST(that_waits_for_a_packet),
        CLEANUP_TEST(no_event_to_the_program),
        CLEANUP_TEST(never_for_plain_memory),
    };
    return cmocka_run_group_tests_name("sent_chains", tests, nullptr, nullptr);
}
