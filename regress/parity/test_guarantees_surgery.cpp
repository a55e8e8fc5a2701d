// What a program does to its output while the kernel is busy with some of it. What the kernel has taken has left the
// output: the peer gets that, then what stands in the output, once and in order.
#include "guarantees.h"

namespace parity {

namespace {

constexpr size_t filling = 1024 * 1024;
constexpr int option_sets[] = {0, BEV_OPT_CLOSE_ON_FREE};

// Operates on the output, whose front is not frozen meanwhile. What was taken out is to be in `aside`, in its order.
typedef void (*surgery)(struct evbuffer *output, struct evbuffer *aside);

std::string contents(struct evbuffer *of)
{
    std::string made(evbuffer_get_length(of), '\0');
    evbuffer_unfreeze(of, 1); // copying from the front is a change to libevent
    evbuffer_copyout(of, &made[0], made.size());
    evbuffer_freeze(of, 1);
    return made;
}

void take_by_copy(struct evbuffer *output, struct evbuffer *aside, size_t length)
{
    std::string taken(length, '\0');
    if (evbuffer_remove(output, &taken[0], length) == static_cast<int>(length))
        evbuffer_add(aside, taken.data(), length);
}

void write_anew(struct evbuffer *output)
{
    std::string anew = pattern(90, 0, 60000);
    evbuffer_add(output, anew.data(), anew.size());
}

void drain_all(struct evbuffer *output, struct evbuffer *)
{
    evbuffer_drain(output, evbuffer_get_length(output));
}

void drain_all_and_write(struct evbuffer *output, struct evbuffer *aside)
{
    drain_all(output, aside);
    write_anew(output);
}

void drain_a_byte(struct evbuffer *output, struct evbuffer *)
{
    evbuffer_drain(output, 1);
}

void drain_a_part(struct evbuffer *output, struct evbuffer *)
{
    evbuffer_drain(output, 20000);
}

void drain_half_and_write(struct evbuffer *output, struct evbuffer *)
{
    evbuffer_drain(output, evbuffer_get_length(output) / 2);
    write_anew(output);
}

void take_all_by_copy(struct evbuffer *output, struct evbuffer *aside)
{
    take_by_copy(output, aside, evbuffer_get_length(output));
}

void take_a_part_by_copy(struct evbuffer *output, struct evbuffer *aside)
{
    take_by_copy(output, aside, 30000);
}

void take_all_by_move(struct evbuffer *output, struct evbuffer *aside)
{
    evbuffer_add_buffer(aside, output);
}

void take_all_and_write(struct evbuffer *output, struct evbuffer *aside)
{
    evbuffer_add_buffer(aside, output);
    write_anew(output);
}

void take_a_part_by_move(struct evbuffer *output, struct evbuffer *aside)
{
    evbuffer_remove_buffer(output, aside, 30000);
}

void take_all_by_remove_buffer_and_write(struct evbuffer *output, struct evbuffer *aside)
{
    evbuffer_remove_buffer(output, aside, evbuffer_get_length(output));
    write_anew(output);
}

void prepend_some(struct evbuffer *output, struct evbuffer *)
{
    evbuffer_prepend(output, "first of all", 12);
}

void prepend_much(struct evbuffer *output, struct evbuffer *)
{
    std::string much = pattern(91, 0, 50000);
    evbuffer_prepend(output, much.data(), much.size());
}

void prepend_a_buffer(struct evbuffer *output, struct evbuffer *)
{
    struct evbuffer *more = evbuffer_new();
    evbuffer_add(more, "of a buffer", 11);
    evbuffer_prepend_buffer(output, more);
    evbuffer_free(more);
}

void make_contiguous(struct evbuffer *output, struct evbuffer *)
{
    evbuffer_pullup(output, -1);
}

void make_a_part_contiguous(struct evbuffer *output, struct evbuffer *)
{
    evbuffer_pullup(output, 40000);
}

void add_a_reference(struct evbuffer *output, struct evbuffer *)
{
    static const std::string lent = pattern(92, 0, 70000);
    evbuffer_add_reference(output, lent.data(), lent.size(), nullptr, nullptr);
}

void reserve_and_commit(struct evbuffer *output, struct evbuffer *)
{
    struct evbuffer_iovec space[2];
    int count = evbuffer_reserve_space(output, 5000, space, 2);
    for (int i = 0; i < count; ++i)
        for (size_t k = 0; k < space[i].iov_len; ++k)
            static_cast<char *>(space[i].iov_base)[k] = 'r';
    evbuffer_commit_space(output, space, count);
}

// Takes all, and puts it back behind something else.
void rearrange(struct evbuffer *output, struct evbuffer *)
{
    struct evbuffer *all = evbuffer_new();
    evbuffer_add_buffer(all, output);
    evbuffer_add(output, "before it", 9);
    evbuffer_add_buffer(output, all);
    evbuffer_free(all);
}

const surgery surgeries[] = {
    drain_all,
    drain_all_and_write,
    drain_a_byte,
    drain_a_part,
    drain_half_and_write,
    take_all_by_copy,
    take_a_part_by_copy,
    take_all_by_move,
    take_all_and_write,
    take_a_part_by_move,
    prepend_some,
    prepend_much,
    prepend_a_buffer,
    make_contiguous,
    make_a_part_contiguous,
    add_a_reference,
    reserve_and_commit,
    rearrange,
    take_all_by_remove_buffer_and_write,
};

// Whether the send in flight has ended by then, with its packet waiting.
enum class stage { in_flight, ended, nothing_sent };

bool reach_stage(struct event_base *base, record *one, stage at, std::string *got)
{
    if (at == stage::nothing_sent) {
        std::string data = pattern(9, 0, filling);
        bufferevent_write(one->bev, data.data(), data.size());
        return true;
    }
    REQUIRE(fill_connection(base, one, pattern(9, 0, filling)));
    if (at == stage::ended)
        empty_kernel(&one->on, got);
    return true;
}

bool operate(struct event_base *base, surgery how, stage at, int options)
{
    record one;
    std::string got;
    REQUIRE(open_pair(base, &one, options));
    REQUIRE(reach_stage(base, &one, at, &got));
    struct evbuffer *output = bufferevent_get_output(one.bev), *aside = evbuffer_new();
    size_t sent = filling - evbuffer_get_length(output);
    evbuffer_unfreeze(output, 1);
    how(output, aside);
    evbuffer_freeze(output, 1);
    // What was taken back is what had not been sent, from its beginning.
    REQUIRE(contents(aside) == pattern(9, sent, evbuffer_get_length(aside)));
    std::string expected = pattern(9, 0, sent) + contents(output);
    REQUIRE(peer_reads(base, &one.on, &got, expected.size()));
    REQUIRE(run_until(base, [&] { return evbuffer_get_length(output) == 0; }));
    // And nothing more comes, neither by itself nor with the next write.
    expected += "the next";
    bufferevent_write(one.bev, "the next", 8);
    REQUIRE(peer_reads(base, &one.on, &got, expected.size()));
    REQUIRE(got == expected);
    REQUIRE(one.errors == 0 && one.ended == 0);
    evbuffer_free(aside);
    close_pair(&one);
    return true;
}

bool output_changed(struct event_base *base, stage at)
{
    int number = 0;
    for (surgery how : surgeries) {
        for (int options : option_sets) {
            if (!operate(base, how, at, options)) {
                printf("surgery %d, options 0x%x\n", number, static_cast<unsigned>(options));
                return false;
            }
        }
        ++number;
    }
    return true;
}

bool output_changed_with_a_send_in_flight(struct event_base *base)
{
    return output_changed(base, stage::in_flight);
}

bool output_changed_with_a_send_just_ended(struct event_base *base)
{
    return output_changed(base, stage::ended);
}

bool output_changed_before_the_first_send(struct event_base *base)
{
    return output_changed(base, stage::nothing_sent);
}

// To a bufferevent on another connection, as a proxy does.
bool output_moved_to_another_connection(struct event_base *base)
{
    for (int options : option_sets) {
        record one, other;
        REQUIRE(open_pair(base, &one, options));
        REQUIRE(open_pair(base, &other, options));
        REQUIRE(fill_connection(base, &one, pattern(9, 0, filling)));
        struct evbuffer *output = bufferevent_get_output(one.bev);
        size_t sent = filling - evbuffer_get_length(output);
        evbuffer_unfreeze(output, 1);
        REQUIRE(evbuffer_add_buffer(bufferevent_get_output(other.bev), output) == 0);
        evbuffer_freeze(output, 1);
        std::string first, second;
        REQUIRE(peer_reads(base, &other.on, &second, filling - sent));
        REQUIRE(second == pattern(9, sent, filling - sent));
        bufferevent_write(one.bev, "end", 3);
        REQUIRE(peer_reads(base, &one.on, &first, sent + 3));
        REQUIRE(first == pattern(9, 0, sent) + "end");
        some_turns(base);
        REQUIRE(!peer_receive(&other.on, &second) && !peer_receive(&one.on, &first));
        close_pair(&one);
        close_pair(&other);
    }
    return true;
}

// To the bufferevent that takes over the connection: all of it, in order.
bool output_moved_with_its_descriptor(struct event_base *base)
{
    for (int options : option_sets) {
        for (bool turns_between : {false, true}) {
            record one, next;
            REQUIRE(open_pair(base, &one, options));
            REQUIRE(fill_connection(base, &one, pattern(9, 0, filling)));
            bufferevent_setfd(one.bev, -1);
            if (turns_between)
                some_turns(base);
            REQUIRE(open_unconnected(base, &next, options));
            bufferevent_setfd(next.bev, static_cast<evutil_socket_t>(one.on.near_end));
            struct evbuffer *output = bufferevent_get_output(one.bev);
            evbuffer_unfreeze(output, 1);
            REQUIRE(evbuffer_add_buffer(bufferevent_get_output(next.bev), output) == 0);
            evbuffer_freeze(output, 1);
            bufferevent_free(one.bev);
            one.bev = nullptr;
            std::string got;
            REQUIRE(peer_reads(base, &one.on, &got, filling));
            REQUIRE(got == pattern(9, 0, filling));
            close_pair(&next);
            close_pair(&one);
        }
    }
    return true;
}

// While writing is disabled, what has left the output is what the peer gets, no more and no less.
bool output_held_by_disable(struct event_base *base)
{
    for (int options : option_sets) {
        record one;
        REQUIRE(open_pair(base, &one, options));
        REQUIRE(fill_connection(base, &one, pattern(9, 0, filling)));
        struct evbuffer *output = bufferevent_get_output(one.bev);
        bufferevent_disable(one.bev, EV_WRITE);
        size_t left = evbuffer_get_length(output);
        std::string got;
        REQUIRE(peer_reads(base, &one.on, &got, filling - left));
        some_turns(base);
        REQUIRE(!peer_receive(&one.on, &got));
        REQUIRE(evbuffer_get_length(output) == left);
        bufferevent_enable(one.bev, EV_WRITE);
        REQUIRE(peer_reads(base, &one.on, &got, filling));
        REQUIRE(got == pattern(9, 0, filling));
        close_pair(&one);
    }
    return true;
}

// The program takes back its output and its descriptor, and sends the rest by calls of its own.
bool output_finished_by_the_program(struct event_base *base)
{
    for (bool turns_between : {false, true}) {
        record one;
        REQUIRE(open_pair(base, &one, 0));
        REQUIRE(fill_connection(base, &one, pattern(9, 0, filling)));
        bufferevent_disable(one.bev, EV_WRITE);
        struct evbuffer *output = bufferevent_get_output(one.bev);
        std::string rest = contents(output), got;
        bufferevent_setfd(one.bev, -1);
        if (turns_between)
            some_turns(base);
        bufferevent_free(one.bev);
        one.bev = nullptr;
        size_t done = 0;
        REQUIRE(run_until(base, [&] {
            int length = static_cast<int>(rest.size() - done < 8192 ? rest.size() - done : 8192);
            int bytes = length > 0 ? send(one.on.near_end, rest.data() + done, length, 0) : 0;
            done += bytes > 0 ? static_cast<size_t>(bytes) : 0;
            while (peer_receive(&one.on, &got))
                continue;
            return got.size() >= filling;
        }));
        REQUIRE(got == pattern(9, 0, filling));
        close_pair(&one);
    }
    return true;
}

struct drain_count {
    size_t added, deleted;
};

void count_drained(struct evbuffer *, const struct evbuffer_cb_info *info, void *argument)
{
    auto *self = static_cast<drain_count *>(argument);
    self->added += info->n_added;
    self->deleted += info->n_deleted;
}

// Callbacks on the output are told of each byte once, and its length is what they say.
bool output_callbacks_count_every_byte(struct event_base *base)
{
    for (int options : option_sets) {
        record one;
        drain_count seen = {};
        std::string got;
        REQUIRE(open_pair(base, &one, options));
        struct evbuffer *output = bufferevent_get_output(one.bev);
        evbuffer_add_cb(output, count_drained, &seen);
        REQUIRE(fill_connection(base, &one, pattern(9, 0, filling)));
        REQUIRE(seen.added - seen.deleted == evbuffer_get_length(output));
        REQUIRE(peer_reads(base, &one.on, &got, filling));
        REQUIRE(run_until(base, [&] { return seen.deleted == filling; }));
        REQUIRE(seen.added == filling && evbuffer_get_length(output) == 0 && got == pattern(9, 0, filling));
        close_pair(&one);
    }
    return true;
}

} // namespace

const guarantee surgery_guarantees[] = {
    {"output_changed_with_a_send_in_flight", output_changed_with_a_send_in_flight},
    {"output_changed_with_a_send_just_ended", output_changed_with_a_send_just_ended},
    {"output_changed_before_the_first_send", output_changed_before_the_first_send},
    {"output_moved_to_another_connection", output_moved_to_another_connection},
    {"output_moved_with_its_descriptor", output_moved_with_its_descriptor},
    {"output_held_by_disable", output_held_by_disable},
    {"output_finished_by_the_program", output_finished_by_the_program},
    {"output_callbacks_count_every_byte", output_callbacks_count_every_byte},
    {nullptr, nullptr},
};

} // namespace parity
