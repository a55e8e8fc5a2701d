// Random scripts of bytes, timers and other threads, which a base runs in a loop of its own, inside another loop, and
// there with the port watched by a thread: each callback comes at the same time, with the same bytes. And where packets
// are late, overtake each other and starts fail, nothing is lost.
//
// "unit-embedding_model SEED" runs one script.
#include "support/check.h"

#include <algorithm>

#include "support/bases.h"
#include "support/fake_embed.h"

#include "event2/iocp.h"

using namespace iocp;

namespace {

constexpr uint64_t scripts = 300;
constexpr int sockets = 6, timers = 5, wakers = 3, steps = 60;
constexpr int max_sleeps = 100000;
constexpr int64_t length_us = 200000;
constexpr int64_t end_us = 10 * length_us; // what is late has come by then

// Times are whole milliseconds, in which an outer loop waits.
struct step {
    int64_t at_us;
    int what; // below sockets: its peer sends; then a timer is added, then somebody is woken by another thread
    int number;
};

enum class way { own_loop, outer_loop, outer_loop_and_thread };

struct entry {
    int64_t time;
    int source;
    size_t number;

    bool operator==(const entry &other) const
    {
        return time == other.time && source == other.source && number == other.number;
    }
};

struct event_base *base;
SOCKET socket_of[sockets];
struct bufferevent *bev_of[sockets];
struct event *timer_of[timers], *waker_of[wakers];
size_t read_by[sockets], fired[timers], woken[wakers];
std::vector<entry> trace;

uint64_t state;

uint64_t pick(uint64_t below)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (state >> 33) % below;
}

std::vector<step> make_script(uint64_t seed)
{
    state = seed;
    std::vector<step> made;
    for (int i = 0; i < steps; ++i) {
        int64_t at = 1000000 + 1000 * static_cast<int64_t>(pick(length_us / 1000));
        made.push_back({at, static_cast<int>(pick(sockets + timers + wakers)), static_cast<int>(pick(40))});
    }
    return made;
}

void on_bytes(struct bufferevent *bev, void *argument)
{
    auto index = static_cast<int>(reinterpret_cast<intptr_t>(argument));
    struct evbuffer *input = bufferevent_get_input(bev);
    read_by[index] += evbuffer_get_length(input);
    trace.push_back({fake::now_us(), index, read_by[index]});
    bufferevent_write_buffer(bev, input);
}

void on_timer(evutil_socket_t, short, void *argument)
{
    auto index = static_cast<int>(reinterpret_cast<intptr_t>(argument));
    trace.push_back({fake::now_us(), sockets + index, ++fired[index]});
}

void on_woken(evutil_socket_t, short, void *argument)
{
    auto index = static_cast<int>(reinterpret_cast<intptr_t>(argument));
    trace.push_back({fake::now_us(), sockets + timers + index, ++woken[index]});
}

void take(const step &next)
{
    become_thread(other_thread);
    if (next.what < sockets) {
        fake::peer_sends(socket_of[next.what], std::string(static_cast<size_t>(next.number + 1), 'b'));
    } else if (next.what < sockets + timers) {
        struct timeval delay = {0, next.number * 1000};
        event_add(timer_of[next.what - sockets], &delay);
    } else {
        event_active(waker_of[next.what - sockets - timers], EV_READ, 1);
    }
    become_thread(loop_thread);
}

void *as_argument(int index)
{
    return reinterpret_cast<void *>(static_cast<intptr_t>(index));
}

void open_all(const std::vector<step> &script)
{
    base = make_base(on_iocp);
    for (int i = 0; i < sockets; ++i) {
        socket_of[i] = fake::open_socket(fake::kind::stream);
        fake::connect_now(socket_of[i]);
        bev_of[i] = bufferevent_socket_new(base, static_cast<evutil_socket_t>(socket_of[i]),
                                           BEV_OPT_CLOSE_ON_FREE | (i % 2 != 0 ? BEV_OPT_DEFER_CALLBACKS : 0));
        bufferevent_setcb(bev_of[i], on_bytes, nullptr, nullptr, as_argument(i));
        bufferevent_enable(bev_of[i], EV_READ | EV_WRITE);
        read_by[i] = 0;
    }
    for (int i = 0; i < timers; ++i) {
        timer_of[i] = evtimer_new(base, on_timer, as_argument(i));
        fired[i] = 0;
    }
    for (int i = 0; i < wakers; ++i) {
        waker_of[i] = event_new(base, -1, EV_PERSIST, on_woken, as_argument(i));
        woken[i] = 0;
    }
    for (const step &next : script)
        fake::at(next.at_us, [next] { take(next); });
    fake::at(1000000 + end_us, [] {
        become_thread(other_thread);
        event_base_loopbreak(base);
        become_thread(loop_thread);
    });
    trace.clear();
}

void close_all()
{
    for (struct bufferevent *each : bev_of)
        bufferevent_free(each);
    for (struct event *each : timer_of)
        event_free(each);
    for (struct event *each : waker_of)
        event_free(each);
    event_base_free(base);
    assert_null(fake::complaint_after_free());
}

void run_outside()
{
    HANDLE handle = event_base_iocp_get_handle(base);
    DWORD wait_ms;
    for (int sleeps = 0; event_base_iocp_run(base, 0, &wait_ms) == 1; ++sleeps) {
        assert_true(sleeps < max_sleeps);
        fake::wait_outside(handle, wait_ms);
    }
}

std::vector<entry> run(const std::vector<step> &script, uint64_t seed, way how, const fake::chances &odds)
{
    fake::boot(seed, odds);
    _putenv(how == way::outer_loop_and_thread ? "EVENT_IOCP_NO_PORT_WAIT=1" : "EVENT_IOCP_NO_PORT_WAIT=0");
    open_all(script);
    if (how == way::own_loop)
        event_base_loop(base, 0);
    else
        run_outside();
    assert_true(event_base_got_break(base));
    for (int i = 0; i < sockets; ++i)
        assert_int_equal(fake::sent(socket_of[i]).size(), read_by[i]);
    close_all();
    // Who of several comes first within a millisecond nobody has said.
    std::stable_sort(trace.begin(), trace.end(), [](const entry &a, const entry &b) {
        return a.time != b.time ? a.time < b.time : a.source < b.source;
    });
    return trace;
}

void callbacks_come_as_in_a_loop_of_its_own(uint64_t seed)
{
    std::vector<step> script = make_script(seed);
    std::vector<entry> expected = run(script, seed, way::own_loop, fake::no_chances);
    assert_true(expected.size() > steps / 4);
    for (way how : {way::outer_loop, way::outer_loop_and_thread}) {
        std::vector<entry> seen = run(script, seed, how, fake::no_chances);
        if (!(seen == expected))
            print_error("seed %llu, way %d\n", static_cast<unsigned long long>(seed), static_cast<int>(how));
        assert_true(seen == expected);
    }
}

void nothing_is_lost(uint64_t seed)
{
    std::vector<step> script = make_script(seed);
    size_t sent[sockets] = {};
    for (const step &next : script)
        if (next.what < sockets)
            sent[next.what] += static_cast<size_t>(next.number + 1);
    for (way how : {way::outer_loop, way::outer_loop_and_thread}) {
        run(script, seed, how, fake::all_chances);
        for (int i = 0; i < sockets; ++i)
            assert_int_equal(read_by[i], sent[i]);
        for (const step &next : script) {
            assert_true(next.what < sockets || next.what >= sockets + timers || fired[next.what - sockets] > 0);
            assert_true(next.what < sockets + timers || woken[next.what - sockets - timers] > 0);
        }
    }
}

uint64_t only_seed;

void for_each_seed(void (*check)(uint64_t))
{
    if (only_seed != 0)
        check(only_seed);
    else
        for (uint64_t seed = 1; seed <= scripts; ++seed)
            check(seed);
}

void random_scripts_give_the_same_trace(void **)
{
    for_each_seed(callbacks_come_as_in_a_loop_of_its_own);
}

void random_scripts_amid_all_that_goes_wrong(void **)
{
    for_each_seed(nothing_is_lost);
}

} // namespace

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_scripts_give_the_same_trace),
        cmocka_unit_test(random_scripts_amid_all_that_goes_wrong),
    };
    if (argc > 1)
        only_seed = strtoull(argv[1], nullptr, 10);
    catch_log();
    use_fake_threads();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
