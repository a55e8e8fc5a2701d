// event2/iocp_process.h: a child, from its start to the callback of its end, which a wait for its handle brings.
#include "backend/backend.h"
#include "backend/handles/command_text.h"
#include "backend/handles/handle_wait.h"
#include "backend/handles/utf8.h"

#include "event2/iocp_pipe.h"
#include "event2/iocp_process.h"
#include "event2/iocp_wait.h"

#include <initializer_list>

using namespace iocp;

namespace {

constexpr int process_standard_handles = 3;

constexpr unsigned process_known_flags = EVPROCESS_IOCP_PIPE_STDIN | EVPROCESS_IOCP_PIPE_STDOUT |
                                         EVPROCESS_IOCP_PIPE_STDERR | EVPROCESS_IOCP_STDERR_TO_STDOUT |
                                         EVPROCESS_IOCP_HIDE | EVPROCESS_IOCP_DETACH;

} // namespace

struct evprocess {
    sys::child child;
    struct evwait *wait;
    HANDLE pipes[process_standard_handles]; // our ends, that nobody has taken
    evprocess_iocp_cb cb;
    void *arg;
};

namespace {

// What is needed until the child has been made.
struct process_start {
    struct evprocess_iocp_options options;
    wchar_t *program;
    wchar_t *command;
    wchar_t *directory;
    wchar_t *environment;
    HANDLE standard[process_standard_handles]; // the child's ends
    HANDLE null_device;
};

// False: it has what we do not know.
bool process_copy_options(process_start *start, const struct evprocess_iocp_options *given)
{
    constexpr size_t own_size = sizeof(start->options);
    if (given == nullptr || given->size < sizeof(given->size))
        return false;
    const auto *bytes = reinterpret_cast<const char *>(given);
    for (size_t i = own_size; i < given->size; ++i)
        if (bytes[i] != 0)
            return false;
    memcpy(&start->options, given, given->size < own_size ? given->size : own_size);
    return true;
}

bool process_is_possible(const struct evprocess_iocp_options *options)
{
    if ((options->command_line == nullptr) == (options->argv == nullptr) ||
        (options->flags & ~process_known_flags) != 0)
        return false;
    constexpr unsigned both = EVPROCESS_IOCP_PIPE_STDERR | EVPROCESS_IOCP_STDERR_TO_STDOUT;
    if ((options->flags & both) == both)
        return false;
    if (options->argv == nullptr)
        return options->command_line[0] != '\0';
    const char *program = options->program != nullptr ? options->program : options->argv[0];
    return program != nullptr && !command_is_batch(program);
}

int process_widen(const char *text, wchar_t **wide)
{
    int error = 0;
    if (text != nullptr)
        *wide = utf8_widen(text, utf8_halves::refused, &error);
    return error;
}

int process_make_texts(process_start *start)
{
    const struct evprocess_iocp_options *options = &start->options;
    int error = 0;
    if (options->argv != nullptr)
        start->command = command_join(options->argv, &error);
    else
        error = process_widen(options->command_line, &start->command);
    if (error == 0 && wcslen(start->command) >= max_command_units)
        error = ERROR_FILENAME_EXCED_RANGE;
    if (error == 0)
        error = process_widen(options->program, &start->program);
    if (error == 0)
        error = process_widen(options->directory, &start->directory);
    if (error == 0 && options->environment != nullptr)
        start->environment = command_environment(options->environment, &error);
    return error;
}

bool process_wants_pipe(const process_start *start, int i)
{
    constexpr unsigned first = EVPROCESS_IOCP_PIPE_STDIN;
    return (start->options.flags & (first << i)) != 0;
}

int process_make_handles(process_start *start, struct evprocess *self)
{
    for (int i = 0; i < process_standard_handles; ++i) {
        bool is_pipe = process_wants_pipe(start, i);
        if (is_pipe && evutil_iocp_pipe_pair(&self->pipes[i], &start->standard[i], i != 0) != 0)
            return WSAGetLastError();
        if (is_pipe)
            continue;
        if (i == 2 && (start->options.flags & EVPROCESS_IOCP_STDERR_TO_STDOUT) != 0) {
            start->standard[i] = start->standard[1];
            continue;
        }
        int error = start->null_device == nullptr ? sys::null_device_open(&start->null_device) : 0;
        if (error != 0)
            return error;
        start->standard[i] = start->null_device;
    }
    return 0;
}

void process_end_start(process_start *start)
{
    for (int i = 0; i < process_standard_handles; ++i)
        if (process_wants_pipe(start, i) && start->standard[i] != nullptr)
            sys::close_handle(start->standard[i]);
    if (start->null_device != nullptr)
        sys::close_handle(start->null_device);
    for (wchar_t *text : {start->program, start->command, start->directory, start->environment})
        free_if_any(text);
}

int process_create(process_start *start, struct evprocess *self)
{
    sys::child_start how = {};
    how.program = start->program;
    how.command = start->command;
    how.directory = start->directory;
    how.environment = start->environment;
    for (int i = 0; i < process_standard_handles; ++i)
        how.standard[i] = start->standard[i];
    how.hidden = (start->options.flags & EVPROCESS_IOCP_HIDE) != 0;
    how.detached = (start->options.flags & EVPROCESS_IOCP_DETACH) != 0;
    return sys::process_create(how, &self->child);
}

// What the wait has consumed is told to nobody else: the process's handle stays signalled.
void process_ended(void *, short, void *argument)
{
    auto *self = static_cast<struct evprocess *>(argument);
    if (self->cb != nullptr) // else it has never run, and is about to be freed
        self->cb(self, sys::process_exit_code(self->child.process), self->arg);
}

// It is not waited for yet.
int process_make_wait(struct evprocess *self, struct event_base *base)
{
    if (self->cb == nullptr)
        return 0;
    self->wait = evwait_iocp_new(base, self->child.process, 0, process_ended, self);
    return self->wait != nullptr ? 0 : WSAGetLastError();
}

int process_resume(struct evprocess *self)
{
    HANDLE thread = self->child.thread;
    self->child.thread = nullptr;
    return sys::process_resume(thread);
}

// It does nothing before its end can be told: one that cannot be watched has never run. Others may end it before it
// runs, and the callback free `self`: not before the lock is let go of, and from then on nothing of `self` is touched.
// (Its wait is not freed here: that may wait for the loop, which waits for the lock.)
int process_let_run(struct evprocess *self, struct event_base *base)
{
    int error = process_make_wait(self, base);
    base_locked held(base);
    if (error == 0 && self->wait != nullptr)
        error = wait_add(self->wait, nullptr);
    bool is_watched = error == 0;
    if (is_watched)
        error = process_resume(self);
    if (error == 0)
        return 0;
    bool has_ended = sys::process_terminate(self->child.process, ERROR_PROCESS_ABORTED) == ERROR_ACCESS_DENIED;
    if (is_watched && has_ended)
        return 0; // by others, and is told of as if it had run
    self->cb = nullptr;
    return error;
}

int process_run(process_start *start, struct evprocess *self, struct event_base *base)
{
    int error = process_make_texts(start);
    if (error == 0)
        error = process_make_handles(start, self);
    if (error == 0)
        error = process_create(start, self);
    return error == 0 ? process_let_run(self, base) : error;
}

// A child that nobody is told of has no wait, which would be refused.
bool process_may_start(struct event_base *base)
{
    const backend *owner = base != nullptr ? backend_of(base) : nullptr;
    if (owner == nullptr)
        return false;
    base_locked held(base);
    return !owner->draining;
}

} // namespace

extern "C" {

struct evprocess *evprocess_iocp_spawn(struct event_base *base, const struct evprocess_iocp_options *options,
                                       evprocess_iocp_cb cb, void *arg)
{
    process_start start = {};
    if (!process_may_start(base)) {
        WSASetLastError(WSAEOPNOTSUPP);
        return nullptr;
    }
    if (!process_copy_options(&start, options) || !process_is_possible(&start.options)) {
        WSASetLastError(WSAEINVAL);
        return nullptr;
    }
    auto *self = static_cast<struct evprocess *>(mm_calloc(1, sizeof(struct evprocess)));
    if (self != nullptr) {
        self->cb = cb;
        self->arg = arg;
    }
    int error = self != nullptr ? process_run(&start, self, base) : WSAENOBUFS;
    process_end_start(&start);
    if (error == 0)
        return self;
    evprocess_iocp_free(self);
    WSASetLastError(sys::is_want_of_memory(error) ? WSAENOBUFS : error); // of pipes, the child or its wait
    return nullptr;
}

void *evprocess_iocp_take_pipe(struct evprocess *self, int standard)
{
    if (standard < 0 || standard >= process_standard_handles)
        return nullptr;
    return InterlockedExchangePointer(&self->pipes[standard], nullptr); // two threads may ask
}

ev_uint32_t evprocess_iocp_get_pid(const struct evprocess *self)
{
    return self->child.id;
}

int evprocess_iocp_kill(struct evprocess *self, ev_uint32_t exit_code)
{
    int error = sys::process_terminate(self->child.process, exit_code);
    if (error == 0)
        return 0;
    WSASetLastError(error);
    return -1;
}

void evprocess_iocp_free(struct evprocess *self)
{
    if (self == nullptr)
        return;
    evwait_iocp_free(self->wait);
    for (HANDLE pipe : self->pipes)
        if (pipe != nullptr)
            sys::close_handle(pipe);
    sys::process_close(&self->child);
    mm_free(self);
}
}
