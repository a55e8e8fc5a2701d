#include "guarantees.h"

#include <event2/event_struct.h>
#include <event2/thread.h>

#include <stdlib.h>
#include <string.h>

namespace parity {

namespace {

constexpr int negative_turns = 30;
constexpr size_t header_size = 16; // keeps malloc's alignment

long block_count;
long byte_count;
long first_failing, last_failing, asked_for, spared;

record *from(void *argument)
{
    return static_cast<record *>(argument);
}

DWORD main_thread;
bool on_iocp;

void check_call(record *self)
{
    self->wrong_thread = self->wrong_thread || GetCurrentThreadId() != main_thread;
    self->called_inside = self->called_inside || self->inside_call;
}

void on_read(struct bufferevent *bev, void *argument)
{
    record *self = from(argument);
    check_call(self);
    ++self->reads;
    struct evbuffer *input = bufferevent_get_input(bev);
    size_t length = evbuffer_get_length(input);
    std::string taken(length, '\0');
    evbuffer_remove(input, &taken[0], length);
    self->data += taken;
}

void on_write(struct bufferevent *, void *argument)
{
    check_call(from(argument));
    ++from(argument)->writes;
}

void on_event(struct bufferevent *, short what, void *argument)
{
    int error = EVUTIL_SOCKET_ERROR();
    record *self = from(argument);
    check_call(self);
    self->connected += (what & BEV_EVENT_CONNECTED) != 0;
    self->ended += (what & BEV_EVENT_EOF) != 0;
    self->timeouts += (what & BEV_EVENT_TIMEOUT) != 0;
    if ((what & BEV_EVENT_ERROR) != 0 && self->errors++ == 0)
        self->error = error;
}

void on_tick(evutil_socket_t, short, void *)
{
}

bool allocation_fails()
{
    if (spared > 0) {
        --spared;
        return false;
    }
    long number = InterlockedIncrement(&asked_for);
    return number >= first_failing && number <= last_failing;
}

// Helper threads of libevent's IOCP allocate too.
void *counted_malloc(size_t size)
{
    if (allocation_fails())
        return nullptr;
    auto *block = static_cast<char *>(malloc(size + header_size));
    if (block == nullptr)
        return nullptr;
    memcpy(block, &size, sizeof(size));
    InterlockedIncrement(&block_count);
    InterlockedExchangeAdd(&byte_count, static_cast<LONG>(size));
    return block + header_size;
}

void counted_free(void *pointer)
{
    if (pointer == nullptr)
        return;
    char *block = static_cast<char *>(pointer) - header_size;
    size_t size;
    memcpy(&size, block, sizeof(size));
    InterlockedDecrement(&block_count);
    InterlockedExchangeAdd(&byte_count, -static_cast<LONG>(size));
    free(block);
}

void *counted_realloc(void *pointer, size_t size)
{
    void *moved = counted_malloc(size);
    if (pointer == nullptr || moved == nullptr)
        return moved;
    size_t old;
    memcpy(&old, static_cast<char *>(pointer) - header_size, sizeof(old));
    memcpy(moved, pointer, old < size ? old : size);
    counted_free(pointer);
    return moved;
}

const guarantee *const tables[] = {
    reading_guarantees,     writing_guarantees,  connecting_guarantees,    listening_guarantees,  freeing_guarantees,
    http_guarantees,        http_row_guarantees, fairness_guarantees,      thread_guarantees,     surgery_guarantees,
    cancelling_guarantees,  closing_guarantees,  number_guarantees,        program_guarantees,    plain_guarantees,
    memory_guarantees,      sharing_guarantees,  sharing_order_guarantees, spreading_guarantees,  exiting_guarantees,
    cleanup_guarantees,     beside_guarantees,   children_guarantees,
#ifdef EVENT__HAVE_OPENSSL
    tls_opening_guarantees, tls_data_guarantees, tls_limit_guarantees,     tls_ending_guarantees, tls_slow_guarantees,
    tls_412_guarantees,
#endif
};

// Each test, until the action returns true of one: that, or NULL.
template <class Action> const guarantee *go_through_tests(Action action)
{
    auto go_through = [&](const guarantee *table) {
        while (table->holds != nullptr && !action(table))
            ++table;
        return table->holds != nullptr ? table : nullptr;
    };
    const guarantee *found = nullptr;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]) && found == nullptr; ++i)
        found = go_through(tables[i]);
    for (size_t i = 0; own_guarantees[i] != nullptr && found == nullptr; ++i)
        found = go_through(own_guarantees[i]);
    return found;
}

int list_tests()
{
    go_through_tests([](const guarantee *each) { return puts(each->name) < 0; });
    return 0;
}

const guarantee *find_test(const char *name)
{
    return go_through_tests([=](const guarantee *each) { return strcmp(each->name, name) == 0; });
}

bool run_test(const guarantee *test)
{
    struct event_base *base = new_base();
    if (base == nullptr)
        return false;
    bool holds = test->holds(base);
    event_base_free(base);
    return holds;
}

} // namespace

struct event_base *new_base()
{
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV | (on_iocp ? EVENT_BASE_FLAG_STARTUP_IOCP : 0));
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

SOCKET listening_socket(int backlog, struct sockaddr_in *address)
{
    *address = open_address();
    address->sin_port = 0;
    int length = sizeof(*address);
    SOCKET made = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(made, reinterpret_cast<struct sockaddr *>(address), length) != 0 || listen(made, backlog) != 0 ||
        getsockname(made, reinterpret_cast<struct sockaddr *>(address), &length) != 0)
        return INVALID_SOCKET;
    evutil_make_socket_nonblocking(static_cast<evutil_socket_t>(made));
    return made;
}

SOCKET client_of(struct sockaddr_in address)
{
    SOCKET made = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(made, reinterpret_cast<struct sockaddr *>(&address), sizeof(address)) == 0)
        return made;
    closesocket(made);
    return INVALID_SOCKET;
}

void turn(struct event_base *base)
{
    struct event tick;
    evtimer_assign(&tick, base, on_tick, nullptr);
    struct timeval millisecond = {0, 1000};
    event_add(&tick, &millisecond);
    event_base_loop(base, EVLOOP_ONCE);
    event_del(&tick);
}

void some_turns(struct event_base *base)
{
    for (int i = 0; i < negative_turns; ++i)
        turn(base);
}

void note_callbacks(record *into)
{
    bufferevent_setcb(into->bev, on_read, on_write, on_event, into);
}

bool open_pair(struct event_base *base, record *into, int options)
{
    *into = {};
    static int id;
    if (!connection_make(&into->on, ++id))
        return false;
    into->bev = bufferevent_socket_new(base, static_cast<evutil_socket_t>(into->on.near_end), options);
    if (into->bev == nullptr)
        return false;
    into->on.near_closed = (options & BEV_OPT_CLOSE_ON_FREE) != 0;
    note_callbacks(into);
    return true;
}

bool open_unconnected(struct event_base *base, record *into, int options)
{
    *into = {};
    into->on.near_end = into->on.far_end = INVALID_SOCKET;
    into->on.near_closed = (options & BEV_OPT_CLOSE_ON_FREE) != 0;
    into->bev = bufferevent_socket_new(base, -1, options);
    if (into->bev != nullptr)
        note_callbacks(into);
    return into->bev != nullptr;
}

void close_pair(record *of)
{
    if (of->bev != nullptr)
        bufferevent_free(of->bev);
    of->bev = nullptr;
    if (!of->on.near_closed && of->on.near_end != INVALID_SOCKET)
        evutil_closesocket(static_cast<evutil_socket_t>(of->on.near_end));
    if (of->on.far_end != INVALID_SOCKET)
        closesocket(of->on.far_end);
    of->on.near_end = of->on.far_end = INVALID_SOCKET;
}

bool run_until_full(struct event_base *base, struct bufferevent *of)
{
    constexpr int max_rounds = 200;
    struct evbuffer *output = bufferevent_get_output(of);
    size_t begun = evbuffer_get_length(output), before = 0, after = begun;
    for (int i = 0; i < max_rounds && (before != after || after == begun); ++i) {
        before = after;
        some_turns(base);
        after = evbuffer_get_length(output);
    }
    return after > 0 && after < begun;
}

bool fill_connection(struct event_base *base, record *of, const std::string &data)
{
    int small = 16 * 1024;
    setsockopt(of->on.near_end, SOL_SOCKET, SO_SNDBUF, reinterpret_cast<const char *>(&small), sizeof(small));
    setsockopt(of->on.far_end, SOL_SOCKET, SO_RCVBUF, reinterpret_cast<const char *>(&small), sizeof(small));
    bufferevent_write(of->bev, data.data(), data.size());
    return run_until_full(base, of->bev);
}

bool fill_kernel(SOCKET one)
{
    constexpr int chunk = 16384;
    static char data[chunk];
    for (int i = 0; i < 10000; ++i)
        if (send(one, data, chunk, 0) < 0)
            return WSAGetLastError() == WSAEWOULDBLOCK;
    return false;
}

void empty_kernel(connection *on, std::string *got)
{
    constexpr int max_rounds = 1000;
    for (int i = 0; i < max_rounds; ++i) {
        while (peer_receive(on, got))
            continue;
        fd_set set;
        FD_ZERO(&set);
        FD_SET(on->far_end, &set);
        struct timeval patience = {0, 20 * 1000};
        if (select(0, &set, nullptr, nullptr, &patience) != 1)
            break;
    }
}

long live_blocks()
{
    return block_count;
}

long fail_allocations(long first, long count)
{
    long before = asked_for;
    asked_for = 0;
    first_failing = first;
    last_failing = first + count - 1;
    return before;
}

void spare_allocations(long count)
{
    spared = count;
}

size_t live_bytes()
{
    return static_cast<size_t>(byte_count);
}

std::string pattern(int id, size_t from, size_t length)
{
    std::string made(length, '\0');
    for (size_t i = 0; i < length; ++i)
        made[i] = stream_byte(id, from + i);
    return made;
}

bool peer_reads(struct event_base *base, connection *on, std::string *got, size_t length)
{
    run_until(base, [&] {
        while (got->size() < length && !on->far_ended && peer_receive(on, got))
            continue;
        return got->size() >= length || on->far_ended;
    });
    return got->size() >= length;
}

bool peer_reads_to_the_end(struct event_base *base, connection *on, std::string *got)
{
    return run_until(base, [&] {
        while (!on->far_ended && peer_receive(on, got))
            continue;
        return on->far_ended;
    });
}

} // namespace parity

int main(int count, char **arguments)
{
    using namespace parity;
    setvbuf(stdout, nullptr, _IONBF, 0);
    if (count == 2 && strcmp(arguments[1], "--list") == 0)
        return list_tests();
    const guarantee *test = count == 3 ? find_test(arguments[1]) : nullptr;
    if (test == nullptr) {
        puts("usage: guarantees --list | <test> select|iocp");
        return 2;
    }
    event_set_mem_functions(counted_malloc, counted_realloc, counted_free);
    evthread_use_windows_threads();
    main_thread = GetCurrentThreadId();
    if (!net_start())
        return 2;
    on_iocp = strcmp(arguments[2], "iocp") == 0;
    bool holds = run_test(test);
    puts(holds ? "holds" : "FAILS");
    fflush(stdout);
    // The outcome is known: no helper thread shall change it on the way out.
    TerminateProcess(GetCurrentProcess(), holds ? 0 : 1);
    return 1;
}
