// event2/iocp.h: a listener with several bases, and those of libevent's functions that are for all its parts.
#include "bufferevent/listener_bases.h"
#include "backend/backend.h"

#include "event2/iocp.h"

#include "compat/listener_slot.h"

using namespace iocp;

namespace iocp {

struct listener_part {
    round_guest guest; // first: told when the base is freed
    listener_record *whole;
    struct evconnlistener *own;
    struct event_base *base;
    LIST_ENTRY(listener_part) listed;
};

} // namespace iocp

namespace {

int bases_fail(int error)
{
    WSASetLastError(error);
    return -1;
}

// Off both lists.
void bases_unlist(listener_part *part)
{
    LIST_REMOVE(part, listed);
    --part->whole->part_count;
}

// libevent frees a listener while its event may run in another thread: event_del, which waits for that, comes first.
void bases_free_part(listener_part *part)
{
    evconnlistener_disable(part->own);
    evconnlistener_free(part->own);
    mm_free(part);
}

// In rounds_end: nobody runs its loop any more, and it has forgotten its events.
void bases_base_ends(round_guest *guest)
{
    auto *part = reinterpret_cast<listener_part *>(guest);
    bases_unlist(part);
    evconnlistener_free(part->own);
    mm_free(part);
}

void bases_remove(listener_part *part)
{
    bases_unlist(part);
    {
        base_locked held(part->base);
        LIST_REMOVE(&part->guest, in_base);
    }
    bases_free_part(part);
}

listener_part *bases_find(const listener_record *whole, const struct event_base *base)
{
    listener_part *each;
    LIST_FOREACH (each, &whole->parts, listed)
        if (each->base == base)
            break;
    return each;
}

// What a part does not do for its listener: close the socket, or lock (libevent's lock is held while event_del waits for
// the callback, which wants it, too).
constexpr unsigned left_to_the_whole = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_THREADSAFE | LEV_OPT_REUSEABLE;

// 0, or a Winsock code.
int bases_add(listener_record *whole, struct event_base *base)
{
    auto *part = static_cast<listener_part *>(mm_calloc(1, sizeof(listener_part)));
    if (part == nullptr)
        return WSAENOBUFS;
    part->guest.base_ends = bases_base_ends;
    part->whole = whole;
    part->base = base;
    unsigned flags = (whole->flags & ~left_to_the_whole) | (whole->is_disabled ? LEV_OPT_DISABLED : 0);
    part->own =
        evconnlistener_new(base, whole->callback, whole->argument, flags, 0, evconnlistener_get_fd(whole->listener));
    if (part->own == nullptr) {
        mm_free(part);
        return WSAENOBUFS;
    }
    evconnlistener_set_error_cb(part->own, whole->error_callback);
    LIST_INSERT_HEAD(&whole->parts, part, listed);
    ++whole->part_count;
    base_locked held(base);
    LIST_INSERT_HEAD(&backend_of(base)->rounds.guests, &part->guest, in_base);
    return 0;
}

// NULL, with the error set: it is not on a port.
listener_record *bases_of(struct evconnlistener *listener)
{
    listener_record *whole = listener != nullptr ? listener_find(listener) : nullptr;
    if (whole != nullptr && backend_of(evconnlistener_get_base(listener)) != nullptr)
        return whole;
    WSASetLastError(WSAEOPNOTSUPP);
    return nullptr;
}

// For the listener and each of its parts: -1 if it failed for one.
int bases_for_all(struct evconnlistener *listener, bool is_disabled, int (*stock)(struct evconnlistener *))
{
    listener_use whole(listener);
    if (whole.of != nullptr)
        whole.of->is_disabled = is_disabled;
    int result = stock(listener);
    listener_part *each;
    if (whole.of != nullptr)
        LIST_FOREACH (each, &whole.of->parts, listed)
            result = stock(each->own) != 0 ? -1 : result;
    return result;
}

} // namespace

namespace iocp {

void listener_bases_free(listener_record *whole)
{
    if (!LIST_EMPTY(&whole->parts)) // a callback of one of them may go through these
        listener_await_uses(whole);
    while (!LIST_EMPTY(&whole->parts))
        bases_remove(LIST_FIRST(&whole->parts));
}

} // namespace iocp

extern "C" {

int evconnlistener_iocp_add_base(struct evconnlistener *listener, struct event_base *base)
{
    listener_record *whole = bases_of(listener);
    if (whole == nullptr)
        return -1;
    if (base == nullptr || backend_of(base) == nullptr)
        return bases_fail(WSAEOPNOTSUPP);
    if (base == evconnlistener_get_base(listener) || bases_find(whole, base) != nullptr)
        return bases_fail(WSAEALREADY);
    if (whole->part_count + 1 >= EVCONNLISTENER_IOCP_MAX_BASES)
        return bases_fail(WSAETOOMANYREFS);
    int error = bases_add(whole, base);
    return error == 0 ? 0 : bases_fail(error);
}

int evconnlistener_iocp_remove_base(struct evconnlistener *listener, struct event_base *base)
{
    const listener_record *whole = bases_of(listener);
    if (whole == nullptr)
        return -1;
    listener_part *part = bases_find(whole, base);
    if (part == nullptr)
        return bases_fail(WSAEINVAL);
    bases_remove(part);
    return 0;
}

int evconnlistener_iocp_set_order(struct evconnlistener *listener, enum evconnlistener_iocp_order order)
{
    const listener_record *whole = bases_of(listener);
    if (whole == nullptr)
        return -1;
    if (order != EVCONNLISTENER_IOCP_IN_TURN && order != EVCONNLISTENER_IOCP_BY_LOAD)
        return bases_fail(WSAEINVAL);
    whole->listening->by_load = order == EVCONNLISTENER_IOCP_BY_LOAD;
    return 0;
}

int evconnlistener_enable(struct evconnlistener *listener)
{
    return bases_for_all(listener, false, iocp_stock_evconnlistener_enable);
}

int evconnlistener_disable(struct evconnlistener *listener)
{
    return bases_for_all(listener, true, iocp_stock_evconnlistener_disable);
}

void evconnlistener_set_cb(struct evconnlistener *listener, evconnlistener_cb callback, void *argument)
{
    listener_use whole(listener);
    iocp_stock_evconnlistener_set_cb(listener, callback, argument);
    if (whole.of == nullptr)
        return;
    whole.of->callback = callback;
    whole.of->argument = argument;
    listener_part *each;
    LIST_FOREACH (each, &whole.of->parts, listed)
        evconnlistener_set_cb(each->own, callback, argument);
}

void evconnlistener_set_error_cb(struct evconnlistener *listener, evconnlistener_errorcb callback)
{
    listener_use whole(listener);
    iocp_stock_evconnlistener_set_error_cb(listener, callback);
    if (whole.of == nullptr)
        return;
    whole.of->error_callback = callback;
    listener_part *each;
    LIST_FOREACH (each, &whole.of->parts, listed)
        evconnlistener_set_error_cb(each->own, callback);
}
}
