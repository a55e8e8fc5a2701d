#include "backend/signals.h"

#include <atomic>
#include <signal.h>

namespace iocp {

namespace {

// What the handler may touch. It runs on a thread of its own for Ctrl-C, and on the raising thread otherwise.
struct signal_state {
    SRWLOCK lock; // the port stays open while the handler holds it shared
    backend *receiver;
    std::atomic<bool> posted;
    std::atomic<int> caught[NSIG];
};

signal_state state;

// Lock held, shared at least.
void signals_post_wake()
{
    if (state.receiver == nullptr || state.posted.exchange(true))
        return;
    if (sys::port_post(state.receiver->port->for_libevent.port, port_uncounted_key, 0,
                       &state.receiver->signal_wake.overlapped) != 0)
        state.posted = false; // the next signal tries again, and is counted with this one
}

void __cdecl signals_on_signal(int number)
{
    int socket_error = WSAGetLastError();
    int error = errno;
    signal(number, signals_on_signal); // the C run-time of Windows resets a handler when it runs
    state.caught[number].fetch_add(1);
    AcquireSRWLockShared(&state.lock);
    signals_post_wake();
    ReleaseSRWLockShared(&state.lock);
    errno = error;
    WSASetLastError(socket_error);
}

void signals_set_receiver(backend *receiver)
{
    AcquireSRWLockExclusive(&state.lock);
    state.receiver = receiver;
    state.posted = false;
    // Caught for the receiver before, perhaps, whose port has the packet: post once more.
    bool waiting = false;
    for (const std::atomic<int> &count : state.caught)
        waiting = waiting || count != 0;
    if (waiting)
        signals_post_wake();
    ReleaseSRWLockExclusive(&state.lock);
}

void signal_wake_packet(struct event_overlapped *record, ev_uintptr_t, ev_ssize_t, int)
{
    auto *owner = EVUTIL_UPCAST(record, backend, signal_wake);
    if (state.receiver != owner)
        return;
    state.posted = false; // before the counts are read: a signal from here on posts again
    for (int number = 0; number < NSIG; ++number) {
        int count = state.caught[number].exchange(0);
        if (count > 0)
            evmap_signal_active_(owner->base, number, count);
    }
}

int signals_add(struct event_base *base, evutil_socket_t number, short, short, void *)
{
    backend *owner = backend_of(base);
    EVUTIL_ASSERT(number >= 0 && number < NSIG);
    if (state.receiver != nullptr && state.receiver != owner && state.receiver->base->sig.ev_n_signals_added > 0)
        event_warnx("Signals are being added to event_base %p while event_base %p has some: one base at a time "
                    "receives signals, the one that added the last",
                    static_cast<void *>(base), static_cast<void *>(state.receiver->base));
    signals_set_receiver(owner);
    state.caught[number] = 0;
    ++base->sig.ev_n_signals_added;
    if (evsig_set_handler_(base, static_cast<int>(number), signals_on_signal) == 0)
        return 0;
    --base->sig.ev_n_signals_added;
    return -1;
}

int signals_del(struct event_base *base, evutil_socket_t number, short, short, void *)
{
    EVUTIL_ASSERT(number >= 0 && number < NSIG);
    --base->sig.ev_n_signals_added;
    return evsig_restore_handler_(base, static_cast<int>(number));
}

const struct eventop signal_ops = {
    "iocp_signal", nullptr, signals_add, signals_del, nullptr, nullptr, 0, static_cast<event_method_feature>(0), 0,
};

} // namespace

void signals_init(backend *owner)
{
    event_overlapped_init_(&owner->signal_wake, signal_wake_packet);
    owner->base->evsigsel = &signal_ops;
}

bool signals_waiting()
{
    return state.posted;
}

void signals_claim(backend *owner)
{
    // The base that had them is gone.
    if (state.receiver == nullptr && owner->base->sig.ev_n_signals_added > 0)
        signals_set_receiver(owner);
}

void signals_dealloc(backend *owner)
{
    evsig_dealloc_(owner->base); // restores the handlers; there is no socket pair to close
    owner->base->sig.ev_n_signals_added = 0;
    if (state.receiver == owner)
        signals_set_receiver(nullptr);
}

} // namespace iocp
