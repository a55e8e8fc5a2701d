// What an output is lent: the program's own memory, whose cleanup is called where it may do what a callback may, and files.
#include "guarantees.h"

#include <fcntl.h>
#include <io.h>

namespace parity {

namespace {

constexpr size_t owned_size = 600 * 1000;

// A thread that uses the base whenever a cleanup asks for it.
struct helper {
    struct event_base *base;
    HANDLE asked;
    HANDLE answered;
    HANDLE thread;
    volatile LONG ends;
    int cleanups;
    int answers;
};

DWORD WINAPI help(void *argument)
{
    auto *self = static_cast<helper *>(argument);
    while (WaitForSingleObject(self->asked, INFINITE) == WAIT_OBJECT_0 && !self->ends) {
        event_base_get_num_events(self->base, EVENT_BASE_COUNT_ADDED); // takes the base's lock
        SetEvent(self->answered);
    }
    return 0;
}

void helper_start(helper *self, struct event_base *base)
{
    *self = {};
    self->base = base;
    self->asked = CreateEventW(nullptr, FALSE, FALSE, nullptr);
    self->answered = CreateEventW(nullptr, FALSE, FALSE, nullptr);
    self->thread = CreateThread(nullptr, 0, help, self, 0, nullptr);
}

void helper_end(helper *self)
{
    InterlockedExchange(&self->ends, 1);
    SetEvent(self->asked);
    WaitForSingleObject(self->thread, INFINITE);
    for (HANDLE each : {self->thread, self->asked, self->answered})
        CloseHandle(each);
}

void cleanup_waits(helper *self)
{
    ++self->cleanups;
    SetEvent(self->asked);
    if (WaitForSingleObject(self->answered, deadline_ms) == WAIT_OBJECT_0)
        ++self->answers;
}

void clean_memory(const void *, size_t, void *argument)
{
    cleanup_waits(static_cast<helper *>(argument));
}

void clean_segment(const struct evbuffer_file_segment *, int, void *argument)
{
    cleanup_waits(static_cast<helper *>(argument));
}

const std::string &owned_bytes()
{
    static const std::string bytes(owned_size, 'o');
    return bytes;
}

bool add_reference(struct evbuffer *to, helper *self)
{
    return evbuffer_add_reference(to, owned_bytes().data(), owned_size, clean_memory, self) == 0;
}

// The source's memory goes with the last output that has it.
bool add_buffer_reference(struct evbuffer *to, helper *self)
{
    struct evbuffer *source = evbuffer_new();
    bool added = add_reference(source, self) && evbuffer_add_buffer_reference(to, source) == 0;
    evbuffer_free(source);
    return added;
}

struct evbuffer_file_segment *new_segment()
{
    static int made; // libevent leaves a handle of each mapping open
    char folder[MAX_PATH], path[MAX_PATH + 40];
    GetTempPathA(sizeof(folder), folder);
    snprintf(path, sizeof(path), "%sguarantee-%lu-%d.tmp", folder, GetCurrentProcessId(), made++);
    int file = _open(path, _O_CREAT | _O_TRUNC | _O_RDWR | _O_BINARY | _O_TEMPORARY, 0600);
    _write(file, owned_bytes().data(), static_cast<unsigned>(owned_size));
    return evbuffer_file_segment_new(file, 0, static_cast<ev_off_t>(owned_size), EVBUF_FS_CLOSE_ON_FREE);
}

bool add_file_segment(struct evbuffer *to, helper *self)
{
    struct evbuffer_file_segment *segment = new_segment();
    if (segment == nullptr)
        return false;
    evbuffer_file_segment_add_cleanup_cb(segment, clean_segment, self);
    bool added = evbuffer_add_file_segment(to, segment, 0, static_cast<ev_off_t>(owned_size)) == 0;
    evbuffer_file_segment_free(segment);
    return added;
}

using add_owned = bool (*)(struct evbuffer *to, helper *self);

// More than the kernel takes at once: where sends are overlapped, one is in flight with all of it. `lets_go`: the
// bufferevent is freed then.
bool one_cleanup(struct event_base *base, add_owned add, bool lets_go)
{
    record one;
    helper other;
    std::string got;
    int small = 16 * 1024;
    helper_start(&other, base);
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE));
    setsockopt(one.on.near_end, SOL_SOCKET, SO_SNDBUF, reinterpret_cast<const char *>(&small), sizeof(small));
    setsockopt(one.on.far_end, SOL_SOCKET, SO_RCVBUF, reinterpret_cast<const char *>(&small), sizeof(small));
    bufferevent_set_max_single_write(one.bev, owned_size);
    REQUIRE(add(bufferevent_get_output(one.bev), &other));
    some_turns(base);
    if (lets_go) {
        bufferevent_free(one.bev);
        one.bev = nullptr;
    } else {
        REQUIRE(peer_reads(base, &one.on, &got, owned_size));
        REQUIRE(got == owned_bytes());
    }
    REQUIRE(run_until(base, [&] {
        peer_receive(&one.on, &got);
        return other.cleanups > 0;
    }));
    some_turns(base);
    REQUIRE(other.cleanups == 1 && other.answers == 1);
    close_pair(&one);
    helper_end(&other);
    return true;
}

bool a_cleanup_runs_with_no_lock_of_the_base(struct event_base *base)
{
    for (add_owned add : {add_reference, add_buffer_reference, add_file_segment})
        for (bool lets_go : {false, true})
            REQUIRE(one_cleanup(base, add, lets_go));
    return true;
}

// A view of a file, as it is where the file's medium fails (a share that is gone, a bad sector): whoever reads it by himself
// is ended for that.
bool make_unreadable(struct evbuffer *output)
{
    struct evbuffer_iovec first;
    MEMORY_BASIC_INFORMATION about;
    REQUIRE(evbuffer_peek(output, 1, nullptr, &first, 1) == 1);
    REQUIRE(VirtualQuery(first.iov_base, &about, sizeof(about)) == sizeof(about) && about.Type == MEM_MAPPED);
    DWORD before;
    REQUIRE(VirtualProtect(about.BaseAddress, about.RegionSize, PAGE_NOACCESS, &before));
    return true;
}

// `length`: of the file; what is more than one send has to be copied. (The kernel reads for us then, and Wine's reads it.)
bool one_unreadable_file(struct event_base *base, size_t before, size_t length)
{
    record one, other;
    std::string got, head(before, 'h');
    REQUIRE(open_pair(base, &one, BEV_OPT_CLOSE_ON_FREE) && open_pair(base, &other, BEV_OPT_CLOSE_ON_FREE));
    struct evbuffer *output = bufferevent_get_output(one.bev);
    struct evbuffer_file_segment *segment = new_segment();
    REQUIRE(segment != nullptr);
    REQUIRE(head.empty() || evbuffer_add(output, head.data(), head.size()) == 0);
    struct evbuffer *file = evbuffer_new();
    REQUIRE(evbuffer_add_file_segment(file, segment, 0, static_cast<ev_off_t>(length)) == 0);
    REQUIRE(make_unreadable(file) && evbuffer_add_buffer(output, file) == 0);
    evbuffer_free(file);
    evbuffer_file_segment_free(segment);
    REQUIRE(run_until(base, [&] {
        peer_receive(&one.on, &got);
        return one.errors > 0 || got.size() == before + length;
    }));
    some_turns(base);
    REQUIRE(one.ended == 0 && (one.errors == 0 || (one.errors == 1 && one.error == WSAEFAULT)));
    got.clear();
    bufferevent_write(other.bev, "on", 2);
    REQUIRE(peer_reads(base, &other.on, &got, 2) && got == "on");
    close_pair(&one);
    close_pair(&other);
    return true;
}

bool an_unreadable_file_is_an_error_of_its_connection(struct event_base *base)
{
    for (size_t before : {0, 100})
        for (size_t length : {1000, 64 * 1024})
            REQUIRE(one_unreadable_file(base, before, length));
    return true;
}

} // namespace

const guarantee cleanup_guarantees[] = {
    {"a_cleanup_runs_with_no_lock_of_the_base", a_cleanup_runs_with_no_lock_of_the_base},
    {"an_unreadable_file_is_an_error_of_its_connection", an_unreadable_file_is_an_error_of_its_connection},
    {nullptr, nullptr},
};

} // namespace parity
