// A bufferevent under test: its callbacks note what happens and carry out the script's hooks.
//
// What is noted must not depend on how the bytes were cut up on their way, which is neither base's fault. So read
// callbacks next to each other count once, and after a hook that stops reading in the midst of a burst ("fuzzy") the
// lengths are not compared until everything has been read again.
#ifndef LIBEVENT_IOCP_REGRESS_PARITY_SUBJECT_H
#define LIBEVENT_IOCP_REGRESS_PARITY_SUBJECT_H

#include "peer.h"
#include "script.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

namespace parity {

// Output of one step above which sends may be partial, so that write callbacks are not counted one by one.
constexpr size_t surely_sent_at_once = 4096;

// A timeout that does not come. (With none at all libevent goes on using the last one for a persistent event.)
constexpr int never_seconds = 3600;

struct hook {
    moment when;
    action what;
    int bytes; // for a read: after so many; for a write: how many
};

struct subject {
    int index;
    int options;
    struct event_base *base;
    bool over_handles;       // its connections are pipes
    struct bufferevent *bev; // NULL once freed
    connection *on;
    int frame;
    int low;
    int high;
    size_t written;
    size_t drained_when_freed;
    size_t checked;       // of `got`
    std::string input;    // what should stand in the input
    bool exited;          // from the loop, in the step
    bool short_of_memory; // in this script
    bool told;            // that something has failed
    bool operates_on_input;
    bool input_frozen;
    std::string expected; // what its peers are to receive, if all of it is sent
    std::string got;
    std::vector<hook> hooks;
    DWORD loop_thread;

    // The step's notes.
    bool read_called;
    bool written_much;
    bool rate_limited; // at some time: what it sends may be cut up from then on
    int write_calls;
    std::string connect_events;
    std::string read_events;
    std::string write_events;
    int deferred_events;
    std::string wrong;

    bool fuzzy_read;
    bool fuzzy_write;
    bool input_unknown; // for good
    bool cut_amid_send; // how many bytes it sends in all differs from then on, and only what is missing is compared
    bool hide_reading;  // in this step
    bool hide_writing;
    bool read_was_fuzzy;
    bool write_was_fuzzy;
    bool hide_enabled;
    bool timed_out;
    bool left_connecting; // it was given another connection, or none, before its connect was told of
};

// On `fd`, or -1.
struct bufferevent *bufferevent_make(struct event_base *base, evutil_socket_t fd, int options, bool over_handle);
bool subject_start(subject *self, const script &from, int index, struct event_base *base);
// A bufferevent on its connection, in place of one that is freed.
bool subject_make(subject *self);
void subject_set_callbacks(subject *self, int which);
int subject_enable(subject *self, int events);
void subject_write(subject *self, int bytes);
void subject_free(subject *self);
bool subject_owns_descriptor(const subject *self);
// To another connection, or none.
void subject_move(subject *self, connection *to);

// The script has changed the output, of which nothing was sent meanwhile.
void subject_output_changed(subject *self, size_t drained_before);
// The same of the input.
void subject_input_changed(subject *self);
// What its peers should have received.
size_t subject_drained(const subject *self);
void subject_receive(subject *self);
// True if nothing more can happen without further operations; `why` says what can.
bool subject_is_quiet(const subject *self, const char **why);

std::string subject_log(subject *self);

} // namespace parity

#endif
