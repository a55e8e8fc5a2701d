// A watch has one read in flight, and an event of libevent's that is active while there is something to tell. The read's
// packet activates it. Its callback takes what was read, starts the next read and then calls the program: Windows keeps
// what happens in between with the handle, in a buffer as large as that of the first read.
//
// The event's timer has two uses, which do not overlap: a read that could not start is tried again, and while one is in
// flight, the new name of a rename is waited for that Windows has told the old name of.
//
// Who frees a watch in another thread than the loop's waits for its callback by event_del.
#include "backend/handles/directory_watch.h"
#include "backend/backend.h"
#include "backend/handles/directory_changes.h"
#include "backend/handles/utf8.h"

#include "event2/iocp_directory.h"

namespace iocp {

namespace {

// What one read takes, and what the kernel sets aside for as long as the handle is open. Microsoft's documentation of
// ReadDirectoryChangesW has 64 KiB as the most that works across a network.
constexpr DWORD directory_buffer_size = 16 * 1024;
static_assert(directory_buffer_size <= 64 * 1024 && directory_buffer_size % sizeof(DWORD) == 0, "");

// Between two tries to start a read, while the kernel has no memory for it.
constexpr struct timeval directory_retry = {0, 50 * 1000};
// How long the new name of a rename may take. (Windows queues both at once: the wait is for the next packet.)
constexpr struct timeval directory_new_name_wait = {1, 0};

} // namespace

struct directory_read {
    completion operation;     // first
    struct evdirwatch *owner; // not looked at once disowned
    int error;
    DWORD bytes;
    alignas(DWORD) unsigned char buffer[directory_buffer_size];
};

} // namespace iocp

struct evdirwatch {
    iocp::backend *owner; // NULL: its base has been freed
    TAILQ_ENTRY(evdirwatch) next;
    struct event tells;
    iocp::directory_read *read; // NULL: it is over
    HANDLE directory;           // open as long as there is a read
    char *old_name;             // of a rename whose new name has not come
    evdirwatch_cb callback;
    void *argument;
    bool recursive;
    bool has_read;      // a read has ended and was not told of
    bool in_callback;   // of the program's
    bool freed_by_loop; // from within its callback, which the memory waits for
};

namespace iocp {

namespace {

// What one callback is to say.
struct directory_report {
    change_list changes;
    int what;
    int error;
};

void directory_read_ended(completion *operation, int error, DWORD bytes)
{
    auto *read = reinterpret_cast<directory_read *>(operation);
    evdirwatch *self = read->owner;
    read->error = error;
    read->bytes = bytes;
    self->has_read = true;
    event_active_nolock_(&self->tells, EV_READ, 1);
}

void directory_read_freed(completion *operation, int, DWORD)
{
    mm_free(operation);
}

const completion_ops directory_read_ops = {operation_kind::directory, directory_read_ended, directory_read_freed};

// 0, or why no read is in flight.
int directory_start(evdirwatch *self)
{
    port *on = self->owner->port;
    directory_read *read = self->read;
    OVERLAPPED *overlapped = completion_begin_file(&read->operation, self->directory);
    sys::start_result result = completion_settle_start(
        on, &read->operation,
        sys::directory_read(self->directory, read->buffer, directory_buffer_size, self->recursive, overlapped));
    EVUTIL_ASSERT(result.how != sys::started::done); // the handle's packets are not skipped
    return result.how == sys::started::failed ? result.error : 0;
}

// A cancelled operation owns its memory until its packet; the handle is not needed for that, and while it is open the
// directory may not go away.
void directory_stop(evdirwatch *self)
{
    if (self->read == nullptr)
        return;
    completion_disown(&self->read->operation);
    self->read = nullptr;
    sys::close_handle(self->directory);
    free_if_any(self->old_name);
    self->old_name = nullptr;
    base_del_virtual(self->owner->base);
}

void directory_fail(evdirwatch *self, directory_report *report, int error)
{
    bool deleted = sys::directory_is_deleted(self->directory, &self->read->operation.overlapped);
    report->what |= deleted ? EVDIRWATCH_DELETED : EVDIRWATCH_ERROR;
    report->error = error;
    if (self->old_name != nullptr)
        report->what |= EVDIRWATCH_OVERFLOW; // which is not told any more
    directory_stop(self);
}

void directory_set_timer(evdirwatch *self, directory_report *report, const struct timeval *wait)
{
    if (event_add_nolock_(&self->tells, wait, 0) != 0)
        directory_fail(self, report, WSAENOBUFS);
}

// Ended by nobody we know: as operations of a thread that has ended, on systems that do so. Nothing is lost.
bool directory_was_interrupted(const directory_read *read)
{
    return read->error == ERROR_OPERATION_ABORTED && !read->operation.cancelled;
}

void directory_go_on(evdirwatch *self, directory_report *report, bool at_once)
{
    int error = at_once ? directory_start(self) : WSAENOBUFS;
    if (error == 0 && self->old_name != nullptr)
        directory_set_timer(self, report, &directory_new_name_wait);
    else if (sys::is_shortage(error))
        directory_set_timer(self, report, &directory_retry);
    else if (error != 0)
        directory_fail(self, report, error);
}

// Takes what a read has brought.
void directory_take(evdirwatch *self, directory_report *report)
{
    directory_read *read = self->read;
    bool interrupted = directory_was_interrupted(read);
    bool lost = read->error == 0 ? sys::directory_has_lost(&read->operation.overlapped) : !interrupted;
    // More bytes than there is room for can only be a mistake.
    size_t bytes = read->error == 0 && read->bytes <= directory_buffer_size ? read->bytes : 0;
    if (!interrupted)
        report->changes = changes_take(read->buffer, lost ? 0 : bytes, !lost, &self->old_name);
    if (read->error != 0 && !interrupted && !sys::is_shortage(read->error)) {
        directory_fail(self, report, read->error);
        return;
    }
    if (lost || report->changes.lost || bytes != read->bytes)
        report->what |= EVDIRWATCH_OVERFLOW;
    directory_go_on(self, report, read->error == 0);
}

directory_report directory_find_out(evdirwatch *self, short what)
{
    directory_report report = {{nullptr, 0, false}, 0, 0};
    if (self->has_read) {
        self->has_read = false;
        directory_take(self, &report);
    } else if (!self->read->operation.pending) {
        directory_go_on(self, &report, true);
    } else if ((what & EV_TIMEOUT) != 0) { // else its read was taken, before this callback, by one of the timer's
        report.changes = changes_take(nullptr, 0, false, &self->old_name);
        if (report.changes.lost)
            report.what |= EVDIRWATCH_OVERFLOW;
    }
    return report;
}

void directory_free_memory(evdirwatch *self)
{
    event_debug_unassign(&self->tells);
    mm_free(self);
}

void directory_tell(evutil_socket_t, short what, void *argument)
{
    auto *self = static_cast<evdirwatch *>(argument);
    struct event_base *base = self->owner->base;
    directory_report report;
    {
        base_locked held(base);
        if (self->read == nullptr)
            return; // another thread frees it, and waits for this callback
        report = directory_find_out(self, what);
        if (report.what == 0 && report.changes.count == 0)
            return;
        self->in_callback = true;
    }
    WSASetLastError(report.error);
    self->callback(self, report.changes.first, report.changes.count, report.what, self->argument);
    changes_free(&report.changes);
    bool freed;
    {
        base_locked held(base);
        self->in_callback = false;
        freed = self->freed_by_loop;
    }
    if (freed)
        directory_free_memory(self);
}

// Joins the port and starts. What it was given stays the caller's if that fails.
int directory_begin(evdirwatch *self)
{
    backend *owner = self->owner;
    base_locked held(owner->base);
    int error = owner->draining ? WSAEOPNOTSUPP : port_associate(owner->port, self->directory);
    if (error == 0)
        error = directory_start(self);
    if (error != 0)
        return error;
    TAILQ_INSERT_TAIL(&owner->directories, self, next);
    base_add_virtual(owner->base);
    return 0;
}

// What the program asks for, but for the path.
struct directory_wish {
    backend *owner;
    evdirwatch_cb callback;
    void *argument;
    bool recursive;
};

// An open directory becomes a watch.
int directory_make(evdirwatch *self, directory_read *read, HANDLE directory, const directory_wish &wish)
{
    completion_init(&read->operation, &directory_read_ops);
    read->owner = self;
    self->owner = wish.owner;
    self->callback = wish.callback;
    self->argument = wish.argument;
    self->recursive = wish.recursive;
    self->read = read;
    self->directory = directory;
    event_assign(&self->tells, self->owner->base, -1, 0, directory_tell, self);
    int error = directory_begin(self);
    if (error != 0)
        event_debug_unassign(&self->tells);
    return error;
}

int directory_open_utf8(const char *path, HANDLE *directory)
{
    if (path[0] == '\0')
        return ERROR_PATH_NOT_FOUND;
    int error;
    wchar_t *wide = utf8_widen(path, utf8_halves::kept, &error);
    if (wide == nullptr)
        return error;
    error = sys::directory_open(wide, directory);
    mm_free(wide);
    return error;
}

int directory_new(const directory_wish &wish, const char *path, evdirwatch **made)
{
    HANDLE directory;
    int error = directory_open_utf8(path, &directory);
    if (error != 0)
        return error;
    auto *self = static_cast<evdirwatch *>(mm_calloc(1, sizeof(evdirwatch)));
    auto *read = static_cast<directory_read *>(mm_malloc(sizeof(directory_read)));
    error = WSAENOBUFS;
    if (self != nullptr && read != nullptr) {
        error = directory_make(self, read, directory, wish);
    }
    *made = self;
    if (error == 0)
        return 0;
    sys::close_handle(directory);
    free_if_any(self);
    free_if_any(read);
    return error;
}

} // namespace

void directories_base_ends(backend *owner)
{
    while (!TAILQ_EMPTY(&owner->directories)) {
        evdirwatch *self = TAILQ_FIRST(&owner->directories);
        TAILQ_REMOVE(&owner->directories, self, next);
        directory_stop(self);
        event_del_nolock_(&self->tells, EVENT_DEL_NOBLOCK);
        self->owner = nullptr;
    }
}

} // namespace iocp

using namespace iocp;

struct evdirwatch *evdirwatch_iocp_new(struct event_base *base, const char *path, int flags, evdirwatch_cb cb,
                                       void *arg)
{
    backend *owner = base != nullptr ? backend_of(base) : nullptr;
    evdirwatch *made = nullptr;
    int error = 0;
    if (owner == nullptr)
        error = WSAEOPNOTSUPP;
    else if (path == nullptr || cb == nullptr || (flags & ~EVDIRWATCH_RECURSIVE) != 0)
        error = WSAEINVAL;
    else
        error = directory_new({owner, cb, arg, (flags & EVDIRWATCH_RECURSIVE) != 0}, path, &made);
    if (error == 0)
        return made;
    WSASetLastError(error);
    return nullptr;
}

void evdirwatch_iocp_free(struct evdirwatch *watch)
{
    if (watch == nullptr)
        return;
    if (watch->owner != nullptr) {
        struct event_base *base = watch->owner->base;
        bool from_callback;
        {
            base_locked held(base);
            from_callback = watch->in_callback && EVBASE_IN_THREAD(base);
            watch->freed_by_loop = from_callback;
            directory_stop(watch);
            TAILQ_REMOVE(&watch->owner->directories, watch, next);
        }
        event_del(&watch->tells);
        if (from_callback)
            return;
    }
    directory_free_memory(watch);
}
