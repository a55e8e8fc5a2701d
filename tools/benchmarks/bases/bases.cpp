// Several bases in a thread each, on one listening socket: HTTP over kept connections, HTTPS with a handshake for each
// request, and what a base takes that does nothing. Clients are in the same threads, so that a unit is both its ends.
#include "tools/benchmarks/bases/member.h"
#include "support/imports.h"
#include "tools/benchmarks/http/certificate.h"

#include <event2/thread.h>

#include <atomic>
#include <stdio.h>
#include <stdlib.h>

namespace bench {

namespace {

const char *used_method = "none";

constexpr DWORD limit_ms = 120 * 1000;

// Locks that bases may share: ours are slim ones, libevent's own (a base's, a bufferevent's) are not.
std::atomic<long> slim_locks;
VOID(WINAPI *take_exclusive)(PSRWLOCK);
VOID(WINAPI *take_shared)(PSRWLOCK);

VOID WINAPI counted_exclusive(PSRWLOCK lock)
{
    ++slim_locks;
    take_exclusive(lock);
}

VOID WINAPI counted_shared(PSRWLOCK lock)
{
    ++slim_locks;
    take_shared(lock);
}

// A program that has none imports none.
void count_locks()
{
    const wchar_t *kernel = L"kernel32.dll";
    take_exclusive = iocp::exported(take_exclusive, kernel, "AcquireSRWLockExclusive");
    take_shared = iocp::exported(take_shared, kernel, "AcquireSRWLockShared");
    iocp::replace_import(kernel, "AcquireSRWLockExclusive", counted_exclusive);
    iocp::replace_import(kernel, "AcquireSRWLockShared", counted_shared);
}

class bases final : public work {
public:
    bases(const scenario &, int count, bool with_tls);
    void run(long units) override;
    void report() override;

private:
    std::vector<member *> members;
    tls_contexts tls;
    phase all;
    long locks = 0; // taken in the last phase
};

SOCKET listen_somewhere()
{
    sockaddr_in address = loopback(0);
    SOCKET made = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(made, reinterpret_cast<sockaddr *>(&address), sizeof(address)) != 0 || listen(made, SOMAXCONN) != 0)
        fail("listen", WSAGetLastError());
    evutil_make_socket_nonblocking(static_cast<evutil_socket_t>(made));
    return made;
}

// A handshake is to be much more of the program's own work than of Wine's: a signature with a large key, and both ends'
// part of a key exchange that is slow, too.
tls_contexts make_contexts(const scenario &what)
{
    constexpr const char *group = "ffdhe4096";
    tls_contexts made;
    made.server = self_signed_context(static_cast<unsigned>(what.size));
    made.client = SSL_CTX_new(TLS_client_method());
    if (made.server == nullptr || made.client == nullptr || SSL_CTX_set1_groups_list(made.server, group) != 1 ||
        SSL_CTX_set1_groups_list(made.client, group) != 1)
        fail("TLS", 0);
    return made;
}

bases::bases(const scenario &what, int count, bool with_tls)
{
    if (evthread_use_windows_threads() != 0)
        fail("evthread_use_windows_threads", 0);
    count_locks();
    all.done = CreateEventW(nullptr, FALSE, FALSE, nullptr);
    if (with_tls)
        tls = make_contexts(what);
    SOCKET listening = listen_somewhere();
    for (int i = 0; i < count; ++i) {
        event_base *base = make_member_base(what);
        used_method = event_base_get_method(base);
        int clients = static_cast<int>(share_of(what.connections, count, i));
        members.push_back(new member(base, listening, clients, tls, &all));
    }
    for (int i = 0; i < count; ++i)
        members[static_cast<size_t>(i)]->start_thread(i);
}

void bases::run(long units)
{
    int count = static_cast<int>(members.size());
    int working = units < count ? static_cast<int>(units) : count;
    all.working = working;
    long locks_before = slim_locks;
    for (int i = 0; i < working; ++i)
        members[static_cast<size_t>(i)]->begin(share_of(units, count, i));
    if (WaitForSingleObject(all.done, limit_ms) != WAIT_OBJECT_0)
        fail("a phase does not end", 0);
    locks = slim_locks - locks_before;
}

void bases::report()
{
    printf("locks %ld\n", locks);
    for (const member *each : members)
        printf("base %ld accepted %ld answered\n", each->accepted.load(), each->answered.load());
    if (tls.server != nullptr)
        printf("handshakes %ld resumed %ld\n", SSL_CTX_sess_accept_good(tls.server), SSL_CTX_sess_hits(tls.server));
}

template <int count> work *set_up_bases(const scenario &what)
{
    return new bases(what, count, false);
}

// --size is that of the RSA key, in bits.
template <int count> work *set_up_tls(const scenario &what)
{
    return new bases(what, count, true);
}

long heap_bytes;

// In front of each block: its size, and room to keep the alignment of malloc.
union header {
    size_t size;
    max_align_t align;
};

void *counted_malloc(size_t size)
{
    auto *block = static_cast<header *>(malloc(sizeof(header) + size));
    if (block == nullptr)
        return nullptr;
    block->size = size;
    heap_bytes += static_cast<long>(size);
    return block + 1;
}

void counted_free(void *memory)
{
    if (memory == nullptr)
        return;
    header *block = static_cast<header *>(memory) - 1;
    heap_bytes -= static_cast<long>(block->size);
    free(block);
}

void *counted_realloc(void *memory, size_t size)
{
    void *moved = counted_malloc(size);
    if (memory == nullptr || moved == nullptr)
        return moved;
    size_t before = (static_cast<header *>(memory) - 1)->size;
    memcpy(moved, memory, before < size ? before : size);
    counted_free(memory);
    return moved;
}

// So many bases as `connections` says, each of which has turned and has nothing to do.
class idle_bases final : public work {
public:
    explicit idle_bases(const scenario &);
    void run(long) override;
    void report() override { printf("heap %ld\n", heap_bytes); }

private:
    std::vector<event_base *> all;
};

idle_bases::idle_bases(const scenario &what)
{
    event_set_mem_functions(counted_malloc, counted_realloc, counted_free);
    evthread_use_windows_threads();
    for (int i = 0; i < what.connections; ++i) {
        all.push_back(make_member_base(what));
        used_method = event_base_get_method(all.back());
    }
}

void idle_bases::run(long)
{
    for (event_base *each : all)
        event_base_loop(each, EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY);
}

work *set_up_idle_bases(const scenario &what)
{
    return new idle_bases(what);
}

} // namespace

const row rows[] = {
    {"bases-1", set_up_bases<1>},      {"bases-2", set_up_bases<2>},
    {"bases-4", set_up_bases<4>},      {"bases-8", set_up_bases<8>},
    {"bases-tls-1", set_up_tls<1>},    {"bases-tls-2", set_up_tls<2>},
    {"idle-bases", set_up_idle_bases}, {nullptr, nullptr},
};

const char *method(const scenario &)
{
    return used_method;
}

} // namespace bench
