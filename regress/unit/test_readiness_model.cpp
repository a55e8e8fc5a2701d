// No registered event is lost or misdirected: a million random operations (add, delete, one-shot events added again in
// their callback, a descriptor closed and its number used again at once, readiness that comes and goes, turns of the
// loop) on a kernel that is late, out of order and short of memory, against a model. A failure names the seed; with it
// as argument, only that run is made.
#include "backend/socket_registry.h"
#include "support/check.h"

#include "support/fake_sys.h"

#include "compat/libevent.h"

using namespace iocp;

namespace {

constexpr int runs = 25;
constexpr int operations_a_run = 40000;
constexpr int operations_between_checks = 100;
constexpr int slots = 16;
constexpr int max_settling_turns = 100;

// Two events for each side, one of each persistent.
enum { read_always, read_once, write_always, write_once, closed_always, events_a_slot };

constexpr short event_flags[events_a_slot] = {EV_READ | EV_PERSIST, EV_READ, EV_WRITE | EV_PERSIST, EV_WRITE,
                                              EV_CLOSED | EV_PERSIST};
constexpr ULONG event_levels[events_a_slot] = {
    sys::afd_receive | sys::afd_accept | sys::afd_disconnect | sys::afd_abort | sys::afd_connect_failed,
    sys::afd_receive | sys::afd_accept | sys::afd_disconnect | sys::afd_abort | sys::afd_connect_failed,
    sys::afd_send | sys::afd_abort | sys::afd_connect_failed,
    sys::afd_send | sys::afd_abort | sys::afd_connect_failed,
    sys::afd_disconnect | sys::afd_abort,
};
constexpr ULONG levels[] = {sys::afd_receive, sys::afd_send,    sys::afd_accept,
                            sys::afd_send,    sys::afd_receive, sys::afd_disconnect};

struct owner; // of a descriptor, from its opening to its closing

struct watched {
    owner *of;
    int index;
    struct event *registered;
    bool added;
    bool told;
};

struct owner {
    SOCKET fd;
    watched events[events_a_slot];
    ULONG seen_reading; // AFD events since the turn began, or since this side has been watched without a break
    ULONG seen_writing;
};

struct model {
    struct event_base *base;
    owner *owners[slots];
    uint64_t seed;
    int operation;
    bool settling;
    bool in_callback;
    bool failed;
};

model m;

void fails(const char *what)
{
    if (!m.failed)
        print_error("seed %llu, operation %d: %s\n", static_cast<unsigned long long>(m.seed), m.operation, what);
    m.failed = true;
}

int pick(int below)
{
    return static_cast<int>(fake::random() % static_cast<uint64_t>(below));
}

bool writes(int index)
{
    return index == write_always || index == write_once;
}

bool watches_side(const owner *of, bool writing)
{
    for (const watched &one : of->events)
        if (one.added && writes(one.index) == writing)
            return true;
    return false;
}

void add(watched *one)
{
    owner *of = one->of;
    ULONG *seen = writes(one->index) ? &of->seen_writing : &of->seen_reading;
    if (!watches_side(of, writes(one->index)))
        *seen = fake::level(of->fd);
    if (event_add(one->registered, nullptr) != 0)
        fails("event_add fails");
    one->added = true;
    one->told = false;
}

void remove(watched *one)
{
    if (event_del(one->registered) != 0)
        fails("event_del fails");
    one->added = false;
}

void set_level(owner *of, ULONG level)
{
    level |= fake::level(of->fd) & (sys::afd_disconnect | sys::afd_abort | sys::afd_connect_failed); // for good
    fake::set_level(of->fd, level);
    of->seen_reading |= level;
    of->seen_writing |= level;
}

void on_event(evutil_socket_t fd, short what, void *argument);

owner *open_owner()
{
    auto *opened = new owner();
    opened->fd = fake::open_socket(pick(2) != 0 ? fake::kind::stream : fake::kind::datagram);
    for (int i = 0; i < events_a_slot; ++i) {
        struct event *registered =
            event_new(m.base, static_cast<evutil_socket_t>(opened->fd), event_flags[i], on_event, &opened->events[i]);
        opened->events[i] = {opened, i, registered, false, false};
    }
    return opened;
}

void close_owner(int slot)
{
    owner *closing = m.owners[slot];
    for (watched &one : closing->events) {
        if (one.added)
            remove(&one);
        event_free(one.registered);
    }
    // A late event would find no owner in the model, and be one for freed memory here.
    m.owners[slot] = nullptr;
    fake::close_by_program(closing->fd);
    delete closing;
}

void turn();

void on_gone(evutil_socket_t, short, void *told)
{
    ++*static_cast<int *>(told);
}

// One that was closed past libevent may be found out by the kernel alone: then it is told.
void refused(SOCKET fd, bool announced)
{
    int told = 0;
    auto descriptor = static_cast<evutil_socket_t>(fd);
    struct event *registered = event_new(m.base, descriptor, EV_READ | EV_PERSIST, on_gone, &told);
    if (event_add(registered, nullptr) == 0) {
        if (announced)
            fails("event_add takes a descriptor that is closed");
        bool turns = !m.settling && !m.in_callback;
        m.settling = m.settling || turns;
        for (int i = 0; turns && i < max_settling_turns && told == 0; ++i) {
            fake::advance_us(1000);
            turn();
        }
        m.settling = m.settling && !turns;
        if (turns && told == 0)
            fails("a descriptor that is closed is taken, and nobody told");
    }
    event_free(registered);
}

void close_some()
{
    int slot = pick(slots);
    if (m.owners[slot] == nullptr)
        return;
    SOCKET fd = m.owners[slot]->fd;
    bool announced = pick(2) != 0; // by evutil_closesocket
    if (announced)
        registry_note_close(static_cast<evutil_socket_t>(fd));
    close_owner(slot);
    if (pick(4) != 0)
        m.owners[slot] = open_owner(); // at once, mostly under the same number
    else if (!fake::is_open(fd))
        refused(fd, announced);
}

void random_operation()
{
    int slot = pick(slots);
    owner *of = m.owners[slot];
    if (of == nullptr) {
        m.owners[slot] = open_owner();
        return;
    }
    watched *one = &of->events[pick(events_a_slot)];
    ULONG bit = levels[pick(static_cast<int>(sizeof(levels) / sizeof(levels[0])))];
    switch (pick(16)) {
    case 0:
    case 1:
    case 2:
    case 3:
        if (!one->added)
            add(one);
        return;
    case 4:
    case 5:
    case 6:
        if (one->added)
            remove(one);
        return;
    case 7:
        if (one->added) {
            remove(one);
            add(one);
        }
        return;
    case 8:
        close_some();
        return;
    case 9:
        if (pick(8) == 0)
            set_level(of, pick(2) != 0 ? sys::afd_abort : sys::afd_connect_failed);
        return;
    default:
        set_level(of, fake::level(of->fd) ^ bit);
    }
}

// The owner of a callback's event, if the event is one that the model has.
bool is_known(const watched *one)
{
    for (const owner *of : m.owners)
        if (of != nullptr && one >= of->events && one < of->events + events_a_slot)
            return true;
    return false;
}

void on_event(evutil_socket_t fd, short, void *argument)
{
    auto *one = static_cast<watched *>(argument);
    if (!is_known(one) || static_cast<SOCKET>(fd) != one->of->fd || !one->added) {
        fails("an event nobody waits for, or of an earlier owner");
        return;
    }
    ULONG seen = writes(one->index) ? one->of->seen_writing : one->of->seen_reading;
    if ((seen & event_levels[one->index]) == 0)
        fails("an event that is not ready");
    one->told = true;
    if ((event_flags[one->index] & EV_PERSIST) == 0) {
        one->added = false;
        if (!m.settling && pick(2) != 0)
            add(one);
    }
    m.in_callback = true;
    if (!m.settling && pick(8) == 0)
        random_operation();
    m.in_callback = false;
}

void turn()
{
    for (owner *of : m.owners)
        if (of != nullptr)
            of->seen_reading = of->seen_writing = fake::level(of->fd);
    if (event_base_loop(m.base, EVLOOP_ONCE | EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY) != 0)
        fails("the loop fails");
}

bool is_ready(const watched &one)
{
    ULONG levels = event_levels[one.index];
    bool writes = one.of->events[write_always].added || one.of->events[write_once].added;
    if ((event_flags[one.index] & EV_READ) != 0 && writes)
        levels &= ~ULONG{sys::afd_connect_failed}; // told to who waits to write
    return (fake::level(one.of->fd) & levels) != 0;
}

bool all_told()
{
    for (const owner *of : m.owners) {
        if (of == nullptr)
            continue;
        for (const watched &one : of->events)
            if (one.added && !one.told && is_ready(one))
                return false;
    }
    return true;
}

void settle()
{
    for (owner *of : m.owners)
        for (int i = 0; of != nullptr && i < events_a_slot; ++i)
            of->events[i].told = false;
    m.settling = true;
    for (int i = 0; i < max_settling_turns && !all_told(); ++i) {
        fake::advance_us(1000);
        turn();
    }
    m.settling = false;
    if (!all_told())
        fails("a ready event is not activated");
}

void run(uint64_t seed)
{
    fake::boot(seed, fake::all_chances);
    m = model();
    m.seed = seed;
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_STARTUP_IOCP | EVENT_BASE_FLAG_IGNORE_ENV);
    m.base = event_base_new_with_config(config);
    event_config_free(config);
    for (owner *&of : m.owners)
        of = open_owner();
    for (m.operation = 0; m.operation < operations_a_run && !m.failed; ++m.operation) {
        random_operation();
        if (pick(4) == 0)
            turn();
        if (pick(16) == 0)
            fake::advance_us(pick(3000));
        if (m.operation % operations_between_checks == 0)
            settle();
        if (fake::complaint() != nullptr)
            fails(fake::complaint());
    }
    for (int slot = 0; slot < slots; ++slot)
        if (m.owners[slot] != nullptr)
            close_owner(slot);
    event_base_free(m.base);
    if (fake::complaint_after_free() != nullptr)
        fails(fake::complaint());
    assert_false(m.failed);
}

uint64_t only_seed;

void million_operations(void **)
{
    if (only_seed != 0) {
        run(only_seed);
        return;
    }
    for (uint64_t seed = 1; seed <= runs; ++seed)
        run(seed);
}

void say_nothing(int, const char *)
{
}

} // namespace

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(million_operations),
    };
    if (argc > 1)
        only_seed = strtoull(argv[1], nullptr, 10);
    event_set_log_callback(say_nothing);
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
