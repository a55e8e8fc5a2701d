#include "blocks.h"
#include "world_state.h"

#include <event2/bufferevent_struct.h>

namespace parity {

namespace {

constexpr int idle_limit_ms = 2;
constexpr ULONGLONG hang_ms = 20000;
// Turns of the loop without waiting before a turn that waits; some things come a moment later under Wine.
constexpr int turns_at_once = 6;
// A pipe's messages are read one in a turn, and what comes behind them later.
constexpr int turns_for_messages = 40;
constexpr int max_turns = 20000; // of a millisecond and more

// The peers take what has been sent to them. Only those are asked that may have something: each question costs a call.
bool peers_have_all(world *w)
{
    bool all = true;
    for (int i = 0; i < w->subject_count; ++i) {
        subject *one = &w->subjects[i];
        size_t drained = subject_drained(one);
        if (one->on != nullptr && one->on->stalled)
            continue;
        for (int tries = 0; one->on != nullptr && one->on->far_end != INVALID_SOCKET && one->got.size() < drained &&
                            !one->on->far_ended && tries < 64;
             ++tries)
            if (!peer_receive(one->on, &one->got))
                break;
        subject_receive(one);
        bool open = one->on != nullptr && one->on->far_end != INVALID_SOCKET && !one->on->far_ended;
        all = all && (one->got.size() >= drained || !open || one->bev == nullptr);
    }
    return all;
}

// A descriptor that was closed is seen to be closed.
bool peers_see_the_end(world *w)
{
    bool all = true;
    for (int i = 0; i < w->connection_count; ++i) {
        connection *one = &w->connections[i];
        if ((!one->near_closed && !one->near_shut) || one->far_ended || one->far_end == INVALID_SOCKET)
            continue;
        subject *of = &w->subjects[0];
        for (int k = 0; k < w->subject_count; ++k)
            if (w->subjects[k].on == one)
                of = &w->subjects[k];
        for (int tries = 0; tries < 64 && peer_receive(one, &of->got); ++tries)
            subject_receive(of);
        all = all && one->far_ended;
    }
    return all;
}

bool is_quiet(world *w, const char **why)
{
    *why = "a peer has not received all";
    if (!peers_have_all(w))
        return false;
    *why = "a peer has not seen the end";
    if (!peers_see_the_end(w))
        return false;
    for (int i = 0; i < w->subject_count; ++i)
        if (!subject_is_quiet(&w->subjects[i], why))
            return false;
    *why = "connections to be accepted";
    if (!accepting_is_quiet(&w->listening))
        return false;
    *why = "requests to be answered";
    if (!asking_is_quiet(&w->client))
        return false;
    *why = "callbacks to be run";
    return event_base_get_num_events(w->base, EVENT_BASE_COUNT_ACTIVE) == 0;
}

void log_step(world *w)
{
    for (int i = 0; i < w->subject_count; ++i)
        note(w, std::to_string(i) + ":" + subject_log(&w->subjects[i]));
    if (w->listening.address.length != 0)
        note(w, "listener:" + accepting_log(&w->listening));
    if (w->client.client != nullptr)
        note(w, "client:" + asking_log(&w->client));
}

// Runs the loop until nothing more can happen, and a turn longer: that brings nothing.
void run_until_quiet(world *w)
{
    const char *why = "";
    ULONGLONG give_up = 0;
    int quiet_turns = 0;
    for (int i = 0; quiet_turns < 2; ++i) { // or until the time is up
        turn(w, i > turns_at_once && quiet_turns == 0);
        quiet_turns = is_quiet(w, &why) ? quiet_turns + 1 : 0;
        if (i <= turns_at_once || quiet_turns != 0)
            continue;
        ULONGLONG now = GetTickCount64();
        if (give_up == 0)
            give_up = now + hang_ms;
        if (now > give_up) {
            w->out.hung = true;
            note(w, std::string("HANGS: ") + why);
            return;
        }
    }
}

} // namespace

void turn(world *w, bool wait)
{
    struct timeval millisecond = {0, 1000};
    if (wait)
        event_add(w->tick, &millisecond);
    loop_turns(true);
    event_base_loop(w->base, wait ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
    loop_turns(false);
    if (wait)
        event_del(w->tick);
}

// One-shot servers do that: on select, what a callback writes when it has read is sent in the pass that found the
// socket readable and writable, even if that is the loop's last.
void exit_with_reply(world *w, subject *on, int asked, int answered)
{
    sync(w);
    bool plain = (on->options & BEV_OPT_DEFER_CALLBACKS) == 0 && !on->rate_limited && on->frame == 0 && on->low == 0;
    if (w->out.hung || on->bev == nullptr || on->on == nullptr || on->on->far_end == INVALID_SOCKET || !plain ||
        on->on->finished || on->on->near_shut || on->on->was_reset || on->on->refused || on->fuzzy_write ||
        on->fuzzy_read || on->input_unknown || on->on->far_ended || on->short_of_memory ||
        evbuffer_get_length(bufferevent_get_output(on->bev)) != 0)
        return;
    on->hooks.clear();
    subject_set_callbacks(on, 7);
    bufferevent_disable(on->bev, EV_READ | EV_WRITE);
    peer_send(on->on, asked + answered, 1); // at least as much as the hook asks for
    on->hooks.push_back({moment::read, action::reply_and_exit, answered});
    bufferevent_enable(on->bev, EV_READ | EV_WRITE);
    on->exited = false;
    on->written_much = true; // whether the empty output is told of before the answer is chance
    int turns = on->over_handles ? turns_for_messages : turns_at_once;
    for (int i = 0; i < turns && !on->exited && on->bev != nullptr; ++i)
        turn(w, true);
    on->hooks.clear();
    if (on->bev != nullptr && on->exited)
        note(w, "exits with " + std::to_string(evbuffer_get_length(bufferevent_get_output(on->bev))) + " unsent");
}

void read_on(world *w, subject *on)
{
    if (on->on == nullptr || !on->on->stalled)
        return;
    on->on->stalled = false;
    sync(w);
}

void sync(world *w)
{
    run_until_quiet(w);
    log_step(w);
    for (connection &one : w->connections)
        one.connecting = false;
}

bool wants(const subject *on, short event)
{
    return on->bev != nullptr &&
           event_pending(event == EV_READ ? &on->bev->ev_read : &on->bev->ev_write, event, nullptr);
}

// With a timeout, which fires in a direction that waits for something, and in no other: for writing it waits only when
// there is output and nowhere to send it. Not in both directions at once: which comes first would be chance.
void idle(world *w, subject *on, int which)
{
    sync(w);
    if (on->bev == nullptr || w->out.hung)
        return;
    if (wants(on, EV_READ) && wants(on, EV_WRITE))
        which &= ~2;
    struct timeval limit = {0, idle_limit_ms * 1000}, never = {never_seconds, 0};
    short expected = (which & 1) != 0 && wants(on, EV_READ) ? EV_READ : 0;
    if (expected == 0 && (which & 2) != 0 && wants(on, EV_WRITE))
        expected = EV_WRITE;
    on->timed_out = false;
    bufferevent_set_timeouts(on->bev, (which & 1) != 0 ? &limit : &never, (which & 2) != 0 ? &limit : &never);
    ULONGLONG begun = GetTickCount64();
    for (int i = 0; i < max_turns && on->bev != nullptr; ++i) {
        turn(w, true);
        ULONGLONG passed = GetTickCount64() - begun;
        if (expected != 0 ? on->timed_out || !wants(on, expected) || passed > hang_ms : passed > 2 * idle_limit_ms)
            break;
    }
    if (on->bev != nullptr)
        bufferevent_set_timeouts(on->bev, &never, &never);
    sync(w);
}

} // namespace parity
