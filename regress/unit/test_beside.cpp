// A program's own event on the descriptor of a bufferevent that closes it, on the fake kernel: the stream gives way, and
// nobody is told for nothing, loses a byte or gets another's.
#include <string>

#include "support/check.h"

#include "support/bases.h"
#include "support/fake_kernel.h"
#include "support/strict_locks.h"

#include "backend/backend.h"
#include "backend/socket_record.h"

using namespace iocp;

namespace {

struct event_base *base;
struct bufferevent *bev;
struct event *own;
SOCKET socket_used;
std::string heard, taken; // by the bufferevent, by the program itself
int told, in_vain;
short events_told;

evutil_socket_t descriptor()
{
    return static_cast<evutil_socket_t>(socket_used);
}

void on_read(struct bufferevent *, void *)
{
    char bytes[64];
    for (size_t got = bufferevent_read(bev, bytes, sizeof(bytes)); got > 0;
         got = bufferevent_read(bev, bytes, sizeof(bytes)))
        heard.append(bytes, got);
}

void on_event(struct bufferevent *, short what, void *)
{
    events_told = static_cast<short>(events_told | what);
}

// What a program's recv() is to the kernel.
void on_own(evutil_socket_t fd, short what, void *)
{
    ++told;
    if ((what & EV_READ) == 0)
        return;
    struct evbuffer *into = evbuffer_new();
    if (evbuffer_read(into, fd, 64) <= 0)
        ++in_vain;
    taken.append(reinterpret_cast<const char *>(evbuffer_pullup(into, -1)), evbuffer_get_length(into));
    evbuffer_free(into);
}

bool has_stream()
{
    return socket_own_source(backend_of(base), descriptor()) != nullptr;
}

void turns(int count)
{
    for (int i = 0; i < count; ++i) {
        fake::advance_us(1000);
        turn_to_port(base);
    }
}

void open_world(uint64_t seed, const fake::chances &odds)
{
    fake::boot(seed, odds);
    catch_log();
    heard.clear();
    taken.clear();
    told = in_vain = events_told = 0;
    own = nullptr;
    base = make_base(on_iocp);
    socket_used = fake::open_socket(fake::kind::stream);
}

void open_connected(uint64_t seed, const fake::chances &odds)
{
    open_world(seed, odds);
    fake::connect_now(socket_used);
    bev = bufferevent_socket_new(base, descriptor(), BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(bev, on_read, nullptr, on_event, nullptr);
    assert_true(has_stream());
}

void wait_by_itself(short events)
{
    own = event_new(base, descriptor(), static_cast<short>(events | EV_PERSIST), on_own, nullptr);
    assert_int_equal(event_add(own, nullptr), 0);
}

void close_world()
{
    if (own != nullptr)
        event_free(own);
    bufferevent_free(bev);
    event_base_free(base);
    assert_int_equal(check_nothing_is_left(), 0);
}

// Its own events leave a bufferevent its stream.
void events_of_its_own(void **)
{
    open_connected(1, fake::no_chances);
    bufferevent_enable(bev, EV_READ);
    fake::set_send_room(socket_used, 0);
    bufferevent_write(bev, "one", 3);
    turns(3);
    fake::peer_sends(socket_used, "two");
    fake::set_send_room(socket_used, 100);
    turns(3);
    bufferevent_disable(bev, EV_READ);
    bufferevent_enable(bev, EV_READ);
    turns(3);
    assert_string_equal(heard.c_str(), "two");
    assert_string_equal(fake::sent(socket_used).c_str(), "one");
    assert_true(has_stream());
    close_world();
}

// The bufferevent writes, and so would receive with a buffer; the program reads.
void program_reads(void **)
{
    for (uint64_t seed = 1; seed <= 200; ++seed) {
        open_connected(seed, seed % 2 == 0 ? fake::all_chances : fake::no_chances);
        std::string sent = "first";
        bufferevent_write(bev, "first", 5);
        turns(20);
        wait_by_itself(EV_READ);
        std::string expected;
        for (int i = 0; i < 5; ++i) {
            fake::peer_sends(socket_used, "message" + std::to_string(i));
            expected += "message" + std::to_string(i);
            bufferevent_write(bev, "more", 4);
            sent += "more";
            turns(30);
        }
        turns(100);
        assert_false(has_stream());
        assert_string_equal(taken.c_str(), expected.c_str());
        assert_string_equal(fake::sent(socket_used).c_str(), sent.c_str());
        if (seed % 2 != 0)
            assert_true(told <= 10 && in_vain <= 5);
        close_world();
    }
}

// The other way round: it is told when the socket can be written, and not when our send is idle.
void program_writes(void **)
{
    open_connected(1, fake::no_chances);
    bufferevent_enable(bev, EV_READ);
    fake::peer_sends(socket_used, "one");
    turns(3);
    fake::set_send_room(socket_used, 0);
    wait_by_itself(EV_WRITE);
    turns(30);
    assert_int_equal(told, 0);
    fake::peer_sends(socket_used, "two");
    turns(3);
    assert_string_equal(heard.c_str(), "onetwo");
    fake::set_send_room(socket_used, 100);
    turns(3);
    assert_true(told > 0);
    close_world();
}

// Bytes that a receive in flight had taken are the bufferevent's, before what is received by readiness.
void bytes_are_held(void **)
{
    for (bool reads_on : {true, false}) {
        open_connected(1, fake::no_chances);
        bufferevent_enable(bev, EV_READ);
        fake::peer_sends(socket_used, "warm");
        turns(3);
        fake::hold_packets(true);
        fake::peer_sends(socket_used, "kept");
        if (!reads_on)
            bufferevent_disable(bev, EV_READ);
        wait_by_itself(EV_WRITE);
        fake::hold_packets(false);
        fake::release_all();
        turns(5);
        assert_false(has_stream());
        bufferevent_enable(bev, EV_READ);
        fake::peer_sends(socket_used, "new");
        turns(5);
        assert_string_equal(heard.c_str(), "warmkeptnew");
        close_world();
    }
}

// It is sent to its end, and what is written meanwhile comes after it.
void send_in_flight(void **)
{
    open_connected(1, fake::no_chances);
    fake::set_send_room(socket_used, 0);
    bufferevent_write(bev, "one", 3);
    turns(3);
    assert_int_equal(evbuffer_get_length(bufferevent_get_output(bev)), 0);
    wait_by_itself(EV_READ);
    turns(3);
    assert_false(has_stream());
    bufferevent_write(bev, "two", 3);
    turns(5);
    assert_string_equal(fake::sent(socket_used).c_str(), "");
    fake::set_send_room(socket_used, 100);
    turns(5);
    assert_string_equal(fake::sent(socket_used).c_str(), "onetwo");
    close_world();
}

// The bufferevent is told of its connect by the stream, which gives way after that.
void amid_a_connect(void **)
{
    for (nt_status result : {fake::status_success, fake::status_refused}) {
        open_world(1, fake::no_chances);
        fake::set_connect_result(fake::status_pending);
        bev = bufferevent_socket_new(base, descriptor(), BEV_OPT_CLOSE_ON_FREE);
        bufferevent_setcb(bev, on_read, nullptr, on_event, nullptr);
        struct sockaddr_in address = {};
        address.sin_family = AF_INET;
        assert_int_equal(
            bufferevent_socket_connect(bev, reinterpret_cast<struct sockaddr *>(&address), sizeof(address)), 0);
        wait_by_itself(EV_READ);
        turns(3);
        assert_true(has_stream());
        assert_int_equal(events_told, 0);
        fake::set_connect_result(result);
        fake::advance_us(fake::refusal_us);
        turns(5);
        bool connects = result == fake::status_success;
        assert_int_equal(events_told, connects ? BEV_EVENT_CONNECTED : BEV_EVENT_ERROR);
        assert_false(has_stream());
        if (connects) {
            fake::peer_sends(socket_used, "one");
            turns(5);
            assert_string_equal(taken.c_str(), "one");
        }
        close_world();
    }
}

// Not before the loop's next turn: its thread may be amid a read.
void by_another_thread(void **)
{
    open_connected(1, fake::no_chances);
    bufferevent_enable(bev, EV_READ);
    turns(2);
    become_thread(other_thread);
    wait_by_itself(EV_READ);
    assert_true(has_stream());
    become_thread(loop_thread);
    turns(2);
    assert_false(has_stream());
    close_world();
}

// It does not sleep when the stream has given way, and no poll waits yet.
void in_a_loop_that_waits(void **)
{
    open_connected(1, fake::no_chances);
    wait_by_itself(EV_READ);
    fake::at(fake::now_us() + 1000 * 1000, [] { fake::peer_sends(socket_used, "late"); });
    assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
    assert_string_equal(taken.c_str(), "late");
    close_world();
}

void add_in_another_thread(evutil_socket_t, short, void *)
{
    become_thread(other_thread);
    unsigned before = fake::calls(fake::call::port_post);
    wait_by_itself(EV_READ);
    assert_int_equal(fake::calls(fake::call::port_post), before + 1);
    become_thread(loop_thread);
}

// It is woken, though nobody waits for anything that was not waited for before.
void another_thread_wakes_the_loop(void **)
{
    open_connected(1, fake::no_chances);
    bufferevent_enable(bev, EV_READ);
    turns(2);
    struct timeval at_once = {0, 0};
    assert_int_equal(event_base_once(base, -1, EV_TIMEOUT, add_in_another_thread, nullptr, &at_once), 0);
    turns(3);
    assert_non_null(own);
    assert_false(has_stream());
    close_world();
}

// Its program has closed the socket past us, and another has its number: what was received is not that one's.
void number_comes_back(void **)
{
    open_connected(1, fake::no_chances);
    bufferevent_enable(bev, EV_READ);
    fake::peer_sends(socket_used, "warm");
    turns(3);
    bufferevent_disable(bev, EV_READ);
    fake::peer_sends(socket_used, "old");
    turns(1);
    fake::held_to().close_over_operation = false;
    fake::close_by_program(socket_used);
    assert_int_equal(fake::open_socket(fake::kind::stream), socket_used);
    fake::connect_now(socket_used);
    wait_by_itself(EV_WRITE);
    turns(5);
    bufferevent_enable(bev, EV_READ);
    fake::peer_sends(socket_used, "new");
    turns(5);
    assert_string_equal(heard.c_str(), "warmnew");
    close_world();
}

} // namespace

int main()
{
    strict_locks_start();
    use_fake_threads();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_of_its_own),    cmocka_unit_test(program_reads),
        cmocka_unit_test(program_writes),       cmocka_unit_test(bytes_are_held),
        cmocka_unit_test(send_in_flight),       cmocka_unit_test(amid_a_connect),
        cmocka_unit_test(by_another_thread),    cmocka_unit_test(number_comes_back),
        cmocka_unit_test(in_a_loop_that_waits), cmocka_unit_test(another_thread_wakes_the_loop),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
