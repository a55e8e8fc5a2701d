#include "backend/poll_together.h"
#include "backend/poll_socket.h"

namespace iocp {

namespace {

struct group {
    source *members[sys::max_looked_at];
    sys::look looks[sys::max_looked_at];
    unsigned count;
};

poll_socket *together_from_source(source *as_source)
{
    return reinterpret_cast<poll_socket *>(as_source);
}

// What a look would have to tell; nothing if the socket is in none.
short together_to_look_for(source *as_source)
{
    const poll_socket *member = together_from_source(as_source);
    // A close that leaves data to be read is for AFD to tell; a hint was for what can be read or written.
    bool is_all = (as_source->wanted & EV_CLOSED) == 0 || as_source->place == source_place::hinted;
    bool joins = is_all && member->misses < max_misses && poll_socket_may_be_looked_at(member);
    return joins ? poll_socket_unasked(member) : static_cast<short>(0);
}

bool together_may_join(source *as_source)
{
    return together_to_look_for(as_source) != 0;
}

// One call instead of how many?
bool together_has_enough(const source_list *list)
{
    unsigned polls = 0;
    for (source *next = TAILQ_FIRST(list); next != nullptr && polls < 2; next = TAILQ_NEXT(next, queued))
        polls += together_may_join(next) ? 1 : 0;
    return polls >= 2;
}

// The next of them, from `*next` on, which is moved on behind them.
void together_gather(group *made, source **next)
{
    made->count = 0;
    for (; *next != nullptr && made->count < sys::max_looked_at; *next = TAILQ_NEXT(*next, queued)) {
        short looked_for = together_to_look_for(*next);
        if (looked_for == 0)
            continue;
        made->members[made->count] = *next;
        made->looks[made->count] = {static_cast<SOCKET>(source_descriptor(*next)), (looked_for & EV_READ) != 0,
                                    (looked_for & EV_WRITE) != 0, false};
        ++made->count;
    }
}

bool together_poll(source *member)
{
    source_unqueue(member);
    return source_start(member);
}

unsigned together_hand_on(const group *looked_at)
{
    unsigned found = 0;
    for (unsigned i = 0; i < looked_at->count; ++i) {
        source *member = looked_at->members[i];
        const sys::look &seen = looked_at->looks[i];
        if (seen.fails) {
            together_from_source(member)->polled_again = true;
            found += together_poll(member) ? 1 : 0;
        } else if (seen.reads || seen.writes) {
            together_from_source(member)->misses = 0;
            source_ready(member, static_cast<short>((seen.reads ? EV_READ : 0) | (seen.writes ? EV_WRITE : 0)));
            ++found;
        } else {
            ++together_from_source(member)->misses;
        }
    }
    return found;
}

// Nobody looks at those any more.
void together_poll_others(backend *self)
{
    source *following;
    for (source *next = TAILQ_FIRST(&self->loop.polling); next != nullptr; next = following) {
        following = TAILQ_NEXT(next, queued);
        if (together_may_join(next))
            continue;
        together_poll(next);
    }
}

// The look has failed, since one of them has been closed, or is of another provider. Their polls tell which.
unsigned together_poll_each(const group *looked_at)
{
    unsigned found = 0;
    for (unsigned i = 0; i < looked_at->count; ++i)
        found += together_poll(looked_at->members[i]) ? 1 : 0;
    return found;
}

// How many were ready: those have left the list. `failed`: some have been polled one by one.
unsigned together_look_at(backend *self, const source_list *list, bool *failed)
{
    unsigned found = 0;
    source *next = TAILQ_FIRST(list);
    while (next != nullptr) {
        group looked_at;
        together_gather(&looked_at, &next);
        if (looked_at.count == 0)
            break;
        ++self->loop.looks_together;
        if (sys::look_now(looked_at.looks, looked_at.count) == 0) {
            found += together_hand_on(&looked_at);
        } else {
            found += together_poll_each(&looked_at);
            *failed = true;
        }
    }
    return found;
}

} // namespace

bool look_together(backend *self)
{
    const source_list *list = &self->loop.polling;
    if (!together_has_enough(list) || !together_pace_is_due(&self->loop.together))
        return false;
    bool failed = false;
    unsigned found = together_look_at(self, list, &failed);
    together_pace_looked(&self->loop.together, failed ? 0 : found);
    if (found > 0)
        together_poll_others(self);
    return found > 0;
}

bool look_together_at_hinted(backend *self)
{
    bool failed = false;
    const source_list *list = &self->loop.hinted;
    return together_look_at(self, list, &failed) > 0;
}

} // namespace iocp
